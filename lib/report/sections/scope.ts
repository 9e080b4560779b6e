/** What is judged, who declared it, and what is left out. */
import type { FrameworkResult, Scope } from '../../model/judgement.ts'
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'
import { lines, number, plain, table, textCell } from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import { countWords, plural } from '../words/vocabulary.ts'
import { firstLines } from '../words/report-context.ts'

/** A table shows as many rows; all of them stand in the CSV. */
const MAX_ROWS = 60

/** What each framework was judged on. */
export function scopeSection({ judgement }: Summary): SectionView {
  const { frameworks } = judgement
  const scoped = frameworks.filter(({ scopes }) => scopes.length > 0)
  const unscoped = frameworks.filter(({ scopes }) => scopes.length === 0)
  return section('scope', 'Scope', {
    paragraphs: [
      ...(frameworks.length === 0 ? ['No framework was judged.'] : []),
      ...(unscoped.length === 0
        ? []
        : [
            scoped.length === 0
              ? 'No scope was declared: every framework is judged on all that this report judges, which is listed as scope on page one.'
              : `Without a declared scope, judged on all that this report judges: ${namesOf(unscoped)}.`,
          ]),
      ...(scoped.length > 0 && scoped.every(({ outOfScope }) => outOfScope.length === 0)
        ? ['Everything that was seen is in the declared scopes.']
        : []),
    ],
    tables: [...scopeTable(scoped), ...outOfScopeTable(scoped)],
  })
}

const namesOf = (frameworks: readonly FrameworkResult[]): string =>
  frameworks.map(({ title }) => printable(title)).join(', ')

/** Frameworks with the same scopes share a row. */
function scopeTable(frameworks: readonly FrameworkResult[]): readonly TableView[] {
  if (frameworks.length === 0) return []
  const groups = [
    ...Map.groupBy(frameworks, ({ scopes }) =>
      JSON.stringify(scopes.map(({ framework: _, ...scope }) => scope)),
    ).values(),
  ]
  return [
    table(
      'Declared scopes.',
      [
        ['Frameworks', 24],
        ['In scope', 34],
        ['Owner', 14],
        ['Reason', 28],
      ],
      groups.flatMap((own) =>
        (own[0]?.scopes ?? []).map((scope) => [
          textCell(namesOf(own)),
          lines(scopeWords(scope)),
          plain(scope.owner),
          textCell(printable(scope.reason)),
        ]),
      ),
    ),
  ]
}

function scopeWords({ clusters, namespaces, labels }: Scope): readonly string[] {
  const list = (names: readonly string[]): string => printable(names.join(', '))
  const wanted = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  return [
    clusters.length === 0 ? 'every cluster' : `clusters ${list(clusters)}`,
    namespaces.length === 0 ? 'every namespace' : `namespaces ${list(namespaces)}`,
    ...(wanted.length === 0 ? [] : [`labels ${list(wanted)}`]),
  ]
}

function outOfScopeTable(frameworks: readonly FrameworkResult[]): readonly TableView[] {
  const left = [
    ...Map.groupBy(
      frameworks.flatMap((framework) => framework.outOfScope.map((row) => ({ framework, row }))),
      ({ row: { cluster, namespace, workloads, paths } }) => JSON.stringify([cluster, namespace, workloads, paths]),
    ).values(),
  ]
  if (left.length === 0) return []
  const { shown, note } = firstLines(left, MAX_ROWS, 'out-of-scope.csv')
  return [
    table(
      `Out of scope: seen, but not judged for the frameworks named.${note}`,
      [
        ['Namespace', 26],
        ['Cluster', 16],
        ['Workloads', 9, 'numbers'],
        ['Paths', 9, 'numbers'],
        ['Out of scope for', 40],
      ],
      shown.flatMap((own) => {
        const [first] = own
        if (first === undefined) return []
        const { cluster, namespace, workloads, paths } = first.row
        return [
          [
            namespace === '' ? textCell('no namespace') : plain(namespace),
            plain(cluster),
            number(countWords(workloads)),
            number(countWords(paths)),
            textCell(
              own.length === frameworks.length && own.length > 3
                ? `all ${plural(own.length, 'framework')} with a scope`
                : namesOf(own.map(({ framework }) => framework)),
            ),
          ],
        ]
      }),
    ),
  ]
}

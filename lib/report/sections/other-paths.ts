/** The paths that are not in the clear: what could not be told, what was refused, exempt, or encrypted. */
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { pathStrip, stripWords } from '../drawing/strip-drawing.ts'
import { countMarks, pathKey } from '../summary/path-summary.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import {
  destinationName,
  EMPTY_CELL,
  endpointName,
  nameCell,
  number,
  plain,
  stateCell,
  stateView,
  table,
  textCell,
} from '../table-cells.ts'
import type { CellView, TableView } from '../table-cells.ts'
import { MARKS } from '../drawing/state-looks.ts'
import { compareText } from '../../text/order.ts'
import {
  byteWords,
  capital,
  CORROBORATED_WORDS,
  countWords,
  plural,
  reasonWords,
  seenShareNote,
  seenShareWords,
} from '../words/vocabulary.ts'
import { dataFile, firstRows } from '../words/report-context.ts'
import type { Wording } from '../words/report-context.ts'
import { sum } from '../summary/sums.ts'

/** So many reasons are named, that a row fits a page of paper; the rest are counted. */
const MAX_REASONS = 8

/** Above so many paths of a cluster a table has a row for each pair of namespaces; each path stands in the CSV. */
const MAX_ROWS = 100

/** Of pairs of namespaces, as many. */
const MAX_PAIRS = 120

/** Paths that are no pass, and why. */
export function notEnoughEvidenceSection(wording: Wording): SectionView {
  return listSection(wording, wording.summary.notEnoughEvidence, {
    id: 'not-enough-evidence',
    title: 'Not enough evidence, path by path',
    explained:
      'Nothing was seen unencrypted on them, but less than the wanted share of their time was seen, or what was seen is undetermined. So they do not pass. A strip shows what was seen in a window, even if only a part of the window was read; the column “Seen” says how much was read.',
    caption: 'Paths without enough evidence',
    none: 'Every judged path has enough evidence.',
  })
}

/** What was refused, what is exempt, and what was encrypted. */
export function otherSections(wording: Wording): readonly SectionView[] {
  const { refused, exempt, encrypted, paths } = wording.summary
  const others = paths.filter(({ mark, windows }) => mark !== 'refused' && windows.refused > 0).length
  return [
    listSection(wording, refused, {
      id: 'refused',
      title: 'Refused by policy',
      explained:
        'A client without mesh TLS tried to connect, and policy refused it. Nothing was delivered in plaintext. These paths are not judged.',
      caption: 'Refused paths',
      none:
        others === 0
          ? 'No path was refused by policy.'
          : `No path is listed here: ${plural(others, 'path')} with refused traffic ${others === 1 ? 'is' : 'are'} in other lists, because other traffic was seen there, or too little was seen for a verdict.`,
    }),
    {
      ...listSection(wording, exempt, {
        id: 'exempt',
        title: 'Exempt paths',
        explained:
          'Kubelet probes, connections without payload, the proxies’ own ports (4190, 4191), and TLS to the Kubernetes API. These paths are not judged. “admin-port (plaintext)” and “(mtls)” say how the proxy’s own port was reached.',
        caption: 'Exempt paths',
        none: 'No path has only exempt traffic.',
      }),
      tables: exemptTables(wording, exempt),
    },
    listSection(wording, encrypted, {
      id: 'encrypted',
      title: 'Encrypted paths',
      explained:
        'They were encrypted in every window with traffic, and at least the wanted share of their time was seen. Windows without traffic or without data prove nothing.',
      caption: 'Encrypted paths',
      none: 'No judged path passes: each was unencrypted at some time, or has not enough evidence.',
    }),
  ]
}

type List = {
  readonly id: string
  readonly title: string
  readonly explained: string
  readonly caption: string
  readonly none: string
}

function listSection(
  wording: Wording,
  paths: readonly PathSummary[],
  { id, title, explained, caption, none }: List,
): SectionView {
  const { collectedWindows, figures } = wording.summary
  const nothing = collectedWindows === 0 ? 'Nothing was collected, so the state of every path is unknown.' : none
  return section(id, title, {
    paragraphs:
      paths.length === 0
        ? [nothing]
        : [
            `${capital(plural(paths.length, 'path'))}${paths.some(({ verdict }) => verdict === 'not-applicable') ? '' : ` of ${plural(figures.judged, 'judged path')}`}. ${explained}`,
            ...reasonLines(paths),
          ],
    tables: pathTables(wording, paths, caption),
  })
}

/** Each reason in words once, with how many paths have it, so that a row needs its word only. */
function reasonLines(paths: readonly PathSummary[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const { reasons } of paths)
    for (const word of new Set(reasons.map(({ reason }) => reason)))
      if (word !== '') counts.set(word, (counts.get(word) ?? 0) + 1)
  const sorted = [...counts].toSorted(([a, one], [b, other]) => other - one || compareText(a, b))
  const rest = sorted.slice(MAX_REASONS)
  return [
    ...sorted
      .slice(0, MAX_REASONS)
      .map(([reason, count]) => `${capital(plural(count, 'path'))}: ${printable(reasonWords(reason))}.`),
    ...(rest.length === 0
      ? []
      : [`${capital(plural(rest.length, 'more reason'))} ${rest.length === 1 ? 'is' : 'are'} in paths.csv.`]),
  ]
}

/** A table of paths for each cluster. */
export function pathTables(wording: Wording, paths: readonly PathSummary[], caption: string): readonly TableView[] {
  return wording.summary.clusters.flatMap(({ id }) => {
    const own = paths.filter(({ cluster }) => cluster === id)
    if (own.length === 0) return []
    if (own.length > MAX_ROWS)
      return [pairTable(own, `${caption}, cluster ${printable(id)}`, dataFile(wording, 'paths.csv'))]
    return [
      table(
        `${caption}, cluster ${printable(id)}. Vertical lines in the strips mark ${wording.unit}.${seenShareNote(own)}`,
        [
          ['State', 15],
          ['Source', 22],
          ['Destination', 25],
          ['Owner', 13],
          ['Seen', 11, 'numbers'],
          ['Traffic', 14, 'numbers'],
        ],
        own.map((path) => ({
          id: `path-${path.pathId}`,
          cells: [
            stateCell(stateView(path.mark)),
            nameCell(endpointName(path.source)),
            nameCell(destinationName(path)),
            plain(wording.summary.owners.get(pathKey(path)) ?? ''),
            number(seenShareWords(path.seen?.share ?? null)),
            path.observedWindows === 0
              ? number('none seen')
              : { ...number(bytesWords(path)), notes: [plural(path.opens, 'new connection')] },
          ],
          detail: { strip: pathStrip(wording, path, false), lines: detailLines(path), fix: [] },
        })),
      ),
    ]
  })
}

/** Exempt paths are not judged: those with one reason, client and port share a row. */
function exemptTables({ summary }: Wording, paths: readonly PathSummary[]): readonly TableView[] {
  return summary.clusters.flatMap(({ id }) => {
    const own = paths.filter(({ cluster }) => cluster === id)
    if (own.length === 0) return []
    const groups = [
      ...Map.groupBy(own, (path) => JSON.stringify([endpointName(path.source), path.port, reasonsOf(path)])).values(),
    ].toSorted((a, b) => b.length - a.length)
    const { shown, note } = firstRows(groups, MAX_ROWS, 'paths.csv', 'path', ({ length }) => length)
    return [
      table(
        `Exempt paths, cluster ${printable(id)}: ${plural(own.length, 'path')} in ${plural(groups.length, 'group')} with one client, port and reason; paths.csv has each.${note}`,
        [
          ['Source', 21],
          ['Port', 8, 'numbers'],
          ['Reason', 22],
          ['Paths', 8, 'numbers'],
          ['Destinations', 27],
          ['Traffic', 14, 'numbers'],
        ],
        shown.map((group) => exemptRow(group)),
      ),
    ]
  })
}

const MAX_NAMED = 3

function exemptRow(group: readonly PathSummary[]): readonly CellView[] {
  const [first] = group
  if (first === undefined) return []
  const left = group.length - MAX_NAMED
  const [bytes, opens] = [sum(group, (path) => path.bytes), sum(group, (path) => path.opens)]
  return [
    nameCell(endpointName(first.source)),
    number(String(first.port)),
    textCell(reasonsOf(first).map(printable).join(', ') || 'none given'),
    number(countWords(group.length)),
    {
      ...EMPTY_CELL,
      names: group.slice(0, MAX_NAMED).map(({ destination }) => endpointName(destination)),
      notes: left > 0 ? [`and ${countWords(left)} more`] : [],
    },
    { ...number(bytesWords({ bytes, opens })), notes: [plural(opens, 'new connection')] },
  ]
}

const reasonsOf = ({ reasons }: PathSummary): readonly string[] =>
  [...new Set(reasons.map(({ reason }) => reason))].filter((reason) => reason !== '').slice(0, MAX_REASONS)

/** Many paths in one table: a row for each pair of namespaces, with the worst state among its paths. */
function pairTable(paths: readonly PathSummary[], caption: string, file: string): TableView {
  const placeOf = (end: PathSummary['source']): string => (end.namespace === '' ? `(${end.kind})` : end.namespace)
  const pairs = [
    ...Map.groupBy(paths, ({ source, destination }) =>
      JSON.stringify([placeOf(source), placeOf(destination)]),
    ).values(),
  ]
  const shown = pairs.slice(0, MAX_PAIRS)
  const left = pairs.slice(MAX_PAIRS).flat().length
  return table(
    `${caption}: ${plural(paths.length, 'path')}, grouped by namespaces. Each path is in ${file}.${left === 0 ? '' : ` The last ${countWords(left)} of them have no row here.`}`,
    [
      ['From', 22],
      ['To', 22],
      ['Paths', 10, 'numbers'],
      ['Windows with traffic', 12, 'numbers'],
      ['Paths by state', 34],
    ],
    shown.map((own) => {
      const counts = countMarks(own.map(({ mark }) => mark))
      const [first] = own
      return [
        plain(first === undefined ? '' : placeOf(first.source)),
        plain(first === undefined ? '' : placeOf(first.destination)),
        number(countWords(own.length)),
        number(countWords(own.reduce((total, { observedWindows }) => total + observedWindows, 0))),
        textCell(
          MARKS.filter((mark) => counts[mark] > 0)
            .map((mark) => `${countWords(counts[mark])} ${mark}`)
            .join(', '),
        ),
      ]
    }),
  )
}

/** A proxy counts no bytes of some traffic: none counted is not none sent. */
function bytesWords({ bytes, opens }: Pick<PathSummary, 'bytes' | 'opens'>): string {
  return bytes === 0 && opens > 0 ? 'no bytes counted' : byteWords(bytes)
}

function detailLines(path: PathSummary): readonly string[] {
  const isSeen = path.observedWindows > 0
  const reasons = [...new Set(path.reasons.map(({ reason }) => reason))].filter((reason) => reason !== '')
  const parts = [
    ...(isSeen && path.mark !== 'exempt' && path.mark !== 'refused' ? [CORROBORATED_WORDS[path.corroborated]] : []),
    ...(path.windows.refused > 0 && path.mark !== 'refused'
      ? [`also refused by policy in ${plural(path.windows.refused, 'window')}`]
      : []),
    ...(isSeen
      ? []
      : [
          path.mark === 'not-observed'
            ? 'no traffic in any collected window'
            : 'no window was collected since it is known',
        ]),
    `windows: ${stripWords(path)}`,
    ...(reasons.length === 0
      ? []
      : [
          `${reasons.length === 1 ? 'reason' : 'reasons'}: ${reasons.slice(0, MAX_REASONS).map(printable).join(', ')}${reasons.length > MAX_REASONS ? ` and ${plural(reasons.length - MAX_REASONS, 'more reason')}` : ''}`,
        ]),
  ]
  return [
    ...(path.verdict === 'not-enough-evidence' ? [`${printable(path.detail)}.`] : []),
    `${capital(parts.join('; '))}.`,
  ]
}

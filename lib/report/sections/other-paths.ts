/** The paths that are not in the clear: what could not be told, what was refused, exempt, or encrypted. */
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { pathStrip, stripWords } from '../drawing/strip-view.ts'
import { countMarks } from '../summary/path-summary.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import {
  destinationName,
  EMPTY_CELL,
  endpointName,
  lines,
  nameCell,
  number,
  plain,
  stateCell,
  stateView,
  table,
  textCell,
} from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import { MARKS } from '../drawing/state-looks.ts'
import { compareText } from '../../text/order.ts'
import { byteWords, capital, CORROBORATED_WORDS, countWords, plural, reasonWords } from '../words/vocabulary.ts'
import type { Wording } from '../words/report-context.ts'

/** So many reasons are named, that a row fits a page of paper; the rest are counted. */
const MAX_REASONS = 8

/** Above so many paths of a cluster a table has a row for each pair of namespaces; each path stands in the CSV. */
const MAX_ROWS = 100

/** Of pairs of namespaces, as many. */
const MAX_PAIRS = 120

/** What lacks evidence stands right after what was not encrypted: it is no pass. */
export function notEnoughEvidenceSection(wording: Wording): SectionView {
  return listSection(wording, wording.summary.notEnoughEvidence, {
    id: 'not-enough-evidence',
    title: 'Not enough evidence',
    explained:
      'Nothing of them was seen in the clear, but less than the wanted share of their time was seen, or what was seen does not say whether it was encrypted. That is no pass.',
    caption: 'Paths without enough evidence',
    none: 'Enough was seen of every judged path.',
  })
}

/** What was refused, what is exempt, and what was encrypted. */
export function otherSections(wording: Wording): readonly SectionView[] {
  const { refused, exempt, encrypted } = wording.summary
  return [
    listSection(wording, refused, {
      id: 'refused',
      title: 'What policy refused',
      explained:
        'Tried without mesh TLS and turned away: evidence that policy works there, not that plain text was delivered. Not scored.',
      caption: 'Paths that were refused',
      none: 'No path was seen to be refused only.',
    }),
    listSection(wording, exempt, {
      id: 'exempt',
      title: 'What is exempt',
      explained: 'Kubelet probes, connections without payload and the proxies’ own ports. Not scored.',
      caption: 'Paths that are exempt',
      none: 'No path was seen that is exempt only.',
    }),
    listSection(wording, encrypted, {
      id: 'encrypted',
      title: 'What was encrypted',
      explained:
        'Seen, and encrypted in every window in which they were seen. Windows that were not observed or not collected prove nothing.',
      caption: 'Paths that were seen encrypted',
      none: 'No path was seen that was encrypted in every window in which it was seen.',
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
  const nothing = collectedWindows === 0 ? 'Nothing was collected, so nothing can be said.' : none
  return section(id, title, {
    paragraphs:
      paths.length === 0
        ? [nothing]
        : [
            `${capital(plural(paths.length, 'path'))}; ${plural(figures.judged, 'path')} ${figures.judged === 1 ? 'was' : 'were'} judged. ${explained}`,
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
    ...(rest.length === 0 ? [] : [`And ${plural(rest.length, 'more reason')}, which paths.csv names.`]),
  ]
}

/** A table of paths for each cluster. */
export function pathTables(wording: Wording, paths: readonly PathSummary[], caption: string): readonly TableView[] {
  return wording.summary.clusters.flatMap(({ id }) => {
    const own = paths.filter(({ cluster }) => cluster === id)
    if (own.length === 0) return []
    if (own.length > MAX_ROWS) return [pairTable(own, `${caption}, cluster ${printable(id)}`)]
    return [
      table(
        `${caption}, cluster ${printable(id)}. Lines in the strips mark ${wording.unit}.`,
        [
          ['State', 17],
          ['Source', 17],
          ['Destination', 20],
          ['What is known', 24],
          ['Windows', 22],
        ],
        own.map((path) => [
          stateCell(stateView(path.mark)),
          nameCell(endpointName(path.source)),
          nameCell(destinationName(path)),
          lines(knownWords(path), path.verdict === 'not-enough-evidence' ? [printable(path.detail)] : []),
          { ...EMPTY_CELL, strip: pathStrip(wording, path, false), lines: [stripWords(path)] },
        ]),
      ),
    ]
  })
}

/** Many paths in one table: a row for each pair of namespaces, with the worst state among its paths. */
function pairTable(paths: readonly PathSummary[], caption: string): TableView {
  const placeOf = (end: PathSummary['source']): string => (end.namespace === '' ? `(${end.kind})` : end.namespace)
  const pairs = [
    ...Map.groupBy(paths, ({ source, destination }) =>
      JSON.stringify([placeOf(source), placeOf(destination)]),
    ).values(),
  ]
  const shown = pairs.slice(0, MAX_PAIRS)
  const left = pairs.slice(MAX_PAIRS).flat().length
  return table(
    `${caption}: ${plural(paths.length, 'path')}, joined by namespaces, since a row for each would hide the rest. Each stands in paths.csv.${left === 0 ? '' : ` The last ${countWords(left)} of them are in no row here.`}`,
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

function knownWords(path: PathSummary): readonly string[] {
  const isSeen = path.observedWindows > 0
  const reasons = path.reasons.filter(({ reason }) => reason !== '')
  return [
    ...reasons.slice(0, MAX_REASONS).map(({ reason }) => printable(reason)),
    ...(reasons.length > MAX_REASONS ? [`and ${plural(reasons.length - MAX_REASONS, 'more reason')}`] : []),
    ...(isSeen ? [`${plural(path.opens, 'connection')}, ${byteWords(path.bytes)}`] : []),
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
  ]
}

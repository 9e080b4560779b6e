/** Each path that was not encrypted: since when, why, how to fix it, and who accepted it. */
import type { Episode } from '../../model/history.ts'
import { durationWords } from '../../time/dates.ts'
import { openWords } from '../words/format-episode.ts'
import { printable } from '../../text/printable.ts'
import { fact, section } from '../section.ts'
import type { FindingView, SectionView } from '../section.ts'
import { binWords, pathStrip, stripWords } from '../drawing/strip-view.ts'
import { isWaived } from '../summary/figures.ts'
import type { Exposure, PathSummary } from '../summary/path-summary.ts'
import {
  destinationName,
  endpointName,
  nameCell,
  plainName,
  stateCell,
  stateView,
  table,
  textCell,
} from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import {
  byteWords,
  CAUSE_WORDS,
  CORROBORATED_WORDS,
  countWords,
  ENDING_WORDS,
  ENFORCEMENT_WORDS,
  FIXED_UNNAMED,
  plural,
  reasonWords,
} from '../words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import { clusterNote, firstLines } from '../words/report-context.ts'
import type { Wording } from '../words/report-context.ts'

/** So many are told in detail, the most urgent first; the others have a row each, up to the second number. */
const MAX_ENTRIES = 50
const MAX_ROWS = 100

/** Each path that was not encrypted, with its cause and its fix. */
export function notEncryptedSection(wording: Wording): SectionView {
  const { summary } = wording
  const { notEncrypted, figures, collectedWindows } = summary
  const rest = notEncrypted.slice(MAX_ENTRIES)
  return section('not-encrypted', 'What was not encrypted', {
    paragraphs:
      collectedWindows === 0
        ? ['Nothing was collected, so nothing can be said about any path.']
        : figures.judged === 0
          ? ['No path had traffic to judge, so nothing can be said about any path.']
          : notEncrypted.length === 0
            ? [
                `None of the ${plural(figures.judged, 'judged path')} was seen without encryption. This says nothing about what was not seen.`,
              ]
            : [
                `${countWords(figures.atSomeTime)} of ${plural(figures.judged, 'judged path')} at some time, ${countWords(figures.openNow)} open at the end of the period, ${countWords(figures.waived)} accepted by a waiver. Lines in the strips mark ${wording.unit}.${binWords(wording)}`,
                ...(rest.length === 0
                  ? []
                  : [
                      `The ${countWords(MAX_ENTRIES)} most urgent are told in detail, open ones first, then the worst, then the oldest; the other ${countWords(rest.length)} follow in a table.`,
                    ]),
              ],
    entries: notEncrypted.slice(0, MAX_ENTRIES).map((path) => entryOf(wording, path)),
    tables: restTable(wording, rest),
  })
}

function restTable(wording: Wording, rest: readonly Exposure[]): readonly TableView[] {
  if (rest.length === 0) return []
  const { shown, note } = firstLines(rest, MAX_ROWS, 'paths.csv')
  return [
    table(
      `Further paths that were not encrypted.${note}`,
      [
        ['State', 14],
        ['Source', 22],
        ['Destination', 24],
        ['Since when', 28],
        ['Waiver', 12],
      ],
      shown.map((path) => [
        stateCell(stateView(path.mark)),
        nameCell(endpointName(path.source)),
        nameCell(destinationName(path)),
        textCell(headlineOf(wording, path)),
        textCell(isWaived(path) ? 'waived' : 'none'),
      ]),
    ),
  ]
}

function entryOf(wording: Wording, path: Exposure): FindingView {
  return {
    id: `path-${path.pathId}`,
    state: stateView(path.mark),
    source: endpointName(path.source),
    destination: destinationName(path),
    cluster: clusterNote(wording.summary, path.cluster),
    headline: headlineOf(wording, path),
    strip: pathStrip(wording, path, true),
    facts: [
      ...path.reasons.flatMap(({ reason, cause, fix }) => [
        fact('Reason', [printable(reasonWords(reason))]),
        ...(cause === null ? [] : [fact('Cause', [CAUSE_WORDS[cause]])]),
        ...(fix === null ? [] : [{ ...fact('Fix', fix.split('\n').map(printable)), isCode: true }]),
      ]),
      fact('Windows', [path.isOpen || path.exposedWindows > 0 ? stripWords(path) : 'not seen in this period']),
      fact(path.mark === 'plaintext' ? 'In the clear' : 'Without mesh TLS', [
        path.clearShare === null
          ? `no bytes were counted; ${plural(path.opens, 'connection')} opened in the period`
          : `${shareWords(path.clearShare)} of ${byteWords(path.bytes)}; ${plural(path.opens, 'connection')} opened in the period, encrypted ones included`,
      ]),
      fact('Policy', [ENFORCEMENT_WORDS[path.enforcement]]),
      fact('Seen by', [CORROBORATED_WORDS[path.corroborated]]),
      ...(path.candidates.length === 0 ? [] : [fact('Source may be', path.candidates.map(plainName))]),
      ...identityFacts(path),
      ...episodeFacts(wording, path),
      waiverFact(wording, path),
    ],
  }
}

function headlineOf({ dates, summary }: Wording, path: Exposure): string {
  const lasted = (from: string, to: string): string => durationWords((Date.parse(to) - Date.parse(from)) / 1000)
  const current = path.episodes.at(-1)
  if (current === undefined)
    return `not encrypted in windows from ${dates.moment(path.first)} to ${dates.moment(path.last)}; since when is not known`
  if (current.endedAt === null)
    return `${openWords(path.cluster, { openedAt: path.since, sinceUnknown: path.isSinceUnknown }, summary, dates)}; not ended at the end of the period`
  const how = current.ending === null ? 'ended' : endingWords(current.ending, path)
  const from = path.isSinceUnknown ? `an unknown time before ${dates.moment(path.since)}` : dates.moment(path.since)
  return `not encrypted from ${from} to ${dates.moment(current.endedAt)} (${path.isSinceUnknown ? 'at least ' : ''}${lasted(path.since, current.endedAt)}); ${how}`
}

/** A client without a name is never seen encrypted: its episode ends with a window in which nobody came in the clear. */
export function endingWords(ending: NonNullable<Episode['ending']>, { source }: Pick<PathSummary, 'source'>): string {
  return ending === 'fixed' && source.kind === 'unmeshed' ? FIXED_UNNAMED : ENDING_WORDS[ending]
}

function episodeFacts({ dates }: Wording, path: Exposure): readonly FindingView['facts'][number][] {
  if (path.episodes.length < 2) return []
  return [
    fact(
      'Episodes',
      path.episodes.map(({ openedAt, endedAt, ending, sinceUnknown }) =>
        [
          sinceUnknown ? `before ${dates.moment(openedAt)}` : dates.moment(openedAt),
          endedAt === null ? 'not ended' : `to ${dates.moment(endedAt)}`,
          ...(ending === null ? [] : [endingWords(ending, path)]),
        ].join(', '),
      ),
    ),
  ]
}

function identityFacts({ source, destination }: PathSummary): readonly FindingView['facts'][number][] {
  const known = [
    ...(source.serviceAccount === null ? [] : [`source ${printable(source.serviceAccount)}`]),
    ...(destination.serviceAccount === null ? [] : [`destination ${printable(destination.serviceAccount)}`]),
  ]
  return known.length === 0 ? [] : [fact('ServiceAccounts', [known.join(', ')])]
}

/** Which waiver accepts that the path is not encrypted; one that is expired accepts nothing. */
function waiverFact({ dates, summary }: Wording, { failures }: Exposure): FindingView['facts'][number] {
  const known = new Map(summary.judgement.waivers.map(({ waiver }) => [waiver.id, waiver]))
  const accepted = [...Map.groupBy(failures, ({ waiver }) => waiver)].flatMap(([id, own]) => {
    const waiver = id === null ? undefined : known.get(id)
    if (waiver === undefined) return []
    const rules = own.map(({ rule }) => rule).join(', ')
    return [
      `${printable(waiver.id)}, until ${dates.full(waiver.expires)}, owner ${printable(waiver.owner)}: accepts ${rules}`,
    ]
  })
  const open = failures.filter(({ waiver }) => waiver === null).map(({ rule }) => rule)
  if (accepted.length === 0) return fact('Waiver', ['none'])
  return fact('Waiver', [...accepted, ...(open.length === 0 ? [] : [`not waived: ${open.join(', ')}`])])
}

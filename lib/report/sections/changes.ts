/** What changed since the period before. */
import { beganWords } from '../words/format-episode.ts'
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { isBasisKnown, PATH_CHANGE_KINDS } from '../summary/change-summary.ts'
import type { PathChange, PathChangeKind, Changes } from '../summary/change-summary.ts'
import { destinationName, endpointName, nameCell, plain, table, textCell } from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import { capital, countWords, periodWord, plural } from '../words/vocabulary.ts'
import { firstRows } from '../words/report-context.ts'
import type { Wording } from '../words/report-context.ts'
import { POLICY_WORDS } from './enforcement.ts'
import { ageWords } from '../../time/dates.ts'
import { endingWords } from './not-encrypted.ts'

/** A table shows as many rows; all of them stand in the CSV. */
const MAX_ROWS = 40

/** What each kind of change is called. */
export const CHANGE_WORDS: Readonly<Record<PathChangeKind, string>> = {
  new: 'new',
  reopened: 'reopened',
  'still-open': 'still open',
  fixed: 'fixed',
  refused: 'refused now',
  gone: 'gone',
  quiet: 'quiet',
  identity: 'changed identity',
  enforcement: 'changed policy',
}

/** What a change is called. What nobody saw since is not said to be so now. */
export function changeWords({ kind, episode, isSeenSince }: PathChange): string {
  const isOpen = episode !== null && episode.endedAt === null
  return isSeenSince === false && isOpen ? `${CHANGE_WORDS[kind]} when last seen` : CHANGE_WORDS[kind]
}

/** What changed since the period before. */
export function changesSection(wording: Wording): SectionView {
  const { summary } = wording
  const { changes } = summary
  return section('changes', 'What changed', {
    paragraphs: [...basisWords(wording), ...changeCounts(changes)],
    tables: changeTable(wording, changes),
  })
}

/** What it is compared with: without an earlier period there is no change, and no “no change” either. */
function basisWords({ dates, summary }: Wording): readonly string[] {
  const { before, comparisons } = summary.changes
  const none = comparisons.filter(({ basis }) => basis === 'none')
  const lost = comparisons.filter(({ basis }) => basis === 'not-collected')
  const partly = comparisons.filter(({ basis }) => basis === 'partly')
  const names = (list: typeof comparisons): string => list.map(({ cluster }) => printable(cluster)).join(', ')
  if (comparisons.length === 0) return ['No cluster was asked, so nothing can be compared.']
  if (before === null || none.length === comparisons.length)
    return [`There is no ${periodWord(summary).slice(4)} before to compare with, so what is new is unknown.`]
  return [
    `Compared with the period before, ${dates.range(before.from, before.to)}.`,
    ...(none.length === 0
      ? []
      : [
          `Not compared: ${names(none)}. No window was expected there in the period before, so what is new there is unknown.`,
        ]),
    ...(lost.length === 0
      ? []
      : [
          `Not compared: ${names(lost)}. Nothing was collected there in the period before, so what is new there is unknown.`,
        ]),
    ...(partly.length === 0
      ? []
      : [
          `Some windows of the period before were not collected on ${names(partly)}. A path that is called new may have been there unseen.`,
        ]),
    ...(summary.collectedWindows === 0
      ? [
          'Nothing was collected in this period. Paths that were open before count as still open; how they stand now is unknown.',
        ]
      : []),
  ]
}

/** How many paths changed in which way; none where nothing can be compared. */
export function changeCounts({ comparisons, counts, firstSeen, noLonger, unseen }: Changes): readonly string[] {
  if (!comparisons.some(isBasisKnown)) return []
  const kinds = PATH_CHANGE_KINDS.filter(
    (kind) => kind !== 'identity' && kind !== 'enforcement' && counts[kind] > 0,
  ).map((kind) => `${countWords(counts[kind])} ${CHANGE_WORDS[kind]}`)
  return [
    `${kinds.length === 0 ? 'Unencrypted paths: none known in either period.' : `Unencrypted paths: ${kinds.join(', ')}.`} ${counts.identity === 0 ? 'No identity changed.' : `${plural(counts.identity, 'identity', 'identities')} changed.`} ${counts.enforcement === 0 ? 'No policy for plaintext changed.' : `The policy for plaintext changed on ${plural(counts.enforcement, 'path')}.`}`,
    ...(unseen === 0
      ? []
      : [
          `${capital(plural(unseen, 'path'))} of these ${unseen === 1 ? 'was' : 'were'} not seen since the period before ended: how ${unseen === 1 ? 'it stands' : 'they stand'} now is unknown.`,
        ]),
    firstSeen + noLonger === 0
      ? 'No path was seen for the first time, and none is known to be gone.'
      : `Of all paths, ${countWords(firstSeen)} ${firstSeen === 1 ? 'was' : 'were'} seen for the first time, and ${countWords(noLonger)} ${noLonger === 1 ? 'is' : 'are'} no longer known.`,
  ]
}

function changeTable(wording: Wording, { all }: Changes): readonly TableView[] {
  if (all.length === 0) return []
  const { shown, note } = firstRows(foldedChanges(all), MAX_ROWS, 'changes.csv', 'change', ({ length }) => length)
  return [
    table(
      `Paths that changed or stayed open.${note}`,
      [
        ['Change', 15],
        ['Source', 23],
        ['Destination', 25],
        ['When', 37],
      ],
      shown.map(([change, ...others]) => [
        textCell(changeWords(change)),
        others.length === 0 ? nameCell(endpointName(change.source)) : textCell(plural(others.length + 1, 'path')),
        others.length === 0 ? nameCell(destinationName(change)) : plain(change.destination.namespace),
        textCell(whenWords(wording, change)),
      ]),
    ),
  ]
}

/** How long a path has been open; a dash for one that is not. */
export function openForWords({ openSeconds, episode, mayBeEarlier }: PathChange): string {
  if (openSeconds === null) return '–'
  return ageWords(openSeconds, episode?.sinceUnknown === true || mayBeEarlier)
}

type Changed = readonly [PathChange, ...PathChange[]]

/** A row for each path; if there are more than a table shows, one for all paths into a namespace whose policy changed alike. */
function foldedChanges(all: readonly PathChange[]): readonly Changed[] {
  if (all.length <= MAX_ROWS) return all.map((change): Changed => [change])
  const groups = new Map<string, [PathChange, ...PathChange[]]>()
  for (const change of all) {
    const { cluster, kind, pathId, destination, enforcement } = change
    const key = JSON.stringify(
      kind === 'enforcement'
        ? [cluster, destination.namespace, enforcement]
        : [cluster, kind, pathId, change.identity?.end ?? null],
    )
    const known = groups.get(key)
    if (known === undefined) groups.set(key, [change])
    else known.push(change)
  }
  return [...groups.values()]
}

/** When it changed, and from what to what. */
export function whenWords({ dates }: Pick<Wording, 'dates'>, change: PathChange): string {
  if (change.identity !== null)
    return `the ServiceAccount of the ${change.identity.end} was ${printable(change.identity.before)} and is ${printable(change.identity.after)}`
  if (change.enforcement !== null) {
    const { before, after } = change.enforcement
    return `policy ${POLICY_WORDS[before]} before, and now ${POLICY_WORDS[after]}`
  }
  if (change.episode === null) return 'unknown'
  const { endedAt, ending } = change.episode
  const begun = `since ${beganWords(change.episode, dates)}`
  if (endedAt === null) return change.isSeenSince === false ? `${begun}; not seen in this period` : begun
  const ended = `${begun}, until ${dates.moment(endedAt)}${ending === null ? '' : `; ${endingWords(ending, change)}`}`
  return change.isSeenSince === false ? `${ended}; not seen since` : ended
}

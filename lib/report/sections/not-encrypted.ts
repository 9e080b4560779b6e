/** Each path that was not encrypted, under the action that ends it: since when, who answers for it, why, and who accepted it. */
import type { Episode } from '../../model/history.ts'
import { durationWords } from '../../time/dates.ts'
import { beganOf, beganWords, openWords, sinceWords } from '../words/format-episode.ts'
import { fixSteps } from '../words/split-fix.ts'
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { GroupView, SectionView } from '../section.ts'
import { legendOf } from '../drawing/legend.ts'
import { binWords, pathStrip, stripWords } from '../drawing/strip-drawing.ts'
import type { Action } from '../summary/actions.ts'
import { isWaived } from '../summary/figures.ts'
import { pathKey } from '../summary/path-summary.ts'
import type { Exposure, PathSummary } from '../summary/path-summary.ts'
import { SEVERITIES, SEVERITY_WORDS, severityOf } from '../summary/severity.ts'
import {
  destinationName,
  EMPTY_CELL,
  endpointName,
  lines,
  nameCell,
  number,
  plain,
  plainName,
  stateView,
  table,
  textCell,
} from '../table-cells.ts'
import type { DetailedRow, TableView } from '../table-cells.ts'
import { actionEnds, actionTitle, titleParts } from '../words/action-titles.ts'
import {
  byteWords,
  CAUSE_WORDS,
  CLASS_WORDS,
  CORROBORATED_WORDS,
  capital,
  countWords,
  ENDING_WORDS,
  ENFORCEMENT_WORDS,
  FIXED_UNNAMED,
  periodWord,
  plural,
  reasonWords,
} from '../words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import { clusterNote, firstLines } from '../words/report-context.ts'
import type { Wording } from '../words/report-context.ts'

/** So many paths have a row with their details, the first actions first; the others are counted, and stand in paths.csv. */
const MAX_ROWS = 50
/** So many actions whose paths have no row are named. */
const MAX_ACTIONS = 100

/** How severity is decided; said wherever it is shown. */
const SEVERITY_NOTE = SEVERITIES.map((severity) => `${capital(severity)} severity: ${SEVERITY_WORDS[severity]}.`).join(
  ' ',
)

/** What to do, and the judged paths that each action ends; then those that a waiver accepts, and those that ended. */
export function notEncryptedSection(wording: Wording): SectionView {
  const { summary } = wording
  const { notEncrypted, figures, actions } = summary
  const groups = groupsOf(wording)
  return section('not-encrypted', `Unencrypted paths of ${judgedWords(wording)}`, {
    paragraphs: [
      ...countParagraphs(wording),
      ...(notEncrypted.length === 0
        ? []
        : [
            `Actions come in this order: in scope first, then the worst state, the most unencrypted bytes, the oldest. ${SEVERITY_NOTE}`,
            `Vertical lines in the strips mark ${wording.unit}.${binWords(wording)}`,
          ]),
    ],
    legend: notEncrypted.length === 0 ? [] : legendOf(summary.paths),
    groups,
    tables: figures.openNow === 0 ? [] : furtherActions(wording, actions, groups.length),
  })
}

function countParagraphs({ summary }: Wording): readonly string[] {
  const { notEncrypted, figures, collectedWindows, actions } = summary
  if (collectedWindows === 0) return ['Nothing was collected, so the state of every path is unknown.']
  if (figures.judged === 0) return ['No path had traffic to judge, so the state of every path is unknown.']
  const period = periodWord(summary)
  const open = notEncrypted.filter(({ isOpen }) => isOpen).length
  const unseen = figures.openNow - open
  if (notEncrypted.length === 0)
    return [
      `None of the ${plural(figures.judged, 'judged path')} was seen unencrypted. This says nothing about what was not seen.${unseen === 0 ? '' : ` ${capital(plural(unseen, 'path'))} ${unseen === 1 ? 'was' : 'were'} open before and not seen since.`}`,
    ]
  return [
    [
      `${countWords(figures.atSomeTime)} of ${plural(figures.judged, 'judged path')} ${figures.atSomeTime === 1 ? 'was' : 'were'} seen unencrypted in ${period}: ${countWords(open)} still at its end, ${countWords(figures.waived)} accepted by a waiver.`,
      ...(unseen === 0
        ? []
        : [`${countWords(unseen)} more ${unseen === 1 ? 'was' : 'were'} open before and not seen since.`]),
      actions.length === 0
        ? 'No action is due.'
        : `${capital(plural(actions.length, 'action'))} would fix those seen that no waiver accepts.`,
    ].join(' '),
  ]
}

const judgedWords = ({ summary }: Wording): string =>
  summary.settings.judgedClasses.map((one) => CLASS_WORDS[one]).join(', ')

/** An action each, with the paths that fit; then what is accepted, and what is over. */
function groupsOf(wording: Wording): readonly GroupView[] {
  const { notEncrypted, actions } = wording.summary
  const isOver = (path: Exposure): boolean => !path.isOpen && !isWaived(path)
  let left = MAX_ROWS
  const take = (paths: readonly Exposure[]): readonly Exposure[] => {
    const taken = paths.slice(0, left)
    left -= taken.length
    return taken
  }
  const groups: GroupView[] = []
  for (const action of actions) {
    if (left === 0) break
    groups.push(actionGroup(wording, action, take(action.paths)))
  }
  for (const { id, title, facts, paths } of [
    {
      id: 'waived',
      title: 'Accepted by a waiver',
      facts: 'still counted as failures',
      paths: notEncrypted.filter(isWaived),
    },
    { id: 'ended', title: 'Ended in the period', facts: 'no action is due', paths: notEncrypted.filter(isOver) },
  ]) {
    if (paths.length === 0) continue
    const shown = take(paths)
    groups.push({
      id,
      number: '',
      title: [{ text: title, isName: false }],
      facts: `${plural(paths.length, 'path')} · ${facts}`,
      fix: [],
      table: pathsTable(wording, shown, paths.length),
    })
  }
  return groups
}

function actionGroup(wording: Wording, action: Action, shown: readonly Exposure[]): GroupView {
  return {
    id: `action-${action.number}`,
    number: String(action.number),
    title: titleParts(action),
    facts: actionFacts(wording, action),
    fix: fixSteps(action.fix ?? 'No change is known'),
    table: pathsTable(wording, shown, action.paths.length),
  }
}

/** `ends 3 paths · owner warehouse · unencrypted since Tue 4 Nov 09:00 (26 d) · 41 GB in the clear` */
export function actionFacts({ summary, dates }: Wording, action: Action): string {
  const { cluster, owner, clearBytes, isInScope } = action
  const isScoped = summary.judgement.frameworks.some(({ scopes }) => scopes.length > 0)
  return [
    actionEnds(action),
    `owner ${printable(owner)}`,
    `unencrypted ${sinceWords(cluster, beganOf(action), summary, dates)}`,
    `${byteWords(clearBytes)} unencrypted`,
    ...(isScoped ? [isInScope ? 'in scope' : 'out of every declared scope'] : []),
    ...(summary.clusters.length > 1 ? [`cluster ${printable(cluster)}`] : []),
  ].join(' · ')
}

/** One design for every table of paths that were not encrypted. */
export function pathsTable(wording: Wording, shown: readonly Exposure[], all: number, isJudged = true): TableView {
  const left = all - shown.length
  return table(
    left === 0 ? '' : `${countWords(left)} more of these ${left === 1 ? 'is' : 'are'} in paths.csv.`,
    [
      [isJudged ? 'State, severity' : 'State', 15],
      ['Source', 20],
      ['Destination', 23],
      ['Owner', 12],
      ['Status', 19],
      ['Unencrypted', 11, 'numbers'],
    ],
    shown.map((path) => rowOf(wording, path, isJudged)),
  )
}

function rowOf(wording: Wording, path: Exposure, isJudged: boolean): DetailedRow {
  const { summary } = wording
  const note = clusterNote(summary, path.cluster)
  return {
    id: `path-${path.pathId}`,
    cells: [
      { ...EMPTY_CELL, state: stateView(path.mark), lines: [isJudged ? severityOf(path) : 'not judged'] },
      { ...nameCell(endpointName(path.source)), notes: note === null ? [] : [note] },
      nameCell(destinationName(path)),
      plain(summary.owners.get(pathKey(path)) ?? ''),
      lines([path.isOpen ? 'open' : 'ended'], [statusWords(wording, path)]),
      path.clearShare === null
        ? number('not counted')
        : {
            ...number(byteWords(path.clearShare * path.bytes)),
            notes: [`${shareWords(path.clearShare)} of ${byteWords(path.bytes)}`],
          },
    ],
    detail: { strip: pathStrip(wording, path, true), lines: detailLines(wording, path), fix: [] },
  }
}

/** Since when, or from when to when. */
function statusWords(wording: Wording, path: Exposure): string {
  const { summary, dates } = wording
  const current = path.episodes.at(-1)
  if (path.isOpen && current?.endedAt === null) return sinceWords(path.cluster, beganOf(path), summary, dates)
  return headlineOf(wording, path).replace(/^not encrypted /u, '')
}

function detailLines(wording: Wording, path: Exposure): readonly string[] {
  const seen = `${capital(CORROBORATED_WORDS[path.corroborated])}; ${opensWords(path)}; ${ENFORCEMENT_WORDS[path.enforcement]}.`
  const quiet = path.isOpen ? path.windows['not-observed'] : 0
  return [
    ...path.reasons.map(
      ({ reason, cause }) =>
        `${capital(printable(reasonWords(reason)))}.${cause === null || cause === 'unknown' ? '' : ` Cause: ${CAUSE_WORDS[cause]}.`}`,
    ),
    `${seen}${path.isOpen || path.exposedWindows > 0 ? ` Windows: ${stripWords(path)}.` : ''}`,
    ...(quiet === 0
      ? []
      : [`No traffic was seen in ${plural(quiet, 'window')}: the path stays open until it is seen otherwise.`]),
    ...(path.candidates.length === 0 ? [] : [`The source may be ${path.candidates.map(plainName).join(', ')}.`]),
    ...identityLines(path),
    ...episodeLines(wording, path),
    ...waiverLines(wording, path),
  ]
}

/** Connections that were opened in the period; the traffic may be of older ones. */
function opensWords({ opens, bytes }: Pick<PathSummary, 'opens' | 'bytes'>): string {
  return opens === 0 && bytes > 0
    ? 'no new connection in the period: the traffic is from older ones'
    : `${plural(opens, 'new connection')} in the period`
}

/** Actions whose paths have no row, by name. */
function furtherActions(wording: Wording, actions: readonly Action[], told: number): readonly TableView[] {
  const rest = actions.slice(told)
  if (rest.length === 0) return []
  const { shown, note } = firstLines(rest, MAX_ACTIONS, 'paths.csv')
  return [
    table(
      `Further actions.${note}`,
      [
        ['No.', 6],
        ['Action', 44],
        ['Owner', 16],
        ['Paths', 8, 'numbers'],
        ['Unencrypted', 12, 'numbers'],
        ['Since', 22],
      ],
      shown.map((action) => [
        textCell(countWords(action.number)),
        plain(actionTitle(action)),
        plain(action.owner),
        number(countWords(action.paths.length)),
        number(byteWords(action.clearBytes)),
        textCell(`${action.isSinceUnknown ? 'before ' : ''}${wording.dates.moment(action.since)}`),
      ]),
    ),
  ]
}

/** Since when a path was not encrypted, and how that ended, in one line. */
function headlineOf({ dates, summary }: Wording, path: Exposure): string {
  const lasted = (from: string, to: string): string => durationWords((Date.parse(to) - Date.parse(from)) / 1000)
  const current = path.episodes.at(-1)
  if (current === undefined)
    return `not encrypted in windows from ${dates.moment(path.first)} to ${dates.moment(path.last)}; start unknown`
  if (current.endedAt === null) return `${openWords(path.cluster, beganOf(path), summary, dates)}; still open`
  const how = current.ending === null ? 'ended' : endingWords(current.ending, path)
  const since = dates.moment(path.since)
  const from = path.isSinceUnknown
    ? `an unknown time before ${since}`
    : `${since}${path.mayBeEarlier ? ' or earlier' : ''}`
  const isAtLeast = path.isSinceUnknown || path.mayBeEarlier
  return `not encrypted from ${from} to ${dates.moment(current.endedAt)} (${isAtLeast ? 'at least ' : ''}${lasted(path.since, current.endedAt)}); ${how}`
}

/** A client without a name is never seen encrypted: its episode ends with a window in which nobody came in the clear. */
export function endingWords(ending: NonNullable<Episode['ending']>, { source }: Pick<PathSummary, 'source'>): string {
  return ending === 'fixed' && source.kind === 'unmeshed' ? FIXED_UNNAMED : ENDING_WORDS[ending]
}

function episodeLines({ dates }: Wording, path: Exposure): readonly string[] {
  if (path.episodes.length < 2) return []
  const each = path.episodes.map(({ endedAt, ending, ...began }) =>
    [
      `${beganWords(began, dates)}${endedAt === null ? ', still open' : ` to ${dates.moment(endedAt)}`}`,
      ...(ending === null ? [] : [endingWords(ending, path)]),
    ].join(', '),
  )
  return [`Episodes: ${each.join('; ')}.`]
}

function identityLines({ source, destination }: PathSummary): readonly string[] {
  const known = [
    ...(source.serviceAccount === null ? [] : [`source ${printable(source.serviceAccount)}`]),
    ...(destination.serviceAccount === null ? [] : [`destination ${printable(destination.serviceAccount)}`]),
  ]
  return known.length === 0 ? [] : [`ServiceAccounts: ${known.join(', ')}.`]
}

/** Which waiver accepts that the path is not encrypted; one that is expired accepts nothing. */
function waiverLines({ dates, summary }: Wording, { failures }: Exposure): readonly string[] {
  const known = new Map(summary.judgement.waivers.map(({ waiver }) => [waiver.id, waiver]))
  const accepted = [...Map.groupBy(failures, ({ waiver }) => waiver)].flatMap(([id, own]) => {
    const waiver = id === null ? undefined : known.get(id)
    if (waiver === undefined) return []
    const rules = own.map(({ rule }) => rule).join(', ')
    return [
      `Waiver ${printable(waiver.id)}, until ${dates.full(waiver.expires)}, owner ${printable(waiver.owner)}: accepts ${rules}.`,
    ]
  })
  const open = failures.filter(({ waiver }) => waiver === null).map(({ rule }) => rule)
  return accepted.length === 0 || open.length === 0 ? accepted : [...accepted, `Not waived: ${open.join(', ')}.`]
}

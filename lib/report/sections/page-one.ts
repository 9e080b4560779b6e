/** Page one: what an auditor, an engineer and a manager come for, in the order in which they ask. One page of A4 holds it. */
import { ageWords, durationWords } from '../../time/dates.ts'
import { printable } from '../../text/printable.ts'
import { shareWords, wantedShareWords } from '../../text/share-words.ts'
import { legendOf, MARK_WORDS } from '../drawing/legend.ts'
import type { LegendView } from '../drawing/legend.ts'
import { cellWords, coverageStrip, shareBar, swatch, worstStrip } from '../drawing/strip-drawing.ts'
import type { StripView } from '../drawing/strip-drawing.ts'
import { LOOKS, MARKS } from '../drawing/state-looks.ts'
import type { Mark } from '../drawing/state-looks.ts'
import type { ClusterSummary } from '../summary/coverage-summary.ts'
import type { Figures } from '../summary/figures.ts'
import { countMarks, isClear } from '../summary/path-summary.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import { reportId } from '../summary/report-id.ts'
import type { Summary } from '../summary/summary.ts'
import { table, textCell } from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import { titleParts } from '../words/action-titles.ts'
import type { TitlePart } from '../words/action-titles.ts'
import type { Wording } from '../words/report-context.ts'
import { CLASS_WORDS, capital, countWords, periodWord, plural } from '../words/vocabulary.ts'
import { namesOf, short } from '../words/short-names.ts'
import { RELATION_COLUMNS, relationCells } from './controls.ts'
import { actionFacts } from './not-encrypted.ts'
import { notSeenLines, sealLines } from './not-seen.ts'
import { LACKING_TITLE } from './open-now.ts'
import { judgedPathsWords, darkClusters, headlineWords, staleClusters } from './opening.ts'

/** All words and drawings of page one. */
export type PageOneView = {
  readonly facts: readonly { readonly term: string; readonly text: string }[]
  /** The verdict in a sentence, and what stands beside it. */
  readonly verdict: string
  readonly beside: string
  readonly figures: readonly {
    readonly value: string
    readonly label: string
    readonly note: string
    /** It is about paths in the clear, and not none. */
    readonly isOpen: boolean
  }[]
  /** Judged paths by state: one bar for what is judged, one for each other class. */
  readonly barsNote: string
  readonly bars: readonly {
    readonly label: string
    readonly strip: StripView
    readonly counts: readonly LegendView[]
    readonly note: string
  }[]
  readonly coverageNote: string
  readonly coverage: readonly { readonly label: string; readonly note: string; readonly strip: StripView }[]
  readonly actionsNote: string
  /** Clusters whose collection must be restored before anything else; empty if there is none. */
  readonly restore: string
  readonly actions: readonly {
    readonly number: string
    readonly title: readonly TitlePart[]
    readonly facts: string
    readonly strip: StripView
  }[]
  /** What the marks in the strips of the actions mean; empty without an action. */
  readonly legend: readonly LegendView[]
  readonly controls: TableView
  /** Which rules the failed controls come from; empty if none failed. */
  readonly failedRules: string
  readonly notSeen: readonly string[]
  readonly seal: readonly string[]
  /** To be copied, and what stands for what in it; empty where there is nothing to verify. */
  readonly verify: string
  readonly verifyNote: string
}

/** Where the paths are that need more evidence. */
const lackingPlace = ({ isPage }: Wording): string => (isPage ? 'the page “Paths”' : `“${LACKING_TITLE}”`)

/** Page one has room for so many. */
const MAX_CLUSTERS = 4
const MAX_ACTIONS = 3
const MAX_RULES = 3

/** Words page one. */
export function pageOne(wording: Wording): PageOneView {
  const { summary } = wording
  return {
    facts: factsOf(wording),
    verdict: headlineWords(summary),
    beside: `${judgedPathsWords(summary)}${summary.figures.notEnoughEvidence > 0 && summary.collectedWindows > 0 ? ` ${capital(lackingPlace(wording))} lists them.` : ''}`,
    figures: figuresOf(wording),
    barsNote:
      'each path once, by the worst that was seen of it in the period; no mesh TLS: the application may have encrypted',
    bars: barsOf(summary),
    ...coverageOf(wording),
    ...actionsOf(wording),
    legend: legendOf(summary.actions.slice(0, MAX_ACTIONS).flatMap(({ paths }) => paths)),
    controls: controlsOf(summary),
    failedRules: failedWords(summary),
    notSeen: notSeenLines(wording),
    seal: sealLines(wording),
    verify: summary.checkpoint === null ? '' : `ciphertrail verify STORE --key ${printable(summary.checkpoint.vkey)}`,
    verifyNote:
      summary.checkpoint === null
        ? ''
        : 'STORE: a copy of the evidence store (a directory or s3://bucket/prefix). Compare the key with one from a source other than this report. This shows that the evidence is unchanged since it was sealed, not that the proxies reported the truth.',
  }
}

/**
 * What the report is of. It has no time at which it was made, on purpose: two reports of the same evidence are the same bytes, and the signed head of the
 * log holds no time either. Up to when there is evidence stands in its place.
 */
function factsOf({ summary, dates }: Wording): PageOneView['facts'] {
  const { period, clusters, settings, judgement } = summary
  const until = clusters
    .flatMap(({ collectedUntil }) => collectedUntil ?? [])
    .toSorted((a, b) => Date.parse(a) - Date.parse(b))
    .at(-1)
  return [
    { term: clusters.length === 1 ? 'Cluster' : 'Clusters', text: namesOf(clusters.map(({ id }) => id)) || 'none' },
    { term: 'Report', text: reportId(summary) },
    { term: 'Period', text: dates.fullRange(period.from, period.to) },
    { term: 'Collected until', text: until === undefined ? 'none' : dates.full(until) },
    { term: 'Times in', text: dates.zone },
    { term: 'Prepared by', text: settings.preparedBy === null ? 'not stated' : short(settings.preparedBy) },
    { term: 'Scope', text: scopeWords(summary) },
    {
      term: 'Made by',
      text: `ciphertrail ${printable(summary.version)}, controls data version ${printable(judgement.controls.version)}`,
    },
    { term: 'Wanted share', text: wantedWords(summary) },
  ]
}

function scopeWords({ judgement, settings }: Summary): string {
  const classes = `paths of ${settings.judgedClasses.map((one) => CLASS_WORDS[one]).join(', ')}`
  const scoped = judgement.frameworks.filter(({ scopes }) => scopes.length > 0)
  if (scoped.length === 0) return `all ${classes}`
  const left = new Set(scoped.flatMap(({ outOfScope }) => outOfScope.map((row) => `${row.cluster}/${row.namespace}`)))
  const others = scoped.length === judgement.frameworks.length ? '' : '; everything for the other frameworks'
  return `${classes}, as declared for ${scoped.map(({ title }) => printable(title)).join(', ')}${others}; ${plural(left.size, 'namespace')} out of scope`
}

/** The wanted share, and how much of the period it lets go unseen. */
function wantedWords({ judgement, period }: Summary): string {
  const seconds = (Date.parse(period.to) - Date.parse(period.from)) / 1000
  const hides = (share: number): string =>
    share >= 1 ? 'nothing may be unseen' : `up to ${durationWords(unseenSeconds(share, seconds))} may be unseen`
  const own = judgement.frameworks.filter(({ wantedShare }) => wantedShare !== judgement.wantedShare)
  return [
    `a pass needs ${wantedShareWords(judgement.wantedShare)} of a path’s time; ${hides(judgement.wantedShare)}`,
    ...own.map(
      ({ title, wantedShare }) => `${printable(title)} ${wantedShareWords(wantedShare)}, ${hides(wantedShare)}`,
    ),
  ].join('; ')
}

/** Whole seconds, rounded up; but 1 % of 35 minutes is 21 s, and not the 21.000000000000018 s that floating point makes of it. */
function unseenSeconds(share: number, seconds: number): number {
  return Math.ceil(Math.round((1 - share) * seconds * 1000) / 1000)
}

/** Four numbers. What was not looked at has none: no zero stands for what is unknown. */
function figuresOf({ summary }: Wording): PageOneView['figures'] {
  const { figures, monitored, collectedWindows, episodes, judgement } = summary
  const { openNow, openPlaintext, openNoMeshTls, openBefore, atSomeTime, waived, notEnoughEvidence, judged } = figures
  const unseen = openNow - openPlaintext - openNoMeshTls
  const period = periodWord(summary)
  const seen = (value: number): string => (collectedWindows === 0 && value === 0 ? 'unknown' : countWords(value))
  const ended = summary.notEncrypted.filter(({ isOpen }) => !isOpen).length
  const median = episodes.timeToFix.median
  return [
    {
      value: openValue(figures, seen(openNow)),
      label: `unencrypted at the end of ${period}`,
      note:
        openBefore === null
          ? `no ${period.slice(4)} before to compare with`
          : openNow === 0 && openBefore === 0
            ? `none at the end of ${period} before${collectedWindows === 0 ? '' : ' either'}`
            : changeWords(openNow - openBefore, period),
      isOpen: openNow > 0,
    },
    {
      value: seen(atSomeTime),
      label: `seen unencrypted in ${period}`,
      note: [
        ...(collectedWindows === 0 ? [] : [`of ${plural(judged, 'judged path')}`]),
        ...(atSomeTime === 0
          ? []
          : [
              `${countWords(ended)} ended${median === null ? '' : `, median ${ageWords(median, episodes.timeToFix.isAtLeast)} to fix`}`,
            ]),
        ...(unseen === 0 ? [] : [`${countWords(unseen)} more open before and not seen since`]),
        ...(waived === 0 ? [] : [`${countWords(waived)} accepted by a waiver`]),
      ].join('; '),
      isOpen: false,
    },
    {
      value: seen(notEnoughEvidence),
      label: 'without enough evidence',
      note: `less than ${wantedShareWords(judgement.wantedShare)} of their time seen, or undetermined`,
      isOpen: false,
    },
    {
      value: monitored.share === null ? 'unknown' : shareWords(monitored.share),
      label: `of ${period} monitored`,
      note:
        monitored.seconds >= monitored.periodSeconds
          ? `every window was collected${summary.share === null || summary.share >= 1 ? '' : `; ${shareWords(summary.share)} of pod time in them was observed`}`
          : `${durationWords(monitored.periodSeconds - monitored.seconds)} not monitored${summary.clusters.length > 1 ? ', over all clusters' : ''}`,
      isOpen: false,
    },
  ]
}

/** No number stands alone for clusters of which nobody knows how many are open. */
function openValue({ openNow, openUnknownOn }: Wording['summary']['figures'], seen: string): string {
  if (openUnknownOn === undefined) return seen
  return openNow === 0 ? 'unknown' : `at least ${seen}`
}

function changeWords(change: number, period: string): string {
  if (change === 0) return `as many as ${period} before`
  return change > 0
    ? `${countWords(change)} more than ${period} before`
    : `${countWords(-change)} fewer than ${period} before`
}

function barsOf({ paths, settings, figures, others, notEncrypted }: Summary): PageOneView['bars'] {
  const judged = paths.filter((path) => settings.judgedClasses.includes(path.class))
  const label = settings.judgedClasses.map((one) => capital(CLASS_WORDS[one])).join(', ')
  return [
    barOf(
      `${label}: ${countWords(figures.judged)} judged of ${countWords(judged.length)}`,
      judged,
      { judged: figures.judged, notEncrypted },
      'not judged',
    ),
    ...others.map((one) =>
      barOf(
        `${capital(CLASS_WORDS[one.class])}: ${countWords(one.paths.length)}, listed only`,
        one.paths,
        { judged: one.figures.judged, notEncrypted: one.notEncrypted },
        'not in the bar',
      ),
    ),
  ]
}

function barOf(
  label: string,
  paths: readonly PathSummary[],
  { judged, notEncrypted }: Pick<Figures, 'judged'> & Pick<Summary, 'notEncrypted'>,
  left: string,
): PageOneView['bars'][number] {
  const isJudged = ({ mark, verdict }: PathSummary): boolean =>
    isClear(mark) || verdict === 'not-enough-evidence' || verdict === 'pass'
  const counts = countMarks(paths.filter(isJudged).map(({ mark }) => mark))
  const others = countMarks(paths.filter((path) => !isJudged(path)).map(({ mark }) => mark))
  const words = (of: Readonly<Record<Mark, number>>): string[] =>
    MARKS.flatMap((mark) => (of[mark] > 0 ? [`${countWords(of[mark])} ${barWord(mark)}`] : []))
  const outside = words(others)
  const open = notEncrypted.filter(({ isOpen }) => isOpen).length
  const ended = notEncrypted.length - open
  return {
    label,
    strip: shareBar(counts, `${label}: ${words(counts).join(', ') || 'no path was judged'}`),
    counts: MARKS.flatMap((mark) =>
      counts[mark] === 0
        ? []
        : [
            {
              swatch: swatch(mark),
              word: `${LOOKS[mark].shape} ${countWords(counts[mark])} ${barWord(mark)}`,
            },
          ],
    ),
    note: [
      ...(judged === 0
        ? ['no path had traffic to judge']
        : notEncrypted.length === 0
          ? ['none seen unencrypted']
          : [`${countWords(open)} still unencrypted, ${countWords(ended)} ended`]),
      ...(outside.length === 0 ? [] : [`${left}: ${outside.join(', ')}`]),
    ].join('; '),
  }
}

/** A path is only judged unknown for want of evidence. */
const barWord = (mark: Mark): string => (mark === 'unknown' ? 'not enough evidence' : MARK_WORDS[mark])

/** The calendar of the clusters of which the least was observed; all stand in the section on coverage. */
function coverageOf(wording: Wording): Pick<PageOneView, 'coverage' | 'coverageNote'> {
  const { clusters } = wording.summary
  const least = ({ share, collected }: ClusterSummary): number => (collected === 0 ? -1 : (share ?? -1))
  const shown = clusters.toSorted((a, b) => least(a) - least(b)).slice(0, MAX_CLUSTERS)
  const left = clusters.length - shown.length
  const cell = cellWords(wording)
  return {
    coverageNote: `${cell === '' ? '' : `${cell}; `}bar height: share of pod time observed (a thin line: almost none)${clusters.some(({ missingRuns }) => missingRuns.length > 0) ? '; crossed: not collected' : ''}${left === 0 ? '' : `; the ${countWords(shown.length)} clusters of which the least was seen, ${plural(left, 'other')} ${wording.isPage ? 'on the page “Clusters”' : 'under “Coverage”'}`}`,
    coverage: shown.map((cluster, index) => ({
      label: short(cluster.id),
      note: `${cluster.share === null ? 'share unknown' : shareWords(cluster.share)}, ${countWords(cluster.collected)} of ${plural(cluster.expected, 'window')}`,
      strip: coverageStrip(wording, cluster, index === shown.length - 1),
    })),
  }
}

/** Names the clusters of which nothing, or nothing in the end, was collected, and the command that shows why. */
function restoreWords(summary: Summary): string {
  if (summary.collectedWindows === 0) return ''
  const ids = [...new Set([...darkClusters(summary), ...staleClusters(summary)].map(({ id }) => id))]
  const [first] = ids
  if (first === undefined) return ''
  return `Before all else, restore collection of ${namesOf(ids)}: what is there now is unknown. To see why, run: ciphertrail cluster check ${short(first)}`
}

function actionsOf(wording: Wording): Pick<PageOneView, 'actions' | 'actionsNote' | 'restore'> {
  const { actions, collectedWindows, figures, settings } = wording.summary
  return {
    actionsNote:
      actions.length > 0
        ? `${actions.length > MAX_ACTIONS ? `first ${MAX_ACTIONS} of ${plural(actions.length, 'action')}` : plural(actions.length, 'action')}: in scope, worst state, most bytes, oldest first; owner: label ${short(settings.ownerLabel)}, else namespace`
        : collectedWindows === 0
          ? 'nothing was collected: collect windows first'
          : figures.openNow > 0
            ? 'no action: each unencrypted path is accepted by a waiver or was not seen in the period'
            : figures.notEnoughEvidence > 0
              ? `no path to encrypt; see ${lackingPlace(wording)}`
              : 'no action: no judged path is unencrypted or without evidence',
    restore: restoreWords(wording.summary),
    actions: actions.slice(0, MAX_ACTIONS).map((action) => ({
      number: String(action.number),
      title: titleParts(action).map(({ text, isName }) => ({ text: isName ? short(text) : text, isName })),
      facts: actionFacts(wording, { ...action, owner: short(action.owner) }),
      strip: worstStrip(wording, action.paths),
    })),
  }
}

/** The rules that failed, most failures first: a failed control must not be a riddle beside a verdict without an open path. */
function failedWords({ judgement }: Summary): string {
  const failed = judgement.rules
    .filter(({ verdict }) => verdict === 'fail')
    .toSorted((a, b) => b.score.fail - a.score.fail)
  if (failed.length === 0) return ''
  const shown = failed.slice(0, MAX_RULES).map(({ title, score: { pass, fail, waived, notEnoughEvidence } }) => {
    const judged = pass + fail + waived + notEnoughEvidence
    return `“${printable(title)}” (${countWords(fail)} of ${countWords(judged)})`
  })
  const left = failed.length - shown.length
  return `Failures come from ${plural(failed.length, 'rule')}: ${shown.join(', ')}${left === 0 ? '' : ` and ${countWords(left)} more`}; see “Findings, rule by rule”.`
}

/** What of each framework is tested, what is an input of it, what nothing here tests, and how what is judged stands. */
function controlsOf({ judgement }: Summary): TableView {
  return {
    ...table(
      'Controls by relation, then, if tested, by verdict. A pass means that the rules passed, not that the control is met.',
      [['Framework', 28], ...RELATION_COLUMNS],
      judgement.frameworks.map((framework) => [textCell(printable(framework.title)), ...relationCells(framework)]),
    ),
    isMatrix: true,
  }
}

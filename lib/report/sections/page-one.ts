/** Page one: what an auditor, an engineer and a manager come for, in the order in which they ask. One page of A4 holds it. */
import type { GapReason } from '../../model/window.ts'
import { durationWords } from '../../time/dates.ts'
import { cutLine, printable } from '../../text/printable.ts'
import { shareWords, wantedShareWords } from '../../text/share-words.ts'
import { cellWords, coverageStrip, shareBar, worstStrip } from '../drawing/strip-view.ts'
import type { StripView } from '../drawing/strip-view.ts'
import { MARKS } from '../drawing/state-looks.ts'
import type { Mark } from '../drawing/state-looks.ts'
import type { ClusterSummary } from '../summary/coverage-summary.ts'
import type { Figures } from '../summary/figures.ts'
import { countMarks, isClear } from '../summary/path-summary.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import { reportId } from '../summary/report-id.ts'
import { sum } from '../summary/sums.ts'
import type { Summary } from '../summary/summary.ts'
import { stateView, table, textCell } from '../table-cells.ts'
import type { StateView, TableView } from '../table-cells.ts'
import { titleParts } from '../words/action-titles.ts'
import type { TitlePart } from '../words/action-titles.ts'
import type { Wording } from '../words/report-context.ts'
import {
  BLIND_SPOT_SHORT,
  byteWords,
  CLASS_WORDS,
  capital,
  countWords,
  GAP_WORDS,
  periodWord,
  plural,
} from '../words/vocabulary.ts'
import { RELATION_COLUMNS, RELATIONS_CAPTION, relationCells } from './controls.ts'
import { actionFacts } from './not-encrypted.ts'
import { besideWords, headlineWords } from './opening.ts'

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
  readonly bars: readonly {
    readonly label: string
    readonly strip: StripView
    readonly counts: readonly { readonly state: StateView; readonly text: string }[]
    readonly note: string
  }[]
  readonly coverageNote: string
  readonly coverage: readonly { readonly label: string; readonly note: string; readonly strip: StripView }[]
  readonly actionsNote: string
  readonly actions: readonly {
    readonly number: string
    readonly title: readonly TitlePart[]
    readonly facts: string
    readonly strip: StripView
  }[]
  readonly controls: TableView
  readonly notSeen: readonly string[]
  readonly seal: readonly string[]
  /** To be copied; empty where there is nothing to verify. */
  readonly verify: string
}

/** Page one has room for so many. */
const MAX_CLUSTERS = 4
const MAX_NAMED = 6
const MAX_ACTIONS = 3
const LONGEST_NAME = 48

/** Words page one. */
export function pageOne(wording: Wording): PageOneView {
  const { summary } = wording
  return {
    facts: factsOf(wording),
    verdict: headlineWords(summary),
    beside: besideWords(summary),
    figures: figuresOf(wording),
    bars: barsOf(summary),
    ...coverageOf(wording),
    ...actionsOf(wording),
    controls: controlsOf(summary),
    notSeen: notSeenLines(wording),
    seal: sealLines(summary),
    verify: summary.checkpoint === null ? '' : `ciphertrail verify STORE --key ${printable(summary.checkpoint.vkey)}`,
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
    { term: 'Period', text: `${dates.full(period.from)} to ${dates.full(period.to)}` },
    { term: 'Evidence up to', text: until === undefined ? 'none' : dates.full(until) },
    { term: 'Times in', text: dates.zone },
    { term: 'Prepared by', text: settings.preparedBy === null ? 'not stated' : short(settings.preparedBy) },
    { term: 'Scope', text: scopeWords(summary) },
    {
      term: 'Made by',
      text: `ciphertrail ${printable(summary.version)}, controls version ${printable(judgement.controls.version)}`,
    },
    { term: 'Wanted share', text: wantedWords(summary) },
  ]
}

function namesOf(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMED).map(short)
  return names.length <= MAX_NAMED ? shown.join(', ') : `${shown.join(', ')} and ${names.length - MAX_NAMED} more`
}

/** The whole name stands in the sections that follow. */
const short = (name: string): string => cutLine(printable(name), LONGEST_NAME)

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
    share >= 1 ? 'nothing may be unseen' : `up to ${durationWords(Math.ceil((1 - share) * seconds))} may be unseen`
  const own = judgement.frameworks.filter(({ wantedShare }) => wantedShare !== judgement.wantedShare)
  return [
    `${wantedShareWords(judgement.wantedShare)} of each path’s time: ${hides(judgement.wantedShare)}`,
    ...own.map(({ title, wantedShare }) => `${printable(title)} ${wantedShareWords(wantedShare)}`),
  ].join('; ')
}

/** Four numbers. What was not looked at has none: no zero stands for what is unknown. */
function figuresOf({ summary }: Wording): PageOneView['figures'] {
  const { figures, monitored, collectedWindows, episodes, judgement } = summary
  const { openNow, openBefore, atSomeTime, waived, notEnoughEvidence } = figures
  const period = periodWord(summary)
  const seen = (value: number): string => (collectedWindows === 0 && value === 0 ? 'unknown' : countWords(value))
  const ended = summary.notEncrypted.filter(({ isOpen }) => !isOpen).length
  const median = episodes.timeToFix.median
  return [
    {
      value: seen(openNow),
      label: `unencrypted at the end of ${period}`,
      note:
        openBefore === null
          ? `no ${period.slice(4)} before to compare with`
          : changeWords(openNow - openBefore, period),
      isOpen: openNow > 0,
    },
    {
      value: seen(atSomeTime),
      label: 'unencrypted at some time',
      note: [
        `${countWords(ended)} ended${median === null ? '' : `, median ${durationWords(median)} to fix`}`,
        ...(waived === 0 ? [] : [`${countWords(waived)} accepted by a waiver`]),
      ].join('; '),
      isOpen: false,
    },
    {
      value: seen(notEnoughEvidence),
      label: 'without enough evidence',
      note: `less than ${wantedShareWords(judgement.wantedShare)} seen, or undetermined`,
      isOpen: false,
    },
    {
      value: monitored.share === null ? 'unknown' : shareWords(monitored.share),
      label: `of ${period} monitored`,
      note:
        monitored.seconds >= monitored.periodSeconds
          ? 'every window was collected'
          : `${durationWords(monitored.periodSeconds - monitored.seconds)} not monitored${summary.clusters.length > 1 ? ', over all clusters' : ''}`,
      isOpen: false,
    },
  ]
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
    barOf(label, judged, { ...figures, ended: notEncrypted.filter(({ isOpen }) => !isOpen).length }),
    ...others.map((one) =>
      barOf(capital(CLASS_WORDS[one.class]), one.paths, {
        ...one.figures,
        ended: one.notEncrypted.filter(({ isOpen }) => !isOpen).length,
      }),
    ),
  ]
}

function barOf(
  label: string,
  paths: readonly PathSummary[],
  { openNow, judged, ended }: Pick<Figures, 'openNow' | 'judged'> & { readonly ended: number },
): PageOneView['bars'][number] {
  const isJudged = ({ mark, verdict }: PathSummary): boolean =>
    isClear(mark) || verdict === 'not-enough-evidence' || verdict === 'pass'
  const counts = countMarks(paths.filter(isJudged).map(({ mark }) => mark))
  const left = countMarks(paths.filter((path) => !isJudged(path)).map(({ mark }) => mark))
  const words = (of: Readonly<Record<Mark, number>>): string[] =>
    MARKS.flatMap((mark) => (of[mark] > 0 ? [`${countWords(of[mark])} ${MARK_WORDS[mark] ?? mark}`] : []))
  const outside = words(left)
  return {
    label: `${label}, ${countWords(judged)}`,
    strip: shareBar(counts, `${label}: ${words(counts).join(', ') || 'no path was judged'}`),
    counts: MARKS.flatMap((mark) =>
      counts[mark] === 0
        ? []
        : [{ state: { ...stateView(mark), word: MARK_WORDS[mark] ?? mark }, text: countWords(counts[mark]) }],
    ),
    note: [
      judged === 0 ? 'no path had traffic to judge' : `${countWords(openNow)} open, ${countWords(ended)} ended`,
      ...(outside.length === 0 ? [] : [`not judged: ${outside.join(', ')}`]),
    ].join('; '),
  }
}

/** How a judged path is called beside the bar, where that is not its mark. */
const MARK_WORDS: Readonly<Partial<Record<Mark, string>>> = {
  unknown: 'not enough evidence',
  'no-mesh-tls': 'no mesh TLS',
  mtls: 'mutual TLS',
  'tls-anonymous': 'TLS without client identity',
  'app-tls': 'application’s TLS',
  'not-observed': 'without traffic',
  'not-collected': 'not collected',
  refused: 'refused by policy',
}

/** The calendar of the clusters of which the least was observed; all stand in the section on coverage. */
function coverageOf(wording: Wording): Pick<PageOneView, 'coverage' | 'coverageNote'> {
  const { clusters } = wording.summary
  const least = ({ share, collected }: ClusterSummary): number => (collected === 0 ? -1 : (share ?? -1))
  const shown = clusters.toSorted((a, b) => least(a) - least(b)).slice(0, MAX_CLUSTERS)
  const left = clusters.length - shown.length
  const cell = cellWords(wording)
  return {
    coverageNote: `${cell === '' ? '' : `${cell}; `}height: share of pod time observed; crossed: not collected${left === 0 ? '' : `; the ${countWords(shown.length)} clusters of which the least was seen, ${plural(left, 'other')} under “Coverage”`}`,
    coverage: shown.map((cluster, index) => ({
      label: short(cluster.id),
      note: `${cluster.share === null ? 'share unknown' : shareWords(cluster.share)}, ${countWords(cluster.collected)} of ${plural(cluster.expected, 'window')}`,
      strip: coverageStrip(wording, cluster, index === shown.length - 1),
    })),
  }
}

function actionsOf(wording: Wording): Pick<PageOneView, 'actions' | 'actionsNote'> {
  const { actions, collectedWindows, figures } = wording.summary
  return {
    actionsNote:
      actions.length > 0
        ? `${actions.length > MAX_ACTIONS ? `first ${MAX_ACTIONS} of ${countWords(actions.length)}: ` : ''}in scope, worst state, most bytes, oldest first`
        : collectedWindows === 0
          ? 'nothing was collected: collect windows first'
          : figures.notEnoughEvidence > 0
            ? 'no open path; see what lacks evidence'
            : 'no open path that no waiver accepts',
    actions: actions.slice(0, MAX_ACTIONS).map((action) => ({
      number: String(action.number),
      title: titleParts(action).map(({ text, isName }) => ({ text: isName ? short(text) : text, isName })),
      facts: actionFacts(wording, { ...action, owner: short(action.owner) }),
      strip: worstStrip(wording, action.paths),
    })),
  }
}

/** What of each framework is tested, what is an input of it, what nothing here tests, and how what is judged stands. */
function controlsOf({ judgement }: Summary): TableView {
  return {
    ...table(
      `${RELATIONS_CAPTION} No verdict says that a control is met.`,
      [['Framework', 28], ...RELATION_COLUMNS],
      judgement.frameworks.map((framework) => [textCell(printable(framework.title)), ...relationCells(framework)]),
    ),
    isMatrix: true,
  }
}

/** Three lines: time, workloads, settings. */
function notSeenLines({ summary }: Wording): readonly string[] {
  return [timeLine(summary), workloadLine(summary), settingsLine(summary)]
}

function timeLine({ clusters, share, removed, monitored }: Summary): string {
  const dark = clusters.flatMap(({ id, windows }) => {
    const seconds = sum(
      windows.filter(({ collected }) => !collected),
      ({ start, end }) => (Date.parse(end) - Date.parse(start)) / 1000,
    )
    return seconds === 0 ? [] : [`${durationWords(seconds)} on ${short(id)}`]
  })
  const late = clusters.filter(({ expectedOnly }) => expectedOnly !== null)
  const unmeasured = sum(clusters, (cluster) => cluster.unmeasured)
  const reasons = new Map<GapReason, number>()
  for (const { reason, podSeconds } of clusters.flatMap(({ gaps }) => gaps))
    reasons.set(reason, (reasons.get(reason) ?? 0) + podSeconds)
  const why = [...reasons].toSorted(([, a], [, b]) => b - a).slice(0, 2)
  const parts = [
    ...(dark.length > 0
      ? [
          `not collected: ${dark.slice(0, 3).join(', ')}${dark.length > 3 ? ` and ${dark.length - 3} more clusters` : ''}`,
        ]
      : monitored.share === 1
        ? ['every window was collected']
        : []),
    ...late.map(({ id }) => `${short(id)} was expected for a part of the period only`).slice(0, 2),
    ...(unmeasured === 0 ? [] : [`unknown pods in ${plural(unmeasured, 'window')}`]),
    ...(share === null || share >= 1
      ? []
      : [
          `${shareWords(share)} of ${clusters.some((one) => one.share === null) ? 'known pod time' : 'pod time'} observed${why.length === 0 ? '' : `, the rest mostly because ${why.map(([reason]) => GAP_WORDS[reason]).join('; ')}`}`,
        ]),
    ...(removed.length === 0 ? [] : [`not in this report: ${namesOf(removed)}, removed from the registry`]),
  ]
  return `Time: ${parts.join(' · ') || 'nothing was expected, so nothing was seen'}`
}

function workloadLine({ unmeshed, workloads, collectedWindows }: Summary): string {
  if (workloads === 0)
    return `Workloads: ${collectedWindows === 0 ? 'unknown, nothing was collected' : 'unknown, no Kubernetes snapshot'}`
  if (unmeshed.length === 0) return `Workloads: all ${countWords(workloads)} listed ones had a proxy`
  const sent = unmeshed.flatMap(({ withoutProxy }) => (withoutProxy === undefined ? [] : [withoutProxy.sentBytes]))
  const bytes =
    sent.length === 0 ? 'bytes not measured' : `sent ${byteWords(sum(sent, (one) => one))} that no proxy saw`
  return `Workloads: ${countWords(unmeshed.length)} of ${countWords(workloads)} are not confirmed as fully meshed · ${bytes}`
}

function settingsLine({ blind, workloads }: Summary): string {
  const kinds = new Map<string, number>()
  for (const { blindSpots } of blind)
    for (const kind of new Set(blindSpots.map((spot) => spot.kind)))
      if (kind !== 'unmeshed') kinds.set(BLIND_SPOT_SHORT[kind], (kinds.get(BLIND_SPOT_SHORT[kind]) ?? 0) + 1)
  if (kinds.size === 0) return `Settings: ${workloads === 0 ? 'unknown' : 'none that hides traffic was found'}`
  const parts = [...kinds].toSorted(([, a], [, b]) => b - a)
  return `Settings that hide traffic: ${parts.map(([words, count]) => `${words} on ${plural(count, 'workload')}`).join(' · ')}`
}

function sealLines({ checkpoint }: Summary): readonly string[] {
  if (checkpoint === null) return ['Not sealed: no signed checkpoint proves that the evidence is unchanged.']
  const { origin, size, root, attempts, unsealed } = checkpoint
  const covered =
    attempts === 0
      ? 'this report uses no collected attempt'
      : unsealed === 0
        ? `all ${plural(attempts, 'attempt')} of this report are in it`
        : `${countWords(unsealed)} of ${plural(attempts, 'attempt')} of this report are not in it`
  return [
    `Log ${short(origin)}, ${plural(size, 'leaf', 'leaves')}, root ${printable(root)}; ${covered}. The signed checkpoint stands under “Verification”.`,
  ]
}

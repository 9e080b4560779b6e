/** Data flow: who talks to whom, drawn from what was observed, and how that differs from an earlier time. */
import { isBasisKnown } from '../../report/summary/change-summary.ts'
import type { FlowOptions } from '../../report/drawing/flow-drawing.ts'
import { LOOKS, type Mark } from '../../report/drawing/state-looks.ts'
import {
  FLOW_CHANGE_KINDS,
  type FlowChange,
  type FlowChangeKind,
  shownMark,
} from '../../report/summary/flow-changes.ts'
import { seenAs } from '../../assess/judge/seen-as.ts'
import { stateView } from '../../report/table-cells.ts'
import { wordingOf } from '../../report/words/report-context.ts'
import { countWords, plural } from '../../report/words/vocabulary.ts'
import { printable } from '../../text/printable.ts'
import { type Dates, datesOf } from '../../time/dates.ts'
import { toSeconds, toTime } from '../../time/windows.ts'
import type { FlowDifference } from '../flow.ts'
import { flowTimes } from '../parameters.ts'
import { countFlowChanges } from '../routes/flow-route.ts'
import { labelPast, statusLine } from './frame.ts'
import type { MakePage, PageContent } from './page.ts'
import { type SiteQuery, hrefOf, parametersOf } from './page-query.ts'
import { pathLink } from './path-links.ts'
import { type Choice, PAST_LAST_PAGE, pagesOf } from './paths-page.ts'

/** A page has so many rows. */
const MAX_ROWS = 100

const DAY_SECONDS = 24 * 60 * 60

/** How long before the time that is looked at the page offers to compare with. */
const BACK = [
  ['a day', 1],
  ['a week', 7],
  ['4 weeks', 28],
  ['13 weeks', 91],
] as const

/** What each kind of difference is called. */
const KIND_WORDS: Readonly<Record<FlowChangeKind, string>> = {
  new: 'new',
  changed: 'changed',
  gone: 'gone',
  'not-seen': 'not seen',
  'seen-again': 'seen again',
  same: 'as before',
}

const NOT_SEEN_WORDS: Readonly<Record<NonNullable<FlowChange['notSeen']>, string>> = {
  'no-traffic': 'known still; no traffic was seen',
  'partly-collected': 'known still; no traffic was seen, but some windows were not collected: it may be there',
  'not-collected': 'known still; nothing was collected: it may be there',
}

/** Makes the page of data flow; Graphviz is loaded with it. */
export const flowPage: MakePage = async (asked, { history }) => {
  const { query, grant } = asked
  const looked = { grant, cluster: query.cluster, at: query.at }
  const [status, clusters] = await Promise.all([history.status(looked), history.clusters({ grant, cluster: null })])
  const summary = labelPast(status.summary, query.past)
  const wording = wordingOf(summary, { isPage: true })
  const to = summary.period.to
  const frame = (view: object): PageContent => ({
    title: 'Data flow',
    template: 'flow',
    replay: summary.replay,
    standing: statusLine(summary),
    view: {
      ...view,
      choices: { title: 'Compare with how it was', choices: backChoices(query, to) },
      before: query.before ?? '',
      at: query.past ?? '',
      isChosen: query.before !== null || query.past !== null || query.cluster !== null,
      clusters: clusters.map(({ id }) => ({ value: id, isCurrent: id === query.cluster })),
    },
  })
  if (query.before === null) {
    const { dataFlowSection } = await import('../../report/sections/data-flow.ts')
    return frame({
      words: `As observed from ${wording.dates.range(summary.period.from, to)} (UTC).`,
      section: dataFlowSection(wording),
      difference: null,
    })
  }
  const { before } = flowTimes({ before: query.before, at: query.past }, query.at)
  const flow = await history.flow({ ...looked, before })
  const { drawFlow } = await import('../../report/drawing/flow-drawing.ts')
  const dates = datesOf({ ...flow.period, timeZone: 'UTC' })
  const counts = countFlowChanges(flow.paths)
  const wanted = flow.paths.filter(({ kind }) => kind !== 'same')
  const shown = wanted.slice((query.page - 1) * MAX_ROWS, query.page * MAX_ROWS)
  return frame({
    words: `How it was at ${dates.moment(flow.period.to)}, compared with ${dates.moment(flow.before.to)} (UTC): each path as it was seen last in the seven days up to either time.`,
    section: null,
    difference: {
      lacks: lacksOf(flow, dates),
      counted: `${FLOW_CHANGE_KINDS.map((kind) => `${countWords(counts[kind])} ${KIND_WORDS[kind]}`).join(', ')}. Exempt traffic is left out.`,
      drawings: flow.clusters.flatMap(({ id, classes }) =>
        classes === null
          ? []
          : drawFlow(
              flow.paths.filter(({ cluster }) => cluster === id).map(drawn),
              optionsFor({ cluster: id, classes, judged: flow.judgedClasses }),
            ),
      ),
      caption: 'Paths that differ, what asks for attention first.',
      beforeTitle: dates.moment(flow.before.to),
      afterTitle: dates.moment(flow.period.to),
      rows: shown.map((path) => rowOf(path, query.past, flow.clusters.length > 1)),
      none: noneWords(flow, wanted.length),
      pages: pagesOf('/flow', { rows: wanted.length, perPage: MAX_ROWS }, query),
      api: `/v1/flow?${new URLSearchParams({ before, at: flow.period.to, ...(query.cluster === null ? {} : { cluster: query.cluster }) }).toString()}`,
      changesHref: hrefOf('/changes', {
        cluster: query.cluster,
        from: `${flow.before.from}/${flow.before.to}`,
        to: `${laterOf(flow.before.to, flow.period.from)}/${flow.period.to}`,
      }),
    },
  })
}

const laterOf = (a: string, b: string): string => (toSeconds(a) > toSeconds(b) ? a : b)

function backChoices(query: SiteQuery, to: string): readonly Choice[] {
  const own = parametersOf(query)
  return [
    { title: 'not compared', href: hrefOf('/flow', { ...own, before: null }), isCurrent: query.before === null },
    ...BACK.map(([title, days]) => {
      const before = toTime(toSeconds(to) - days * DAY_SECONDS)
      return { title: `${title} before`, href: hrefOf('/flow', { ...own, before }), isCurrent: query.before === before }
    }),
  ]
}

/** A difference as an arrow: in words and by its line, never by colour alone. */
function drawn(path: FlowChange) {
  const { kind, before, after, source, destination, port, candidates } = path
  const mark = shownMark(path)
  const { shape } = LOOKS[mark]
  const words: Readonly<Record<FlowChangeKind, string>> = {
    new: `new ${shape}`,
    changed: `${before === null ? '' : LOOKS[seenAs(before)].shape} → ${after === null ? '' : LOOKS[seenAs(after)].shape}`,
    gone: `gone, was ${shape}`,
    'not-seen': `not seen, was ${shape}`,
    'seen-again': `again ${shape}`,
    same: shape,
  }
  const paints = {
    gone: 'gone',
    'not-seen': 'unseen',
    same: 'same',
    new: mark,
    changed: mark,
    'seen-again': mark,
  } as const
  return { source, destination, port, candidates, mark, kind, told: { words: words[kind], paint: paints[kind] } }
}

function optionsFor(of: Pick<FlowOptions, 'cluster' | 'classes' | 'judged'>): FlowOptions {
  const kindOf = (path: object): FlowChangeKind => ('kind' in path ? (path.kind as FlowChangeKind) : 'same')
  return {
    ...of,
    attention: {
      isWanted: (path) => kindOf(path) !== 'same',
      words: (paths) => `that ${paths === 1 ? 'differs' : 'differ'}`,
      noneWords: 'none of which differs',
      keepsWorkloads: true,
    },
    rankOf: (path) => -FLOW_CHANGE_KINDS.indexOf(kindOf(path)),
    words: (boxes, arrows) =>
      `Data flow, compared: ${plural(boxes, 'box', 'boxes')}, ${plural(arrows.length, 'arrow')}, ${arrows.filter(({ told }) => told?.paint !== 'same').length} of them different. The table below holds the same.`,
  }
}

/** What must be known to read the drawing: what was not looked at. */
function lacksOf({ clusters, before, period }: FlowDifference, dates: Dates): readonly string[] {
  return clusters.flatMap(({ id, basis, problem, replay, ...own }) => {
    const named = `cluster ${printable(id)}`
    if (problem !== null) return [`${printable(problem)}.`]
    if (basis === 'none' || basis === 'not-collected')
      return [
        `Not compared: nothing of ${named} was collected in the seven days up to ${dates.moment(before.to)}, so what is new there is unknown.`,
      ]
    const spans = [[own.before, before] as const, [own.period, period] as const].flatMap(
      ([{ windows, notCollected, expectedFrom }, { from, to }]) => {
        const upTo = `the seven days up to ${dates.moment(to)}`
        if (windows === 0) return [`Nothing of ${named} was expected in ${upTo}: nothing there is known to be gone.`]
        return [
          ...(expectedFrom !== null && toSeconds(expectedFrom) > toSeconds(from)
            ? [`Not collected: ${named} was not looked at before ${dates.moment(expectedFrom)}, within ${upTo}.`]
            : []),
          ...(notCollected === 0
            ? []
            : [`Not collected: ${countWords(notCollected)} of ${plural(windows, 'window')} of ${named} in ${upTo}.`]),
        ]
      },
    )
    // Of a replay no window is missed, so that none is counted after its last one.
    const until = own.period.collectedUntil
    return replay !== null && until !== null && toSeconds(until) < toSeconds(period.to)
      ? [...spans, `Not collected: ${named} is a replay, of which nothing after ${dates.moment(until)} was recorded.`]
      : spans
  })
}

function rowOf(path: FlowChange, past: string | null, hasClusters: boolean) {
  const { kind, cluster, before, after, mayBeEarlier, notSeen } = path
  const seen = (state: FlowChange['before'], none: Mark) => stateView(state === null ? none : seenAs(state))
  const notes: Readonly<Partial<Record<FlowChangeKind, string>>> = {
    new: mayBeEarlier ? 'not known before; some windows were not collected then' : 'not known before',
    gone: 'an end of it is gone, by the lists of Kubernetes',
    'not-seen': NOT_SEEN_WORDS[notSeen ?? 'not-collected'],
    'seen-again': 'known before, but without traffic then',
  }
  return {
    ...pathLink(path, shownMark(path), past),
    kind: KIND_WORDS[kind],
    note: notes[kind] ?? '',
    cluster: hasClusters ? printable(cluster) : '',
    before: kind === 'new' ? null : seen(before, 'not-observed'),
    after: kind === 'gone' ? null : seen(after, notSeen === 'not-collected' ? 'not-collected' : 'not-observed'),
  }
}

/** What stands in the place of rows. */
function noneWords({ clusters, paths }: FlowDifference, wanted: number): string {
  if (wanted > 0) return PAST_LAST_PAGE
  if (!clusters.some(isBasisKnown)) return 'Nothing can be compared: what differs is unknown.'
  return paths.length === 0
    ? 'No traffic was seen at either time.'
    : 'No path differs in what was collected. This says nothing about what was not seen.'
}

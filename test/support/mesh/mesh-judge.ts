import { mergeResults } from '../../../lib/assess/window/merge-results.ts'
import { type ListsOfSnapshot, assessWindow } from '../../../lib/assess/window/window.ts'
import { cadvisorQueriesOf } from '../../../lib/observed/cadvisor-queries.ts'
import { ADMIN_PORTS, queriesOf } from '../../../lib/observed/prometheus-queries.ts'
import { LOOKBACK_SECONDS, againAt, toSeconds, toTime } from '../../../lib/time/windows.ts'
import type { MetricsAnswer, Snapshot } from '../../../lib/model/snapshot.ts'
import type { PathWindow, WindowResult } from '../../../lib/model/window.ts'
import type { Seconds, Window } from '../../../lib/model/time.ts'
import { COLLECTED_AFTER, type Story, endOf, meshOf, startOf } from './mesh-stories.ts'
import { type Ask, prometheusOf } from './promql.ts'
import { keyOf, listsAt } from './simulated-lists.ts'
import { type Call, type SimulatedMesh, type SimulatedPod, classOf, processesOf, seenBy } from './simulated-mesh.ts'
import { type HeldSeries, type Scraped, scrape } from './simulated-scrapes.ts'

/** A Prometheus at a moment: what it had by then. */
export type AskAt = (moment: Seconds) => Ask

/** The simulated Prometheus. A sample that is late is not there before it came. */
export function askSimulated({ series }: Scraped): AskAt {
  const isLate = series.some(({ late }) => late > 0)
  const whole = isLate ? undefined : prometheusOf(series)
  return (moment) => whole ?? prometheusOf(series.map((one) => (one.late > 0 ? heldBy(one, moment) : one)))
}

function heldBy(series: HeldSeries, moment: Seconds): HeldSeries {
  const count = series.times.filter((time) => time + series.late <= moment).length
  return { ...series, times: series.times.slice(0, count), values: series.values.slice(0, count) }
}

/** The windows of a story, oldest first. */
export function windowsOf(story: Story): Window[] {
  const { minutes, windows } = story
  return Array.from({ length: windows }, (_, index) => ({
    start: toTime(startOf(story) + index * minutes * 60),
    end: toTime(startOf(story) + (index + 1) * minutes * 60),
  }))
}

/** What an attempt at a window collects. */
function snapshotOf(window: Window, ask: Ask): Snapshot {
  const answered = (queries: readonly { name: string; query: string; time: Seconds }[]): MetricsAnswer[] =>
    queries.map(({ name, query, time }) => ({ name, query, time: String(time), body: ask(query, time) }))
  return {
    format: 'ciphertrail/snapshot/1',
    cluster: 'simulated',
    window,
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    collector: { name: 'ciphertrail', version: '0.0.0' },
    startedAt: window.end,
    endedAt: window.end,
    complete: true,
    metrics: { status: 'complete', errors: [], prometheusTime: window.end, answers: answered(queriesOf(window)) },
    cadvisor: { status: 'complete', errors: [], answers: answered(cadvisorQueriesOf(window)) },
    kubernetes: { status: 'complete', errors: [], takenAt: null, lists: [] },
  }
}

/** When the lists of a story are taken. */
function listTimes(story: Story): Seconds[] {
  const ends = windowsOf(story).map(({ end }) => toSeconds(end) + COLLECTED_AFTER)
  const first = startOf(story) + COLLECTED_AFTER
  return story.lists === 'around' ? [first, ...ends] : story.lists === 'after' ? ends : [first, ...ends.slice(-1)]
}

/** What is said of each window of a story, after it was asked again. */
export function toldOf(
  story: Story,
  mesh: SimulatedMesh,
  { askAt, listedAt = listTimes(story) }: { readonly askAt: AskAt; readonly listedAt?: readonly Seconds[] },
): WindowResult[] {
  const lists = listedAt.map((moment): ListsOfSnapshot => ({
    key: `lists ${moment}`,
    takenAt: toTime(moment),
    lists: listsAt(mesh, moment),
  }))
  return windowsOf(story).map((window) => {
    const [start, end] = [toSeconds(window.start), toSeconds(window.end)]
    const before = lists.findLast(({ takenAt }) => toSeconds(takenAt) <= start + 120) ?? null
    const after = lists.find(({ takenAt }) => toSeconds(takenAt) >= end) ?? null
    const attempt = (key: string, moment: Seconds) =>
      assessWindow({ key, snapshot: snapshotOf(window, askAt(moment)), before, after })
    const first = attempt('1', end + COLLECTED_AFTER)
    return mesh.late.size === 0 ? first : mergeResults([first, attempt('2', againAt(window))])
  })
}

/**
 * What no source can see, by name. `tail`: between the last scrape of a proxy and its end, which is told as a gap, but does not stop the path from
 * being encrypted for all that was read. `among-probes`: no more requests than gRPC or HTTPS probes leave room for, which Linkerd counts as others.
 * `undated`: a clear connection of some minutes before that may have come again since, as its time is not known; it is marked "since unknown".
 * `before-the-list`: without cAdvisor, by a pod without a proxy that was gone when the list before the window was taken, up to two minutes after its begin.
 */
export const EXCEPTIONS = ['tail', 'among-probes', 'undated', 'before-the-list'] as const

/** What a judge finds wrong with, or has to say of, a path in a window. */
export type Finding = {
  readonly kind: 'false' | 'missed' | 'false-alarm' | 'unknown' | 'absent' | (typeof EXCEPTIONS)[number]
  readonly window: string
  readonly path: string
  /** What was said, and what was true. */
  readonly detail: string
}

export type StoryJudgement = {
  readonly findings: readonly Finding[]
  /** Paths in windows, by what they truly were. */
  readonly clear: number
  readonly mtls: number
}

/** Tells a story, asks about it and judges what is said. */
export function judgeStory(story: Story): StoryJudgement {
  const mesh = meshOf(story)
  const scraped = scrape(mesh)
  return judge(story, { mesh, scraped, told: toldOf(story, mesh, { askAt: askSimulated(scraped) }) })
}

/** A moment at which something was sent, and when it was first read that it was. */
type Moment = {
  readonly call: Call
  readonly at: Seconds
  /** Infinity: no proxy that saw it was read afterwards. */
  readonly readAt: Seconds
  /** No proxy was in the way. */
  readonly isUnseen: boolean
}

const CLEAR: ReadonlySet<string> = new Set(['plaintext', 'no-mesh-tls'])
const ENCRYPTED: ReadonlySet<string> = new Set(['mtls', 'tls-anonymous', 'app-tls', 'exempt'])

/** Judges what was said of the windows of a mesh by what was sent in it. */
export function judge(
  story: Story,
  { mesh, scraped, told }: { mesh: SimulatedMesh; scraped: Scraped; told: readonly WindowResult[] },
): StoryJudgement {
  const last = endOf(story)
  const moments = mesh.calls.flatMap((call) => momentsOf(call, scraped)).filter(({ at }) => at <= last)
  const findings: Finding[] = []
  let [clear, mtls] = [0, 0]
  for (const result of told) {
    const [start, end] = [toSeconds(result.window.start), toSeconds(result.window.end)]
    const isIn = (time: Seconds) => time > start && time <= end
    // What no scrape of the window could show yet stands in the window that could.
    const told = moments.filter(({ at, readAt }) => isIn(readAt === Infinity ? at : readAt))
    const happened = moments.filter(
      ({ at, readAt, call }) => isIn(at) || isIn(readAt) || (call.opened <= end && call.closed > start),
    )
    const clearAt = new Set(happened.filter((one) => isClear(one)).map(({ call }) => portKey(call)))
    const tlsAt = new Set(happened.filter(({ call }) => classOf(call) === 'app-tls').map(({ call }) => portKey(call)))
    const rowsTo = Map.groupBy(result.paths, ({ destination, port }) => `${keyOf(destination)}:${port}`)
    const find = (kind: Finding['kind'], path: string, detail: string) =>
      findings.push({ kind, window: result.window.end.slice(11, 16), path, detail })

    for (const [path, own] of Map.groupBy(told, ({ call }) => pathKey(call))) {
      const [first] = own
      if (first === undefined || ADMIN_PORTS.some((port) => port === first.call.port)) continue
      const { call } = first
      const rows = (rowsTo.get(portKey(call)) ?? []).filter((row) => isOf(row, call))
      const named = rows.filter(({ source }) => source.kind !== 'unmeshed' && source.kind !== 'probe')
      const said = rows.map(wordRow).sort().join(', ') || 'nothing'
      const inClear = own.filter(isClear)
      if (inClear.length > 0) {
        clear += 1
        if (rows.some(({ state }) => CLEAR.has(state)) || rows.some(({ state }) => state === 'unknown')) continue
        const silent = inClear.filter((one) => !isTold(one, result, mesh))
        const isCalledEncrypted = named.some(({ state }) => ENCRYPTED.has(state))
        const detail = `said ${said}; true: ${wordMoments(silent.length > 0 ? silent : inClear)}`
        if (silent.length === 0 && isCalledEncrypted && inClear.every((one) => isTail(one))) find('tail', path, detail)
        else if (isCalledEncrypted)
          find(inClear.every((one) => isBeforeList(one, mesh, start)) ? 'before-the-list' : 'false', path, detail)
        else if (silent.length > 0) find(isAmongProbes(silent) ? 'among-probes' : 'missed', path, detail)
      } else if (own.some((one) => classOf(one.call) === 'mtls' && one.readAt !== Infinity)) {
        mtls += 1
        const doubt = named.filter(({ state }) => state === 'unknown')
        if (doubt.length > 0) find('unknown', path, doubt.map(wordRow).join(', '))
        else if (named.length === 0) find('absent', path, said)
      }
    }
    for (const row of result.paths) {
      const key = `${keyOf(row.destination)}:${row.port}`
      if (!CLEAR.has(row.state) || row.outcome !== 'allowed' || ADMIN_PORTS.some((port) => port === row.port)) continue
      if (clearAt.has(key) || tlsAt.has(key)) continue
      const isOld =
        row.sinceUnknown &&
        moments.some(
          (one) => isClear(one) && portKey(one.call) === key && one.at <= end && one.at > start - LOOKBACK_SECONDS,
        )
      find(isOld ? 'undated' : 'false-alarm', key, `said ${wordRow(row)}`)
    }
  }
  return { findings, clear, mtls }
}

function isClear({ call }: Moment): boolean {
  return classOf(call) === 'clear'
}

/** Nobody could read a proxy that was in the way. */
function isTail({ readAt, isUnseen }: Moment): boolean {
  return readAt === Infinity && !isUnseen
}

/** Whether nothing but a list that came too late could have shown who sent it. */
function isBeforeList({ call, isUnseen }: Moment, { hasCadvisor }: SimulatedMesh, start: Seconds): boolean {
  const ends = [call.from, call.to].flatMap((end) => (end === 'kubelet' ? [] : [end]))
  return !hasCadvisor && isUnseen && ends.some(({ meshed, deleted }) => !meshed && deleted <= start + COLLECTED_AFTER)
}

/** How many requests a probe leaves room for in a window: a phase that is not known, and a kubelet that is restarted. */
const ROOM_OF_PROBES = 2

/** Whether what was sent to each pod is so little that its probes hide it. */
function isAmongProbes(moments: readonly Moment[]): boolean {
  const byPod = Map.groupBy(moments, ({ call }) => call.to)
  return [...byPod].every(([{ probes }, own]) => {
    const alike = probes.filter(({ kind, port }) => port === own[0]?.call.port && (kind === 'grpc' || kind === 'https'))
    return new Set(own.map(({ call }) => call)).size <= ROOM_OF_PROBES * alike.length
  })
}

function momentsOf(call: Call, { reads }: Scraped): Moment[] {
  const { from, to, opened, moments } = call
  const seen = seenBy(call)
  const proxies = [...(seen.client && from !== 'kubelet' ? [from] : []), ...(seen.server ? [to] : [])]
  const processes = proxies.map((pod) => ({
    of: processesOf(pod).find((span) => opened >= span.from && opened < span.to),
    reads: reads.get(pod.uid) ?? [],
  }))
  return [...new Set([opened, ...moments])].map((at) => ({
    call,
    at,
    readAt: Math.min(
      ...processes.map(({ of, reads: own }) =>
        of === undefined ? Infinity : (own.find((time) => time >= at && time < of.to) ?? Infinity),
      ),
    ),
    isUnseen: proxies.length === 0,
  }))
}

function nameOf(end: SimulatedPod | 'kubelet'): string {
  return end === 'kubelet' ? end : keyOf(end.workload)
}

function portKey({ to, port }: Call): string {
  return `${keyOf(to.workload)}:${port}`
}

function pathKey(call: Call): string {
  return `${nameOf(call.from)} -> ${portKey(call)}`
}

/** Whether a row is of a call's path, or of traffic to its port without a name. */
function isOf({ source }: PathWindow, { from }: Call): boolean {
  if (source.kind === 'unmeshed') return true
  if (from === 'kubelet') return source.kind === 'probe'
  if (source.kind === 'serviceaccount')
    return source.namespace === from.workload.namespace && source.name === from.workload.serviceAccount
  return keyOf(source) === keyOf(from.workload)
}

/** How exactly times are known: of who was scraped, and of whom cAdvisor alone showed. */
const SLACK: Seconds = 2
const SEEN_SLACK: Seconds = 35

/** Whether a gap or a blind spot of either end tells of a moment that no row does. */
function isTold(
  { call, at, readAt }: Moment,
  { coverage, workloads }: WindowResult,
  { clocks }: SimulatedMesh,
): boolean {
  const ends = [call.from, call.to].flatMap((end) => (end === 'kubelet' ? [] : [end]))
  return ends.some((pod) => {
    const key = keyOf(pod.workload)
    const isInGap = coverage
      .filter(({ workload }) => keyOf(workload) === key)
      .flatMap(({ gaps }) => gaps)
      .some(({ reason, from, to }) => {
        const known = reason === 'no-proxy' || reason === 'pod-unknown' ? SEEN_SLACK : SLACK
        // When a pod lived is told by its node's clock.
        const slack = known + Math.abs(clocks.get(pod.node) ?? 0)
        return at >= toSeconds(from) - slack && at <= toSeconds(to) + slack
      })
    // What a proxy could tell later is not told by a blind spot.
    if (isInGap) return true
    if (readAt !== Infinity) return false
    const row = workloads.find((workload) => keyOf(workload) === key)
    // Nothing tells who there was, and so it is said.
    if (row?.meshed === 'unknown') return true
    const spots = row?.blindSpots ?? []
    return spots.some(({ kind, port }) =>
      kind === 'unmeshed'
        ? !pod.meshed
        : kind === 'skip-inbound'
          ? pod === call.to && port === String(call.port)
          : kind === 'skip-outbound'
            ? pod === call.from && port === String(call.port)
            : kind === 'pod-unknown' || kind === 'not-scraped',
    )
  })
}

function wordRow({ source, state, outcome, reason }: PathWindow): string {
  return `${source.kind === 'unmeshed' || source.kind === 'probe' ? source.kind : source.name} ${state}${outcome === 'refused' ? ' refused' : ''}${reason === '' ? '' : ` (${reason})`}`
}

function wordMoments(moments: readonly Moment[]): string {
  return moments
    .slice(0, 4)
    .map(({ call, at, readAt, isUnseen }) => {
      const from = call.from === 'kubelet' ? 'kubelet' : `${call.from.name}${call.from.meshed ? '' : ' (no proxy)'}`
      const read = isUnseen ? 'no proxy in the way' : readAt === Infinity ? 'never read' : `read ${clock(readAt)}`
      return `${clock(at)} ${from} -> ${call.to.name}${call.to.meshed ? '' : ' (no proxy)'}, ${read}`
    })
    .join('; ')
}

function clock(moment: Seconds): string {
  return toTime(Math.round(moment)).slice(11, 19)
}

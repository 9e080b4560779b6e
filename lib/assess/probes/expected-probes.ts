import type { Seconds } from '../../model/time.ts'
import type { ContainerLook, ProbeLook, Probe } from './declared-probes.ts'

/** The facts about a pod that decide its probes. */
export type ProbedPod = {
  readonly probes: readonly Probe[]
  /** Oldest first. */
  readonly looks: readonly ProbeLook[]
  readonly life: { readonly from: Seconds }
}

/**
 * How many probes the kubelet can have sent: `usual` by the schedule and the pod's known state, `most` with everything that cannot be excluded. More than
 * `most` were sent by another client; a number between the two may have been.
 */
export type Allowance = { readonly usual: number; readonly most: number }

/** Tolerated clock error of nodes: a count that only this error explains is in doubt. */
const CLOCK_SECONDS = 15

/** Upper bound for the jitter of scrapes. */
const JITTER_SECONDS = 0.5

type Span = { readonly from: Seconds; readonly to: Seconds }

const NO_PROBES: Allowance = { usual: 0, most: 0 }

/** The kubelet syncs each pod every 60 to 90 seconds, and then probes the readiness of a container that is not ready at once. */
const SYNC_SECONDS = 60
/** Shortest assumed sync interval: `syncFrequency` is a kubelet setting that no list shows. */
const MIN_SYNC_SECONDS = 10
/** A container's start causes extra syncs: for the container, the sandbox and the changed pod status. */
const SYNCS_OF_START = 3
/** How long a container may have been starting, if no list shows it. */
const STARTING_SECONDS = 600

/**
 * Returns how many probes the kubelet can have sent to a pod in a span.
 *
 * The kubelet sends a probe each `periodSeconds`, at an unknown phase: in L seconds at most `floor(L / period) + 1`. It sends fewer before
 * `initialDelaySeconds` have passed, and none for liveness and readiness before the startup probe has succeeded, which takes at most `failureThreshold`
 * probes or the container is restarted. It sends more while a container is not ready: readiness is also probed at each sync of the pod. A restarted kubelet
 * restarts each probe: if L is a whole number of periods, that extra probe is already counted.
 *
 * Limit: a client that sends no more requests than the kubelet left unsent of `usual` (one for each probe, in a span of a whole number of periods) looks like
 * the kubelet.
 *
 * @param of which probes count
 */
export function probesWithin(pod: ProbedPod, span: Span, of: (probe: Probe) => boolean): Allowance {
  const all = pod.probes.filter(of).map((probe): Allowance => {
    if (probe.use === 'startup') {
      const count = startups(probe, pod, span)
      return { usual: count, most: count }
    }
    const active = activeSpan(probe, pod, span)
    const count = ticks(probe, active)
    // A container's start has its node's clock, and scrapes have Prometheus's.
    const isYoung = active.since > span.from - CLOCK_SECONDS
    const byClock = isYoung
      ? Math.max(0, ticks(probe, { from: active.since - CLOCK_SECONDS, to: active.to }) - count)
      : 0
    if (count === 0) return { usual: 0, most: byClock }
    // A kubelet restart adds one probe, unless the span is a whole number of periods.
    const isWhole = (active.to - active.from + JITTER_SECONDS) % probe.periodSeconds <= 2 * JITTER_SECONDS
    const more = probe.use === 'readiness' ? syncs(probe.container, pod.looks, span) : NO_PROBES
    return { usual: count + more.usual, most: count + byClock + (isWhole ? 0 : 1) + more.most }
  })
  return addAllowances(all)
}

function addAllowances(all: readonly Allowance[]): Allowance {
  return {
    usual: all.reduce((sum, { usual }) => sum + usual, 0),
    most: all.reduce((sum, { most }) => sum + most, 0),
  }
}

/** Returns the number of scheduled probes, without the one that the phase or a kubelet restart may add. */
export function regularProbes(pod: ProbedPod, span: Span, of: (probe: Probe) => boolean): number {
  return pod.probes.filter(of).reduce((sum, probe) => {
    if (probe.use === 'startup') return sum + startups(probe, pod, span)
    const { from, to } = activeSpan(probe, pod, span)
    return sum + Math.max(0, Math.ceil((to - from - JITTER_SECONDS) / probe.periodSeconds))
  }, 0)
}

/**
 * Returns the minimum number of probes that the kubelet has sent while each container surely ran and had started. A probe that takes longer than its period
 * is sent less often.
 */
export function fewestProbes({ probes, looks }: ProbedPod, span: Span, of: (probe: Probe) => boolean): number {
  return probes.filter(of).reduce((sum, probe) => {
    const own = looks.flatMap(({ containers }) => containers.filter(({ name }) => name === probe.container))
    const start = Math.max(...own.map(({ startedAt }) => startedAt ?? Infinity))
    const hasStartup = probes.some(({ container, use }) => container === probe.container && use === 'startup')
    if (
      probe.use === 'startup' ||
      (hasStartup && (start > span.from || own.some(({ isStarted }) => isStarted !== true)))
    )
      return sum
    const from = Math.max(span.from, start + probe.initialDelaySeconds)
    return sum + Math.max(0, Math.floor((span.to - from) / probe.periodSeconds) - 1)
  }, 0)
}

/** Returns when a liveness or readiness probe was sent, and since when it is sent at all. The span is empty if `to` is not after `from`. */
function activeSpan(probe: Probe, { looks, life }: ProbedPod, span: Span): Span & { readonly since: Seconds } {
  const own = looksOf(probe.container, looks)
  const isHeldBack = own.some(
    ({ isStarted, startedAt, takenAt }) =>
      isStarted === false && startedAt !== null && startedAt <= span.from && takenAt >= span.to,
  )
  if (isHeldBack) return { from: span.to, to: span.to, since: -Infinity }
  // A restarted container was probed before its restart, too.
  const first = own.find(({ startedAt }) => startedAt !== null)
  const wasRestarted =
    first !== undefined && first.restarts > 0 && (restartsWithin(own, span) > 0 || (first.startedAt ?? 0) > span.from)
  const begun = wasRestarted ? life.from : (first?.startedAt ?? life.from)
  const since = begun + probe.initialDelaySeconds
  return { from: Math.max(span.from, since), to: span.to, since }
}

function looksOf(container: string, looks: readonly ProbeLook[]): TimedLook[] {
  return looks.flatMap(({ takenAt, containers }) =>
    containers.flatMap((one) => (one.name === container ? [{ ...one, takenAt }] : [])),
  )
}

type TimedLook = ContainerLook & { readonly takenAt: Seconds }

/** Returns the number of startup probes. They are sent only from a container's start until one succeeds, so their allowance must not cover other requests. */
function startups(probe: Probe, { looks, life }: ProbedPod, span: Span): number {
  const own = looksOf(probe.container, looks)
  const { failureThreshold, periodSeconds, initialDelaySeconds } = probe
  const starts = new Set(own.map(({ startedAt }) => startedAt ?? life.from))
  if (starts.size === 0) starts.add(life.from)
  const counts = [...starts].map((start) => {
    if (
      own.some(({ startedAt, isStarted, takenAt }) => startedAt === start && isStarted === true && takenAt <= span.from)
    )
      return 0
    // A probe that times out may take longer than its period.
    const longest = failureThreshold === null ? STARTING_SECONDS : 2 * failureThreshold * periodSeconds
    const begun = start + initialDelaySeconds
    const to = Math.min(span.to, begun + longest)
    return Math.min(failureThreshold ?? Infinity, ticks(probe, { from: Math.max(span.from, begun), to }))
  })
  const more = Math.max(0, restartsWithin(own, span) - (starts.size - 1))
  const most = Math.min(failureThreshold ?? Infinity, ticks(probe, span))
  return counts.reduce((sum, count) => sum + count, 0) + more * most
}

function ticks({ periodSeconds }: Probe, { from, to }: Span): number {
  return to <= from ? 0 : Math.floor((to - from + JITTER_SECONDS) / periodSeconds) + 1
}

/** Returns the readiness probes beyond the schedule. */
function syncs(container: string, looks: readonly ProbeLook[], span: Span): Allowance {
  const own = looksOf(container, looks)
  const restarts = restartsWithin(own, span)
  const known = secondsWithin(unreadySpans(container, looks, restarts > 0), span)
  const proof = looks.find(({ takenAt, isReady, since }) => takenAt >= span.to && isReady && since !== null)
  const possible = Math.max(0, Math.min(proof?.since ?? Infinity, span.to) - span.from)
  const atStart = SYNCS_OF_START * (1 + restarts)
  return {
    usual: known === 0 ? 0 : Math.ceil(known / SYNC_SECONDS) + atStart,
    most:
      possible === 0 && known === 0
        ? 0
        : Math.ceil(known / MIN_SYNC_SECONDS) + Math.ceil(possible / SYNC_SECONDS) + atStart,
  }
}

/** Returns how long a span is covered by at least one of several spans. */
function secondsWithin(spans: readonly Span[], { from, to }: Span): Seconds {
  let reached = from
  let seconds = 0
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const begun = Math.max(span.from, reached)
    const ended = Math.min(span.to, to)
    if (ended <= begun) continue
    seconds += ended - begun
    reached = ended
  }
  return seconds
}

/** Spans in which a container was not ready, or became ready at some moment. */
function unreadySpans(container: string, looks: readonly ProbeLook[], wasRestarted: boolean): Span[] {
  return looks.flatMap((look, index): Span[] => {
    const own = look.containers.find(({ name }) => name === container)
    const before = looks[index - 1]?.takenAt ?? -Infinity
    const start = own?.startedAt ?? null
    const begun = Math.max(start ?? -Infinity, before)
    const restarted = wasRestarted && index === looks.length - 1 ? [{ from: before, to: start ?? look.takenAt }] : []
    if (own?.isReady ?? look.isReady) {
      if (look.isReady && look.since !== null)
        return [...restarted, { from: wasRestarted ? before : begun, to: look.since }]
      return start === null
        ? restarted
        : [...restarted, { from: start, to: Math.min(look.takenAt, start + STARTING_SECONDS) }]
    }
    const next = looks[index + 1]
    const to = next === undefined ? Infinity : next.isReady ? (next.since ?? next.takenAt) : next.takenAt
    return [...restarted, { from: look.isReady ? begun : (look.since ?? begun), to }]
  })
}

function restartsWithin(own: readonly TimedLook[], span: Span): number {
  const [first, last] = [own[0], own.at(-1)]
  if (first === undefined || last === undefined) return 0
  if (first !== last) return Math.max(0, last.restarts - first.restarts)
  return last.restarts > 0 && (last.startedAt ?? Infinity) > span.from ? last.restarts : 0
}

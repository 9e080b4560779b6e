import { RETAIN_IDLE_SECONDS } from '../collect/page-times.ts'
import { toTime } from '../collect/windows.ts'
import type { Coverage, Endpoint, Gap, GapReason, Seconds, Window } from '../model.ts'
import { type Facts, workloadKey } from './facts.ts'
import type { PodFacts } from './pods.ts'
import { type PagesOf, seenByPages } from './pages.ts'
import { type ProxyScrapes, lastUntil } from './metrics.ts'
import { compareText } from '../text-order.ts'

/** A gap of one pod. Stretches of up to three scrape intervals are not listed. */
type Stretch = { readonly from: Seconds; readonly to: Seconds; readonly reason: GapReason }

/** What was seen of one meshed pod in a window. */
export type PodCoverage = {
  readonly expectedSeconds: Seconds
  readonly observedSeconds: Seconds
  /** At least one successful scrape in the window, or a page that was read by the pod's name. */
  readonly scraped: boolean
  /** At least one successful scrape in the window by Prometheus. */
  readonly isInPrometheus: boolean
  readonly gaps: readonly Stretch[]
  /**
   * Its counters were read up to its end in the window, and no process was lost unread: whatever its proxy counted is known, even across a
   * time without scrapes, since counters keep.
   */
  readonly isReadToItsEnd: boolean
}

/** How many scrape intervals a stretch may be long before it is a gap. */
const GAP_INTERVALS = 3

/** Where a pod was only read by its name: a process begins some seconds after its container, which is no gap. */
const PAGE_INTERVAL: Seconds = 10

/** Whether each pod was seen, for one window `(start, end]`. */
export type CoverageInput = {
  readonly start: Seconds
  readonly end: Seconds
  readonly facts: Facts
  /** The scrapes of what answered at an address. */
  readonly scrapesAt: (address: string) => readonly ProxyScrapes[]
  /** The pages that were read of a pod by its name. */
  readonly pagesOf: PagesOf
  /** False: there is no Prometheus, and proxies are all that was to be read. */
  readonly hasPrometheus: boolean
  /** When another pod was given a pod's address: what answers there since is not that pod. */
  readonly reusedAt: ReadonlyMap<PodFacts, Seconds>
  /** When Prometheus scraped any proxy, with success or not, oldest first. */
  readonly anyScrape: readonly Seconds[]
  /** Seconds between two scrapes, where a pod's own are too few to tell. */
  readonly interval: Seconds
  /** False: Prometheus could not be asked. */
  readonly readable: boolean
}

/** The coverage of one meshed pod. */
export function podCoverage(
  pod: PodFacts,
  { start, end, scrapesAt, pagesOf, hasPrometheus, reusedAt, anyScrape, interval, readable }: CoverageInput,
): PodCoverage {
  const own = pod.addresses.flatMap(scrapesAt)
  const read = pagesOf(pod)
  const pages = read?.pages ?? []
  const ownInterval =
    Math.max(0, ...own.map((one) => one.interval)) || interval || (pages.length > 0 ? PAGE_INTERVAL : 0)
  const from = Math.max(start, pod.life.from)
  const until = reusedAt.get(pod) ?? Infinity
  const inLife = (times: readonly Seconds[]) =>
    times.filter((time) => time >= pod.life.from - ownInterval && time < until)
  const scraped = inLife(own.flatMap((one) => one.times)).sort((a, b) => a - b)
  const times = [...scraped, ...inLife(pages.map(({ time }) => time))].sort((a, b) => a - b)
  const failed = inLife(own.flatMap((one) => one.failed))
  const last = lastUntil(times, end)
  const known =
    pod.life.to ??
    reusedAt.get(pod) ??
    (pod.isGone && last !== undefined ? vanishedAt([...times, ...failed], ownInterval, { end, anyScrape }) : null)
  const to = Math.max(from, Math.min(end, known ?? end))
  const between = scraped.slice(1).flatMap((time, index) => {
    const before = scraped[index] ?? time
    return time - before <= 2 * ownInterval ? [{ from: before, to: time }] : []
  })
  const observed = united([...between, ...(read === undefined ? [] : seenByPages(read))], from, to)
  const [first] = times
  const processStarts = [...own.flatMap((one) => one.processStarts), ...pages.map(({ processStart }) => processStart)]
  // A proxy's counters begin with its process, so its first scrape tells all since, unless Linkerd evicted an idle series before it.
  const isBegun =
    first !== undefined &&
    first - pod.life.from <= RETAIN_IDLE_SECONDS &&
    !processStarts.some((started) => started > pod.life.from + ownInterval && started <= first)
  const observedSeconds = observed.reduce((sum, piece) => sum + piece.to - piece.from, 0)
  const reasonOf = (stretch: { from: Seconds; to: Seconds }): GapReason => {
    if (!readable) return 'source-unreadable'
    if (!hasPrometheus) return pages.length > 0 ? 'read-too-rarely' : 'source-unreadable'
    const within = (time: Seconds) => time > stretch.from && time < stretch.to
    if (failed.some(within)) return pod.defaultPolicy === 'deny' ? 'scrape-refused' : 'scrape-failed'
    // Other pods were scraped a little before and after this one, so the edges of a stretch say nothing.
    const edge = Math.min(ownInterval, (stretch.to - stretch.from) / 4)
    const amid = (time: Seconds) => time > stretch.from + edge && time < stretch.to - edge
    if (!anyScrape.some(amid)) return 'prometheus-down'
    return known !== null && stretch.to >= to ? 'ended-unscraped' : 'not-a-target'
  }
  const gaps = missing(observed, from, to)
    // A pod that was never scraped is a gap, however short it lived.
    .filter(
      (stretch) =>
        times.length === 0 ||
        (stretch.to - stretch.from > GAP_INTERVALS * ownInterval && !(isBegun && stretch.to <= first)),
    )
    .map((stretch) => ({ ...stretch, reason: reasonOf(stretch) }))
  const lostUnread = processStarts.some(
    (started) =>
      started > from &&
      started <= Math.min(end, until) &&
      started - (lastUntil(times, started) ?? pod.life.from) > 2 * ownInterval,
  )
  // Whoever else reads the page meanwhile makes Linkerd drop what is idle.
  const isKept = gaps.every((gap) => gap.to - gap.from < RETAIN_IDLE_SECONDS)
  return {
    expectedSeconds: to - from,
    observedSeconds,
    scraped: times.some((time) => time > start && time <= end),
    isInPrometheus: scraped.some((time) => time > start && time <= end),
    gaps,
    isReadToItsEnd:
      readable &&
      !lostUnread &&
      isKept &&
      last !== undefined &&
      last > start &&
      to - last <= GAP_INTERVALS * ownInterval,
  }
}

/**
 * When a pod that no later list holds ended: soon after Prometheus last tried it, as its target went away with it. Null where nobody was scraped
 * since, for then it may have lived on.
 */
function vanishedAt(
  tries: readonly Seconds[],
  ownInterval: Seconds,
  { end, anyScrape }: Pick<CoverageInput, 'end' | 'anyScrape'>,
): Seconds | null {
  const ended = Math.max(...tries.filter((time) => time <= end)) + ownInterval
  return anyScrape.some((time) => time > ended && time <= end) ? ended : null
}

/** When an address of a pod went to another pod; only pods of whose addresses one did. */
export function reusedAddresses(pods: readonly PodFacts[]): Map<PodFacts, Seconds> {
  const owners = Map.groupBy(
    pods.flatMap((pod) => pod.addresses.map((address) => ({ address, pod }))),
    ({ address }) => address,
  )
  const reused = new Map<PodFacts, Seconds>()
  for (const shared of owners.values())
    for (const { pod } of shared)
      for (const { pod: next } of shared)
        if (next.life.from > pod.life.from) reused.set(pod, Math.min(reused.get(pod) ?? Infinity, next.life.from))
  return reused
}

/** The coverage of every workload with meshed pods, and of pods that only Prometheus knows, sorted by workload. */
export function coverageOf(
  cluster: string,
  window: Window,
  input: CoverageInput,
  byPod: ReadonlyMap<PodFacts, PodCoverage>,
  unlisted: readonly { readonly workload: Endpoint; readonly scrapes: ProxyScrapes }[],
): Coverage[] {
  const listed = [...input.facts.podsOf.values()].flatMap((pods): Coverage[] => {
    const [first] = pods
    const meshed = pods.filter((pod) => byPod.has(pod))
    if (first === undefined || meshed.length === 0) return []
    const covered = meshed.flatMap((pod) => byPod.get(pod) ?? [])
    return [row(cluster, window, first.workload, pods.length, covered)]
  })
  const others = [...Map.groupBy(unlisted, ({ workload }) => workloadKey(workload)).values()].flatMap(
    (pods): Coverage[] => {
      const [first] = pods
      if (first === undefined) return []
      // Nobody says how long such a pod lived: its first and last scrape are all that is known.
      const covered = pods.map(({ scrapes }): PodCoverage => {
        const times = scrapes.times.filter((time) => time > input.start && time <= input.end)
        const seconds = (times.at(-1) ?? 0) - (times[0] ?? 0)
        return {
          expectedSeconds: seconds,
          observedSeconds: seconds,
          scraped: times.length > 0,
          isInPrometheus: times.length > 0,
          gaps: [],
          isReadToItsEnd: false,
        }
      })
      return [row(cluster, window, first.workload, pods.length, covered)]
    },
  )
  const merged = Map.groupBy([...listed, ...others], ({ workload }) => workloadKey(workload))
  return [...merged.entries()].sort(([a], [b]) => compareText(a, b)).flatMap(([, rows]) => joinRows(rows))
}

function row(
  cluster: string,
  window: Window,
  workload: Endpoint,
  total: number,
  pods: readonly PodCoverage[],
): Coverage {
  const expectedSeconds = seconds(pods.map((pod) => pod.expectedSeconds))
  const observedSeconds = seconds(pods.map((pod) => pod.observedSeconds))
  return {
    cluster,
    window,
    workload,
    expectedSeconds,
    observedSeconds,
    ratio: ratioOf(observedSeconds, expectedSeconds),
    pods: { total, meshed: pods.length, scraped: pods.filter(({ scraped }) => scraped).length },
    gaps: joinGaps(pods.flatMap(({ gaps }) => gaps)),
  }
}

function joinRows(rows: readonly Coverage[]): Coverage[] {
  const [first, ...rest] = rows
  if (first === undefined) return []
  const [second] = rest
  if (second === undefined) return [first]
  const expectedSeconds = seconds([first.expectedSeconds, second.expectedSeconds])
  const observedSeconds = seconds([first.observedSeconds, second.observedSeconds])
  return [
    {
      ...first,
      expectedSeconds,
      observedSeconds,
      ratio: ratioOf(observedSeconds, expectedSeconds),
      pods: {
        total: first.pods.total + second.pods.total,
        meshed: first.pods.meshed + second.pods.meshed,
        scraped: first.pods.scraped + second.pods.scraped,
      },
    },
  ]
}

/** Sum over sum; null if nothing was expected. */
export function ratioOf(observedSeconds: Seconds, expectedSeconds: Seconds): number | null {
  return expectedSeconds === 0 ? null : Math.round((observedSeconds / expectedSeconds) * 1e6) / 1e6
}

/** Milliseconds are as fine as a scrape's time is. */
function seconds(values: readonly Seconds[]): Seconds {
  return Math.round(values.reduce((sum, value) => sum + value, 0) * 1000) / 1000
}

/** Pods with the same gap make one row. */
function joinGaps(stretches: readonly Stretch[]): Gap[] {
  const rounded = stretches.map(({ reason, from, to }) => ({
    reason,
    from: toTime(Math.floor(from)),
    to: toTime(Math.ceil(to)),
  }))
  return [...Map.groupBy(rounded, (gap) => `${gap.from} ${gap.to} ${gap.reason}`).entries()]
    .sort(([a], [b]) => compareText(a, b))
    .flatMap(([, gaps]) => gaps.slice(0, 1).map(({ reason, from, to }) => ({ reason, pods: gaps.length, from, to })))
}

/** The pieces inside `[from, to]`, in order and without overlap. */
function united(
  pieces: readonly { readonly from: Seconds; readonly to: Seconds }[],
  from: Seconds,
  to: Seconds,
): { from: Seconds; to: Seconds }[] {
  const joined: { from: Seconds; to: Seconds }[] = []
  for (const piece of pieces.toSorted((a, b) => a.from - b.from)) {
    const cut = { from: Math.max(from, piece.from, joined.at(-1)?.to ?? from), to: Math.min(to, piece.to) }
    if (cut.to > cut.from) joined.push(cut)
  }
  return joined
}

/** What of `[from, to]` is in none of the pieces, which are in order. */
function missing(
  pieces: readonly { readonly from: Seconds; readonly to: Seconds }[],
  from: Seconds,
  to: Seconds,
): { from: Seconds; to: Seconds }[] {
  const gaps: { from: Seconds; to: Seconds }[] = []
  let reached = from
  for (const piece of pieces) {
    if (piece.from > reached) gaps.push({ from: reached, to: piece.from })
    reached = Math.max(reached, piece.to)
  }
  if (to > reached) gaps.push({ from: reached, to })
  return gaps
}

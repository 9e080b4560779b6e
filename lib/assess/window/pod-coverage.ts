import { RETAIN_IDLE_SECONDS } from '../../observed/page-times.ts'
import { toTime } from '../../time/windows.ts'
import type { Coverage, Gap, GapReason } from '../../model/window.ts'
import type { Endpoint } from '../../model/path.ts'
import type { Seconds, Window } from '../../model/time.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import type { PodFacts } from '../pods/pods.ts'
import { type PagesOf, seenByPages } from '../counters/page-readings.ts'
import { type ProxyScrapes, lastUntil } from '../counters/counter-movement.ts'
import { compareText } from '../../text/order.ts'

/** A gap of one pod. Stretches of up to three scrape intervals are listed only at the end of its life. */
type Stretch = { readonly from: Seconds; readonly to: Seconds; readonly reason: GapReason; readonly isBrief?: true }

/** Coverage of one meshed pod in a window. */
export type PodCoverage = {
  readonly expectedSeconds: Seconds
  readonly observedSeconds: Seconds
  /** At least one successful scrape in the window, or a page that was read by the pod's name. */
  readonly scraped: boolean
  /** At least one successful scrape in the window by Prometheus. */
  readonly isInPrometheus: boolean
  readonly gaps: readonly Stretch[]
  /**
   * True: its counters were read up to its end in the window, and no process was lost unread. Everything its proxy counted is then known, even across a time
   * without scrapes, since counters persist.
   */
  readonly isReadToItsEnd: boolean
}

/** Number of scrape intervals above which a stretch is a gap. */
const GAP_INTERVALS = 3

/** Interval for a pod that was only read by name: its process starts some seconds after its container, which is no gap. */
const PAGE_INTERVAL: Seconds = 10

/** Input for the coverage of one window `(start, end]`. */
export type CoverageInput = {
  readonly start: Seconds
  readonly end: Seconds
  readonly facts: Facts
  /** Scrapes of the targets at an address. */
  readonly scrapesAt: (address: string) => readonly ProxyScrapes[]
  /** Scrapes of targets with a pod's name, at an address of no listed pod. */
  readonly scrapesNamed: (namespace: string, pod: string) => readonly ProxyScrapes[]
  /** Pages that were read of a pod by name. */
  readonly pagesOf: PagesOf
  /** False: there is no Prometheus, so only proxy pages were to be read. */
  readonly hasPrometheus: boolean
  /** When a pod's address was given to another pod: later answers there are not from the first pod. */
  readonly reusedAt: ReadonlyMap<PodFacts, Seconds>
  /** When Prometheus scraped any proxy, successfully or not, oldest first. */
  readonly anyScrape: readonly Seconds[]
  /** Seconds between two scrapes, used if a pod has too few scrapes of its own. */
  readonly interval: Seconds
  /** False: Prometheus could not be queried. */
  readonly readable: boolean
}

/** Returns the coverage of one meshed pod. */
export function podCoverage(
  pod: PodFacts,
  {
    start,
    end,
    scrapesAt,
    scrapesNamed,
    pagesOf,
    hasPrometheus,
    reusedAt,
    anyScrape,
    interval,
    readable,
  }: CoverageInput,
): PodCoverage {
  const own = pod.unlisted === undefined ? pod.addresses.flatMap(scrapesAt) : scrapesNamed(pod.namespace, pod.name)
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
    endOfUnlisted(pod, {
      times,
      failed,
      vanished: vanishedAt([...times, ...failed], ownInterval, { end, anyScrape }),
    }) ??
    pod.life.to ??
    reusedAt.get(pod) ??
    (pod.isGone && last !== undefined ? vanishedAt([...times, ...failed], ownInterval, { end, anyScrape }) : null)
  const to = Math.max(from, Math.min(end, known ?? end))
  const between = scraped.slice(1).flatMap((time, index) => {
    const before = scraped[index] ?? time
    return time - before <= 2 * ownInterval ? [{ from: before, to: time }] : []
  })
  const [first] = times
  const processStarts = [...own.flatMap((one) => one.processStarts), ...pages.map(({ processStart }) => processStart)]
  // A proxy's counters begin with its process, so its first scrape covers all earlier traffic (decision 0005), unless Linkerd evicted an idle series before
  // it.
  const isBegun =
    first !== undefined &&
    first - pod.life.from <= RETAIN_IDLE_SECONDS &&
    !processStarts.some((started) => started > pod.life.from + ownInterval && started <= first)
  const sinceItsStart = isBegun ? [{ from: pod.life.from, to: first }] : []
  const observed = united([...sinceItsStart, ...between, ...(read === undefined ? [] : seenByPages(read))], from, to)
  const observedSeconds = observed.reduce((sum, piece) => sum + piece.to - piece.from, 0)
  const reasonOf = (stretch: { from: Seconds; to: Seconds }): GapReason => {
    if (!readable) return 'source-unreadable'
    if (!hasPrometheus) return pages.length > 0 ? 'read-too-rarely' : 'source-unreadable'
    const within = (time: Seconds) => time > stretch.from && time < stretch.to
    if (failed.some(within)) return pod.defaultPolicy === 'deny' ? 'scrape-refused' : 'scrape-failed'
    // Other pods are scraped a little before or after this one, so the edges of a stretch prove nothing.
    const edge = Math.min(ownInterval, (stretch.to - stretch.from) / 4)
    const amid = (time: Seconds) => time > stretch.from + edge && time < stretch.to - edge
    if (!anyScrape.some(amid)) return 'prometheus-down'
    return known !== null && stretch.to >= to ? 'ended-unscraped' : 'not-a-target'
  }
  const lastEver = times.at(-1)
  // The counts after a proxy's last scrape are lost when it ends.
  const hasEnded = pod.isGone || known !== null
  const gaps = missing(observed, from, to)
    .flatMap((stretch) => cutAt(stretch, lastEver))
    .flatMap((stretch): Stretch[] => {
      const isLong = stretch.to - stretch.from > GAP_INTERVALS * ownInterval
      if (hasEnded && readable && lastEver !== undefined && stretch.from >= lastEver && stretch.to >= to)
        return [
          { ...stretch, reason: isLong ? reasonOf(stretch) : 'ended-unscraped', ...(isLong ? {} : { isBrief: true }) },
        ]
      // A pod that was never scraped is a gap, however short it lived.
      const isListed = times.length === 0 || (isLong && !(isBegun && stretch.to <= first))
      return isListed ? [{ ...stretch, reason: reasonOf(stretch) }] : []
    })
  const lostUnread = processStarts.some(
    (started) =>
      started > from &&
      started <= Math.min(end, until) &&
      started - (lastUntil(times, started) ?? pod.life.from) > 2 * ownInterval,
  )
  // Any other reader of the page makes Linkerd evict idle series.
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

/** Returns when a pod that only cAdvisor showed ended. cAdvisor is precise to half a minute; the first failed scrape or the last attempt is more precise. */
function endOfUnlisted(
  { unlisted, life }: PodFacts,
  {
    times,
    failed,
    vanished,
  }: { readonly times: readonly Seconds[]; readonly failed: readonly Seconds[]; readonly vanished: Seconds | null },
): Seconds | null {
  const last = times.at(-1)
  if (unlisted === undefined || life.to === null || last === undefined) return null
  return Math.max(last, Math.min(life.to, vanished ?? Infinity, ...failed.filter((time) => time > last)))
}

/** Splits a stretch in two at a moment inside it. */
function cutAt<S extends { readonly from: Seconds; readonly to: Seconds }>(
  stretch: S,
  at: Seconds | undefined,
): { from: Seconds; to: Seconds }[] {
  return at === undefined || at <= stretch.from || at >= stretch.to
    ? [stretch]
    : [
        { from: stretch.from, to: at },
        { from: at, to: stretch.to },
      ]
}

/**
 * Returns when a pod that is in no later list ended: one interval after Prometheus last tried to scrape it, as its target disappears with it. Null if nothing
 * was scraped since, because it may have lived on.
 */
export function vanishedAt(
  tries: readonly Seconds[],
  ownInterval: Seconds,
  { end, anyScrape }: Pick<CoverageInput, 'end' | 'anyScrape'>,
): Seconds | null {
  const ended = Math.max(...tries.filter((time) => time <= end)) + ownInterval
  return anyScrape.some((time) => time > ended && time <= end) ? ended : null
}

/** Returns when an address of a pod was given to another pod; contains only such pods. */
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

/** Returns the coverage of every workload with meshed pods, and of pods that only Prometheus knows, sorted by workload. */
export function coverageOf(
  cluster: string,
  window: Window,
  input: CoverageInput,
  byPod: ReadonlyMap<PodFacts, PodCoverage>,
  unlisted: readonly { readonly workload: Endpoint; readonly scrapes: ProxyScrapes }[],
): Coverage[] {
  const listed = [...input.facts.podsOf.values()].flatMap((pods): Coverage[] => {
    const [first] = pods
    const covered = pods.flatMap((pod) => byPod.get(pod) ?? [])
    if (first === undefined || covered.length === 0) return []
    const others = pods.filter((pod) => !byPod.has(pod)).map((pod) => unseen(pod.life, 'no-proxy', input))
    return [row(cluster, window, first.workload, pods.length, { meshed: covered, others })]
  })
  const unknown = input.facts.unknownPods.map((pod) =>
    row(cluster, window, pod.workload, 1, { meshed: [], others: [unseen(pod, 'pod-unknown', input)] }),
  )
  const others = [...Map.groupBy(unlisted, ({ workload }) => workloadKey(workload)).values()].flatMap(
    (pods): Coverage[] => {
      const [first] = pods
      if (first === undefined) return []
      // Only the first and last scrape of such a pod are known, not its life.
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
      return [row(cluster, window, first.workload, pods.length, { meshed: covered, others: [] })]
    },
  )
  const merged = Map.groupBy([...listed, ...unknown, ...others], ({ workload }) => workloadKey(workload))
  return [...merged.entries()].sort(([a], [b]) => compareText(a, b)).flatMap(([, rows]) => joinRows(rows))
}

/**
 * Coverage where a query for metrics was not answered: what that would have shown is unknown of every workload, so that nothing of the window counts as observed.
 */
export function unanswered(coverage: readonly Coverage[]): Coverage[] {
  return coverage.map((one) => {
    const { start: from, end: to } = one.window
    const gap = { reason: 'source-unreadable', pods: one.pods.total, from, to } as const
    const unmeshed = one.gaps.filter(({ reason }) => reason === 'no-proxy')
    return { ...one, observedSeconds: 0, ratio: ratioOf(0, one.expectedSeconds), gaps: [...unmeshed, gap] }
  })
}

/** Unobserved time of a pod that has no proxy or is unknown. */
type Unseen = { readonly expectedSeconds: Seconds; readonly gaps: readonly Stretch[] }

function unseen(
  life: { readonly from: Seconds; readonly to: Seconds | null },
  reason: GapReason,
  { start, end }: Pick<CoverageInput, 'start' | 'end'>,
): Unseen {
  const from = Math.max(start, life.from)
  const to = Math.max(from, Math.min(end, life.to ?? end))
  return { expectedSeconds: to - from, gaps: to > from ? [{ from, to, reason }] : [] }
}

function row(
  cluster: string,
  window: Window,
  workload: Endpoint,
  total: number,
  { meshed, others }: { readonly meshed: readonly PodCoverage[]; readonly others: readonly Unseen[] },
): Coverage {
  const expectedSeconds = seconds([...meshed, ...others].map((pod) => pod.expectedSeconds))
  const observedSeconds = seconds(meshed.map((pod) => pod.observedSeconds))
  return {
    cluster,
    window,
    workload,
    expectedSeconds,
    observedSeconds,
    ratio: ratioOf(observedSeconds, expectedSeconds),
    pods: { total, meshed: meshed.length, scraped: meshed.filter(({ scraped }) => scraped).length },
    gaps: joinGaps([...meshed, ...others].flatMap(({ gaps }) => gaps)),
  }
}

function joinRows(rows: readonly Coverage[]): Coverage[] {
  const [first, ...rest] = rows
  if (first === undefined) return []
  if (rest.length === 0) return [first]
  const sum = (read: (one: Coverage) => number) => rows.reduce((total, one) => total + read(one), 0)
  const expectedSeconds = seconds(rows.map((one) => one.expectedSeconds))
  const observedSeconds = seconds(rows.map((one) => one.observedSeconds))
  return [
    {
      ...first,
      expectedSeconds,
      observedSeconds,
      ratio: ratioOf(observedSeconds, expectedSeconds),
      pods: {
        total: sum(({ pods }) => pods.total),
        meshed: sum(({ pods }) => pods.meshed),
        scraped: sum(({ pods }) => pods.scraped),
      },
      gaps: rows
        .flatMap(({ gaps }) => gaps)
        .toSorted((a, b) => compareText(`${a.from} ${a.to} ${a.reason}`, `${b.from} ${b.to} ${b.reason}`)),
    },
  ]
}

/** Returns observed over expected time; null if nothing was expected. */
export function ratioOf(observedSeconds: Seconds, expectedSeconds: Seconds): number | null {
  return expectedSeconds === 0 ? null : Math.round((observedSeconds / expectedSeconds) * 1e6) / 1e6
}

/** Sums seconds, rounded to milliseconds, the precision of a scrape's time. */
function seconds(values: readonly Seconds[]): Seconds {
  return Math.round(values.reduce((sum, value) => sum + value, 0) * 1000) / 1000
}

/** Joins pods with the same gap into one row. */
function joinGaps(stretches: readonly Stretch[]): Gap[] {
  const rounded = stretches.map(({ from, to, ...gap }) => ({
    ...gap,
    from: toTime(Math.floor(from)),
    to: toTime(Math.ceil(to)),
  }))
  return [...Map.groupBy(rounded, (gap) => `${gap.from} ${gap.to} ${gap.reason} ${gap.isBrief ?? false}`).entries()]
    .sort(([a], [b]) => compareText(a, b))
    .flatMap(([, gaps]) => gaps.slice(0, 1).map((gap) => ({ ...gap, pods: gaps.length })))
}

/** Returns the pieces inside `[from, to]`, sorted and without overlap. */
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

/** Returns the parts of `[from, to]` that are in none of the sorted pieces. */
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

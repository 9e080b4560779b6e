import { partitionPoint } from '../partition-point.ts'
import type { Seconds } from '../model/time.ts'
import { RETAIN_IDLE_SECONDS } from './page-times.ts'

/** One sample of a counter. */
export type Sample = { readonly time: Seconds; readonly value: number }

/** Successful scrapes of one instance (a proxy's admin address), and the starts of its processes. */
export type Scrapes = {
  /** Times of `up` samples with value 1, oldest first, each once. */
  readonly times: readonly Seconds[]
  /** Median seconds between two scrapes; 0 if fewer than two are known and there is no other source. */
  readonly interval: Seconds
  /** Start times of the instance's processes, oldest first; empty if unknown. */
  readonly processStarts: readonly Seconds[]
}

/** Increase of a counter of connections, requests or bytes, at the time of the later sample. */
export type ActivityEvent = {
  readonly time: Seconds
  /** Always more than 0. */
  readonly count: number
  /**
   * `undated`: the counter appeared after a time without scrapes of an older process, so it may be much older than its sample. It counts for unencrypted
   * traffic ("since unknown") but not for encrypted traffic.
   */
  readonly kind: 'grew' | 'restarted' | 'born' | 'undated'
}

/**
 * Derives the increases of a counter, sample by sample. Linkerd's counters start with their first value and are evicted after ten idle minutes, so a
 * difference of two values, as in `increase()`, loses the first connection of every series (measured).
 *
 * Linkerd evicts when its metrics page is read, and after it has written the page (linkerd2-proxy, transport-metrics): one scrape may evict a series that
 * reappears with the same value before the next, so that every scrape has it. A client that calls every ten minutes and a few seconds would be lost each
 * time. `open` distinguishes this case from a connection that stays open. If the last use is not known precisely enough, each sample of such a series is
 * `undated`.
 *
 * @param samples oldest first; a sample belongs to exactly one scrape, at the same time
 * @param open samples of `tcp_open_connections` with the same labels; empty for counters without them or never evicted
 * @param until end of the queried samples: later scrapes have no missing samples
 */
export function activity(
  samples: readonly Sample[],
  scrapes: Scrapes,
  open: readonly Sample[] = [],
  until: Seconds = Infinity,
): ActivityEvent[] {
  const events: ActivityEvent[] = []
  const openAt = new Map(open.map(({ time, value }) => [time, value]))
  let previous: Sample | undefined
  let idle: Idle | undefined
  for (const sample of samples) {
    const { time, value } = sample
    const lastScrape = lastBefore(scrapes.times, time)
    let event: ActivityEvent | undefined
    let inDoubt = false
    if (previous !== undefined && !(lastScrape !== undefined && lastScrape > previous.time)) {
      // Every successful scrape in between had the series: it continued, its process restarted, or it was evicted.
      const grown = value - previous.value
      const opened = (openAt.get(time) ?? 0) - (openAt.get(previous.time) ?? Infinity)
      const eviction = evictionBetween(previous.time, time, idle, scrapes.interval)
      if (grown < 0 || startedWithin(scrapes, previous.time, time)) event = { time, count: value, kind: 'restarted' }
      // More connections were opened than the counter shows, so it restarted.
      else if (opened > grown || eviction === 'certain') event = { time, count: value, kind: 'born' }
      else if (grown > 0) event = { time, count: grown, kind: 'grew' }
      else if (eviction === 'possible' && !endsSoon(samples, previous.time, scrapes, until)) {
        event = { time, count: value, kind: 'undated' }
        inDoubt = true
      }
    } else event = { time, count: value, kind: isDated(time, lastScrape, scrapes) ? 'born' : 'undated' }
    if (event !== undefined && event.count > 0) events.push(event)

    const openNow = openAt.get(time)
    if (openNow === undefined) idle = undefined
    else if (openNow > 0) idle = { after: time, by: Infinity }
    else if (inDoubt) idle = { after: -Infinity, by: time }
    else if (idle === undefined || idle.by === Infinity || event !== undefined)
      idle = { after: Math.max(lastScrape ?? -Infinity, startedBefore(scrapes, time) ?? -Infinity), by: time }
    previous = sample
  }
  return events
}

/**
 * Returns the events in `(start, end]`. Windows tile by sample time, so each event is in exactly one. Only the largest `undated` event is kept, because each
 * one is the whole value at an unknown time.
 */
export function eventsWithin(events: readonly ActivityEvent[], start: Seconds, end: Seconds): ActivityEvent[] {
  const within = events.filter(({ time }) => time > start && time <= end)
  const largest = Math.max(...within.map(({ kind, count }) => (kind === 'undated' ? count : 0)))
  const kept = within.find(({ kind, count }) => kind === 'undated' && count === largest)
  return within.filter((event) => event.kind !== 'undated' || event === kept)
}

/** Last use of a series, in `(after, by]`: minus infinity if unknown, infinity while a connection is open. */
type Idle = { readonly after: Seconds; readonly by: Seconds }

/** Whether a series that exists at both `previous` and `time`, at no lower value, was evicted in between. */
function evictionBetween(
  previous: Seconds,
  time: Seconds,
  idle: Idle | undefined,
  interval: Seconds,
): 'none' | 'possible' | 'certain' {
  if (idle === undefined) return 'none'
  if (idle.after > -Infinity && previous - idle.by >= RETAIN_IDLE_SECONDS) return 'certain'
  // Scrapes jitter, so tolerate a twentieth of an interval. A larger uncertainty (a failed scrape, a process that started between two) may hide an eviction.
  if (previous - idle.after >= RETAIN_IDLE_SECONDS + interval / 20) return 'possible'
  // Another reader, or a scrape that failed late, may have read the page in a time without scrapes.
  return time - previous > 1.5 * interval && time - idle.after > RETAIN_IDLE_SECONDS ? 'possible' : 'none'
}

/**
 * Whether a series ended less than ten minutes after a moment, while its process ran on. Linkerd evicts it only after ten idle minutes, so it was not used or
 * recreated after that moment.
 */
function endsSoon(samples: readonly Sample[], moment: Seconds, scrapes: Scrapes, until: Seconds): boolean {
  const last = Math.min(until, moment + RETAIN_IDLE_SECONDS)
  const soon = scrapes.times.filter((time) => time > moment && time <= last)
  const shown = new Set(samples.map(({ time }) => time))
  const ended = soon.find((time) => !shown.has(time))
  return ended !== undefined && !startedWithin(scrapes, moment, ended)
}

/** Whether a series with its first sample at `time` started after `lastScrape`: that scrape is near, or the process is younger. */
function isDated(time: Seconds, lastScrape: Seconds | undefined, scrapes: Scrapes): boolean {
  if (lastScrape !== undefined && time - lastScrape <= 2 * scrapes.interval) return true
  const started = startedBefore(scrapes, time)
  // Without an earlier scrape, the process must have started just before.
  return (
    started !== undefined && (lastScrape === undefined ? time - started <= 2 * scrapes.interval : started > lastScrape)
  )
}

function startedBefore(scrapes: Scrapes, time: Seconds): Seconds | undefined {
  return scrapes.processStarts.findLast((start) => start <= time)
}

function startedWithin(scrapes: Scrapes, after: Seconds, until: Seconds): boolean {
  return scrapes.processStarts.some((start) => start > after && start <= until)
}

/** Returns the last scrape strictly before `time`. Binary search, because it runs for each sample of each series. */
function lastBefore(times: readonly Seconds[], time: Seconds): Seconds | undefined {
  return times[partitionPoint(times, (scrape) => scrape < time) - 1]
}

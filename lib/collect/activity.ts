import type { Seconds } from '../model.ts'

/** One sample of a counter. */
export type Sample = { readonly time: Seconds; readonly value: number }

/** When one instance (a proxy's admin address) was scraped with success, and which processes it had. */
export type Scrapes = {
  /** The times of `up` samples with value 1, oldest first, each once. */
  readonly times: readonly Seconds[]
  /** Median seconds between two scrapes; 0 where fewer than two are known and nothing else is. */
  readonly interval: Seconds
  /** Start times of the instance's processes, oldest first; empty where not known. */
  readonly processStarts: readonly Seconds[]
}

/** Connections (or requests, or bytes) that a counter says were added, at the time of the later sample. */
export type ActivityEvent = {
  readonly time: Seconds
  /** Always more than 0. */
  readonly count: number
  /**
   * `undated`: the counter appeared after a time without scrapes of an older process, so it may be much older than its
   * sample. For what is not encrypted it counts ("since unknown"), for what is encrypted it does not.
   */
  readonly kind: 'grew' | 'restarted' | 'born' | 'undated'
}

/**
 * Decides what a counter says happened, sample by sample (design: section 3's table; contracts: section 1). Linkerd's counters
 * are born with their value and evicted after ten idle minutes, so a difference of two values, as `increase()` takes it,
 * loses the first connection of every series (measured).
 *
 * @param samples oldest first; a sample belongs to exactly one scrape, at the same time
 */
export function activity(samples: readonly Sample[], scrapes: Scrapes): ActivityEvent[] {
  const events: ActivityEvent[] = []
  let previous: Sample | undefined
  for (const sample of samples) {
    const lastScrape = lastBefore(scrapes.times, sample.time)
    if (previous !== undefined && !(lastScrape !== undefined && lastScrape > previous.time)) {
      // No successful scrape in between lacked the series: it continued, or its process was restarted.
      const restarted = sample.value < previous.value || startedWithin(scrapes, previous.time, sample.time)
      const count = restarted ? sample.value : sample.value - previous.value
      if (count > 0) events.push({ time: sample.time, count, kind: restarted ? 'restarted' : 'grew' })
    } else if (sample.value > 0) {
      events.push({
        time: sample.time,
        count: sample.value,
        kind: isDated(sample.time, lastScrape, scrapes) ? 'born' : 'undated',
      })
    }
    previous = sample
  }
  return events
}

/** The events in `(start, end]`: windows tile by sample time, so each event is in exactly one. */
export function eventsWithin(events: readonly ActivityEvent[], start: Seconds, end: Seconds): ActivityEvent[] {
  return events.filter(({ time }) => time > start && time <= end)
}

/** Whether a series that begins at `time` began after `lastScrape`: that scrape is near, or the process is younger than it. */
function isDated(time: Seconds, lastScrape: Seconds | undefined, scrapes: Scrapes): boolean {
  if (lastScrape !== undefined && time - lastScrape <= 2 * scrapes.interval) return true
  const started = scrapes.processStarts.findLast((start) => start <= time)
  // Without any scrape before, the process must have begun within the reach of "just before".
  return (
    started !== undefined && (lastScrape === undefined ? time - started <= 2 * scrapes.interval : started > lastScrape)
  )
}

function startedWithin(scrapes: Scrapes, after: Seconds, until: Seconds): boolean {
  return scrapes.processStarts.some((start) => start > after && start <= until)
}

/** The last scrape strictly before `time`, by binary search: each series of an instance asks for each of its samples. */
function lastBefore(times: readonly Seconds[], time: Seconds): Seconds | undefined {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] ?? Infinity) < time) low = middle + 1
    else high = middle
  }
  return low === 0 ? undefined : times[low - 1]
}

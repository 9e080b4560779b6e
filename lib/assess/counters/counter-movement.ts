import { type ActivityEvent, type Sample, type Scrapes, activity, eventsWithin } from '../../observed/activity.ts'
import type { Series } from '../../observed/answers.ts'
import type { QueryName } from '../../observed/prometheus-queries.ts'
import type { Seconds } from '../../model/time.ts'
import { isMoment } from '../../time/windows.ts'
import { labelOf, seriesKey } from './labels.ts'

/** Answers of one window by query name. They are parsed on demand and not kept, because an answer may be large. Empty if there is none. Throws AnswerError. */
export type Answers = (name: QueryName) => readonly Series[]

/** Scrapes of one proxy around a window. */
export type ProxyScrapes = Scrapes & {
  /** Times of `up` samples with value 0. */
  readonly failed: readonly Seconds[]
}

/** Movement of a counter in a window. */
export type Moved = {
  /** Increase that surely happened after the previous scrape. */
  readonly count: number
  /** First value: added at an unknown time, in the window or before it. */
  readonly undated: number
  /** Time of the sample with `undated`; null if there is none. */
  readonly undatedAt: Seconds | null
  /** Increase in the look-back, as far as its time is known. */
  readonly recent: number
  /** It surely moved before the window, within one window's length. */
  readonly justBefore: boolean
  /** The counter was above 0 at some sample, in the window or in the look-back. */
  readonly ever: boolean
  /** Time of its last sample up to the window's end; later increases are not counted. Null if there is none. */
  readonly lastAt: Seconds | null
}

/** Joins the slices of one query: each series once, with its samples oldest first and without duplicates. */
export function joinSlices(series: readonly Series[]): Series[] {
  const slices = Map.groupBy(series, ({ labels }) => `${labelOf(labels, '__name__')}${seriesKey(labels)}`)
  return [...slices.values()].flatMap((parts) => {
    const [first, second] = parts
    // Most windows have one slice.
    if (first === undefined || second === undefined) return first ?? []
    const samples = new Map(parts.flatMap((part) => part.samples.map((sample) => [sample.time, sample] as const)))
    return [{ labels: first.labels, samples: [...samples.values()].sort((a, b) => a.time - b.time) }]
  })
}

/** Returns the scrapes of each proxy, by scraped address. */
export function scrapesOf(answers: Answers): Map<string, ProxyScrapes> {
  const processStarts = Map.groupBy(joinSlices(answers('process-starts')), ({ labels }) => labelOf(labels, 'instance'))
  const targets = Map.groupBy(joinSlices(answers('scrapes')), ({ labels }) => labelOf(labels, 'instance'))
  const all = [...targets].map(([instance, series]) => {
    const times = new Set<Seconds>()
    const failed = new Set<Seconds>()
    for (const { samples } of series) for (const { time, value } of samples) (value === 1 ? times : failed).add(time)
    // A target of two jobs has the longer interval, in case the other job fails.
    const own = Math.max(
      ...series
        .filter(({ samples }) => samples.length > 2)
        .map(({ samples }) => median(differences(samples.map(({ time }) => time)))),
    )
    return {
      instance,
      own,
      times: ordered(times),
      failed: ordered(failed),
      every: ordered(new Set([...times, ...failed])),
    }
  })
  const usual = median(all.flatMap(({ every }) => differences(every)))
  return new Map(
    all.map(({ instance, own, times, failed, every }) => {
      // A target with one scrape has no interval of its own, but Prometheus scrapes a job's targets equally often.
      const interval = own > 0 ? own : every.length > 2 ? median(differences(every)) : usual
      const stated = processStarts.get(instance) ?? []
      const starts = new Set(stated.flatMap(({ samples }) => startsOf(samples, interval)))
      return [instance, { times, failed, processStarts: ordered(starts), interval }]
    }),
  )
}

/**
 * Returns when the processes of one target started, from their reported start times, oldest first. A node's clock may be wrong: a start cannot be after a
 * scrape of its own process or before a scrape of the previous one. Then it was between those two scrapes, or is unknown.
 */
function startsOf(stated: readonly Sample[], interval: Seconds): Seconds[] {
  // An impossible time says nothing about a process's start.
  const known = stated.filter(({ value }) => isMoment(value))
  return known.flatMap(({ time, value }, index) => {
    const previous = known[index - 1]
    if (previous?.value === value) return []
    const after = previous?.time ?? -Infinity
    if (value > after && value <= time + ROUNDING) return [Math.min(value, time)]
    if (previous === undefined) return []
    // After a longer time without scrapes, take the latest possible start, because the previous process may have counted until then.
    return [time - after > 2 * interval ? time : after + MOMENT]
  })
}

/** Start times are reported in whole seconds. */
const ROUNDING: Seconds = 1

/** Less than the time between two scrapes. */
const MOMENT: Seconds = 0.001

/** Properties of a counter: the gauge of open connections with the same labels, if any, and whether Linkerd never evicts it. */
export type CounterKind = { readonly open?: readonly Sample[]; readonly isKept?: boolean }

/** Returns how a counter moved in `(start, end]` and in the look-back before it. */
export function movedWithin(
  samples: readonly Sample[],
  scrapes: Scrapes,
  { start, end }: { readonly start: Seconds; readonly end: Seconds },
  { open = [], isKept = false }: CounterKind = {},
): Moved {
  const [first] = scrapes.times
  const all = activity(samples, scrapes, open, end).map((event) =>
    // A counter that is never evicted was 0 at any scrape without it, or its process started later.
    isKept && event.kind === 'undated' && first !== undefined && first < event.time
      ? { ...event, kind: 'born' as const }
      : event,
  )
  const within = eventsWithin(all, start, end)
  const undated = within.find(({ kind }) => kind === 'undated')
  const before = all.filter(({ time }) => time <= start)
  const sum = (events: readonly ActivityEvent[]) =>
    events.reduce((total, { kind, count }) => (kind === 'undated' ? total : total + count), 0)
  return {
    count: sum(within),
    undated: undated?.count ?? 0,
    undatedAt: undated?.time ?? null,
    recent: sum(before),
    justBefore: before.some(({ time, kind }) => kind !== 'undated' && time > 2 * start - end),
    ever: samples.some(({ value }) => value > 0),
    lastAt: samples.findLast(({ time }) => time <= end)?.time ?? null,
  }
}

/** Sums the movements of several counters of one subject. */
export function addMoved(all: readonly Moved[]): Moved {
  const sum = (read: (moved: Moved) => number) => all.reduce((total, moved) => total + read(moved), 0)
  const times = all.flatMap(({ undatedAt }) => undatedAt ?? [])
  const last = all.flatMap(({ lastAt }) => lastAt ?? [])
  return {
    count: sum(({ count }) => count),
    undated: sum(({ undated }) => undated),
    undatedAt: times.length === 0 ? null : Math.max(...times),
    recent: sum(({ recent }) => recent),
    justBefore: all.some(({ justBefore }) => justBefore),
    ever: all.some(({ ever }) => ever),
    lastAt: last.length === 0 ? null : Math.max(...last),
  }
}

/** Returns the largest value in `(start, end]`; 0 without a sample. */
export function mostWithin(samples: readonly Sample[], start: Seconds, end: Seconds): number {
  return Math.max(0, ...samples.filter(({ time }) => time > start && time <= end).map(({ value }) => value))
}

/** Returns the last time at or before a moment. */
export function lastUntil(times: readonly Seconds[], moment: Seconds): Seconds | undefined {
  return times.findLast((time) => time <= moment)
}

function differences(times: readonly Seconds[]): Seconds[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? time))
}

function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
}

/** Sorts numbers in ascending order. */
function ordered(values: Iterable<number>): number[] {
  return [...values].sort((a, b) => a - b)
}

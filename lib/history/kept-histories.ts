/**
 * What readers ask for most, kept in memory: what was not encrypted, and which windows were collected. It is read again only for clusters whose state changed, so
 * that the number of clusters costs little.
 */
import type { Activity, Episode, Interval, TimelineMonth } from '../model/history.ts'
import { UNENCRYPTED_STATES } from '../model/path.ts'
import type { Cluster } from '../model/registry.ts'
import { WINDOW_MINUTES } from '../model/time.ts'
import { stateKey } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { toSeconds, toTime } from '../time/windows.ts'
import { type History, readTaggedHistory } from './cluster-state.ts'
import { historyProblem, readOrDamaged } from './history-problem.ts'
import { missingWindows, withMissing } from './missing-windows.ts'
import { NOTHING, monthsOf } from './period.ts'
import { type PackedWindows, WINDOW_BYTES, packWindows, unpackWindows } from './rows/packed-windows.ts'

/** About so many bytes are kept. */
const MAX_BYTES = 64 * 1024 * 1024

/** About how many bytes an interval takes, what one of its windows counted, and an episode. */
const INTERVAL_BYTES = 1500
const ACTIVITY_BYTES = 32
const EPISODE_BYTES = 300

/** What is kept is forgotten after this time without a question. */
const UNUSED_MS = 60 * 60 * 1000

/** The months of a cluster, with intervals of the states `plaintext` and `no-mesh-tls` alone. */
export type UnencryptedHistory = Pick<History, 'months' | 'episodes'>

/** Reads what was not encrypted in a period, as `readPresentOrProblem` reads all. */
export type KeptHistories = {
  /** Returns what is kept if nothing changed, for the cost of reading the state; undefined if it must be read. */
  readonly known: (asked: Asked, objects: Objects) => Promise<UnencryptedHistory | undefined>
  /** Reads it, and keeps it if there is space; or why it cannot be read, in one line. */
  readonly read: (asked: Asked, objects: Objects) => Promise<UnencryptedHistory | string>
}

type Asked = {
  readonly cluster: Cluster
  readonly now: Date
  readonly period: { readonly from: string; readonly to: string }
}

type Kept = { readonly etag: string; readonly history: KeptHistory; readonly bytes: number; usedAt: number }

type KeptHistory = Pick<History, 'since' | 'watermark' | 'episodes'> & { readonly months: readonly KeptMonth[] }

type KeptMonth = Omit<TimelineMonth, 'windows' | 'intervals'> & {
  readonly windows: PackedWindows
  readonly intervals: readonly KeptInterval[]
}

/** An interval, and the counts of each of its windows one after the other: as objects they would be most of what a collection of garbage looks at. */
type KeptInterval = { readonly interval: Omit<Interval, 'activity'>; readonly counts: Float64Array }

/** Starts keeping histories of one store. */
export function keepHistories(maxBytes = MAX_BYTES): KeptHistories {
  const kept = new Map<string, Kept>()
  let bytes = 0

  function forget(id: string): void {
    bytes -= kept.get(id)?.bytes ?? 0
    kept.delete(id)
  }

  return {
    async known({ cluster, now, period }, objects) {
      const known = kept.get(idOf(cluster, period))
      if (known === undefined || (await objects.get(stateKey(cluster.id)))?.etag !== known.etag) return undefined
      known.usedAt = now.getTime()
      return presentOf(cluster, now, unpacked(known.history))
    },
    async read({ cluster, now, period }, objects) {
      const id = idOf(cluster, period)
      const found = await readOrDamaged(async () => ({
        tagged: await readTaggedHistory(cluster.id, objects, monthsOf(period), {
          states: UNENCRYPTED_STATES,
          isWhole: wholeMonthsOf(period),
        }),
      }))
      if (typeof found === 'string') return found
      const { tagged } = found
      const problem = tagged === undefined ? await historyProblem(cluster, objects) : undefined
      if (problem !== undefined) return problem
      const history = unencrypted(tagged?.history ?? NOTHING)
      for (const [other, { usedAt }] of kept) if (now.getTime() - usedAt > UNUSED_MS) forget(other)
      forget(id)
      const own = bytesOf(history)
      // Whoever does not fit is read again: to make space for each in turn would keep none.
      if (tagged !== undefined && tagged.etag !== null && bytes + own <= maxBytes) {
        kept.set(id, { etag: tagged.etag, history: packed(history), bytes: own, usedAt: now.getTime() })
        bytes += own
      }
      return presentOf(cluster, now, history)
    },
  }
}

/** Periods that need the same months, and the same ones as a whole, have the same history. */
function idOf({ id }: Cluster, { from, to }: Asked['period']): string {
  return [id, monthBefore(from), monthAt(from), monthBefore(to), monthAt(to)].join(' ')
}

/** Returns a predicate: whether all windows of a month end in a period. The last one may end in the next month. */
function wholeMonthsOf({ from, to }: Asked['period']): (month: string) => boolean {
  return (month) => monthAt(from) < month && month < monthBefore(to)
}

/** The month in which the longest window that ends at a time begins. */
function monthBefore(time: string): string {
  return monthAt(toTime(toSeconds(time) - 60 * Math.max(...WINDOW_MINUTES)))
}

/** The month of a time, in UTC. */
function monthAt(time: string): string {
  return toTime(toSeconds(time)).slice(0, 7)
}

function presentOf(cluster: Cluster, now: Date, history: History): UnencryptedHistory {
  return withMissing(cluster.id, history, missingWindows(cluster, history, now))
}

/** Episodes that no interval names are left out, too. */
function unencrypted({ months, episodes, since, watermark }: History): History {
  const slim = months.map((month) => ({
    ...month,
    intervals: month.intervals.filter(({ state }) => UNENCRYPTED_STATES.has(state)),
  }))
  const named = new Set(slim.flatMap(({ intervals }) => intervals.flatMap(({ episode }) => episode?.id ?? [])))
  return { months: slim, episodes: episodes.filter(({ id }: Episode) => named.has(id)), since, watermark }
}

function bytesOf({ months, episodes }: History): number {
  return months.reduce(
    (sum, { windows, intervals }) =>
      sum +
      windows.length * WINDOW_BYTES +
      intervals.reduce((all, { activity }) => all + INTERVAL_BYTES + ACTIVITY_BYTES * activity.length, 0),
    EPISODE_BYTES * episodes.length,
  )
}

function packed({ months, ...history }: History): KeptHistory {
  return {
    ...history,
    months: months.map(({ windows, intervals, ...month }) => ({
      ...month,
      windows: packWindows(windows, month.cluster),
      intervals: intervals.map(({ activity, ...interval }) => ({ interval, counts: countsOf(activity) })),
    })),
  }
}

function unpacked({ months, ...history }: KeptHistory): History {
  return {
    ...history,
    months: months.map(({ windows, intervals, ...month }) => ({
      ...month,
      windows: unpackWindows(windows, month.cluster),
      intervals: intervals.map(({ interval, counts }) => ({ ...interval, activity: activityIn(counts) })),
    })),
  }
}

const COUNTS = 4

function countsOf(activity: readonly Activity[]): Float64Array {
  const counts = new Float64Array(COUNTS * activity.length)
  let place = 0
  for (const { opens, openAtScrape, bytes, clearBytes } of activity) {
    counts[place++] = opens
    counts[place++] = openAtScrape
    counts[place++] = bytes
    counts[place++] = clearBytes
  }
  return counts
}

function activityIn(counts: Float64Array): Activity[] {
  return Array.from({ length: counts.length / COUNTS }, (_, index) => ({
    opens: counts[COUNTS * index] ?? 0,
    openAtScrape: counts[COUNTS * index + 1] ?? 0,
    bytes: counts[COUNTS * index + 2] ?? 0,
    clearBytes: counts[COUNTS * index + 3] ?? 0,
  }))
}

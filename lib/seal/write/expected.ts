import { toSeconds, toTime, windowsBetween } from '../../time/windows.ts'
import type { Seconds, Window } from '../../model/time.ts'
import { attemptsPrefix } from '../../store/keys.ts'
import type { WatchedCluster } from '../../store/registry/registry.ts'
import { compareText } from '../../text/order.ts'

/** An expected window of a cluster, and the prefix of its attempts. */
export type Expected = { readonly cluster: string; readonly window: Window; readonly prefix: string }

const DAY = 24 * 60 * 60

/**
 * The windows of clusters that begin at `from` or later (null: from registration) and end at `until` or before, while the cluster was registered, in the order
 * of the keys of evidence; none of a replay. Made day by day: years of many clusters need no memory.
 */
export function* expectedWindows(
  watched: readonly WatchedCluster[],
  from: Seconds | null,
  until: Seconds,
): Generator<Expected> {
  const clusters = watched.filter(({ replay }) => replay === undefined)
  const registered = Math.min(...clusters.map(({ registeredAt }) => toSeconds(registeredAt)))
  // A window that ends at midnight belongs to the day before it.
  const first = Math.max(from ?? registered, registered)
  for (let day = Math.ceil(first / DAY - 1) * DAY; day < until; day += DAY) {
    const ofDay = clusters.flatMap(({ id, registeredAt, removedAt, windows }) => {
      const begin = Math.max(day, toSeconds(registeredAt))
      const end = Math.min(day + DAY, until, removedAt === undefined ? Infinity : toSeconds(removedAt))
      return windowsBetween(windows, begin, end)
        .filter(({ start }) => from === null || start >= toTime(from))
        .map((window) => ({ cluster: id, window, prefix: attemptsPrefix(window, id) }))
    })
    yield* ofDay.sort((a, b) => compareText(a.prefix, b.prefix))
  }
}

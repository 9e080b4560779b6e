import { partitionPoint } from '../../partition-point.ts'
import type { Window } from '../../model/time.ts'
import { compareText } from '../../text/order.ts'
import type { Leaf } from '../leaf.ts'

/** One cluster's time as the leaves account for it. */
export type ClusterAccount = {
  readonly cluster: string
  /** From the start of the first window with a leaf to the end of the last one. */
  readonly from: string
  readonly to: string
  /** Windows with at least one attempt. A leaf does not say what the attempt saw. */
  readonly windows: number
  readonly attempts: number
  /** Windows recorded as gaps without a later attempt, by reason. */
  readonly gaps: Readonly<Record<string, number>>
  /** Windows recorded as gaps with a later attempt. */
  readonly filledLater: number
  /** Stretches in between that no leaf covers, oldest first. */
  readonly untold: readonly Window[]
}

type Counts = {
  attempts: number
  readonly attempted: Stretches
  readonly told: Stretches
  /** Starts of windows by reason. */
  readonly gaps: Map<string, string[]>
}

/** Adds up leaves, in any order. */
export function accountOf(): {
  readonly add: (leaf: Leaf) => void
  /** Sorted by cluster id. */
  readonly clusters: () => ClusterAccount[]
} {
  const counts = new Map<string, Counts>()
  const countsOf = (cluster: string): Counts => {
    const known = counts.get(cluster)
    if (known !== undefined) return known
    const fresh: Counts = { attempts: 0, attempted: stretches(), told: stretches(), gaps: new Map() }
    counts.set(cluster, fresh)
    return fresh
  }
  return {
    add: (leaf) => {
      if (leaf.kind === 'snapshot' && leaf.cluster !== undefined && leaf.window !== undefined) {
        const count = countsOf(leaf.cluster)
        count.attempts++
        count.attempted.add(leaf.window)
        count.told.add(leaf.window)
      } else if (leaf.kind === 'gap') {
        const { gaps, told } = countsOf(leaf.cluster)
        const starts = gaps.get(leaf.reason) ?? []
        starts.push(leaf.window.start)
        gaps.set(leaf.reason, starts)
        told.add(leaf.window)
      }
    },
    clusters: () =>
      [...counts].toSorted(([a], [b]) => compareText(a, b)).map(([cluster, count]) => accountOfCluster(cluster, count)),
  }
}

function accountOfCluster(cluster: string, { attempts, attempted, told, gaps }: Counts): ClusterAccount {
  const stretched = told.all()
  const open = [...gaps].map(
    ([reason, starts]) => [reason, starts.filter((start) => !attempted.has(start)).length] as const,
  )
  const recorded = [...gaps.values()].reduce((sum, { length }) => sum + length, 0)
  return {
    cluster,
    from: stretched[0]?.start ?? '',
    to: stretched.at(-1)?.end ?? '',
    windows: attempted.windows(),
    attempts,
    gaps: Object.fromEntries(open.filter(([, number]) => number > 0).toSorted(([a], [b]) => compareText(a, b))),
    filledLater: open.reduce((rest, [, number]) => rest - number, recorded),
    untold: stretched.slice(1).map(({ start }, index) => ({ start: stretched[index]?.end ?? '', end: start })),
  }
}

/** Windows as the stretches of time that they cover together: a year without a gap takes no more space than an hour. */
type Stretches = {
  /** A window that a stretch already covers is not counted again: windows tile time. */
  readonly add: (window: Window) => void
  /** Whether a stretch covers the moment after a time. */
  readonly has: (time: string) => boolean
  readonly windows: () => number
  /** Oldest first. */
  readonly all: () => readonly Window[]
}

function stretches(): Stretches {
  const all: { start: string; end: string }[] = []
  let windows = 0
  /** Number of stretches that begin at a time or before it. */
  const beginBefore = (time: string): number => partitionPoint(all, ({ start }) => start <= time)
  return {
    add: ({ start, end }) => {
      const before = all[beginBefore(start) - 1]
      if (before !== undefined && end <= before.end) return
      windows++
      const at = beginBefore(start) - (before !== undefined && start <= before.end ? 1 : 0)
      const merged = { start: at < beginBefore(start) ? (before?.start ?? start) : start, end }
      let to = at
      for (let next = all[to]; next !== undefined && next.start <= merged.end; next = all[to]) {
        if (next.end > merged.end) merged.end = next.end
        to++
      }
      all.splice(at, to - at, merged)
    },
    has: (time) => {
      const before = all[beginBefore(time) - 1]
      return before !== undefined && time < before.end
    },
    windows: () => windows,
    all: () => all,
  }
}

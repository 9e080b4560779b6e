/** A sample of the windows of a period, for whoever tests completeness by picking some: the same seed picks the same windows, and anybody can pick them again. */
import { hash } from 'node:crypto'
import type { Window } from '../model/time.ts'
import { windowText } from '../store/keys.ts'
import type { WatchedCluster } from '../store/registry/registry.ts'
import { compareText } from '../text/order.ts'
import { expectedOfCluster } from './completeness.ts'
import { isIn, type NumberedLeaf } from './packed-leaves.ts'

/** A window of a cluster, and what the log says of it. */
export type SampledWindow = {
  readonly cluster: string
  readonly window: Window
  /** `neither`: nothing is sealed of it. */
  readonly status: 'attempt' | 'gap' | 'neither'
  /** Attempts first, by number. */
  readonly leaves: readonly { readonly number: number; readonly name: string; readonly sha256: string | null }[]
}

/** What can be picked. */
export type Population = {
  /** By window, then by cluster. */
  readonly windows: readonly SampledWindow[]
  readonly expected: number
  readonly attempts: number
  readonly gaps: number
  readonly neither: number
}

/**
 * Every window of a period that was expected of a cluster while it was registered, and every one of which something is sealed.
 *
 * @param clusters each as often as it was registered
 * @param nameOf what a leaf is found by in the log
 */
export function populationOf(
  clusters: readonly WatchedCluster[],
  period: { readonly from: string; readonly to: string },
  leaves: readonly NumberedLeaf[],
  nameOf: (leaf: NumberedLeaf['leaf']) => string | undefined,
): Population {
  const ids = new Set(clusters.map(({ id }) => id))
  const found = new Map<string, { cluster: string; window: Window; leaves: NumberedLeaf[] }>()
  const entryOf = (cluster: string, window: Window) => {
    const place = `${windowText(window)} ${cluster}`
    const known = found.get(place) ?? { cluster, window, leaves: [] }
    found.set(place, known)
    return known
  }
  for (const cluster of clusters) for (const window of expectedOfCluster(cluster, period)) entryOf(cluster.id, window)
  const expected = found.size
  for (const numbered of leaves) {
    const { leaf } = numbered
    if ((leaf.kind !== 'gap' && leaf.kind !== 'snapshot') || leaf.window === undefined) continue
    if (ids.has(leaf.cluster ?? '') && isIn(leaf.window.end, period))
      entryOf(leaf.cluster ?? '', leaf.window).leaves.push(numbered)
  }
  const windows = [...found]
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([, { cluster, window, leaves: own }]): SampledWindow => {
      const attempts = own.filter(({ leaf }) => leaf.kind === 'snapshot')
      const told = [...attempts, ...own.filter(({ leaf }) => leaf.kind === 'gap')]
      return {
        cluster,
        window,
        status: attempts.length > 0 ? 'attempt' : own.length > 0 ? 'gap' : 'neither',
        leaves: told.map(({ number, leaf }) => ({
          number,
          name: nameOf(leaf) ?? '',
          sha256: 'sha256' in leaf ? leaf.sha256 : null,
        })),
      }
    })
  const count = (status: SampledWindow['status']): number => windows.filter((one) => one.status === status).length
  return { windows, expected, attempts: count('attempt'), gaps: count('gap'), neither: count('neither') }
}

/**
 * Picks so many windows of a population, or all where there are fewer: those whose {@link rankOf} is smallest, in the order of that.
 *
 * @param seed whatever text the auditor says
 */
export function pickWindows(windows: readonly SampledWindow[], count: number, seed: string): SampledWindow[] {
  return windows
    .map((window) => ({ window, rank: rankOf(window, seed) }))
    .toSorted((a, b) => compareText(a.rank, b.rank))
    .slice(0, count)
    .map(({ window }) => window)
}

/** SHA-256 of three lines, in hex: the seed, the cluster, the window as keys of evidence have it. */
function rankOf({ cluster, window }: Pick<SampledWindow, 'cluster' | 'window'>, seed: string): string {
  return hash('sha256', `${seed}\n${cluster}\n${windowText(window)}\n`)
}

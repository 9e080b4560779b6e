import type { Cluster } from '../model/registry.ts'
import type { WindowResult } from '../model/window.ts'
import type { Objects } from '../store/objects/objects.ts'
import { toSeconds, windowOf } from '../time/windows.ts'
import { readLatest, readWindowAt } from './cluster-state.ts'

/**
 * Reads the result of the window that contains a time, or of the latest collected one; or a line that says why there is none. Throws `DamagedError`.
 *
 * @param at RFC 3339; if absent, the latest
 * @param until RFC 3339: windows that end later are ignored; if absent, none are
 */
export async function collectedWindow(
  cluster: Cluster,
  { at, until }: { readonly at?: string | undefined; readonly until?: string },
  objects: Objects,
): Promise<WindowResult | string> {
  const named = `cluster "${cluster.id}"`
  if (at !== undefined) {
    const result = await readWindowAt(cluster.id, toSeconds(at), objects)
    const window = result?.window ?? windowOf(cluster.windows, toSeconds(at))
    if (result === undefined)
      return `Not collected: ${named} has no attempt for the window ${window.start} to ${window.end}; try "ciphertrail collect --cluster ${cluster.id} --at ${at}" while Prometheus still has it`
    return result.collected
      ? result
      : `Not collected: no path of ${named} can be told in the window ${window.start} to ${window.end}: ${result.errors[0] ?? 'nothing was read'}`
  }
  const last = until === undefined ? Infinity : toSeconds(until)
  const isWanted = ({ collected, window }: WindowResult): boolean => collected && toSeconds(window.end) <= last
  const latest = await readLatest(cluster.id, isWanted, objects)
  if (latest !== undefined) return latest
  return `Not collected: no window of ${named} was collected yet; run "ciphertrail collect --cluster ${cluster.id}"`
}

import type { Cluster } from '../model/registry.ts'
import type { WindowResult } from '../model/window.ts'
import type { Objects } from '../store/objects/objects.ts'
import { toSeconds, windowOf } from '../time/windows.ts'
import { readLatest, readWindow, readWindowAt } from './cluster-state.ts'

/** Which window of a cluster is looked for; see {@link collectedWindow}. */
export type WantedWindow = {
  readonly start?: string | null | undefined
  readonly at?: string | undefined
  readonly until?: string
}

/**
 * Reads the result of the window that contains a time, of one that was found before, or of the latest collected one; or a line that says why there is none.
 * Throws `DamagedError`.
 *
 * @param start RFC 3339: the window that begins then; null if there was none
 * @param at RFC 3339; if absent, the latest
 * @param until RFC 3339: windows that end later are ignored; if absent, none are
 */
export async function collectedWindow(
  cluster: Cluster,
  { start, at, until }: WantedWindow,
  objects: Objects,
): Promise<WindowResult | string> {
  const named = `cluster "${cluster.id}"`
  if (start === null) return `Not collected: no window of ${named} was collected when the first page was made`
  if (start !== undefined) {
    const result = await readWindow(cluster.id, start, objects)
    if (result?.collected === true) return result
    return `Not collected: the window of ${named} that begins at ${start} has no result any more`
  }
  if (at !== undefined) {
    const result = await readWindowAt(cluster.id, toSeconds(at), objects)
    const window = result?.window ?? windowOf(cluster.windows, toSeconds(at))
    if (result === undefined)
      return `Not collected: ${named} has no attempt for the window ${window.start} to ${window.end}; ${cluster.replay === undefined ? `try "ciphertrail collect --cluster ${cluster.id} --at ${at}" while Prometheus still has it` : 'it is a replay, which has only the windows of its recording'}`
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

import type { Objects } from '../store/objects/objects.ts'
import {
  windowPrefix,
  timelinePrefix,
  evidencePrefix,
  parseEvidenceKey,
  windowKey,
  coveragePrefix,
  parseCoverageKey,
  parseTimelineKey,
  parseArchiveKey,
  recentKey,
  stateKey,
} from '../store/keys.ts'
import type { Window } from '../model/time.ts'
import { readState } from './cluster-state.ts'

/**
 * Removes results of windows without evidence, months before the first evidence or after the last folded window, and days that the state does not name.
 *
 * @param days keys of archived days from before the state was replaced: a run that wrote one of these for its state starts again
 */
export async function removeOrphans(clusterId: string, days: readonly string[], objects: Objects): Promise<void> {
  // Listed before evidence and state are read, so that objects which other runs derive meanwhile are not in the list.
  const results = await keysUnder(windowPrefix(clusterId), objects)
  const months = [
    ...(await keysUnder(timelinePrefix(clusterId), objects)),
    ...(await keysUnder(coveragePrefix(clusterId), objects)),
  ]
  const windows: Window[] = []
  for await (const key of objects.list(evidencePrefix)) {
    const parsed = parseEvidenceKey(key)
    if (parsed?.cluster === clusterId) windows.push(parsed.window)
  }
  const kept = new Set(windows.map((window) => windowKey(clusterId, window)))
  const first = windows[0]?.start.slice(0, 7) ?? ''
  const { state } = await readState(clusterId, objects)
  const last = state?.months.at(-1)?.month ?? ''
  for (const key of results) if (!kept.has(key)) await objects.remove(key)
  for (const key of months) {
    // Other keys there are from an earlier version.
    const month = (parseTimelineKey(key) ?? parseCoverageKey(key))?.month ?? ''
    if (month < first || month > last) await objects.remove(key)
  }
  const named = new Set(state?.archive?.days.map(({ day }) => day))
  for (const key of days) if (!named.has(parseArchiveKey(key)?.day ?? '')) await objects.remove(key)
  if (windows.length > 0) return
  await objects.remove(recentKey(clusterId))
  await objects.remove(stateKey(clusterId))
}

/** Returns all keys with a prefix, in text order. */
export async function keysUnder(prefix: string, objects: Objects): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys
}

/** A store with months of history that never was: for looking at strips, trends and changes. It says so of itself everywhere, and is not sealed. */
import { mkdirSync, writeFileSync } from 'node:fs'
import type { Snapshot } from '../lib/model/snapshot.ts'
import type { Window } from '../lib/model/time.ts'
import type { WindowResult } from '../lib/model/window.ts'
import { concurrently } from '../lib/concurrently.ts'
import { compactCluster } from '../lib/history/derive.ts'
import { readWindow } from '../lib/history/cluster-state.ts'
import { evidencePrefix } from '../lib/store/keys.ts'
import { sha256Of } from '../lib/store/objects/derived-object.ts'
import { directoryObjects } from '../lib/store/objects/directory.ts'
import { type DirectoryEffects, diskEffects } from '../lib/store/objects/directory-effects.ts'
import type { Objects, StoredObject } from '../lib/store/objects/objects.ts'
import { writeAttempt } from '../lib/store/evidence/evidence.ts'
import { declareWaivers } from '../lib/store/registry/declarations.ts'
import { addCluster, readClusters } from '../lib/store/registry/registry.ts'
import { toSeconds, toTime } from '../lib/time/windows.ts'
import { HOURS, type Recorded, isCollected, storyResult, storyWaivers } from './synthetic-story.ts'

/** The one cluster of the store. */
const SYNTHETIC_CLUSTER = 'synthetic'

const HOUR_SECONDS = 3600

/** So many files are written at once. */
const AT_ONCE = 16

/** Said on top of every page, report and answer that is made of it. */
export const SYNTHETIC_WORDS =
  'SYNTHETIC HISTORY: made by "ciphertrail demo --serve" from two recorded windows, to show what thirteen weeks look like. None of it happened, and none of it is sealed.'

/**
 * Writes a store that nobody else writes to, as fast as files can be made: nothing is lost where one that is made again in seconds does not survive a power
 * cut.
 */
function hastyEffects(): DirectoryEffects {
  const folders = new Set<string>()
  const bodies = new Map<string, Uint8Array>()
  return {
    async makeDirectory(path) {
      if (folders.has(path)) return
      // At once: to wait for each of thousands of small files takes longer than to make it.
      mkdirSync(path, { recursive: true, mode: 0o700 })
      folders.add(path)
    },
    // A file gets its lasting name at once.
    async writeFile(path, body) {
      bodies.set(path, body)
    },
    // What is streamed is not kept in memory.
    writeStream: diskEffects.writeStream,
    async link(from, to) {
      const body = bodies.get(from)
      if (body === undefined) await diskEffects.link(from, to)
      else writeFileSync(to, body, { flag: 'wx', mode: 0o600 })
    },
    async rename(from, to) {
      const body = bodies.get(from)
      if (body === undefined) await diskEffects.rename(from, to)
      else writeFileSync(to, body, { mode: 0o600 })
    },
    async removeFile(path) {
      if (!bodies.delete(path)) await diskEffects.removeFile(path)
    },
    async syncDirectory() {},
  }
}

/** A store in a new folder that nobody else writes to: what was not written here is not there, and evidence is read from memory. */
function ownObjects(folder: string): Objects {
  const objects = directoryObjects(folder, hastyEffects())
  const written = new Set<string>()
  const evidence = new Map<string, StoredObject>()
  return {
    ...objects,
    async get(key) {
      return evidence.get(key) ?? (written.has(key) ? objects.get(key) : undefined)
    },
    async putOnce(key, body) {
      await objects.putOnce(key, body)
      written.add(key)
      if (key.startsWith(evidencePrefix)) evidence.set(key, { body, etag: sha256Of(body), version: null })
    },
    async putIf(key, body, etag) {
      if (etag !== null || written.has(key)) return objects.putIf(key, body, etag)
      // The tag of an object in a directory is its hash.
      await objects.putOnce(key, body)
      written.add(key)
      return sha256Of(body)
    },
    async *list(prefix, startAfter = '') {
      yield* [...written].filter((key) => key.startsWith(prefix) && key > startAfter).sort()
    },
  }
}

/** Whose windows are taken, and what says who did it. */
type SyntheticDeps = {
  /** The store of the demo's replay. */
  readonly recorded: Objects
  readonly version: string
  readonly user: string
}

/**
 * Makes the store in a folder that must not hold one yet, from two windows of the cluster `demo`; the last hour ends with the hour in which `until` lies. Throws
 * where these windows are not in its history.
 *
 * @param windows the recorded ones, oldest first
 */
export async function makeSyntheticHistory(
  folder: string,
  { windows, until }: { readonly windows: readonly Window[]; readonly until: string },
  { recorded, version, user }: SyntheticDeps,
): Promise<Objects> {
  const base = await recordedOf(windows, recorded)
  const objects = ownObjects(folder)
  const last = Math.floor(toSeconds(until) / HOUR_SECONDS) * HOUR_SECONDS
  const first = last - HOURS * HOUR_SECONDS
  const author = { now: new Date(first * 1000), by: user }
  await addCluster({ id: SYNTHETIC_CLUSTER, windowMinutes: 60, replay: SYNTHETIC_WORDS }, author, { objects })
  await declareWaivers(storyWaivers(SYNTHETIC_CLUSTER, toTime(last + 30 * 24 * HOUR_SECONDS)), author, objects)
  const hours = Array.from({ length: HOURS }, (_, hour) => hour).filter(isCollected)
  await concurrently(hours, AT_ONCE, async (hour) => {
    const window = { start: toTime(first + hour * HOUR_SECONDS), end: toTime(first + (hour + 1) * HOUR_SECONDS) }
    await writeAttempt(emptySnapshot(window, version), { objects }, 0)
  })
  const [cluster] = await readClusters({ objects })
  if (cluster === undefined) throw new Error(`Cannot make the synthetic history: the registration was lost`)
  await compactCluster(cluster, {
    objects,
    assess: ({ key, snapshot: { window }, before, after }) =>
      storyResult(base, (toSeconds(window.start) - first) / HOUR_SECONDS, {
        cluster: SYNTHETIC_CLUSTER,
        window,
        inputs: { evidence: key, before: before?.key ?? null, after: after?.key ?? null },
      }),
    now: new Date((last + HOUR_SECONDS) * 1000),
  })
  return objects
}

/** By what the recording tells: in its third window `emojivoto/voting` had no proxy, in its last one it had one again. */
async function recordedOf(windows: readonly Window[], recorded: Objects): Promise<Recorded> {
  const [broken, whole] = await Promise.all(
    [windows[2], windows.at(-1)].map(async (window): Promise<WindowResult | undefined> =>
      window === undefined ? undefined : readWindow('demo', window.start, recorded),
    ),
  )
  if (broken === undefined || whole === undefined)
    throw new Error('Cannot make the synthetic history: wanted the replay of the recorded windows, run the demo first')
  return { broken, whole }
}

/** What an attempt would be kept as; its answers are in the story. */
function emptySnapshot(window: Window, version: string): Snapshot {
  const takenAt = toTime(toSeconds(window.end) + 60)
  return {
    format: 'ciphertrail/snapshot/1',
    cluster: SYNTHETIC_CLUSTER,
    window,
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    collector: { name: 'synthetic', version },
    startedAt: takenAt,
    endedAt: takenAt,
    complete: true,
    metrics: { status: 'complete', errors: [], prometheusTime: takenAt, answers: [] },
    kubernetes: { status: 'complete', errors: [], takenAt, lists: [] },
  }
}

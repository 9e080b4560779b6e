import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { toSeconds, toTime } from '../../time/windows.ts'
import type { Cluster } from '../../model/registry.ts'
import type { Seconds } from '../../model/time.ts'
import { parseJson } from '../../text/parse-json.ts'
import { sealingKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { swap } from '../../store/objects/swap.ts'

/**
 * How far earlier runs have sealed. It only saves listing: nothing counts as sealed because of it, without it everything is listed, and once a day everything
 * is.
 */
export type SealingProgress = {
  /** A run that began at this time was completed: it sealed everything stored before, in windows that could still be collected. */
  readonly sealedAt: Seconds
  /** The same for a run that looked at every window. */
  readonly sweptAt: Seconds
}

const HOUR = 60 * 60
const DAY = 24 * HOUR

/** Longest time without sealing before something must be wrong: the log is sealed each hour, and two runs may fail. */
const MAX_SILENT_SECONDS: Seconds = 3 * HOUR

const progressSchema = z.object({
  format: z.literal('ciphertrail/sealing/1'),
  sealedAt: z.iso.datetime(),
  sweptAt: z.iso.datetime(),
  check: z.string(),
})

/** Reads the progress of earlier runs, and the object's ETag; undefined if it is absent or unreadable. */
export async function readProgress(
  objects: Objects,
): Promise<{ progress: SealingProgress | undefined; etag: string | null }> {
  const stored = await objects.get(sealingKey)
  const parsed = progressSchema.safeParse(stored === undefined ? undefined : parseJson(stored.body))
  const etag = stored?.etag ?? null
  if (stored === undefined || !parsed.success || Buffer.compare(encode(parsed.data), stored.body) !== 0)
    return { progress: undefined, etag }
  return { progress: { sealedAt: toSeconds(parsed.data.sealedAt), sweptAt: toSeconds(parsed.data.sweptAt) }, etag }
}

/** Whether sealing is overdue: the store is not writable, signing fails, or no schedule runs. */
export function isSealBehind(now: Seconds, sealedAt: Seconds): boolean {
  return now - sealedAt > MAX_SILENT_SECONDS
}

/**
 * The first windows that a run has to look at: those that could still be collected when the last run began. Null (all windows) once a day, if nothing is known
 * of earlier runs, and on the first day of a cluster, whose first collection reaches back. So an attempt that comes after its window could be collected is
 * sealed within a day.
 */
export function scopeFrom(
  { progress }: { readonly progress: SealingProgress | undefined },
  { now, retentionSeconds, clusters }: { now: Seconds; retentionSeconds: number; clusters: readonly Cluster[] },
): Seconds | null {
  const isFresh = (time: Seconds) => time <= now && now - time < DAY
  if (progress === undefined || !isFresh(progress.sweptAt)) return null
  if (clusters.some(({ registeredAt }) => isFresh(toSeconds(registeredAt)))) return null
  // A window is at most an hour; another one for differing clocks.
  return Math.floor(Math.min(now, progress.sealedAt)) - retentionSeconds - 2 * HOUR
}

/** Records that a run was completed. A record that a concurrent run wrote is kept. */
export async function writeProgress(
  { progress, etag }: { readonly progress: SealingProgress | undefined; readonly etag: string | null },
  { now, isWhole }: { readonly now: Seconds; readonly isWhole: boolean },
  objects: Objects,
): Promise<void> {
  const body = encode({
    sealedAt: toTime(Math.floor(now)),
    sweptAt: toTime(Math.floor(isWhole ? now : (progress?.sweptAt ?? 0))),
  })
  await swap(sealingKey, body, etag, objects)
}

/** With a hash over both times, so that an accidental change is noticed. */
function encode({ sealedAt, sweptAt }: { readonly sealedAt: string; readonly sweptAt: string }): Uint8Array {
  const check = hash('sha256', `${sealedAt} ${sweptAt}`, 'hex')
  return Buffer.from(canonicalize({ format: 'ciphertrail/sealing/1', sealedAt, sweptAt, check }) ?? '')
}

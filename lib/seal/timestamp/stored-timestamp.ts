/** The time stamp that is stored beside a kept head. */
import { timestampKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { TimestampError } from './timestamp-error.ts'

/** A stored time stamp: its bytes, or why they are none of the head, in words that follow its key. */
export type StoredTimestamp =
  | { readonly key: string; readonly body: Uint8Array }
  | { readonly key: string; readonly problem: string }

/** Reads the time stamp of a head; null if there is none. Whoever may write to the store may have put anything there. */
export async function readTimestamp(
  { size, note }: { readonly size: number; readonly note: Uint8Array },
  objects: Objects,
): Promise<StoredTimestamp | null> {
  const key = timestampKey(size)
  const stored = await objects.get(key)
  if (stored === undefined) return null
  // Loaded on demand: few stores have any.
  const { checkTimestamp } = await import('./check-timestamp.ts')
  try {
    await checkTimestamp(stored.body, note, { authorities: [] })
    return { key, body: stored.body }
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error
    return { key, problem: error.message }
  }
}

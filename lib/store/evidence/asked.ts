/**
 * Windows of a cluster that gave the same answers when queried again, so that they are not queried for ever. Nothing is derived from it: if it is lost, some
 * windows are queried once more.
 */
import * as z from 'zod'
import { toSeconds } from '../../time/windows.ts'
import type { Seconds, Window } from '../../model/time.ts'
import { encodeDerived } from '../objects/derived-object.ts'
import { parseJson } from '../../text/parse-json.ts'
import { requeriedKey, parseWindow, windowText } from '../keys.ts'
import type { Objects } from '../objects/objects.ts'
import { swap } from '../objects/swap.ts'

const askedSchema = z.object({
  format: z.literal('ciphertrail/asked/1'),
  cluster: z.string(),
  /** In the form of keys, oldest first. */
  windows: z.array(z.string()),
})

/** The windows that were queried again, as stored. */
export type RequeriedWindows = {
  /** In the form of keys: {@link windowText}. */
  readonly windows: ReadonlySet<string>
  readonly etag: string | null
}

/** Reads the windows of a cluster that were queried again; none if the object is missing or unreadable. */
export async function readRequeried(cluster: string, objects: Objects): Promise<RequeriedWindows> {
  const stored = await objects.get(requeriedKey(cluster))
  if (stored === undefined) return { windows: new Set(), etag: null }
  const parsed = askedSchema.safeParse(parseJson(stored.body))
  const isOwn = parsed.success && parsed.data.cluster === cluster
  return { windows: new Set(isOwn ? parsed.data.windows : []), etag: stored.etag }
}

/**
 * Records windows as queried again. If a concurrent writer is first, its record is kept, and these windows are queried once more.
 *
 * @param since windows that ended before it are not queried any more, and are dropped
 */
export async function writeRequeried(
  cluster: string,
  { windows, etag }: RequeriedWindows,
  added: readonly Window[],
  since: Seconds,
  objects: Objects,
): Promise<void> {
  const kept = [...new Set([...windows, ...added.map(windowText)])].filter((text) => {
    const window = parseWindow(text)
    return window !== undefined && toSeconds(window.end) >= since
  })
  const body = encodeDerived({ format: 'ciphertrail/asked/1', cluster, windows: kept.sort() })
  await swap(requeriedKey(cluster), body, etag, objects)
}

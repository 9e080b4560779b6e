/**
 * Evidence that killed the process which parsed or assessed it. It is tried {@link MAX_ENDS} times and then set aside: its window is reported as unreadable. A
 * newer version with another derivation tries it again, and so does `ciphertrail rebuild`. Only here do time and memory decide, so the effect is only a delay.
 */
import * as z from 'zod'
import { DERIVATION } from '../../model/window.ts'
import { parseJson } from '../../text/parse-json.ts'
import { encodeDerived } from '../objects/derived-object.ts'
import { parseEvidenceKey, setAsideKey } from '../keys.ts'
import type { Objects } from '../objects/objects.ts'
import { swap } from '../objects/swap.ts'

/** A single crash may be an operator's kill or a machine short of memory. */
export const MAX_ENDS = 2

/** Most entries of a cluster; the oldest windows are dropped first. */
const MAX_KEPT = 1000

const MAX_ROUNDS = 5

const setAsideSchema = z.object({
  format: z.literal('ciphertrail/set-aside/1'),
  cluster: z.string(),
  derivation: z.literal(DERIVATION),
  /** By key of the attempt: how often it killed a process, and how the last time. */
  attempts: z.record(z.string(), z.object({ times: z.int().min(1), why: z.string().max(200) })),
})

type Attempts = z.infer<typeof setAsideSchema>['attempts']

async function readAttempts(
  cluster: string,
  objects: Pick<Objects, 'get'>,
): Promise<{ readonly attempts: Attempts; readonly etag: string | null }> {
  const stored = await objects.get(setAsideKey(cluster))
  if (stored === undefined) return { attempts: {}, etag: null }
  const parsed = setAsideSchema.safeParse(parseJson(stored.body))
  const isOwn = parsed.success && parsed.data.cluster === cluster
  return { attempts: isOwn ? parsed.data.attempts : {}, etag: stored.etag }
}

/** The attempts of a cluster that are set aside, by key, each with its problem in words that follow "Cannot read evidence: ". */
export async function readSetAside(
  cluster: string,
  objects: Pick<Objects, 'get'>,
): Promise<ReadonlyMap<string, string>> {
  const { attempts } = await readAttempts(cluster, objects)
  return new Map(
    Object.entries(attempts)
      .filter(([, { times }]) => times >= MAX_ENDS)
      .map(([key, { times, why }]) => [
        key,
        `it ended the process that read it ${times} times (${why}), so it is left out; a newer version or "ciphertrail rebuild" tries it again`,
      ]),
  )
}

/** Counts that an attempt killed the process that read it. Returns the count. */
export async function countEnd(key: string, why: string, objects: Objects): Promise<number> {
  const cluster = parseEvidenceKey(key)?.cluster
  if (cluster === undefined) throw new RangeError(`Cannot set "${key}" aside: it is no key of evidence`)
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const { attempts, etag } = await readAttempts(cluster, objects)
    const times = (Object.hasOwn(attempts, key) ? (attempts[key]?.times ?? 0) : 0) + 1
    const all = Object.entries({ ...attempts, [key]: { times, why } }).toSorted(([a], [b]) => (a < b ? -1 : 1))
    const body = encodeDerived({
      format: 'ciphertrail/set-aside/1',
      cluster,
      derivation: DERIVATION,
      attempts: Object.fromEntries(all.slice(-MAX_KEPT)),
    })
    if ((await swap(setAsideKey(cluster), body, etag, objects)) !== null) return times
  }
  throw new Error(`Cannot set "${key}" aside: others changed what is known of it ${MAX_ROUNDS} times meanwhile`)
}

/** Clears the set-aside evidence of a cluster, so that all of it is tried again. */
export async function forgetSetAside(cluster: string, objects: Objects): Promise<void> {
  await objects.remove(setAsideKey(cluster))
}

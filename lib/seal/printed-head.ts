import type { PrintedHead } from '../model/period.ts'
import { evidencePrefix } from '../store/keys.ts'
import { checkpointKey, indexKey, indexPrefix, vkeyKey } from '../store/log-keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { toBase64 } from '../text/base64.ts'
import { BatchError, type BatchPlace, decodeBatch, type Entry } from './write/batch.ts'
import { openCheckpoint } from './tlog/checkpoint.ts'
import { nameOf } from './leaf.ts'
import { type Verifier, verifierOf } from './tlog/note.ts'
import { unfinishedAfter } from './write/unfinished.ts'

/**
 * Reads the signed head of the log, and which of these attempts (keys of evidence) it covers; null if nothing was ever sealed. Costs one listing of their
 * windows and a few reads. Throws a `NoteError` if the store's key did not sign the head: such a log proves nothing.
 */
export async function readPrintedHead(evidence: readonly string[], objects: Objects): Promise<PrintedHead | null> {
  const [key, stored] = await Promise.all([objects.get(vkeyKey), objects.get(checkpointKey)])
  if (key === undefined || stored === undefined) return null
  const vkey = Buffer.from(key.body).toString().trimEnd()
  const verifier = verifierOf(vkey)
  const { origin, size, root } = openCheckpoint(stored.body, verifier)
  const sealed = await indexed(evidence, objects)
  for await (const name of unfinished({ size, root }, verifier, objects))
    if (sealed.has(name) && !(await isNumbered(name, size, objects))) sealed.delete(name)
  return {
    origin,
    size,
    root: toBase64(root),
    vkey,
    text: Buffer.from(stored.body).toString(),
    attempts: evidence.length,
    unsealed: evidence.filter((one) => !sealed.has(one)).length,
  }
}

/** The attempts of these windows that have a leaf number in the index. */
async function indexed(evidence: readonly string[], objects: Objects): Promise<Set<string>> {
  const sorted = evidence.toSorted()
  const [first] = sorted
  const last = sorted.at(-1)
  const names = new Set<string>()
  if (first === undefined || last === undefined) return names
  // Sorts before the first key, so that the listing includes it.
  const before = indexKey(first.slice(0, -1))
  for await (const key of objects.list(indexKey(evidencePrefix), before)) {
    const name = key.slice(indexPrefix.length)
    if (name > last) break
    names.add(name)
  }
  return names
}

/** Entries in batches after the head, of a run that crashed or is still running: perhaps indexed already, but not signed yet. */
async function* unfinished(head: BatchPlace, verifier: Verifier, objects: Objects): AsyncGenerator<string> {
  for (let after: Pick<BatchPlace, 'size'> & Partial<BatchPlace> = head; ;) {
    const { claimed, unclaimed } = await unfinishedAfter(after, { objects, verifier })
    const batches = [...unclaimed.map(({ key, body }) => entriesIn(key, body)), ...(claimed ? [claimed.entries] : [])]
    for (const { leaf } of batches.flat()) {
      const name = nameOf(leaf)
      if (name !== undefined) yield name
    }
    const length = batches.at(-1)?.length ?? 0
    if (length === 0) return
    after = { size: after.size + length }
  }
}

/** Whether the leaf number of an object is below this size. */
async function isNumbered(name: string, size: number, objects: Objects): Promise<boolean> {
  const stored = await objects.get(indexKey(name))
  return stored !== undefined && Number(Buffer.from(stored.body).toString()) < size
}

/** Entries of an unclaimed batch. A version without claims may have written it, or anyone else with write access, so it may hold anything. */
function entriesIn(key: string, body: Uint8Array): Entry[] {
  try {
    return decodeBatch(key, body)
  } catch (error) {
    if (error instanceof BatchError) return []
    throw error
  }
}

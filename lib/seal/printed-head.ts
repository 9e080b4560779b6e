import { evidencePrefix } from '../store/keys.ts'
import { batchKey, checkpointKey, indexKey, indexPrefix, vkeyKey } from '../store/log-keys.ts'
import type { Objects } from '../store/objects.ts'
import { toBase64 } from './base64.ts'
import { decodeBatch } from './batch.ts'
import { openCheckpoint } from './checkpoint.ts'
import { nameOf } from './leaf.ts'
import { verifierOf } from './note.ts'

/** The head of the log as a report prints it, so that every reader keeps one. */
export type PrintedHead = {
  readonly origin: string
  /** How many leaves the log had. */
  readonly size: number
  /** Base64. */
  readonly root: string
  /** The public key that checks `text`, as the store names it. */
  readonly vkey: string
  /** The checkpoint as it was signed. */
  readonly text: string
  /** How many attempts were asked about, and how many of them are not among the leaves. */
  readonly attempts: number
  readonly unsealed: number
}

/**
 * Reads the signed head of the log, and which of these attempts (keys of evidence) it covers; null where nothing was ever sealed. Costs one listing of
 * their windows and a few reads. Throws a `NoteError` for a head that the store's key did not sign: nothing may be said of such a log.
 */
export async function readPrintedHead(evidence: readonly string[], objects: Objects): Promise<PrintedHead | null> {
  const [key, stored] = await Promise.all([objects.get(vkeyKey), objects.get(checkpointKey)])
  if (key === undefined || stored === undefined) return null
  const vkey = Buffer.from(key.body).toString().trimEnd()
  const { origin, size, root } = openCheckpoint(stored.body, verifierOf(vkey))
  const sealed = await indexed(evidence, objects)
  for await (const name of unfinished(size, objects)) sealed.delete(name)
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

/** The attempts of these windows that have the number of a leaf. */
async function indexed(evidence: readonly string[], objects: Objects): Promise<Set<string>> {
  const sorted = evidence.toSorted()
  const [first] = sorted
  const last = sorted.at(-1)
  const names = new Set<string>()
  if (first === undefined || last === undefined) return names
  // The text before the first key, so that it is in the list itself.
  const before = indexKey(first.slice(0, -1))
  for await (const key of objects.list(indexKey(evidencePrefix), before)) {
    const name = key.slice(indexPrefix.length)
    if (name > last) break
    names.add(name)
  }
  return names
}

/** What a run that died, or is under way, has in batches after the head: it may be indexed already, and is not signed yet. */
async function* unfinished(size: number, objects: Objects): AsyncGenerator<string> {
  for (let end = size; ;) {
    const key = batchKey(end)
    const stored = await objects.get(key)
    if (stored === undefined) return
    const entries = decodeBatch(key, stored.body)
    for (const { leaf } of entries) {
      const name = nameOf(leaf)
      if (name !== undefined) yield name
    }
    end += entries.length
  }
}

import { checkpointKey, vkeyKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { printable } from '../../text/printable.ts'
import { type Checkpoint, openCheckpoint } from '../tlog/checkpoint.ts'
import { type AddFinding, findingsList } from './finding.ts'
import { NoteError, type Verifier, verifierOf } from '../tlog/note.ts'

/** The key that verified a log. */
export type LogKey = {
  /** Null if there is none. */
  readonly vkey: string | null
  /** `store`: anyone with write access to the store could have written it. */
  readonly from: 'given' | 'store'
}

/** The head of a log, as read. */
export type SignedHead = {
  readonly key: LogKey
  readonly verifier: Verifier | undefined
  /** Undefined if the key signed none. */
  readonly checkpoint: Checkpoint | undefined
}

/** The key signed no head. One line. */
export class NoHeadError extends Error {
  override readonly name = 'NoHeadError'
}

/**
 * Reads the key of the log, unless one is given, and the checkpoint that it signed. Adds what is missing or wrong to the findings. Throws a `NoteError` if the
 * given key is invalid.
 */
export async function readSignedHead(vkey: string | undefined, add: AddFinding, objects: Objects): Promise<SignedHead> {
  const given = vkey === undefined ? undefined : verifierOf(vkey)
  const stored = await storedKey(vkey !== undefined, add, objects)
  if (vkey !== undefined && stored !== undefined && stored !== vkey) add(vkeyKey, 'it is not the key given')
  const verifier = given ?? (stored === undefined ? undefined : verifierOf(stored))
  return {
    key: { vkey: vkey ?? stored ?? null, from: vkey === undefined ? 'store' : 'given' },
    verifier,
    checkpoint: verifier === undefined ? undefined : await readCheckpoint(verifier, add, objects),
  }
}

/** A head signed by its key, and the stored checkpoint: the basis of proofs. */
export type StoredHead = {
  readonly key: LogKey
  readonly verifier: Verifier
  readonly checkpoint: Checkpoint
  /** The checkpoint as it is stored, with its signature. */
  readonly note: Uint8Array
}

/** Reads the head that the key signed. Throws an `Error` of one line if there is none. */
export async function readStoredHead(vkey: string | undefined, objects: Objects): Promise<StoredHead> {
  const findings = findingsList()
  const { key, verifier, checkpoint } = await readSignedHead(vkey, findings.add, objects)
  const stored = await objects.get(checkpointKey)
  if (verifier !== undefined && checkpoint !== undefined && stored !== undefined)
    return { key, verifier, checkpoint, note: stored.body }
  const [first] = findings.all().kept
  const line =
    first === undefined ? 'there is none' : first.key === null ? first.problem : `${first.key}: ${first.problem}`
  throw new NoHeadError(`Cannot show the log: ${printable(line)}`)
}

/** The key that the store names; undefined if it names none. */
async function storedKey(isGiven: boolean, add: AddFinding, objects: Objects): Promise<string | undefined> {
  const stored = await objects.get(vkeyKey)
  if (stored === undefined) {
    add(vkeyKey, isGiven ? 'it is missing' : 'it is missing, and no key was given: nothing can be verified')
    return undefined
  }
  const text = Buffer.from(stored.body).toString()
  try {
    const vkey = text.slice(0, -1)
    verifierOf(vkey)
    if (text === `${vkey}\n`) return vkey
    add(vkeyKey, 'it is not one line with a key')
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    add(vkeyKey, `it is no key (${error.message})`)
  }
  return undefined
}

async function readCheckpoint(verifier: Verifier, add: AddFinding, objects: Objects): Promise<Checkpoint | undefined> {
  const stored = await objects.get(checkpointKey)
  if (stored === undefined) {
    add(checkpointKey, 'it is missing: nothing in this store is signed')
    return undefined
  }
  try {
    return openCheckpoint(stored.body, verifier)
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    add(checkpointKey, `it proves nothing: ${error.message}`)
    return undefined
  }
}

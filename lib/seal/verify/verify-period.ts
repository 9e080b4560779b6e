import { checkpointKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { accountOf, type ClusterAccount } from './account.ts'
import { type Checkpoint, openCheckpoint } from '../tlog/checkpoint.ts'
import { type AddFinding, type Findings, findingsList } from './finding.ts'
import type { LeafKind } from '../leaf.ts'
import { areEqual, rootOf } from '../tlog/merkle.ts'
import { NoteError, type Verifier } from '../tlog/note.ts'
import { bundlesThatDiffer, PartError, readEntries, treeOfEntries } from '../read-entries.ts'
import { type LogKey, readSignedHead } from './signed-head.ts'
import { checkLeaves, leafNames, type LeafNames, unsealedObjects } from './sealed-objects.ts'
import { unreadableAsAbsent } from './unreadable.ts'

/** Input of the verification of a copied store. */
export type VerifyInput = {
  /** The log's public key, kept out of reach of those who write to the store; undefined: the store's own key is trusted. */
  readonly vkey?: string
  /** An earlier checkpoint, as in its file. */
  readonly since?: Uint8Array
  /** Objects missing from the copy are counted, and are no failure. */
  readonly isPartial?: boolean
}

/** The copied store, and a callback for progress. */
export type VerifyDeps = {
  readonly objects: Objects
  /** Receives the number of verified leaves, and the total. */
  readonly onProgress?: (done: number, of: number) => void
}

/** The result of a verification. */
export type Verification = {
  readonly key: LogKey
  /** The head that the key signed; null if there is none, and then nothing else was verified. */
  readonly checkpoint: Pick<Checkpoint, 'origin' | 'size' | 'root'> | null
  /** The earlier head, and whether the log begins with its leaves; null if none was given, or if it has another key. */
  readonly since: (Pick<Checkpoint, 'size' | 'root'> & { readonly isContinued: boolean }) | null
  /** Whether the entries give the signed root. If not, nothing that they say is counted below. */
  readonly isWhole: boolean
  readonly kinds: Readonly<Partial<Record<LeafKind, number>>>
  readonly clusters: readonly ClusterAccount[]
  /** The times of the first and the last heartbeat; null if there is none. */
  readonly heartbeats: { readonly first: string; readonly last: string } | null
  readonly objects: {
    readonly asSealed: number
    /** Number of bytes that were hashed. */
    readonly bytes: number
    readonly changed: number
    readonly missing: number
  }
  readonly isPartial: boolean
  /**
   * Objects that no leaf names, so nothing is proved about them: the first ones by key, and their number. Null if the entries are not whole, since the number
   * is then unknown.
   */
  readonly unsealed: { readonly keys: readonly string[]; readonly total: number } | null
  readonly findings: Findings
}

/** Number of unsealed keys that are kept. */
const MAX_UNSEALED = 1000

/**
 * Verifies a store with nothing but itself, a key and an earlier checkpoint: the signature, that the entries give the signed root and begin with those signed
 * before, and every object that a leaf names, hashed as stored. Writes nothing. Memory does not grow with the size of objects. Throws if the store cannot be
 * read, and a `NoteError` for an invalid key.
 */
export async function verifyStore(
  { vkey, since, isPartial = false }: VerifyInput,
  { objects: store, onProgress = () => undefined }: VerifyDeps,
): Promise<Verification> {
  const objects = unreadableAsAbsent(store)
  const findings = findingsList()
  const { key, verifier, checkpoint } = await readSignedHead(vkey, findings.add, objects)
  const before = verifier === undefined || since === undefined ? undefined : sinceOf(since, verifier, findings.add)

  const account = accountOf()
  const names = leafNames()
  const kinds: Partial<Record<LeafKind, number>> = {}
  const counted = { asSealed: 0, bytes: 0, changed: 0, missing: 0 }
  const heartbeats: string[] = []
  let isContinued = false
  let isWhole = false
  if (checkpoint !== undefined) {
    const compared = await compareRoots(checkpoint, before, findings.add, objects)
    isContinued = compared.isContinued
    isWhole = compared.isWhole
  }
  if (checkpoint !== undefined && isWhole) {
    for await (const bundle of readEntries(checkpoint.size, objects)) {
      for (const { leaf, object, key, problem } of await checkLeaves(bundle, names, objects)) {
        if (problem !== undefined && !(isPartial && object === 'missing')) findings.add(key, problem)
        if (leaf === undefined) continue
        kinds[leaf.kind] = (kinds[leaf.kind] ?? 0) + 1
        account.add(leaf)
        if (leaf.kind === 'heartbeat') heartbeats.splice(1, 1, leaf.time)
        if (object === 'as-sealed' && 'size' in leaf) {
          counted.asSealed++
          counted.bytes += leaf.size
        } else if (object === 'changed') counted.changed++
        else if (object === 'missing') counted.missing++
      }
      onProgress(bundle.first + bundle.entries.length, checkpoint.size)
    }
  }
  if (isPartial && counted.missing > 0 && counted.asSealed === 0)
    findings.add(null, 'None of the objects that the leaves name is in this copy: nothing but the log was verified')
  return {
    key,
    checkpoint: checkpoint ?? null,
    since: before === undefined ? null : { size: before.size, root: before.root, isContinued },
    isWhole,
    kinds,
    clusters: account.clusters(),
    heartbeats: heartbeats.length === 0 ? null : { first: heartbeats[0] ?? '', last: heartbeats.at(-1) ?? '' },
    objects: counted,
    isPartial,
    unsealed: isWhole ? await unsealedIn(names, findings.add, objects) : null,
    findings: findings.all(),
  }
}

function sinceOf(since: Uint8Array, verifier: Verifier, add: AddFinding): Checkpoint | undefined {
  try {
    return openCheckpoint(since, verifier)
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    add(null, `The earlier checkpoint cannot be compared with: ${error.message}`)
    return undefined
  }
}

/** Whether the entries give the root of the checkpoint and begin with the leaves of the previous one. */
async function compareRoots(
  { size, root }: Checkpoint,
  before: Checkpoint | undefined,
  add: AddFinding,
  objects: Objects,
): Promise<{ readonly isWhole: boolean; readonly isContinued: boolean }> {
  const isRolledBack = before !== undefined && before.size > size
  if (isRolledBack)
    add(
      checkpointKey,
      `the store was rolled back: the earlier checkpoint has ${before.size} leaves, this one ${size}, so ${before.size - size} or more are gone`,
    )
  try {
    const { tree, earlier } = await treeOfEntries(size, before === undefined ? [] : [before.size], objects)
    const isWhole = areEqual(rootOf(tree), root)
    const then = before === undefined ? undefined : earlier.get(before.size)
    const isContinued = isWhole && before !== undefined && then !== undefined && areEqual(rootOf(then), before.root)
    if (before !== undefined && isWhole && !isRolledBack && !isContinued)
      add(
        checkpointKey,
        `the log was rewritten: its first ${before.size} leaves are not those of the earlier checkpoint, which the same key signed`,
      )
    if (!isWhole) {
      add(checkpointKey, 'the entries do not come to the root that was signed: nothing that they say is proved')
      for await (const { key, problem } of bundlesThatDiffer(size, objects)) add(key, problem)
    }
    return { isWhole, isContinued }
  } catch (error) {
    if (!(error instanceof PartError)) throw error
    add(error.key, `${error.problem}: without it nothing that the entries say is proved`)
    return { isWhole: false, isContinued: false }
  }
}

/** What cannot be read is a finding: it could be anything. */
async function unsealedIn(names: LeafNames, add: AddFinding, objects: Objects): Promise<Verification['unsealed']> {
  const keys: string[] = []
  let total = 0
  for await (const key of unsealedObjects(names, objects)) {
    total++
    if (keys.length < MAX_UNSEALED) keys.push(key)
    const problem = (await objects.unusable?.(key)) ?? null
    if (problem !== null) add(key, problem)
  }
  return { keys, total }
}

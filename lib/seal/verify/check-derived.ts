import type { Cluster } from '../../model/registry.ts'
import { type DeriveDeps, type Extent, rebuildCluster } from '../../history/derive.ts'
import {
  archiveOf,
  coveragePrefix,
  parseSetAsideKey,
  recentKey,
  stateKey,
  timelinePrefix,
  windowPrefix,
} from '../../store/keys.ts'
import { type Objects, PreconditionFailedError, StoreError } from '../../store/objects/objects.ts'
import { sha256Of } from '../../store/objects/derived-object.ts'
import { readState } from '../../history/cluster-state.ts'
import { recentProblem } from '../../history/recent/write-recent.ts'
import type { LogFinding } from './finding.ts'

/** How often a cluster is derived again because of concurrent writes. */
const MAX_ROUNDS = 3

const CHANGED = 'it is not what the evidence comes to, run "ciphertrail rebuild"'
const MISSING = 'it is missing, run "ciphertrail rebuild"'
const UNEXPECTED = 'no evidence comes to it, run "ciphertrail rebuild"'

/**
 * Derives a cluster again from its evidence, in memory, and compares every byte with what is stored. Returns the differences by key; empty if there are none.
 * Writes nothing. Waits a few times for concurrent derivations.
 */
export async function checkDerivedObjects(cluster: Cluster, deps: DeriveDeps): Promise<LogFinding[]> {
  const { objects } = deps
  for (let round = 1; ; round++) {
    const before = await fingerprint(cluster, objects)
    const findings = await derivedOnce(cluster, deps)
    if (findings.length === 0 || round === MAX_ROUNDS || before === (await fingerprint(cluster, objects)))
      return findings
  }
}

/** A fingerprint of a cluster's derived data: every derivation replaces the state, and then what the windows after the months come to. */
async function fingerprint({ id }: Cluster, objects: Objects): Promise<string> {
  const [state, recent] = [await objects.get(stateKey(id)), await objects.get(recentKey(id))]
  return `${state?.etag} ${recent?.etag}`
}

async function derivedOnce(cluster: Cluster, deps: DeriveDeps): Promise<LogFinding[]> {
  const { objects } = deps
  const { overlay, derived } = derivedInMemory(objects)
  const { errors } = await rebuildCluster(cluster, { ...deps, objects: overlay }, await storedExtent(cluster, objects))
  const findings: LogFinding[] = errors.map((problem) => ({ key: null, problem }))
  for (const [key, { body }] of derived) {
    // Another run may have died before that object: what is told from it is checked below, not whether it is the latest.
    if (body === undefined || key === recentKey(cluster.id)) continue
    findings.push({ key, problem: (await objects.get(key)) === undefined ? MISSING : CHANGED })
  }
  for (const prefix of [
    stateKey(cluster.id),
    archiveOf(cluster.id),
    timelinePrefix(cluster.id),
    coveragePrefix(cluster.id),
    windowPrefix(cluster.id),
  ])
    for await (const key of objects.list(prefix)) if (!derived.has(key)) findings.push({ key, problem: UNEXPECTED })
  const problem = await recentProblem(cluster.id, objects)
  if (problem !== undefined)
    findings.push({ key: recentKey(cluster.id), problem: problem === 'missing' ? MISSING : CHANGED })
  return findings
}

/**
 * The extent of the stored months and the archive. Later windows are in neither yet, which is no fault, since readers find them in the state. Undefined if no
 * state can be read.
 */
async function storedExtent({ id }: Cluster, objects: Objects): Promise<Extent | undefined> {
  try {
    const { state } = await readState(id, objects)
    if (state === undefined) return undefined
    return { watermark: state.timeline.watermark, archived: state.archive?.days.at(-1)?.day ?? null }
  } catch (error) {
    if (error instanceof StoreError) throw error
    return undefined
  }
}

/** A derived object: its hash, and its bytes if they differ from the store below. */
type Kept = { readonly sha256: string; readonly body: Uint8Array | undefined }

/**
 * A store with the evidence of another store and no derived data. Writes stay in memory, and only those that the other store does not have: a year of windows
 * would not fit otherwise.
 */
export function derivedInMemory(base: Objects): { overlay: Objects; derived: ReadonlyMap<string, Kept> } {
  const derived = new Map<string, Kept>()

  const get: Objects['get'] = async (key, version) => {
    if (!isDerived(key)) return base.get(key, version)
    const kept = derived.get(key)
    if (kept === undefined) return undefined
    const body = kept.body ?? (await base.get(key))?.body
    if (body !== undefined && sha256Of(body) === kept.sha256) return { body, etag: kept.sha256, version: null }
    // It was replaced below: treat it as removed, so that it is made again.
    derived.delete(key)
    return undefined
  }

  const overlay: Objects = {
    ...base,
    get,
    async digest(key) {
      if (!isDerived(key)) return base.digest(key)
      const stored = await get(key)
      return stored === undefined ? undefined : { sha256: stored.etag, size: stored.body.length, version: null }
    },
    putOnce: refuse,
    async putIf(key, body, etag) {
      if (!isDerived(key)) return refuse(key)
      if (((await get(key))?.etag ?? null) !== etag) throw new PreconditionFailedError(key)
      const sha256 = sha256Of(body)
      const below = await base.get(key)
      const isSame = below !== undefined && Buffer.compare(below.body, body) === 0
      derived.set(key, { sha256, body: isSame ? undefined : body })
      return sha256
    },
    async *list(prefix, startAfter = '') {
      if (!isDerived(prefix)) yield* base.list(prefix, startAfter)
      else yield* [...derived.keys()].filter((key) => key.startsWith(prefix) && key > startAfter).sort()
    },
    remove(key) {
      derived.delete(key)
      return Promise.resolve()
    },
  }
  return { overlay, derived }
}

function refuse(key: string): Promise<never> {
  return Promise.reject(new TypeError(`Cannot write "${key}" while a store is only looked at`))
}

/** Evidence set aside is not derived data: it cannot be rebuilt from evidence, and derived data depends on it. */
function isDerived(key: string): boolean {
  return DERIVED.some((prefix) => key.startsWith(prefix)) && parseSetAsideKey(key) === undefined
}

const DERIVED = ['windows/', 'state/', 'timeline/', 'coverage/']

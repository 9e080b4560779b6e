import type { Cluster } from '../../model/registry.ts'
import type { DeriveDeps } from '../../history/derive.ts'
import {
  changesPrefix,
  RECORD_KINDS,
  type RecordKind,
  parseArchiveKey,
  parseRequeriedKey,
  parseRecentKey,
  parseChangeKey,
  parseEvidenceKey,
  parseCoverageKey,
  parseNotEncryptedKey,
  parseTimelineKey,
  parseWindowKey,
  registryKey,
  parsePacketsKey,
  parseSetAsideKey,
  stateKey,
  trustKey,
} from '../../store/keys.ts'
import {
  checkpointKey,
  headKey,
  headPrefix,
  parseBatchKey,
  parseHeadKey,
  parseIndexKey,
  parseTileKey,
  parseTimestampKey,
  sealingKey,
  timestampingKey,
  timestampKey,
  vkeyKey,
} from '../../store/log-keys.ts'
import { type Objects, StoreError, UnusableError } from '../../store/objects/objects.ts'
import { errorLine } from '../../text/error-line.ts'
import { readClusters, readRecorded } from '../../store/registry/registry.ts'
import { type CheckedLog, checkLog, hasTile } from './check-log.ts'
import { checkDocuments } from './check-reports.ts'
import { changedNotEncrypted } from '../../history/not-encrypted.ts'
import { checkDerivedObjects } from './check-derived.ts'
import { type AddFinding, type Findings, type LogFinding, findingsList } from './finding.ts'
import { leafKind, nameOf } from '../leaf.ts'
import { areEqual } from '../tlog/merkle.ts'
import { NoteError, parseNote, type Verifier } from '../tlog/note.ts'
import { openCheckpoint } from '../tlog/checkpoint.ts'
import { readTimestamp } from '../timestamp/stored-timestamp.ts'
import { readProgress } from '../write/progress.ts'
import { checkLeaves, leafNames, type LeafNames } from './sealed-objects.ts'
import { readSignedHead } from './signed-head.ts'
import { parseTilePath } from '../tlog/tiles.ts'
import { unreadableAsAbsent } from './unreadable.ts'
import {
  linksKey,
  parseAlertsKey,
  parseClaimKey,
  parseDownloadKey,
  parseSuppressionKey,
  recipientsKey,
} from '../../store/delivery-keys.ts'
import { isReportKey, parseDocumentKey, parsePackKey, reportsPrefix } from '../../store/report-keys.ts'

/** The key with which a store is checked. */
export type CheckInput = {
  /** The log's public key; undefined: the one in the store. */
  readonly vkey?: string
}

/** The store, and a callback for progress. */
export type CheckDeps = DeriveDeps & {
  /** Receives the current step, in a few words. */
  readonly onProgress?: (what: string) => void
}

/** The result of a check of every object in a store. */
export type StoreCheck = {
  readonly findings: Findings
  /** Unsealed objects that the log should have, in text order: no fault, but nothing is proved about them. */
  readonly unsealed: Findings
  /** How many of these are waivers or scopes: they already affect reports and mails, and deleting them before they are sealed leaves no trace. */
  readonly inForce: number
  /** Names in the store that no object can have: nothing reads them, so they are no fault. The first few, and their number. */
  readonly foreign: { readonly names: readonly string[]; readonly total: number }
  readonly objects: number
  readonly leaves: number
  /** Clusters whose derived data were derived again and compared. */
  readonly clusters: number
}

/** Most names that no object can have which are kept. */
const MAX_FOREIGN = 10

/** How often everything is checked again because of concurrent sealing. */
const MAX_ROUNDS = 3

/**
 * Checks every object of a store: the checkpoint and its key, batches, tiles, entries, index, the objects that leaves name, the registry, derived data, and
 * unknown objects. Writes nothing. Checks again after concurrent sealing. Throws if the store cannot be read, and a `NoteError` for an invalid key.
 */
export async function checkStore({ vkey }: CheckInput, { objects, ...others }: CheckDeps): Promise<StoreCheck> {
  const deps = { ...others, objects: unreadableAsAbsent(objects) }
  const tag = async () => (await deps.objects.get(checkpointKey))?.etag
  for (let round = 1; ; round++) {
    const before = await tag()
    const check = await checkOnce(vkey, deps)
    if (check.findings.total === 0 || round === MAX_ROUNDS || before === (await tag())) return check
  }
}

async function checkOnce(vkey: string | undefined, deps: CheckDeps): Promise<StoreCheck> {
  const { objects, onProgress = () => undefined } = deps
  const findings = findingsList()
  const { add } = findings
  const { checkpoint, verifier } = await readSignedHead(vkey, add, objects)
  if (checkpoint !== undefined) await checkNoteIsOurs(add, objects)

  const names = leafNames()
  const log = await checkLog(
    // Without a checkpoint signed with this key, claims are not verified.
    { checkpoint, verifier: checkpoint === undefined ? undefined : verifier },
    async (leaves) => {
      for (const { key, problem } of await checkLeaves(leaves, names, objects))
        if (problem !== undefined) add(key, problem)
      onProgress(`${leaves.first + leaves.entries.length} leaves`)
    },
    { objects, add },
  )
  const known = await checkRegistry(add, objects)
  if (checkpoint !== undefined) await checkProgress(add, objects)
  if (checkpoint !== undefined && verifier !== undefined) await checkHeads(log, verifier, add, objects)
  const listed = await checkNames({ log, names, known }, add, { objects, onProgress })
  await checkDocuments(add, objects)
  for (const cluster of known.clusters) {
    onProgress(`what is derived of ${cluster.id}`)
    for (const { key, problem } of await derivedFindings(cluster, deps)) add(key, problem)
  }
  const ids = known.clusters.map(({ id }) => id)
  for (const key of await changedNotEncrypted(ids, objects))
    add(key, 'it is not what the months come to, run "ciphertrail rebuild"')
  return {
    findings: findings.all(),
    unsealed: listed.unsealed,
    inForce: listed.inForce,
    foreign: listed.foreign,
    objects: listed.objects,
    leaves: log.ends.at(-1) ?? 0,
    clusters: known.clusters.length,
  }
}

/** Findings in the derived data of a cluster. If one cluster cannot be checked, the others still are. */
async function derivedFindings(cluster: Cluster, deps: CheckDeps): Promise<readonly LogFinding[]> {
  try {
    return await checkDerivedObjects(cluster, deps)
  } catch (error) {
    if (error instanceof StoreError && !(error instanceof UnusableError)) throw error
    return [{ key: null, problem: `What is derived of cluster "${cluster.id}" was not checked: ${errorLine(error)}` }]
  }
}

/** A checkpoint may have other signatures and extension lines, but ours never do. */
async function checkNoteIsOurs(add: AddFinding, objects: Objects): Promise<void> {
  const stored = await objects.get(checkpointKey)
  if (stored === undefined) return
  const { text, signatures } = parseNote(stored.body)
  if (signatures.length !== 1 || text.split('\n').length !== 4)
    add(checkpointKey, 'it has lines that "ciphertrail seal" does not write')
}

/** Checks that kept heads have sizes that the log had, and that the log's key signed them; and that time stamps are of them. */
async function checkHeads(
  { ends, unfinished, isRead }: CheckedLog,
  verifier: Verifier,
  add: AddFinding,
  objects: Objects,
) {
  const sizes = new Set([...ends, (ends.at(-1) ?? 0) + unfinished.length])
  for await (const key of objects.list(headPrefix)) {
    const stamped = parseTimestampKey(key)
    if (stamped !== undefined) await checkTimestampOf(stamped, add, objects)
    const size = parseHeadKey(key)
    const stored = size === undefined ? undefined : await objects.get(key)
    if (size === undefined || stored === undefined) continue
    try {
      if (openCheckpoint(stored.body, verifier).size !== size) add(key, 'it is the head of a log of another size')
      else if (isRead && !sizes.has(size)) add(key, 'the log never had that size')
    } catch (error) {
      if (!(error instanceof NoteError)) throw error
      add(key, `it proves nothing: ${error.message}`)
    }
  }
}

async function checkTimestampOf(size: number, add: AddFinding, objects: Objects): Promise<void> {
  const head = await objects.get(headKey(size))
  if (head === undefined) return add(timestampKey(size), 'the head that it is of is not there')
  const read = await readTimestamp({ size, note: head.body }, objects)
  if (read !== null && 'problem' in read) add(read.key, `it is no time stamp of the head beside it: ${read.problem}`)
}

/** The known clusters. */
type Known = {
  readonly clusters: readonly Cluster[]
  /** Whether these are all clusters that were ever registered. */
  readonly areAll: boolean
}

async function checkRegistry(add: AddFinding, objects: Objects): Promise<Known> {
  const stored = await objects.get(registryKey)
  try {
    const { clusters, changes, bytes } = await readRecorded({ objects })
    if (stored === undefined && changes > 0) add(registryKey, `it is missing, although ${changes} changes are recorded`)
    if (stored !== undefined && (bytes === undefined || !areEqual(stored.body, bytes)))
      add(registryKey, `it is not what the changes under "${changesPrefix('clusters')}" come to, move it away`)
    return { clusters, areAll: true }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    add(registryKey, `it cannot be compared with its changes: ${error.message}`)
  }
  try {
    return { clusters: await readClusters({ objects }), areAll: false }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    add(null, 'What is derived was not checked, since nobody knows the clusters')
    return { clusters: [], areAll: false }
  }
}

async function checkProgress(add: AddFinding, objects: Objects): Promise<void> {
  const { progress, etag } = await readProgress(objects)
  if (progress === undefined)
    add(
      sealingKey,
      `it ${etag === null ? 'is missing' : 'was changed'}; it only saves listing, and the next run of "ciphertrail seal" makes it again`,
    )
}

const NOBODYS = 'nobody makes such an object'

/** Changes that affect the judging of periods from the moment they are recorded. */
const JUDGED_BY: ReadonlySet<string> = new Set<RecordKind>(['scope', 'waivers'])
const IN_FORCE = 'not sealed yet, and reports are judged by it already; run "ciphertrail seal"'

/** Checks the name of every object: whether ciphertrail makes such names, and whether the object is sealed. */
async function checkNames(
  { log, names, known }: { readonly log: CheckedLog; readonly names: LeafNames; readonly known: Known },
  add: AddFinding,
  { objects, onProgress }: { readonly objects: Objects; readonly onProgress: (what: string) => void },
): Promise<Pick<StoreCheck, 'unsealed' | 'inForce' | 'foreign' | 'objects'>> {
  const unsealed = findingsList()
  const ids = new Set(known.clusters.map(({ id }) => id))
  const isKnown = (cluster: string | undefined): boolean => cluster !== undefined && (!known.areAll || ids.has(cluster))
  const changes = new Map(RECORD_KINDS.map((kind) => [kind as string, 0]))
  let count = 0
  let inForce = 0
  const foreign = { names: [] as string[], total: 0 }
  const onForeign = (name: string): void => {
    if (++foreign.total <= MAX_FOREIGN) foreign.names.push(name)
  }
  for await (const key of objects.list('', '', onForeign)) {
    if (++count % 10_000 === 0) onProgress(`${count} objects`)
    // Sealed objects were read.
    const state = names.has(key) ? null : ((await objects.unusable?.(key)) ?? null)
    if (state !== null) add(key, state)
    else if (key.startsWith('log/')) {
      if (!isOfLog(key, log, names)) add(key, NOBODYS)
    } else if (leafKind(key) !== undefined) {
      const problem = sealedNameProblem(key, isKnown, changes)
      if (problem !== undefined) add(key, problem)
      if (names.has(key)) continue
      const isInForce = JUDGED_BY.has(parseChangeKey(key)?.kind ?? '')
      if (isInForce) inForce++
      unsealed.add(key, isInForce ? IN_FORCE : 'not sealed yet')
    } else if (!isRewritten(key, isKnown)) add(key, NOBODYS)
    else if (!known.areAll && !isRewritten(key, (cluster) => cluster !== undefined && ids.has(cluster)))
      add(key, 'it was not checked, since its cluster is not known while the changes of the registry are damaged')
  }
  return { unsealed: unsealed.all(), inForce, foreign, objects: count }
}

/** The problem with the name of a sealed object; undefined if there is none. Collects the numbers of changes in `changes`. */
function sealedNameProblem(
  key: string,
  isKnown: (cluster: string | undefined) => boolean,
  changes: Map<string, number>,
): string | undefined {
  if (key.startsWith(reportsPrefix)) return isReportKey(key) ? undefined : NOBODYS
  if (key.startsWith('changes/')) {
    const change = parseChangeKey(key)
    if (change === undefined) return NOBODYS
    const wanted = (changes.get(change.kind) ?? 0) + 1
    changes.set(change.kind, change.number)
    return change.number === wanted ? undefined : `the changes before it, from number ${wanted} on, are missing`
  }
  const named = parseEvidenceKey(key) ?? parsePacketsKey(key)
  if (named === undefined) return NOBODYS
  return isKnown(named.cluster) ? undefined : `cluster "${named.cluster}" was never registered`
}

function isOfLog(key: string, { ends, unfinished, isRead }: CheckedLog, names: LeafNames): boolean {
  // Batches are checked by their own numbers.
  const parsed = [parseBatchKey, parseHeadKey, parseTimestampKey].map((parse) => parse(key))
  if (key === checkpointKey || key === vkeyKey || parsed.some((number) => number !== undefined)) return true
  const name = parseIndexKey(key)
  if (name !== undefined) return !isRead || names.has(name) || unfinished.some(({ leaf }) => nameOf(leaf) === name)
  const path = parseTileKey(key)
  const tile = path === undefined ? undefined : parseTilePath(path)
  return tile !== undefined && (!isRead || hasTile(tile, [...ends, (ends.at(-1) ?? 0) + unfinished.length]))
}

/** Whether an object is derived or replaced: these are compared by content elsewhere. */
function isRewritten(key: string, isKnown: (cluster: string | undefined) => boolean): boolean {
  if ([registryKey, recipientsKey, linksKey, sealingKey, timestampingKey, trustKey].includes(key)) return true
  if (
    [
      parseDocumentKey,
      parsePackKey,
      parseClaimKey,
      parseSuppressionKey,
      parseAlertsKey,
      parseDownloadKey,
      parseNotEncryptedKey,
    ].some((parse) => parse(key) !== undefined)
  )
    return true
  const cluster =
    (parseWindowKey(key) ?? parseTimelineKey(key) ?? parseCoverageKey(key) ?? parseArchiveKey(key))?.cluster ??
    parseRequeriedKey(key) ??
    parseRecentKey(key) ??
    parseSetAsideKey(key) ??
    /^state\/([^/]+)\.json$/.exec(key)?.[1]
  const isBesideStates = [parseArchiveKey, parseRequeriedKey, parseRecentKey, parseSetAsideKey].some(
    (parse) => parse(key) !== undefined,
  )
  return isKnown(cluster) && (!key.startsWith('state/') || isBesideStates || key === stateKey(cluster ?? ''))
}

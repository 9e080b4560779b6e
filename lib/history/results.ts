import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import { excessOfEdges, unreadableWindow } from '../assess/window/unreadable.ts'
import { mergeResults } from '../assess/window/merge-results.ts'
import type { ListsOfSnapshot } from '../assess/window/window.ts'
import type { Cluster } from '../model/registry.ts'
import type { Snapshot } from '../model/snapshot.ts'
import type { Window } from '../model/time.ts'
import type { WindowResult } from '../model/window.ts'
import type { Archive, FoldedWindow } from './archive.ts'
import { listsOf, type IndexDeps } from './evidence-index.ts'
import { parseJson } from '../text/parse-json.ts'
import { parseEvidenceKey, windowKey } from '../store/keys.ts'
import { PreconditionFailedError } from '../store/objects/objects.ts'
import { swap } from '../store/objects/swap.ts'
import type { Objects } from '../store/objects/objects.ts'
import { inputsOf, tile, windowId } from '../store/evidence/selected-attempt.ts'
import type { AttemptedWindow, KnownAttempt } from '../store/evidence/selected-attempt.ts'
import { encodeDerived, sha256Of } from '../store/objects/derived-object.ts'
import type { ClusterState } from './cluster-state.ts'

/** Input that says which stored results to trust. */
export type ResultsInput = {
  /** The state that names them; undefined if all are remade. */
  readonly base: Pick<ClusterState, 'evidence' | 'windows'> | undefined
  /** Archived evidence and windows are not in the others and stay unchanged; null if there are none. */
  readonly archive: Archive | null
  /** All evidence that is not archived, in time order. */
  readonly evidence: readonly AttemptedWindow[]
  /** Keys of attempts that were read again; results made from them are remade. */
  readonly distrustedEvidence: ReadonlySet<string>
  /** Keys of results whose hash differs from the state's. */
  readonly distrustedResults: ReadonlySet<string>
  /**
   * Announces in the state that a result is about to replace another one; throws `PreconditionFailedError` if another run changed the state. Otherwise, after
   * a crash in between, readers would accept neither.
   */
  readonly announce: (replacing: Window & { readonly sha256: string }) => Promise<void>
}

/** Results that are stored now. */
export type Results = {
  /** All windows that are not archived, up to the last with evidence, in time order, with the hashes of their results. */
  readonly windows: readonly FoldedWindow[]
  /** Windows whose results were made. */
  readonly made: readonly Window[]
  /** One line for each window that overlaps another one. */
  readonly overlapping: readonly string[]
}

/**
 * Makes the results of windows whose inputs changed since the base, and returns the hashes of all results. Throws `PreconditionFailedError` with the key of a
 * result that was made from evidence unknown here, because it must not be replaced.
 */
export async function makeResults(
  cluster: Cluster,
  { base, archive, evidence, distrustedEvidence, distrustedResults, announce }: ResultsInput,
  deps: IndexDeps,
): Promise<Results> {
  const attempts = new Map(evidence.flatMap((window) => window.attempts.map((attempt) => [attempt.key, attempt])))
  const lists = archive?.lists ?? []
  const known = new Set([...attempts.keys(), ...lists.map(({ key }) => key)])
  const inputs = inputsOf(evidence, lists)
  const inputsBefore = inputsOf(base?.evidence ?? [], lists)
  const windowsBefore = new Map(base?.windows.map((window) => [windowId(window), window]))

  const windows: FoldedWindow[] = []
  const made: Window[] = []
  for (const window of tile(cluster.windows, evidence, archive?.until)) {
    const own = inputs.get(windowId(window))
    if (own === undefined) {
      windows.push({ ...window, sha256: null })
      continue
    }
    const before = windowsBefore.get(windowId(window))
    const isTrusted = !distrustedResults.has(windowKey(cluster.id, window))
    const keys = [own.evidence, own.before, own.after, ...(own.also ?? [])]
    const isUnchanged =
      isSame(own, inputsBefore.get(windowId(window))) &&
      !keys.some((key) => key !== null && distrustedEvidence.has(key))
    const sha256 = before?.sha256 ?? null
    if (isTrusted && isUnchanged && sha256 !== null) windows.push({ ...window, sha256 })
    else {
      const isNew = base !== undefined && isTrusted && sha256 === null
      windows.push({
        ...window,
        sha256: await makeResult(cluster.id, window, own, { attempts, known, isNew, announce }, deps),
      })
      made.push(window)
    }
  }
  const tiled = new Set(windows.map(windowId))
  const overlapping = evidence
    .filter((window) => !tiled.has(windowId(window)))
    .map(
      ({ attempts: [first] }) =>
        `Cannot use "${first?.key}": its window overlaps another one, for which there is evidence, too`,
    )
  return { windows, made, overlapping }
}

function isSame(a: WindowResult['inputs'], b: WindowResult['inputs'] | undefined): boolean {
  return a.evidence === b?.evidence && a.before === b.before && a.after === b.after && isDeepStrictEqual(a.also, b.also)
}

/** Stores the window's result and returns its hash. A new result usually does not exist yet, so it is written without reading first. */
async function makeResult(
  clusterId: string,
  window: Window,
  inputs: WindowResult['inputs'],
  {
    attempts,
    known,
    isNew,
    announce,
  }: Pick<ResultsInput, 'announce'> & {
    readonly attempts: ReadonlyMap<string, KnownAttempt>
    /** Keys of attempts. */
    readonly known: ReadonlySet<string>
    readonly isNew: boolean
  },
  deps: IndexDeps,
): Promise<string> {
  const { objects } = deps
  const error = attempts.get(inputs.evidence)?.error ?? null
  const unreadable = (line: string) => unreadableWindow(clusterId, window, inputs, [line])
  const assessed = error === null ? await assessAttempts(inputs, deps) : unreadable(error)
  const excess = excessOfEdges(assessed)
  const result = excess === null ? assessed : unreadable(`Cannot use "${inputs.evidence}": its window has ${excess}`)
  const body = encodeDerived(result)
  const key = windowKey(clusterId, window)
  const sha256 = sha256Of(body)
  if (isNew && (await swap(key, body, null, objects)) !== null) return sha256
  const stored = await objects.get(key)
  if (stored === undefined) await objects.putIf(key, body, null)
  else if (sha256Of(stored.body) !== sha256) {
    await refuseIfNewer(key, stored.body, known, objects)
    // Announce after reading the result: another run that changes the state from now on has read this result or finds it changed.
    await announce({ ...window, sha256 })
    await objects.putIf(key, body, stored.etag)
  }
  return sha256
}

/** Assesses each attempt that counts with the same lists, and merges the results. */
async function assessAttempts(
  { evidence, before, after, also = [] }: WindowResult['inputs'],
  { assess, snapshots }: IndexDeps,
): Promise<WindowResult> {
  const lists = async (key: string | null): Promise<ListsOfSnapshot | null> =>
    key === null ? null : listsOf(key, await snapshots(key))
  const [listedBefore, listedAfter] = [await lists(before), await lists(after)]
  const standing = await snapshots(evidence)
  const own = assess({ key: evidence, snapshot: standing, before: listedBefore, after: listedAfter })
  const { proxies } = standing
  const others: WindowResult[] = []
  for (const key of also) {
    const snapshot = withPages(await snapshots(key), proxies)
    others.push(assess({ key, snapshot, before: listedBefore, after: listedAfter }))
  }
  return mergeResults([own, ...others])
}

/** Uses another attempt's proxy pages for an attempt without any, because pages can be read only as the window ends. */
function withPages(snapshot: Snapshot, proxies: Snapshot['proxies']): Snapshot {
  const hasOwn = (snapshot.proxies?.pages.length ?? 0) > 0
  return hasOwn || proxies === undefined ? snapshot : { ...snapshot, proxies }
}

const resultInputs = z.object({
  inputs: z.object({
    evidence: z.string(),
    before: z.string().nullable(),
    after: z.string().nullable(),
    also: z.array(z.string()).exactOptional(),
  }),
})

/** Throws PreconditionFailedError if a result was made from evidence that is in the store but not in this index. */
async function refuseIfNewer(
  key: string,
  body: Uint8Array,
  known: ReadonlySet<string>,
  objects: Objects,
): Promise<void> {
  const parsed = resultInputs.safeParse(parseJson(body))
  if (!parsed.success) return
  const { evidence, before, after, also = [] } = parsed.data.inputs
  for (const other of [evidence, before, after, ...also]) {
    if (other === null || known.has(other) || parseEvidenceKey(other) === undefined) continue
    if ((await objects.get(other)) !== undefined) throw new PreconditionFailedError(key)
  }
}

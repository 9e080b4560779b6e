import type { Seconds } from '../../model/time.ts'
import type { Window } from '../../model/time.ts'
import { toSeconds, toTime } from '../../time/windows.ts'
import { evidenceBefore, evidencePrefix, parseEvidenceKey } from '../../store/keys.ts'
import { gapBefore, gapName, gapPrefix, indexKey, parseIndexKey } from '../../store/log-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { WatchedCluster } from '../../store/registry/registry.ts'
import { expectedWindows } from './expected.ts'
import { leafKind, type Leaf } from '../leaf.ts'
import { isPlanted, namesNotInLog } from './planted.ts'

/** An object, by its key, or a gap that the log does not have yet. */
export type Pending = { readonly key: string } | { readonly gap: Extract<Leaf, { readonly kind: 'gap' }> }

/** Where to look for unsealed objects. */
export type SealScope = {
  /** Evidence and gaps of windows that begin at this time or later; null: of all windows. Changes and reports are always included. */
  readonly from: Seconds | null
  /** Clusters whose windows are expected, including those removed from the registry until they were removed. */
  readonly clusters: readonly WatchedCluster[]
  /** Windows that end at this time or before can no longer be filled. */
  readonly lostUntil: Seconds
}

/** The window was not collected or not stored while Prometheus still had its data. */
export const NO_ATTEMPT = 'no-attempt'

/** The log against which the numbers in its index are checked. */
export type BorneOut = {
  /** Number of leaves. */
  readonly size: number
  /** Evidence and gaps of windows that begin at this time or later are checked against it: older ones were, when they were new. */
  readonly since: Seconds
  /** Whether changes and reports are checked, too. */
  readonly isWhole: boolean
  /** Receives each number that contradicts the log. */
  readonly onPlanted: (key: string) => void
}

/**
 * Everything in the scope that the log does not have: listed objects without a number in the log's index, and the gaps. Costs two lists of each prefix.
 * Complete only if every batch of the log was finished before: otherwise their objects are returned again.
 *
 * @param log absent: numbers in the index are trusted, and nothing is read
 */
export async function* pendingOf(
  { from, clusters, lostUntil }: SealScope,
  objects: Objects,
  log?: BorneOut,
): AsyncGenerator<Pending> {
  /** Numbered objects and gaps, by their name in the log. */
  const numbered = new Map<string, Pending>()
  const isNew = ({ start }: Window): boolean => log !== undefined && toSeconds(start) >= log.since
  const evidence = from === null ? undefined : evidenceBefore(toTime(from))
  const gaps = from === null ? undefined : gapBefore(toTime(from))
  const sealed = await sealedNames(evidencePrefix, evidence, objects)
  const sealedGaps = await sealedNames(gapPrefix, gaps, objects)
  const expected = expectedWindows(clusters, from, lostUntil)
  let next = expected.next()

  async function* gapsBefore(key: string | undefined): AsyncGenerator<Pending> {
    for (; next.done !== true; next = expected.next()) {
      const { cluster, window, prefix } = next.value
      if (key !== undefined && (prefix > key || key.startsWith(prefix))) return
      const name = gapName(window, cluster)
      const pending: Pending = { gap: { kind: 'gap', cluster, window, reason: NO_ATTEMPT } }
      if (!(await sealedGaps.has(name))) yield pending
      else if (isNew(window)) numbered.set(name, pending)
    }
  }

  for await (const key of objects.list(evidencePrefix, evidence)) {
    yield* gapsBefore(key)
    // Only a collector's attempt fills a window.
    const id = parseEvidenceKey(key)
    if (next.done !== true && key.startsWith(next.value.prefix) && id !== undefined) next = expected.next()
    // A folder that cannot be listed may hold attempts: a gap there would be a false statement.
    if (
      id === undefined &&
      next.done !== true &&
      next.value.prefix.startsWith(`${key}/`) &&
      (await isClosed(key, objects))
    )
      while (next.done !== true && next.value.prefix.startsWith(`${key}/`)) next = expected.next()
    if (!(await sealed.has(key))) yield { key }
    else if (id !== undefined && isNew(id.window)) numbered.set(key, { key })
  }
  yield* gapsBefore(undefined)
  if (log !== undefined)
    for (const name of await namesNotInLog(numbered.keys(), log.size, objects)) {
      log.onPlanted(indexKey(name))
      yield numbered.get(name) ?? { key: name }
    }
  for (const prefix of ['changes/', 'reports/'])
    yield* unsealed(prefix, objects, log?.isWhole === true ? log : undefined)
}

/** Whether nothing can be read under a name, since it is no folder or a closed one. */
async function isClosed(name: string, objects: Objects): Promise<boolean> {
  return ((await objects.unusable?.(`${name}/_`)) ?? null) !== null
}

/** Objects under a prefix whose number is absent from the log's index or contradicts the log. Complete as {@link pendingOf} is. */
export async function* unsealed(
  prefix: string,
  objects: Objects,
  log?: Pick<BorneOut, 'size' | 'onPlanted'>,
): AsyncGenerator<Pending> {
  const sealed = await sealedNames(prefix, undefined, objects)
  const planted: string[] = []
  for await (const key of objects.list(prefix)) {
    if (leafKind(key) === undefined) continue
    if (!(await sealed.has(key))) yield { key }
    else if (log !== undefined && (await isPlanted(indexKey(key), log.size, objects))) planted.push(key)
  }
  if (log === undefined) return
  // Its number stays wrong after it is sealed.
  for (const key of await namesNotInLog(planted, log.size, objects)) {
    log.onPlanted(indexKey(key))
    yield { key }
  }
}

/** The numbered names under a prefix, to be queried in text order, each once. */
async function sealedNames(prefix: string, startAfter: string | undefined, objects: Objects) {
  const after = startAfter === undefined ? undefined : indexKey(startAfter)
  const names = objects.list(indexKey(prefix), after)[Symbol.asyncIterator]()
  let current = await names.next()
  return {
    async has(name: string): Promise<boolean> {
      while (current.done !== true && (parseIndexKey(current.value) ?? '') < name) current = await names.next()
      return current.done !== true && parseIndexKey(current.value) === name
    },
  }
}

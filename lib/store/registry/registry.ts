import canonicalize from 'canonicalize'
import * as z from 'zod'
import type { Cluster } from '../../model/registry.ts'
import { compareText } from '../../text/order.ts'
import { damagedChange, readChange, recordChange } from './changes.ts'
import type { ChangeAuthor } from './changes.ts'
import { parseJson } from '../../text/parse-json.ts'
import { changeKey, changesPrefix, isClusterId, parseChangeKey, registryKey } from '../keys.ts'
import { ConflictError, type Objects } from '../objects/objects.ts'
import { swap } from '../objects/swap.ts'
import { checkAuth, checkOptions, clusterSchema, newRegistration, changeRegistration } from './registration.ts'
import type { ClusterOptions } from './registration.ts'

/** The store that holds the registry. */
export type RegistryDeps = { readonly objects: Objects }

/** Number of concurrent changes before something else must be wrong. */
const MAX_ROUNDS = 25

const registrySchema = z.looseObject({
  format: z.literal('ciphertrail/clusters/1'),
  /** Number of the latest change in it. */
  change: z.int().nonnegative(),
  clusters: z
    .array(clusterSchema)
    .refine((clusters) => new Set(clusters.map(({ id }) => id)).size === clusters.length, 'two clusters have one id'),
  /** Removed clusters, as they were, in the order of the changes; absent if none was. */
  removed: z.array(clusterSchema.and(z.object({ removedAt: z.iso.datetime() }))).exactOptional(),
})

type Registry = z.infer<typeof registrySchema>

/** A cluster as it is from now on; null after removal. */
const contentSchema = z.object({ id: z.string().refine(isClusterId), cluster: clusterSchema.nullable() })
type RegistryChange = z.infer<typeof contentSchema>

/** The registered clusters, sorted by id; empty if none was ever registered. Throws an `Error` that names the key if the registry is damaged. */
export async function readClusters({ objects }: RegistryDeps): Promise<Cluster[]> {
  const { clusters } = (await readRegistry(objects)).registry
  return clusters
}

/** A cluster with the time (RFC 3339) at which it was removed from the registry; absent while it is registered. */
export type WatchedCluster = Cluster & { readonly removedAt?: string }

/**
 * Every cluster for as long as it was registered: those of {@link readClusters}, and each removed one, since windows expected until then must not disappear
 * silently. Throws as {@link readClusters} does.
 */
export async function readWatched({ objects }: RegistryDeps): Promise<WatchedCluster[]> {
  const { clusters, removed = [] } = (await readRegistry(objects)).registry
  return [...clusters, ...removed]
}

/** A cluster before the change, if it was registered, and from now on. */
export type DecidedCluster = { readonly before: Cluster | undefined; readonly cluster: Cluster }

/**
 * Registers a cluster, or changes the given settings of a registered one. Another window size takes effect at the next UTC midnight after the author's `now`.
 * Throws {@link ClusterOptionError} for invalid settings. Calls `onDecided` before each try to record the change; after a concurrent change it is called again,
 * and the last call holds.
 */
export async function addCluster(
  options: ClusterOptions,
  author: ChangeAuthor,
  { objects, onDecided = () => undefined }: RegistryDeps & { readonly onDecided?: (decided: DecidedCluster) => void },
): Promise<'added' | 'updated' | 'unchanged'> {
  const { id } = options
  checkOptions(options)
  let outcome: 'added' | 'updated' | 'unchanged' = 'unchanged'
  await changeRegistry(author, objects, (clusters) => {
    const before = clusters.find((cluster) => cluster.id === id)
    const cluster =
      before === undefined ? newRegistration(options, author.now) : changeRegistration(before, options, author.now)
    if (options.prometheusAuth !== undefined) checkAuth(id, options.prometheusAuth, cluster.prometheusUrl)
    onDecided({ before, cluster })
    outcome = before === undefined ? 'added' : canonicalize(before) === canonicalize(cluster) ? 'unchanged' : 'updated'
    return outcome === 'unchanged' ? undefined : { id, cluster }
  })
  return outcome
}

/** Removes a cluster from the registry; its evidence and history stay. False if it was not registered. */
export async function removeCluster(id: string, author: ChangeAuthor, { objects }: RegistryDeps): Promise<boolean> {
  let wasThere = false
  await changeRegistry(author, objects, (clusters) => {
    wasThere = clusters.some((cluster) => cluster.id === id)
    return wasThere ? { id, cluster: null } : undefined
  })
  return wasThere
}

/** The current registry: the stored one, and every change recorded after it. */
async function readRegistry(objects: Objects): Promise<{ registry: Registry; etag: string | null }> {
  const stored = await objects.get(registryKey)
  let registry = EMPTY
  if (stored !== undefined) {
    const parsed = registrySchema.safeParse(parseJson(stored.body))
    if (!parsed.success) throw damaged(parsed.error)
    registry = parsed.data
  }
  // Its writer may have crashed between the change and the registry, or be about to write it.
  for await (const change of changesAfter(registry.change, objects)) registry = changed(registry, change)
  if (stored === undefined) await refuseHole(registry.change, objects)
  return { registry, etag: stored?.etag ?? null }
}

/** Throws if changes follow a missing number: a registry rebuilt from the earlier ones would silently miss clusters. */
async function refuseHole(last: number, objects: Objects): Promise<void> {
  const after = last === 0 ? undefined : changeKey('clusters', last)
  for await (const key of objects.list(changesPrefix('clusters'), after)) {
    const number = parseChangeKey(key)?.number
    if (number === undefined) continue
    // Recorded after the changes were read: no gap, and the next reader has it.
    if (number === last + 1) return
    throw new Error(
      `Cannot read "${changeKey('clusters', last + 1)}": it is missing although "${key}" is there, put back a copy of it, as nothing can make it again`,
    )
  }
}

type NumberedChange = RegistryChange & { readonly number: number; readonly at: string }

/** The recorded changes of the registry after a number. Throws an `Error` that names the key of a damaged one. */
async function* changesAfter(number: number, objects: Objects): AsyncGenerator<NumberedChange> {
  for (let next = number + 1; ; next++) {
    const change = await readChange('clusters', next, objects)
    if (change === undefined) return
    const content = contentSchema.safeParse(change.content)
    if (!content.success) throw damagedChange(changeKey('clusters', next))
    yield { ...content.data, at: change.at, number: next }
  }
}

function changed(registry: Registry, { id, cluster, number, at }: NumberedChange): Registry {
  const others = registry.clusters.filter((one) => one.id !== id)
  if (cluster !== null) {
    const clusters = [...others, cluster].toSorted((a, b) => compareText(a.id, b.id))
    return { ...registry, change: number, clusters }
  }
  const gone = registry.clusters.filter((one) => one.id === id).map((one) => ({ ...one, removedAt: at }))
  return { ...registry, change: number, clusters: others, removed: [...(registry.removed ?? []), ...gone] }
}

/**
 * The clusters that were changed or removed after a change number, and the number of changes. A rolled-back registry hides them; the changes, which are written
 * once, do not. Throws an `Error` that names the key of a damaged change.
 */
export async function readChangedSince(
  number: number,
  { objects }: RegistryDeps,
): Promise<{ readonly ids: ReadonlySet<string>; readonly changes: number }> {
  const ids = new Set<string>()
  let changes = number
  for await (const change of changesAfter(number, objects)) {
    ids.add(change.id)
    changes = change.number
  }
  return { ids, changes }
}

/** The registry according to the recorded changes. */
export type RecordedRegistry = {
  /** Every cluster that was ever registered, in its last form. */
  readonly clusters: readonly Cluster[]
  /** Number of recorded changes. */
  readonly changes: number
  /** The bytes of the registry after the change whose number the stored registry has; undefined if no such change is recorded. */
  readonly bytes: Uint8Array | undefined
}

/**
 * Rebuilds the registry from every recorded change, up to the one that the stored registry names: that may be behind if its writer crashed after recording a
 * change. Throws an `Error` that names the key of a damaged change.
 */
export async function readRecorded({ objects }: RegistryDeps): Promise<RecordedRegistry> {
  const stored = parseJson((await objects.get(registryKey))?.body ?? Buffer.of())
  const number = z.object({ change: z.int() }).safeParse(stored).data?.change
  const clusters = new Map<string, Cluster>()
  let registry = EMPTY
  let bytes: Uint8Array | undefined
  for await (const change of changesAfter(0, objects)) {
    registry = changed(registry, change)
    if (change.cluster !== null) clusters.set(change.id, change.cluster)
    if (change.number === number) bytes = encode(registry)
  }
  return { clusters: [...clusters.values()], changes: registry.change, bytes }
}

const EMPTY: Registry = { format: 'ciphertrail/clusters/1', change: 0, clusters: [] }

function encode(registry: Registry): Uint8Array {
  return Buffer.from(canonicalize(registry) ?? '')
}

function damaged({ issues: [issue] }: z.ZodError): Error {
  const place = issue?.path.join('.') ?? ''
  return new Error(
    `Cannot read the registry "${registryKey}": ${place === '' ? 'it is not a registry' : `"${place}" is absent or wrong`}, move it away: it is made again from what is recorded under "${changesPrefix('clusters')}"`,
  )
}

/**
 * Decides and records one change of the registry; decides again after a concurrent change. `decide` returns undefined if there is nothing to change. The change
 * counts from the moment it is recorded.
 */
async function changeRegistry(
  author: ChangeAuthor,
  objects: Objects,
  decide: (clusters: readonly Cluster[]) => RegistryChange | undefined,
): Promise<void> {
  for (let round = 1; ; round++) {
    const { registry } = await readRegistry(objects)
    const content = decide(registry.clusters)
    if (content === undefined) return
    try {
      await recordChange({ kind: 'clusters', number: registry.change + 1, content }, author, objects)
      break
    } catch (error) {
      if (!(error instanceof ConflictError) || round === MAX_ROUNDS) throw error
    }
  }
  const { registry, etag } = await readRegistry(objects)
  // If another writer is first, readers complete its registry from the changes, as they do after a crash here.
  await swap(registryKey, encode(registry), etag, objects)
}

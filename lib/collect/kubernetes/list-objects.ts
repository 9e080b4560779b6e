import * as z from 'zod'
import { concurrently } from '../../concurrently.ts'
import type { Cluster } from '../../model/registry.ts'
import type { KubernetesList, Snapshot } from '../../model/snapshot.ts'
import { CONNECTIONS } from '../../net/connections.ts'
import { ReduceError, reduceItems } from '../../observed/reduce-objects.ts'
import type { Resource } from '../../observed/kubernetes-fields.ts'
import { budget, exceeds, jsonSize } from '../../observed/budget.ts'
import { oneLine } from '../../text/redact.ts'
import { toSeconds, toTime } from '../../time/windows.ts'
import type { KubernetesApi } from '../cluster/apis.ts'
import { CONFIG_MAPS, LISTINGS, type Listing, listPath, splitResource } from './listings.ts'
import { SourceError } from '../../net/errors.ts'
import type { FailureKind, Hints } from '../../net/errors.ts'

/** The dependencies of lists, in addition to the API. */
export type ListDeps = {
  /** Our clock, or the replay's. */
  readonly now: () => Date
}

const PAGE_SIZE = 500

/**
 * Failures of the first list, the pods, that every other list would repeat: one line is enough. Only permissions differ between lists; and without pods no
 * other list is of use.
 */
const HOPELESS: ReadonlySet<FailureKind> = new Set([
  'configuration',
  'unauthorized',
  'not-found',
  'rate-limited',
  'server',
  'timeout',
  'certificate',
  'connection',
  'redirect',
  'malformed',
])

/**
 * Lists the objects of a cluster's API across all namespaces, in pages, without watching. Keeps what could be read if something else fails.
 *
 * The status is `complete` if every list was read or is not served by the cluster, `failed` if the pods were not read (without them nothing can be said about
 * any workload), else `partial`. Never throws for failures of a server.
 */
export async function listAll(
  api: KubernetesApi,
  cluster: Cluster,
  { now }: ListDeps,
): Promise<Snapshot['kubernetes']> {
  const takenAt = toTime(Math.floor(toSeconds(now().toISOString())))
  const results = new Map<Resource, KubernetesList>()
  const errors = new Map<Resource, string>()
  const [pods, ...others] = LISTINGS
  const taken: Taken = { objects: 0, source: 0, values: 0 }
  const read = async (resource: Resource, list: () => Promise<KubernetesList>): Promise<SourceError | undefined> => {
    try {
      results.set(resource, await list())
      return undefined
    } catch (error) {
      if (!(error instanceof SourceError) && !(error instanceof ReduceError)) throw error
      errors.set(resource, error.message)
      return error instanceof SourceError ? error : undefined
    }
  }

  const failure = pods === undefined ? undefined : await read('pods', () => listOne(api, cluster, pods, taken))
  if (failure === undefined || !HOPELESS.has(failure.kind)) {
    const tasks = [
      ...others.map((listing) => () => read(listing.resource, () => listOne(api, cluster, listing, taken))),
      () => read('configmaps', () => readConfigMaps(api, cluster, taken)),
    ]
    await concurrently(tasks, CONNECTIONS, (task) => task())
  }

  // In the order of the table, whichever list arrived first.
  const order: readonly Resource[] = [...LISTINGS.map(({ resource }) => resource), 'configmaps']
  return {
    status: !results.has('pods') ? 'failed' : errors.size > 0 ? 'partial' : 'complete',
    errors: order.flatMap((resource) => errors.get(resource) ?? []),
    takenAt: results.size === 0 ? null : takenAt,
    lists: order.flatMap((resource) => results.get(resource) ?? []),
  }
}

/** A list of one resource, in the newest version that the cluster serves; without a version if it serves none. */
async function listOne(api: KubernetesApi, cluster: Cluster, listing: Listing, taken: Taken): Promise<KubernetesList> {
  const { resource, kind, versions, required } = listing
  const [plural] = splitResource(resource)
  const what = listWhat(plural, cluster)
  for (const [index, version] of versions.entries()) {
    try {
      const items: unknown[] = []
      for (const reason of listing.reasons ?? [undefined]) {
        const keep = (page: readonly unknown[], before: number): unknown[] => {
          const wanted = page.filter((item) => reason === undefined || isOfReason(item, reason))
          return reduceItems(resource, wanted, `${plural} of cluster "${cluster.id}"`, items.length + before)
        }
        const all = await listPages(api, {
          path: listPath(resource, version),
          kind,
          fieldSelector: reason === undefined ? undefined : `reason=${reason}`,
          what,
          hints: listHints(resource),
          keep,
          taken,
        })
        for (const item of all) items.push(item)
      }
      return { resource, version, items }
    } catch (error) {
      const isMissing = error instanceof SourceError && error.kind === 'not-found'
      if (!isMissing || (required && index === versions.length - 1)) throw error
    }
  }
  return { resource, items: [] }
}

/** The purpose of a list, in messages: `list pods of cluster "prod"`. */
export function listWhat(plural: string, cluster: Cluster): string {
  return `list ${plural} of cluster "${cluster.id}"`
}

/** A server that ignores the field selector sends all events. */
function isOfReason(item: unknown, reason: string): boolean {
  return z.object({ reason: z.literal(reason) }).safeParse(item).success
}

/** The part of a window's budget that its lists have used. */
type Taken = { objects: number; source: number; values: number }

type ListAsking = {
  readonly what: string
  readonly hints: Hints
  /** Selects the objects of a page to keep, given how many were kept before: the rest is freed before the next answer arrives. */
  readonly keep: (page: readonly unknown[], before: number) => readonly unknown[]
  /** Shared by all lists. */
  readonly taken: Taken
}

type AskedList = ListAsking & {
  readonly path: string
  /** Of its objects. */
  readonly kind: string
  readonly fieldSelector: string | undefined
}

/** All pages of a list. An expired page (410) restarts the list, once: half of an old list is useless. */
async function listPages(api: KubernetesApi, list: AskedList): Promise<unknown[]> {
  try {
    return await listOnce(api, list)
  } catch (error) {
    if (!(error instanceof SourceError && error.status === 410)) throw error
    return await listOnce(api, list)
  }
}

async function listOnce(api: KubernetesApi, list: AskedList): Promise<unknown[]> {
  const { keep, taken } = list
  const own: Taken = { objects: 0, source: 0, values: 0 }
  try {
    return await readPages(api, {
      ...list,
      keep: (page, before) => {
        const kept = keep(page, before)
        take(kept, own, list)
        return kept
      },
    })
  } catch (error) {
    // Discarded objects do not count against the other lists.
    for (const name of TAKEN) taken[name] -= own[name]
    throw error
  }
}

const TAKEN = ['objects', 'source', 'values'] as const

/** Adds a page to the used budget. Throws SourceError if it is exceeded. */
function take(kept: readonly unknown[], own: Taken, { what, taken }: ListAsking): void {
  const text = JSON.stringify(kept)
  const page: Taken = { objects: kept.length, source: text.length, values: jsonSize(text).values }
  for (const name of TAKEN) {
    own[name] += page[name]
    taken[name] += page[name]
    if (taken[name] > budget()[name])
      throw new SourceError(
        { source: 'kubernetes', what },
        'too-large',
        `the lists of the API server have ${exceeds(name, { atLeast: taken[name] })}`,
        { status: 200 },
      )
  }
}

async function readPages(api: KubernetesApi, list: AskedList): Promise<unknown[]> {
  const { path, kind, fieldSelector } = list
  const items: unknown[] = []
  let next = ''
  for (let page = 0; page < budget().pages; page++) {
    const parameters = new URLSearchParams({ limit: String(PAGE_SIZE) })
    if (fieldSelector !== undefined) parameters.set('fieldSelector', fieldSelector)
    if (next !== '') parameters.set('continue', next)
    const answer = readPage(await api.get(`${path}?${parameters.toString()}`, list), kind, list)
    for (const item of list.keep(answer.items, items.length)) items.push(item)
    const following = answer.metadata?.continue ?? ''
    if (following === '') return items
    if (following === next) throw malformed(list, 'the API server sent the same page again')
    next = following
  }
  throw new SourceError(
    { source: 'kubernetes', what: list.what },
    'too-large',
    `the list did not end, it has ${exceeds('pages', { atLeast: budget().pages + 1 })}`,
    { status: 200 },
  )
}

const listSchema = z.object({
  kind: z.string(),
  metadata: z.object({ continue: z.string().nullish() }).nullish(),
  items: z.array(z.unknown()),
})

function readPage(answer: unknown, kind: string, asking: ListAsking): z.infer<typeof listSchema> {
  const page = listSchema.safeParse(answer)
  if (!page.success) throw malformed(asking, 'the answer of the API server is no Kubernetes list')
  if (page.data.kind !== `${kind}List`)
    throw malformed(asking, `the API server sent a "${oneLine(page.data.kind)}" instead of a "${kind}List"`)
  return page.data
}

function malformed({ what, hints }: ListAsking, problem: string): SourceError {
  return new SourceError({ source: 'kubernetes', what }, 'malformed', problem, { status: 200, hint: hints.malformed })
}

/**
 * Reads Linkerd's two ConfigMaps, each by name, since that needs the fewest permissions. If the name does not exist, lists the namespace, then everything: a
 * read-only copy of an API may hold only lists. Without the permission to list, it is still known that the ConfigMap does not exist.
 */
async function readConfigMaps(api: KubernetesApi, cluster: Cluster, taken: Taken): Promise<KubernetesList> {
  const namespace = cluster.linkerdNamespace
  const base = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`
  const items: unknown[] = []
  for (const name of CONFIG_MAPS) {
    const asking = {
      what: `read configmap ${name} of cluster "${cluster.id}"`,
      hints: { forbidden: `grant "get" on "configmaps" in the namespace "${oneLine(namespace)}"` },
      keep: (page: readonly unknown[]) => page.filter((item) => isNamed(item, name, namespace)),
      taken,
    }
    const found = await firstFound([
      () => api.get(`${base}/${name}`, asking),
      () => findInList(api, base, name, asking),
      () => findInList(api, '/api/v1/configmaps', name, asking),
    ])
    if (found !== undefined) items.push(found)
  }
  if (items.length === 0) return { resource: 'configmaps', items }
  const reduced = reduceItems('configmaps', items, `configmaps of cluster "${cluster.id}"`)
  return { resource: 'configmaps', version: 'v1', items: reduced }
}

/** The first answer; undefined if there is none. Only a failure of the first request is an error. */
async function firstFound(ways: readonly (() => Promise<unknown>)[]): Promise<unknown> {
  for (const [index, way] of ways.entries()) {
    try {
      const found = await way()
      if (found !== undefined) return found
    } catch (error) {
      const isMissing = error instanceof SourceError && error.kind === 'not-found'
      const mayNotList = index > 0 && error instanceof SourceError && error.kind === 'forbidden'
      if (!isMissing && !mayNotList) throw error
    }
  }
  return undefined
}

async function findInList(api: KubernetesApi, path: string, name: string, asking: ListAsking): Promise<unknown> {
  const [found] = await listPages(api, { ...asking, path, kind: 'ConfigMap', fieldSelector: `metadata.name=${name}` })
  return found
}

function isNamed(item: unknown, name: string, namespace: string): boolean {
  const wanted = z.object({ metadata: z.object({ name: z.literal(name), namespace: z.literal(namespace) }) })
  return wanted.safeParse(item).success
}

function listHints(resource: Resource): Hints {
  const [plural, group] = splitResource(resource)
  const inGroup = group === '' ? '' : ` in the API group "${group}"`
  return {
    forbidden: `the credentials may not list ${plural} in all namespaces, grant "list" on "${plural}"${inGroup}`,
  }
}

import canonicalize from 'canonicalize'
import { z } from 'zod'
import { toTime } from '../collect/windows.ts'
import { WINDOW_MINUTES } from '../model.ts'
import type { Cluster, WindowMinutes, WindowSetting } from '../model.ts'
import { isClusterId, registryKey } from './keys.ts'
import { PreconditionFailedError } from './objects.ts'
import type { Objects } from './objects.ts'

/** What an operator says of a cluster. What is absent keeps what it was, or takes its default when the cluster is new. */
export type ClusterOptions = {
  readonly id: string
  readonly kubeconfig?: string
  readonly context?: string
  readonly prometheusUrl?: string
  /** Default `linkerd`. */
  readonly linkerdNamespace?: string
  /** Default `linkerd-viz`. */
  readonly vizNamespace?: string
  /** Default 60. */
  readonly windowMinutes?: number
}

/** What was said of a cluster cannot be: one line that never holds a credential. */
export class ClusterOptionError extends Error {
  override readonly name = 'ClusterOptionError'
}

export type RegistryDeps = { readonly objects: Objects }

const DEFAULTS = { linkerdNamespace: 'linkerd', vizNamespace: 'linkerd-viz', windowMinutes: 60 } as const

/** The first setting is in force from the beginning of time, so windows before the registration can be collected, too. */
const BEGINNING = '1970-01-01T00:00:00Z'

const DAY_SECONDS = 24 * 60 * 60

/** How often others may be first with a change, before something else must be wrong. */
const MOST_ROUNDS = 25

const namespace = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)

const clusterSchema: z.ZodType<Cluster> = z.looseObject({
  id: z.string().refine(isClusterId),
  registeredAt: z.iso.datetime(),
  kubeconfig: z.string().exactOptional(),
  context: z.string().exactOptional(),
  prometheusUrl: z.string().exactOptional(),
  linkerdNamespace: namespace,
  vizNamespace: namespace,
  windows: z.array(z.looseObject({ since: z.iso.datetime(), minutes: z.literal(WINDOW_MINUTES) })).min(1),
})

const registrySchema = z.looseObject({
  format: z.literal('ciphertrail/clusters/1'),
  clusters: z
    .array(clusterSchema)
    .refine((clusters) => new Set(clusters.map(({ id }) => id)).size === clusters.length, 'two clusters have one id'),
})

type Registry = z.infer<typeof registrySchema>

/** The registered clusters, sorted by id; empty where none was ever registered. Throws an `Error` that names the key if the registry is damaged. */
export async function readClusters({ objects }: RegistryDeps): Promise<Cluster[]> {
  const { clusters } = (await readRegistry(objects)).registry
  return clusters
}

/**
 * Registers a cluster, or changes what is given of one that is. Another window size takes effect at the next UTC midnight after
 * `now`. Throws {@link ClusterOptionError} for what cannot be.
 */
export async function addCluster(
  options: ClusterOptions,
  now: Date,
  { objects }: RegistryDeps,
): Promise<'added' | 'updated' | 'unchanged'> {
  const { id } = options
  checkOptions(options)
  let outcome: 'added' | 'updated' | 'unchanged' = 'unchanged'
  await changeRegistry(objects, (clusters) => {
    const before = clusters.find((cluster) => cluster.id === id)
    const after = withOptions(before ?? newCluster(options, now), options, now)
    outcome = before === undefined ? 'added' : canonicalize(before) === canonicalize(after) ? 'unchanged' : 'updated'
    const others = clusters.filter((cluster) => cluster !== before)
    return outcome === 'unchanged' ? undefined : [...others, after].toSorted((a, b) => (a.id < b.id ? -1 : 1))
  })
  return outcome
}

/** Takes a cluster out of the registry; its evidence and history stay. False where it was not registered. */
export async function removeCluster(id: string, { objects }: RegistryDeps): Promise<boolean> {
  let wasThere = false
  await changeRegistry(objects, (clusters) => {
    wasThere = clusters.some((cluster) => cluster.id === id)
    return wasThere ? clusters.filter((cluster) => cluster.id !== id) : undefined
  })
  return wasThere
}

function newCluster({ id, windowMinutes = DEFAULTS.windowMinutes }: ClusterOptions, now: Date): Cluster {
  const minutes = toWindowMinutes(id, windowMinutes)
  const { linkerdNamespace, vizNamespace } = DEFAULTS
  const windows = [{ since: BEGINNING, minutes }]
  return { id, registeredAt: toTime(Math.floor(now.getTime() / 1000)), linkerdNamespace, vizNamespace, windows }
}

function withOptions(cluster: Cluster, { windowMinutes, ...options }: ClusterOptions, now: Date): Cluster {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const windows =
    windowMinutes === undefined
      ? cluster.windows
      : withWindow(cluster.windows, toWindowMinutes(cluster.id, windowMinutes), now)
  return { ...cluster, ...given, windows }
}

/** A size that was to come is replaced by another; a size that was in force for any time stays in the list. */
function withWindow(windows: readonly WindowSetting[], minutes: WindowMinutes, now: Date): readonly WindowSetting[] {
  if (windows.at(-1)?.minutes === minutes) return windows
  const inForce = windows.filter(({ since }, index) => index === 0 || Date.parse(since) <= now.getTime())
  if (inForce.at(-1)?.minutes === minutes) return inForce
  const midnight = (Math.floor(now.getTime() / 1000 / DAY_SECONDS) + 1) * DAY_SECONDS
  return [...inForce, { since: toTime(midnight), minutes }]
}

function toWindowMinutes(id: string, minutes: number): WindowMinutes {
  const known = WINDOW_MINUTES.find((one) => one === minutes)
  if (known !== undefined) return known
  throw optionError(id, `a window has ${WINDOW_MINUTES.join(', ')} minutes, not ${minutes}`)
}

function checkOptions(options: ClusterOptions): void {
  const { id } = options
  if (!isClusterId(id)) {
    throw optionError(id, 'an id has 1 to 63 of "a-z", "0-9" and "-", and neither begins nor ends with "-"')
  }
  if (options.windowMinutes !== undefined) toWindowMinutes(id, options.windowMinutes)
  for (const name of [options.linkerdNamespace, options.vizNamespace]) {
    if (name !== undefined && !namespace.safeParse(name).success) {
      throw optionError(id, `${JSON.stringify(name)} is not the name of a namespace`)
    }
  }
  for (const [what, text] of [
    ['kubeconfig', options.kubeconfig],
    ['context', options.context],
  ] as const) {
    // Control characters: what is stored here is printed in lists.
    if (text !== undefined && (text === '' || /\p{C}/u.test(text))) {
      throw optionError(id, `${JSON.stringify(text)} is not the name of a ${what}`)
    }
  }
  if (options.prometheusUrl !== undefined) checkPrometheusUrl(id, options.prometheusUrl)
}

/** Never quotes the URL: what is wrong with it may be the credential inside. */
function checkPrometheusUrl(id: string, text: string): void {
  const url = URL.parse(text)
  if (url === null || !/^https?:\/\/[^\s\p{C}]+$/iu.test(text)) {
    throw optionError(
      id,
      'its Prometheus URL must be one such as http://127.0.0.1:9090 or https://prometheus.example/path',
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw optionError(
      id,
      'its Prometheus URL holds a credential, which would be stored; reach Prometheus through a port-forward, or a proxy that adds the credential',
    )
  }
  if (/[?#]/.test(text)) throw optionError(id, 'its Prometheus URL must have neither a query nor a fragment')
}

function optionError(id: string, state: string): ClusterOptionError {
  return new ClusterOptionError(`Cannot add cluster ${JSON.stringify(id)}: ${state}`)
}

async function readRegistry(objects: Objects): Promise<{ registry: Registry; etag: string | null }> {
  const stored = await objects.get(registryKey)
  if (stored === undefined) return { registry: { format: 'ciphertrail/clusters/1', clusters: [] }, etag: null }
  const parsed = registrySchema.safeParse(parseJson(Buffer.from(stored.body).toString()))
  if (parsed.success) return { registry: parsed.data, etag: stored.etag }
  const [issue] = parsed.error.issues
  const place = issue?.path.join('.') ?? ''
  throw new Error(
    `Cannot read the registry "${registryKey}": ${place === '' ? 'it is not a registry' : `"${place}" is absent or wrong`}, mend it or move it away and add the clusters again`,
  )
}

/** Undefined of what is not JSON, which no registry is. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Applies a change to what is stored; again, if somebody else was first. `change` gives undefined where there is none to make. */
async function changeRegistry(
  objects: Objects,
  change: (clusters: readonly Cluster[]) => readonly Cluster[] | undefined,
): Promise<void> {
  for (let round = 1; ; round++) {
    const { registry, etag } = await readRegistry(objects)
    const clusters = change(registry.clusters)
    if (clusters === undefined) return
    const text = canonicalize({ ...registry, clusters }) ?? ''
    try {
      await objects.putIf(registryKey, Buffer.from(text), etag)
      return
    } catch (error) {
      if (!(error instanceof PreconditionFailedError) || round === MOST_ROUNDS) throw error
    }
  }
}

import { z } from 'zod'
import type { Cluster } from '../model.ts'
import type { KubernetesApi } from './cluster.ts'
import { SourceError, UnreachableError } from './http.ts'
import type { Hints } from './http.ts'
import type { PodPort } from './port-forward.ts'
import { compareText } from '../text-order.ts'
import { grantText } from './rights.ts'
import { oneLine } from './text.ts'

/** A pod that runs Prometheus. A pod of the same name with another `uid` is another one, with other data. */
export type PrometheusPod = PodPort & {
  readonly uid: string
  /** What paths begin with, without a slash at the end; empty for viz's own. */
  readonly prefix: string
}

/** Whose pods, and which of their ports: a number, or the name that a container gives it. */
type Target = {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly port: number | string
  readonly prefix: string
  /** The Service that leads to them; absent for viz's own. */
  readonly service?: string
}

/** Where linkerd-viz writes the address of a Prometheus that is not its own. */
const EXTERNAL_PROMETHEUS = 'viz.linkerd.io/external-prometheus'

/** As the Service `prometheus` of linkerd-viz selects. */
const VIZ_LABELS = { component: 'prometheus', 'linkerd.io/extension': 'viz' } as const
const VIZ_PORT = 9090

const CORE = { group: '' } as const

const name = z.string().regex(/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/)
const strings = z.record(z.string(), z.string())

const namespaceSchema = z.object({ metadata: z.object({ annotations: strings.nullish() }) })

const serviceSchema = z.object({
  spec: z.object({
    selector: strings.nullish(),
    ports: z.array(z.object({ port: z.int(), targetPort: z.union([z.int(), z.string()]).nullish() })).nullish(),
  }),
})

const podSchema = z.object({
  metadata: z.object({
    name,
    namespace: name,
    uid: z.string().min(1),
    creationTimestamp: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
    labels: strings.nullish(),
  }),
  spec: z.object({
    containers: z.array(
      z.object({ ports: z.array(z.object({ name: z.string().nullish(), containerPort: z.int() })).nullish() }),
    ),
  }),
  status: z.object({
    phase: z.string().nullish(),
    containerStatuses: z.array(z.object({ ready: z.boolean().nullish() })).nullish(),
  }),
})
type Pod = z.infer<typeof podSchema>

const listSchema = z.object({ items: z.array(z.unknown()) })

/**
 * Finds the pod to forward to: viz's own Prometheus by its labels, or, where the namespace of viz names another Prometheus that is a
 * Service of this cluster, a pod of that Service. Of several pods the oldest that is ready.
 *
 * @throws UnreachableError where there is none, or it may not be looked for
 */
export async function findPrometheus(api: Pick<KubernetesApi, 'get'>, cluster: Cluster): Promise<PrometheusPod> {
  const target = await findTarget(api, cluster)
  const selector = Object.entries(target.labels).map(([label, value]) => `${label}=${value}`)
  const parameters = new URLSearchParams({ labelSelector: selector.join(',') })
  const answer = await read(api, `/api/v1/namespaces/${target.namespace}/pods?${parameters.toString()}`, listSchema, {
    what: 'list the pods of Prometheus',
    hints: { forbidden: grantText({ ...CORE, verb: 'list', resource: 'pods', namespace: target.namespace }) },
  })
  return choosePod(
    answer.items.flatMap((item) => podSchema.safeParse(item).data ?? []),
    target,
  )
}

/** Of several pods the oldest that is ready, so that two who ask choose the same. Throws UnreachableError. */
function choosePod(pods: readonly Pod[], { namespace, labels, port, prefix }: Target): PrometheusPod {
  // A server that does not know selectors sends all.
  const selected = pods.filter(({ metadata }) =>
    Object.entries(labels).every(([label, value]) => metadata.labels?.[label] === value),
  )
  const whose = `with the labels ${Object.entries(labels)
    .map(([label, value]) => oneLine(`${label}=${value}`))
    .join(', ')} in the namespace "${namespace}"`
  if (selected.length === 0)
    throw new UnreachableError('not-found', `there is no pod ${whose}`, {
      hint: 'is linkerd-viz installed there? Else give --viz-namespace, or the address of another Prometheus with --prometheus-url',
    })
  const ready = selected
    .filter(isReady)
    .toSorted((a, b) => bornAt(a) - bornAt(b) || compareText(a.metadata.name, b.metadata.name))
  const [pod] = ready
  if (pod === undefined)
    throw new UnreachableError('connection', `no pod ${whose} is ready`, {
      again: true,
      hint: 'wait until Prometheus runs, then collect again',
    })
  return {
    namespace: pod.metadata.namespace,
    pod: pod.metadata.name,
    uid: pod.metadata.uid,
    port: portOf(pod, port),
    prefix,
  }
}

function isReady({ metadata, status }: Pod): boolean {
  const containers = status.containerStatuses ?? []
  return (
    typeof metadata.deletionTimestamp !== 'string' &&
    status.phase === 'Running' &&
    containers.length > 0 &&
    containers.every(({ ready }) => ready === true)
  )
}

function bornAt({ metadata }: Pod): number {
  return Date.parse(metadata.creationTimestamp ?? '') || 0
}

function portOf({ metadata, spec }: Pod, wanted: number | string): number {
  if (typeof wanted === 'number') return wanted
  const ports = spec.containers.flatMap(({ ports: own }) => own ?? [])
  const found = ports.find((port) => port.name === wanted)
  if (found === undefined)
    throw new UnreachableError('not-found', `the pod "${metadata.name}" has no port "${oneLine(wanted)}"`, {
      hint: 'correct the targetPort of its Service',
    })
  return found.containerPort
}

/**
 * Finds whose pods Prometheus is, without looking for them.
 *
 * @throws UnreachableError
 */
export async function findTarget(api: Pick<KubernetesApi, 'get'>, cluster: Cluster): Promise<Target> {
  const { vizNamespace } = cluster
  const own: Target = { namespace: vizNamespace, labels: VIZ_LABELS, port: VIZ_PORT, prefix: '' }
  const namespace = await read(api, `/api/v1/namespaces/${vizNamespace}`, namespaceSchema, {
    what: 'read the namespace of linkerd-viz',
    hints: {
      forbidden: grantText({ ...CORE, verb: 'get', resource: 'namespaces', name: vizNamespace }),
      'not-found':
        'is linkerd-viz installed? Else give --viz-namespace, or the address of another Prometheus with --prometheus-url',
    },
  })
  const annotation = namespace.metadata.annotations?.[EXTERNAL_PROMETHEUS] ?? ''
  if (annotation === '') return own
  const service = serviceOf(annotation, vizNamespace)
  if (service === undefined) throw outside(annotation)
  const found = await read(api, `/api/v1/namespaces/${service.namespace}/services/${service.name}`, serviceSchema, {
    what: 'read the Service of Prometheus',
    hints: {
      forbidden: grantText({
        ...CORE,
        verb: 'get',
        resource: 'services',
        namespace: service.namespace,
        name: service.name,
      }),
    },
  }).catch((error: unknown) => {
    throw error instanceof UnreachableError && error.kind === 'not-found' ? outside(annotation) : error
  })
  const { ports } = found.spec
  const selector = found.spec.selector ?? {}
  const port = ports?.find((one) => one.port === service.port)
  if (Object.keys(selector).length === 0 || port === undefined) throw outside(annotation)
  return {
    namespace: service.namespace,
    labels: selector,
    port: port.targetPort ?? port.port,
    prefix: service.prefix,
    service: service.name,
  }
}

/** The Service that an address inside a cluster names; undefined where it leads elsewhere, or to HTTPS, which a port-forward does not end. */
export function serviceOf(
  address: string,
  vizNamespace: string,
): { readonly namespace: string; readonly name: string; readonly port: number; readonly prefix: string } | undefined {
  const url = URL.parse(address.includes('://') ? address : `http://${address}`)
  if (url === null || url.protocol !== 'http:') return undefined
  const [service, namespace = vizNamespace, kind = 'svc'] = url.hostname.split('.')
  if (kind !== 'svc' || !name.safeParse(service).success || !name.safeParse(namespace).success || service === undefined)
    return undefined
  const port = url.port === '' ? 80 : Number(url.port)
  return { namespace, name: service, port, prefix: url.pathname.replace(/\/+$/, '') }
}

/** Never connected to on a cluster's word alone: whoever can annotate a namespace would choose where requests go. */
function outside(annotation: string): UnreachableError {
  const url = URL.parse(annotation)
  const host = url === null || url.host === '' ? '' : ` at ${oneLine(url.host)}` // its user and password are nobody's business
  return new UnreachableError(
    'configuration',
    `linkerd-viz uses a Prometheus${host} that is no pod of this cluster behind plain HTTP`,
    { hint: 'give its address with --prometheus-url' },
  )
}

async function read<T>(
  api: Pick<KubernetesApi, 'get'>,
  path: string,
  schema: z.ZodType<T>,
  asking: { readonly what: string; readonly hints: Hints },
): Promise<T> {
  let answer: unknown
  try {
    answer = await api.get(path, asking)
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    // It was tried often enough.
    throw new UnreachableError(error.kind, `could not ${error.what}, ${error.problem}`, { hint: error.hint })
  }
  const parsed = schema.safeParse(answer)
  if (!parsed.success)
    throw new UnreachableError('malformed', `could not ${asking.what}, the answer of the API server is of another kind`)
  return parsed.data
}

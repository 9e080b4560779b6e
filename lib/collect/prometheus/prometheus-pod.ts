import * as z from 'zod'
import type { Cluster } from '../../model/registry.ts'
import { findReadyPod, objectName as name, readObject as read } from '../kubernetes/ready-pod.ts'
import type { PodTarget, ReadyPod } from '../kubernetes/ready-pod.ts'
import { grantText } from '../cluster/rights.ts'
import { oneLine } from '../../text/redact.ts'
import type { KubernetesApi } from '../cluster/apis.ts'
import { UnreachableError } from '../../net/errors.ts'

/** A pod that runs Prometheus. A pod of the same name with another `uid` is another one, with other data. */
export type PrometheusPod = ReadyPod & {
  /** Prefix of paths, without a slash at the end; empty for viz's own. */
  readonly prefix: string
}

type Target = PodTarget & {
  readonly prefix: string
  /** The Service in front of them; absent for viz's own. */
  readonly service?: string
}

/** Where linkerd-viz writes the address of an external Prometheus. */
const EXTERNAL_PROMETHEUS = 'viz.linkerd.io/external-prometheus'

/** The selector of linkerd-viz's Service `prometheus`. */
const VIZ_LABELS = { component: 'prometheus', 'linkerd.io/extension': 'viz' } as const
const VIZ_PORT = 9090

const WORDS = {
  name: 'Prometheus',
  missing:
    'is linkerd-viz installed there? Else give --viz-namespace, or the address of another Prometheus with --prometheus-url',
  starting: 'wait until Prometheus runs, then collect again',
} as const

const CORE = { group: '' } as const

const strings = z.record(z.string(), z.string())

const namespaceSchema = z.object({ metadata: z.object({ annotations: strings.nullish() }) })

const serviceSchema = z.object({
  spec: z.object({
    selector: strings.nullish(),
    ports: z.array(z.object({ port: z.int(), targetPort: z.union([z.int(), z.string()]).nullish() })).nullish(),
  }),
})

/**
 * Finds the pod to forward to: viz's own Prometheus by its labels, or, if the namespace of viz names another Prometheus that is a Service of this cluster, a
 * pod of that Service. The oldest ready one of several.
 *
 * @throws UnreachableError if there is none, or looking for it is not permitted
 */
export async function findPrometheus(api: Pick<KubernetesApi, 'get'>, cluster: Cluster): Promise<PrometheusPod> {
  const target = await findTarget(api, cluster)
  return { ...(await findReadyPod(api, target, WORDS)), prefix: target.prefix }
}

/**
 * Finds the labels of Prometheus' pods, without looking for the pods.
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

/** The Service that a URL inside a cluster names; undefined if it leads elsewhere, or to HTTPS, which a port-forward does not terminate. */
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

/** Not contacted on the cluster's word alone: anyone who can annotate a namespace could redirect requests. */
function outside(annotation: string): UnreachableError {
  const url = URL.parse(annotation)
  const host = url === null || url.host === '' ? '' : ` at ${oneLine(url.host)}` // never show its user and password
  return new UnreachableError(
    'configuration',
    `linkerd-viz uses a Prometheus${host} that is no pod of this cluster behind plain HTTP`,
    { hint: 'give its address with --prometheus-url' },
  )
}

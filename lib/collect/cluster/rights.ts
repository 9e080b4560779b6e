import type { Cluster } from '../../model/registry.ts'
import { CONFIG_MAPS, LISTINGS, splitResource } from '../kubernetes/listings.ts'

/** A permission in a cluster, as an RBAC rule grants it. */
export type Right = {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'delete'
  /** Empty: the core group. */
  readonly group: string
  /** A plural, with its subresource: `pods/portforward`. */
  readonly resource: string
  /** Absent: all namespaces, or not namespaced. */
  readonly namespace?: string
  /** Absent: any name. */
  readonly name?: string
}

/** A permission that a connection needs. */
export type NeededRight = Right & {
  /** What is unknown without it. */
  readonly why: string
  /** The first minor version of Kubernetes 1 that requires it; absent: all do. */
  readonly since?: number
}

/** The purpose of each list, by its plural. */
const WHY: Readonly<Record<string, string>> = {
  pods: 'it tells which pod an address is, and which pods have a proxy',
  namespaces: 'it tells where proxies are injected',
  services: 'it tells what an address of a Service stands for',
  serviceaccounts: 'it tells whose identity a certificate is',
  replicasets: 'it tells which Deployment a pod belongs to',
  deployments: 'it tells the workloads and what their pods are to be',
  statefulsets: 'it tells the workloads and what their pods are to be',
  daemonsets: 'it tells the workloads and what their pods are to be',
  jobs: 'it tells which CronJob a pod belongs to',
  cronjobs: 'it tells the workloads and what their pods are to be',
  endpointslices: 'it tells which pods stand behind a Service',
  servers: 'it tells whether policy refuses plain text',
  authorizationpolicies: 'it tells whether policy refuses plain text',
  meshtlsauthentications: 'it is evidence of whom policy lets in',
  networkauthentications: 'it is evidence of whom policy lets in',
  egressnetworks: 'it is evidence of what may leave the cluster',
  httplocalratelimitpolicies: 'it is evidence of what policy limits',
  serverauthorizations: 'it tells whether policy refuses plain text',
  httproutes: 'it tells whether policy refuses plain text',
  externalworkloads: 'it is evidence of which addresses outside the cluster are meshed',
  events: 'it tells why the injector left a pod alone',
}

/** Permissions to read the Kubernetes API, always needed. */
export function kubernetesRights({ linkerdNamespace }: Cluster): readonly NeededRight[] {
  return [
    ...LISTINGS.map(({ resource }): NeededRight => {
      const [plural, group] = splitResource(resource)
      return { verb: 'list', group, resource: plural, why: WHY[plural] ?? 'it is part of the evidence' }
    }),
    ...CONFIG_MAPS.map((name): NeededRight => ({
      verb: 'get',
      group: '',
      resource: 'configmaps',
      namespace: linkerdNamespace,
      name,
      why: 'it tells the defaults of the mesh and its trust anchors',
    })),
  ]
}

/** The namespace of Prometheus' pods, and the Service in front of them if they are not viz's own. */
export type PrometheusPlace = { readonly namespace: string; readonly service?: string }

/** Additional permissions to reach Prometheus by port-forward. */
export function forwardRights(
  { vizNamespace }: Cluster,
  { namespace, service }: PrometheusPlace,
): readonly NeededRight[] {
  const core = { group: '', namespace }
  return [
    {
      verb: 'get',
      group: '',
      resource: 'namespaces',
      name: vizNamespace,
      why: 'it tells whether linkerd-viz has a Prometheus of its own',
    },
    ...(service === undefined
      ? []
      : [
          {
            verb: 'get',
            ...core,
            resource: 'services',
            name: service,
            why: 'it leads to the pods of Prometheus',
          } as const,
        ]),
    { verb: 'list', ...core, resource: 'pods', why: 'it finds the pod of Prometheus' },
    { verb: 'get', ...core, resource: 'pods/portforward', why: 'it opens the way to Prometheus' },
    { verb: 'create', ...core, resource: 'pods/portforward', why: 'it opens the way to Prometheus', since: 35 },
  ]
}

/** Permissions to tap workloads; none if the cluster is not registered for tap. */
export function tapRights({ tapSeconds }: Pick<Cluster, 'tapSeconds'>): readonly NeededRight[] {
  if (tapSeconds === undefined) return []
  return ['deployments', 'statefulsets', 'daemonsets'].map((kind) => ({
    verb: 'watch',
    group: 'tap.linkerd.io',
    resource: `${kind}/tap`,
    why: 'it tells who sends what arrives without mesh TLS',
  }))
}

/** Additional permissions to read proxies by the names of their pods, which can be in any namespace. */
export const PROXY_RIGHTS: readonly NeededRight[] = [
  { verb: 'get', group: '', resource: 'pods/portforward', why: 'it opens the way to the proxies' },
  { verb: 'create', group: '', resource: 'pods/portforward', why: 'it opens the way to the proxies', since: 35 },
]

/** Permissions that are not needed and could do harm. */
export const NEEDLESS: readonly Right[] = [
  { verb: 'list', group: '', resource: 'secrets' },
  { verb: 'create', group: '', resource: 'pods/exec' },
  { verb: 'delete', group: '', resource: 'pods' },
]

/** A permission in a few words: `list pods in all namespaces`. */
export function rightText({ verb, resource, group, namespace, name }: Right): string {
  const what = group === '' ? resource : `${resource}.${group}`
  const which = name === undefined ? '' : ` "${name}"`
  const where =
    namespace !== undefined ? ` in the namespace "${namespace}"` : name === undefined ? ' in all namespaces' : ''
  return `${verb} ${what}${which}${where}`
}

/** The rule that grants a permission, in words: `grant "list" on "jobs" in the API group "batch"`. */
export function grantText({ verb, resource, group, namespace, name }: Right): string {
  const inGroup = group === '' ? '' : ` in the API group "${group}"`
  const where = namespace === undefined ? '' : ` in the namespace "${namespace}"`
  const which = name === undefined ? '' : `, with the resource name "${name}"`
  return `grant "${verb}" on "${resource}"${inGroup}${where}${which}`
}

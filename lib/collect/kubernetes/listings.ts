import type { Resource } from '../../observed/kubernetes-fields.ts'

/** A list that is read from each cluster. */
export type Listing = {
  readonly resource: Resource
  /** Kind of the objects; the list's kind ends in "List". */
  readonly kind: string
  /** Newest first; the first that the cluster serves is used. Empty text: the core group's path. */
  readonly versions: readonly string[]
  /** False: a cluster may lack it (404 for every version). */
  readonly required: boolean
  /** The reasons of events to read, each with its own request: a field selector has no `or`. */
  readonly reasons?: readonly string[]
}

/** All lists that are read, pods first: the other lists explain them, and a window's facts hold from that moment. Secrets are not among them. */
export const LISTINGS: readonly Listing[] = [
  { resource: 'pods', kind: 'Pod', versions: ['v1'], required: true },
  { resource: 'namespaces', kind: 'Namespace', versions: ['v1'], required: true },
  { resource: 'services', kind: 'Service', versions: ['v1'], required: true },
  { resource: 'serviceaccounts', kind: 'ServiceAccount', versions: ['v1'], required: true },
  { resource: 'replicasets.apps', kind: 'ReplicaSet', versions: ['v1'], required: true },
  { resource: 'deployments.apps', kind: 'Deployment', versions: ['v1'], required: true },
  { resource: 'statefulsets.apps', kind: 'StatefulSet', versions: ['v1'], required: true },
  { resource: 'daemonsets.apps', kind: 'DaemonSet', versions: ['v1'], required: true },
  { resource: 'jobs.batch', kind: 'Job', versions: ['v1'], required: true },
  { resource: 'cronjobs.batch', kind: 'CronJob', versions: ['v1'], required: true },
  { resource: 'endpointslices.discovery.k8s.io', kind: 'EndpointSlice', versions: ['v1'], required: false },
  {
    resource: 'servers.policy.linkerd.io',
    kind: 'Server',
    versions: ['v1beta3', 'v1beta2', 'v1beta1', 'v1alpha1'],
    required: false,
  },
  {
    resource: 'authorizationpolicies.policy.linkerd.io',
    kind: 'AuthorizationPolicy',
    versions: ['v1alpha1'],
    required: false,
  },
  {
    resource: 'meshtlsauthentications.policy.linkerd.io',
    kind: 'MeshTLSAuthentication',
    versions: ['v1alpha1'],
    required: false,
  },
  {
    resource: 'networkauthentications.policy.linkerd.io',
    kind: 'NetworkAuthentication',
    versions: ['v1alpha1'],
    required: false,
  },
  { resource: 'egressnetworks.policy.linkerd.io', kind: 'EgressNetwork', versions: ['v1alpha1'], required: false },
  {
    resource: 'httplocalratelimitpolicies.policy.linkerd.io',
    kind: 'HTTPLocalRateLimitPolicy',
    versions: ['v1alpha1'],
    required: false,
  },
  {
    resource: 'serverauthorizations.policy.linkerd.io',
    kind: 'ServerAuthorization',
    versions: ['v1beta1', 'v1alpha1'],
    required: false,
  },
  {
    resource: 'httproutes.policy.linkerd.io',
    kind: 'HTTPRoute',
    versions: ['v1beta3', 'v1beta2', 'v1beta1', 'v1alpha1'],
    required: false,
  },
  {
    resource: 'externalworkloads.workload.linkerd.io',
    kind: 'ExternalWorkload',
    versions: ['v1beta1', 'v1alpha1'],
    required: false,
  },
  // Why the injector skipped a pod, and which pods controllers made. The API server keeps events for an hour and sends only these.
  {
    resource: 'events',
    kind: 'Event',
    versions: ['v1'],
    required: false,
    reasons: ['InjectionSkipped', 'SuccessfulCreate'],
  },
]

/** The ConfigMaps of Linkerd's namespace that are read, by name. */
export const CONFIG_MAPS = ['linkerd-config', 'linkerd-identity-trust-roots'] as const

/** Path of a list across all namespaces. */
export function listPath(resource: Resource, version: string): string {
  const [plural, group] = splitResource(resource)
  return group === '' ? `/api/${version}/${plural}` : `/apis/${group}/${version}/${plural}`
}

/** `servers.policy.linkerd.io` is the plural `servers` of the group `policy.linkerd.io`. */
export function splitResource(resource: Resource): [plural: string, group: string] {
  const dot = resource.indexOf('.')
  return dot < 0 ? [resource, ''] : [resource.slice(0, dot), resource.slice(dot + 1)]
}

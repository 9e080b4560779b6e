import type {
  ConfigMap,
  CronJob,
  EndpointSlice,
  Event,
  LinkerdResource,
  Namespace,
  Owner,
  Pod,
  Service,
} from '../../observed/kubernetes-fields.ts'
import { itemsOf } from '../../observed/reduce-objects.ts'
import type { KubernetesList } from '../../model/snapshot.ts'
import type { Seconds } from '../../model/time.ts'

/** The Kubernetes lists of one snapshot, and when they were taken. A list is empty if it was not read or is not served. */
export type KubernetesLists = {
  readonly takenAt: Seconds
  readonly pods: readonly Pod[]
  readonly namespaces: readonly Namespace[]
  readonly services: readonly Service[]
  readonly deployments: readonly Owner[]
  readonly replicasets: readonly Owner[]
  readonly statefulsets: readonly Owner[]
  readonly daemonsets: readonly Owner[]
  readonly jobs: readonly Owner[]
  readonly cronjobs: readonly CronJob[]
  readonly endpointslices: readonly EndpointSlice[]
  readonly events: readonly Event[]
  readonly configmaps: readonly ConfigMap[]
  /** Null if one of the policy lists was not read: then enforcement is unknown. */
  readonly policies: Policies | null
}

/**
 * Linkerd's policies that decide whether plaintext is refused. A list is empty if the cluster does not serve the resource. Authentications are left out: only
 * the kind that an AuthorizationPolicy references decides.
 */
export type Policies = {
  readonly servers: readonly LinkerdResource[]
  readonly authorizationPolicies: readonly LinkerdResource[]
  readonly serverAuthorizations: readonly LinkerdResource[]
  readonly httpRoutes: readonly LinkerdResource[]
}

/** Reads stored lists. Throws ReduceError if an object does not fit its schema. */
export function listedOf(lists: readonly KubernetesList[], takenAt: Seconds): KubernetesLists {
  return {
    takenAt,
    pods: itemsOf(lists, 'pods') ?? [],
    namespaces: itemsOf(lists, 'namespaces') ?? [],
    services: itemsOf(lists, 'services') ?? [],
    deployments: itemsOf(lists, 'deployments.apps') ?? [],
    replicasets: itemsOf(lists, 'replicasets.apps') ?? [],
    statefulsets: itemsOf(lists, 'statefulsets.apps') ?? [],
    daemonsets: itemsOf(lists, 'daemonsets.apps') ?? [],
    jobs: itemsOf(lists, 'jobs.batch') ?? [],
    cronjobs: itemsOf(lists, 'cronjobs.batch') ?? [],
    endpointslices: itemsOf(lists, 'endpointslices.discovery.k8s.io') ?? [],
    events: itemsOf(lists, 'events') ?? [],
    configmaps: itemsOf(lists, 'configmaps') ?? [],
    policies: policiesOf(lists),
  }
}

function policiesOf(lists: readonly KubernetesList[]): Policies | null {
  const servers = itemsOf(lists, 'servers.policy.linkerd.io')
  const authorizationPolicies = itemsOf(lists, 'authorizationpolicies.policy.linkerd.io')
  const serverAuthorizations = itemsOf(lists, 'serverauthorizations.policy.linkerd.io')
  const httpRoutes = itemsOf(lists, 'httproutes.policy.linkerd.io')
  if (!servers || !authorizationPolicies || !serverAuthorizations || !httpRoutes) return null
  return { servers, authorizationPolicies, serverAuthorizations, httpRoutes }
}

import type { Resource } from '../../../lib/observed/kubernetes-fields.ts'
import { reduceItems } from '../../../lib/observed/reduce-objects.ts'
import type { KubernetesList } from '../../../lib/model/snapshot.ts'

/** The reduced lists of a cluster whose namespaces all inject the proxy: `objects`, and empty lists of what is missing there and is no workload. */
export function reducedLists(
  namespaces: readonly string[],
  objects: Partial<Record<Resource, readonly unknown[]>>,
): KubernetesList[] {
  const all: Partial<Record<Resource, readonly unknown[]>> = {
    namespaces: [...new Set(namespaces)].map((name) => ({
      metadata: { name, annotations: { 'linkerd.io/inject': 'enabled' } },
    })),
    services: [],
    configmaps: [],
    events: [],
    'servers.policy.linkerd.io': [],
    'authorizationpolicies.policy.linkerd.io': [],
    'meshtlsauthentications.policy.linkerd.io': [],
    'networkauthentications.policy.linkerd.io': [],
    'serverauthorizations.policy.linkerd.io': [],
    'httproutes.policy.linkerd.io': [],
    ...objects,
  }
  return Object.entries(all).map(([resource, items]) => ({
    resource,
    version: 'v1',
    items: reduceItems(resource as Resource, items, resource),
  }))
}

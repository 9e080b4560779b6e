import type { Cause, Destination, Source } from '../../model/path.ts'
import type { PathRow } from '../../model/history.ts'
import { ranEarlyInit } from '../pods/around-proxy.ts'
import type { Reached } from '../ends/destination.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import type { PodFacts } from '../pods/pods.ts'
import { includesPort } from '../pods/ports.ts'

/**
 * The likely cause of a reading that is not encrypted by the mesh, from the Kubernetes facts of the window; `unknown` where they do not
 * hold or do not explain it. Null for what needs no explanation.
 */
export function causeOfOutbound(
  {
    destination,
    port,
    reached,
  }: { readonly destination: Destination; readonly port: number; readonly reached: Reached['by'] | null },
  facts: Facts,
): Cause {
  if (reached === 'api-server') return 'kubernetes-api'
  if (reached === 'node') return 'destination-on-host-network'
  if (reached === 'other-cluster' || destination.kind === 'external') return 'outside-cluster'
  const key = workloadKey(destination)
  const pods = facts.podsOf.get(key) ?? []
  const lacks = (says: (pod: PodFacts) => boolean) => {
    const fact = facts.fact(key, says)
    return fact.known && fact.value.includes(true)
  }
  if (pods.length === 0) return 'unknown'
  if (lacks(({ hostNetwork }) => hostNetwork)) return 'destination-on-host-network'
  if (lacks(({ meshed }) => !meshed)) return 'destination-not-meshed'
  if (lacks(({ skipInbound }) => includesPort(skipInbound, port))) return 'destination-skips-port'
  return 'unknown'
}

/**
 * The likely cause of an unnamed client: no metric names it. Where a meshed pod skips the port that leads here, it may be that one as well as
 * a pod without a proxy, so the cause stays `unknown`.
 */
export function causeOfInbound(reason: string, destination: Destination, port: number, facts: Facts): Cause {
  if (reason === 'port_skipped') return 'opaque-port-unmeshed-client'
  if (reason === 'application-tls') return 'application-tls'
  if (reason !== 'no_tls_from_remote' && !reason.startsWith('probe path')) return 'unknown'
  if (facts.before === null || facts.after === null) return 'unknown'
  const dialled = dialledPorts(destination, port, facts)
  if (facts.pods.some((pod) => pod.meshed && skipsAny(pod, dialled))) return 'unknown'
  return facts.pods.some((pod) => ranEarlyInit(pod, facts)) ? 'init-container' : 'source-not-meshed'
}

/** Whether connections of a pod go around its proxy where it dials one of these ports. */
export function skipsAny({ skipOutbound }: PodFacts, dialled: readonly number[]): boolean {
  return dialled.some((port) => includesPort(skipOutbound, port))
}

/** A workload's port and the Service ports that lead to it: a client's proxy goes by the port it dialled. */
export function dialledPorts(destination: Destination, port: number, facts: Facts): number[] {
  return [port, ...servicePorts(destination, port, facts)]
}

function servicePorts(destination: Destination, port: number, facts: Facts): number[] {
  const pods = facts.podsOf.get(workloadKey(destination)) ?? []
  return (facts.after?.services ?? []).flatMap(({ metadata, spec }) => {
    const selector = Object.entries(spec.selector ?? {})
    const selected = pods.filter(
      (pod) =>
        pod.namespace === metadata.namespace &&
        selector.length > 0 &&
        selector.every(([name, value]) => pod.labels[name] === value),
    )
    if (selected.length === 0) return []
    return (spec.ports ?? [])
      .filter(
        ({ port: own, targetPort = own }) =>
          targetPort === port ||
          selected.some((pod) => pod.ports.some((one) => one.name === targetPort && one.port === port)),
      )
      .map(({ port: own }) => own)
  })
}

/** The change that would fix a row, in words that can be pasted; null where there is nothing to fix or to find out. */
export function fixOf({
  cause,
  state,
  outcome,
  source,
  destination,
  port,
}: Pick<PathRow, 'cause' | 'state' | 'outcome' | 'source' | 'destination' | 'port'>): string | null {
  if (
    cause === null ||
    outcome === 'refused' ||
    (state !== 'plaintext' && state !== 'no-mesh-tls' && state !== 'app-tls')
  )
    return null
  const to = pasted(destination)
  // Only a meshed end can be tapped: of a named source that is the source, of an unnamed one the destination.
  const seen = source.name === '' ? to : pasted(source)
  switch (cause) {
    case 'destination-not-meshed':
      return `Mesh ${to.label}, which restarts it, whatever its namespace says: ${meshCommand(to)}`
    case 'destination-on-host-network':
      return `Use TLS in the application on port ${port} of ${to.label}, and record who accepted it: it is on the host's network, where Linkerd injects no proxy, so that it cannot be meshed`
    case 'destination-skips-port':
      return `Take ${port} out of config.linkerd.io/skip-inbound-ports on the pods of ${to.label} (or mark it in config.linkerd.io/opaque-ports if the server speaks first), then kubectl rollout restart ${to.resource} -n ${to.namespace}`
    case 'source-skips-port':
      return `Take the port that leads to ${to.label}:${port} out of config.linkerd.io/skip-outbound-ports on the pods of ${pasted(source).label}, then restart them`
    case 'source-not-meshed':
      return `Mesh the client: find it with linkerd viz tap ${to.resource} -n ${to.namespace} -o wide, then annotate its namespace with linkerd.io/inject=enabled and restart it. To refuse it until then: config.linkerd.io/default-inbound-policy: all-authenticated on ${to.label}`
    case 'opaque-port-unmeshed-client':
      return `Mesh the client that connects to ${to.label}:${port}: meshed clients reach an opaque port through port 4143, this one did not. Find it with tshark in the linkerd-debug container (tap shows HTTP only), then annotate its namespace with linkerd.io/inject=enabled and restart it`
    case 'init-container':
      return `Find the client of ${to.label}:${port} with linkerd viz tap ${to.resource} -n ${to.namespace} -o wide. A pod that starts sends it from an init container before linkerd-init: set config.beta.linkerd.io/proxy-enable-native-sidecar: "true" there, so that the proxy starts first, or move that work into a container of the application. A client without a proxy: mesh it`
    case 'kubernetes-api':
      return `Let the client of ${to.label}:${port} use https with the authority of its ServiceAccount: the API server cannot be meshed, and no TLS was seen`
    case 'outside-cluster':
      return `Traffic to ${to.label}:${port} leaves the cluster, where Linkerd does not encrypt: use TLS in the application, or route it through an egress gateway that does, and record who accepted it`
    case 'application-tls':
      return `The application's own TLS was passed through and its identity was not checked by the mesh: mesh the client of ${to.label}, or keep the certificate check of the application as the evidence`
    case 'unknown':
      return `The cause is not known from this window. See what it is: linkerd viz tap ${seen.resource} -n ${seen.namespace} -o wide; then compare linkerd.io/inject, config.linkerd.io/skip-inbound-ports and config.linkerd.io/skip-outbound-ports on both ends`
  }
}

/** Sets the annotation where nothing overrides it, in the pod template. */
function meshCommand({ resource, namespace }: { readonly resource: string; readonly namespace: string }): string {
  const annotations = '{"spec":{"template":{"metadata":{"annotations":{"linkerd.io/inject":"enabled"}}}}}'
  return `kubectl patch ${resource} -n ${namespace} --type merge -p '${annotations}'`
}

/** Names for a shell: only what Kubernetes allows in a name stands for itself, as a command is meant to be pasted. */
function pasted({ kind, namespace, name }: Source | Destination): {
  label: string
  resource: string
  namespace: string
} {
  const safe = (text: string, otherwise: string) =>
    /^[A-Za-z0-9]([-A-Za-z0-9.:]{0,251}[A-Za-z0-9])?$/.test(text) ? text : otherwise
  const resource = `${safe(kind, 'KIND')}/${safe(name, 'NAME')}`
  return {
    label: namespace === '' ? safe(name, 'the destination') : `${resource} in ${safe(namespace, 'NAMESPACE')}`,
    resource,
    namespace: safe(namespace, 'NAMESPACE'),
  }
}

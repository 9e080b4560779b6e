/** A path, its two ends, and the words for its state. */

/** The states of an edge, and of a path in a window, worst first. Order matters: a path takes the worst of its edges. */
export const STATES = [
  'plaintext',
  'no-mesh-tls',
  'unknown',
  'tls-anonymous',
  'app-tls',
  'mtls',
  'exempt',
  'not-observed',
  'not-collected',
] as const

/** The encryption state of a path. */
export type State = (typeof STATES)[number]

/** By what rows of paths can be filtered: `not-encrypted` is plaintext and no-mesh-tls that were allowed, `refused` what policy refused, whatever its state. */
export const STATE_FILTERS = ['not-encrypted', 'refused', ...STATES] as const

/** A filter for rows of paths. */
export type StateFilter = (typeof STATE_FILTERS)[number]

/** The states of traffic without mesh TLS, allowed or refused. */
export const UNENCRYPTED_STATES: ReadonlySet<State> = new Set(['plaintext', 'no-mesh-tls'])

/** `refused`: policy stopped the traffic; evidence of enforcement, not of plain text delivered. */
export type Outcome = 'allowed' | 'refused'

/** Whether policy refuses plaintext on a workload's port. A second axis, never mixed with the state. */
export type Enforcement = 'plaintext-refused' | 'plaintext-allowed' | 'audited' | 'unknown'

/**
 * Whether the other side of a path saw the same: `yes` by an identity that one workload has, `ambiguous` by one that several have, `no`. That the two
 * sides contradict each other is no value: what could show it is a finding of the rule `sources-agree`.
 */
export type Corroborated = 'yes' | 'ambiguous' | 'no'

/**
 * Why a path is not encrypted by the mesh, or why it is not known whether it is. Each rests on what a proxy or the Kubernetes API said of the window, and
 * has one fix text (lib/assess/fixes/fix-text.ts).
 */
export const CAUSES = [
  'destination-not-meshed',
  'destination-not-injected',
  'destination-not-injectable',
  'destination-in-other-mesh',
  'destination-on-host-network',
  'destination-skips-port',
  'destination-not-listed',
  'source-skips-port',
  'source-not-meshed',
  'source-not-proxied',
  'opaque-port-unmeshed-client',
  'init-container',
  'identity-disabled',
  'linkerd-webhook',
  'kubernetes-api',
  'outside-cluster',
  'application-tls',
  'no-kubernetes-list',
  'source-partly-meshed',
  'destination-not-seen',
  'labels-overridden',
  'pod-not-listed',
  'perhaps-probes',
  'counted-before',
  'metrics-incomplete',
  'ipv6-not-proxied',
  'unknown',
] as const

/** Why a path is not encrypted by the mesh, or not known to be. */
export type Cause = (typeof CAUSES)[number]

/** The class of a path: an application's, Linkerd's own, or the platform's (Kubernetes, and what `scope.yaml` adds). */
export const PATH_CLASSES = ['application', 'mesh', 'platform'] as const

/** The class of a path or a workload. */
export type PathClass = (typeof PATH_CLASSES)[number]

/** The namespaces that decide classes in a cluster over a period. */
export type ClassNamespaces = {
  /** Those that every list of the period shows as Linkerd's own. */
  readonly meshNamespaces: readonly string[]
  /** Patterns with `*`, beside kube-system. */
  readonly platformNamespaces: readonly string[]
}

/**
 * A setting of a workload on which a cause rests, as it was in the window: an annotation of Linkerd's, or what of a pod's spec lets connections go
 * around its proxy.
 */
export type Setting = {
  readonly workload: Endpoint
  /**
   * The annotation, or a label of Linkerd's; `initContainers` for containers that run before the proxy, `linkerd-proxy` (without a value) for pods that lack
   * it.
   */
  readonly name: string
  /** As it is written. Null where there is none, or where it is nothing that Linkerd would take. */
  readonly value: string | null
  /** Of a list of ports: the one that leads to the path's destination. */
  readonly port?: number
  /** Where it is set: `control-plane` by its default for all proxies, `pod` by the pod or what made it. */
  readonly by: 'workload' | 'namespace' | 'control-plane' | 'pod'
}

/** One end of a path: `kind` is a lower-case singular Kubernetes kind, or `unmeshed`, `serviceaccount`, `probe`, `service`, `external`. */
export type Endpoint = {
  readonly kind: string
  /** Empty for `unmeshed`, `probe` and `external`. */
  readonly namespace: string
  /** Empty for `unmeshed` and `probe`; authority or address for `external`. */
  readonly name: string
}

/** The end that opens connections. */
export type Source = Endpoint & {
  /** ServiceAccount, or null where it is not known. Not part of the path's identity. */
  readonly serviceAccount: string | null
}

/** The end that accepts connections. */
export type Destination = Source & {
  /** The other cluster's name where the path goes through a multicluster gateway, else null. */
  readonly cluster: string | null
}

/** The ends and port of a path, with its id. */
export type PathEnds = {
  readonly pathId: string
  readonly source: Source
  readonly destination: Destination
  readonly port: number
}

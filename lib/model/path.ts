/** What is said of a path, and of its two ends. */

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

/** What is known of the encryption of a path. */
export type State = (typeof STATES)[number]

/** `refused`: policy stopped the traffic; evidence of enforcement, not of plain text delivered. */
export type Outcome = 'allowed' | 'refused'

/** What policy says about plain text on a workload's port: a second axis, never mixed with the state. */
export type Enforcement = 'plaintext-refused' | 'plaintext-allowed' | 'audited' | 'unknown'

/**
 * Whether the other side of a path saw the same: `yes` by an identity that one workload has, `ambiguous` by one that several have, `no`. That the two
 * sides contradict each other is no value: what could show it is a finding of the rule `sources-agree`.
 */
export type Corroborated = 'yes' | 'ambiguous' | 'no'

/** Why a path is not encrypted by the mesh. Each has one fix text (lib/assess/window/causes-and-fixes.ts). */
export const CAUSES = [
  'destination-not-meshed',
  'destination-on-host-network',
  'destination-skips-port',
  'source-skips-port',
  'source-not-meshed',
  'opaque-port-unmeshed-client',
  'init-container',
  'kubernetes-api',
  'outside-cluster',
  'application-tls',
  'unknown',
] as const

/** Why a path is not encrypted by the mesh, or not known to be. */
export type Cause = (typeof CAUSES)[number]

/** Whose a path is: an application's, Linkerd's own, or of what applications run on (Kubernetes, and what `scope.yaml` adds). */
export const PATH_CLASSES = ['application', 'mesh', 'platform'] as const

/** Whose a path or a workload is. */
export type PathClass = (typeof PATH_CLASSES)[number]

/** What decides classes in a cluster over a period. */
export type ClassNamespaces = {
  /** Those that every list of the period shows as Linkerd's own. */
  readonly meshNamespaces: readonly string[]
  /** Patterns with `*`, beside kube-system. */
  readonly platformNamespaces: readonly string[]
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

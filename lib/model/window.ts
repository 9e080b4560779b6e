/** The result of a window: edges, paths, workloads, coverage and cryptography. */
import type { Window } from './time.ts'
import type { Cause, Corroborated, Endpoint, Enforcement, Outcome, PathEnds, Setting, Source, State } from './path.ts'

/** One side's observation of one path in one window. */
export type Edge = PathEnds & {
  readonly side: 'outbound' | 'inbound'
  readonly state: State
  readonly outcome: Outcome
  /** Linkerd's raw value or one of ours; empty where there is nothing to explain. */
  readonly reason: string
  /** Connections that surely were opened in the window: what a counter showed when it was first looked at is not among them. */
  readonly opens: number
  /** It was not seen to begin in the window: it was there when first looked at, open at the start, or seen just before. */
  readonly sinceUnknown: boolean
  /** The most connections found open at one scrape in the window. */
  readonly openAtScrape: number
  readonly bytes: number
  readonly clientId: string | null
  readonly serverId: string | null
}

/** A path in a window: the worst of its edges, with what both sides and the Kubernetes API say about it. */
export type PathWindow = PathEnds & {
  readonly state: State
  readonly outcome: Outcome
  readonly reason: string
  /** Null where there is nothing to explain (`mtls`, `exempt` other than the API server's). */
  readonly cause: Cause | null
  /** Settings on which the cause rests. Sorted; absent: none. */
  readonly settings?: readonly Setting[]
  readonly enforcement: Enforcement
  readonly opens: number
  readonly openAtScrape: number
  readonly bytes: number
  /** The bytes of `bytes` that were not encrypted by the mesh. */
  readonly clearBytes: number
  readonly sinceUnknown: boolean
  readonly corroborated: Corroborated
  /** Workloads that the unnamed source may be; never part of the path's identity. */
  readonly candidates: readonly Source[]
  /** The identity that the server saw on the wire, `sa.namespace`; null where none was seen. */
  readonly clientId: string | null
  /** The identity that the client saw, `sa.namespace`; null where none was seen. */
  readonly serverId: string | null
}

const GAP_REASONS = [
  'scrape-refused',
  'scrape-failed',
  'ended-unscraped',
  'not-a-target',
  'prometheus-down',
  'source-unreadable',
  'read-too-rarely',
  'no-proxy',
  'pod-unknown',
  'window-missing',
] as const

/** Why a pod was not observed for a while. */
export type GapReason = (typeof GAP_REASONS)[number]

/** A stretch of a window in which pods of a workload were not seen. */
export type Gap = {
  readonly reason: GapReason
  readonly pods: number
  readonly from: string
  readonly to: string
  /**
   * The end of a pod's life after its last scrape, of three scrape intervals at most: every pod that ends has one, so that by itself it stops
   * nothing from counting as fully covered. Absent: any other gap.
   */
  readonly isBrief?: true
}

/** Expected and observed time of a workload in a window. */
export type Coverage = {
  readonly cluster: string
  readonly window: Window
  readonly workload: Endpoint
  /** The life of the workload's pods inside the window, summed; those without a proxy, or of whom nothing is known, are among them. */
  readonly expectedSeconds: number
  /** Time between successful scrapes at most two intervals apart, and from a pod's start to a first scrape within ten minutes, summed. */
  readonly observedSeconds: number
  /** Null if nothing was expected. */
  readonly ratio: number | null
  readonly pods: { readonly total: number; readonly meshed: number; readonly scraped: number }
  readonly gaps: readonly Gap[]
}

const BLIND_SPOTS = [
  'unmeshed',
  'skip-inbound',
  'skip-outbound',
  'skip-subnet',
  'opaque-port',
  'udp',
  'ipv6',
  'init-container',
  'host-network',
  'not-scraped',
  'pod-unknown',
] as const

/** Traffic of a workload that its proxies do not see; `port` is null where it is about no port. */
export type BlindSpot = {
  readonly kind: (typeof BLIND_SPOTS)[number]
  readonly port: string | null
  readonly detail: string
}

const UNMESHED_REASONS = [
  'not-annotated',
  'disabled',
  'host-network',
  'created-before-injection',
  'automount-disabled',
  'injection-skipped',
  'other-control-plane',
] as const

/** A workload as the Kubernetes API described it for a window. */
export type Workload = {
  readonly cluster: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly serviceAccount: string | null
  readonly meshed: 'yes' | 'no' | 'partly' | 'unknown'
  readonly pods: number
  /** Why it is not meshed; null where it is, or where that is not known. */
  readonly reason: (typeof UNMESHED_REASONS)[number] | null
  readonly defaultPolicy: string | null
  readonly skipInbound: readonly string[]
  readonly skipOutbound: readonly string[]
  readonly opaque: readonly string[]
  readonly blindSpots: readonly BlindSpot[]
  /**
   * Bytes of the network interfaces of its pods without a proxy, with all headers: what they sent and received, of which a meshed other end may have
   * counted its part. Absent: nothing tells it (no cAdvisor, the host's network), or every pod has a proxy.
   */
  readonly withoutProxy?: { readonly sentBytes: number; readonly receivedBytes: number }
  /**
   * What went around the proxies of its pods with skipped ports or subnets, UDP or IPv6, at most: the bytes of their interfaces without the headers
   * of packets (66 bytes each), less what the proxies counted. DNS, the proxy's own streams and the overhead of TLS are in it. Absent as above.
   */
  readonly aroundProxy?: { readonly maxBytes: number }
  /** Those that all of its pods share, without what a controller counts by (template hashes). Absent: not known, as of no pod. */
  readonly labels?: Readonly<Record<string, string>>
  /** Labels of its pods that take a name by which its proxies are read: whoever set them may say anything. Sorted; absent: none. */
  readonly overriding?: readonly string[]
}

/** Cryptography as the running proxies state it; what was negotiated on a connection is not in any metric. */
export type Crypto = {
  readonly proxyVersions: readonly { readonly version: string; readonly proxies: number }[]
  /** `rustls_info`, counted over proxies. */
  readonly tls: readonly {
    readonly suites: string
    readonly keyExchange: string
    readonly fips: string
    readonly proxies: number
  }[]
  /** Earliest and latest expiry of the proxies' certificates; null where no proxy stated it. */
  readonly certificates: {
    readonly earliestExpiry: string
    readonly latestExpiry: string
    readonly proxies: number
  } | null
  readonly trustAnchors: readonly {
    readonly subject: string
    readonly sha256: string
    readonly notBefore: string
    readonly notAfter: string
  }[]
}

/**
 * The namespaces that complete Kubernetes lists showed. One that had the label in one list and not in another is in both. Sorted, each once.
 */
export type LabelledNamespaces = {
  /** With a label that Linkerd sets on its own: `linkerd.io/is-control-plane` or `linkerd.io/extension`. */
  readonly mesh: readonly string[]
  /** Without. */
  readonly others: readonly string[]
}

/** Raised with every change of what is derived from the same evidence: what an older number made is derived again. */
export const DERIVATION = 9

/** The result of a window, from its selected attempt and the Kubernetes lists around it. Derived: it can be made again. */
export type WindowResult = {
  readonly format: 'ciphertrail/window/1'
  readonly derivation: number
  readonly cluster: string
  readonly window: Window
  /** Keys of the evidence it is derived from. */
  readonly inputs: {
    readonly evidence: string
    /** Key of the snapshot whose Kubernetes lists hold before, and after, the window; null where there is none. */
    readonly before: string | null
    readonly after: string | null
    /** Other complete attempts at the window, with different answers: the worse reading of each path counts. Absent: none. */
    readonly also?: readonly string[]
  }
  /** Metrics were read. False: every known path is `not-collected` in this window. */
  readonly collected: boolean
  /** True where some metrics could not be read: a known path that is not among `paths` is then `not-collected`, not quiet. */
  readonly partial?: boolean
  readonly errors: readonly string[]
  /** Edges of `paths` with another state, outcome or reason than their path, which took the worst: refused traffic beside allowed, say. */
  readonly edges: readonly Edge[]
  readonly paths: readonly PathWindow[]
  readonly coverage: readonly Coverage[]
  readonly workloads: readonly Workload[]
  readonly crypto: Crypto
  /** Endpoints (`kind/namespace/name`) that a complete list after the window showed; null without one. */
  readonly existing: readonly string[] | null
  /** Namespaces in the lists around the window; null without a complete list. */
  readonly namespaces: LabelledNamespaces | null
  /**
   * Workloads (`kind/namespace/name`) with a pod whose labels are overridden and that no series can be attributed to: their
   * known paths are `unknown` in this window, also those that are not among `paths`. Absent: none.
   */
  readonly overridden?: readonly string[]
  /** The answer of `linkerd viz edges` when the attempt was made, after this window. Absent: it was not asked, or did not answer. */
  readonly viz?: VizReading
}

/** The answer of `linkerd viz edges` at one moment. */
export type VizReading = {
  readonly takenAt: string
  /** By kind of both ends; sorted. A reason is in viz's words; empty is shown as a tick. */
  readonly edges: readonly VizPair[]
}

/** Two workloads of one kind that `linkerd viz edges` shows. */
export type VizPair = {
  readonly kind: string
  readonly src: string
  readonly srcNamespace: string
  readonly dst: string
  readonly dstNamespace: string
  /** Empty is shown as a tick, and only means that viz knew no reason. */
  readonly reason: string
}

/** A difference between `linkerd viz edges` and ciphertrail in the window that holds its moment. */
export type VizDifference = VizPair & {
  readonly at: string
  /** The path that decided what ciphertrail shows; null where it knows no such pair. */
  readonly path: (Pick<PathWindow, 'pathId' | 'port' | 'state' | 'outcome'> & { readonly why: string }) | null
}

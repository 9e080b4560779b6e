/**
 * The words of ciphertrail as types, in the order of the data: what a cluster says (snapshot), what it means (edge, path,
 * coverage), what is kept (window result, interval, episode), what is shown (row).
 *
 * Times are RFC 3339 text in UTC in stored data (`2026-11-24T12:30:00Z`), and seconds since the epoch (`Seconds`) in
 * calculations, since Prometheus counts in seconds.
 */

/** Seconds since the epoch, with a fraction where the source has one. */
export type Seconds = number

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

/** Why a path is not encrypted by the mesh. Each has one fix text (lib/assess/causes.ts). */
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
export type Cause = (typeof CAUSES)[number]

/** The window sizes that tile a UTC day, in minutes. */
export const WINDOW_MINUTES = [5, 15, 30, 60] as const
export type WindowMinutes = (typeof WINDOW_MINUTES)[number]

/** A window `(start, end]` in UTC: a sample at `start` belongs to the window before. */
export type Window = { readonly start: string; readonly end: string }

/** A window size and since when it is in force: a change takes effect at the next UTC midnight. */
export type WindowSetting = { readonly since: string; readonly minutes: WindowMinutes }

/** How a Prometheus is shown who asks: by files, read for each request, or by the keys of AWS that the environment has. A token, a user with a password, or AWS. */
export type PrometheusAuth = {
  readonly tokenFile?: string
  readonly user?: string
  readonly passwordFile?: string
  /** A client certificate with its key, PEM. */
  readonly certFile?: string
  readonly keyFile?: string
  /** Authorities to trust, PEM. Absent: those that Node trusts. */
  readonly caFile?: string
  /** Amazon Managed Prometheus: the region that requests are signed for (SigV4). */
  readonly sigv4Region?: string
  /** ARN of a role to assume first. */
  readonly sigv4RoleArn?: string
}

/** A cluster of Amazon EKS, by its name there. Whoever asks proves it by the keys of AWS that the environment has. */
export type EksCluster = {
  readonly name: string
  readonly region: string
  /** ARN of a role to assume first. */
  readonly roleArn?: string
}

/** An API server by its address. Holds whom to trust and where the token is, never the token. */
export type ApiServerAddress = {
  /** `https://`, with its path prefix if it has one. */
  readonly url: string
  /** The certificates of the authorities to trust, PEM. */
  readonly ca: string
  /** The file with the token: this or the next. */
  readonly tokenFile?: string
  /** Name or ARN of the secret of AWS Secrets Manager that holds the token. */
  readonly tokenSecret?: string
}

/** Which proxies are read by the names of their pods: those of which Prometheus tells nothing or may be told lies, or all. */
export type ProxiesSetting = 'auto' | 'all'

/** A registered cluster. Holds ways in, never credentials. */
export type Cluster = {
  /** `[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?` */
  readonly id: string
  readonly registeredAt: string
  /** Absent: the in-cluster ServiceAccount, or else the default kubeconfig. */
  readonly kubeconfig?: string
  readonly context?: string
  /** Instead of a kubeconfig. */
  readonly eks?: EksCluster
  /** Instead of a kubeconfig. */
  readonly apiServer?: ApiServerAddress
  /** Instead of a kubeconfig: it is collected from inside, by `ciphertrail agent`, and nobody else reaches it. */
  readonly agent?: true
  /** Absent: by port-forward through the API server. */
  readonly prometheusUrl?: string
  /** Only with `prometheusUrl`. */
  readonly prometheusAuth?: PrometheusAuth
  /** Seconds for which workloads are tapped in each collection. Absent: they are not. */
  readonly tapSeconds?: number
  /** There is no Prometheus: the proxies are all that is asked. */
  readonly noPrometheus?: true
  /** Absent: no proxy is read by its pod's name. */
  readonly proxies?: ProxiesSetting
  readonly linkerdNamespace: string
  readonly vizNamespace: string
  /** Oldest first; the first is in force from the beginning of time. */
  readonly windows: readonly WindowSetting[]
}

/** One end of a path: `kind` is a lower-case singular Kubernetes kind, or `unmeshed`, `serviceaccount`, `probe`, `service`, `external`. */
export type Endpoint = {
  readonly kind: string
  /** Empty for `unmeshed`, `probe` and `external`. */
  readonly namespace: string
  /** Empty for `unmeshed` and `probe`; authority or address for `external`. */
  readonly name: string
}

export type Source = Endpoint & {
  /** ServiceAccount, or null where it is not known. Not part of the path's identity. */
  readonly serviceAccount: string | null
}
export type Destination = Source & {
  /** The other cluster's name where the path goes through a multicluster gateway, else null. */
  readonly cluster: string | null
}

// ---------------------------------------------------------------- what a cluster says

/** One answer of Prometheus, as received. */
export type MetricsAnswer = {
  /** The name of the query in its plan (lib/collect/queries.ts, lib/collect/cadvisor.ts). */
  readonly name: string
  readonly query: string
  /** The evaluation time, seconds since the epoch as decimal text. */
  readonly time: string
  /** The body exactly as received. */
  readonly body: string
}

/** One Kubernetes list, reduced to the fields that lib/collect/reduce.ts names. */
export type KubernetesList = {
  /** Plural resource with its group: `pods`, `replicasets.apps`, `servers.policy.linkerd.io`. */
  readonly resource: string
  /** Absent where the cluster does not serve the resource at all (404 for every version asked). */
  readonly version?: string
  readonly items: readonly unknown[]
}

/** How a source answered. `absent` never occurs here: a source that was not read is `failed`, with the reason. */
export type SourceStatus = {
  readonly status: 'complete' | 'partial' | 'failed'
  /** One line for each thing that could not be read; empty where complete. Never holds a secret. */
  readonly errors: readonly string[]
}

/** The metrics page of one proxy, read by the name of its pod, as the reducer of lib/collect/page.ts leaves it. */
export type ProxyPage = {
  readonly namespace: string
  readonly pod: string
  readonly uid: string
  /** The pod's address, as the list of that moment has it. */
  readonly address: string
  /** When it was asked for, to the millisecond. */
  readonly readAt: string
  /** Lines as received. */
  readonly body: string
}

/** All that one attempt collected from one cluster for one window. Written once, as canonical JSON (RFC 8785), gzipped. */
export type Snapshot = {
  readonly format: 'ciphertrail/snapshot/1'
  readonly cluster: string
  readonly window: Window
  readonly linkerdNamespace: string
  readonly vizNamespace: string
  readonly collector: { readonly name: string; readonly version: string }
  /** Our clock (or the replay's `--now`). */
  readonly startedAt: string
  readonly endedAt: string
  /** Every source answered everything that was asked. */
  readonly complete: boolean
  readonly metrics: SourceStatus & {
    /** Prometheus' own `time()`, or null where it was not read. */
    readonly prometheusTime: string | null
    /** Which server answered: the pod that a port-forward led to. Absent where the way cannot tell, or none was reached. */
    readonly server?: string
    readonly answers: readonly MetricsAnswer[]
  }
  readonly kubernetes: SourceStatus & {
    /** When the lists were begun; null where nothing was read. */
    readonly takenAt: string | null
    readonly lists: readonly KubernetesList[]
  }
  /**
   * What the kubelet's cAdvisor showed of pods and their containers, through the same Prometheus. A second witness: it fails without making the
   * attempt incomplete. Complete with empty answers where that Prometheus does not scrape it. Absent where no Prometheus was asked, or none answered.
   */
  readonly cadvisor?: SourceStatus & { readonly answers: readonly MetricsAnswer[] }
  /**
   * What `linkerd viz edges` showed when the attempt was made, which is after its window. A comparison: it fails without making the attempt
   * incomplete. Absent where it was not asked, as of any window but the latest.
   */
  readonly viz?: SourceStatus & {
    readonly takenAt: string
    /** Which server answered: the pod that a port-forward led to. Absent where none was reached. */
    readonly server?: string
    readonly answers: readonly VizAnswer[]
  }
  /**
   * A sample of who sent what arrived without mesh TLS, taken when the attempt was made, which is after its window. It only ever names who a
   * source may be. Failed where the window was not the one that was just over. Absent where the cluster is not registered for it, or nothing was to be
   * tapped.
   */
  readonly tap?: SourceStatus & {
    readonly takenAt: string
    /** How long each workload was listened to. */
    readonly seconds: number
    readonly tapped: readonly Endpoint[]
    /** Workloads that were not, since there are too many for one sample. */
    readonly left: number
    /** Requests without mesh TLS. */
    readonly requests: number
    readonly sightings: readonly TapSighting[]
  }
  /**
   * Absent: no proxy was to be read. Failed: none was read, as where the window ended too long ago. A proxy that was not read makes no attempt
   * incomplete, since it cannot be read later; it is a gap.
   */
  readonly proxies?: SourceStatus & { readonly pages: readonly ProxyPage[] }
}

/** Who sent HTTP requests without mesh TLS to whom, as the server's proxy saw it while it was tapped. */
export type TapSighting = {
  /** Address of whoever opened the connection. */
  readonly source: string
  readonly destination: string
  readonly port: number
  /** The proxy's word for why there was none: `no_tls_from_remote`; empty where it said nothing. */
  readonly tls: string
  /** The server's policy let it in as a probe: told by its path, so that anybody may send it. */
  readonly isOnProbePath: boolean
  readonly requests: number
}

/** What viz's dashboard answered to `/api/edges` of one kind. */
export type VizAnswer = {
  /** Of both ends of its edges, as viz was asked: `deployment`. */
  readonly kind: string
  /** The body exactly as received. */
  readonly body: string
}

// ---------------------------------------------------------------- what it means

/** What one side saw of one path in one window. */
export type Edge = {
  readonly pathId: string
  readonly side: 'outbound' | 'inbound'
  readonly source: Source
  readonly destination: Destination
  readonly port: number
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
export type PathWindow = {
  readonly pathId: string
  readonly source: Source
  readonly destination: Destination
  readonly port: number
  readonly state: State
  readonly outcome: Outcome
  readonly reason: string
  /** Null where there is nothing to explain (`mtls`, `exempt` other than the API server's). */
  readonly cause: Cause | null
  readonly enforcement: Enforcement
  readonly opens: number
  readonly openAtScrape: number
  readonly bytes: number
  /** The bytes of `bytes` that were not encrypted by the mesh. */
  readonly clearBytes: number
  readonly sinceUnknown: boolean
  readonly corroborated: Corroborated
  /** Who the unnamed source may be: workloads, never part of the path's identity. */
  readonly candidates: readonly Source[]
  /** The identity that the server saw on the wire, `sa.namespace`; null where none was seen. */
  readonly clientId: string | null
  /** The identity that the client saw, `sa.namespace`; null where none was seen. */
  readonly serverId: string | null
}

export const GAP_REASONS = [
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

/** What should have been seen of a workload in a window, and what was. */
export type Coverage = {
  readonly cluster: string
  readonly window: Window
  readonly workload: Endpoint
  /** The life of the workload's pods inside the window, summed; those without a proxy, or of whom nothing is known, are among them. */
  readonly expectedSeconds: number
  /** Time between successful scrapes at most two intervals apart, summed. */
  readonly observedSeconds: number
  /** Null if nothing was expected. */
  readonly ratio: number | null
  readonly pods: { readonly total: number; readonly meshed: number; readonly scraped: number }
  readonly gaps: readonly Gap[]
}

export const BLIND_SPOTS = [
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
export type BlindSpot = {
  readonly kind: (typeof BLIND_SPOTS)[number]
  readonly port: string | null
  readonly detail: string
}

export const UNMESHED_REASONS = [
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

/** Raised with every change of what is derived from the same evidence: what an older number made is derived again. */
export const DERIVATION = 6

/** What a standing attempt and the Kubernetes lists around a window come to. Derived: can always be rebuilt. */
export type WindowResult = {
  readonly format: 'ciphertrail/window/1'
  readonly derivation: number
  readonly cluster: string
  readonly window: Window
  /** What it was derived from: keys of evidence. */
  readonly inputs: {
    readonly evidence: string
    /** Key of the snapshot whose Kubernetes lists hold before, and after, the window; null where there is none. */
    readonly before: string | null
    readonly after: string | null
    /** Other complete attempts at the window, which answered differently: of each path the worse reading stands. Absent: there are none. */
    readonly also?: readonly string[]
  }
  /** Metrics were read. False: no path of this window can be told, and each known one is `not-collected`. */
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
  /**
   * Workloads (`kind/namespace/name`) with a pod whose labels are overridden and that no series can be attributed to: their
   * known paths are `unknown` in this window, also those that are not among `paths`. Absent: none.
   */
  readonly overridden?: readonly string[]
  /** What `linkerd viz edges` showed when the attempt was made, which is after this window. Absent: it was not asked, or did not answer. */
  readonly viz?: VizReading
}

/** What `linkerd viz edges` showed at one moment. */
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

/** Where `linkerd viz edges` showed otherwise than ciphertrail does of the window that holds its moment, or alone. */
export type VizDifference = VizPair & {
  readonly at: string
  /** The path that decided what ciphertrail shows; null where it knows no such pair. */
  readonly path: (Pick<PathWindow, 'pathId' | 'port' | 'state' | 'outcome'> & { readonly why: string }) | null
}

// ---------------------------------------------------------------- what is kept and shown

export type Episode = {
  /** `<pathId>-<opened at, basic format>` */
  readonly id: string
  readonly openedAt: string
  /** It was not seen to begin: it is older than `openedAt`, by an unknown time. */
  readonly sinceUnknown: boolean
  /** Null while open. */
  readonly endedAt: string | null
  readonly ending: 'fixed' | 'refused' | 'gone' | 'quiet' | null
}

/** What a path did in one window of an interval that was not quiet. */
export type Activity = {
  /** End of the window. */
  readonly end: string
  readonly opens: number
  readonly openAtScrape: number
  readonly bytes: number
  readonly clearBytes: number
}

/**
 * A stretch in which a path kept state, outcome, reason, cause and enforcement. Windows inside it without an
 * {@link Activity} were collected and quiet.
 */
export type Interval = {
  readonly cluster: string
  readonly pathId: string
  readonly source: Source
  readonly destination: Destination
  readonly port: number
  readonly from: string
  readonly to: string
  readonly state: State
  readonly outcome: Outcome
  readonly reason: string
  readonly cause: Cause | null
  readonly enforcement: Enforcement
  readonly corroborated: Corroborated
  readonly candidates: readonly Source[]
  readonly clientId: string | null
  readonly serverId: string | null
  readonly episode: Episode | null
  readonly activity: readonly Activity[]
}

/** One row of `paths --json` and of the API. */
export type PathRow = {
  readonly cluster: string
  readonly pathId: string
  readonly source: Source
  readonly destination: Destination
  readonly port: number
  readonly from: string
  readonly to: string
  readonly state: State
  readonly outcome: Outcome
  readonly reason: string
  readonly cause: Cause | null
  /** The change that would fix it, in words that can be pasted; null where nothing is to be fixed. */
  readonly fix: string | null
  /** Part of the bytes that the mesh did not encrypt, 0 to 1; null where no bytes were counted. */
  readonly clearShare: number | null
  readonly opens: number
  readonly openAtScrape: number
  readonly bytes: number
  readonly corroborated: Corroborated
  readonly enforcement: Enforcement
  readonly candidates: readonly Source[]
  readonly episode: Episode | null
  /** Id of the waiver in force that accepts that the path is not encrypted, or null. */
  readonly waiver: string | null
  /** Keys of the snapshots behind the first and the last window of the row, all attempts that were used; empty where nothing was collected. */
  readonly evidence: readonly string[]
}

/** One month of one cluster: the windows that were expected and the intervals of its paths. Cut at month ends. */
export type TimelineMonth = {
  readonly format: 'ciphertrail/timeline/1'
  readonly derivation: number
  readonly cluster: string
  /** `2026-11` */
  readonly month: string
  /**
   * Every expected window, oldest first. `evidence` is null where there is no standing attempt; `also` names the others that were used. Seconds are the sums of the
   * cluster's coverage, 0 where nothing is known of it; `ratio` is observed over expected, null where nothing was expected.
   */
  readonly windows: readonly {
    readonly start: string
    readonly end: string
    readonly evidence: string | null
    readonly also?: readonly string[]
    readonly collected: boolean
    readonly expectedSeconds: number
    readonly observedSeconds: number
    readonly ratio: number | null
  }[]
  /** Sorted by path id, then time. */
  readonly intervals: readonly Interval[]
}

/** All that is kept of one cluster over a period: what a report is made from. */
export type ClusterPeriod = {
  readonly id: string
  /** Every expected window, oldest first. */
  readonly windows: TimelineMonth['windows']
  /** Clipped to the period. */
  readonly rows: readonly PathRow[]
  /** By path id: the state in each window of `windows`; null before the path was first seen. */
  readonly strips: Readonly<Record<string, readonly (State | null)[]>>
  /** Of all windows of the period. */
  readonly coverage: readonly Coverage[]
  /** As of the latest window in which the Kubernetes lists could be read; empty without one. */
  readonly workloads: readonly Workload[]
  /** As of the latest window with metrics; null without one. */
  readonly crypto: Crypto | null
  /** What could not be read; `window` is the end of the window. */
  readonly errors: readonly { readonly window: string; readonly line: string }[]
  /** What the windows of the period say of workloads, identities and cryptography. Absent: not known, and judged as unknown. */
  readonly facts?: PeriodFacts
}

/** What only the windows of a period tell, beside its rows: what rules need and the latest window alone would hide. */
export type PeriodFacts = {
  /** Windows in which Kubernetes lists were read. */
  readonly listedWindows: number
  /** Every workload that had a pod in a window; sorted by kind, namespace and name. */
  readonly workloads: readonly WorkloadHistory[]
  /** Of paths that the mesh encrypted; sorted by path id, each combination once. */
  readonly identities: readonly PathIdentity[]
  /** What the proxies stated in each collected window, oldest first; `end` is the end of the window. */
  readonly crypto: readonly { readonly start: string; readonly end: string; readonly crypto: Crypto }[]
  /** Where `linkerd viz edges` said otherwise; in order of time. Absent: it was never asked, or never answered. */
  readonly viz?: { readonly compared: number; readonly differences: readonly VizDifference[] }
  /** Where captures that were kept showed clear bytes that no proxy told of; in order of time. Absent: none was kept of the period. */
  readonly packets?: { readonly compared: number; readonly differences: readonly PacketDifference[] }
}

/** Clear bytes in a capture, to a workload's port at which the proxies told of nothing clear from there in the window of that moment. */
export type PacketDifference = {
  /** The connection's first packet in the capture. */
  readonly at: string
  /** A workload or, where that is not known, an address. */
  readonly client: Endpoint
  readonly server: Endpoint
  readonly port: number
  /** Why it is clear, as `packets` says it. */
  readonly reason: string
  /** The path from the client to there that the proxies told of; null where they told of none. */
  readonly pathId: string | null
}

/** What a workload was in the windows of a period in which it had pods. Lists are sorted, and hold each thing once. */
export type WorkloadHistory = Endpoint & {
  readonly windows: number
  /** Those windows, by whether its pods were meshed. */
  readonly meshed: Readonly<Record<Workload['meshed'], number>>
  /** Why it was not meshed. */
  readonly reasons: readonly NonNullable<Workload['reason']>[]
  readonly serviceAccounts: readonly string[]
  /** Windows for which its ServiceAccount is not known: the lists around them did not agree on one. */
  readonly withoutServiceAccount: number
  /** A workload (`kind/namespace/name`) with a proxy and the same ServiceAccount in the same window, the first by name; null for none. */
  readonly sharedWith: string | null
  /** What goes around its proxies: the blind spots `skip-inbound`, `skip-outbound` and `skip-subnet`. */
  readonly bypasses: readonly BlindSpot[]
  /** Each set of labels it had; empty where they are not known. */
  readonly labels: readonly Readonly<Record<string, string>>[]
  readonly overriding: readonly string[]
  /** Sums over the windows that told them, as {@link Workload} has them; absent: none did. */
  readonly withoutProxy?: NonNullable<Workload['withoutProxy']>
  readonly aroundProxy?: NonNullable<Workload['aroundProxy']>
}

/** The identities that were on the wire of a path, and whose they should have been, as the lists of the window said. */
export type PathIdentity = {
  readonly pathId: string
  readonly windows: number
  /** `sa.namespace`, as the server saw it; null where no server did. */
  readonly clientId: string | null
  /** `sa.namespace`, as the client saw it; null where no client did. */
  readonly serverId: string | null
  /** ServiceAccounts of the ends; null where they are not known. */
  readonly source: string | null
  readonly destination: string | null
}

/** An episode with the path that it is of, as it stands now. */
export type PathEpisode = {
  readonly pathId: string
  readonly source: Source
  readonly destination: Destination
  readonly port: number
  readonly episode: Episode
}

/** A period before the one that is reported: what it is compared by. Read from months alone, never from single windows. */
export type PastPeriod = {
  readonly from: string
  readonly to: string
  /** Every expected window, oldest first; none where the cluster was not registered yet. */
  readonly windows: TimelineMonth['windows']
  /** Clipped to the period. */
  readonly rows: readonly PathRow[]
}

/** What is kept of a cluster from before a period. */
export type ClusterPast = {
  readonly id: string
  /** Oldest first; each ends where the next begins, the last where the reported period begins. */
  readonly periods: readonly PastPeriod[]
  /** Every episode that was open at some time between the beginning of the first of `periods` and the end of the reported one, by id. */
  readonly episodes: readonly PathEpisode[]
}

// ---------------------------------------------------------------- what it is judged by

/** What a rule says of a subject, worst first. `not-applicable`: the rule has nothing to judge there; it never counts as a pass. */
export const VERDICTS = ['fail', 'unknown', 'pass', 'not-applicable'] as const
export type Verdict = (typeof VERDICTS)[number]

/** What a rule judges. */
export type Subject =
  | {
      readonly kind: 'path'
      readonly cluster: string
      readonly pathId: string
      readonly source: Source
      readonly destination: Destination
      readonly port: number
    }
  | { readonly kind: 'port'; readonly cluster: string; readonly workload: Endpoint; readonly port: number }
  | { readonly kind: 'workload'; readonly cluster: string; readonly workload: Endpoint }
  | { readonly kind: 'cluster'; readonly cluster: string }

/** What one rule says of one subject over a period. */
export type Finding = {
  /** Id of the rule: the name of its file in lib/assess/rules. */
  readonly rule: string
  readonly subject: Subject
  readonly verdict: Verdict
  /** What was seen that makes the verdict, as one plain sentence. May hold names from clusters: make it printable. */
  readonly detail: string
  /** Id of the waiver that accepts a failure; null for none, and for every other verdict. A waived failure stays a failure. */
  readonly waiver: string | null
}

/** How many subjects passed. The one function that makes it is lib/assess/score.ts. */
export type Score = {
  readonly pass: number
  /** Failures that no waiver accepts. */
  readonly fail: number
  readonly waived: number
  readonly unknown: number
  /**
   * `pass` over all four, 0 to 1: neither a waiver nor what is unknown raises it. Null where nothing was judged, or where a
   * cluster in scope had no collected window: stronger than a good average.
   */
  readonly share: number | null
}

/** What a framework is judged on: a workload counts where cluster, namespace and labels all match. */
export type Scope = {
  /** Id of a framework of lib/assess/controls. */
  readonly framework: string
  /** Ids, with `*` for any text. Empty: every cluster. */
  readonly clusters: readonly string[]
  /** Names, with `*` for any text. Empty: every namespace. */
  readonly namespaces: readonly string[]
  /** Labels that a workload's pods must have. Empty: any. */
  readonly labels: Readonly<Record<string, string>>
  readonly owner: string
  readonly reason: string
}

/** An accepted exception. A pattern that is absent matches everything; `*` in one stands for any text. */
export type Waiver = {
  readonly id: string
  readonly cluster?: string
  /** Ids of rules. Absent: every rule. */
  readonly rules?: readonly string[]
  /** `kind/namespace/name` of the source, or `(unmeshed)`. */
  readonly source?: string
  /** `kind/namespace/name` of the destination, or of the workload where the subject is one. */
  readonly destination?: string
  readonly port?: number
  readonly owner: string
  readonly reason: string
  readonly compensatingControl: string
  /** RFC 3339. From this moment on it accepts nothing. */
  readonly expires: string
}

/** How a control stands, and what that rests on. */
export type ControlResult = {
  /** As the framework writes it: `SC-8(1)`. */
  readonly id: string
  /** `evidence handling`: about how records are kept. Printed with every control; a control is supported or tested, never met. */
  readonly relation: 'direct' | 'supports' | 'evidence handling'
  /** Our own words; never the text of the standard. */
  readonly paraphrase: string
  readonly note: string | null
  /** Where the control stands in the framework's documents. */
  readonly source?: string
  /** Ids of the rules behind it; empty where nothing here tests it. */
  readonly rules: readonly string[]
  /** Worst of the findings in scope. A failure that is waived is a failure. */
  readonly verdict: Verdict
  readonly score: Score
}

/** A framework's controls, judged on what is in its scope. */
export type FrameworkResult = {
  readonly id: string
  readonly title: string
  readonly version: string
  /** Empty where nobody declared a scope: then everything is judged. */
  readonly scopes: readonly Scope[]
  /** What was seen and is not judged, by cluster and namespace: printed on page one. */
  readonly outOfScope: readonly {
    readonly cluster: string
    readonly namespace: string
    readonly workloads: number
    readonly paths: number
  }[]
  readonly controls: readonly ControlResult[]
  readonly score: Score
}

export type RuleResult = {
  readonly id: string
  /** What holds where it passes, and what does not where it fails. */
  readonly title: string
  readonly failTitle: string
  readonly why: string
  readonly verdict: Verdict
  readonly score: Score
}

/** A waiver as it stands at the end of a period. */
export type WaiverResult = {
  readonly waiver: Waiver
  /** `unused`: in force, and accepts nothing that failed. `expiring`: in force, and for less than 14 days more. */
  readonly status: 'in-use' | 'unused' | 'expiring' | 'expired'
  readonly isTooBroad: boolean
  /** Failures that it accepts; where it is expired, those that it would. */
  readonly findings: number
}

/** What rules, controls, scope and waivers make of a period. Pure: the same input gives the same judgement. */
export type Judgement = {
  /** By rule, then subject. Of everything, in scope or not. */
  readonly findings: readonly Finding[]
  readonly rules: readonly RuleResult[]
  readonly frameworks: readonly FrameworkResult[]
  readonly waivers: readonly WaiverResult[]
  readonly score: Score
  /** Of the data file of controls. */
  readonly controls: { readonly version: string; readonly sha256: string }
}

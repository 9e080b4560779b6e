/** A snapshot: the answers of one attempt at one window. */
import type { Window } from './time.ts'
import type { Endpoint } from './path.ts'

/** One answer of Prometheus, as received. */
export type MetricsAnswer = {
  /** The name of the query in its plan (lib/observed/prometheus-queries.ts, lib/observed/cadvisor-queries.ts). */
  readonly name: string
  readonly query: string
  /** The evaluation time, seconds since the epoch as decimal text. */
  readonly time: string
  /** The body exactly as received. */
  readonly body: string
}

/** One Kubernetes list, reduced to the fields that lib/observed/kubernetes-fields.ts names. */
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

/** The metrics page of one proxy, read by the name of its pod, as the reducer of lib/observed/metrics-page.ts leaves it. */
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
   * Answers of the kubelet's cAdvisor about pods and containers, through the same Prometheus. A second witness: its failure does not make the
   * attempt incomplete. Complete with empty answers where that Prometheus does not scrape it. Absent where no Prometheus was asked, or none answered.
   */
  readonly cadvisor?: SourceStatus & { readonly answers: readonly MetricsAnswer[] }
  /**
   * The answer of `linkerd viz edges` when the attempt was made, after its window. A comparison: its failure does not make the attempt
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
  /** The server's policy let it in as a probe, by its path: anybody may send it. */
  readonly isOnProbePath: boolean
  readonly requests: number
}

/** The answer of viz's dashboard to `/api/edges` of one kind. */
export type VizAnswer = {
  /** The kind of both ends, as in the request: `deployment`. */
  readonly kind: string
  /** The body exactly as received. */
  readonly body: string
}

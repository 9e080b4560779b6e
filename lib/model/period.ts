/** The input of readers: a period, and the periods before it. */
import type { ClassNamespaces, Corroborated, Endpoint, PathEnds, State } from './path.ts'
import type { BlindSpot, Coverage, Crypto, VizDifference, Workload } from './window.ts'
import type { CountedRow, Episode, PathRow, TimelineMonth } from './history.ts'

/** All that is kept of one cluster over a period: what a report is made from. */
export type ClusterPeriod = {
  readonly id: string
  /** Every expected window, oldest first. */
  readonly windows: TimelineMonth['windows']
  /** By which any path and workload of the period has its class. */
  readonly classes: ClassNamespaces
  /** Clipped to the period. */
  readonly rows: readonly CountedRow[]
  /** By path id: the state in each window of `windows`; null before the path was first seen. */
  readonly strips: Readonly<Record<string, readonly (State | null)[]>>
  /** Of all windows of the period. */
  readonly coverage: readonly Coverage[]
  /** As of the latest window in which the Kubernetes lists could be read; empty without one. */
  readonly workloads: readonly Workload[]
  /** As of the latest window with metrics; null without one. */
  readonly crypto: Crypto | null
  /** Sources that could not be read; `window` is the end of the window. */
  readonly errors: readonly { readonly window: string; readonly line: string }[]
  /** Workloads, identities and cryptography in the windows of the period. Absent: unknown, and judged so. */
  readonly facts?: PeriodFacts
  /** Its history cannot be read: which of its paths were open is unknown, also of those that were open before the period. */
  readonly isUnread?: true
}

/** Facts that only the window results have: rules need them, and the latest window alone would hide them. */
export type PeriodFacts = {
  /** Windows in which Kubernetes lists were read. */
  readonly listedWindows: number
  /** How much of each workload was read, by window. Absent: unknown, so nothing counts as seen. */
  readonly observed?: ObservedPeriod
  /** Every workload that had a pod in a window; sorted by kind, namespace and name. */
  readonly workloads: readonly WorkloadHistory[]
  /** Identities of paths that the mesh encrypted, sorted by path id; each combination once. */
  readonly identities: readonly PathIdentity[]
  /** Cryptography that proxies reported in each collected window, oldest first; `end` is the end of the window. */
  readonly crypto: readonly { readonly start: string; readonly end: string; readonly crypto: Crypto }[]
  /** Contradictions by `linkerd viz edges`, in order of time. Absent: it was never asked, or never answered. */
  readonly viz?: { readonly compared: number; readonly differences: readonly VizDifference[] }
  /** Plaintext in stored captures that no proxy reported, in order of time. Absent: no capture of the period is stored. */
  readonly packets?: { readonly compared: number; readonly differences: readonly PacketDifference[] }
}

/** How much of each workload was read in a period. Arrays have one element for each window. */
export type ObservedPeriod = {
  /** Those with a result, oldest first. */
  readonly windows: readonly {
    readonly start: string
    readonly collected: boolean
    /** Some metrics could not be read. */
    readonly isPartial: boolean
    /** Complete Kubernetes lists hold before and after it: a workload that had no pod in it had none. */
    readonly isListed: boolean
  }[]
  /** By `kind/namespace/name`. */
  readonly workloads: ReadonlyMap<string, ObservedWorkload>
}

/** How much of one workload was read, by the index of the window. */
export type ObservedWorkload = {
  /** 1 where it had a pod, or may have had one. */
  readonly hadPods: Uint8Array
  /** 1 if lists that agree, or cAdvisor, show for each of its pods whether it had a proxy. */
  readonly told: Uint8Array
  /**
   * The part of its pods' time that was read, 0 to 1. It is 0 where a pod is in no list, had no proxy or is not known to have had one, and where
   * labels replace what the proxies say.
   */
  readonly shares: Float64Array
  /** Traffic that bypassed its proxies. */
  readonly around: ReadonlyMap<number, readonly BlindSpot[]>
  /** Windows in which its proxies were not read for a time because Prometheus was down, and for no other reason. */
  readonly outages: ReadonlySet<number>
}

/** Plaintext in a capture, to a workload's port where no proxy reported plaintext from that client in that window. */
export type PacketDifference = {
  /** The connection's first packet in the capture. */
  readonly at: string
  /** A workload or, where that is not known, an address. */
  readonly client: Endpoint
  readonly server: Endpoint
  readonly port: number
  /** Why it is clear, as `packets` says it. */
  readonly reason: string
  /** The path from that client that proxies reported; null if none did. */
  readonly pathId: string | null
}

/** A workload over the windows of a period in which it had pods. Lists are sorted and without duplicates. */
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
  /** Settings that bypass its proxies: the blind spots `skip-inbound`, `skip-outbound` and `skip-subnet`. */
  readonly bypasses: readonly BlindSpot[]
  /** Each set of labels it had; empty where they are not known. */
  readonly labels: readonly Readonly<Record<string, string>>[]
  readonly overriding: readonly string[]
  /** Sums over the windows that have them, as in {@link Workload}; absent: none has. */
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
  readonly corroborated: Corroborated
}

/** An episode in its present state, with its path. */
export type PathEpisode = PathEnds & {
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

/** Periods of a cluster before the one that is read. */
export type ClusterPast = {
  readonly id: string
  /** Oldest first; each ends where the next begins, the last where the reported period begins. */
  readonly periods: readonly PastPeriod[]
  /**
   * Every episode that was open at some time between the beginning of the first of `periods` and the end of the reported one, and the earlier ones of the same
   * paths; by id.
   */
  readonly episodes: readonly PathEpisode[]
}

/** What is kept of a cluster over two periods that are compared. */
export type ComparedCluster = {
  readonly id: string
  readonly before: Pick<PastPeriod, 'windows' | 'rows'>
  /** Every expected window from the end of the earlier period to the begin of the later one, oldest first; none where they touch or overlap. */
  readonly between: TimelineMonth['windows']
  /** Of the later period, every expected one, oldest first. */
  readonly windows: TimelineMonth['windows']
  /** Of the later period, clipped to what comes after the end of the earlier one. */
  readonly rows: readonly PathRow[]
  /** Those that were open at some time since the beginning of the earlier period, and the earlier ones of the same paths; by id. */
  readonly episodes: readonly PathEpisode[]
}

/** The signed head of the log as a report prints it, so that every reader keeps one. */
export type PrintedHead = {
  readonly origin: string
  /** How many leaves the log had. */
  readonly size: number
  /** The root hash, base64. */
  readonly root: string
  /** The public key that checks `text`, as the store names it: `name+id+key`. */
  readonly vkey: string
  /** The checkpoint as it was signed. */
  readonly text: string
  /** How many attempts the report is based on, and how many of them are not among the leaves. */
  readonly attempts: number
  readonly unsealed: number
}

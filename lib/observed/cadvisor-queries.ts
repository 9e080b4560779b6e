import type { Seconds, Window } from '../model/time.ts'
import { SETTLE_SECONDS, toSeconds } from '../time/windows.ts'

/**
 * What is asked of the kubelet's cAdvisor, which viz's own Prometheus scrapes too: it shows every container of every pod, with and without a
 * proxy, also of pods that no Kubernetes list holds (shared/facts/witness.md, measured).
 */
export type CadvisorQueryName =
  | 'containers-first'
  | 'containers-last'
  | 'nodes'
  | 'sent-bytes'
  | 'received-bytes'
  | 'sent-packets'
  | 'received-packets'

/** One instant query of the plan. */
export type CadvisorQuery = { readonly name: CadvisorQueryName; readonly query: string; readonly time: Seconds }

/**
 * Found by what it is and not by the name of its job, which differs between Prometheuses. A pod that is scraped as a proxy may write these
 * metrics on its own page; such a target always has the label `control_plane_ns`, which no pod can take off.
 */
const OF_A_POD = 'pod!="",control_plane_ns=""'
const CPU = `container_cpu_usage_seconds_total{${OF_A_POD}}`

/**
 * The pod's uid, which the path of its control group holds: `/kubepods/burstable/pod<uid>/<container>` with cgroupfs,
 * `kubepods-burstable-pod<uid with underscores>.slice` with systemd. Two pods of a StatefulSet share a name and differ in it.
 */
function withUid(series: string): string {
  return `label_replace(${series}, "uid", "$1", "id", ".*[/-]pod([0-9a-f_-]+)([./].*)?")`
}

/** Seconds between two looks at the times of samples. The kubelet samples a container every ten seconds at most (measured). */
const LOOK_SECONDS = 10
/** Seconds between two looks at whether a node's samples are fresh. */
const NODE_LOOK_SECONDS = 30

/**
 * The queries of one window, reduced by Prometheus to a few series for each pod: when each of its containers was first and last sampled, how
 * fresh each node's samples were, and the bytes and packets of its network interfaces. Samples carry the kubelet's own times and end without a
 * staleness marker, so the times of samples are asked for, never whether a series is there.
 */
export function cadvisorQueriesOf(window: Window): CadvisorQuery[] {
  const end = toSeconds(window.end)
  const length = end - toSeconds(window.start)
  // A minute more, so that a container's first sample is there also if it came after the window's end.
  const late = end + SETTLE_SECONDS
  const reach = length + SETTLE_SECONDS
  const sampled = (name: CadvisorQueryName, reduce: 'min' | 'max'): CadvisorQuery => ({
    name,
    query: `${reduce} by (namespace, pod, container, uid) (${withUid(`${reduce}_over_time(timestamp(${CPU})[${reach}s:${LOOK_SECONDS}s])`)})`,
    time: late,
  })
  const moved = (name: CadvisorQueryName, metric: string): CadvisorQuery => {
    const series = `${metric}{${OF_A_POD},interface!="lo"}`
    const range = `${series}[${length}s]`
    const grown = `max_over_time(${range}) - (${series} offset ${length}s) or max_over_time(${range}) - min_over_time(${range})`
    // The same interface may come from two jobs, or two replicas.
    return {
      name,
      query: `sum by (namespace, pod, uid) (max by (namespace, pod, uid, interface) (${withUid(`(${grown})`)}))`,
      time: end,
    }
  }
  return [
    sampled('containers-first', 'min'),
    sampled('containers-last', 'max'),
    { name: 'nodes', query: `max by (instance) (timestamp(${CPU}))[${reach}s:${NODE_LOOK_SECONDS}s]`, time: late },
    moved('sent-bytes', 'container_network_transmit_bytes_total'),
    moved('received-bytes', 'container_network_receive_bytes_total'),
    moved('sent-packets', 'container_network_transmit_packets_total'),
    moved('received-packets', 'container_network_receive_packets_total'),
  ]
}

/** Asked by `cluster check`: how many pods cAdvisor shows now. Empty: this Prometheus does not scrape it. */
export const CADVISOR_PODS_QUERY = `count(count by (namespace, pod) (${CPU}))`

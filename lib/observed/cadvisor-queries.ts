import type { Seconds, Window } from '../model/time.ts'
import { SETTLE_SECONDS, toSeconds } from '../time/windows.ts'

/**
 * Queries about the kubelet's cAdvisor, which viz's own Prometheus also scrapes. It shows every container of every pod, with and without a proxy, including
 * unlisted pods (measured).
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
 * Selects by metric, not by job name, which differs between Prometheus servers. A pod that is scraped as a proxy may write these metrics on its own page, but
 * such a target always has the label `control_plane_ns`, which no pod can remove.
 */
const OF_A_POD = 'pod!="",control_plane_ns=""'
const CPU = `container_cpu_usage_seconds_total{${OF_A_POD}}`

/**
 * Adds the pod's uid, which its cgroup path contains: `/kubepods/burstable/pod<uid>/<container>` with cgroupfs, `kubepods-burstable-pod<uid with
 * underscores>.slice` with systemd. Successive pods of a StatefulSet share a name but not a uid.
 */
function withUid(series: string): string {
  return `label_replace(${series}, "uid", "$1", "id", ".*[/-]pod([0-9a-f_-]+)([./].*)?")`
}

/** Resolution of the subqueries for sample times, in seconds. The kubelet samples a container at most every ten seconds (measured). */
const LOOK_SECONDS = 10
/** Resolution of the subquery for nodes' freshness, in seconds. */
const NODE_LOOK_SECONDS = 30

/**
 * Returns the queries of one window, which Prometheus reduces to a few series for each pod: each container's first and last sample, the freshness of each
 * node's samples, and the bytes and packets of network interfaces. Samples have the kubelet's own times and end without a staleness marker, so queries read
 * sample times, never the existence of a series.
 */
export function cadvisorQueriesOf(window: Window): CadvisorQuery[] {
  const end = toSeconds(window.end)
  const length = end - toSeconds(window.start)
  // One more minute, to include a container's first sample after the window's end.
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
    // Two jobs or replicas may report the same interface.
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

/** Query of `cluster check`: how many pods cAdvisor shows now. Empty if this Prometheus does not scrape it. */
export const CADVISOR_PODS_QUERY = `count(count by (namespace, pod) (${CPU}))`

import type { Seconds, Window } from '../model/time.ts'
import { LOOKBACK_SECONDS, SETTLE_SECONDS, toSeconds } from '../time/windows.ts'

/** One instant query of the plan. */
export type Query = {
  /** Purpose of the answer. Slices with the same name contain the same series at different times. */
  readonly name: QueryName
  readonly query: string
  /** Evaluation time. */
  readonly time: Seconds
}

/** The name of a query of the plan. */
export type QueryName =
  | 'scrapes'
  | 'process-starts'
  | 'clear-inbound'
  | 'clear-outbound'
  | 'clear-authorized'
  | 'clear-requests'
  | 'overridden'
  | 'encrypted-open'
  | 'encrypted-moved'
  | 'encrypted-new-last'
  | 'encrypted-new-first'
  | 'encrypted-new-count'
  | 'encrypted-bytes'
  | 'admin-opened'
  | 'admin-requests'
  | 'crypto-tls'
  | 'crypto-versions'
  | 'crypto-certificate-first'
  | 'crypto-certificate-last'
  | 'crypto-certificate-count'

/** The proxy's own ports: probes and scrapes of every pod go there, so they are reduced and never scored. */
export const ADMIN_PORTS = [4190, 4191] as const

/** Counters and the gauge of connections, of either side. */
export const TCP_COUNTERS = [
  'tcp_open_total',
  'tcp_open_connections',
  'tcp_read_bytes_total',
  'tcp_write_bytes_total',
] as const

/** Counters of traffic that policy allowed or refused. */
export const AUTHORIZED_COUNTERS = [
  'inbound_http_authz_allow_total',
  'inbound_http_authz_deny_total',
  'inbound_http_route_not_found_total',
  'inbound_http_local_ratelimit_total',
  'inbound_tcp_authz_allow_total',
  'inbound_tcp_authz_deny_total',
  'inbound_tcp_authz_terminate_total',
] as const

const TCP = TCP_COUNTERS.join('|')
const AUTHORIZED = AUTHORIZED_COUNTERS.join('|')
const ADMIN = ADMIN_PORTS.join('|')

/**
 * Pod labels override the labels that the selectors below use, and the proxy's own value moves to `exported_<name>` (measured): a pod labelled `peer: src` or
 * `tls: "true"` would hide its plaintext connections. So queries also select by each `exported_` twin.
 */
const SELECTED_BY = ['tls', 'direction', 'peer', 'target_port'] as const

/**
 * Labels that decide nothing. They are dropped from answers with a series for every encrypted end, which saves a third of the bytes. A pod label with one of
 * these names changes nothing, either.
 */
export const LEFT_OUT: ReadonlySet<string> = new Set([
  'app',
  'component',
  'control_plane_ns',
  'controller_revision_hash',
  'dst_control_plane_ns',
  'dst_pod_template_hash',
  'dst_zone',
  'dst_zone_locality',
  'extension',
  'job',
  'pod_template_hash',
  'srv_group',
  'srv_kind',
  'srv_name',
  'srv_port',
  'workload_ns',
])

/** Queries whose values are times that a proxy reports. An impossible time from one proxy must not block the others, so it is ignored when used. */
export const STATED_MOMENTS: ReadonlySet<string> = new Set<QueryName>([
  'process-starts',
  'crypto-certificate-first',
  'crypto-certificate-last',
])

/** Maximum length of a slice of raw samples, which bounds each answer whatever the window's size. */
const SLICE_SECONDS = 20 * 60

/**
 * Returns all queries of one window. Traffic without mesh TLS is queried as raw samples from {@link LOOKBACK_SECONDS} before the window, since only they
 * distinguish a first connection from an old one. Prometheus reduces traffic with mesh TLS, where absence only ever becomes `not-observed`.
 */
export function queriesOf(window: Window): Query[] {
  const start = toSeconds(window.start)
  const end = toSeconds(window.end)
  const length = end - start
  // Prometheus 2 counts a sample at exactly the range's left end, which belongs to the window before; Prometheus 3 does not. Raw samples are filtered by
  // their time; reduced queries leave a millisecond out, since there absence is safe.
  const within = `${length * 1000 - 1}ms`
  const before = `offset ${length}s`
  // Two jobs that scrape one proxy would count everything twice.
  const summed = (expression: string) =>
    `sum without (${[...LEFT_OUT].filter((name) => name !== 'job').join(', ')}) (max without (job) (${expression}))`
  const perProxy = 'instance, namespace, pod'
  const raw = (name: QueryName, selector: string, until = end): Query[] =>
    slices(start - LOOKBACK_SECONDS, until).map(({ time, seconds }) => ({
      name,
      query: `${selector}[${seconds}s]`,
      time,
    }))
  const once = (name: QueryName, query: string): Query => ({ name, query, time: end })

  const encrypted = ['{direction="outbound",peer="dst",tls="true"}', '{direction="inbound",peer="src",tls="true"}']
  const moved = (metric: string) =>
    `last_over_time(${metric}[${within}]) - (${metric} ${before}) != 0 or last_over_time(${metric}[${within}]) unless (${metric} ${before})`
  // Read and written bytes have the same labels, so one answer has both.
  const movedBytes = (selector: string) => {
    const both = (value: (metric: string) => string) =>
      `(${value(`tcp_read_bytes_total${selector}`)} + ${value(`tcp_write_bytes_total${selector}`)})`
    const last = both((metric) => `last_over_time(${metric}[${within}])`)
    const first = both((metric) => `(${metric} ${before})`)
    return `${last} - ${first} > 0 or ${last} unless ${first}`
  }
  const added = (reduce: string, metric: string) => `${reduce}(${metric}[${within}]) unless (${metric} ${before})`

  return [
    // One scrape after the end closes the last interval, so that coverage can be complete.
    ...raw('scrapes', 'up{job="linkerd-proxy"}', end + SETTLE_SECONDS),
    ...raw('scrapes', 'up{job!="linkerd-proxy",instance=~".+:4191"}', end + SETTLE_SECONDS),
    // Every value, since a proxy may restart more than twice in this time.
    ...raw('process-starts', 'process_start_time_seconds{job="linkerd-proxy"}'),
    ...raw('process-starts', 'process_start_time_seconds{job!="linkerd-proxy",instance=~".+:4191"}'),
    ...raw('clear-inbound', `{__name__=~"${TCP}",direction="inbound",peer="src",tls!="true",target_port!~"${ADMIN}"}`),
    ...raw('clear-outbound', `{__name__=~"${TCP}",direction="outbound",peer="dst",tls!="true"}`),
    ...raw('clear-authorized', `{__name__=~"${AUTHORIZED}",tls!="true",target_port!~"${ADMIN}"}`),
    ...raw('clear-requests', `request_total{direction="outbound",tls!="true"}`),
    ...SELECTED_BY.flatMap((label) =>
      raw('overridden', `{__name__=~"${TCP}|${AUTHORIZED}|request_total",exported_${label}!=""}`),
    ),
    ...encrypted.flatMap((selector) => {
      const opened = `tcp_open_total${selector}`
      return [
        once('encrypted-open', `${summed(`max_over_time(tcp_open_connections${selector}[${within}])`)} > 0`),
        once('encrypted-moved', `last_over_time(${opened}[${within}]) - (${opened} ${before}) != 0`),
        once('encrypted-new-last', added('last_over_time', opened)),
        once('encrypted-new-first', added('min_over_time', opened)),
        once('encrypted-new-count', added('count_over_time', opened)),
        once('encrypted-bytes', summed(movedBytes(selector))),
      ]
    }),
    once('admin-opened', moved(`tcp_open_total{direction="inbound",peer="src",tls!="true",target_port=~"${ADMIN}"}`)),
    once('admin-requests', moved(`inbound_http_authz_allow_total{tls!="true",target_port=~"${ADMIN}"}`)),
    once(
      'crypto-tls',
      `count by (tls_suites, tls_kx_groups, tls_fips) (max by (${perProxy}, tls_suites, tls_kx_groups, tls_fips) (last_over_time(rustls_info[${within}])))`,
    ),
    once(
      'crypto-versions',
      `count by (version) (max by (${perProxy}, version) (last_over_time(proxy_build_info[${within}])))`,
    ),
    once(
      'crypto-certificate-first',
      `min(last_over_time(control_identity_cert_expiration_timestamp_seconds[${within}]))`,
    ),
    once(
      'crypto-certificate-last',
      `max(last_over_time(control_identity_cert_expiration_timestamp_seconds[${within}]))`,
    ),
    once(
      'crypto-certificate-count',
      `count(max by (${perProxy}) (last_over_time(control_identity_cert_expiration_timestamp_seconds[${within}])) > 0)`,
    ),
  ]
}

/** Query for a window without scrapes: whether Prometheus has older data, which makes the gap final. */
export function earlierScrapesQuery(window: Window): Pick<Query, 'query' | 'time'> {
  return { query: 'count(count_over_time(up{job="linkerd-proxy"}[1d]))', time: toSeconds(window.start) }
}

/** How many days back a first run looks for the oldest sample. */
export const OLDEST_SAMPLE_DAYS = 15

/** Splits `(from, until]` into slices, oldest first, without overlap. */
function slices(from: Seconds, until: Seconds): { time: Seconds; seconds: Seconds }[] {
  const pieces: { time: Seconds; seconds: Seconds }[] = []
  for (let begin = from; begin < until; begin += SLICE_SECONDS) {
    const time = Math.min(begin + SLICE_SECONDS, until)
    pieces.push({ time, seconds: time - begin })
  }
  return pieces
}

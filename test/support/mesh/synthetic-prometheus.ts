import { LEFT_OUT, type Query, queriesOf } from '../../../lib/observed/prometheus-queries.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import type { MetricsAnswer } from '../../../lib/model/snapshot.ts'
import type { Window } from '../../../lib/model/time.ts'
import { type Pod, identityOf } from './synthetic-pods.ts'

type Labels = Readonly<Record<string, string>>

/** A counter or gauge on a proxy's page: its value at a time in seconds after the window's start, undefined while it is not there. */
export type Counter = {
  readonly on: Pod
  readonly name: string
  readonly labels: Labels
  readonly value: (time: number) => number | undefined
}

const SCRAPE_SECONDS = 10
/** Scrapes reach from the begin of the look back to a minute after the window. */
const FIRST_SCRAPE = -905
const LAST_SCRAPE = 355

/** How connections came about: when they were opened, and whether they stay open. */
export type Connections = {
  readonly at?: readonly number[]
  /** Seconds that each stays open; infinite: it stays. */
  readonly lasts?: number
  /** Bytes that each wrote, and as many that it read, when it was opened. */
  readonly bytes?: number
  /** The series is evicted at this time. */
  readonly evictedAt?: number
}

/** The four TCP series of one subject. */
export function tcp(on: Pod, labels: Labels, connections: Connections = {}): Counter[] {
  const { at = [60], lasts = 5, bytes = 100, evictedAt = Infinity } = connections
  const opened = (time: number) => at.filter((one) => one <= time).length
  const there = (value: (time: number) => number) => (time: number) =>
    opened(time) > 0 && time < evictedAt ? value(time) : undefined
  const values: Readonly<Record<string, (time: number) => number>> = {
    tcp_open_total: opened,
    tcp_open_connections: (time) => at.filter((one) => one <= time && time < one + lasts).length,
    tcp_read_bytes_total: (time) => opened(time) * bytes,
    tcp_write_bytes_total: (time) => opened(time) * bytes,
  }
  return Object.entries(values).map(([name, value]) => ({ on, name, labels, value: there(value) }))
}

/** A counter that goes up by one at each of some times, and is born with the first. */
export function counts(on: Pod, name: string, labels: Labels, at: readonly number[]): Counter {
  return {
    on,
    name,
    labels,
    value: (time) => at.filter((one) => one <= time).length || undefined,
  }
}

/** Times every `period` seconds, as a probe or a busy client has them, from before the look back to the end. */
export function every(period: number, from = -1000, until = 360): number[] {
  return Array.from({ length: Math.floor((until - from) / period) }, (_, index) => from + index * period)
}

export const NO_TLS = { tls: 'no_identity', no_tls_reason: 'no_tls_from_remote' } as const
export const NO_DISCOVERY = { tls: 'no_identity', no_tls_reason: 'not_provided_by_service_discovery' } as const

function target(ip: string, port: number): Labels {
  return { target_addr: `${ip.includes(':') ? `[${ip}]` : ip}:${port}`, target_ip: ip, target_port: String(port) }
}

/** The labels of what a server's proxy counts on a port. */
export function inbound(server: Pod, port: number, tls: Labels): Labels {
  const policy = { srv_kind: 'default', srv_name: server.policy, srv_port: String(port) }
  return { direction: 'inbound', peer: 'src', ...target(server.ip, port), ...policy, ...tls }
}

/** The labels of what a client's proxy counts towards a pod. */
export function outbound(server: Pod, port: number, tls: Labels): Labels {
  const [kind = '', name = ''] = server.owner.split('/')
  const label = kind === 'job' ? 'dst_k8s_job' : `dst_${kind}`
  return {
    direction: 'outbound',
    peer: 'dst',
    ...target(server.ip, port),
    dst_namespace: server.namespace,
    dst_pod: server.name,
    dst_serviceaccount: server.serviceAccount,
    ...(kind === '' || kind === 'cronjob' ? {} : { [label]: name }),
    ...tls,
  }
}

/** The labels of what a client's proxy counts towards what discovery does not know. */
export function outboundTo(address: string, port: number, more: Labels = {}): Labels {
  return { direction: 'outbound', peer: 'dst', ...target(address, port), ...NO_DISCOVERY, ...more }
}

/** Mutual TLS between two meshed pods, as both proxies count it. */
export function mutual(client: Pod, server: Pod, port: number, connections: Connections = {}): Counter[] {
  return [
    ...tcp(client, outbound(server, port, { tls: 'true', server_id: identityOf(server) }), connections),
    ...tcp(server, inbound(server, port, { tls: 'true', client_id: identityOf(client) }), connections),
  ]
}

/** The authorisation counters of a server's proxy; the name says what and how it was decided. */
export function authorized(
  server: Pod,
  port: number,
  name:
    | 'http_authz_allow'
    | 'http_authz_deny'
    | 'http_route_not_found'
    | 'http_local_ratelimit'
    | 'tcp_authz_allow'
    | 'tcp_authz_deny'
    | 'tcp_authz_terminate',
  at: readonly number[] = [60],
  labels: Labels = {},
): Counter {
  const { direction: _direction, peer: _peer, ...rest } = inbound(server, port, NO_TLS)
  const authz = { authz_kind: 'default', authz_name: server.policy }
  return counts(server, `inbound_${name}_total`, { ...rest, ...authz, ...labels }, at)
}

export const PROBE = { authz_kind: 'default', authz_name: 'probe', route_name: 'probe' } as const

/** An unmeshed client's clear HTTP requests, as the server's proxy counts them. */
export function clearHttp(server: Pod, port: number, at: readonly number[] = [60]): Counter[] {
  return [...tcp(server, inbound(server, port, NO_TLS), { at }), authorized(server, port, 'http_authz_allow', at)]
}

/** All answers of Prometheus for a window: it scraped the pods, relabelled them as viz does, and was asked the collector's queries. */
export function answersOf(window: Window, pods: readonly Pod[], counters: readonly Counter[]): MetricsAnswer[] {
  const start = toSeconds(window.start)
  const series = [...scrapeSeries(start, pods), ...counters.flatMap((counter) => toSeries(start, counter))]
  return queriesOf(window).map((query) => ({
    name: query.name,
    query: query.query,
    time: String(query.time),
    body: JSON.stringify({ status: 'success', data: evaluate(query, series, window) }),
  }))
}

type Stored = {
  readonly labels: Labels
  /** Absolute times, oldest first. */
  readonly samples: readonly (readonly [time: number, value: number])[]
  /** Every scrape of its target, with success or not: a series that one of them lacks is stale from then on. */
  readonly scrapes: readonly number[]
}

function scrapeTimes(
  pod: Pod,
  { offset, scrape = pod.scrape }: Pod['scrapers'][number],
): { time: number; isUp: boolean }[] {
  const times: { time: number; isUp: boolean }[] = []
  for (let time = FIRST_SCRAPE + offset; time <= LAST_SCRAPE; time += SCRAPE_SECONDS) {
    const answer = pod.meshed && time >= pod.from && time < pod.to ? scrape(time) : 'none'
    if (answer !== 'none') times.push({ time, isUp: answer === 'success' })
  }
  return times
}

function scrapeSeries(start: number, pods: readonly Pod[]): Stored[] {
  return pods.flatMap((pod) => {
    const up = pod.scrapers.flatMap((scraper): Stored[] => {
      const scrapes = scrapeTimes(pod, scraper)
      if (scrapes.length === 0) return []
      return [
        {
          labels: { ...targetLabels(pod), ...scraper.labels, __name__: 'up' },
          samples: scrapes.map(({ time, isUp }) => [start + time, isUp ? 1 : 0]),
          scrapes: scrapes.map(({ time }) => start + time),
        },
      ]
    })
    const startedAt = (time: number) => [pod.from, ...pod.restarts].findLast((one) => one <= time) ?? pod.from
    const value = (time: number) => start + startedAt(time) + pod.clock
    const started = { on: pod, name: 'process_start_time_seconds', labels: {}, value }
    return up.length === 0 ? [] : [...up, ...toSeries(start, started)]
  })
}

function toSeries(start: number, { on, name, labels, value }: Counter): Stored[] {
  return on.scrapers.map((scraper): Stored => {
    const scrapes = scrapeTimes(on, scraper)
    return {
      labels: { ...joined({ ...targetLabels(on), ...scraper.labels }, labels), __name__: name },
      samples: scrapes.flatMap(({ time, isUp }) => {
        const seen = isUp ? value(time) : undefined
        return seen === undefined ? [] : [[start + time, seen] as const]
      }),
      scrapes: scrapes.map(({ time }) => start + time),
    }
  })
}

/** viz's relabelling: what the pod is, then the injector's labels, then every label of the pod, of which the last wins (measured). */
function targetLabels(pod: Pod): Labels {
  const labels: Record<string, string> = {
    job: 'linkerd-proxy',
    instance: `${pod.ip.includes(':') ? `[${pod.ip}]` : pod.ip}:${pod.adminPort}`,
    namespace: pod.namespace,
    pod: pod.name,
  }
  for (const [name, value] of Object.entries(pod.labels)) {
    const meta = name.replaceAll(/[^a-zA-Z0-9_]/g, '_')
    const own = meta === 'linkerd_io_proxy_job' ? 'k8s_job' : meta.replace(/^linkerd_io_(proxy_)?/, '')
    labels[own] = value
  }
  return labels
}

/** Prometheus without `honor_labels`: a label of the page whose name is taken moves behind `exported_`, as often as needed. */
function joined(ofTarget: Labels, ofPage: Labels): Labels {
  const labels: Record<string, string> = { ...ofTarget }
  for (const [name, value] of Object.entries(ofPage)) {
    if (value === '') continue
    let free = name
    while (free in ofTarget || (free !== name && free in ofPage)) free = `exported_${free}`
    labels[free] = value
  }
  return labels
}

/** What Prometheus 2 answers to one of the collector's queries. The selector is read from the query, the rest follows from its name. */
function evaluate(query: Query, series: readonly Stored[], window: Window): object {
  const selects = selectorOf(query.query)
  // Read and written bytes are one answer.
  const selectsToo = selectorOf(query.query.replaceAll('tcp_read_bytes_total', 'tcp_write_bytes_total'))
  const matching = series.filter(({ labels }) => selects(labels) || selectsToo(labels))
  const range = /\[(\d+)s\]$/.exec(query.query)
  if (range !== null) return { resultType: 'matrix', result: matrix(matching, query.time, Number(range[1])) }
  const [start, end] = [toSeconds(window.start), toSeconds(window.end)]
  const result = matching.flatMap((one) => {
    const within = one.samples.filter(([time]) => time > start && time <= end).map(([, value]) => value)
    const last = within.at(-1)
    const value = last === undefined ? undefined : REDUCED[query.name]?.(within, last, atStart(one, start))
    return value === undefined ? [] : [{ metric: one.labels, value: [end, String(value)] as const }]
  })
  return { resultType: 'vector', result: query.query.startsWith('sum without') ? summed(result) : result }
}

function matrix(series: readonly Stored[], time: number, seconds: number): object[] {
  return series.flatMap(({ labels, samples }) => {
    const values = samples
      .filter(([at]) => at >= time - seconds && at <= time)
      .map(([at, value]) => [at, String(value)])
    return values.length === 0 ? [] : [{ metric: labels, values }]
  })
}

/** What a reducing query makes of a series: the values inside the window, and the one at its start. */
const REDUCED: Partial<
  Record<Query['name'], (within: readonly number[], last: number, before: number | undefined) => number | undefined>
> = {
  'encrypted-open': (within) => Math.max(...within) || undefined,
  'encrypted-moved': (_, last, before) => (before === undefined ? undefined : last - before || undefined),
  'encrypted-new-last': (_, last, before) => (before === undefined ? last : undefined),
  'encrypted-new-first': (within, _, before) => (before === undefined ? Math.min(...within) : undefined),
  'encrypted-new-count': (within, _, before) => (before === undefined ? within.length : undefined),
  'encrypted-bytes': moved,
  'admin-opened': moved,
  'admin-requests': moved,
}

function moved(_: readonly number[], last: number, before: number | undefined): number | undefined {
  return before === undefined ? last : last - before || undefined
}

/** An instant query at the window's start: the last sample of five minutes, unless a later scrape lacked the series. */
function atStart({ samples, scrapes }: Stored, start: number): number | undefined {
  const sample = samples.findLast(([time]) => time <= start)
  const scrape = scrapes.findLast((time) => time <= start)
  return sample !== undefined && sample[0] === scrape && start - sample[0] < 300 ? sample[1] : undefined
}

type Instant = { readonly metric: Labels; readonly value: readonly [number, string] }

/** `sum without (...) (max without (job) (...))`: what two jobs count of one proxy is the same. */
function summed(result: readonly Instant[]): Instant[] {
  // Read and written bytes are added up by the query before, and here at the end.
  const largest = aggregated(result, new Set(['job']), Math.max)
  return aggregated(largest, new Set([...LEFT_OUT, '__name__']), (a, b) => a + b)
}

function aggregated(
  result: readonly Instant[],
  without: ReadonlySet<string>,
  join: (a: number, b: number) => number,
): Instant[] {
  const joinedBy = new Map<string, Instant>()
  for (const { metric, value } of result) {
    const kept = Object.fromEntries(Object.entries(metric).filter(([name]) => !without.has(name)))
    const key = JSON.stringify(
      Object.keys(kept)
        .toSorted()
        .map((name) => [name, kept[name]]),
    )
    const known = joinedBy.get(key)
    const sum = known === undefined ? Number(value[1]) : join(Number(known.value[1]), Number(value[1]))
    joinedBy.set(key, { metric: kept, value: [value[0], String(sum)] })
  }
  return [...joinedBy.values()]
}

/** Reads the first selector of a query: `name{label="a",other!~"b|c"}`. */
function selectorOf(query: string): (labels: Labels) => boolean {
  const [, name = '', matchers = ''] = /([a-z_]*)\{([^}]*)\}/.exec(query) ?? []
  const tests = [...matchers.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(
    ([, label = '', operator = '', wanted = '']) => {
      const pattern = new RegExp(`^(?:${wanted})$`)
      return (labels: Labels) => {
        const value = labels[label] ?? ''
        const holds = operator.endsWith('~') ? pattern.test(value) : value === wanted
        return operator.startsWith('!') ? !holds : holds
      }
    },
  )
  const bare = name === '' ? /^[a-z_]+(?=\[)/.exec(query)?.[0] : name
  return (labels) => (bare === undefined || labels['__name__'] === bare) && tests.every((holds) => holds(labels))
}

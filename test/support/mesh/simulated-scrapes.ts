import type { Seconds } from '../../../lib/model/time.ts'
import type { Labels, StoredSeries } from './promql.ts'
import {
  type Call,
  type SimulatedMesh,
  type SimulatedPod,
  type Span,
  chance,
  isIn,
  probeCalls,
  processesOf,
  proxyStarted,
  seenBy,
} from './simulated-mesh.ts'

/**
 * What Prometheus holds of a simulated mesh. Proxies count as Linkerd's do: series of connections are born with their value, and dropped when a
 * page is read, after it was written, if they were idle for ten minutes; counters of authorisations are never dropped.
 */

/** A series, and how late its samples came. */
export type HeldSeries = StoredSeries & { readonly late: Seconds }

/** What Prometheus holds, and when it read whom. */
export type Scraped = {
  readonly series: readonly HeldSeries[]
  /** When a pod's proxy was read with success, oldest first, by uid. */
  readonly reads: ReadonlyMap<string, readonly Seconds[]>
}

const RETAIN_IDLE_SECONDS = 600

/** How long after a target is gone Prometheus writes that its series are stale, in intervals. */
const STALE_AFTER = 1.1

type Op = { readonly at: Seconds; readonly series: string; readonly do: 'open' | 'close' | 'bytes' | 'count' }

/** What a proxy process writes: connections by their labels, counters by theirs. */
type Counted = {
  readonly labels: Labels
  /** Absent: a connection's series. */
  readonly name?: string
  /** It is dropped when it is idle. */
  readonly isDropped: boolean
  total: number
  open: number
  read: number
  written: number
  used: Seconds
}

const ADMIN_PORT = 4191

/** The series of connections, in the order in which a page shows them. */
const TCP_SERIES = ['tcp_open_total', 'tcp_open_connections', 'tcp_read_bytes_total', 'tcp_write_bytes_total'] as const

type HeldBuilder = {
  readonly labels: Labels
  readonly times: Seconds[]
  readonly values: (number | null)[]
  readonly late: Seconds
}

function identityOf({ workload: { serviceAccount, namespace } }: SimulatedPod): string {
  return `${serviceAccount}.${namespace}.serviceaccount.identity.linkerd.cluster.local`
}

/** The pod that scrapes: its own proxy opens one connection to each proxy and keeps it. */
function isPrometheus({ workload }: SimulatedPod): boolean {
  return workload.namespace === 'linkerd-viz' && workload.name === 'prometheus'
}

/** Scrapes the mesh. */
export function scrape(mesh: SimulatedMesh): Scraped {
  const byPod = new Map<SimulatedPod, Op[]>()
  const subjects = new Map<string, Pick<Counted, 'labels' | 'name' | 'isDropped'>>()
  const opsOf = (pod: SimulatedPod) => {
    const known = byPod.get(pod) ?? []
    byPod.set(pod, known)
    return known
  }
  const scraper = mesh.pods.find(isPrometheus)
  const admin = mesh.pods.flatMap((pod) => adminCalls(mesh, pod, scraper))
  // Counters live as long as their process, so whatever it did is counted, also before Prometheus looked.
  const probes = mesh.pods.flatMap((pod) => (pod.meshed ? probeCalls(mesh, pod, probed(mesh, pod)) : []))
  const moved = movesOf(subjects)
  for (const call of [...mesh.calls, ...admin, ...probes]) {
    const { from, opened, closed, moments } = call
    // A tcpSocket probe closes before the proxy has looked at it, and makes no series of connections (measured).
    if (from === 'kubelet' && moments.length === 0) continue
    for (const { on, series, each } of moved(call)) {
      const ops = opsOf(on)
      if (each === 'connection') {
        ops.push({ at: opened, series, do: 'open' }, { at: closed, series, do: 'close' })
        for (const at of moments) ops.push({ at, series, do: 'bytes' })
      } else for (const at of each === 'opening' ? [opened] : moments) ops.push({ at, series, do: 'count' })
    }
  }
  const reads = new Map<string, readonly Seconds[]>()
  const series: HeldSeries[] = []
  for (const pod of mesh.pods) {
    if (!pod.meshed) continue
    const held = scrapeProxy(mesh, pod, { ops: byPod.get(pod) ?? [], subjects })
    reads.set(pod.uid, held.reads)
    series.push(...held.series)
  }
  return { series: mesh.hasCadvisor ? [...series, ...cadvisor(mesh)] : series, reads }
}

/** Older probes only make counters larger. */
function probed({ scraped }: SimulatedMesh, { started }: SimulatedPod): Span {
  return { from: Math.max(started, scraped.from - 60), to: scraped.to }
}

/** The kubelet's probes of the proxy itself, and the connection of Prometheus' own proxy. */
function adminCalls(mesh: SimulatedMesh, pod: SimulatedPod, scraper: SimulatedPod | undefined): Call[] {
  if (!pod.meshed) return []
  const probe = { kind: 'httpGet', port: ADMIN_PORT, periodSeconds: 10, initialDelaySeconds: 0 } as const
  const own = probeCalls(
    mesh,
    { ...pod, probes: [{ ...probe, role: 'liveness', path: '/live' }] },
    probed(mesh, pod),
  ).map((call) => ({ ...call, to: pod }))
  const opened = Math.max(proxyStarted(pod) + 3, scraper === undefined ? Infinity : scraper.started)
  if (scraper === undefined || scraper === pod || opened >= Math.min(pod.ended, scraper.ended)) return own
  const closed = Math.min(pod.ended, scraper.ended)
  return [...own, { from: scraper, to: pod, port: ADMIN_PORT, protocol: 'http', opened, closed, moments: [opened] }]
}

const KIND_LABELS: Readonly<Record<string, string>> = {
  deployment: 'deployment',
  statefulset: 'statefulset',
  daemonset: 'daemonset',
  cronjob: 'k8s_job',
}

/** What discovery says of a server. */
function destinationLabels(to: SimulatedPod): Labels {
  const { kind, namespace, serviceAccount } = to.workload
  return {
    dst_namespace: namespace,
    dst_pod: to.name,
    dst_serviceaccount: serviceAccount,
    [`dst_${KIND_LABELS[kind] ?? kind}`]: kind === 'cronjob' ? to.owner : to.workload.name,
    ...(to.meshed ? { dst_control_plane_ns: 'linkerd' } : {}),
  }
}

/** What a call moves: on whose page, and for each connection or each time that something is sent. */
type Move = { readonly on: SimulatedPod; readonly series: string; readonly each: 'connection' | 'opening' | 'moment' }

/** Says what calls move. Calls between the same ends that both proxies see alike move the same. */
function movesOf(
  subjects: Map<string, Pick<Counted, 'labels' | 'name' | 'isDropped'>>,
): (call: Call) => readonly Move[] {
  const known = new Map<string, readonly Move[]>()
  return (call) => {
    const { client, server } = seenBy(call)
    const from = call.from === 'kubelet' ? call.from : call.from.uid
    const key = `${from} ${call.to.uid} ${call.port} ${call.protocol} ${call.path} ${client} ${server}`
    const moves = known.get(key) ?? findMoves(call, subjects)
    known.set(key, moves)
    return moves
  }
}

function findMoves(call: Call, subjects: Map<string, Pick<Counted, 'labels' | 'name' | 'isDropped'>>): readonly Move[] {
  const { from, to, port, protocol } = call
  const { client, server } = seenBy(call)
  const isMutual = client && server
  const target = { target_addr: `${to.ip}:${port}`, target_ip: to.ip, target_port: String(port) }
  const subject = (labels: Labels, name?: string, isDropped = true) => {
    const key = JSON.stringify([name, labels])
    subjects.set(key, { labels, isDropped, ...(name === undefined ? {} : { name }) })
    return key
  }
  const moves: Move[] = []
  if (client && from !== 'kubelet') {
    const tls: Labels = isMutual
      ? { tls: 'true', server_id: identityOf(to) }
      : { tls: 'no_identity', no_tls_reason: 'not_provided_by_service_discovery' }
    const labels = { direction: 'outbound', ...target, ...destinationLabels(to), ...tls }
    moves.push({ on: from, series: subject({ ...labels, peer: 'dst' }), each: 'connection' })
    if (protocol === 'http' && !isMutual)
      moves.push({ on: from, series: subject(labels, 'request_total'), each: 'moment' })
  }
  if (!server) return moves
  const policy = { srv_kind: 'default', srv_name: 'all-unauthenticated', srv_port: String(port) }
  const isOpaque = to.opaque.includes(port)
  const tls: Labels =
    isMutual && from !== 'kubelet'
      ? { tls: 'true', client_id: identityOf(from) }
      : isOpaque
        ? { tls: 'no_identity', no_tls_reason: 'port_skipped' }
        : protocol === 'tls'
          ? { tls: 'opaque', sni: `${to.workload.name}.${to.workload.namespace}` }
          : { tls: 'no_identity', no_tls_reason: 'no_tls_from_remote' }
  const inbound = { direction: 'inbound', peer: 'src', ...target, ...policy, ...tls }
  moves.push({ on: to, series: subject(inbound), each: 'connection' })
  if (isMutual) return moves
  const isHttp = protocol === 'http' && !isOpaque
  const isProbe =
    isHttp &&
    call.path !== undefined &&
    (port === ADMIN_PORT ||
      to.probes.some((probe) => probe.kind === 'httpGet' && probe.port === port && probe.path === call.path))
  const authz = { authz_kind: 'default', authz_name: isProbe ? 'probe' : 'all-unauthenticated' }
  const route = { route_kind: 'default', route_name: isProbe ? 'probe' : 'default' }
  const authorised = { ...target, ...policy, ...authz, ...tls }
  moves.push(
    isHttp
      ? {
          on: to,
          series: subject({ ...authorised, ...route }, 'inbound_http_authz_allow_total', false),
          each: 'moment',
        }
      : { on: to, series: subject(authorised, 'inbound_tcp_authz_allow_total', false), each: 'opening' },
  )
  return moves
}

/** viz's relabelling of a target. */
function targetLabels(pod: SimulatedPod): Labels {
  const { kind, namespace, name } = pod.workload
  const own = kind === 'cronjob' ? {} : { [KIND_LABELS[kind] ?? kind]: name }
  return {
    job: 'linkerd-proxy',
    instance: `${pod.ip}:${ADMIN_PORT}`,
    namespace,
    pod: pod.name,
    app: name,
    control_plane_ns: 'linkerd',
    workload_ns: namespace,
    ...(kind === 'cronjob' ? { batch_kubernetes_io_job_name: pod.owner, job_name: pod.owner } : {}),
    ...own,
  }
}

/** When Prometheus tries a pod. A pod of a Job is no target once it is over. */
function triesOf({ seed, scraped, interval, away }: SimulatedMesh, pod: SimulatedPod): Seconds[] {
  const from = Math.max(scraped.from, pod.created + 1)
  const to = Math.min(scraped.to, pod.workload.kind === 'cronjob' ? pod.ended + 3 : pod.deleted)
  const phase = Math.round(chance(seed, pod.uid, 'scrape') * interval * 1000) / 1000
  const times: Seconds[] = []
  for (let at = Math.ceil((from - phase) / interval) * interval + phase; at < to; at += interval)
    if (!isIn(away, at)) times.push(Math.round(at * 1000) / 1000)
  return times
}

function scrapeProxy(
  mesh: SimulatedMesh,
  pod: SimulatedPod,
  {
    ops,
    subjects,
  }: { readonly ops: Op[]; readonly subjects: ReadonlyMap<string, Pick<Counted, 'labels' | 'name' | 'isDropped'>> },
): { readonly series: HeldSeries[]; readonly reads: Seconds[] } {
  const late = mesh.late.get(pod.uid) ?? 0
  const failing = mesh.failing.filter((span) => span.pod === pod)
  const clock = mesh.clocks.get(pod.node) ?? 0
  const target = targetLabels(pod)
  const held: HeldBuilder[] = []
  const build = (name: string, labels: Labels): HeldBuilder => {
    const one = {
      labels: { ...target, ...labels, __name__: name },
      times: [],
      values: [],
      late: name === 'up' ? 0 : late,
    }
    held.push(one)
    return one
  }
  const ordered = ops.toSorted((a, b) => a.at - b.at)
  const processes = processesOf(pod)
  const reads: Seconds[] = []
  let next = 0
  let process: Span | undefined
  let page = new Map<string, Counted>()
  const builders = new Map<string, HeldBuilder[]>()
  let shown: HeldBuilder[] = []
  const apply = (until: Seconds) => {
    for (; next < ordered.length; next++) {
      const op = ordered[next]
      if (op === undefined || op.at > until) return
      const inside = processes.find(({ from, to }) => op.at >= from && op.at < to)
      if (inside === undefined) continue
      if (inside !== process) {
        process = inside
        page = new Map()
      }
      const subject = subjects.get(op.series)
      // The other end of a connection that a dead process had open.
      if (subject === undefined || (op.do === 'close' && !page.has(op.series))) continue
      let one = page.get(op.series)
      if (one === undefined) {
        one = { ...subject, total: 0, open: 0, read: 0, written: 0, used: op.at }
        page.set(op.series, one)
      }
      if (op.do === 'open') {
        one.total += 1
        one.open += 1
        one.used = op.at
      } else if (op.do === 'close') {
        one.open = Math.max(0, one.open - 1)
        one.used = op.at
      } else if (op.do === 'bytes') {
        one.read += 300
        one.written += 1200
      } else {
        one.total += 1
        one.used = op.at
      }
    }
  }
  const up = build('up', {})
  const fixed = [
    build('process_start_time_seconds', {}),
    build('control_identity_cert_expiration_timestamp_seconds', {}),
    build('proxy_build_info', { version: '2.366.0' }),
    build('rustls_info', { tls_suites: 'TLS13_AES_128_GCM_SHA256', tls_kx_groups: 'X25519' }),
  ]
  /** The series of what a page shows, in the order of its values. */
  const buildersOf = (key: string, { name, labels }: Counted) => {
    const known = builders.get(key)
    if (known !== undefined) return known
    const own = (name === undefined ? TCP_SERIES : [name]).map((one) => build(one, labels))
    builders.set(key, own)
    return own
  }
  const write = (one: HeldBuilder | undefined, at: Seconds, value: number | null) => {
    one?.times.push(at)
    one?.values.push(value)
  }
  const tries = triesOf(mesh, pod)
  for (const at of tries) {
    apply(at)
    const alive = processes.find(({ from, to }) => at >= from + 0.5 && at < to)
    if (alive !== undefined && alive !== process) {
      process = alive
      page = new Map()
    }
    const isUp = alive !== undefined && !isIn(failing, at)
    write(up, at, isUp ? 1 : 0)
    const now: HeldBuilder[] = []
    const show = (all: readonly HeldBuilder[], values: readonly number[]) => {
      for (const [index, one] of all.entries()) {
        write(one, at, values[index] ?? 0)
        now.push(one)
      }
    }
    if (isUp) {
      reads.push(at)
      for (const [key, one] of page) {
        const { name, total, open, read, written } = one
        show(buildersOf(key, one), name === undefined ? [total, open, read, written] : [total])
        if (one.isDropped && open === 0 && at - one.used > RETAIN_IDLE_SECONDS) page.delete(key)
      }
      const started = Math.floor(alive.from + clock)
      show(fixed, [started, started + 86_400, 1, 1])
    }
    for (const one of shown) if (one.times.at(-1) !== at) write(one, at, null)
    shown = now
  }
  const last = tries.at(-1)
  const gone = last === undefined ? Infinity : Math.round((last + mesh.interval * STALE_AFTER) * 1000) / 1000
  // A Prometheus that is away writes nothing, and its target stays.
  if (gone < mesh.scraped.to && !isIn(mesh.away, gone)) for (const one of [...shown, up]) write(one, gone, null)
  return { series: held.filter(({ times }) => times.length > 0), reads }
}

/** What a call carries each way, with headers. */
const CALL_BYTES = 2000

/** The kubelet's samples of every container, with its own times: they end without a marker (measured). */
function cadvisor(mesh: SimulatedMesh): HeldSeries[] {
  const { seed, scraped, away, clocks } = mesh
  const carried = new Map<SimulatedPod, Seconds[]>()
  for (const { from, to, moments } of mesh.calls)
    for (const pod of from === 'kubelet' ? [to] : [from, to]) {
      const known = carried.get(pod) ?? []
      known.push(...moments)
      carried.set(pod, known)
    }
  return mesh.pods.flatMap((pod) => {
    const clock = clocks.get(pod.node) ?? 0
    const { namespace } = pod.workload
    const base = {
      job: 'kubernetes-nodes-cadvisor',
      instance: pod.node,
      kubernetes_io_hostname: pod.node,
      namespace,
      pod: pod.name,
    }
    const group = `/kubepods/burstable/pod${pod.uid}`
    const sampled = (text: string, { from, to }: Span) => {
      const times: Seconds[] = []
      // At once at a container's start in some runs, up to 20 s later in others; the last is 2.5 to 25 s before the end.
      let at = Math.max(
        from + chance(seed, pod.uid, text, 'first') * 20,
        scraped.from + chance(seed, pod.uid, text) * 10,
      )
      const until = Math.min(to - 2.5, scraped.to)
      for (let index = 0; at < until; index++) {
        if (!isIn(away, at)) times.push(Math.round((at + clock) * 1000) / 1000)
        at += 10 + chance(seed, pod.uid, text, index) ** 3 * 20
      }
      return times
    }
    const containers = [
      { name: '', life: { from: pod.created + 1, to: pod.ended } },
      { name: 'app', life: { from: pod.started, to: pod.ended } },
      ...(pod.meshed ? [{ name: 'linkerd-proxy', life: { from: proxyStarted(pod), to: pod.ended } }] : []),
    ]
    const cpu = containers.map(({ name, life }): HeldSeries => {
      const times = sampled(name, life)
      return {
        labels: {
          ...base,
          __name__: 'container_cpu_usage_seconds_total',
          cpu: 'total',
          id: name === '' ? group : `${group}/${name.length}c0ffee`,
          ...(name === '' ? {} : { container: name }),
        },
        times,
        values: times.map((_, index) => index),
        late: 0,
      }
    })
    const times = cpu[0]?.times ?? []
    const moments = (carried.get(pod) ?? []).toSorted((a, b) => a - b)
    let done = 0
    const counts = times.map((time) => {
      while (done < moments.length && (moments[done] ?? Infinity) <= time - clock) done += 1
      return done
    })
    const network = [
      ['receive_bytes', CALL_BYTES],
      ['transmit_bytes', CALL_BYTES],
      ['receive_packets', 5],
      ['transmit_packets', 5],
    ] as const
    return [
      ...cpu,
      ...network.map(([name, each]): HeldSeries => ({
        labels: { ...base, __name__: `container_network_${name}_total`, id: group, interface: 'eth0' },
        times,
        values: counts.map((count) => count * each),
        late: 0,
      })),
    ].filter((one) => one.times.length > 0)
  })
}

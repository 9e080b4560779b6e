import type { Cluster } from '../../model/registry.ts'
import type { Endpoint } from '../../model/path.ts'
import type { MetricsAnswer, Snapshot, TapSighting } from '../../model/snapshot.ts'
import type { Window } from '../../model/time.ts'
import { compareText } from '../../text/order.ts'
import { AnswerError, parseAnswer } from '../../observed/answers.ts'
import { CONNECTIONS } from '../../net/connections.ts'
import { tapEvents } from './watch-tap.ts'
import type { TapEvent } from '../../observed/tap-events.ts'
import { timeOf, toSeconds } from '../../time/windows.ts'
import type { KubernetesApi } from '../cluster/apis.ts'
import { SourceError } from '../../net/errors.ts'

/** Workloads that are tapped in one collection; {@link CONNECTIONS} of them at once. */
export const MAX_TAPPED = 12

/** Requested rate in requests a second, over all pods of a workload. */
const MAX_RPS = 50

/** Limits for one workload: a server that sends more ignores the request. */
const MAX_EVENTS = 20_000
const MAX_BYTES = 16 * 1024 * 1024

/** Most pairs of addresses that are kept for one workload. */
const MAX_SIGHTINGS = 1_000

/** Kinds of workloads that both series and tap support, by their labels. */
const KINDS = ['deployment', 'statefulset', 'daemonset'] as const

/**
 * The workloads to tap: those at which, by Prometheus, something arrived without mesh TLS, except Linkerd's own, whose pods cannot be tapped. With more than
 * {@link MAX_TAPPED}, each window begins with others. If labels are wrong, another workload is tapped, and nothing is lost.
 */
export function tapTargets(
  answers: readonly MetricsAnswer[],
  { linkerdNamespace, vizNamespace }: Pick<Cluster, 'linkerdNamespace' | 'vizNamespace'>,
  { start, end }: Window,
): { readonly targets: readonly Endpoint[]; readonly left: number } {
  const found = new Map<string, Endpoint>()
  for (const { name, body } of answers) {
    if (name !== 'clear-inbound') continue
    for (const { labels } of seriesOf(body)) {
      const namespace = labels['namespace'] ?? ''
      const kind = KINDS.find((one) => (labels[one] ?? '') !== '')
      if (kind === undefined || !isName(namespace) || !isName(labels[kind] ?? '')) continue
      if (namespace === linkerdNamespace || namespace === vizNamespace) continue
      const target = { kind, namespace, name: labels[kind] ?? '' }
      found.set(JSON.stringify([namespace, kind, target.name]), target)
    }
  }
  const sorted = [...found].toSorted(([a], [b]) => compareText(a, b)).map(([, target]) => target)
  const count = sorted.length
  const turn = Math.round(toSeconds(end) / (toSeconds(end) - toSeconds(start)))
  const from = count <= MAX_TAPPED ? 0 : (turn * MAX_TAPPED) % count
  const targets = [...sorted.slice(from), ...sorted.slice(0, from)].slice(0, MAX_TAPPED)
  return { targets, left: count - targets.length }
}

function seriesOf(body: string) {
  try {
    return parseAnswer(body)
  } catch (error) {
    if (!(error instanceof AnswerError)) throw error
    return [] // the assessment of the window reports unreadable answers
  }
}

function isName(text: string): boolean {
  return /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(text)
}

/** A requested sample that was not taken, since it would not be of this window: current traffic says nothing about the past. */
export function tooLateToTap(
  { id }: Cluster,
  seconds: number,
  { targets, left }: ReturnType<typeof tapTargets>,
  now: Date,
): NonNullable<Snapshot['tap']> {
  const line = `Cannot tap workloads of cluster "${id}" for a window that is not the one that was just over: tap shows nothing of the past; run collect before the next window ends`
  return {
    status: 'failed',
    errors: [line],
    takenAt: timeOf(now),
    seconds,
    tapped: [],
    left: targets.length + left,
    requests: 0,
    sightings: [],
  }
}

/** What tapping needs. */
export type TapSampleDeps = { readonly api: KubernetesApi; readonly now: () => Date }

/**
 * Taps, for some seconds, the HTTP requests that arrive at workloads without mesh TLS, and keeps their sources and destinations: addresses, port and the
 * proxy's verdict. Does not decode paths and authorities, request headers or keep anything else of a request. Never throws for failures of a server: a failed
 * tap is reported in one line.
 */
export async function sampleTap(
  cluster: Cluster,
  seconds: number,
  { targets, left }: ReturnType<typeof tapTargets>,
  { api, now }: TapSampleDeps,
): Promise<NonNullable<Snapshot['tap']>> {
  const takenAt = timeOf(now())
  const errors: string[] = []
  const tapped: Endpoint[] = []
  const sightings: TapSighting[] = []
  let requests = 0
  const queue = targets.values()
  const listen = async () => {
    for (const target of queue) {
      const heard = new Map<string, TapSighting>()
      try {
        requests += await hear(api, cluster, target, seconds, heard)
        tapped.push(target)
      } catch (error) {
        if (!(error instanceof SourceError)) throw error
        errors.push(error.message)
      }
      // Events before the failure count, too.
      sightings.push(...heard.values())
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, listen))
  return {
    status: errors.length === 0 ? 'complete' : tapped.length === 0 ? 'failed' : 'partial',
    errors: [...new Set(errors)].toSorted(),
    takenAt,
    seconds,
    tapped: sortedBy(tapped, ({ kind, namespace, name }) => [namespace, kind, name]),
    left,
    requests,
    sightings: sortedBy(sightings, ({ requests: _, ...one }) => Object.values(one)),
  }
}

/** The number of requests that arrived without mesh TLS. Adds their sources to `heard`, by destination. */
async function hear(
  api: KubernetesApi,
  cluster: Cluster,
  { kind, namespace, name }: Endpoint,
  seconds: number,
  heard: Map<string, TapSighting>,
): Promise<number> {
  let [events, requests] = [0, 0]
  const options = { forMs: seconds * 1000, withPaths: false, maxBytes: MAX_BYTES }
  for await (const event of tapEvents(api, cluster, { kind, namespace, name, maxRps: MAX_RPS }, options)) {
    if (++events > MAX_EVENTS) break
    const sighting = sightingOf(event)
    if (sighting === undefined) continue
    requests++
    const key = JSON.stringify(sighting)
    const known = heard.get(key)
    if (known !== undefined) heard.set(key, { ...known, requests: known.requests + 1 })
    else if (heard.size < MAX_SIGHTINGS) heard.set(key, sighting)
  }
  return requests
}

/** The source of a request without mesh TLS, as the server's proxy saw it; undefined for any other event. */
function sightingOf({ proxy, http, source, destination }: TapEvent): TapSighting | undefined {
  const tls = source.labels.get('tls') ?? ''
  if (proxy !== 'in' || http?.kind !== 'request' || tls === 'true' || tls === 'loopback') return undefined
  if (source.address === '' || destination.address === '' || (source.labels.get('client_id') ?? '') !== '')
    return undefined
  return {
    source: source.address,
    destination: destination.address,
    port: destination.port,
    tls: tls.slice(0, 64).toWellFormed(),
    isOnProbePath: destination.labels.get('authz_name') === 'probe',
    requests: 1,
  }
}

function sortedBy<T>(items: readonly T[], keyOf: (item: T) => unknown): T[] {
  return items
    .map((item) => ({ item, key: JSON.stringify(keyOf(item)) }))
    .toSorted((a, b) => compareText(a.key, b.key))
    .map(({ item }) => item)
}

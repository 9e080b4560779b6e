/** Makes clusters of any size over weeks, healthy but for what every cluster meets: restarts of Prometheus, a lost node, an outage. */
import { periodFacts } from '../../../lib/assess/judge/period-facts.ts'
import type { ClusterPeriod } from '../../../lib/model/period.ts'
import type { Coverage, Gap, PathWindow, WindowResult, Workload } from '../../../lib/model/window.ts'
import { type StoryPath, type Stretch, cluster, hours, workload } from './report-input.ts'
import { pathWindow, windowResult, workloadOf } from './window-results.ts'
import { CRYPTO } from './judged-period.ts'

const HOUR = 3600
const HOURS_OF_DAY = 24
const HOURS_OF_WEEK = 7 * HOURS_OF_DAY

/** What Prometheus misses by a restart of 90 s and by an outage of ten minutes: a scrape more at either end. */
const RESTART_SECONDS = 120
const OUTAGE_SECONDS = 660
/** How long the pods of a lost node live on, unread, until they are evicted and others take their place. */
const EVICTION_SECONDS = 360
const NODES = 12

export type GeneratedOptions = {
  readonly seed: number
  readonly weeks: number
  readonly paths: number
  /** What else is amiss: one path is clear for one window, or one day is not collected. */
  readonly amiss?: 'clear-path' | 'lost-day'
}

export type Generated = {
  readonly cluster: ClusterPeriod
  readonly period: { readonly from: string; readonly to: string }
  /** The path that is clear for a window; null without one. */
  readonly clearPath: string | null
}

type Service = { readonly end: PathWindow['destination']; readonly pods: number; readonly podsOnLostNode: number }

/** A cluster of services that call each other in mutual TLS, some always, some by day, some now and then. */
export function generatedCluster({ seed, weeks, paths, amiss }: GeneratedOptions): Generated {
  const random = randomFrom(seed)
  const below = (count: number) => Math.floor(random() * count)
  const count = weeks * HOURS_OF_WEEK
  const start = Date.UTC(2026, 7, 31)
  const iso = (at: number) => new Date(at).toISOString().replace('.000Z', 'Z')
  const period = { from: iso(start), to: iso(start + count * HOUR * 1000) }
  const lostDay = below(weeks * 7)
  const missing =
    amiss === 'lost-day' ? Array.from({ length: HOURS_OF_DAY }, (_, hour) => lostDay * HOURS_OF_DAY + hour) : []
  const windows = hours({ ...period, missing })

  const services = Array.from({ length: Math.max(10, Math.ceil(paths / 5)) }, (_, index): Service => {
    const pods = 1 + below(3)
    const podsOnLostNode = Array.from({ length: pods }, () => below(NODES)).filter((node) => node === 0).length
    return { end: workload('deployment', `team-${index % 7}`, `service-${index}`), pods, podsOnLostNode }
  })
  const restarts = new Set(Array.from({ length: weeks }, (_, week) => week * HOURS_OF_WEEK + below(HOURS_OF_WEEK)))
  const lostNodeAt = below(count)
  const outageAt = below(count)
  const clearAt = amiss === 'clear-path' ? { path: below(paths), window: below(count) } : null

  // As windows tell such times (test/stories/incidents.test.ts): proxies may have forgotten something in an outage, and so may both ends of a path on a lost
  // node.
  const isUntold = (index: number, from: Service, to: Service) =>
    index === outageAt || (index === lostNodeAt && from.podsOnLostNode > 0 && to.podsOnLostNode > 0)

  const ends = pairsOf(services, paths, below)
  const stories = ends.map(([from, to], index): StoryPath => {
    const busy = ([1, 0.4, 0.02] as const)[below(3)] ?? 1
    const salt = below(1_000_000)
    const isClearIn = (window: number) => clearAt?.path === index && clearAt.window === window
    const isQuiet = (window: number) => !isClearIn(window) && (salt * 31 + window * 7919) % 1000 >= busy * 1000
    return {
      pathId: `path-${String(index).padStart(5, '0')}`,
      source: from.end,
      destination: to.end,
      port: 8080,
      isQuiet,
      stretches: stretchesOf(count, (window) =>
        isClearIn(window) ? 'plaintext' : isUntold(window, from, to) && !isQuiet(window) ? 'unknown' : 'mtls',
      ),
    }
  })

  const lostSeconds = (service: Service, index: number) =>
    Math.min(
      service.pods * HOUR,
      service.pods * ((restarts.has(index) ? RESTART_SECONDS : 0) + (outageAt === index ? OUTAGE_SECONDS : 0)) +
        (lostNodeAt === index ? service.podsOnLostNode * EVICTION_SECONDS : 0),
    )
  const listed = services.map(({ end: { kind, namespace, name, serviceAccount }, pods }): Workload => {
    const labels = { app: name }
    return workloadOf('web', { cluster: 'prod', kind, namespace, name, serviceAccount, pods, labels })
  })
  const encrypted = stories.map(({ pathId, source, destination, port }) =>
    pathWindow({ pathId, source, destination, port }, 'mtls', {
      enforcement: 'plaintext-refused',
      clientId: `${source.serviceAccount}.${source.namespace}`,
      serverId: `${destination.serviceAccount}.${destination.namespace}`,
    }),
  )
  const results = windows.flatMap((window, index): WindowResult[] => {
    if (!window.collected) return []
    const own = { start: window.start, end: window.end }
    return [
      windowResult(own, {
        cluster: 'prod',
        inputs: { evidence: `evidence/${window.end}`, before: 'before', after: 'after' },
        workloads: listed,
        paths: encrypted.flatMap((path, place): PathWindow[] => {
          const { state = 'mtls', reason = '' } =
            stories[place]?.stretches.find(({ from, to }) => from <= index && index <= to) ?? {}
          if (state === 'plaintext') return [{ ...path, state, reason, clientId: null, serverId: null }]
          return stories[place]?.isQuiet?.(index) === true ? [] : [{ ...path, state, reason }]
        }),
        coverage: services.map((service): Coverage => {
          const { kind, namespace, name } = service.end
          const expectedSeconds = service.pods * HOUR
          const observedSeconds = expectedSeconds - lostSeconds(service, index)
          return {
            cluster: 'prod',
            window: own,
            workload: { kind, namespace, name },
            expectedSeconds,
            observedSeconds,
            ratio: observedSeconds / expectedSeconds,
            pods: { total: service.pods, meshed: service.pods, scraped: service.pods },
            gaps: index === outageAt ? [outageGap(own, service.pods)] : [],
          }
        }),
        crypto: cryptoAt(Date.parse(window.end)),
      }),
    ]
  })
  const coverage = results.flatMap((result) => result.coverage)
  const made = cluster('prod', windows, stories, { coverage })
  const clearPath = clearAt === null ? null : (stories[clearAt.path]?.pathId ?? null)
  return { cluster: { ...made, facts: periodFacts(results) }, period, clearPath }
}

/** Each pair of services once, none with itself. */
function pairsOf(services: readonly Service[], count: number, below: (count: number) => number): [Service, Service][] {
  const pairs = new Map<string, [Service, Service]>()
  while (pairs.size < count) {
    const [from, to] = [below(services.length), below(services.length)]
    const [source, destination] = [services[from], services[to]]
    if (from !== to && source !== undefined && destination !== undefined)
      pairs.set(`${from} ${to}`, [source, destination])
  }
  return [...pairs.values()]
}

const REASONS = { plaintext: 'no_tls_from_remote', unknown: 'destination-not-seen', mtls: '' } as const

/** One stretch for each run of windows of the same state. */
function stretchesOf(count: number, stateAt: (window: number) => keyof typeof REASONS): Stretch[] {
  const more = { enforcement: 'plaintext-refused' } as const
  const stretches: Stretch[] = []
  for (let from = 0; from < count;) {
    const state = stateAt(from)
    let to = from
    while (to + 1 < count && stateAt(to + 1) === state) to += 1
    stretches.push({ from, to, state, reason: REASONS[state], more })
    from = to + 1
  }
  return stretches
}

function outageGap({ start }: { readonly start: string }, pods: number): Gap {
  const at = (minutes: number) => new Date(Date.parse(start) + minutes * 60_000).toISOString().replace('.000Z', 'Z')
  return { reason: 'prometheus-down', pods, from: at(20), to: at(31) }
}

/** Certificates of a day, renewed all the time. */
function cryptoAt(end: number): WindowResult['crypto'] {
  const earliestExpiry = new Date(end + 12 * HOUR * 1000).toISOString()
  return { ...CRYPTO, certificates: { earliestExpiry, latestExpiry: earliestExpiry, proxies: 4 } }
}

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

import type { Sample } from '../../observed/activity.ts'
import { activity, eventsWithin } from '../../observed/activity.ts'
import type { Series } from '../../observed/answers.ts'
import { PageError, type PageSeries, parsePage } from '../../observed/metrics-page.ts'
import { PAGE_SLACK_SECONDS, RETAIN_IDLE_SECONDS } from '../../observed/page-times.ts'
import { ADMIN_PORTS, AUTHORIZED_COUNTERS, LEFT_OUT, TCP_COUNTERS } from '../../observed/prometheus-queries.ts'
import { toSeconds } from '../../time/windows.ts'
import type { ProxyPage } from '../../model/snapshot.ts'
import type { Seconds } from '../../model/time.ts'
import type { Attribution } from '../ends/attribution.ts'
import { lowered, stateOfLabels } from './classify.ts'
import { isEncrypted } from '../window/episode-lifecycle.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import { type Labels, labelOf, portOf, seriesKey } from './labels.ts'
import { type Answers, type ProxyScrapes, mostWithin } from './counter-movement.ts'
import { type PodFacts, isDoubted } from '../pods/pods.ts'
import { clearReadings } from './readings.ts'
import { unlistedProbes } from '../probes/unlisted-probes.ts'
import type { CounterReading } from './reading.ts'

/** Pages of one attempt, and the end of its window. */
export type PagesOfSnapshot = { readonly end: string; readonly pages: readonly ProxyPage[] }

/** A page as a sample, timed at the end of its window if it was read soon after. */
type ReadPage = {
  readonly time: Seconds
  /** When it was actually read. */
  readonly readAt: Seconds
  readonly processStart: Seconds
  readonly series: readonly PageSeries[]
}

/** All pages of one pod around a window, oldest first. */
export type PodPages = {
  readonly namespace: string
  readonly pod: string
  readonly address: string
  readonly pages: readonly ReadPage[]
}

/** Finds the pages of a pod; undefined if it has none. */
export type PagesOf = (pod: Pick<PodFacts, 'namespace' | 'name' | 'addresses'>) => PodPages | undefined

/** Returns the pages of each pod, from the attempt before the window and the window's own. Pages that are unreadable or were read too late are ignored. */
export function podPages(before: PagesOfSnapshot | null, own: PagesOfSnapshot): readonly PodPages[] {
  const read = [before, own].flatMap((source) =>
    (source?.pages ?? []).flatMap((page) => {
      const sample = readPage(page, toSeconds(source?.end ?? own.end))
      return sample === null ? [] : [{ page, sample }]
    }),
  )
  return [
    ...Map.groupBy(read, ({ page }) => `${page.namespace}/${page.pod}/${page.uid}/${page.address}`).values(),
  ].flatMap((all) => {
    const [first] = all
    if (first === undefined) return []
    const { namespace, pod, address } = first.page
    const pages = all.map(({ sample }) => sample).toSorted((a, b) => a.time - b.time)
    return [{ namespace, pod, address, pages: withStarts(pages) }]
  })
}

/**
 * Sets the starts of processes. A process that started after its first page's sample time starts with that page, and stays the same on the next page. The
 * same holds for a process that claims a start before the previous process's page was read: its node's clock is behind, so its start is unknown.
 */
function withStarts(pages: readonly ReadPage[]): ReadPage[] {
  const starts = new Map<Seconds, Seconds>()
  return pages.map((page, index) => {
    const isBehind = page.processStart <= (pages[index - 1]?.readAt ?? -Infinity)
    const processStart =
      starts.get(page.processStart) ?? (isBehind ? page.time : Math.min(page.processStart, page.time))
    starts.set(page.processStart, processStart)
    return { ...page, processStart }
  })
}

function readPage({ readAt: text, body }: ProxyPage, end: Seconds): ReadPage | null {
  const readAt = toSeconds(text)
  if (readAt > end + PAGE_SLACK_SECONDS) return null
  try {
    const { series, processStart } = parsePage(body)
    return { time: Math.min(readAt, end), readAt, processStart, series }
  } catch (error) {
    if (!(error instanceof PageError)) throw error
    return null
  }
}

/** Finds pages by the pod's name and address, both from the API server. */
export function pagesFinder(all: readonly PodPages[]): PagesOf {
  const byName = Map.groupBy(all, ({ namespace, pod }) => `${namespace}/${pod}`)
  return ({ namespace, name, addresses }) =>
    byName.get(`${namespace}/${name}`)?.find(({ address }) => addresses.includes(address))
}

/**
 * Returns when pages surely show everything a proxy did: between two pages of one process that are at most Linkerd's idle retention apart, and from a
 * process's start to its first page within that time. Linkerd drops a series only after ten idle minutes, so the later page shows everything in between,
 * whoever else read the proxy.
 */
export function seenByPages({ pages }: PodPages): { readonly from: Seconds; readonly to: Seconds }[] {
  return pages.flatMap(({ time, readAt, processStart }, index) => {
    const before = pages[index - 1]
    const isSame = before !== undefined && processStart <= before.time
    const from = isSame ? before.time : processStart
    const seconds = readAt - (isSame ? before.readAt : processStart)
    return seconds <= RETAIN_IDLE_SECONDS && time > from ? [{ from, to: time }] : []
  })
}

/** As if scraped a bit more than twice in ten minutes. Changes over longer distances are undated, because a series may have been dropped in between. */
const INTERVAL = RETAIN_IDLE_SECONDS / 3

/** A window `(start, end]`, and the facts about its pods. */
export type PageReadingInput = { readonly start: Seconds; readonly end: Seconds; readonly facts: Facts }

/**
 * Reads the pages of pods in a window `(start, end]`, with each pod's labels from the API server, so that a pod cannot override them. A pod whose labels may
 * be false may also serve its page on 4191 itself. Its unencrypted traffic counts. Its mutual TLS counts only if another proxy saw it (`path-windows.ts`).
 * All its other encrypted readings are lowered.
 */
export function pageReadings(all: readonly PodPages[], { start, end, facts }: PageReadingInput): CounterReading[] {
  return all.flatMap((pod) => {
    if (!pod.pages.some(({ time }) => time > start && time <= end)) return []
    const at = attributionOf(pod, facts)
    const series = joined(pod.pages, ({ time }) => time)
    const scrapes: ProxyScrapes = {
      times: pod.pages.map(({ time }) => time),
      failed: [],
      interval: INTERVAL,
      processStarts: [...new Set(pod.pages.map(({ processStart }) => processStart))].sort((a, b) => a - b),
    }
    const clearSeries = joined(withoutIdle(pod.pages, start), (page) => clearTime(page, end))
    const answers: Answers = (name) => clearSeries.filter(({ labels }) => ANSWERS[name]?.(labels) === true)
    const attribute = (labels: Labels): Attribution => ({ ...at, labels })
    const times = pod.pages.map((page) => clearTime(page, end))
    const clear = clearReadings({
      start,
      end,
      answers,
      attribute,
      scrapes: new Map([[at.instance, { ...scrapes, times }]]),
      unlistedProbes: unlistedProbes(facts),
    })
    return [...clear, ...encrypted(series, { start, end, scrapes, attribute })]
  })
}

function attributionOf({ namespace, pod: name, address }: PodPages, facts: Facts): Omit<Attribution, 'labels'> {
  const pod = facts.pods.find(
    (one) => one.namespace === namespace && one.name === name && one.addresses.includes(address),
  )
  const instance = `page of ${namespace}/${name} at ${address}`
  if (pod !== undefined)
    return { instance, workload: pod.workload, pod, standing: 'confirmed', overridden: isDoubted(pod) }
  const workload = facts.ownerByName(namespace, name) ?? facts.rollUp({ kind: 'pod', namespace, name })
  return { instance, workload, pod: null, standing: 'pod-not-listed', overridden: false }
}

function joined(pages: readonly ReadPage[], timeOf: (page: ReadPage) => Seconds): Series[] {
  const byKey = new Map<string, { readonly labels: Labels; readonly samples: Sample[] }>()
  for (const page of pages)
    for (const { labels, value } of page.series) {
      const key = keyOf(labels)
      const known = byKey.get(key) ?? { labels, samples: [] }
      byKey.set(key, known)
      known.samples.push({ time: timeOf(page), value })
    }
  return [...byKey.values()]
}

function keyOf(labels: Labels): string {
  return `${labelOf(labels, '__name__')}${seriesKey(labels)}`
}

/**
 * Time of a page's plaintext. The previous window's page may show plaintext from after that window's end, which another attempt at that window may not show,
 * so it also counts in this window.
 */
function clearTime({ time, readAt }: ReadPage, end: Seconds): Seconds {
  return Math.min(readAt, Math.max(time, end))
}

/** Returns pages without the series that surely were idle after `start`: a later page of the same process has dropped them. */
function withoutIdle(pages: readonly ReadPage[], start: Seconds): ReadPage[] {
  return pages.map((page, index) => {
    const next = pages[index + 1]
    const isSame = next !== undefined && next.processStart === page.processStart
    if (!isSame || next.readAt - RETAIN_IDLE_SECONDS > start) return page
    const kept = new Set(next.series.map(({ labels }) => keyOf(labels)))
    return { ...page, series: page.series.filter(({ labels }) => kept.has(keyOf(labels))) }
  })
}

const isAdmin = (labels: Labels): boolean => ADMIN_PORTS.some((port) => port === portOf(labels))
const isOf = (names: readonly string[], labels: Labels): boolean => names.includes(labelOf(labels, '__name__'))
const isEnd = (direction: string, peer: string, labels: Labels): boolean =>
  labelOf(labels, 'direction') === direction && labelOf(labels, 'peer') === peer
const isClear = (labels: Labels): boolean => labelOf(labels, 'tls') !== 'true'

/** The Prometheus queries (lib/observed/prometheus-queries.ts), as filters of a page's series. */
const ANSWERS: Readonly<Record<string, (labels: Labels) => boolean>> = {
  'clear-inbound': (labels) =>
    isOf(TCP_COUNTERS, labels) && isEnd('inbound', 'src', labels) && isClear(labels) && !isAdmin(labels),
  'clear-outbound': (labels) => isOf(TCP_COUNTERS, labels) && isEnd('outbound', 'dst', labels) && isClear(labels),
  'clear-authorized': (labels) => isOf(AUTHORIZED_COUNTERS, labels) && isClear(labels) && !isAdmin(labels),
  'clear-requests': (labels) =>
    isOf(['request_total'], labels) && labelOf(labels, 'direction') === 'outbound' && isClear(labels),
}

/** Reads traffic with mesh TLS: only connections that surely were opened in the window, or were open at its end. */
function encrypted(
  series: readonly Series[],
  {
    start,
    end,
    scrapes,
    attribute,
  }: Pick<PageReadingInput, 'start' | 'end'> & {
    readonly scrapes: ProxyScrapes
    readonly attribute: (labels: Labels) => Attribution
  },
): CounterReading[] {
  const own = series.filter(
    ({ labels }) =>
      isOf(TCP_COUNTERS, labels) &&
      !isClear(labels) &&
      (isEnd('outbound', 'dst', labels) || isEnd('inbound', 'src', labels)),
  )
  return [...Map.groupBy(own, ({ labels }) => seriesKey(labels)).values()].flatMap((group): CounterReading[] => {
    const [first] = group
    if (first === undefined) return []
    const samplesOf = (name: string) => group.find(({ labels }) => labelOf(labels, '__name__') === name)?.samples ?? []
    const open = samplesOf('tcp_open_connections')
    const counted = (samples: readonly Sample[], gauge: readonly Sample[] = []): number =>
      eventsWithin(activity(samples, scrapes, gauge), start, end)
        .filter(({ kind }) => kind !== 'undated')
        .reduce((sum, { count }) => sum + count, 0)
    const opens = counted(samplesOf('tcp_open_total'), open)
    const openAtScrape = mostWithin(open, start, end)
    if (opens === 0 && openAtScrape === 0) return []
    const at = attribute(first.labels)
    const side = labelOf(first.labels, 'direction') === 'outbound' ? 'outbound' : 'inbound'
    const peerId = labelOf(first.labels, side === 'outbound' ? 'server_id' : 'client_id')
    const own = stateOfLabels(side, {
      tls: labelOf(first.labels, 'tls'),
      reason: labelOf(first.labels, 'no_tls_reason'),
      peerId,
      sni: labelOf(first.labels, 'sni'),
    })
    // Nobody can confirm the callers that a doubted pod reports, but the proxies that it called can confirm its calls.
    const { state, reason } =
      side === 'outbound' ? own : lowered(own.state, own.reason, { overridden: at.overridden, impostor: false })
    return [
      {
        side,
        at,
        port: portOf(first.labels) ?? 0,
        verdict: { state, reason, outcome: 'allowed', source: side === 'outbound' ? 'named' : 'unmeshed' },
        peerId,
        opens,
        sinceUnknown: false,
        openAtScrape,
        bytes: counted(samplesOf('tcp_read_bytes_total')) + counted(samplesOf('tcp_write_bytes_total')),
      },
    ]
  })
}

/**
 * Combines readings from Prometheus and pages without counting a connection twice. If Prometheus reads a pod with trusted labels, its pages only add
 * unencrypted traffic that Prometheus did not show. If its series may belong to another pod and pages cover its whole life, the pages decide what was
 * encrypted and replace the lowered readings. If the pod's own labels may be false, pages replace only the readings that they name, too, so that a pod cannot
 * remove a row. If Prometheus does not read a pod, only its pages count.
 *
 * @param isSeen whether the pages of a pod cover all of its life in the window
 * @param isScraped whether Prometheus scraped a pod in the window
 */
export function withPages(
  told: readonly CounterReading[],
  pages: readonly CounterReading[],
  {
    isSeen,
    isScraped,
  }: { readonly isSeen: (pod: PodFacts) => boolean; readonly isScraped: (pod: PodFacts) => boolean },
): CounterReading[] {
  const named = new Set(
    pages.filter(({ side, verdict }) => side === 'outbound' && isEncrypted(verdict.state)).map(subjectOf),
  )
  const isLifted = (reading: CounterReading): boolean => {
    const { pod } = reading.at
    return pod !== null && isSeen(pod) && (!isDoubted(pod) || named.has(subjectOf(reading)))
  }
  const kept = told.filter((reading) => !(reading.verdict.reason === 'labels-overridden' && isLifted(reading)))
  const overridden = new Set(told.filter(({ at }) => at.overridden).map(({ at: { pod } }) => pod))
  const subjects = new Set(kept.filter(isToldClear).map(subjectOf))
  const added = pages.filter((reading) => {
    const { pod } = reading.at
    if (isToldClear(reading)) return !subjects.has(subjectOf(reading))
    if (pod === null || !isScraped(pod)) return true
    return overridden.has(pod) && isSeen(pod)
  })
  return [...kept, ...added]
}

/** Whether a reading is unencrypted or unknown: a second source may add it to the first. */
function isToldClear({ verdict: { state } }: CounterReading): boolean {
  return !isEncrypted(state) && state !== 'exempt'
}

/** Key of a reading's pod, side, peer and kind, equal for Prometheus and pages. */
function subjectOf({ side, at, port, verdict, peerId }: CounterReading): string {
  const to = Object.fromEntries(
    Object.entries(at.labels).filter(
      ([name, value]) => value !== '' && !LEFT_OUT.has(name) && /^(authority|sni|target_.+|dst_.+)$/.test(name),
    ),
  )
  return JSON.stringify([
    side,
    at.pod === null ? workloadKey(at.workload) : [at.pod.namespace, at.pod.name],
    port,
    verdict.outcome,
    verdict.source,
    peerId,
    side === 'outbound' ? seriesKey(to) : '',
  ])
}

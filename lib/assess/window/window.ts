import { AnswerError, parseAnswer } from '../../observed/answers.ts'
import { STATED_MOMENTS } from '../../observed/prometheus-queries.ts'
import { ReduceError } from '../../observed/reduce-objects.ts'
import { toSeconds } from '../../time/windows.ts'
import { DERIVATION } from '../../model/window.ts'
import type { Edge, PathWindow, WindowResult } from '../../model/window.ts'
import type { KubernetesList, Snapshot } from '../../model/snapshot.ts'
import { attributor, takesName } from '../ends/attribution.ts'
import { type SeenPods, seenPods } from '../pods/seen-pods.ts'
import {
  type CoverageInput,
  type PodCoverage,
  coverageOf,
  podCoverage,
  reusedAddresses,
  vanishedAt,
  unanswered,
} from './pod-coverage.ts'
import { cryptoOf } from './window-crypto.ts'
import { type ReadEdge, edgesOf } from './path-edges.ts'
import { isEncrypted } from './episode-lifecycle.ts'
import { type Facts, factsOf, workloadKey } from '../pods/facts.ts'
import type { PodFacts } from '../pods/pods.ts'
import { type Labels, hostOf, labelOf } from '../counters/labels.ts'
import { labelledNamespaces, uniteNamespaces } from '../pods/labelled-namespaces.ts'
import { type KubernetesLists, listedOf } from '../pods/lists.ts'
import { type Answers, type ProxyScrapes, scrapesOf } from '../counters/counter-movement.ts'
import { pageCrypto } from '../counters/page-crypto.ts'
import {
  type PagesOfSnapshot,
  type PodPages,
  pageReadings,
  pagesFinder,
  podPages,
  seenByPages,
  withPages,
} from '../counters/page-readings.ts'
import { pathsOf } from './path-windows.ts'
import { clearReadings } from '../counters/readings.ts'
import { byScraper } from '../counters/scrapers.ts'
import { tapCandidates } from './tap-candidates.ts'
import { withoutCallersOfProbes } from '../probes/tap-probes.ts'
import { unlistedProbes } from '../probes/unlisted-probes.ts'
import { unreadableWindow } from './unreadable.ts'
import { vizReading } from './viz-reading.ts'
import { witnessed } from '../pods/witnessed.ts'
import { workloadsOf } from './window-workloads.ts'
import { errorLine } from '../../text/error-line.ts'
import { compareText } from '../../text/order.ts'
import type { CounterReading } from '../counters/reading.ts'
import { adminReadings, encryptedReadings } from '../counters/encrypted-readings.ts'

/** The Kubernetes lists of one snapshot, and the proxy pages that were read with them. */
export type ListsOfSnapshot = {
  readonly key: string
  readonly takenAt: string
  readonly lists: readonly KubernetesList[]
  /** Absent if none were read. */
  readonly pages?: PagesOfSnapshot
}

/** An attempt at a window, and the lists around the window; null if there is none. */
export type AssessInput = {
  readonly key: string
  readonly snapshot: Snapshot
  readonly before: ListsOfSnapshot | null
  readonly after: ListsOfSnapshot | null
}

/**
 * Assesses a snapshot: edges, paths, coverage, workloads and cryptography of one window. Never throws: evidence that cannot be assessed gives a window that
 * was not collected, with one line that says why.
 */
export function assessWindow(input: AssessInput): WindowResult {
  const { snapshot } = input
  try {
    return assessReadable(input)
  } catch (error) {
    // Any error is caught: evidence of one window must not block other windows and clusters.
    const { cluster, window } = snapshot
    return unreadableWindow(cluster, window, inputsOf(input), [
      ...snapshot.metrics.errors,
      ...snapshot.kubernetes.errors,
      `Cannot read what was collected of window ${window.start} to ${window.end}: ${errorLine(error)}`,
    ])
  }
}

function inputsOf({ key, before, after }: AssessInput): WindowResult['inputs'] {
  return { evidence: key, before: before?.key ?? null, after: after?.key ?? null }
}

function assessReadable(input: AssessInput): WindowResult {
  const { snapshot, before, after } = input
  const { cluster, window, metrics, kubernetes, linkerdNamespace } = snapshot
  const [start, end] = [toSeconds(window.start), toSeconds(window.end)]
  const listErrors: string[] = []
  const listedBefore = readLists(before, listErrors)
  const listedAfter = readLists(after, listErrors)
  const isReadable = metrics.status !== 'failed'
  const hasPrometheus = !isWithoutPrometheus(snapshot)
  const answers = readAnswers(isReadable ? metrics.answers : [])
  const scrapes = scrapesOf(answers)
  const byAddress = scrapesByAddress(scrapes)
  const facts = factsOf(listedBefore, listedAfter, { start, end }, linkerdNamespace, {
    seen: readSeen(snapshot, { start, end }, listErrors),
    vanishedAt: (pod) => lastScrapeOf(pod, end, byAddress),
  })
  const names = namesByAddress(answers)
  const attribute = attributor(facts, scrapes, witnessed(facts, scrapes, { names, start, end }))

  const pages = podPages(before?.pages ?? null, { end: window.end, pages: snapshot.proxies?.pages ?? [] })
  const pagesOf = pagesFinder(pages)
  const isWithin = (time: number) => time > start && time <= end
  const hasPages = pages.some((pod) => pod.pages.some(({ time }) => isWithin(time)))
  const isCollected = hasPages || [...scrapes.values()].some(({ times }) => times.some(isWithin))
  // Pages alone cannot show that something did not happen.
  const isPartial =
    metrics.status === 'partial' ||
    (hasPages && (!isReadable || (!hasPrometheus && snapshot.proxies?.status !== 'complete')))

  const coverageInput = {
    start,
    end,
    facts,
    readable: isReadable,
    hasPrometheus,
    pagesOf,
    reusedAt: reusedAddresses(facts.pods),
    ...byAddress,
    scrapesNamed: scrapesByName(names, scrapes, facts),
  }
  const byPod = new Map(
    facts.pods
      .filter(({ meshed }) => meshed)
      .map((pod): [PodFacts, PodCoverage] => [pod, podCoverage(pod, coverageInput)]),
  )
  const told = isCollected
    ? [clearReadings, encryptedReadings, adminReadings].flatMap(
        byScraper({ start, end, answers, scrapes, attribute, unlistedProbes: unlistedProbes(facts) }),
      )
    : []
  const isSeen = (pod: PodFacts) => {
    const own = pagesOf(pod)
    return own !== undefined && isWhole(pod, own, { start, end })
  }
  // A page shows one end. The unanswered query may hold plaintext that the other end received.
  const lower = (all: readonly CounterReading[]) => (metrics.status === 'partial' ? all.map(withoutTheRest) : all)
  const readings = withPages(lower(told), lower(pageReadings(pages, { start, end, facts })), {
    isSeen,
    isScraped: (pod) =>
      pod.addresses.some((at) => coverageInput.scrapesAt(at).some(({ times }) => times.some(isWithin))),
  })
  const edges = edgesOf(
    cluster,
    withoutCallersOfProbes(readings, snapshot, { before: listedBefore, after: listedAfter }),
    facts,
    snapshot.vizNamespace,
  )
  const overridden = isCollected
    ? overriddenOf(
        facts.pods.filter((pod) => !isSeen(pod)),
        (pod) => {
          const covered = byPod.get(pod)
          // A page that does not cover the window cannot replace missing Prometheus series.
          return (hasPrometheus ? covered?.isInPrometheus : covered?.scraped) === false
        },
      )
    : []
  const candidatesOf = tapCandidates(snapshot, { before: listedBefore, after: listedAfter }, facts)
  const paths = pathsOf({ edges, facts, coverage: byPod, overridden: new Set(overridden), candidatesOf })
  const answered = coverageOf(
    cluster,
    window,
    coverageInput,
    byPod,
    listedBefore === null && listedAfter === null ? [] : unlistedOf(answers, scrapes, { attribute, facts, isWithin }),
  )
  const coverage = metrics.status === 'partial' ? unanswered(answered) : answered
  const viz = vizReading(snapshot)
  const cryptoErrors: string[] = []
  const crypto = cryptoOf(
    hasPrometheus ? answers : pageCrypto(pages, { start, end }),
    listedAfter ?? listedBefore,
    cryptoErrors,
  )

  return {
    format: 'ciphertrail/window/1',
    derivation: DERIVATION,
    cluster,
    window,
    inputs: inputsOf(input),
    collected: isCollected,
    ...(isPartial ? { partial: true } : {}),
    errors: [
      ...metrics.errors,
      ...kubernetes.errors,
      ...(snapshot.cadvisor?.errors ?? []),
      ...(snapshot.proxies?.errors ?? []),
      ...listErrors,
      ...cryptoErrors,
      ...(isReadable && hasPrometheus && !isCollected
        ? [
            `Cannot tell paths of window ${window.start} to ${window.end}: Prometheus holds no scrape of a Linkerd proxy in it`,
          ]
        : []),
    ],
    edges: edgesUnlikePath(paths, edges),
    paths,
    ...(overridden.length > 0 ? { overridden } : {}),
    coverage,
    workloads: workloadsOf(cluster, facts, { coverage, isCollected, proxiedBytes: proxiedBytes(readings) }),
    crypto,
    existing: listedAfter === null ? null : existingIn(listedAfter, linkerdNamespace, { start, end }),
    namespaces: uniteNamespaces([listedBefore, listedAfter].map(labelledNamespaces)),
    ...(viz === undefined ? {} : { viz }),
  }
}

/** Whether no Prometheus was queried: a failed one has errors, and a queried one has answers. */
function isWithoutPrometheus({ metrics }: Snapshot): boolean {
  return metrics.status === 'complete' && metrics.prometheusTime === null && metrics.answers.length === 0
}

/** Whether pages cover all of a pod's life in a window `(start, end]`. */
function isWhole(
  pod: PodFacts,
  pages: PodPages,
  { start, end }: { readonly start: number; readonly end: number },
): boolean {
  let reached = Math.max(start, pod.life.from)
  const until = Math.min(end, pod.life.to ?? end)
  for (const { from, to } of seenByPages(pages).toSorted((a, b) => a.from - b.from)) {
    // A process starts a moment after its container.
    if (from <= reached + (reached > start ? STARTING_SECONDS : 0)) reached = Math.max(reached, to)
  }
  return reached >= until
}

const STARTING_SECONDS = 5

/** Returns the edges that differ from their paths. Most are equal, and storing both would double the size. */
function edgesUnlikePath(paths: readonly PathWindow[], edges: readonly ReadEdge[]): Edge[] {
  const byId = new Map(paths.map((path) => [path.pathId, path]))
  return edges.flatMap(({ standing, isDoubted, witness, reached, reachedPods, ...edge }) => {
    const path = byId.get(edge.pathId)
    const isTold = path?.state === edge.state && path.outcome === edge.outcome && path.reason === edge.reason
    return path === undefined || isTold ? [] : [edge]
  })
}

/** Makes encrypted and exempt readings unknown, because an unanswered query may hold plaintext. */
function withoutTheRest(reading: CounterReading): CounterReading {
  const { verdict } = reading
  return isEncrypted(verdict.state) || verdict.state === 'exempt'
    ? { ...reading, verdict: { ...verdict, state: 'unknown', reason: 'metrics-partly-read' } }
    : reading
}

/** Reads lists. Unreadable lists are ignored, so that their facts become unknown, and `errors` gets a line that says so. */
function readLists(snapshot: ListsOfSnapshot | null, errors: string[]): KubernetesLists | null {
  if (snapshot === null) return null
  try {
    return listedOf(snapshot.lists, toSeconds(snapshot.takenAt))
  } catch (error) {
    if (!(error instanceof ReduceError)) throw error
    errors.push(`Cannot use the lists taken at ${snapshot.takenAt}: ${error.message}`)
    return null
  }
}

function readAnswers(answers: Snapshot['metrics']['answers']): Answers {
  const read: Answers = (name) =>
    answers.flatMap((answer) => (answer.name === name ? parseAnswer(answer.body, STATED_MOMENTS.has(name)) : []))
  // Small and read often.
  let scrapes: ReturnType<Answers> | undefined
  return (name) => (name === 'scrapes' ? (scrapes ??= read(name)) : read(name))
}

function scrapesByAddress(
  scrapes: ReadonlyMap<string, ProxyScrapes>,
): Pick<CoverageInput, 'scrapesAt' | 'anyScrape' | 'interval'> {
  const byAddress = Map.groupBy([...scrapes], ([instance]) => hostOf(instance))
  const all = [...scrapes.values()]
  return {
    scrapesAt: (address) => (byAddress.get(address) ?? []).map(([, one]) => one),
    anyScrape: [...new Set(all.flatMap(({ times, failed }) => [...times, ...failed]))].sort((a, b) => a - b),
    interval: all.reduce((most, { interval }) => Math.max(most, interval), 0),
  }
}

/** Scraped proxies that neither a list nor cAdvisor shows. */
function unlistedOf(
  answers: Answers,
  scrapes: ReadonlyMap<string, ProxyScrapes>,
  {
    attribute,
    facts: { pods },
    isWithin,
  }: {
    readonly attribute: ReturnType<typeof attributor>
    readonly facts: Facts
    readonly isWithin: (time: number) => boolean
  },
) {
  const seen = new Map(answers('scrapes').map(({ labels }) => [labelOf(labels, 'instance'), labels] as const))
  const known = new Set(
    pods.filter(({ unlisted }) => unlisted !== undefined).map(({ namespace, name }) => `${namespace}/${name}`),
  )
  return [...seen].flatMap(([instance, labels]) => {
    const own = scrapes.get(instance)
    if (known.has(nameOf(labels)) || own?.times.some(isWithin) !== true) return []
    const at = attribute(labels)
    return at.standing === 'pod-not-listed' ? [{ workload: at.workload, scrapes: own }] : []
  })
}

/** Pod names that each scraped address reported. */
function namesByAddress(answers: Answers): ReadonlyMap<string, ReadonlySet<string>> {
  const all = new Map<string, Set<string>>()
  for (const { labels } of answers('scrapes')) {
    const instance = labelOf(labels, 'instance')
    all.set(instance, (all.get(instance) ?? new Set()).add(nameOf(labels)))
  }
  return all
}

/** Returns the pod that a target's labels name. */
function nameOf(labels: Labels): string {
  return `${labelOf(labels, 'namespace')}/${labelOf(labels, 'pod')}`
}

/** Finds the scrapes of targets with a pod's name, at an address of no listed pod. An address with two names is left out. */
function scrapesByName(
  names: ReadonlyMap<string, ReadonlySet<string>>,
  scrapes: ReadonlyMap<string, ProxyScrapes>,
  { pods }: Facts,
): CoverageInput['scrapesNamed'] {
  const listed = new Set(pods.flatMap(({ addresses }) => addresses))
  const byName = Map.groupBy(
    [...scrapes].filter(([instance]) => !listed.has(hostOf(instance))),
    ([instance]) => {
      const [name, ...more] = names.get(instance) ?? []
      return more.length === 0 ? name : undefined
    },
  )
  return (namespace, pod) => (byName.get(`${namespace}/${pod}`) ?? []).map(([, one]) => one)
}

/** Bytes that each pod's proxy counted, in both directions. */
function proxiedBytes(readings: readonly CounterReading[]): ReadonlyMap<PodFacts, number> {
  const all = new Map<PodFacts, number>()
  for (const {
    at: { pod },
    bytes,
  } of readings)
    if (pod !== null) all.set(pod, (all.get(pod) ?? 0) + bytes)
  return all
}

/** Returns when a pod was gone according to the scrapes of its address; null if it may have lived on. */
function lastScrapeOf(
  { addresses, life }: PodFacts,
  end: number,
  { scrapesAt, anyScrape, interval }: ReturnType<typeof scrapesByAddress>,
): number | null {
  const own = addresses.flatMap(scrapesAt)
  const every = Math.max(0, ...own.map((one) => one.interval)) || interval
  const tries = own.flatMap(({ times, failed }) => [...times, ...failed]).filter((time) => time >= life.from - every)
  return tries.some((time) => time <= end) ? vanishedAt(tries, every, { end, anyScrape }) : null
}

/** Reads the pods that cAdvisor shows. Unreadable answers are ignored, and `errors` gets a line that says so. */
function readSeen(snapshot: Snapshot, window: { start: number; end: number }, errors: string[]): SeenPods | null {
  try {
    return seenPods(snapshot, window)
  } catch (error) {
    if (!(error instanceof AnswerError)) throw error
    errors.push(`Cannot use what cAdvisor shows: ${error.message}`)
    return null
  }
}

/** Workloads with a pod whose labels may hide it and whose address has no series, so that their paths are in doubt. */
function overriddenOf(pods: readonly PodFacts[], isUnread: (pod: PodFacts) => boolean): string[] {
  const hidden = pods.filter((pod) => isUnread(pod) && takesName(pod, ['instance', 'job', 'namespace', 'pod']))
  return [...new Set(hidden.map(({ workload }) => workloadKey(workload)))].sort(compareText)
}

/** Workloads in a list after the window, to detect when an end of a path is gone. */
function existingIn(
  listed: KubernetesLists,
  linkerdNamespace: string,
  window: { start: number; end: number },
): string[] {
  return [...factsOf(null, listed, window, linkerdNamespace).workloads.keys()]
}

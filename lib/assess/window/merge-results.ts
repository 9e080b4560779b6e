import type { Coverage, Edge, PathWindow, WindowResult, Workload } from '../../model/window.ts'
import { STATES } from '../../model/path.ts'
import { compareText } from '../../text/order.ts'
import { workloadKey } from '../pods/facts.ts'
import { uniteNamespaces } from '../pods/labelled-namespaces.ts'

/**
 * Merges several complete attempts at one window, each assessed with the same Kubernetes lists. Each path keeps its worse reading, and an attempt never
 * removes what another one observed. A single attempt is returned unchanged. Order does not matter.
 *
 * - A path takes its worst reading, by the order of the states, allowed before refused. Its counts are the largest of any attempt, since all attempts count
 *   the same traffic.
 * - A workload takes the coverage of the attempt that observed most of it, so late or lost samples in one attempt add no gap to another.
 * - Doubts (labels, blind spots, metrics partly read) are kept if any attempt has them.
 *
 * Equal attempts merge to the same result. An attempt without scrapes has no paths, so it lowers none.
 */
export function mergeResults(results: readonly [WindowResult, ...WindowResult[]]): WindowResult {
  const byKey = new Map(results.map((result) => [keyOf(result), result]))
  const all = [...byKey].toSorted(([a], [b]) => compareText(a, b)).map(([, result]) => result)
  const [first = results[0], ...others] = all
  if (others.length === 0) return first
  const keys = [...new Set(all.flatMap(({ inputs }) => [inputs.evidence, ...(inputs.also ?? [])]))].sort(compareText)
  const [evidence = first.inputs.evidence, ...also] = keys
  const collected = all.filter((result) => result.collected)
  const [base = first] = collected
  const used = collected.length === 0 ? all : collected
  const merged = { ...first.inputs, evidence, also }
  // Equal attempts need no merge.
  if (new Set(used.map(({ inputs: ___, ...told }) => JSON.stringify(told))).size === 1)
    return { ...base, inputs: merged }
  const paths = mergePaths(used)
  const overridden = [...new Set(used.flatMap((result) => result.overridden ?? []))].sort(compareText)
  const [viz] = used.flatMap((result) => result.viz ?? []).toSorted((a, b) => compareText(a.takenAt, b.takenAt))
  const { partial: _, overridden: __, viz: ___, ...rest } = base
  return {
    ...rest,
    inputs: merged,
    ...(used.some(({ partial }) => partial === true) ? { partial: true } : {}),
    errors: [...new Set(used.flatMap(({ errors }) => errors))],
    edges: mergeEdges(used, paths),
    paths,
    ...(overridden.length > 0 ? { overridden } : {}),
    coverage: mergeCoverage(used),
    workloads: mergeWorkloads(used),
    namespaces: uniteNamespaces(used.map(({ namespaces }) => namespaces)),
    crypto: used
      .map(({ crypto }) => crypto)
      .reduce((most, crypto) => (proxiesOf(crypto) > proxiesOf(most) ? crypto : most)),
    ...(viz === undefined ? {} : { viz }),
  }
}

/** Key of a result's evidence. A merged result has another key than each of its attempts. */
function keyOf({ inputs }: WindowResult): string {
  return [inputs.evidence, ...(inputs.also ?? [])].join('\n')
}

/** Rank of a reading: lower is worse. Refused traffic ranks after all allowed traffic. */
function rankOf({ state, outcome }: Pick<PathWindow, 'state' | 'outcome'>): number {
  return STATES.indexOf(state) + (outcome === 'refused' ? STATES.length : 0)
}

function mergePaths(results: readonly WindowResult[]): PathWindow[] {
  const readings = Map.groupBy(
    results.flatMap(({ paths }) => paths),
    ({ pathId }) => pathId,
  )
  return [...readings]
    .toSorted(([a], [b]) => compareText(a, b))
    .flatMap(([, own]) => {
      const worst = Math.min(...own.map(rankOf))
      const standing = own.filter((one) => rankOf(one) === worst)
      // The first reason in text order makes the result independent of the order of attempts.
      const [reading] = standing.toSorted((a, b) => compareText(orderOf(a), orderOf(b)))
      return reading === undefined ? [] : [mergePath(reading, standing, own)]
    })
}

function orderOf({ reason, cause, settings, enforcement, source, destination }: PathWindow): string {
  return JSON.stringify([reason, cause, enforcement, source, destination, settings])
}

/** @param standing the readings with the worst state; they decide everything but the counts and candidates */
function mergePath(reading: PathWindow, standing: readonly PathWindow[], all: readonly PathWindow[]): PathWindow {
  const most = (count: 'opens' | 'openAtScrape' | 'bytes' | 'clearBytes') => Math.max(...all.map((one) => one[count]))
  const known = (id: 'clientId' | 'serverId') => {
    const [identity] = standing.flatMap((one) => one[id] ?? []).toSorted(compareText)
    return identity ?? null
  }
  const candidates = new Map(
    all.flatMap((one) => one.candidates).map((one) => [`${workloadKey(one)}\n${one.serviceAccount}`, one]),
  )
  return {
    ...reading,
    opens: most('opens'),
    openAtScrape: most('openAtScrape'),
    bytes: most('bytes'),
    clearBytes: most('clearBytes'),
    // One attempt that observed the first connection is enough to know the start.
    sinceUnknown: standing.every(({ sinceUnknown }) => sinceUnknown),
    corroborated: CORROBORATION.find((value) => standing.some(({ corroborated }) => corroborated === value)) ?? 'no',
    candidates: [...candidates].toSorted(([a], [b]) => compareText(a, b)).map(([, one]) => one),
    clientId: known('clientId'),
    serverId: known('serverId'),
  }
}

/** Strongest corroboration first. */
const CORROBORATION = ['yes', 'ambiguous', 'no'] as const

/** Returns all edges that differ from their paths, each once, with the largest counts of any attempt. */
function mergeEdges(results: readonly WindowResult[], paths: readonly PathWindow[]): Edge[] {
  const byId = new Map(paths.map((path) => [path.pathId, path]))
  const isTold = ({ pathId, state, outcome, reason }: Pick<Edge, 'pathId' | 'state' | 'outcome' | 'reason'>) => {
    const path = byId.get(pathId)
    return path?.state === state && path.outcome === outcome && path.reason === reason
  }
  // If one attempt saw a path refused and another saw it allowed, both edges exist.
  const refused = results
    .flatMap((result) => result.paths)
    .filter((path) => path.outcome === 'refused' && byId.get(path.pathId)?.outcome !== 'refused')
    .map(edgeOf)
  const edges = [...results.flatMap((result) => result.edges), ...refused].filter((edge) => !isTold(edge))
  const alike = Map.groupBy(edges, ({ opens, openAtScrape, bytes, sinceUnknown, ...what }) => JSON.stringify(what))
  return [...alike]
    .toSorted(([a], [b]) => compareText(a, b))
    .flatMap(([, own]) => {
      const [edge] = own
      if (edge === undefined) return []
      const most = (count: 'opens' | 'openAtScrape' | 'bytes') => Math.max(...own.map((one) => one[count]))
      const sinceUnknown = own.every((one) => one.sinceUnknown)
      return [{ ...edge, opens: most('opens'), openAtScrape: most('openAtScrape'), bytes: most('bytes'), sinceUnknown }]
    })
}

/** Makes an inbound edge of a path, because policy refuses at the server. */
function edgeOf(path: PathWindow): Edge {
  const { pathId, source, destination, port, state, outcome, reason } = path
  const { opens, sinceUnknown, openAtScrape, bytes, clientId, serverId } = path
  return {
    pathId,
    side: 'inbound',
    source,
    destination,
    port,
    state,
    outcome,
    reason,
    opens,
    sinceUnknown,
    openAtScrape,
    bytes,
    clientId,
    serverId,
  }
}

function mergeCoverage(results: readonly WindowResult[]): Coverage[] {
  return mergeRows(
    results.map(({ coverage }) => coverage),
    ({ workload }) => workloadKey(workload),
    (row, other) =>
      other.observedSeconds - row.observedSeconds ||
      row.gaps.length - other.gaps.length ||
      compareText(JSON.stringify(row), JSON.stringify(other)),
  )
}

function mergeWorkloads(results: readonly WindowResult[]): Workload[] {
  const own = Map.groupBy(
    results.flatMap(({ workloads }) => workloads),
    workloadKey,
  )
  return mergeRows(
    results.map(({ workloads }) => workloads),
    workloadKey,
    (row, other) => compareText(JSON.stringify(row), JSON.stringify(other)),
  ).map((workload) => {
    const rows = own.get(workloadKey(workload)) ?? []
    const spots = new Map(rows.flatMap(({ blindSpots }) => blindSpots).map((spot) => [JSON.stringify(spot), spot]))
    const overriding = [...new Set(rows.flatMap((row) => row.overriding ?? []))].sort(compareText)
    // A scrape in one attempt is enough.
    const isScraped = rows.some(({ blindSpots }) => blindSpots.every(({ kind }) => kind !== 'not-scraped'))
    return {
      ...workload,
      blindSpots: [...spots]
        .toSorted(([a], [b]) => compareText(a, b))
        .flatMap(([, spot]) => (isScraped && spot.kind === 'not-scraped' ? [] : [spot])),
      ...(overriding.length > 0 ? { overriding } : {}),
    }
  })
}

/** Returns one row for each key, sorted by key: the first of its rows in an order. */
function mergeRows<T>(
  all: readonly (readonly T[])[],
  keyOfRow: (row: T) => string,
  order: (row: T, other: T) => number,
): T[] {
  const rows = Map.groupBy(all.flat(), keyOfRow)
  return [...rows].toSorted(([a], [b]) => compareText(a, b)).flatMap(([, own]) => own.toSorted(order).slice(0, 1))
}

function proxiesOf({ proxyVersions }: WindowResult['crypto']): number {
  return proxyVersions.reduce((sum, { proxies }) => sum + proxies, 0)
}

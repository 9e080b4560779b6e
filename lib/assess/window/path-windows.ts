import type { Destination, State } from '../../model/path.ts'
import type { Edge, PathWindow } from '../../model/window.ts'
import { STATES, UNENCRYPTED_STATES } from '../../model/path.ts'
import { aroundProxy } from '../pods/around-proxy.ts'
import { BY_RATE } from '../counters/classify.ts'
import { type PathCause, causesOf, dialledPorts, skipsAny } from './path-cause.ts'
import type { PodCoverage } from './pod-coverage.ts'
import type { ReadEdge } from './path-edges.ts'
import { enforcementOf } from './server-policies.ts'
import { isEncrypted, isNotEncrypted } from './episode-lifecycle.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import { isCoveredBy } from './gap-covers.ts'
import { type PodFacts, isDoubted } from '../pods/pods.ts'
import { parseIdentity, shortIdentity } from '../ends/identity.ts'
import type { CandidatesOf } from './tap-candidates.ts'
import { compareText } from '../../text/order.ts'

/** Input that decides the paths of a window. */
export type PathsInput = {
  readonly edges: readonly ReadEdge[]
  readonly facts: Facts
  readonly coverage: ReadonlyMap<PodFacts, PodCoverage>
  /** Keys ({@link workloadKey}) of workloads with a pod whose labels may hide it. */
  readonly overridden: ReadonlySet<string>
  /** Finds candidates for an unnamed source; absent if there was no tap. */
  readonly candidatesOf?: CandidatesOf
}

/** Facts about all paths that judging one of them needs. */
type PathInput = PathsInput & {
  /** Keys ({@link endKey}) of ends that let unnamed traffic in. */
  readonly unnamed: ReadonlySet<string>
  /** Ends whose requests count as probes by rate alone, so that another client's may be among them. */
  readonly byRate: ReadonlySet<string>
  /** Keys of the workloads that have each identity. */
  readonly owners: ReadonlyMap<string, ReadonlySet<string>>
  readonly causeOf: ReturnType<typeof causesOf>
  /** Keys ({@link endKey}) of ends to which a proxy reported unexplained plaintext. */
  readonly sentClear: ReadonlySet<string>
}

/** Joins edges into paths, each with its worst edge. Sorted by path id. */
export function pathsOf(input: PathsInput): PathWindow[] {
  const { edges, facts } = input
  const owners = ownersOf(facts)
  const outbound = edges.filter(({ side }) => side === 'outbound')
  const inbound = edges.filter(({ side }) => side === 'inbound')
  const joined = joinByIdentity(outbound, inbound, facts)
  const rows = [...outbound, ...inbound.filter((edge) => !joined.taken.has(edge))]
  const unnamed = unnamedTraffic(inbound)
  const byRate = new Set(
    inbound.filter(({ reason }) => reason === BY_RATE).map((edge) => endKey(edge.destination, edge.port)),
  )
  const causeOf = causesOf(facts)
  const sentClear = unexplainedEnds(outbound, causeOf)
  return [...Map.groupBy(rows, (edge) => edge.pathId).entries()]
    .sort(([a], [b]) => compareText(a, b))
    .flatMap(([id, own]) => {
      const [first] = own
      return first === undefined
        ? []
        : [
            pathOf(id, own, first, joined.seenBy.get(id) ?? [], {
              ...input,
              unnamed,
              byRate,
              owners,
              causeOf,
              sentClear,
            }),
          ]
    })
}

/** Assigns inbound edges with an identity to the outbound edges of that identity and port, if there are any. */
function joinByIdentity(outbound: readonly ReadEdge[], inbound: readonly ReadEdge[], facts: Facts) {
  const byEnd = Map.groupBy(outbound, (edge) => endKey(edge.destination, edge.port))
  const taken = new Set<ReadEdge>()
  const seenBy = new Map<string, ReadEdge[]>()
  for (const edge of inbound) {
    if (edge.clientId === null) continue
    const clientId = edge.clientId
    const sources = (byEnd.get(endKey(edge.destination, edge.port)) ?? []).filter(({ source }) =>
      hasIdentity(source, clientId, facts),
    )
    if (sources.length > 0) taken.add(edge)
    for (const id of new Set(sources.map((one) => one.pathId))) seenBy.set(id, [...(seenBy.get(id) ?? []), edge])
  }
  return { taken, seenBy }
}

function hasIdentity(source: Edge['source'], identity: string, facts: Facts): boolean {
  const parsed = parseIdentity(identity)
  if (parsed === null || parsed.namespace !== source.namespace) return false
  const pods = facts.podsOf.get(workloadKey(source)) ?? []
  if (pods.some((pod) => pod.identity === identity)) return true
  // For unlisted pods only the ServiceAccount is known.
  if (pods.length > 0 && !pods.some(({ unlisted, meshed }) => unlisted !== undefined && meshed)) return false
  return parsed.serviceAccount === (facts.serviceAccountOf(source) ?? facts.templateServiceAccount(source))
}

function endKey({ kind, namespace, name, cluster }: Destination, port: number): string {
  return JSON.stringify([kind, namespace, name, cluster, port])
}

function unexplainedEnds(outbound: readonly ReadEdge[], causeOf: PathInput['causeOf']): ReadonlySet<string> {
  return new Set(
    outbound
      .filter(
        (edge) => isNotEncrypted(edge) && causeOf({ ...edge, edges: [edge], isSentByProxy: false }).cause === 'unknown',
      )
      .map(({ destination, port }) => endKey(destination, port)),
  )
}

/** Whether traffic in a state was or may have been plaintext: unknown is not a pass. */
function mayBeClear(state: State): boolean {
  return UNENCRYPTED_STATES.has(state) || state === 'unknown'
}

/** Ends (workload, port) that let in unnamed traffic that was or may have been plaintext. */
function unnamedTraffic(inbound: readonly ReadEdge[]): ReadonlySet<string> {
  return new Set(
    inbound
      .filter(({ source, outcome, state }) => source.kind === 'unmeshed' && outcome === 'allowed' && mayBeClear(state))
      .map((edge) => endKey(edge.destination, edge.port)),
  )
}

function pathOf(
  id: string,
  own: readonly ReadEdge[],
  first: ReadEdge,
  seen: readonly ReadEdge[],
  input: PathInput,
): PathWindow {
  const { facts } = input
  const standing = own.map((edge) => standingEdge(edge, seen, input))
  const allowed = standing.filter(({ outcome }) => outcome === 'allowed')
  // Refused traffic is evidence of enforcement, so it counts only if there is nothing else.
  const worst = worstOf(allowed.length > 0 ? allowed : standing)
  const judged = isHidden(first, worst, input)
    ? ({ state: 'unknown', reason: 'labels-overridden' } as const)
    : worst.state === 'mtls'
      ? (aroundProxy(first, facts, input.unnamed.has(endKey(first.destination, first.port))) ??
        halfMeshed(first, input))
      : worst
  const { cause, settings } = causeOfPath(standing, judged, first, input)
  const side = own.filter((edge) => edge.side === first.side)
  const sum = (edges: readonly ReadEdge[], read: (edge: ReadEdge) => number) =>
    edges.reduce((total, edge) => total + read(edge), 0)
  const clientIds = [...new Set([...seen, ...own].flatMap(({ clientId }) => clientId ?? []))].sort(compareText)
  const serverIds = [...new Set(own.flatMap(({ serverId }) => serverId ?? []))].sort(compareText)
  return {
    pathId: id,
    source: first.source,
    destination: first.destination,
    port: first.port,
    state: judged.state,
    outcome: worst.outcome,
    reason: judged.reason,
    cause,
    ...(settings.length > 0 ? { settings } : {}),
    enforcement:
      first.destination.kind === 'external' ? 'unknown' : enforcementOf(first.destination, first.port, facts),
    opens: sum(side, ({ opens }) => opens),
    openAtScrape: sum(side, ({ openAtScrape }) => openAtScrape),
    bytes: sum(side, ({ bytes }) => bytes),
    clearBytes: sum(
      side.filter(({ state }) => mayBeClear(state)),
      ({ bytes }) => bytes,
    ),
    sinceUnknown: standing.some((edge) => edge.state === worst.state && edge.sinceUnknown),
    corroborated: corroboration(seen, input),
    candidates: first.source.kind === 'unmeshed' ? (input.candidatesOf?.(first.destination, first.port) ?? []) : [],
    clientId: shortIdentity(clientIds[0] ?? ''),
    serverId: shortIdentity(serverIds[0] ?? ''),
  }
}

/** Finds the cause of a path's judged state from the edges with that state, or else from all edges. */
function causeOfPath(
  standing: readonly ReadEdge[],
  { state, reason }: Pick<Edge, 'state' | 'reason'>,
  first: ReadEdge,
  { causeOf, sentClear }: PathInput,
): PathCause {
  const { destination, port } = first
  const alike = standing.filter((edge) => edge.state === state && edge.reason === reason)
  return causeOf({
    state,
    reason,
    destination,
    port,
    edges: alike.length > 0 ? alike : standing,
    isSentByProxy: sentClear.has(endKey(destination, port)),
  })
}

/** Whether a pod at either end has no usable series, so that only observed plaintext is certain. */
function isHidden(
  { source, destination }: ReadEdge,
  { state }: Pick<Edge, 'state'>,
  { overridden }: PathsInput,
): boolean {
  if (mayBeClear(state)) return false
  return [source, destination].some((end) => overridden.has(workloadKey(end)))
}

/**
 * Lowers encrypted edges to unknown unless another proxy confirms them. For an unlisted pod, a listed server must have seen its identity on the wire, or it
 * and another unlisted pod must have seen each other's, with cAdvisor showing a proxy in both. For a pod whose labels may be false, that identity must also
 * belong to only one workload.
 */
function standingEdge(edge: ReadEdge, seen: readonly ReadEdge[], input: PathInput): ReadEdge {
  if (!isEncrypted(edge.state)) return edge
  if (edge.isDoubted && (edge.side !== 'outbound' || corroboration(seen, input) !== 'yes'))
    return { ...edge, state: 'unknown', reason: 'labels-overridden (not corroborated)' }
  if (edge.standing !== 'pod-not-listed') return edge
  const isSeen =
    edge.side === 'outbound' &&
    seen.some((other) => other.state === 'mtls' && (other.standing === 'confirmed' || isAgreed(edge, other, input)))
  return isSeen ? edge : { ...edge, state: 'unknown', reason: 'pod-not-listed' }
}

/** Whether two proxies of unlisted pods, both shown by cAdvisor, each saw the identity of the other's workload on the wire. */
function isAgreed(client: ReadEdge, server: ReadEdge, { facts }: PathInput): boolean {
  return (
    client.witness !== null &&
    server.witness !== null &&
    client.witness !== server.witness &&
    client.serverId !== null &&
    hasIdentity(client.destination, client.serverId, facts)
  )
}

function worstOf(edges: readonly ReadEdge[]): Pick<Edge, 'state' | 'reason' | 'outcome' | 'side'> {
  const [worst] = edges.toSorted(
    (a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || compareText(a.reason, b.reason),
  )
  return worst ?? { state: 'unknown', reason: 'no-edge', outcome: 'allowed', side: 'outbound' }
}

/**
 * Decides whether a path is `mtls`: every source pod that lived in the window had a proxy that was not bypassed, was read, and has trusted labels. Otherwise
 * its plaintext may be part of the destination port's unnamed traffic, which must then be shown not to exist.
 */
function halfMeshed(
  { source, destination, port }: ReadEdge,
  { facts, coverage, unnamed, byRate }: PathInput,
): { state: State; reason: string } {
  const mtls = { state: 'mtls', reason: '' } as const
  const pods = podsOfSource(source, facts)
  const unknown = facts.unknownPods.filter((pod) => workloadKey(pod.workload) === workloadKey(source))
  const dialled = dialledPorts(destination, port, facts)
  const end = endKey(destination, port)
  // A few requests from a client that bypasses a proxy look the same as probes recognised by rate alone.
  const isAround = unknown.length > 0 || pods.some((pod) => !pod.meshed || skipsAny(pod, dialled))
  const hasUnnamed = unnamed.has(end) || (byRate.has(end) && isAround)
  if (!hasUnnamed && isFullyCovered(destination, facts, coverage)) return mtls
  // Any skipped subnet counts, because the destination may be in it.
  const lacking = pods.filter(
    (pod) =>
      isDoubted(pod) ||
      pod.unlisted === 'spec-unknown' ||
      coverage.get(pod)?.isReadToItsEnd !== true ||
      skipsAny(pod, dialled) ||
      pod.skipSubnets.length > 0,
  )
  // A CronJob's pods come and go between lists, and no replica count shows a missing one.
  const isKnown = facts.isSettled && unknown.length === 0 && (source.kind !== 'cronjob' || facts.isEverybodySeen)
  if (isKnown && pods.length > 0 && lacking.length === 0) return mtls
  if (!hasUnnamed) return { state: 'unknown', reason: 'destination-not-seen' }
  if (isKnown && lacking.length > 0 && lacking.every(isDoubted))
    return { state: 'unknown', reason: 'labels-overridden (not corroborated)' }
  const all = pods.length + unknown.length
  const why = facts.isSettled
    ? lacking.length + unknown.length > 0
      ? `${lacking.length + unknown.length} of ${all}`
      : 'pod-not-listed'
    : 'no list'
  return { state: 'unknown', reason: `source-partly-unmeshed (${why})` }
}

function podsOfSource(source: Edge['source'], facts: Facts): readonly PodFacts[] {
  if (source.kind !== 'serviceaccount') return facts.podsOf.get(workloadKey(source)) ?? []
  return facts.pods.filter((pod) => pod.namespace === source.namespace && pod.serviceAccount === source.name)
}

/**
 * Whether no pod of a workload has a gap longer than three scrape intervals, and all its pods are known and trusted. A pod without a proxy was not observed
 * at all.
 */
function isFullyCovered(destination: Destination, facts: Facts, coverage: ReadonlyMap<PodFacts, PodCoverage>): boolean {
  const key = workloadKey(destination)
  const pods = facts.podsOf.get(key) ?? []
  return (
    pods.length > 0 &&
    pods.every((pod) => !isDoubted(pod) && isCoveredBy(coverage.get(pod)?.gaps ?? [{}])) &&
    !facts.unknownPods.some(({ workload }) => workloadKey(workload) === key)
  )
}

/** Returns who else observed the path: one workload's identity, a shared identity, or nobody. */
function corroboration(seen: readonly ReadEdge[], { owners }: PathInput): PathWindow['corroborated'] {
  const identities = seen.flatMap(({ state, standing, clientId }) =>
    state === 'mtls' && standing === 'confirmed' ? (clientId ?? []) : [],
  )
  if (identities.length === 0) return 'no'
  return identities.every((identity) => owners.get(identity)?.size === 1) ? 'yes' : 'ambiguous'
}

/** Workloads that lived in the window, by identity. */
function ownersOf({ pods }: Facts): Map<string, Set<string>> {
  const owners = new Map<string, Set<string>>()
  for (const { identity, workload } of pods) {
    if (identity === null) continue
    const known = owners.get(identity) ?? new Set()
    owners.set(identity, known.add(workloadKey(workload)))
  }
  return owners
}

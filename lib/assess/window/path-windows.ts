import type { Destination, State } from '../../model/path.ts'
import type { Edge, PathWindow } from '../../model/window.ts'
import { STATES } from '../../model/path.ts'
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

/** Everything that decides what the edges of a window come to. */
export type PathsInput = {
  readonly edges: readonly ReadEdge[]
  readonly facts: Facts
  readonly coverage: ReadonlyMap<PodFacts, PodCoverage>
  /** Workloads with a pod that hides behind its labels, as {@link workloadKey} names them. */
  readonly overridden: ReadonlySet<string>
  /** Who an unnamed source may be; absent: nobody knows. */
  readonly candidatesOf?: CandidatesOf
}

/** What is known of all paths when one is judged. */
type PathInput = PathsInput & {
  /** Ends at which traffic without a name was let in, as {@link endKey} names them. */
  readonly unnamed: ReadonlySet<string>
  /** Ends at which requests count as probes by their rate alone: some of somebody else's may be among them. */
  readonly byRate: ReadonlySet<string>
  /** The workloads that have an identity. */
  readonly owners: ReadonlyMap<string, ReadonlySet<string>>
  readonly causeOf: ReturnType<typeof causesOf>
  /** Ends to which a proxy said that it sent something in the clear, and nothing explains why; as {@link endKey} names them. */
  readonly sentClear: ReadonlySet<string>
}

/** Joins edges to paths, each the worst of its edges. Sorted by path id. */
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

/** Inbound edges with an identity belong to the outbound edges of that identity and port, where there are any. */
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
  // Of pods that no list holds only the ServiceAccount is known.
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

/** Whether traffic in a state was, or may have been, in the clear: unknown is not a pass. */
function mayBeClear(state: State): boolean {
  return state === 'plaintext' || state === 'no-mesh-tls' || state === 'unknown'
}

/** The ends (workload, port) at which traffic without a name was let in that was not, or may not have been, encrypted. */
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
  // Refused traffic is evidence of enforcement: it counts only where there is nothing else.
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

/** The cause of what a path was judged to be, by the edges that are so, else by all of them. */
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

/** A pod of either end has no series to go by, so only what was seen in the clear is sure. */
function isHidden(
  { source, destination }: ReadEdge,
  { state }: Pick<Edge, 'state'>,
  { overridden }: PathsInput,
): boolean {
  if (mayBeClear(state)) return false
  return [source, destination].some((end) => overridden.has(workloadKey(end)))
}

/**
 * What a pod in no list says of encryption stands only if a listed server saw its identity on the wire, or another pod in no list did whose identity it
 * saw itself, and cAdvisor shows both of them with a proxy; and what a pod says whose labels may lie only
 * if that identity is of one workload, too: else it may have been another's.
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

/** Two proxies of pods in no list, which cAdvisor shows: each saw the identity of the other's workload on the wire. */
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
 * A path is `mtls` only if every pod of the source that lived in the window had a proxy, in the way, read, and not in doubt by its labels. Else its
 * clear traffic may be among what the destination's port got without a name, and must then be seen not to be.
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
  // Few requests of a client that surely goes around a proxy are not told from probes that only their rate makes such.
  const isAround = unknown.length > 0 || pods.some((pod) => !pod.meshed || skipsAny(pod, dialled))
  const hasUnnamed = unnamed.has(end) || (byRate.has(end) && isAround)
  if (!hasUnnamed && isFullyCovered(destination, facts, coverage)) return mtls
  // Whether the destination lies in a skipped subnet is not worked out: it may.
  const lacking = pods.filter(
    (pod) =>
      isDoubted(pod) ||
      pod.unlisted === 'spec-unknown' ||
      coverage.get(pod)?.isReadToItsEnd !== true ||
      skipsAny(pod, dialled) ||
      pod.skipSubnets.length > 0,
  )
  // A CronJob's pods come and go between lists, and no count of replicas says that one is missing.
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
 * No gap longer than three scrape intervals in the life of any of a workload's pods, all of them known and beyond doubt. What has no proxy was not
 * seen at all.
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

/** Who else saw it: one workload's identity, a shared one, or nobody. */
function corroboration(seen: readonly ReadEdge[], { owners }: PathInput): PathWindow['corroborated'] {
  const identities = seen.flatMap(({ state, standing, clientId }) =>
    state === 'mtls' && standing === 'confirmed' ? (clientId ?? []) : [],
  )
  if (identities.length === 0) return 'no'
  return identities.every((identity) => owners.get(identity)?.size === 1) ? 'yes' : 'ambiguous'
}

/** The workloads, alive in the window, that have an identity. */
function ownersOf({ pods }: Facts): Map<string, Set<string>> {
  const owners = new Map<string, Set<string>>()
  for (const { identity, workload } of pods) {
    if (identity === null) continue
    const known = owners.get(identity) ?? new Set()
    owners.set(identity, known.add(workloadKey(workload)))
  }
  return owners
}

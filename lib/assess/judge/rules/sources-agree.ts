import type { Corroborated } from '../../../model/path.ts'
import type { PacketDifference, PathIdentity } from '../../../model/period.ts'
import type { VizDifference } from '../../../model/window.ts'
import { compareText } from '../../../text/order.ts'
import { workloadKey } from '../../pods/facts.ts'
import { type PathHistory, type Rule, hasNamelessEnd, pathFinding, ofWorkload, windowCount } from '../rule.ts'
import { withUntold } from '../seen.ts'

/** Judges whether both ends told the same of a path, and whether `linkerd viz edges` showed what the counters say. */
export const sourcesAgree: Rule = {
  id: 'sources-agree',
  title: 'Sources of evidence agree',
  why: 'What one proxy says is one witness; that the other end saw the same identity is a second one, and what an operator is shown by linkerd viz edges is to be the same.',
  needs:
    "Mutual TLS of the mesh, and both proxies read: the server's word for the client's identity, which exactly one workload may have. A window whose other side did not tell of it, or saw an identity that several workloads have, is not told; seen is a window by the smaller part of the pod time that was read at the two ends. Without mutual TLS there is nothing to join the two sides by. What linkerd viz edges shows at one moment is held against the window of that moment, where it could be asked, and what a kept capture of packets shows against that of its moment; that they agree proves nothing.",
  check: ({ cluster, paths, facts }) => {
    const differences = inOrder(facts?.viz?.differences ?? []).filter(isContradiction)
    const identities = Map.groupBy(facts?.identities ?? [], ({ pathId }) => pathId)
    const byPath = Map.groupBy(differences, ({ path }) => path?.pathId)
    const alone = differences.filter(({ path }) => path === null)
    const packets = (facts?.packets?.differences ?? []).toSorted((a, b) => compareText(orderOf(a), orderOf(b)))
    const captured = Map.groupBy(packets, ({ pathId }) => pathId)
    const known = new Set(paths.map(({ pathId }) => pathId))
    const ofWorkloads = [
      ...packets
        .filter(({ pathId }) => pathId === null || !known.has(pathId))
        .map((one) => ofWorkload(cluster.id, one.server, 'fail', capturedWords([one]))),
      ...alone.map((one) => unseenPair(cluster.id, one)),
    ]
    return [
      ...paths.map((path) =>
        worse(
          besidePackets(path, captured.get(path.pathId) ?? []) ?? judge(path, identities.get(path.pathId) ?? []),
          vizFinding(path, byPath.get(path.pathId) ?? []),
        ),
      ),
      // The first of what is said of each.
      ...new Map(ofWorkloads.toReversed().map((one) => [workloadKey(one.subject.workload), one])).values(),
    ]
  },
}

function inOrder(differences: readonly VizDifference[]): VizDifference[] {
  return differences
    .map((one) => ({ one, key: JSON.stringify([one.at, one.srcNamespace, one.src, one.dstNamespace, one.dst, one]) }))
    .toSorted((a, b) => compareText(a.key, b.key))
    .map(({ one }) => one)
}

function judge(path: PathHistory, identities: readonly PathIdentity[]): PathFinding {
  const { windows, destination, seenAtBothEnds } = path
  if (hasNamelessEnd(path))
    return pathFinding(
      path,
      'not-applicable',
      'An end of it has no identity of the mesh, so nothing joins the two sides',
    )
  const quiet = 'No mutual TLS of the mesh in the period, so nothing joins the two sides'
  if (windows.mtls === 0) return pathFinding(path, 'not-applicable', quiet, seenAtBothEnds)
  if (destination.cluster !== null)
    return pathFinding(
      path,
      'not-enough-evidence',
      'The destination is in another cluster, whose proxies were not read here',
    )
  const windowsBy = (corroborated: Corroborated) =>
    identities.reduce((sum, one) => sum + (one.corroborated === corroborated ? one.windows : 0), 0)
  const [agreed, alone, ambiguous] = [windowsBy('yes'), windowsBy('no'), windowsBy('ambiguous')]
  const untold = Math.max(windows.mtls - agreed, alone + ambiguous)
  return {
    ...pathFinding(
      path,
      'pass',
      `In ${windowCount(agreed)} the server saw the identity of the client, which one workload has`,
      withUntold(seenAtBothEnds, agreed, untold),
    ),
    ...(alone > 0
      ? { untold: `One side alone told of it in ${windowCount(alone)}` }
      : ambiguous > 0
        ? { untold: `The identity that the server saw is that of several workloads in ${windowCount(ambiguous)}` }
        : {}),
  }
}

function orderOf({ at, client, server, port, reason }: PacketDifference): string {
  return JSON.stringify([at, workloadKey(server), port, workloadKey(client), reason])
}

/** Clear bytes in a capture of which the proxies of a path told nothing: one witness that saw the wire. */
function besidePackets(path: PathHistory, differences: readonly PacketDifference[]): PathFinding | undefined {
  return differences.length === 0 ? undefined : pathFinding(path, 'fail', capturedWords(differences))
}

function capturedWords(differences: readonly PacketDifference[]): string {
  const [first] = differences
  if (first === undefined) return ''
  const { at, client, port, reason } = first
  const from = client.kind === 'external' ? client.name : workloadKey(client)
  const count = differences.length === 1 ? '' : `, the first of ${differences.length} connections`
  return `A capture showed clear bytes (${reason}) from ${from} to port ${port} at ${at}${count}, and the proxies told of none in that window`
}

type PathFinding = ReturnType<typeof pathFinding>

/** The first moment in which viz showed a path otherwise; undefined where there is none. */
function vizFinding(path: PathHistory, differences: readonly VizDifference[]): PathFinding | undefined {
  const [first] = differences
  if (first === undefined) return undefined
  const same = differences.filter(({ reason }) => reason === first.reason)
  const times = same.length === 1 ? `at ${first.at}` : `at ${same.length} moments, first at ${first.at}`
  return pathFinding(path, 'fail', `Linkerd viz edges showed ${shown(first)} ${times}, ${oursOf(first)}`)
}

function shown({ reason }: VizDifference): string {
  return reason === '' ? 'a tick' : `"${reason}"`
}

function isClear(state: string): boolean {
  return state === 'plaintext' || state === 'no-mesh-tls'
}

/** A tick where traffic was clear, a reason where all was mutual TLS, and a pair that no proxy told of; beside what is unknown or refused a tick says nothing. */
function isContradiction({ reason, path }: VizDifference): boolean {
  return reason !== '' || path === null || (path.outcome === 'allowed' && isClear(path.state))
}

function oursOf({ reason, path }: VizDifference): string {
  if (path === null) return 'and no proxy told of such traffic'
  const { state, why } = path
  if (reason !== '') return 'and the proxies told of mutual TLS alone in that window'
  const words = why === '' ? state : `${state}: ${why}`
  return `and in that window some of it was not encrypted (${words}), which edges hides: it shows one of several connections, and only those open at one scrape`
}

function worse(own: PathFinding, other: PathFinding | undefined): PathFinding {
  if (other === undefined || own.verdict === 'fail') return own
  return other
}

/** A pair that viz shows and no proxy told of: series take their names from labels of pods, which may say anything. */
function unseenPair(cluster: string, { kind, srcNamespace, src, dstNamespace, dst, at }: VizDifference) {
  const detail = `Linkerd viz edges showed it talking to ${dstNamespace}/${dst} at ${at}, and no proxy of that name told of it: labels of a pod may say so`
  return ofWorkload(cluster, { kind, namespace: srcNamespace, name: src }, 'fail', detail)
}

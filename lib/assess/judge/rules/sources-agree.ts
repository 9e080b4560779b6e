import type { Corroborated } from '../../../model/path.ts'
import type { PacketDifference, PathIdentity } from '../../../model/period.ts'
import type { VizDifference } from '../../../model/window.ts'
import { compareText } from '../../../text/order.ts'
import { workloadKey } from '../../pods/facts.ts'
import { isNotEncrypted } from '../../window/episode-lifecycle.ts'
import { type PathHistory, type Rule, hasNamelessEnd, isExempt, pathFinding, ofWorkload, windowCount } from '../rule.ts'
import { withUnknownWindows } from '../seen.ts'

/** Judges whether both ends reported the same of a path, and whether `linkerd viz edges` showed what the counters say. */
export const sourcesAgree: Rule = {
  id: 'sources-agree',
  title: 'Sources of evidence agree',
  why: 'The report of one proxy is one source. The identity that the other end saw is a second source. linkerd viz edges must show an operator the same result.',
  needs:
    'The path uses mutual TLS of the mesh, and both proxies were read. The server reports the identity of the client, and exactly one workload may have this identity. A window is no evidence if one side did not report the path, or if several workloads share the identity that the server saw. For each window, ciphertrail calculates the observed share of pod time at the source and at the destination. The smaller share counts as seen. Without mutual TLS, nothing links the two sides. If linkerd viz edges could be queried, its answer is compared with the window of the same moment. A stored packet capture is compared with the window of its moment. If these agree, that proves nothing. An exempt path has nothing to compare, unless one of these two contradicts it.',
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
  if (isExempt(path)) return pathFinding(path, 'not-applicable', 'Exempt traffic only')
  if (hasNamelessEnd(path))
    return pathFinding(path, 'not-applicable', 'One end has no mesh identity, so nothing links the two sides')
  const quiet = 'No mutual TLS of the mesh to judge in the period, so nothing links the two sides'
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
      agreed === 0
        ? 'In no window did both sides confirm the path'
        : `In ${windowCount(agreed)} the server saw the identity of the client, and only one workload has it`,
      withUnknownWindows(seenAtBothEnds, agreed, untold),
    ),
    ...(alone > 0
      ? { untold: `Only one side reported the path in ${windowCount(alone)}` }
      : ambiguous > 0
        ? { untold: `Several workloads share the identity that the server saw in ${windowCount(ambiguous)}` }
        : {}),
  }
}

function orderOf({ at, client, server, port, reason }: PacketDifference): string {
  return JSON.stringify([at, workloadKey(server), port, workloadKey(client), reason])
}

/** Clear bytes in a capture of which the proxies of a path reported nothing: one witness that saw the wire. */
function besidePackets(path: PathHistory, differences: readonly PacketDifference[]): PathFinding | undefined {
  return differences.length === 0 ? undefined : pathFinding(path, 'fail', capturedWords(differences))
}

function capturedWords(differences: readonly PacketDifference[]): string {
  const [first] = differences
  if (first === undefined) return ''
  const { at, client, port, reason } = first
  const from = client.kind === 'external' ? client.name : workloadKey(client)
  const count = differences.length === 1 ? '' : ` (the first of ${differences.length} connections)`
  return `A packet capture shows unencrypted bytes (${reason}) from ${from} to port ${port} at ${at}${count}. The proxies reported none in that window`
}

type PathFinding = ReturnType<typeof pathFinding>

/** The first moment in which viz showed a path otherwise; undefined where there is none. */
function vizFinding(path: PathHistory, differences: readonly VizDifference[]): PathFinding | undefined {
  const [first] = differences
  if (first === undefined) return undefined
  const same = differences.filter(({ reason }) => reason === first.reason)
  const times = same.length === 1 ? `at ${first.at}` : `at ${same.length} moments, the first at ${first.at}`
  return pathFinding(path, 'fail', `Linkerd viz edges showed ${shown(first)} ${times}. ${oursOf(first)}`)
}

function shown({ reason }: VizDifference): string {
  return reason === '' ? 'a tick' : `"${reason}"`
}

/** A tick where traffic was clear, a reason where all was mutual TLS, and a pair that no proxy told of; beside what is unknown or refused a tick says nothing. */
function isContradiction({ reason, path }: VizDifference): boolean {
  return reason !== '' || path === null || isNotEncrypted(path)
}

function oursOf({ reason, path }: VizDifference): string {
  if (path === null) return 'No proxy reported such traffic'
  const { state, why } = path
  if (reason !== '') return 'The proxies reported only mutual TLS in that window'
  const words = why === '' ? state : `${state}: ${why}`
  return `In that window some traffic was not encrypted (${words}). Linkerd viz edges hides this: it shows one of several connections, and only those open at one scrape`
}

function worse(own: PathFinding, other: PathFinding | undefined): PathFinding {
  if (other === undefined || own.verdict === 'fail') return own
  return other
}

/** A pair that viz shows and no proxy told of: series take their names from labels of pods, which may say anything. */
function unseenPair(cluster: string, { kind, srcNamespace, src, dstNamespace, dst, at }: VizDifference) {
  const detail = `Linkerd viz edges showed traffic from it to ${dstNamespace}/${dst} at ${at}. No proxy of that name reported it: pod labels may cause this`
  return ofWorkload(cluster, { kind, namespace: srcNamespace, name: src }, 'fail', detail)
}

import type { PacketDifference } from '../../../model/period.ts'
import type { Verdict } from '../../../model/judgement.ts'
import type { VizDifference } from '../../../model/window.ts'
import { compareText } from '../../../text/order.ts'
import { workloadKey } from '../../pods/facts.ts'
import { type PathHistory, type Rule, hasNamelessEnd, pathFinding, ofWorkload, sentence } from '../rule.ts'
import { unknownWindows, untoldWords } from '../rule.ts'

/** Judges whether both ends told the same of a path, and whether `linkerd viz edges` showed what the counters say. */
export const sourcesAgree: Rule = {
  id: 'sources-agree',
  title: 'All sources told the same',
  failTitle: 'The sources contradict each other',
  why: 'What one proxy says is one witness; that the other end saw the same identity is a second one, and what an operator is shown by linkerd viz edges is to be the same.',
  needs:
    "Mutual TLS of the mesh, and both proxies read: the server's word for the client's identity, which exactly one workload may have. A shared ServiceAccount, or an end that was not read, makes it unknown. Without mutual TLS there is nothing to join the two sides by. What linkerd viz edges shows at one moment is held against the window of that moment, where it could be asked, and what a kept capture of packets shows against that of its moment; that they agree proves nothing.",
  check: ({ cluster, paths, facts }) => {
    const differences = inOrder(facts?.viz?.differences ?? [])
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
          besidePackets(path, captured.get(path.pathId) ?? []) ?? judge(path),
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

function judge(path: PathHistory) {
  const { rows, windows, destination } = path
  if (hasNamelessEnd(path))
    return pathFinding(
      path,
      'not-applicable',
      'An end of it has no identity of the mesh, so nothing joins the two sides',
    )
  const mutual = rows.filter(({ state, outcome }) => state === 'mtls' && outcome === 'allowed')
  if (windows.mtls === 0 || mutual.length === 0) {
    return unknownWindows(path) > 0
      ? pathFinding(path, 'unknown', sentence(untoldWords(path)))
      : pathFinding(path, 'not-applicable', 'No mutual TLS of the mesh in the period, so nothing joins the two sides')
  }
  if (destination.cluster !== null)
    return pathFinding(path, 'unknown', 'The destination is in another cluster, whose proxies were not read here')
  if (mutual.some(({ corroborated }) => corroborated === 'no'))
    return pathFinding(path, 'unknown', 'One side alone told of it in some window')
  if (mutual.some(({ corroborated }) => corroborated === 'ambiguous'))
    return pathFinding(path, 'unknown', 'The identity that the server saw is that of several workloads')
  return unknownWindows(path) > 0
    ? pathFinding(path, 'unknown', sentence(untoldWords(path)))
    : pathFinding(path, 'pass', 'The server saw the identity of the client, which one workload has')
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

/** The worst of the moments in which viz showed a path otherwise; undefined where there is none. */
function vizFinding(path: PathHistory, differences: readonly VizDifference[]): PathFinding | undefined {
  const judged = differences.map((one) => ({ ...one, verdict: verdictOf(one) }))
  const first = judged.find(({ verdict }) => verdict === 'fail') ?? judged[0]
  if (first === undefined) return undefined
  const same = judged.filter(({ reason, verdict }) => reason === first.reason && verdict === first.verdict)
  const times = same.length === 1 ? `at ${first.at}` : `at ${same.length} moments, first at ${first.at}`
  return pathFinding(path, first.verdict, `Linkerd viz edges showed ${shown(first)} ${times}, ${oursOf(first)}`)
}

function shown({ reason }: VizDifference): string {
  return reason === '' ? 'a tick' : `"${reason}"`
}

function isClear(state: string): boolean {
  return state === 'plaintext' || state === 'no-mesh-tls'
}

/** A tick where traffic was clear, and a reason where all was mutual TLS, are contradictions; the rest is not known here. */
function verdictOf({ reason, path }: VizDifference): Verdict {
  if (reason !== '') return 'fail'
  return path !== null && path.outcome === 'allowed' && isClear(path.state) ? 'fail' : 'unknown'
}

function oursOf({ reason, path }: VizDifference): string {
  if (path === null) return 'and no proxy told of such traffic'
  const { state, outcome, why } = path
  if (reason !== '') return 'and the proxies told of mutual TLS alone in that window'
  const words = why === '' ? state : `${state}: ${why}`
  if (outcome === 'refused') return `and policy refused what came in that window (${words})`
  if (isClear(state))
    return `and in that window some of it was not encrypted (${words}), which edges hides: it shows one of several connections, and only those open at one scrape`
  return `and the proxies do not bear it out for that window (${words})`
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

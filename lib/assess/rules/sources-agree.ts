import type { Verdict, VizDifference } from '../../model.ts'
import { compareText } from '../../text-order.ts'
import { type PathHistory, type Rule, hasNamelessEnd, ofPath, ofWorkload, sentence } from '../rule.ts'
import { untoldWindows, untoldWords } from '../rule.ts'

/** Judges whether both ends told the same of a path, and whether `linkerd viz edges` showed what the counters say. */
export const sourcesAgree: Rule = {
  id: 'sources-agree',
  title: 'All sources told the same',
  failTitle: 'The sources contradict each other',
  why: 'What one proxy says is one witness; that the other end saw the same identity is a second one, and what an operator is shown by linkerd viz edges is to be the same.',
  needs:
    "Mutual TLS of the mesh, and both proxies read: the server's word for the client's identity, which exactly one workload may have. A shared ServiceAccount, or an end that was not read, makes it unknown. Without mutual TLS there is nothing to join the two sides by. What linkerd viz edges shows at one moment is held against the window of that moment, where it could be asked; that it agrees proves nothing.",
  check: ({ cluster, paths, facts }) => {
    const differences = inOrder(facts?.viz?.differences ?? [])
    const byPath = Map.groupBy(differences, ({ path }) => path?.pathId)
    const alone = differences.filter(({ path }) => path === null)
    const bySource = Map.groupBy(alone, ({ kind, srcNamespace, src }) => JSON.stringify([kind, srcNamespace, src]))
    return [
      ...paths.map((path) => worse(judge(path), besideViz(path, byPath.get(path.pathId) ?? []))),
      ...[...bySource.values()].flatMap(([first]) => (first === undefined ? [] : [unseenPair(cluster.id, first)])),
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
  const contradicted = rows.find(({ corroborated }) => corroborated === 'contradicted')
  if (contradicted !== undefined)
    return ofPath(path, 'fail', `The two ends contradict each other, first from ${contradicted.from}`)
  if (hasNamelessEnd(path))
    return ofPath(path, 'not-applicable', 'An end of it has no identity of the mesh, so nothing joins the two sides')
  const mutual = rows.filter(({ state, outcome }) => state === 'mtls' && outcome === 'allowed')
  if (windows.mtls === 0 || mutual.length === 0) {
    return untoldWindows(path) > 0
      ? ofPath(path, 'unknown', sentence(untoldWords(path)))
      : ofPath(path, 'not-applicable', 'No mutual TLS of the mesh in the period, so nothing joins the two sides')
  }
  if (destination.cluster !== null)
    return ofPath(path, 'unknown', 'The destination is in another cluster, whose proxies were not read here')
  if (mutual.some(({ corroborated }) => corroborated === 'no'))
    return ofPath(path, 'unknown', 'One side alone told of it in some window')
  if (mutual.some(({ corroborated }) => corroborated === 'ambiguous'))
    return ofPath(path, 'unknown', 'The identity that the server saw is that of several workloads')
  return untoldWindows(path) > 0
    ? ofPath(path, 'unknown', sentence(untoldWords(path)))
    : ofPath(path, 'pass', 'The server saw the identity of the client, which one workload has')
}

type PathFinding = ReturnType<typeof ofPath>

/** The worst of the moments in which viz showed a path otherwise; undefined where there is none. */
function besideViz(path: PathHistory, differences: readonly VizDifference[]): PathFinding | undefined {
  const judged = differences.map((one) => ({ ...one, verdict: verdictOf(one) }))
  const first = judged.find(({ verdict }) => verdict === 'fail') ?? judged[0]
  if (first === undefined) return undefined
  const same = judged.filter(({ reason, verdict }) => reason === first.reason && verdict === first.verdict)
  const times = same.length === 1 ? `at ${first.at}` : `at ${same.length} moments, first at ${first.at}`
  return ofPath(path, first.verdict, `Linkerd viz edges showed ${shown(first)} ${times}, ${oursOf(first)}`)
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

import { type PathHistory, type Rule, hasNamelessEnd, ofPath, sentence, untoldWindows, untoldWords } from '../rule.ts'

/** Judges whether both ends told the same of a path. */
export const sourcesAgree: Rule = {
  id: 'sources-agree',
  title: 'Both ends told the same of the path',
  failTitle: 'The ends of the path contradict each other',
  why: 'What one proxy says is one witness; that the other end saw the same identity is a second one.',
  needs:
    "Mutual TLS of the mesh, and both proxies read: the server's word for the client's identity, which exactly one workload may have. A shared ServiceAccount, or an end that was not read, makes it unknown. Without mutual TLS there is nothing to join the two sides by.",
  check: ({ paths }) => paths.map(judge),
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

import type { PathIdentity } from '../../../model/period.ts'
import {
  type PathHistory,
  type Rule,
  type RuleFinding,
  hasNamelessEnd,
  isExempt,
  pathFinding,
  windowCount,
} from '../rule.ts'
import { withUnknownWindows } from '../seen.ts'

/** Judges whether the identities on the wire are those that the API server gives to the ends. */
export const identityIsExpected: Rule = {
  id: 'identity-is-expected',
  title: 'Identities on the wire match the ServiceAccounts',
  why: 'A name in a metric comes from a label. The identity on the wire was proved with a key.',
  needs:
    'The identity that each side saw of the other, and the ServiceAccounts that the Kubernetes snapshots of the same window give both workloads. For each window, ciphertrail calculates the observed share of pod time at the source and at the destination. The smaller share counts as seen. A window is no evidence if one side did not report the identity of the other. The rule is not applicable to a client that shows no identity; path-is-mutual reports such a client. It is not applicable to an exempt path either.',
  check: ({ paths, facts }) => {
    const byPath = Map.groupBy(facts?.identities ?? [], ({ pathId }) => pathId)
    return paths.map((path) => judge(path, byPath.get(path.pathId) ?? []))
  },
}

function judge(path: PathHistory, identities: readonly PathIdentity[]): RuleFinding {
  const { source, destination, windows, seenAtBothEnds } = path
  if (isExempt(path)) return pathFinding(path, 'not-applicable', 'Exempt traffic only')
  for (const seen of identities) {
    const wrong = mismatch(path, seen)
    if (wrong !== null) return pathFinding(path, 'fail', wrong)
  }
  if (hasNamelessEnd(path)) return pathFinding(path, 'not-applicable', 'One end has no mesh identity')
  if (windows.mtls === 0)
    return pathFinding(path, 'not-applicable', 'No mutual TLS of the mesh to judge in the period', seenAtBothEnds)
  if (source.kind === 'serviceaccount')
    return pathFinding(
      path,
      'not-enough-evidence',
      'Only the server side was read: no proxy of a workload with this identity reported the path',
    )
  if (destination.cluster !== null)
    return pathFinding(
      path,
      'not-enough-evidence',
      'The destination is in another cluster, whose Kubernetes snapshots are not used here',
    )
  const proved = identities.reduce((sum, seen) => sum + (isProved(path, seen) ? seen.windows : 0), 0)
  const unproved = Math.max(0, windows.mtls - proved)
  return {
    ...pathFinding(
      path,
      'pass',
      proved === 0
        ? 'In no window did both sides see the identity that the API server gives the other'
        : `In ${windowCount(proved)} both sides saw the identity that the API server gives the other`,
      withUnknownWindows(seenAtBothEnds, proved, unproved),
    ),
    ...(unproved > 0
      ? {
          untold: `In ${windowCount(unproved)} one side did not report the identity of the other, or no Kubernetes snapshot gives its ServiceAccount`,
        }
      : {}),
  }
}

/** Says how an identity is not that of the end; null where none is wrong, be it right or not known. */
function mismatch({ source, destination }: PathHistory, seen: PathIdentity): string | null {
  const client = identityOf(seen.source, source.namespace)
  const server = identityOf(seen.destination, destination.namespace)
  if (source.kind !== 'serviceaccount' && client !== null && seen.clientId !== null && seen.clientId !== client)
    return `The server saw the client ${seen.clientId}; the API server says ${client}`
  if (destination.cluster === null && server !== null && seen.serverId !== null && seen.serverId !== server)
    return `The client saw the server ${seen.serverId}; the API server says ${server}`
  return null
}

function isProved({ source, destination }: PathHistory, seen: PathIdentity): boolean {
  const [client, server] = [
    identityOf(seen.source, source.namespace),
    identityOf(seen.destination, destination.namespace),
  ]
  return client !== null && server !== null && seen.clientId === client && seen.serverId === server
}

function identityOf(serviceAccount: string | null, namespace: string): string | null {
  return serviceAccount === null ? null : `${serviceAccount}.${namespace}`
}

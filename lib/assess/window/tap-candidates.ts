import type { Destination, Endpoint, Source } from '../../model/path.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import { toSeconds } from '../../time/windows.ts'
import { compareText } from '../../text/order.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import { endNamer } from '../packets/flow-ends.ts'
import type { KubernetesLists } from '../pods/lists.ts'

/** Finds candidates for the unnamed source of a destination's port. Sorted; empty if tap saw none. */
export type CandidatesOf = (destination: Destination, port: number) => readonly Source[]

/** Limits the candidates of one port to what people read. */
const MAX_CANDIDATES = 20

const PROBE: Source = { kind: 'probe', namespace: '', name: '', serviceAccount: null }

/**
 * Finds the clients that tap saw sending requests without mesh TLS: the workload whose pod has the address, `probe` for a probe's path from an address of no
 * pod, or else the address itself. Candidates only annotate a path; they decide nothing.
 *
 * @param lists the lists around the window; tap was sampled soon after it
 */
export function tapCandidates(
  { tap, linkerdNamespace }: Pick<Snapshot, 'tap' | 'linkerdNamespace'>,
  lists: { readonly before: KubernetesLists | null; readonly after: KubernetesLists | null },
  facts: Pick<Facts, 'serviceAccountOf'>,
): CandidatesOf {
  if (tap === undefined || tap.sightings.length === 0) return () => []
  const start = toSeconds(tap.takenAt)
  const nameOf = endNamer(lists, { start, end: start + tap.seconds }, linkerdNamespace)
  const byEnd = new Map<string, Map<string, Source>>()
  for (const { source, destination, port, isOnProbePath } of tap.sightings) {
    const server = nameOf({ address: destination, port })
    if (server === null) continue
    const named = nameOf({ address: source, port: 0 })
    const client: Endpoint = named ?? { kind: 'external', namespace: '', name: source }
    // A pod's address is never a kubelet's.
    const candidate =
      isOnProbePath && (named === null || named.kind === 'service')
        ? PROBE
        : { ...client, serviceAccount: named === null ? null : facts.serviceAccountOf(client) }
    const key = endKey(server, port)
    byEnd.set(key, (byEnd.get(key) ?? new Map<string, Source>()).set(workloadKey(candidate), candidate))
  }
  return (destination, port) =>
    [...(byEnd.get(endKey(destination, port)) ?? [])]
      .toSorted(([a], [b]) => compareText(a, b))
      .map(([, candidate]) => candidate)
      .slice(0, MAX_CANDIDATES)
}

function endKey(end: Endpoint, port: number): string {
  return `${workloadKey(end)}:${port}`
}

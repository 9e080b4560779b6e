import type { Destination, Endpoint, Source } from '../../model/path.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import { toSeconds } from '../../time/windows.ts'
import { compareText } from '../../text/order.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import { endNamer } from '../packets/flow-ends.ts'
import type { Listed } from '../pods/lists.ts'

/** Who the source without a name of a destination's port may be. Sorted; empty where nobody was seen. */
export type CandidatesOf = (destination: Destination, port: number) => readonly Source[]

/** More than anybody reads of one port. */
const MAX_CANDIDATES = 20

const PROBE: Source = { kind: 'probe', namespace: '', name: '', serviceAccount: null }

/**
 * Who was seen to send requests without mesh TLS while workloads were tapped: the workload whose pod has the address, `probe` for what
 * came on a probe's path from an address of no pod, else the address itself. They are words beside a path.
 *
 * @param lists those around the window; the sample was taken soon after it
 */
export function tapCandidates(
  { tap, linkerdNamespace }: Pick<Snapshot, 'tap' | 'linkerdNamespace'>,
  lists: { readonly before: Listed | null; readonly after: Listed | null },
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
    // A pod's address is no kubelet's.
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

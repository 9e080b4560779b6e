import { toSeconds } from '../../time/windows.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import { MAYBE_PROBES } from '../counters/classify.ts'
import { workloadKey } from '../pods/facts.ts'
import { endNamer } from '../packets/flow-ends.ts'
import type { KubernetesLists } from '../pods/lists.ts'
import type { CounterReading } from '../counters/reading.ts'

/**
 * Turns supposed kubelet probes into plaintext if tap saw a pod send them: the kubelet has its node's address. Tap samples a minute after the window, so it
 * only lowers readings of the window, and a sample without callers proves nothing.
 *
 * @param lists the lists around the window
 */
export function withoutCallersOfProbes(
  readings: readonly CounterReading[],
  { tap, linkerdNamespace }: Pick<Snapshot, 'tap' | 'linkerdNamespace'>,
  lists: { readonly before: KubernetesLists | null; readonly after: KubernetesLists | null },
): CounterReading[] {
  if (tap === undefined || tap.sightings.length === 0) return [...readings]
  const start = toSeconds(tap.takenAt)
  const nameOf = endNamer(lists, { start, end: start + tap.seconds }, linkerdNamespace)
  const called = new Map<string, boolean>()
  for (const { source, destination, port, isOnProbePath } of tap.sightings) {
    const server = nameOf({ address: destination, port })
    const client = nameOf({ address: source, port: 0 })
    if (server === null || client === null || client.kind === 'service') continue
    const key = `${workloadKey(server)}:${port}`
    called.set(key, (called.get(key) ?? false) || isOnProbePath)
  }
  return readings.map((reading) => {
    const { at, port, verdict } = reading
    const isTaken = verdict.source === 'probe' && verdict.state === 'exempt'
    if (!isTaken && verdict.reason !== MAYBE_PROBES) return reading
    const isOnPath = called.get(`${workloadKey(at.workload)}:${port}`)
    // If Linkerd recognises probes by their path, it counts a pod's calls to another path separately.
    if (isOnPath === undefined || (verdict.reason === 'probe path' && !isOnPath)) return reading
    return {
      ...reading,
      verdict: { ...verdict, state: 'plaintext', reason: 'probe path called by a pod', source: 'unmeshed' as const },
      sinceUnknown: true,
    }
  })
}

import { toSeconds } from '../../time/windows.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import { MAYBE_PROBES } from '../counters/classify.ts'
import { workloadKey } from '../pods/facts.ts'
import { endNamer } from '../packets/flow-ends.ts'
import type { Listed } from '../pods/lists.ts'
import type { CounterReading } from '../counters/reading.ts'

/**
 * What is taken for the kubelet's probes is somebody's plain text where tap saw a pod send it: the kubelet has the address of its node. A sample is of
 * a minute after the window, so it only ever lowers, and only what was seen in the window; that it saw nobody says nothing.
 *
 * @param lists those around the window
 */
export function withoutCallersOfProbes(
  readings: readonly CounterReading[],
  { tap, linkerdNamespace }: Pick<Snapshot, 'tap' | 'linkerdNamespace'>,
  lists: { readonly before: Listed | null; readonly after: Listed | null },
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
    // A pod that calls another path is counted by itself where Linkerd tells probes apart by theirs.
    if (isOnPath === undefined || (verdict.reason === 'probe path' && !isOnPath)) return reading
    return {
      ...reading,
      verdict: { ...verdict, state: 'plaintext', reason: 'probe path called by a pod', source: 'unmeshed' as const },
      sinceUnknown: true,
    }
  })
}

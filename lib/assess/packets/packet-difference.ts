import type { PacketEnd } from '../../observed/packet-rows.ts'
import { SETTLE_SECONDS, toSeconds } from '../../time/windows.ts'
import type { Endpoint } from '../../model/path.ts'
import type { PacketDifference } from '../../model/period.ts'
import type { PathWindow, WindowResult } from '../../model/window.ts'
import { workloadKey } from '../pods/facts.ts'

/** The fields of a captured connection that the comparison needs. */
export type ComparedFlow = {
  readonly protocol: 'tcp' | 'udp'
  readonly client: PacketEnd
  readonly server: PacketEnd
  /** False: the capture does not show who opened it. */
  readonly isDirectionSeen: boolean
  readonly isLoopback: boolean
  /** Time of its first packet in the capture. */
  readonly from: string
  readonly verdict: string
  readonly reason: string
}

/**
 * Compares captured connections with the window of their first packet. A difference is plaintext between hosts to a workload's port for which the proxies
 * reported no possible plaintext from that client. Captured TLS is not compared, because it says nothing about other connections in the window. `compared`
 * counts the connections whose window could be checked.
 */
export function comparePackets(
  flows: readonly ComparedFlow[],
  { window, collected, partial = false, paths }: Pick<WindowResult, 'window' | 'collected' | 'partial' | 'paths'>,
  nameOf: (end: PacketEnd) => Endpoint | null,
): { readonly compared: number; readonly differences: PacketDifference[] } {
  // Unread metrics may have shown the plaintext.
  if (!collected || partial) return { compared: 0, differences: [] }
  const [start, end] = [toSeconds(window.start), toSeconds(window.end)]
  const here = flows.filter(({ protocol, isLoopback, from }) => {
    const at = toSeconds(from)
    // A connection at the end of a window may be scraped first in the next one.
    return protocol === 'tcp' && !isLoopback && at > start && at <= end - SETTLE_SECONDS
  })
  const byServer = Map.groupBy(paths, ({ destination, port }) => `${workloadKey(destination)}:${port}`)
  const differences = here.flatMap(({ client, server, from, verdict, reason, isDirectionSeen }): PacketDifference[] => {
    const to = nameOf(server)
    if (verdict !== 'clear' || to === null || to.kind === 'service') return []
    const named = nameOf(client)
    const told = byServer.get(`${workloadKey(to)}:${server.port}`) ?? []
    if (told.some((path) => mayBe(path, named)) || (told.length === 0 && !isDirectionSeen)) return []
    const own = named === null ? undefined : told.find(({ source }) => workloadKey(source) === workloadKey(named))
    return [
      {
        at: from,
        client: named ?? { kind: 'external', namespace: '', name: client.address },
        server: to,
        port: server.port,
        reason,
        pathId: own?.pathId ?? null,
      },
    ]
  })
  return { compared: here.length, differences }
}

/** Whether a path shows possible plaintext from a client. A source without a name may be any client. */
function mayBe({ source, state, outcome }: PathWindow, client: Endpoint | null): boolean {
  if (outcome === 'allowed' && (state === 'mtls' || state === 'tls-anonymous' || state === 'app-tls')) return false
  const isNameless = source.kind === 'unmeshed' || source.kind === 'probe' || source.kind === 'serviceaccount'
  return isNameless || client === null || workloadKey(source) === workloadKey(client)
}

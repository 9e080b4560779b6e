import type { PacketEnd } from '../../observed/packet-rows.ts'
import { SETTLE_SECONDS, toSeconds } from '../../time/windows.ts'
import type { Endpoint } from '../../model/path.ts'
import type { PacketDifference } from '../../model/period.ts'
import type { PathWindow, WindowResult } from '../../model/window.ts'
import { workloadKey } from '../pods/facts.ts'

/** What is needed of a connection in a capture that was kept. */
export type ComparedFlow = {
  readonly protocol: 'tcp' | 'udp'
  readonly client: PacketEnd
  readonly server: PacketEnd
  /** False: the capture does not show who opened it. */
  readonly isDirectionSeen: boolean
  readonly isLoopback: boolean
  /** Its first packet in the capture. */
  readonly from: string
  readonly verdict: string
  readonly reason: string
}

/**
 * Holds connections of a capture against the window that holds their first packet: clear bytes between hosts, to a workload's port at which the
 * proxies told of nothing that was, or may have been, clear from that client. The other way round nothing is compared: that one connection
 * was TLS says nothing of the others of a window. `compared` counts the connections whose window could be looked at.
 */
export function comparePackets(
  flows: readonly ComparedFlow[],
  { window, collected, partial = false, paths }: Pick<WindowResult, 'window' | 'collected' | 'partial' | 'paths'>,
  nameOf: (end: PacketEnd) => Endpoint | null,
): { readonly compared: number; readonly differences: PacketDifference[] } {
  // What was not read may have told of it.
  if (!collected || partial) return { compared: 0, differences: [] }
  const [start, end] = [toSeconds(window.start), toSeconds(window.end)]
  const here = flows.filter(({ protocol, isLoopback, from }) => {
    const at = toSeconds(from)
    // What began at the end of a window may be scraped first in the next one.
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

/** Whether a path tells of clear traffic that may have come from a client; a source without a name may be anybody. */
function mayBe({ source, state, outcome }: PathWindow, client: Endpoint | null): boolean {
  if (outcome === 'allowed' && (state === 'mtls' || state === 'tls-anonymous' || state === 'app-tls')) return false
  const isNameless = source.kind === 'unmeshed' || source.kind === 'probe' || source.kind === 'serviceaccount'
  return isNameless || client === null || workloadKey(source) === workloadKey(client)
}

import type { FlowReason, ReadFlow } from '../../assess/packets/flow-verdict.ts'
import type { Endpoint } from '../../model/path.ts'
import { compareText } from '../../text/order.ts'

/** A flow, and who its ends are; null where that is not known. */
export type NamedFlow = ReadFlow & {
  readonly clientWorkload: Endpoint | null
  readonly serverWorkload: Endpoint | null
}

/** Where a flow is shown: between hosts by TCP, by UDP, or inside one pod. */
export const FLOW_PLACES = ['network', 'udp', 'loopback'] as const

/** Where a flow went: over the network by TCP, by UDP, or inside one pod or host. */
export type FlowPlace = (typeof FLOW_PLACES)[number]

/** Flows of one client to one port of one server that read the same. */
export type FlowRow = {
  readonly place: FlowPlace
  readonly flow: NamedFlow
  readonly client: string
  readonly server: string
  /** The verdict with its shape. */
  readonly verdict: string
  readonly detail: string
  readonly flows: number
  readonly packets: number
}

/** Worst first. */
const ORDER = ['clear', 'unknown', 'tls', 'no-payload'] as const

/** The port at which Linkerd's proxies take the connections of other proxies; the application's port is told inside TLS. */
const INBOUND_PORT = 4143

/** Groups flows for people, the worst first. */
export function flowRows(flows: readonly NamedFlow[]): FlowRow[] {
  const groups = Map.groupBy(flows, (flow) =>
    JSON.stringify([placeOf(flow), clientText(flow), serverText(flow), verdictText(flow), detailOf(flow)]),
  )
  return [...groups.values()]
    .flatMap((group) => {
      const [flow] = group
      if (flow === undefined) return []
      return [
        {
          place: placeOf(flow),
          flow,
          client: clientText(flow),
          server: serverText(flow),
          verdict: verdictText(flow),
          detail: detailOf(flow),
          flows: group.length,
          packets: group.reduce((sum, { packets }) => sum + packets, 0),
        },
      ]
    })
    .toSorted(
      (a, b) => ORDER.indexOf(a.flow.verdict) - ORDER.indexOf(b.flow.verdict) || compareText(orderOf(a), orderOf(b)),
    )
}

function orderOf({ server, client, place, verdict, detail }: FlowRow): string {
  return JSON.stringify([server, client, place, verdict, detail])
}

function placeOf({ protocol, isLoopback }: ReadFlow): FlowPlace {
  return isLoopback ? 'loopback' : protocol === 'udp' ? 'udp' : 'network'
}

function clientText({ client, clientWorkload }: NamedFlow): string {
  return clientWorkload === null ? client.address : nameOf(clientWorkload)
}

function serverText({ server, serverWorkload }: NamedFlow): string {
  const { address, port } = server
  if (serverWorkload !== null) return `${nameOf(serverWorkload)}:${port}`
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** `namespace/name`, and the kind where it is a service's address. */
function nameOf({ kind, namespace, name }: Endpoint): string {
  return `${kind === 'service' ? 'service ' : ''}${namespace}/${name}`
}

function verdictText({ verdict, tls }: ReadFlow): string {
  switch (verdict) {
    case 'clear':
      return '▲ clear'
    case 'unknown':
      return '? unknown'
    case 'tls':
      // Whether it was mutual is not visible, so never the shape of `mtls`.
      return `○ ${tls?.version ?? 'TLS'}`
    case 'no-payload':
      return '· no payload'
  }
}

const REASONS: Readonly<Record<Exclude<FlowReason, ''>, string>> = {
  'null-cipher': 'TLS with a cipher suite that encrypts nothing',
  'clear-then-tls': 'clear bytes beside TLS, as after STARTTLS',
  text: 'text on the wire',
  'begins-without-tls': 'begins without TLS',
  udp: 'UDP, which no proxy sees',
  ssh: 'SSH, which encrypts by itself',
  'leaves-tls': 'bytes outside TLS records',
  'hello-in-wrong-direction': 'a TLS hello in the wrong direction',
  'hello-broken': 'a TLS hello that is cut or damaged',
  'handshake-refused': 'TLS handshake refused',
  'handshake-unfinished': 'no whole ServerHello',
  'tls-version-unknown': 'TLS of a version that is not known',
  'handshake-not-captured': 'TLS records, whose handshake is not in the capture',
  'payload-not-captured': 'payload that is not in the capture',
  'one-side-captured': 'only one side is in the capture',
  'beginning-not-captured': 'neither TLS nor text, and its beginning is not in the capture',
}

function detailOf({ verdict, reason, tls, server, protocol }: ReadFlow): string {
  const toProxy = protocol === 'tcp' && server.port === INBOUND_PORT ? ["to Linkerd's proxy"] : []
  if (verdict === 'no-payload') return toProxy.join(', ')
  if (reason !== '') return [REASONS[reason], ...toProxy].join(', ')
  if (tls === null) return ''
  const { identity, serverName, chosen, offered, clientCertificate } = tls
  const protocols = chosen ?? offered.join(',')
  return [
    identity === null
      ? serverName === null
        ? 'no server name'
        : `server ${serverName}`
      : `Linkerd ${identity.serviceAccount}.${identity.namespace}`,
    ...(protocols === '' ? [] : [`ALPN ${protocols}`]),
    `client certificate ${clientCertificate.replace('-', ' ')}`,
    ...toProxy,
  ].join(', ')
}

/** The sentence above the rows: how many flows between hosts show what. */
export function flowSentence(flows: readonly ReadFlow[]): string {
  const network = flows.filter((flow) => placeOf(flow) === 'network')
  const count = (verdict: ReadFlow['verdict']): number => network.filter((flow) => flow.verdict === verdict).length
  return `${network.length} TCP ${network.length === 1 ? 'connection' : 'connections'} between hosts: ${count('clear')} clear, ${count('unknown')} unknown, ${count('tls')} TLS, ${count('no-payload')} without payload`
}

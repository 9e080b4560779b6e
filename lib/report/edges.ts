import { type PathWindow, STATES, type WindowResult } from '../model.ts'
import { compareText } from '../text-order.ts'

/** One row of `ciphertrail edges`. */
export type EdgeRow = {
  readonly cluster: string
  readonly path: PathWindow
  readonly src: string
  readonly dst: string
  readonly srcNamespace: string
  readonly dstNamespace: string
  /** The identity that the server saw on the wire, `sa.namespace`, else `-`. */
  readonly client: string
  readonly server: string
  readonly msg: string
}

/** Which rows are wanted. */
export type EdgesQuery = {
  /** Of either end; absent: any. */
  readonly kind?: string | undefined
  readonly namespace?: string | undefined
  /** Also what is exempt. */
  readonly isWide: boolean
}

/** Linkerd's words for its reasons (`linkerd viz edges` lacks those for the last three). */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['disabled', 'Disabled'],
  ['loopback', 'Loopback'],
  ['not_provided_by_service_discovery', 'Not Provided By Service Discovery'],
  ['no_tls_from_remote', 'No TLS From Remote'],
  ['port_skipped', 'Port Skipped'],
  ['ingress_without_override', 'Ingress Without Override'],
])

/** The rows of a window, by source, destination and port; quiet paths have none. */
export function edgeRows(result: WindowResult, { kind, namespace, isWide }: EdgesQuery): EdgeRow[] {
  return result.paths
    .filter(({ source, destination, state }) => {
      const ends = [source, destination]
      const isKind = kind === undefined || ends.some((end) => end.kind === kind)
      const isInside = namespace === undefined || ends.some((end) => end.namespace === namespace)
      return isKind && isInside && (isWide || state !== 'exempt')
    })
    .map((path) => ({
      cluster: result.cluster,
      path,
      src: path.source.name === '' ? `(${path.source.kind})` : path.source.name,
      dst: `${path.destination.name}:${path.port}`,
      srcNamespace: path.source.namespace,
      dstNamespace: path.destination.namespace,
      client: path.clientId ?? '-',
      server: path.serverId ?? '-',
      msg: messageOf(path),
    }))
    .toSorted((a, b) => compareText(orderOf(a), orderOf(b)))
}

function messageOf({ state, outcome, reason }: PathWindow): string {
  const words = REASONS.get(reason) ?? reason
  if (outcome === 'refused') return `Refused: ${words}`
  switch (state) {
    case 'mtls':
      return '-'
    case 'tls-anonymous':
      return 'No Client Identity'
    case 'app-tls':
      return 'Application TLS'
    case 'plaintext':
    case 'no-mesh-tls':
      return words
    case 'unknown':
      return `Unknown: ${words}`
    case 'exempt':
      return `Exempt: ${words}`
    case 'not-observed':
    case 'not-collected':
      return state
  }
}

/** A row in the columns of today's `linkerd viz edges`, which knows no ports. */
export type LinkerdEdge = {
  readonly src: string
  readonly src_namespace: string
  readonly dst: string
  readonly dst_namespace: string
  readonly client_id: string
  readonly server_id: string
  readonly no_tls_reason: string
}

/** Collapses the ports of each pair to the worst of them, so that one clear port is never hidden by another's tick. */
export function linkerdEdges(rows: readonly EdgeRow[]): LinkerdEdge[] {
  const pairs = Map.groupBy(rows, ({ path, srcNamespace, src, dstNamespace }) =>
    JSON.stringify([srcNamespace, dstNamespace, src, path.destination.name, path.source.kind, path.destination.kind]),
  )
  return [...pairs.values()].flatMap((pair) => {
    const rank = ({ path }: EdgeRow) => (path.outcome === 'refused' ? STATES.length : STATES.indexOf(path.state))
    const [worst] = pair.toSorted((a, b) => rank(a) - rank(b))
    if (worst === undefined) return []
    return [
      {
        src: worst.src,
        src_namespace: worst.srcNamespace,
        dst: worst.path.destination.name,
        dst_namespace: worst.dstNamespace,
        client_id: worst.client === '-' ? '' : worst.client,
        server_id: worst.server === '-' ? '' : worst.server,
        no_tls_reason: worst.msg === '-' ? '' : worst.msg,
      },
    ]
  })
}

function orderOf({ srcNamespace, dstNamespace, src, dst, path }: EdgeRow): string {
  return JSON.stringify([srcNamespace, dstNamespace, src, dst, path.pathId])
}

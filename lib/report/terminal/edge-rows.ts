import { isShownByLinkerd, pairsOf } from '../../observed/edge-pairs.ts'
import type { VizEdge } from '../../observed/viz-edges.ts'
import type { PathWindow, WindowResult } from '../../model/window.ts'
import { endJson } from '../../text/format-json.ts'
import { compareText } from '../../text/order.ts'

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
export type EdgeFilter = {
  /** Of either end; absent: any. */
  readonly kind?: string | undefined
  readonly namespace?: string | undefined
  /** Which exempt rows: none, all, or those of named clients at the proxies' own ports, which `linkerd viz edges` shows, too. */
  readonly exempt: 'none' | 'admin-ports' | 'all'
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
export function edgeRows(result: WindowResult, { kind, namespace, exempt }: EdgeFilter): EdgeRow[] {
  return result.paths
    .filter((path) => {
      const { source, destination, state } = path
      const ends = [source, destination]
      const isKind = kind === undefined || ends.some((end) => end.kind === kind)
      const isInside = namespace === undefined || ends.some((end) => end.namespace === namespace)
      const isWanted = state !== 'exempt' || exempt === 'all' || (exempt === 'admin-ports' && isShownByLinkerd(path))
      return isKind && isInside && isWanted
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

/** A row as JSON: one line of `ciphertrail edges --json`, and an item of the API. */
export function edgeJson({ cluster, path, msg }: EdgeRow): Readonly<Record<string, unknown>> {
  return {
    cluster,
    ...path,
    source: endJson(path.source),
    destination: endJson(path.destination),
    message: msg,
  }
}

/** A row in the columns of today's `linkerd viz edges`, which knows no ports. */
export type LinkerdEdge = Omit<VizEdge, 'kind'>

/** A pair of workloads, and the port that decided how it is shown. */
export type LinkerdPair = { readonly edge: LinkerdEdge; readonly worst: EdgeRow }

/** The pairs of lib/observed/edge-pairs.ts among rows, each as its worst port shows it. */
export function linkerdPairs(rows: readonly EdgeRow[]): LinkerdPair[] {
  const rowOf = new Map(rows.map((row) => [row.path, row] as const))
  return pairsOf(rows.map(({ path }) => path)).flatMap(({ worst: path, isSecured }) => {
    const worst = rowOf.get(path)
    if (worst === undefined) return []
    return [
      {
        worst,
        edge: {
          src: worst.src,
          src_namespace: worst.srcNamespace,
          dst: worst.path.destination.name,
          dst_namespace: worst.dstNamespace,
          client_id: worst.client === '-' ? '' : worst.client,
          server_id: worst.server === '-' ? '' : worst.server,
          no_tls_reason: isSecured ? '' : worst.msg,
        },
      },
    ]
  })
}

function orderOf({ srcNamespace, dstNamespace, src, dst, path }: EdgeRow): string {
  return JSON.stringify([srcNamespace, dstNamespace, src, dst, path.pathId])
}

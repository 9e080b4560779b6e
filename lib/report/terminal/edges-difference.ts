import type { VizPair } from '../../model/window.ts'
import { compareText } from '../../text/order.ts'
import type { LinkerdEdge, LinkerdPair } from './edge-rows.ts'

/** A pair of workloads that `linkerd viz edges` shows otherwise than ciphertrail does, or alone. */
export type EdgesDifference = Omit<VizPair, 'kind' | 'reason'> & {
  /** What `linkerd viz edges` has under SECURED. */
  readonly theirs: string
  /** What ciphertrail has there; null where it knows no such pair. */
  readonly ours: string | null
  /** The port that decided that; null where there is none. */
  readonly port: number | null
}

/** How `linkerd viz edges` writes that an edge is secured. */
const TICK = '√'

/** What stands under SECURED for a reason. */
export function securedText(reason: string): string {
  return reason === '' ? TICK : reason
}

/**
 * Where `linkerd viz edges` shows a tick and ciphertrail does not, the other way round, or a pair that ciphertrail does not know. Pairs that
 * only ciphertrail knows are no difference: it looks at a whole window, and at both sides.
 *
 * @param kind of both ends, which the rows of `linkerd viz edges` have in common
 */
export function edgesDifferences(
  theirs: readonly LinkerdEdge[],
  pairs: readonly LinkerdPair[],
  kind: string,
): EdgesDifference[] {
  const byEnds = new Map(
    pairs
      .filter(({ worst: { path } }) => path.source.kind === kind && path.destination.kind === kind)
      .map((pair) => [endsOf(pair.edge), pair] as const),
  )
  return theirs
    .flatMap((edge): EdgesDifference[] => {
      const pair = byEnds.get(endsOf(edge))
      const isSame = pair !== undefined && (pair.edge.no_tls_reason === '') === (edge.no_tls_reason === '')
      if (isSame) return []
      return [
        {
          src: edge.src,
          srcNamespace: edge.src_namespace,
          dst: edge.dst,
          dstNamespace: edge.dst_namespace,
          theirs: securedText(edge.no_tls_reason),
          ours: pair === undefined ? null : securedText(pair.edge.no_tls_reason),
          port: pair?.worst.path.port ?? null,
        },
      ]
    })
    .toSorted((a, b) => compareText(JSON.stringify(a), JSON.stringify(b)))
}

function endsOf({ src, src_namespace, dst, dst_namespace }: LinkerdEdge): string {
  return JSON.stringify([src_namespace, src, dst_namespace, dst])
}

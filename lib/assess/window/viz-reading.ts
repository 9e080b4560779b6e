import { VizEdgesError, parseVizEdges } from '../../observed/viz-edges.ts'
import type { PeriodFacts } from '../../model/period.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import type { VizDifference, VizPair, VizReading, WindowResult } from '../../model/window.ts'
import { toSeconds } from '../../time/windows.ts'
import { compareText } from '../../text/order.ts'
import { isShownByLinkerd, pairsOf } from '../../observed/edge-pairs.ts'

/** Maximum length of a stored name or reason. */
const MAX_LENGTH = 253

/** Reads the output of `linkerd viz edges` in a snapshot; undefined if there is none that can be read. */
export function vizReading({ viz }: Snapshot): VizReading | undefined {
  if (viz === undefined) return undefined
  const read = viz.answers.flatMap(({ kind, body }): VizPair[][] => {
    try {
      const edges = parseVizEdges(body).filter((edge) => edge.kind === null || edge.kind === kind)
      return [
        edges.map((edge) => ({
          kind: kept(kind),
          src: kept(edge.src),
          srcNamespace: kept(edge.src_namespace),
          dst: kept(edge.dst),
          dstNamespace: kept(edge.dst_namespace),
          reason: kept(edge.no_tls_reason),
        })),
      ]
    } catch (error) {
      if (!(error instanceof VizEdgesError)) throw error
      return []
    }
  })
  if (read.length === 0) return undefined
  const edges = read
    .flat()
    .map((edge) => ({ edge, key: pairKey(edge) }))
    .toSorted((a, b) => compareText(a.key, b.key))
    .map(({ edge }) => edge)
  return { takenAt: viz.takenAt, edges }
}

/** Truncates a text and replaces lone surrogates, which JSON can hold but storage cannot. */
function kept(text: string): string {
  return text.slice(0, MAX_LENGTH).toWellFormed()
}

function pairKey({ kind, srcNamespace, src, dstNamespace, dst, reason }: VizPair): string {
  return JSON.stringify([kind, srcNamespace, src, dstNamespace, dst, reason])
}

/** Whether a reading can be compared with a window: it was taken within a collected window. */
export function isComparable({ takenAt }: VizReading, { window, collected }: WindowResult): boolean {
  const at = toSeconds(takenAt)
  return collected && at > toSeconds(window.start) && at <= toSeconds(window.end)
}

/** A reading compared with a window. */
export type VizComparison = NonNullable<PeriodFacts['viz']>

/** Adds up comparisons, in their order. */
export function sumOf(comparisons: readonly VizComparison[]): VizComparison {
  return {
    compared: comparisons.reduce((sum, { compared }) => sum + compared, 0),
    differences: comparisons.flatMap(({ differences }) => differences),
  }
}

/**
 * Compares `linkerd viz edges` with ciphertrail: a tick that only one of them shows, or a pair that ciphertrail does not know in the window. Pairs that only
 * ciphertrail knows are no difference, because it observes the whole window and both sides.
 */
export function compareViz(
  { takenAt, edges }: VizReading,
  { paths, partial = false }: Pick<WindowResult, 'paths' | 'partial'>,
): VizComparison {
  const byEnds = new Map(
    pairsOf(paths.filter(isShownByLinkerd)).flatMap(({ worst, isSecured }) => {
      const { source, destination } = worst
      if (source.kind !== destination.kind || destination.cluster !== null) return []
      const ends = endsOf(source.kind, source.namespace, source.name, destination.namespace, destination.name)
      return [[ends, { worst, isSecured }] as const]
    }),
  )
  const differences = edges.flatMap((edge): VizDifference[] => {
    const { kind, srcNamespace, src, dstNamespace, dst, reason } = edge
    const ours = byEnds.get(endsOf(kind, srcNamespace, src, dstNamespace, dst))
    if (ours === undefined) return partial ? [] : [{ ...edge, at: takenAt, path: null }]
    if (ours.isSecured === (reason === '')) return []
    const { pathId, port, state, outcome, reason: why } = ours.worst
    return [{ ...edge, at: takenAt, path: { pathId, port, state, outcome, why } }]
  })
  return { compared: edges.length, differences }
}

function endsOf(...ends: readonly string[]): string {
  return JSON.stringify(ends)
}

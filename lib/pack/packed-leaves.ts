/** Which of the sealed objects a pack of a report holds: a pure choice that whoever verifies makes again. */
import type { Leaf } from '../seal/leaf.ts'
import { parsePacketsKey } from '../store/keys.ts'
import type { ReportRecord } from '../store/evidence/report-records.ts'

/** A leaf with its number in the log. */
export type NumberedLeaf = { readonly number: number; readonly leaf: Leaf }

/** A leaf about an object. */
export type ObjectLeaf = { readonly number: number; readonly leaf: Extract<Leaf, { readonly key: string }> }

/** Which report a pack is of, and how much evidence it holds. */
export type PackScope = {
  /** Key of its record. */
  readonly report: string
  /** Number of its leaf. */
  readonly number: number
  readonly record: Pick<ReportRecord, 'period' | 'clusters'>
  readonly evidence: 'all' | 'period'
}

/**
 * Whether the object of a leaf is in a pack: the record of the report, and of what was sealed before it the evidence of its clusters and every change of registry,
 * scope and waivers, and every review. Channels are not: they are about people.
 */
export function isPacked({ number, leaf }: NumberedLeaf, scope: PackScope): boolean {
  if (number >= scope.number) return number === scope.number
  switch (leaf.kind) {
    case 'snapshot':
      return (
        leaf.cluster !== undefined && scope.record.clusters.includes(leaf.cluster) && isWanted(leaf.window?.end, scope)
      )
    case 'packets': {
      const named = parsePacketsKey(leaf.key)
      return named !== undefined && scope.record.clusters.includes(named.cluster) && isWanted(named.from, scope)
    }
    case 'registry-change':
    case 'scope-change':
    case 'waiver-change':
    case 'review':
      return true
    case 'channel-change':
    case 'report':
    case 'gap':
    case 'heartbeat':
      return false
  }
}

function isWanted(time: string | undefined, { evidence, record }: PackScope): boolean {
  return evidence === 'all' || (time !== undefined && isIn(time, record.period))
}

/** Whether a time lies in a period `(from, to]`; text order is time order. */
export function isIn(time: string, { from, to }: Pick<ReportRecord['period'], 'from' | 'to'>): boolean {
  return time > from && time <= to
}

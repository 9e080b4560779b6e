/** How urgent a path that was not encrypted is, by what was seen of it alone: the same evidence always gives the same severity. */
import { isWaived } from './figures.ts'
import type { Exposure } from './path-summary.ts'

/** Worst first. */
export const SEVERITIES = ['high', 'medium', 'low'] as const

/** How urgent a finding is. */
export type Severity = (typeof SEVERITIES)[number]

/** What a report says of each severity, where it shows one. */
export const SEVERITY_WORDS: Readonly<Record<Severity, string>> = {
  high: 'plaintext, still open, and no waiver accepts it',
  medium: 'not encrypted by the mesh and still open, or plaintext that ended; no waiver accepts it',
  low: 'not encrypted by the mesh and ended, or accepted by a waiver',
}

/** Returns the severity of a path that was not encrypted. */
export function severityOf(path: Pick<Exposure, 'mark' | 'isOpen' | 'failures'>): Severity {
  if (isWaived(path)) return 'low'
  if (path.mark === 'plaintext') return path.isOpen ? 'high' : 'medium'
  return path.isOpen ? 'medium' : 'low'
}

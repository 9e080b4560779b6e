import type { Gap } from '../../model/window.ts'

/** Whether what a workload's pods did is known, but for what each of them did after its last scrape. */
export function isCoveredBy(gaps: readonly Pick<Gap, 'isBrief'>[]): boolean {
  return gaps.every(({ isBrief }) => isBrief === true)
}

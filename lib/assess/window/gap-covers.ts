import type { Gap } from '../../model/window.ts'

/** Whether everything a workload's pods did is known, except after each pod's last scrape. */
export function isCoveredBy(gaps: readonly Pick<Gap, 'isBrief'>[]): boolean {
  return gaps.every(({ isBrief }) => isBrief === true)
}

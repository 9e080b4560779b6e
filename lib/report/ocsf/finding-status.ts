/** What a path is in the words of OCSF: how it stands, how urgent it is, and what became of it in the period. */
import type { Verdict } from '../../model/judgement.ts'
import { isWaived } from '../summary/figures.ts'
import type { PathDetails } from '../summary/path-details.ts'
import { isOpenAtEnd } from '../summary/path-details.ts'
import { type PathSummary } from '../summary/path-summary.ts'
import { isBefore } from '../summary/sums.ts'
import { severityOf } from '../summary/severity.ts'

/** A number of OCSF with its caption. */
export type Captioned = { readonly id: number; readonly caption: string }

/** What happened to the finding. */
const CREATE = { id: 1, caption: 'Create' }
const UPDATE = { id: 2, caption: 'Update' }
const CLOSE = { id: 3, caption: 'Close' }

const UNKNOWN = { id: 0, caption: 'Unknown' }

/** How the check came out: without enough evidence nobody knows, and nothing to judge is no pass. */
const COMPLIANCE: Readonly<Record<Verdict, Captioned>> = {
  fail: { id: 3, caption: 'Fail' },
  'not-enough-evidence': UNKNOWN,
  pass: { id: 1, caption: 'Pass' },
  'not-applicable': { id: 99, caption: 'Nothing to judge' },
}

const SEVERITY = {
  high: { id: 4, caption: 'High' },
  medium: { id: 3, caption: 'Medium' },
  low: { id: 2, caption: 'Low' },
} as const

/** How the rule judges the path; a path of which nothing is told in the period was not judged. */
export function complianceOf(path: Pick<PathSummary, 'verdict'> | undefined): Captioned {
  return path === undefined ? { id: 99, caption: 'Not seen in the period' } : COMPLIANCE[path.verdict]
}

/** The severity that every document shows; unknown where the path was not judged, or not wholly enough. */
export function severityIn(path: Pick<PathSummary, 'verdict'> | undefined, { exposure }: PathDetails): Captioned {
  if (exposure !== undefined) return SEVERITY[severityOf(exposure)]
  return path?.verdict === 'pass' || path?.verdict === 'not-applicable' ? { id: 1, caption: 'Informational' } : UNKNOWN
}

/**
 * How the finding stands, by the path's episodes: new, still open or waived while one is open; resolved where it ended by a fix or was encrypted in
 * all that was seen. What only went quiet or is gone is not resolved, and what was not seen enough is unknown.
 */
export function lifecycleOf(
  path: PathSummary | undefined,
  details: PathDetails,
  from: string,
): { readonly activity: Captioned; readonly status: Captioned } {
  const { exposure, open } = details
  if (isOpenAtEnd(details) === true) {
    const since = open?.openedAt ?? exposure?.since ?? from
    const isNew = !isBefore(since, from)
    if (exposure !== undefined && isWaived(exposure))
      return { activity: isNew ? CREATE : UPDATE, status: { id: 3, caption: 'Suppressed' } }
    return isNew
      ? { activity: CREATE, status: { id: 1, caption: 'New' } }
      : { activity: UPDATE, status: { id: 2, caption: 'In Progress' } }
  }
  if (exposure !== undefined) {
    const ending = exposure.episodes.at(-1)?.ending ?? null
    return ending === 'fixed' || ending === 'refused'
      ? { activity: CLOSE, status: { id: 4, caption: 'Resolved' } }
      : { activity: UPDATE, status: { id: 99, caption: ending === null ? 'Ended' : `Ended: ${ending}` } }
  }
  if (path?.verdict === 'pass') return { activity: CLOSE, status: { id: 4, caption: 'Resolved' } }
  return path?.verdict === 'not-applicable'
    ? { activity: UPDATE, status: { id: 99, caption: 'Nothing to judge' } }
    : { activity: UPDATE, status: UNKNOWN }
}

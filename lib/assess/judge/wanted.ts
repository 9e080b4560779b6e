/** How the wanted share changes verdicts (docs/decisions/0069-seen-is-an-axis-of-its-own.md). */
import type { Seen, Verdict } from '../../model/judgement.ts'
import { durationWords } from '../../time/dates.ts'
import { shareWords, wantedShareWords } from '../../text/share-words.ts'
import { type RuleFinding, windowCount } from './rule.ts'

/** Far below 0.1 %, and above the rounding error of sums. */
const EPSILON = 1e-9

/**
 * Applies a wanted share to a finding. `fail` and `not-enough-evidence` stay. `pass` and `not-applicable` stay only if at least the wanted share of the
 * subject's life was seen, and at least that share of its windows with traffic has a known state. A pass always states its share.
 */
export function atWantedShare(finding: RuleFinding, wantedShare: number): RuleFinding {
  const { verdict, detail, seen } = finding
  if (seen === null || verdict === 'fail' || verdict === 'not-enough-evidence') return finding
  if (isBelow(seen.told, wantedShare))
    return lacking(
      finding,
      `${finding.untold || 'The state of some traffic is unknown'}: ${shareWords(seen.told ?? 0)} can be judged, ${wantedShareWords(wantedShare)} wanted; observed: ${lower(detail)}`,
    )
  if (isBelow(seen.share, wantedShare))
    return lacking(
      finding,
      `Seen for ${shareWords(seen.share ?? 0)} of its time, ${wantedShareWords(wantedShare)} wanted${missingWords(seen)}; ${finding.isWhole === true ? '' : 'observed: '}${lower(detail)}`,
    )
  return verdict === 'pass' ? { ...finding, detail: `${detail}${seenWords(seen)}` } : finding
}

/** Whether less than the wanted share was seen, with a tolerance for rounding errors. Null means unknown and is never below. */
export function isBelow(share: number | null, wantedShare: number): boolean {
  return share !== null && share < wantedShare - EPSILON
}

function lacking(finding: RuleFinding, detail: string): RuleFinding {
  const verdict: Verdict = 'not-enough-evidence'
  return { ...finding, verdict, detail }
}

/** Describes the unseen time of a pass. */
function seenWords({ share, windows, uncollected, unseenSeconds }: Seen): string {
  if (share === null) return ''
  if (share >= 1) return `, seen for all of its time`
  const missing = uncollected === 0 ? '' : ` (${uncollected} of ${windowCount(windows)} not collected)`
  return `, seen for ${shareWords(share)} of its time, unseen for ${durationWords(Math.ceil(unseenSeconds))}${missing}`
}

/** Describes what was not seen. Traffic may have been seen in a window that does not count: it was perhaps not all of it. */
function missingWords({ windows, seenWindows, partWindows, uncollected, outsideSeconds }: Seen): string {
  const unread = windows - uncollected - seenWindows
  const ofAll = (count: number): string => `${count} of ${windowCount(windows)}`
  const parts = [
    ...(outsideSeconds > 0 ? [`no window was expected for ${durationWords(outsideSeconds)}`] : []),
    ...(uncollected > 0 ? [`${ofAll(uncollected)} not collected`] : []),
    ...(unread > 0
      ? [`${ofAll(unread)} ${unread === 1 ? 'does' : 'do'} not count because what was read may be incomplete`]
      : []),
    ...(partWindows > 0 ? [`${ofAll(partWindows)} ${partWindows === 1 ? 'counts' : 'count'} in part`] : []),
  ]
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`
}

function lower(detail: string): string {
  return detail.slice(0, 1).toLowerCase() + detail.slice(1)
}

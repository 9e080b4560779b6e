import type { Finding, Score, Verdict } from '../../model/judgement.ts'
import { VERDICTS } from '../../model/judgement.ts'

/**
 * Counts findings into a score, for a rule, a control, a framework or a whole period. Findings that are not applicable do not count. A finding about a whole
 * cluster is none of the subjects that are counted: it leaves their share unknown.
 *
 * @param isBlind a judged cluster had no collected window: then the score has no share, whatever the other clusters show
 */
export function scoreOf(
  findings: Iterable<Pick<Finding, 'verdict' | 'waiver' | 'subject' | 'isWhole'>>,
  isBlind: boolean,
): Score {
  const counts = { pass: 0, fail: 0, waived: 0, notEnoughEvidence: 0 }
  const incomplete = new Set<string>()
  for (const { verdict, waiver, subject, isWhole } of findings) {
    if (verdict === 'not-applicable') continue
    if (isWhole === true) incomplete.add(subject.cluster)
    else if (verdict === 'fail') counts[waiver === null ? 'fail' : 'waived'] += 1
    else counts[verdict === 'pass' ? 'pass' : 'notEnoughEvidence'] += 1
  }
  const judged = counts.pass + counts.fail + counts.waived + counts.notEnoughEvidence
  const isUnknown = isBlind || incomplete.size > 0 || judged === 0
  return { ...counts, incompleteClusters: incomplete.size, share: isUnknown ? null : counts.pass / judged }
}

/** Returns the worst verdict; `not-applicable` without findings. A waived failure is a failure. */
export function worstVerdict(findings: Iterable<Pick<Finding, 'verdict'>>): Verdict {
  let worst = VERDICTS.length - 1
  for (const { verdict } of findings) worst = Math.min(worst, VERDICTS.indexOf(verdict))
  return VERDICTS[worst] ?? 'not-applicable'
}

import {
  type CoverageHistory,
  type Rule,
  type RuleFinding,
  type RulePeriod,
  allOf,
  clusterFinding,
  sentence,
  windowCount,
} from '../rule.ts'
import { workloadKey } from '../../pods/facts.ts'
import { observedTime } from '../cluster-observed-share.ts'
import { seenOfCluster } from '../seen.ts'
import { isBelow } from '../wanted.ts'

/** So many workloads are named; the table of coverage has all. */
const MAX_NAMES = 5

/** Judges what was collected, whatever it says. */
export const evidenceIsComplete: Rule = {
  id: 'evidence-is-complete',
  title: 'The wanted share of pod time is observed',
  why: 'Traffic that was not observed may be unencrypted: silence is not evidence.',
  needs:
    'The list of expected windows. For each workload, the expected and the observed time of its proxies in these windows. For a window that was not collected, ciphertrail adds the average expected time of the other windows and no observed time. The rule never fails: below the wanted share, the verdict is “not enough evidence”.',
  check: (period) => [judge(period)],
}

function judge({ cluster, windows, uncollected, coverage, wantedShare }: RulePeriod): RuleFinding {
  const { id, errors } = cluster
  if (cluster.windows.length === 0)
    return clusterFinding(id, 'not-enough-evidence', 'No window of this cluster was expected in the period')
  const collected = cluster.windows.filter((window) => window.collected)
  const { share: ofExpected } = observedTime(cluster.windows)
  const ofPeriod = seenOfCluster(cluster.windows, windows)
  const share = ofExpected === null ? null : ofExpected * (ofPeriod.share ?? 0)
  const seen = { ...seenOfCluster(collected, windows), share }
  const unread = new Set(errors.map(({ window }) => window))
  const partly = collected.filter(({ end }) => unread.has(end)).length
  const parts = [
    uncollected === 0
      ? `${sentence(allOf(cluster.windows.length))} collected`
      : `${collected.length} of ${windowCount(cluster.windows.length)} collected`,
    ...(partly > 0 ? [`read errors in ${windowCount(partly)}`] : []),
    ...namesBelow(coverage, wantedShare),
  ]
  return share === null
    ? clusterFinding(id, 'not-enough-evidence', `${parts.join('; ')}; the expected pod time is unknown`, seen)
    : clusterFinding(id, 'pass', parts.join('; '), seen)
}

/** Workloads of which less than the wanted share was seen, the least first. */
function namesBelow(coverage: ReadonlyMap<string, CoverageHistory>, wantedShare: number): string[] {
  const below = [...coverage.values()]
    .map(({ workload, expectedSeconds, observedSeconds }) => ({ workload, share: observedSeconds / expectedSeconds }))
    .filter(({ share }) => isBelow(share, wantedShare))
    .toSorted((a, b) => a.share - b.share)
  if (below.length === 0) return []
  const names = below.slice(0, MAX_NAMES).map(({ workload }) => workloadKey(workload))
  const others = below.length > MAX_NAMES ? ` and ${below.length - MAX_NAMES} more` : ''
  return [`seen less than wanted: ${names.join(', ')}${others}`]
}

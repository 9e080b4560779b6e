import { type Rule, type RulePeriod, clusterFinding, ofWorkload, windowCount } from '../rule.ts'

/** Judges what was collected, whatever it says. */
export const evidenceIsComplete: Rule = {
  id: 'evidence-is-complete',
  title: 'Every expected window was collected, and every proxy seen in it',
  failTitle: 'Evidence of the period is missing',
  why: 'What nobody looked at is not known to be encrypted: silence is not evidence.',
  needs:
    'The list of expected windows, what could not be read in them, and for each workload with proxies how long they should have been seen and were. What is missing fails it, whatever the reason.',
  check: (period) => [judgeCluster(period), ...judgeWorkloads(period)],
}

function judgeCluster({ cluster, uncollected }: RulePeriod) {
  const { windows, errors } = cluster
  if (windows.length === 0)
    return clusterFinding(cluster.id, 'unknown', 'No window of this cluster was expected in the period')
  const unread = new Set(errors.map(({ window }) => window))
  const collected = windows.filter((window) => window.collected)
  const partly = collected.filter(({ end }) => unread.has(end)).length
  const parts = [
    ...(uncollected > 0 ? [`Not collected: ${uncollected} of ${windowCount(windows.length)}`] : []),
    ...(partly > 0
      ? [`${uncollected > 0 ? 'something' : 'Something'} could not be read in ${windowCount(partly)}`]
      : []),
  ]
  return parts.length > 0
    ? clusterFinding(cluster.id, 'fail', parts.join('; '))
    : clusterFinding(cluster.id, 'pass', `All ${windowCount(windows.length)} were collected`)
}

function judgeWorkloads({ cluster, coverage }: RulePeriod) {
  return [...coverage.values()].map(({ workload, windows, incomplete, expectedSeconds, observedSeconds }) => {
    if (incomplete > 0)
      return ofWorkload(
        cluster.id,
        workload,
        'fail',
        `Not all of its pods were seen in ${windowCount(incomplete)}: ${Math.round(observedSeconds)} of ${Math.round(expectedSeconds)} seconds`,
      )
    return expectedSeconds > 0
      ? ofWorkload(cluster.id, workload, 'pass', `Its proxies were seen in ${windowCount(windows)}`)
      : ofWorkload(cluster.id, workload, 'not-applicable', 'Nothing of it was to be seen')
  })
}

import type { WorkloadHistory } from '../../../model/period.ts'
import { workloadKey } from '../../pods/facts.ts'
import { includesPort, parsePorts } from '../../pods/ports.ts'
import {
  type PortHistory,
  type Rule,
  type RulePeriod,
  clearWindows,
  clearWords,
  encryptedWindows,
  ofPort,
  unknownWindows,
  untoldWords,
  windowCount,
} from '../rule.ts'

/** Judges what a workload's port was sent, by whomever. */
export const inboundPlaintextAbsent: Rule = {
  id: 'inbound-plaintext-absent',
  title: 'Nothing reached the port in the clear',
  failTitle: 'Traffic reached the port in the clear',
  why: 'A client without a proxy has no path of its own in any metric: only the port that it reached tells of it.',
  needs:
    'Every window of the cluster, with a proxy in the way of each pod of the workload, no label of theirs that readings go by, and no gap in what was read of them: that something is absent can only be said where all was seen.',
  check: (period) => {
    const workloads = new Map(period.facts?.workloads.map((workload) => [workloadKey(workload), workload]))
    return period.ports.map((port) => judge(port, workloads.get(workloadKey(port.workload)), period))
  },
}

function judge(port: PortHistory, workload: WorkloadHistory | undefined, period: RulePeriod) {
  const clear = port.paths.filter((path) => clearWindows(path) > 0)
  const [worst] = clear.toSorted((a, b) => clearWindows(b) - clearWindows(a))
  if (worst !== undefined) {
    const others = clear.length > 1 ? ` (and ${clear.length - 1} more)` : ''
    return ofPort(port, 'fail', `From ${nameOf(worst.source)}${others}: ${clearWords(worst)}`)
  }
  const untold = port.paths.find((path) => unknownWindows(path) > 0)
  if (untold !== undefined) return ofPort(port, 'unknown', `From ${nameOf(untold.source)}: ${untoldWords(untold)}`)
  const traffic = port.paths.reduce((sum, path) => sum + encryptedWindows(path), 0)
  if (traffic === 0) return ofPort(port, 'not-applicable', 'No traffic to judge in the period')
  const unseen = unseenWords(port, workload, period)
  return unseen === null
    ? ofPort(port, 'pass', 'All that was let in was encrypted, and the proxies were seen in every window')
    : ofPort(port, 'unknown', `Nothing in the clear was seen, but ${unseen}`)
}

/** Why something in the clear may have come unseen; null where it cannot. */
function unseenWords(
  { workload: end, port }: PortHistory,
  workload: WorkloadHistory | undefined,
  { uncollected, unlisted, coverage }: RulePeriod,
): string | null {
  if (uncollected > 0) return `${windowCount(uncollected)} of the cluster were not collected`
  const gap = coverage.get(workloadKey(end))?.incomplete ?? 0
  if (gap > 0) return `not all of its pods were seen in ${windowCount(gap)}`
  if (workload === undefined) return 'no list shows its pods'
  const { meshed, overriding } = workload
  if (meshed.no + meshed.partly > 0) return `some pod had no proxy in ${windowCount(meshed.no + meshed.partly)}`
  if (unlisted + meshed.unknown > 0)
    return `whether each pod had a proxy is not known in ${windowCount(unlisted + meshed.unknown)}`
  if (overriding.length > 0) return `its pods have labels that may hide what reached them: ${overriding.join(', ')}`
  const skipped = workload.bypasses.some(
    (spot) => spot.kind !== 'skip-outbound' && (spot.port === null || includesPort(parsePorts(spot.port), port)),
  )
  return skipped ? 'connections to it go around the proxy' : null
}

function nameOf({ kind, namespace, name }: PortHistory['paths'][number]['source']): string {
  return name === '' ? `(${kind})` : workloadKey({ kind, namespace, name })
}

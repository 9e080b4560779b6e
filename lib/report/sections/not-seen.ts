/** What page one says of what was not seen, and of the seal. */
import type { GapReason } from '../../model/window.ts'
import { durationWords } from '../../time/dates.ts'
import { printable } from '../../text/printable.ts'
import { shareWords } from '../../text/share-words.ts'
import { sum } from '../summary/sums.ts'
import type { Summary } from '../summary/summary.ts'
import type { Wording } from '../words/report-context.ts'
import { namesOf, short } from '../words/short-names.ts'
import { BLIND_SPOT_SHORT, byteWords, countWords, GAP_WORDS, plural, unmeshedWords } from '../words/vocabulary.ts'

/** Three lines: time, workloads, settings. */
export function notSeenLines({ summary, isPage }: Wording): readonly string[] {
  return [timeLine(summary, isPage), workloadLine(summary), settingsLine(summary)]
}

function timeLine({ clusters, share, removed, monitored }: Summary, isPage: boolean): string {
  const dark = clusters.flatMap(({ id, windows }) => {
    const seconds = sum(
      windows.filter(({ collected }) => !collected),
      ({ start, end }) => (Date.parse(end) - Date.parse(start)) / 1000,
    )
    return seconds === 0 ? [] : [`${durationWords(seconds)} on ${short(id)}`]
  })
  const late = clusters.filter(({ expectedOnly }) => expectedOnly !== null)
  const unmeasured = sum(clusters, (cluster) => cluster.unmeasured)
  const reasons = new Map<GapReason, number>()
  for (const { reason, podSeconds } of clusters.flatMap(({ gaps }) => gaps))
    reasons.set(reason, (reasons.get(reason) ?? 0) + podSeconds)
  const why = [...reasons].toSorted(([, a], [, b]) => b - a).slice(0, 2)
  const parts = [
    ...(dark.length > 0
      ? [
          `not collected: ${dark.slice(0, 3).join(', ')}${dark.length > 3 ? ` and ${dark.length - 3} more clusters` : ''}`,
        ]
      : monitored.share === 1
        ? ['every window was collected']
        : []),
    ...late.map(({ id }) => `${short(id)} was monitored only for a part of the period`).slice(0, 2),
    ...(unmeasured === 0 ? [] : [`unknown pods in ${plural(unmeasured, 'window')}`]),
    ...(share === null || share >= 1
      ? []
      : [
          `${shareWords(share)} of ${clusters.some((one) => one.share === null) ? 'known pod time' : 'pod time'} observed${why.length === 0 ? '' : `; main ${why.length === 1 ? 'reason' : 'reasons'} for the rest: ${why.map(([reason]) => GAP_WORDS[reason]).join(', ')}`}`,
        ]),
    ...(removed.length === 0
      ? []
      : [`not ${isPage ? 'on this page' : 'in this report'}: ${namesOf(removed)}, removed from the registry`]),
  ]
  return `Time: ${parts.join(' · ') || 'nothing was expected, so nothing was seen'}`
}

function workloadLine({ unmeshed, workloads, collectedWindows }: Summary): string {
  if (workloads === 0)
    return `Workloads: ${collectedWindows === 0 ? 'unknown, nothing was collected' : 'unknown, no Kubernetes snapshot'}`
  if (unmeshed.length === 0) return `Workloads: all ${countWords(workloads)} listed ones had a proxy`
  const sent = unmeshed.flatMap(({ withoutProxy }) => (withoutProxy === undefined ? [] : [withoutProxy.sentBytes]))
  const bytes =
    sent.length === 0
      ? 'how much they sent was not measured'
      : `they sent ${byteWords(sum(sent, (one) => one))} that no proxy saw`
  return `${unmeshedWords(unmeshed, workloads)} · ${bytes}`
}

function settingsLine({ blind, workloads }: Summary): string {
  const kinds = new Map<string, number>()
  for (const { blindSpots } of blind)
    for (const kind of new Set(blindSpots.map((spot) => spot.kind)))
      if (kind !== 'unmeshed') kinds.set(BLIND_SPOT_SHORT[kind], (kinds.get(BLIND_SPOT_SHORT[kind]) ?? 0) + 1)
  if (kinds.size === 0) return `Settings: ${workloads === 0 ? 'unknown' : 'none that hides traffic was found'}`
  const parts = [...kinds].toSorted(([, a], [, b]) => b - a)
  return `Settings that hide traffic: ${parts.map(([words, count]) => `${words} on ${plural(count, 'workload')}`).join(' · ')}`
}

/** Which log holds the evidence of a report, or of a page. */
export function sealLines({ summary: { checkpoint }, isPage }: Wording): readonly string[] {
  if (checkpoint === null) return ['Not sealed: no signed checkpoint proves that the evidence is unchanged.']
  const { origin, size, root, attempts, unsealed } = checkpoint
  const basis = isPage ? 'page' : 'report'
  const covered =
    attempts === 0
      ? `this ${basis} is based on no collected attempt`
      : unsealed === 0
        ? `among them ${attempts === 1 ? 'the collected attempt' : `all ${plural(attempts, 'collected attempt')}`} that this ${basis} is based on`
        : `${countWords(unsealed)} of the ${plural(attempts, 'collected attempt')} that this ${basis} is based on ${unsealed === 1 ? 'is' : 'are'} not among them`
  return [
    `Log ${short(origin)}: ${plural(size, 'sealed object')} (leaves), root ${printable(root)}; ${covered}. The signed checkpoint is ${isPage ? 'on the page “Log”' : 'in “Verification”'}.`,
  ]
}

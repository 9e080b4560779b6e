/** The first lines of the report: the verdict in a sentence, and what must be known beside it. */
import { printable } from '../../text/printable.ts'
import type { Summary } from '../summary/summary.ts'
import { capital, countWords, periodWord, plural } from '../words/vocabulary.ts'
import { shareWords } from '../../text/share-words.ts'
import { spanWord } from '../words/report-context.ts'
import { isWaived } from './not-encrypted.ts'

/** The sentence on top. What was not seen comes first; a cluster of which nothing is known outweighs a good number. */
export function verdictOf(summary: Summary): string {
  const { clusters, expectedWindows, collectedWindows, observedPaths, notEncrypted, unknown } = summary
  const span = spanWord(summary)
  const waived = notEncrypted.filter(isWaived).length
  if (clusters.length === 0) return 'Nothing was collected in this period: no cluster was asked.'
  const onClusters = `on ${plural(clusters.length, 'cluster')}`
  if (expectedWindows === 0) return `Nothing was collected in this period: no window was expected ${onClusters}.`
  if (collectedWindows === 0)
    return `Nothing was collected in this period: 0 of ${plural(expectedWindows, 'expected window')} ${onClusters}. Which paths were encrypted is not known.`

  const parts: string[] = []
  const part = clusters.filter(({ expected, expectedOnly }) => expected === 0 || expectedOnly !== null)
  if (part.length > 0)
    parts.push(
      `only a part of ${periodWord(summary)} was expected on ${countWords(part.length)} of ${plural(clusters.length, 'cluster')}`,
    )
  const dark = clusters.filter(({ share }) => share === null || share === 0)
  if (dark.length > 0)
    parts.push(
      `nothing was observed on ${countWords(dark.length)} of ${plural(clusters.length, 'cluster')} (${dark.map(({ id }) => printable(id)).join(', ')})`,
    )
  if (collectedWindows < expectedWindows)
    parts.push(
      `${countWords(expectedWindows - collectedWindows)} of ${plural(expectedWindows, 'window')} ${expectedWindows - collectedWindows === 1 ? 'was' : 'were'} not collected`,
    )
  const unmeasured = unmeasuredOf(summary)
  if (unmeasured > 0) parts.push(`how much there was to see in ${plural(unmeasured, 'collected window')} is not known`)
  if (summary.share !== null && dark.length < clusters.length)
    parts.push(
      `${shareWords(summary.share)} of ${span} observed on ${countWords(clusters.length - dark.length)} of ${plural(clusters.length, 'cluster')}`,
    )
  parts.push(
    observedPaths === 0
      ? 'no path was observed'
      : `${countWords(notEncrypted.length)} of ${plural(observedPaths, 'observed path')} ${notEncrypted.length === 1 ? 'was' : 'were'} not encrypted by the mesh${waived === 0 ? '' : ` (${countWords(waived)} accepted by a waiver)`}${unknown.length === 0 ? '' : `, ${countWords(unknown.length)} could not be told`}`,
  )
  // Without a finding, a reader would stop here: the number must not outlive what it is a number of.
  const isWhole =
    summary.share === 1 &&
    part.length === 0 &&
    dark.length === 0 &&
    unmeasured === 0 &&
    collectedWindows === expectedWindows
  if (observedPaths > 0 && notEncrypted.length === 0 && !isWhole)
    parts.push('of what was not observed, nothing is known')
  return `${capital(parts.join('; '))}.`
}

/** What a reader of the first page must know beside the verdict. */
export function notesOf(summary: Summary): readonly string[] {
  const { unmeshed, workloads, refused, unseen, removed } = summary
  const notes: string[] = []
  if (removed.length > 0)
    notes.push(
      `Not in this report: ${removed.map((id) => `cluster ${printable(id)}`).join(', ')}, which ${removed.length === 1 ? 'was' : 'were'} taken out of the registry.`,
    )
  const unmeasured = unmeasuredOf(summary)
  if (unmeasured > 0)
    notes.push(
      `In ${plural(unmeasured, 'collected window')} it is not known how much there was to see: no meshed pod was listed.`,
    )
  if (unmeshed.length > 0)
    notes.push(
      `${countWords(unmeshed.length)} of ${plural(workloads, 'workload')} ${unmeshed.length === 1 ? 'is' : 'are'} not, not wholly or not surely in the mesh. Traffic between two workloads without a proxy is seen by nobody.`,
    )
  if (unseen.length > 0)
    notes.push(
      `${plural(unseen.length, 'known path')} carried no traffic that was seen in this period: not counted among the observed ones.`,
    )
  if (refused.length > 0)
    notes.push(
      `${plural(refused.length, 'path')} without mesh TLS ${refused.length === 1 ? 'was' : 'were'} tried and refused by policy.`,
    )
  return notes
}

/** Collected windows of which it is not known how much should have been seen in them. */
function unmeasuredOf({ clusters }: Summary): number {
  return clusters.reduce((total, { unmeasured }) => total + unmeasured, 0)
}

/**
 * The report in words: every text, number and date as it is printed, so that a template only places them. The page and the PDF are
 * made from the same view. All that comes from clusters has gone through `printable`. Each section has a file in sections/.
 */
import { printable } from '../text/printable.ts'
import type { SectionView } from './section.ts'
import { changesSection } from './sections/changes.ts'
import { controlsSection } from './sections/controls.ts'
import { cryptoSection } from './sections/crypto.ts'
import { dataFlowSection } from './sections/data-flow.ts'
import { enforcementSection } from './sections/enforcement.ts'
import { episodesSection } from './sections/episodes.ts'
import { findingsSection } from './sections/findings.ts'
import { gapsSection } from './sections/gaps.ts'
import { glossarySection } from './sections/glossary.ts'
import { methodSection } from './sections/method.ts'
import { notEncryptedSection } from './sections/not-encrypted.ts'
import { notSeenSection } from './sections/not-seen.ts'
import { notesOf, verdictOf } from './sections/opening.ts'
import { notEnoughEvidenceSection, otherSections } from './sections/other-paths.ts'
import { scopeSection } from './sections/scope.ts'
import { trendSection } from './sections/trend.ts'
import { verificationSection } from './sections/verification.ts'
import { waiversSection } from './sections/waivers.ts'
import { workloadsSection } from './sections/workloads.ts'
import { MARKS } from './drawing/state-looks.ts'
import type { Summary } from './summary/summary.ts'
import { stateView } from './table-cells.ts'
import type { StateView } from './table-cells.ts'
import { countWords, plural } from './words/vocabulary.ts'
import { wordingOf } from './words/report-context.ts'

/** All words and drawings of a report, in their order. */
export type ReportView = {
  readonly language: 'en'
  readonly title: string
  readonly label: string
  /** Pairs of what and value that say what the report covers. */
  readonly scope: readonly { readonly term: string; readonly text: string }[]
  readonly replay: string | null
  readonly verdict: string
  readonly notes: readonly string[]
  /** The denominator of the counts. */
  readonly countsOf: string
  readonly counts: readonly { readonly state: StateView; readonly text: string }[]
  readonly sections: readonly SectionView[]
  readonly footer: string
}

/** Words a summary. Equal summaries give equal views, wherever and whenever that is. */
export function viewOf(summary: Summary): ReportView {
  const { period, clusters, judgement, checkpoint } = summary
  const wording = wordingOf(summary)
  const label = printable(period.label)
  return {
    language: 'en',
    title: 'Which service-to-service paths were encrypted',
    label,
    scope: [
      { term: 'Period', text: `${wording.dates.full(period.from)} to ${wording.dates.full(period.to)}` },
      { term: 'Times in', text: wording.dates.zone },
      {
        term: clusters.length === 1 ? 'Cluster' : 'Clusters',
        text: clusters.map(({ id }) => printable(id)).join(', ') || 'none',
      },
      { term: 'Made by', text: `ciphertrail ${printable(summary.version)}` },
      { term: 'Controls', text: `version ${printable(judgement.controls.version)}` },
      {
        term: 'Log',
        text:
          checkpoint === null
            ? 'not sealed yet'
            : `${printable(checkpoint.origin)}, ${plural(checkpoint.size, 'leaf', 'leaves')}, root ${printable(checkpoint.root)}`,
      },
    ],
    replay: summary.replay === null ? null : printable(summary.replay),
    verdict: verdictOf(summary),
    notes: notesOf(summary),
    countsOf: `Paths of ${summary.settings.judgedClasses.join(', ')}, as they are listed:`,
    counts: MARKS.filter((mark) => summary.counts[mark] > 0).map((mark) => ({
      state: stateView(mark),
      text: countWords(summary.counts[mark]),
    })),
    sections: [
      notSeenSection(wording),
      scopeSection(summary),
      controlsSection(summary),
      notEncryptedSection(wording),
      notEnoughEvidenceSection(wording),
      findingsSection(summary),
      episodesSection(wording),
      changesSection(wording),
      trendSection(wording),
      enforcementSection(summary),
      waiversSection(wording),
      cryptoSection(wording),
      dataFlowSection(wording),
      gapsSection(wording),
      workloadsSection(summary),
      ...otherSections(wording),
      methodSection(summary),
      verificationSection(summary),
      glossarySection(),
    ],
    footer: `ciphertrail ${printable(summary.version)}, ${label}, times in ${printable(period.timeZone)}`,
  }
}

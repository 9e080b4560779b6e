/**
 * The report in words: every text, number and date as it is printed, so that a template only places them. The page and the PDF are
 * made from the same view. All that comes from clusters has gone through `printable`. Each section has a file in sections/.
 */
import { printable } from '../text/printable.ts'
import type { SectionView } from './section.ts'
import { changesSection } from './sections/changes.ts'
import { controlsSection } from './sections/controls.ts'
import { coverageSection } from './sections/coverage.ts'
import { cryptoSection } from './sections/crypto.ts'
import { dataFlowSection } from './sections/data-flow.ts'
import { enforcementSection } from './sections/enforcement.ts'
import { episodesSection } from './sections/episodes.ts'
import { findingsSection } from './sections/findings.ts'
import { gapsSection } from './sections/gaps.ts'
import { glossarySection } from './sections/glossary.ts'
import { methodSection } from './sections/method.ts'
import { notEncryptedSection } from './sections/not-encrypted.ts'
import { verdictOf } from './sections/opening.ts'
import { lackingSection, openNowSection } from './sections/open-now.ts'
import { otherClassesSection } from './sections/other-classes.ts'
import { notEnoughEvidenceSection, otherSections } from './sections/other-paths.ts'
import { pageOne } from './sections/page-one.ts'
import type { PageOneView } from './sections/page-one.ts'
import { reviewsSection } from './sections/reviews.ts'
import { scopeSection } from './sections/scope.ts'
import { trendSection } from './sections/trend.ts'
import { verificationSection } from './sections/verification.ts'
import { waiversSection } from './sections/waivers.ts'
import { workloadsSection } from './sections/workloads.ts'
import type { Summary } from './summary/summary.ts'
import { wordingOf } from './words/report-context.ts'
import { plural } from './words/vocabulary.ts'

/** All words and drawings of a report, in their order. */
export type ReportView = {
  readonly language: 'en'
  readonly title: string
  readonly label: string
  readonly replay: string | null
  /** The sentences on top, as they stand alone. */
  readonly verdict: string
  readonly pageOne: PageOneView
  readonly sections: readonly SectionView[]
  /** What is looked up: one by one, and what words mean. */
  readonly appendix: readonly SectionView[]
  readonly footer: string
}

/** Tables to look something up in are folded if a section has more rows of them: on a phone each row is as high as a paragraph. */
const MAX_UNFOLDED = 2

/** A section to look something up in, as the page shows it. */
function folded(section: SectionView): SectionView {
  if (section.tables.reduce((sum, { rows }) => sum + rows.length, 0) <= MAX_UNFOLDED) return section
  const tables = section.tables.map((table) =>
    table.rows.length === 0 ? table : { ...table, fold: plural(table.rows.length, 'row') },
  )
  return { ...section, tables }
}

/** Words a summary. Equal summaries give equal views, wherever and whenever that is. */
export function viewOf(summary: Summary): ReportView {
  const { period, settings } = summary
  const wording = wordingOf(summary)
  const label = printable(period.label)
  const [openNow, lacking] = [openNowSection(wording), lackingSection(wording)]
  return {
    language: 'en',
    title: `${settings.organisation === null ? 'Encryption' : `${printable(settings.organisation)}: encryption`} between services`,
    label,
    replay: summary.replay === null ? null : printable(summary.replay),
    verdict: verdictOf(summary),
    pageOne: pageOne(wording),
    sections: [
      ...(openNow === null ? [] : [openNow]),
      ...(lacking === null ? [] : [lacking]),
      changesSection(wording),
      trendSection(wording),
      notEncryptedSection(wording),
      otherClassesSection(wording),
      // Its paths are listed above with what lacks.
      folded(notEnoughEvidenceSection(wording)),
      coverageSection(wording),
      workloadsSection(summary),
      dataFlowSection(wording),
      enforcementSection(summary),
      waiversSection(wording),
      ...reviewsSection(wording),
      cryptoSection(wording),
      verificationSection(summary),
      methodSection(summary),
    ],
    appendix: [
      scopeSection(summary),
      controlsSection(summary),
      findingsSection(wording),
      episodesSection(wording),
      gapsSection(wording),
      ...otherSections(wording),
      glossarySection(),
    ].map(folded),
    footer: `ciphertrail ${printable(summary.version)}, ${label}, times in ${printable(period.timeZone)}`,
  }
}

/** Findings of the mesh and of the platform: listed under headings of their own, never judged, never hidden. */
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { ClassSummary } from '../summary/summary.ts'
import { CLASS_WORDS, capital, countWords, plural } from '../words/vocabulary.ts'
import type { Wording } from '../words/report-context.ts'
import { fixSteps } from '../words/split-fix.ts'
import { pathsTable } from './not-encrypted.ts'

/** So many paths of a class have a row; all stand in paths.csv. */
const MAX_ROWS = 25

/** The classes that controls do not judge. */
export function otherClassesSection(wording: Wording): SectionView {
  const { others, settings } = wording.summary
  return section('other-classes', 'Unencrypted paths of the mesh and the platform', {
    paragraphs: [
      others.length === 0
        ? 'No path of another class is known.'
        : `These paths are listed and not judged: no verdict, score or severity counts them. This report judges paths of ${settings.judgedClasses.map((one) => CLASS_WORDS[one]).join(', ')}; report.judge in scope.yaml can add a class.`,
      ...others.map(countsOf),
    ],
    tables: others.flatMap((one) =>
      one.notEncrypted.length === 0
        ? []
        : [
            {
              ...withFixes(
                pathsTable(wording, one.notEncrypted.slice(0, MAX_ROWS), one.notEncrypted.length, false),
                one,
              ),
              title: capital(CLASS_WORDS[one.class]),
            },
          ],
    ),
  })
}

function countsOf({ class: of, figures, paths }: ClassSummary): string {
  return `${capital(CLASS_WORDS[of])}: ${plural(paths.length, 'known path')}, ${countWords(figures.openNow)} unencrypted at the end, ${countWords(figures.atSomeTime)} at some time, ${countWords(figures.notEnoughEvidence)} without enough evidence, ${countWords(figures.encrypted)} encrypted.`
}

/** These paths belong to no action, so that each has its change with it. */
function withFixes(rows: ReturnType<typeof pathsTable>, { notEncrypted }: ClassSummary): typeof rows {
  return {
    ...rows,
    rows: rows.rows.map((row, index) => {
      const steps = notEncrypted[index]?.reasons.flatMap(({ fix }) => (fix === null ? [] : fixSteps(fix))) ?? []
      return row.detail === null ? row : { ...row, detail: { ...row.detail, fix: steps } }
    }),
  }
}

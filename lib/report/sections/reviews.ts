/** Who reviewed earlier reports, and what they said. */
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { lines, table } from '../table-cells.ts'
import { plural } from '../words/vocabulary.ts'
import type { Wording } from '../words/report-context.ts'

/** The reviews of the reports that came before; nothing where there is none. */
export function reviewsSection({ summary: { reviews }, dates }: Wording): readonly SectionView[] {
  if (reviews.length === 0) return []
  return [
    section('reviews', 'Reviews of earlier reports', {
      paragraphs: [`${plural(reviews.length, 'review')} recorded. Each is a leaf of the log once it is sealed.`],
      tables: [
        table(
          'Reviews with report, reviewer and note, oldest first.',
          [
            ['Report', 30],
            ['Reviewed by', 25],
            ['Note', 45],
          ],
          reviews.map(({ period, report, reviewer, note, at }) => [
            lines([printable(period.label)], [printable(report)]),
            lines([printable(reviewer)], [dates.full(at)]),
            lines([printable(note)]),
          ]),
        ),
      ],
    }),
  ]
}

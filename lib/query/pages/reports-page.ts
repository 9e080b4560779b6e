/** Reports that were made, with their documents. */
import { byteWords } from '../../report/words/vocabulary.ts'
import { printable } from '../../text/printable.ts'
import { datesOf } from '../../time/dates.ts'
import { settledBefore } from '../parameters.ts'
import { answerReports } from '../routes/reports-route.ts'
import type { MakePage } from './page.ts'

/** More are found through the API. */
const MAX_REPORTS = 60

/** Makes the page of reports: those of which every cluster may be seen. */
export const reportsPage: MakePage = async ({ query, grant }, { objects }) => {
  const { items, next } = await answerReports({ limit: MAX_REPORTS, cursor: undefined }, grant, {
    objects,
    now: settledBefore(query.at),
  })
  const rows = items.filter(({ period }) => query.past === null || Date.parse(period.to) <= query.at.getTime())
  return {
    title: 'Reports',
    template: 'reports',
    replay: null,
    standing: '',
    view: {
      words:
        rows.length === 0
          ? 'No report is kept in this store yet. “ciphertrail run” keeps the report of each week, six hours after its end; “ciphertrail report” makes one of any period.'
          : `The same evidence gives the same bytes: each report can be made again and compared.${next === null ? '' : ` The latest ${MAX_REPORTS} are shown; the API has all.`}`,
      rows: rows.map(({ period, clusters, documents }) => {
        const dates = datesOf({ from: period.from, to: period.to, timeZone: period.timeZone })
        return {
          label: printable(period.label),
          period: `${dates.full(period.from)} to ${dates.full(period.to)} (${printable(period.timeZone)})`,
          clusters: clusters.map((id) => printable(id)).join(', ') || 'none',
          documents: inReadingOrder(documents).map(({ name, size, href }) => ({
            name: printable(name),
            size: byteWords(size),
            href: href ?? '',
          })),
          note: documents.some(({ href }) => href !== null)
            ? ''
            : 'The documents are not kept in this store: only their names, sizes and SHA-256 are recorded.',
        }
      }),
      next: '',
    },
  }
}

/** What people read comes before the data. */
function inReadingOrder<T extends { readonly name: string }>(documents: readonly T[]): readonly T[] {
  const first = ['report.html', 'report.pdf'].flatMap((name) => documents.filter((one) => one.name === name))
  return [...first, ...documents.filter((one) => !first.includes(one))]
}

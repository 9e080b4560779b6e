/** Reports that were made, with their documents. */
import { byteWords, plural } from '../../report/words/vocabulary.ts'
import { printable } from '../../text/printable.ts'
import { datesOf } from '../../time/dates.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { isReportKey, reportsUpTo } from '../../store/report-keys.ts'
import { timeOf } from '../../time/windows.ts'
import type { Grant } from '../access/access.ts'
import { settledBefore } from '../parameters.ts'
import { type PackItem, answerReports } from '../routes/reports-route.ts'
import type { MakePage } from './page.ts'

/** More are found through the API. */
const MAX_REPORTS = 60

/** So many records that cannot be read are named. */
const MAX_NAMED = 3

/** Makes the page of reports: those of which every cluster may be seen. */
export const reportsPage: MakePage = async ({ query, grant }, { objects, makesPacks }) => {
  const until = query.past === null ? null : timeOf(query.at)
  const {
    items: rows,
    next,
    unreadable,
  } = await answerReports({ limit: MAX_REPORTS, cursor: undefined }, grant, {
    objects: reportsOf(until, objects),
    now: settledBefore(query.at),
  })
  return {
    title: 'Reports',
    template: 'reports',
    replay: null,
    standing: '',
    view: {
      words: [
        rows.length === 0
          ? `${noneWords(grant, until, unreadable.length)} “ciphertrail run” keeps the report of each week, six hours after its end; “ciphertrail report” makes one of any period.`
          : `The same evidence gives the same bytes: each report can be made again and compared.${next === null ? '' : ` The latest ${MAX_REPORTS} are shown; the API has all.`}`,
        ...(unreadable.length === 0
          ? []
          : [
              `${plural(unreadable.length, 'record of a report', 'records of reports')} cannot be read, and ${unreadable.length === 1 ? 'its report is' : 'their reports are'} not listed: find out who wrote ${unreadable.slice(0, MAX_NAMED).join(', ')}${unreadable.length > MAX_NAMED ? ' and others' : ''}.`,
            ]),
      ].join(' '),
      rows: rows.map(({ id, period, clusters, documents, pack }) => {
        const isKept = documents.some(({ href }) => href !== null)
        const dates = datesOf({ from: period.from, to: period.to, timeZone: period.timeZone })
        return {
          label: printable(period.label),
          period: `${dates.fullRange(period.from, period.to)} (${printable(period.timeZone)})`,
          clusters: clusters.map((id) => printable(id)).join(', ') || 'none',
          documents: inReadingOrder(documents).map(({ name, size, href }) => ({
            name: printable(name),
            size: byteWords(size),
            href: href ?? '',
          })),
          pack: pack === null || !isKept ? null : { href: `/reports/${id}/pack`, words: packWords(pack) },
          button: pack?.status === 'none' && isKept && makesPacks && query.past === null ? `/reports/${id}/pack` : '',
          note: isKept
            ? ''
            : 'The documents are not kept in this store: only their names, sizes and SHA-256 are recorded.',
        }
      }),
      next: '',
    },
  }
}

/** How it stands with a pack, beside its link; empty where nobody asked for it. */
function packWords({ status, size }: PackItem): string {
  return {
    none: '',
    asked: 'being made',
    failed: 'could not be made',
    made: size === null ? '' : byteWords(size),
  }[status]
}

/** That there is none is told only to whom all would be shown. */
function noneWords(grant: Grant, until: string | null, unreadable: number): string {
  if (until !== null) return 'No report that may be seen here is of a period that had ended by then.'
  return grant.clusters === 'all' && unreadable === 0
    ? 'No report is kept in this store yet.'
    : 'No report that may be seen here is kept.'
}

/** The store without the reports of periods that end later. */
function reportsOf(until: string | null, objects: Objects): Objects {
  const last = until === null ? null : reportsUpTo(until)
  const isLater = (key: string): boolean => last !== null && isReportKey(key) && key > last && !key.startsWith(last)
  return {
    ...objects,
    async *list(prefix, startAfter) {
      for await (const key of objects.list(prefix, startAfter)) if (!isLater(key)) yield key
    },
  }
}

/** What people read comes before the data. */
function inReadingOrder<T extends { readonly name: string }>(documents: readonly T[]): readonly T[] {
  const first = ['report.html', 'report.pdf'].flatMap((name) => documents.filter((one) => one.name === name))
  return [...first, ...documents.filter((one) => !first.includes(one))]
}

/** What changed from one period to a later one, by the numbers of `ciphertrail diff` and `/v1/diff`. */
import { trendSection } from '../../report/sections/trend.ts'
import { waiversSection } from '../../report/sections/waivers.ts'
import { CHANGE_WORDS, changeCounts, changeWords, openForWords, whenWords } from '../../report/sections/changes.ts'
import { headlineWords } from '../../report/sections/opening.ts'
import { isBasisKnown, PATH_CHANGE_KINDS, type PathChange } from '../../report/summary/change-summary.ts'
import { destinationName, endpointName } from '../../report/table-cells.ts'
import { wordingOf } from '../../report/words/report-context.ts'
import { capital, countWords, plural } from '../../report/words/vocabulary.ts'
import { printable } from '../../text/printable.ts'
import { type Dates, ageWords, datesOf } from '../../time/dates.ts'
import { comparablePeriods } from '../../time/period-text.ts'
import { type WeekPeriod, earlierPeriods } from '../../time/week.ts'
import { toTime } from '../../time/windows.ts'
import { type Diff, lacksOf } from '../diff.ts'
import { comparedPeriods, settledBefore } from '../parameters.ts'
import { ProblemError } from '../problem.ts'
import { labelPast, statusLine } from './frame.ts'
import type { MakePage } from './page.ts'
import { type SiteQuery, hrefOf, parametersOf } from './page-query.ts'
import { lifeLineHref } from './path-links.ts'
import { type Choice, PAST_LAST_PAGE, pagesOf } from './paths-page.ts'

/** A page has so many rows. */
const MAX_ROWS = 100

/** Makes the page of what changed: against the seven days before, or of two periods that were chosen. */
export const changesPage: MakePage = async ({ query, grant }, { history }) => {
  const looked = { grant, cluster: query.cluster, at: query.at }
  const [status, clusters] = await Promise.all([history.status(looked), history.clusters({ grant, cluster: null })])
  const summary = labelPast(status.summary, query.past)
  const chosen = await chosenPeriods(query)
  const spans = chosen ?? usualPeriods(status.period)
  const diff = await history.diff({ ...looked, ...spans })
  const dates = datesOf({ ...diff.period, timeZone: 'UTC' })
  const wanted = diff.changes.all.filter(({ kind }) => query.change === null || kind === query.change)
  const shown = wanted.slice((query.page - 1) * MAX_ROWS, query.page * MAX_ROWS)
  const wording = wordingOf(summary, { isPage: true })
  const asked = { from: query.from ?? slashed(diff.before), to: query.to ?? slashed(diff.period) }
  const question = { ...asked, ...(query.cluster === null ? {} : { cluster: query.cluster }) }
  return {
    title: 'Changes',
    template: 'changes',
    replay: summary.replay,
    standing: statusLine(summary),
    view: {
      words: `${dates.range(diff.period.from, diff.period.to)}, compared with ${dates.range(diff.before.from, diff.before.to)} (UTC).`,
      headline: headlineWords(summary),
      periods: { title: 'Compare with the one before', choices: periodChoices(query) },
      from: asked.from,
      to: asked.to,
      at: query.past ?? '',
      isChosen: chosen !== null || query.cluster !== null,
      clusters: clusters.map(({ id }) => ({ value: id, isCurrent: id === query.cluster })),
      paragraphs: paragraphsOf(diff, dates),
      kinds: kindChoices(diff, query),
      caption: 'Paths that changed or stayed open, the most urgent first.',
      rows: shown.map((change) => rowOf(change, { dates, past: query.past, hasClusters: diff.clusters.length > 1 })),
      none: noneWords(diff, query, wanted.length),
      pages: pagesOf('/changes', { rows: wanted.length, perPage: MAX_ROWS }, query),
      // Of the last seven days only: what a chosen period had for a trend, its reports say.
      sections: chosen === null ? [trendSection(wording), waiversSection(wording)] : [],
      api: `/v1/diff?${new URLSearchParams(question).toString()}`,
      command: `ciphertrail diff ${asked.from} ${asked.to}${query.cluster === null ? '' : ` --cluster ${query.cluster}`}`,
      flowHref: hrefOf('/flow', { at: diff.period.to, before: diff.before.to, cluster: query.cluster }),
    },
  }
}

type Spans = { readonly before: WeekPeriod; readonly period: WeekPeriod }

/** Null where none were chosen. Throws a `ProblemError` where only one was, or one cannot be used. */
async function chosenPeriods({ from, to, at }: SiteQuery): Promise<Spans | null> {
  if (from === null && to === null) return null
  if (from === null || to === null)
    throw new ProblemError(
      'bad-parameter',
      'Cannot compare one period: wanted both from and to, as in ?from=2026-W46&to=2026-W47',
      from === null ? 'from' : 'to',
    )
  return comparedPeriods({ from, to }, 'UTC', settledBefore(at))
}

function usualPeriods(period: WeekPeriod): Spans {
  return { before: earlierPeriods({ ...period, timeZone: 'UTC' }, 1)[0] ?? period, period }
}

const slashed = ({ from, to }: WeekPeriod): string => `${from}/${to}`

function periodChoices(query: SiteQuery): readonly Choice[] {
  const own = { ...parametersOf(query), change: null }
  return [
    {
      title: 'last 7 days',
      href: hrefOf('/changes', { ...own, from: null, to: null }),
      isCurrent: query.from === null && query.to === null,
    },
    ...comparablePeriods(toTime(Math.floor(query.at.getTime() / 1000))).map(({ title, before, period }) => ({
      title,
      href: hrefOf('/changes', { ...own, from: before, to: period }),
      isCurrent: query.from === before && query.to === period,
    })),
  ]
}

/** A kind that nothing has leads nowhere. */
function kindChoices(
  { changes }: Diff,
  query: SiteQuery,
): { readonly title: string; readonly choices: readonly Choice[] } {
  const own = parametersOf(query)
  const of = PATH_CHANGE_KINDS.filter((kind) => changes.counts[kind] > 0 || kind === query.change)
  return {
    title: 'Change',
    choices: [
      {
        title: `all ${countWords(changes.all.length)}`,
        href: hrefOf('/changes', { ...own, change: null }),
        isCurrent: query.change === null,
      },
      ...of.map((change) => ({
        title: `${countWords(changes.counts[change])} ${CHANGE_WORDS[change]}`,
        href: hrefOf('/changes', { ...own, change }),
        isCurrent: change === query.change,
      })),
    ],
  }
}

/** What must be known to read the table: what was not looked at first. */
function paragraphsOf({ clusters, changes, timeToFix, open, ...spans }: Diff, dates: Dates): readonly string[] {
  const lacks = clusters.flatMap((cluster) =>
    lacksOf(cluster, spans, { named: `cluster ${printable(cluster.id)}`, moment: dates.moment }),
  )
  const { median, longest, episodes, sinceUnknown } = timeToFix

  const fixed = (seconds: number | null): string => ageWords(seconds ?? 0, timeToFix.isAtLeast)
  const age = (seconds: number | null): string => ageWords(seconds ?? 0, open.isAtLeast)
  const until = clusters
    .flatMap(({ period }) => period.collectedUntil ?? [])
    .toSorted((a, b) => Date.parse(a) - Date.parse(b))
  return [
    ...lacks.map(({ words }) => `${words}.`),
    ...changeCounts(changes),
    ...(median === null
      ? []
      : [
          `Time to fix, over ${plural(episodes, 'episode')}: median ${fixed(median)}, longest ${fixed(longest)}.${sinceUnknown === 0 ? '' : ` ${capital(plural(sinceUnknown, 'other'))} began at an unknown time and ${sinceUnknown === 1 ? 'is' : 'are'} not counted.`}`,
        ]),
    ...(open.paths === 0
      ? []
      : [
          `Open at the end of the later period${until.length === 0 ? '' : `, by what was collected until ${dates.moment(until.at(-1) ?? '')}`}: ${plural(open.paths, 'path')}${open.medianSeconds === null ? '' : `, median age ${age(open.medianSeconds)}, longest ${age(open.longestSeconds)}`}.`,
        ]),
  ]
}

function rowOf(
  change: PathChange,
  { dates, past, hasClusters }: { readonly dates: Dates; readonly past: string | null; readonly hasClusters: boolean },
) {
  return {
    change: capital(changeWords(change)),
    href: lifeLineHref(change, past),
    source: endpointName(change.source),
    destination: destinationName(change),
    cluster: hasClusters ? printable(change.cluster) : '',
    openFor: openForWords(change),
    when: capital(whenWords({ dates }, change)),
  }
}

/** What stands in the place of rows. */
function noneWords({ clusters, changes }: Diff, { change }: SiteQuery, wanted: number): string {
  if (wanted > 0) return PAST_LAST_PAGE
  if (change !== null && changes.all.length > 0) return 'No path changed so.'
  return clusters.some(({ basis, periodBasis }) => isBasisKnown({ basis }) && isBasisKnown({ basis: periodBasis }))
    ? 'No change in what was collected, and nothing stayed open. This says nothing about what was not seen.'
    : 'Nothing can be compared: what changed is unknown.'
}

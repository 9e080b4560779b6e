/** Paths over time: a heat strip for each path that asks for attention, and a line for those that do not. */
import { PATH_CLASSES, type PathClass } from '../../model/path.ts'
import { type Mark, MARKS, LOOKS } from '../../report/drawing/state-looks.ts'
import { binWords, pathStrip } from '../../report/drawing/strip-drawing.ts'
import { headlineWords, monitoredWords } from '../../report/sections/opening.ts'
import { endingWords } from '../../report/sections/not-encrypted.ts'
import { isWaived } from '../../report/summary/figures.ts'
import { type Exposure, pathKey } from '../../report/summary/path-summary.ts'
import { stateView } from '../../report/table-cells.ts'
import { beganOf, sinceWords } from '../../report/words/format-episode.ts'
import { type Wording, wordingOf } from '../../report/words/report-context.ts'
import { CLASS_WORDS, capital, countWords, plural } from '../../report/words/vocabulary.ts'
import { compareText } from '../../text/order.ts'
import { printable } from '../../text/printable.ts'
import { labelPast, statusLine } from './frame.ts'
import { type ListedPath, type PathGroup, groupedPaths, isListedOpen, listedPaths } from './listed-paths.ts'
import type { MakePage } from './page.ts'
import { PATH_LISTS, type PathList, type SiteQuery, SPANS, type PageSpan, hrefOf, parametersOf } from './page-query.ts'
import { latestMark, pathLink } from './path-links.ts'

/** A page has so many rows. */
const MAX_ROWS = 100

/** What is shown without being asked for; the rest is counted in a line. */
const SHOWN: ReadonlySet<PathList> = new Set(['unencrypted', 'undetermined'])

/** How paths are listed, in words. */
const LISTED_WORDS: Readonly<Record<PathList, string>> = {
  unencrypted: '▲ △ unencrypted at some time, or when last seen',
  undetermined: '? ✕ undetermined in some window, or not seen at all',
  encrypted: '● encrypted whenever seen',
  other: '– · ⊘ exempt, refused or without traffic',
}

/** Makes the page of paths over time. */
export const pathsPage: MakePage = async ({ query, grant }, { history }) => {
  const looked = { grant, cluster: query.cluster, at: query.at }
  const [{ summary: known }, clusters] = await Promise.all([
    history.overTime({ ...looked, days: SPANS[query.period].days }),
    history.clusters({ grant, cluster: null }),
  ])
  const summary = labelPast(known, query.past)
  const wording = wordingOf(summary, { isPage: true })
  const listed = listedPaths(summary, query)
  const wanted = listed.filter(({ as }) => (query.state === null ? SHOWN.has(as) : as === query.state))
  const begin = (query.page - 1) * MAX_ROWS
  const groups = groupedPaths(listed)
  // The same order on all pages: that of the groups.
  const rows = groups.flatMap(({ paths }) => paths.filter((one) => wanted.includes(one)))
  const onPage = new Set(rows.slice(begin, begin + MAX_ROWS))
  const views = groups.map((group) => groupView(wording, group, onPage, query)).filter((view) => view !== null)
  const [first] = summary.paths
  return {
    title: 'Paths over time',
    template: 'paths',
    replay: summary.replay,
    standing: statusLine(summary),
    view: {
      words: wordsOf(wording, query),
      choices: choicesOf(query, summary.settings.judgedClasses),
      hidden: Object.entries({ period: parametersOf(query).period, state: query.state, class: query.class }).flatMap(
        ([name, value]) => (value === null || value === undefined ? [] : [{ name, value }]),
      ),
      clusters: clusters.map(({ id }) => ({ value: id, isCurrent: id === query.cluster })),
      namespaces: namespaceChoices(
        summary.paths.flatMap(({ source, destination }) => [source.namespace, destination.namespace]),
        query.namespace,
      ),
      isFiltered: [query.cluster, query.namespace, query.workload, query.past].some((filter) => filter !== null),
      workload: parametersOf(query).workload ?? '',
      at: query.past ?? '',
      caption: `${capital(plural(rows.length, 'path'))} of ${countWords(listed.length)} ${rows.length === 1 ? 'has' : 'have'} a row, by the namespace that they lead into. Lines in the strips mark ${wording.unit}.${binWords(wording)}`,
      nowTitle: query.past === null ? 'Now' : 'Then',
      axis: first === undefined ? { labels: [] } : pathStrip(wording, first, true),
      groups: views,
      none: rows.length > 0 ? PAST_LAST_PAGE : noneWords(wording, query),
      api: apiOf(summary.period, query),
      pages: pagesOf('/paths', { rows: rows.length, perPage: MAX_ROWS }, query),
      legend: MARKS.map((mark) => ({ state: stateView(mark), text: LOOKS[mark].meaning })),
    },
  }
}

/** `5 application paths are unencrypted now. 9 were at some time since 1 Sep 09:00.` */
function wordsOf({ summary, dates }: Wording, { class: of, namespace, workload }: SiteQuery): string {
  const { figures, period } = summary
  const filtered =
    namespace !== null || workload !== null
      ? ' The list below holds a part of them only.'
      : of !== null && of !== 'all'
        ? ` The list below holds paths of ${CLASS_WORDS[of]}.`
        : ''
  return [
    headlineWords(summary),
    ...(figures.openNow === 0
      ? []
      : [
          `${countWords(figures.atSomeTime)} ${figures.atSomeTime === 1 ? 'was' : 'were'} at some time since ${dates.moment(period.from)}.`,
        ]),
    `${monitoredWords(summary)}${filtered}`,
  ]
    .filter((words) => words !== '')
    .join(' ')
}

function choicesOf(
  query: SiteQuery,
  judged: readonly PathClass[],
): readonly { readonly title: string; readonly choices: readonly Choice[] }[] {
  const own = parametersOf(query)
  const of = query.class
  return [
    { title: 'Period', choices: periodChoices('/paths', query) },
    {
      title: 'What was seen',
      choices: [
        {
          title: 'unencrypted and undetermined',
          href: hrefOf('/paths', { ...own, state: null }),
          isCurrent: query.state === null,
        },
        ...PATH_LISTS.map((state) => ({
          title: LISTED_WORDS[state],
          href: hrefOf('/paths', { ...own, state }),
          isCurrent: state === query.state,
        })),
      ],
    },
    {
      title: 'Whose paths',
      choices: [
        {
          title: `judged: ${judged.map((one) => CLASS_WORDS[one]).join(', ')}`,
          href: hrefOf('/paths', { ...own, class: null }),
          isCurrent: of === null,
        },
        ...PATH_CLASSES.filter((one) => !(judged.length === 1 && judged.includes(one))).map((one) => ({
          title: CLASS_WORDS[one],
          href: hrefOf('/paths', { ...own, class: one }),
          isCurrent: one === of,
        })),
        { title: 'all', href: hrefOf('/paths', { ...own, class: 'all' }), isCurrent: of === 'all' },
      ],
    },
  ]
}

/** A link that chooses something, and whether it is chosen. */
export type Choice = { readonly title: string; readonly href: string; readonly isCurrent: boolean }

/** The periods to choose from, each with the other filters as they are. */
export function periodChoices(path: string, query: SiteQuery): readonly Choice[] {
  return (Object.keys(SPANS) as PageSpan[]).map((span) => ({
    title: SPANS[span].words,
    href: hrefOf(path, { ...parametersOf(query), period: span === '13w' ? null : span }),
    isCurrent: span === query.period,
  }))
}

/** The namespaces to choose from, as they are shown, the asked one among them. */
export function namespaceChoices(
  namespaces: readonly string[],
  asked: string | null,
): readonly { readonly value: string; readonly isCurrent: boolean }[] {
  const known = new Set([...namespaces.map(printable), ...(asked === null ? [] : [asked])])
  known.delete('')
  return [...known].toSorted(compareText).map((value) => ({ value, isCurrent: value === asked }))
}

function groupView(
  wording: Wording,
  { namespace, paths }: PathGroup,
  onPage: ReadonlySet<ListedPath>,
  query: SiteQuery,
) {
  const shown = paths.filter((one) => onPage.has(one))
  const folded = query.state === null ? paths.filter(({ as }) => !SHOWN.has(as)) : []
  // Of pages after the first one, groups without a row say nothing new.
  if (shown.length === 0 && (folded.length === 0 || query.page > 1)) return null
  const open = paths.filter(isListedOpen).length
  const encrypted = folded.filter(({ as }) => as === 'encrypted').length
  const others = folded.length - encrypted
  return {
    title: namespace === '' ? 'outside of every namespace' : printable(namespace),
    note: open === 0 ? '' : `${countWords(open)} open`,
    rows: shown.map((one) => rowOf(wording, one, query.past)),
    more: [
      ...(encrypted === 0
        ? []
        : [`${countWords(encrypted)} ${shown.length > 0 ? 'more ' : ''}encrypted whenever seen`]),
      ...(others === 0 ? [] : [`${countWords(others)} exempt, refused or without traffic`]),
    ].join('; '),
    moreHref: hrefOf('/paths', {
      ...parametersOf(query),
      namespace: namespace === '' ? query.namespace : namespace,
      state: encrypted > 0 ? 'encrypted' : 'other',
    }),
  }
}

function rowOf(wording: Wording, listed: ListedPath, past: string | null) {
  const { summary } = wording
  const { path } = listed
  return {
    ...pathLink(path, presentMark(listed), past),
    cluster: summary.clusters.length > 1 ? printable(path.cluster) : '',
    strip: pathStrip(wording, path, false),
    since: unencryptedWords(wording, listed) ?? '–',
    owner: printable(summary.owners.get(pathKey(path)) ?? ''),
  }
}

/** What a path is now: nobody knows whether one that was open is still so, where it was not seen since. */
export function presentMark({ path, exposure, openUnseen }: ListedPath): Mark {
  if (openUnseen !== null) return 'unknown'
  return exposure?.isOpen === true ? exposure.mark : latestMark(path)
}

/** When a path was not encrypted; null for no time that is known of. */
export function unencryptedWords(wording: Wording, { path, exposure, openUnseen }: ListedPath): string | null {
  if (openUnseen !== null)
    return `open when last seen: ${sinceWords(path.cluster, openUnseen, wording.summary, wording.dates)}`
  return exposure === null ? null : exposureWords(wording, exposure)
}

/** Since when, or until when and how it ended. */
function exposureWords({ summary, dates }: Wording, exposure: Exposure): string {
  const last = exposure.episodes.at(-1)
  const again = exposure.episodes.length > 1 ? ', not for the first time' : ''
  const accepted = isWaived(exposure) ? '; accepted by a waiver' : ''
  if (exposure.isOpen && last !== undefined)
    return `${sinceWords(exposure.cluster, beganOf(exposure), summary, dates)}${again}${accepted}`
  if (last === undefined || last.endedAt === null)
    return `until ${dates.moment(exposure.last)}, start unknown${accepted}`
  return `until ${dates.moment(last.endedAt)}${last.ending === null ? '' : `; ${endingWords(last.ending, exposure)}`}${again}${accepted}`
}

function noneWords({ summary }: Wording, query: SiteQuery): string {
  if (summary.clusters.length === 0) return 'No cluster may be seen here, or none is registered.'
  if (summary.collectedWindows === 0)
    return 'Nothing was collected in this period, so the state of every path is unknown.'
  return query.state === 'unencrypted' || query.state === null
    ? 'No path of these was seen unencrypted or undetermined. This says nothing about what was not seen.'
    : 'No path of these was seen so in this period.'
}

/** The rows behind the strips, from the API. */
function apiOf({ from, to }: { readonly from: string; readonly to: string }, query: SiteQuery): string {
  const search = new URLSearchParams({ from, to })
  const { cluster, namespace, workload } = parametersOf(query)
  for (const [name, value] of Object.entries({ cluster, namespace, workload }))
    if (value !== null && value !== undefined) search.set(name, value)
  return `/v1/paths?${search.toString()}`
}

/** In the place of rows, where there are some on earlier pages: no row is not no path. */
export const PAST_LAST_PAGE = 'This page is past the last one: the rows are on the pages before it.'

/** Links to the page of a list before and the one after. */
export function pagesOf(
  path: string,
  { rows, perPage }: { readonly rows: number; readonly perPage: number },
  query: SiteQuery,
): readonly { readonly href: string; readonly title: string }[] {
  const own = parametersOf(query)
  const pages = Math.ceil(rows / perPage)
  const at = (page: number): string => hrefOf(path, { ...own, page: page === 1 ? null : String(page) })
  return [
    ...(query.page > 1 ? [{ href: at(query.page - 1), title: 'Previous page' }] : []),
    ...(query.page < pages
      ? [{ href: at(query.page + 1), title: `Next page (${countWords(query.page + 1)} of ${countWords(pages)})` }]
      : []),
  ]
}

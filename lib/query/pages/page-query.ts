/** What a page is asked by its address: filters, a period, and a time to look back from. */
import { PATH_CLASSES, type PathClass } from '../../model/path.ts'
import { PATH_CHANGE_KINDS, type PathChangeKind } from '../../report/summary/change-summary.ts'
import { isClusterId } from '../../store/keys.ts'
import { printable } from '../../text/printable.ts'
import { YEARS, parseTime, toSeconds } from '../../time/windows.ts'
import { ProblemError, badParameter, quoted } from '../problem.ts'

/** How long back a page looks, by the word in its address: in days, and as people say it. */
export const SPANS = {
  '1d': { days: 1, words: '24 hours' },
  '7d': { days: 7, words: '7 days' },
  '4w': { days: 28, words: '4 weeks' },
  '13w': { days: 91, words: '13 weeks' },
  '1y': { days: 365, words: 'a year' },
} as const

/** The word of a span. */
export type PageSpan = keyof typeof SPANS

/** Which paths are listed by what was seen of them in the period; see `paths-page.ts`. */
export const PATH_LISTS = ['unencrypted', 'undetermined', 'encrypted', 'other'] as const

/** One of {@link PATH_LISTS}. */
export type PathList = (typeof PATH_LISTS)[number]

/** What a page is asked, checked. Absent: all. */
export type SiteQuery = {
  /** Up to when is looked: the asked time, or now. */
  readonly at: Date
  /** The asked time as it was written; null for now. */
  readonly past: string | null
  readonly period: PageSpan
  readonly cluster: string | null
  /** As `printable` shows it, as a workload's name is: a page repeats what was asked. A name of a path matches if it is shown so. */
  readonly namespace: string | null
  readonly workload: { readonly kind?: string; readonly name: string } | null
  readonly state: PathList | null
  readonly class: PathClass | 'all' | null
  /** The periods that are compared, as they were written: an earlier and a later one. */
  readonly from: string | null
  readonly to: string | null
  /** An earlier time to compare with, RFC 3339. */
  readonly before: string | null
  readonly change: PathChangeKind | null
  /** From 1. */
  readonly page: number
}

/** Longer than any name that Kubernetes allows. */
const MAX_NAME_LENGTH = 300

const PARAMETERS = [
  'at',
  'before',
  'period',
  'from',
  'to',
  'cluster',
  'namespace',
  'workload',
  'state',
  'class',
  'change',
  'page',
] as const

/** The name of a parameter of a page. */
export type PageParameter = (typeof PARAMETERS)[number]

/**
 * Reads the parameters of a page. An empty one is an absent one, as forms send them. Throws a `ProblemError` that names the parameter: an unknown one may be a filter
 * that somebody relies on.
 */
export function readSiteQuery(search: URLSearchParams, now: Date): SiteQuery {
  const given: Partial<Record<PageParameter, string>> = {}
  for (const [name, value] of search) {
    const known = PARAMETERS.find((one) => one === name)
    if (known === undefined)
      throw new ProblemError(
        'bad-parameter',
        `Cannot use parameter ${quoted(name)}: known are ${PARAMETERS.join(', ')}`,
        name,
      )
    if (given[known] !== undefined)
      throw new ProblemError('bad-parameter', `Cannot use parameter "${known}" twice: wanted it once`, known)
    if (value !== '') given[known] = value
  }
  const { at, period, cluster, namespace, workload, state, from, to, change, page } = given
  for (const name of ['namespace', 'workload', 'from', 'to'] as const)
    if ((given[name]?.length ?? 0) > MAX_NAME_LENGTH)
      throw badParameter(name, given[name] ?? '', `a name of at most ${MAX_NAME_LENGTH} characters`)
  if (cluster !== undefined && !isClusterId(cluster))
    throw badParameter('cluster', cluster, 'the id of a cluster: 1 to 63 of a-z, 0-9 and "-"')
  return {
    ...timeOf(at, now),
    period: oneOf('period', period, Object.keys(SPANS) as PageSpan[]) ?? '13w',
    cluster: cluster ?? null,
    namespace: namespace === undefined ? null : printable(namespace),
    workload: workload === undefined ? null : workloadOf(printable(workload)),
    state: oneOf('state', state, PATH_LISTS),
    class: oneOf('class', given.class, ['all', ...PATH_CLASSES] as const),
    before: given.before === undefined ? null : timeText('before', given.before),
    from: from ?? null,
    to: to ?? null,
    change: oneOf('change', change, PATH_CHANGE_KINDS),
    page: pageOf(page),
  }
}

function timeOf(text: string | undefined, now: Date): Pick<SiteQuery, 'at' | 'past'> {
  if (text === undefined) return { at: now, past: null }
  const parsed = timeText('at', text)
  const at = new Date(toSeconds(parsed) * 1000)
  return at.getTime() < now.getTime() ? { at, past: parsed } : { at: now, past: null }
}

/** What a field for date and time of a browser sends has no zone: all times here are UTC. */
function timeText(name: PageParameter, text: string): string {
  const parsed = parseTime(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(text) ? `${text}Z` : text)
  if (parsed === undefined)
    throw badParameter(name, text, `a time such as 2026-11-24T12:30:00Z, or a UTC date, ${YEARS}`)
  return parsed
}

function workloadOf(text: string): NonNullable<SiteQuery['workload']> {
  const [, kind, name] = /^([a-z]+)\/(.+)$/s.exec(text) ?? []
  return kind === undefined || name === undefined ? { name: text } : { kind, name }
}

function oneOf<Word extends string>(name: string, text: string | undefined, words: readonly Word[]): Word | null {
  if (text === undefined) return null
  const word = words.find((one) => one === text)
  if (word === undefined) throw badParameter(name, text, `one of ${words.join(', ')}`)
  return word
}

function pageOf(text: string | undefined): number {
  if (text === undefined) return 1
  if (!/^[1-9]\d{0,4}$/.test(text)) throw badParameter('page', text, 'a number from 1 on')
  return Number(text)
}

/** An address with parameters; those that are null or empty are left out. */
export function hrefOf(path: string, parameters: Readonly<Partial<Record<PageParameter, string | null>>>): string {
  const search = new URLSearchParams()
  for (const name of PARAMETERS) {
    const value = parameters[name] ?? ''
    if (value !== '') search.set(name, value)
  }
  const text = search.toString()
  return text === '' ? path : `${path}?${text}`
}

/** The parameters of a query as its address has them, so that a link can change one and keep the rest. */
export function parametersOf(query: SiteQuery): Readonly<Partial<Record<PageParameter, string | null>>> {
  const { past, period, cluster, namespace, workload, state, class: of, from, to, change, before } = query
  return {
    at: past,
    before,
    period: period === '13w' ? null : period,
    cluster,
    namespace,
    workload: workload === null ? null : [workload.kind, workload.name].filter((part) => part !== undefined).join('/'),
    state,
    class: of,
    from,
    to,
    change,
  }
}

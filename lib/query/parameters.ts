import * as z from 'zod'
import { SETTLE_SECONDS, parseTime, toSeconds, toTime } from '../time/windows.ts'
import { STATES } from '../model/path.ts'
import type { State } from '../model/path.ts'
import { isClusterId } from '../store/keys.ts'
import { type Cursor, MAX_ITEMS, USUAL_ITEMS, decodeCursor } from './page.ts'
import { ProblemError, badParameter, quoted } from './problem.ts'

/** The longest period of one question: thirteen months and a few days. */
const MAX_DAYS = 400

/** The period where nobody says when it begins. */
const USUAL_DAYS = 31

const DAY_SECONDS = 24 * 60 * 60

/** The smallest window: all windows end at a multiple of it. */
const TILE_SECONDS = 5 * 60

/** Longer than any name that Kubernetes allows. */
const MAX_NAME_LENGTH = 300

/** What a parameter must be, in words, where it is not. */
const WANTED = {
  cluster: 'the id of a cluster: 1 to 63 of a-z, 0-9 and "-"',
  namespace: `a name of at most ${MAX_NAME_LENGTH} characters`,
  workload: `a name or kind/name, such as deployment/web, of at most ${MAX_NAME_LENGTH} characters`,
  state: `one of ${['not-encrypted', ...STATES].join(', ')}`,
  from: 'a time with its zone, such as 2026-11-24T12:30:00Z, or a UTC date',
  to: 'a time with its zone, such as 2026-11-24T12:30:00Z, or a UTC date',
  limit: `a number from 1 to ${MAX_ITEMS}`,
  cursor: 'one that came with an earlier page, as it was',
} as const

type ParameterName = keyof typeof WANTED

const name = z.string().min(1).max(MAX_NAME_LENGTH)
const time = z.string().transform((text, context) => {
  const parsed = parseTime(text)
  if (parsed !== undefined) return parsed
  context.addIssue('no time')
  return z.NEVER
})

/** How each parameter is read. Only `cluster` may be repeated. */
const FIELDS = {
  cluster: z.array(z.string().refine(isClusterId)).exactOptional(),
  namespace: name.exactOptional(),
  workload: name
    .transform((text) => {
      const [, kind, rest] = /^([a-z]+)\/(.+)$/s.exec(text) ?? []
      return kind === undefined || rest === undefined ? { name: text } : { kind, name: rest }
    })
    .exactOptional(),
  state: z.enum(['not-encrypted', ...STATES]).exactOptional(),
  from: time.exactOptional(),
  to: time.exactOptional(),
  limit: z
    .string()
    .regex(/^[1-9]\d{0,3}$/)
    .transform(Number)
    .refine((limit) => limit <= MAX_ITEMS)
    .exactOptional(),
  cursor: z.string().exactOptional(),
} satisfies Readonly<Record<ParameterName, z.ZodType>>

/** What decides one page. */
export type PageParameters = { readonly limit: number; readonly cursor: Cursor | undefined }

/** What `/v1/paths` is asked. */
export type PathsQuery = PageParameters & {
  /** Ids, each once and sorted; absent: all that may be seen. */
  readonly clusters: readonly string[] | undefined
  readonly namespace: string | undefined
  readonly workload: { readonly kind?: string; readonly name: string } | undefined
  readonly state: State | 'not-encrypted' | undefined
  /** The windows whose end lies in `(from, to]`, RFC 3339. */
  readonly from: string
  readonly to: string
}

/**
 * Reads the parameters of `/v1/paths`. No period ends later than the latest window that can be collected, as it stood with the first page: what is to come
 * must not count as collected. Throws a `ProblemError` that names the parameter.
 */
export function readPathsQuery(search: URLSearchParams, now: Date): PathsQuery {
  const { cluster, cursor: text, limit = USUAL_ITEMS, ...given } = read(search, ...PATHS_PARAMETERS)
  const cursor = text === undefined ? undefined : decodeCursor(text)
  const { from, to } = periodOf(given, cursor, now)
  if (toSeconds(from) >= toSeconds(to)) throw badParameter('from', from, `a time before ${to}`)
  if (toSeconds(to) - toSeconds(from) > MAX_DAYS * DAY_SECONDS)
    throw badParameter('from', from, `a period of at most ${MAX_DAYS} days, up to ${to}`)
  return {
    clusters: cluster === undefined ? undefined : [...new Set(cluster)].sort(),
    namespace: given.namespace,
    workload: given.workload,
    state: given.state,
    from,
    to,
    limit,
    cursor,
  }
}

const PATHS_PARAMETERS = ['cluster', 'namespace', 'workload', 'state', 'from', 'to', 'limit', 'cursor'] as const

/** What `/v1/clusters` is asked: what is known of them is told of the latest {@link USUAL_DAYS}. */
export type ClustersQuery = PageParameters & { readonly from: string; readonly to: string }

/** Reads the parameters of `/v1/clusters`. Throws a `ProblemError` that names the parameter. */
export function readClustersQuery(search: URLSearchParams, now: Date): ClustersQuery {
  const page = readPageQuery(search)
  return { ...page, ...periodOf({}, page.cursor, now) }
}

/** The asked period, up to the latest window that can be collected or could be with the first page. */
function periodOf(
  asked: { readonly from?: string; readonly to?: string },
  cursor: Cursor | undefined,
  now: Date,
): { readonly from: string; readonly to: string } {
  const ceiling = cursor?.u ?? settledBefore(now)
  const to = asked.to === undefined || asked.to > ceiling ? ceiling : asked.to
  return { from: asked.from ?? toTime(toSeconds(to) - USUAL_DAYS * DAY_SECONDS), to }
}

/** Reads the parameters of a list that has pages and no filter. Throws a `ProblemError` that names the parameter. */
export function readPageQuery(search: URLSearchParams): PageParameters {
  const { limit = USUAL_ITEMS, cursor } = read(search, 'limit', 'cursor')
  return { limit, cursor: cursor === undefined ? undefined : decodeCursor(cursor) }
}

/** Reads a question that takes no parameters. Throws a `ProblemError` that names one. */
export function readNoQuery(search: URLSearchParams): void {
  read(search)
}

/** The end of the latest windows, whatever their size, that can be collected by now. */
export function settledBefore(now: Date): string {
  const seconds = now.getTime() / 1000 - SETTLE_SECONDS
  return toTime(Math.floor(seconds / TILE_SECONDS) * TILE_SECONDS)
}

type Fields = { readonly [Name in ParameterName]?: z.output<(typeof FIELDS)[Name]> }

function read<Name extends ParameterName>(search: URLSearchParams, ...names: readonly Name[]): Pick<Fields, Name> {
  const known: readonly string[] = names
  const values: Partial<Record<string, string | string[]>> = {}
  for (const parameter of new Set(search.keys())) {
    if (!known.includes(parameter))
      throw new ProblemError(
        'bad-parameter',
        `Cannot use parameter ${quoted(parameter)}: ${names.length === 0 ? 'there is none here' : `known are ${names.join(', ')}`}`,
        parameter,
      )
    const [first = '', ...others] = search.getAll(parameter)
    if (parameter !== 'cluster' && others.length > 0)
      throw new ProblemError('bad-parameter', `Cannot use parameter "${parameter}" twice: wanted it once`, parameter)
    values[parameter] = parameter === 'cluster' ? [first, ...others] : first
  }
  const fields = z.object(FIELDS).safeParse(values)
  if (fields.success) return fields.data
  const [issue] = fields.error.issues
  const blamed = names.find((one) => one === issue?.path[0])
  if (blamed === undefined) throw fields.error
  const value = values[blamed]
  const at = issue?.path[1]
  throw badParameter(blamed, Array.isArray(value) ? (value[Number(at)] ?? '') : (value ?? ''), WANTED[blamed])
}

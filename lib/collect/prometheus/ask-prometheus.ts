import { AnswerError, type Series, parseAnswer } from '../../observed/answers.ts'
import { jsonSize } from '../../observed/budget.ts'
import type { PrometheusApi } from '../cluster/apis.ts'
import { SourceError } from '../../net/errors.ts'

/** An answer of Prometheus: its text as received, its series, and its number of JSON values. */
export type PrometheusAnswer = { readonly body: string; readonly series: readonly Series[]; readonly values: number }

/** A query at one time. */
export type InstantQuery = {
  /** Its purpose, after "Cannot ": `query connections of cluster "prod"`. */
  readonly what: string
  readonly query: string
  /** Seconds since the epoch, as decimal text; undefined: Prometheus' own now. */
  readonly time: string | undefined
  /** Its values are moments that proxies report, which may be invalid: they are then NaN, and no error. */
  readonly isStated?: boolean
}

/** A query over a range of time. */
export type RangeQuery = {
  readonly what: string
  readonly query: string
  /** Seconds since the epoch, as decimal text; both ends are included. */
  readonly start: string
  readonly end: string
  /** Seconds, as decimal text. */
  readonly step: string
}

/** Queries values at one time; with a range selector, the samples before it. Throws SourceError. */
export function queryInstant(
  api: PrometheusApi,
  { what, query, time, isStated = false }: InstantQuery,
): Promise<PrometheusAnswer> {
  const parameters = new URLSearchParams(time === undefined ? { query } : { query, time })
  return ask(api, '/api/v1/query', parameters, { what, isStated })
}

/** Queries values at each step of a range. Throws SourceError. */
export function queryRange(
  api: PrometheusApi,
  { what, query, start, end, step }: RangeQuery,
): Promise<PrometheusAnswer> {
  return ask(api, '/api/v1/query_range', new URLSearchParams({ query, start, end, step }), { what, isStated: false })
}

async function ask(
  api: PrometheusApi,
  path: string,
  parameters: URLSearchParams,
  { what, isStated }: { readonly what: string; readonly isStated: boolean },
): Promise<PrometheusAnswer> {
  const body = await api.ask('POST', path, parameters, { what }).catch((error: unknown) => {
    // Queries are long, hence POST; but some proxies in front of Prometheus allow only GET.
    const getOnly = error instanceof SourceError && (error.status === 404 || error.status === 405)
    if (!getOnly) throw error
    return api.ask('GET', path, parameters, { what })
  })
  const { values, excess } = jsonSize(body)
  if (excess !== null)
    throw new SourceError({ source: 'metrics', what }, 'too-large', `the answer of Prometheus has ${excess}`, {
      status: 200,
    })
  try {
    return { body, series: parseAnswer(body, isStated), values }
  } catch (error) {
    if (!(error instanceof AnswerError)) throw error
    throw new SourceError({ source: 'metrics', what }, 'malformed', error.message, { status: 200 })
  }
}

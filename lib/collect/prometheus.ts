import type { Sample } from './activity.ts'
import type { PrometheusApi } from './cluster.ts'
import { SourceError } from './http.ts'
import { oneLine } from './text.ts'

/** One series of an answer. */
export type Series = {
  /** As Prometheus gave them, with `__name__` where there is one. Prometheus drops empty labels. */
  readonly labels: Readonly<Record<string, string>>
  /** Oldest first: one for a vector or a scalar, one or more for a matrix. */
  readonly samples: readonly Sample[]
}

/** An answer of Prometheus: its text as received, and what it says. */
export type Answer = { readonly body: string; readonly series: readonly Series[] }

/** An answer that is none, or that says less than was asked. The message is one line and reads on from "Cannot ...: ". */
export class AnswerError extends Error {
  override readonly name = 'AnswerError'
}

export type InstantQuery = {
  /** What it is for, after "Cannot ": `query connections of cluster "prod"`. */
  readonly what: string
  readonly query: string
  /** Seconds since the epoch, as decimal text. */
  readonly time: string
}

export type RangeQuery = {
  readonly what: string
  readonly query: string
  /** Seconds since the epoch, as decimal text; both ends belong to the range. */
  readonly start: string
  readonly end: string
  /** Seconds, as decimal text. */
  readonly step: string
}

/** Asks for values at one time; with a range selector, for the samples before it. Throws SourceError. */
export function queryInstant(api: PrometheusApi, { what, query, time }: InstantQuery): Promise<Answer> {
  return ask(api, '/api/v1/query', new URLSearchParams({ query, time }), what)
}

/** Asks for values at each step of a range. Throws SourceError. */
export function queryRange(api: PrometheusApi, { what, query, start, end, step }: RangeQuery): Promise<Answer> {
  return ask(api, '/api/v1/query_range', new URLSearchParams({ query, start, end, step }), what)
}

async function ask(api: PrometheusApi, path: string, parameters: URLSearchParams, what: string): Promise<Answer> {
  const body = await api.ask('POST', path, parameters, { what }).catch((error: unknown) => {
    // Queries are long, hence POST; but some proxies in front of Prometheus let only GET pass.
    const getOnly = error instanceof SourceError && (error.status === 404 || error.status === 405)
    if (!getOnly) throw error
    return api.ask('GET', path, parameters, { what })
  })
  try {
    return { body, series: parseAnswer(body) }
  } catch (error) {
    if (!(error instanceof AnswerError)) throw error
    throw new SourceError({ source: 'metrics', what }, 'malformed', error.message, { status: 200 })
  }
}

/**
 * Reads the text of an answer. Part of an answer is no answer: a status other than success, a warning (a store that did not
 * answer, say), a value that is no finite number and a series without labels are errors, as is anything that is not such an
 * answer at all.
 *
 * @throws AnswerError
 */
export function parseAnswer(body: string): Series[] {
  const answer = toObject(parseJson(body), 'it is no JSON object')
  if (answer['status'] !== 'success') {
    const said = typeof answer['error'] === 'string' ? `, it says "${oneLine(answer['error'])}"` : ''
    throw new AnswerError(`the answer of Prometheus has the status "${oneLine(String(answer['status']))}"${said}`)
  }
  const warnings = answer['warnings']
  if (Array.isArray(warnings) ? warnings.length > 0 : warnings !== undefined && warnings !== null)
    throw new AnswerError(`Prometheus warns that its answer may not be whole: "${oneLine(textOf(warnings))}"`)
  const data = toObject(answer['data'], 'it has no data')
  const { resultType, result } = data
  if (!Array.isArray(result)) throw malformed('it has no result')
  if (resultType === 'scalar') return [{ labels: {}, samples: [toSample(result)] }]
  if (resultType === 'vector') return result.map(toInstantSeries)
  if (resultType === 'matrix') return result.map(toRangeSeries)
  throw malformed(`its result is of type "${oneLine(String(resultType))}"`)
}

type Fields = Readonly<Record<string, unknown>> & { readonly resultType?: unknown; readonly result?: unknown }

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw malformed('it is cut or no JSON')
  }
}

function toObject(value: unknown, problem: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(problem)
  return value as Fields
}

function malformed(problem: string): AnswerError {
  return new AnswerError(`the answer of Prometheus cannot be read: ${problem}`)
}

function toInstantSeries(value: unknown): Series {
  const series = toObject(value, 'a series is no object')
  return { labels: toLabels(series['metric']), samples: [toSample(series['value'])] }
}

function toRangeSeries(value: unknown): Series {
  const series = toObject(value, 'a series is no object')
  const labels = toLabels(series['metric'])
  const values = series['values']
  if (!Array.isArray(values) || values.length === 0) throw malformed('a series has no values')
  let previous = -Infinity
  const samples = values.map((pair) => {
    const sample = toSample(pair)
    if (sample.time <= previous) throw malformed('the samples of a series are not in the order of time')
    previous = sample.time
    return sample
  })
  return { labels, samples }
}

function toLabels(metric: unknown): Readonly<Record<string, string>> {
  const labels = toObject(metric, 'a series has no metric')
  for (const name in labels) if (typeof labels[name] !== 'string') throw malformed('a label is no text')
  return labels as Readonly<Record<string, string>>
}

/** As Prometheus prints numbers; `Number()` alone would read an empty text as 0. */
const FINITE = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

function toSample(pair: unknown): Sample {
  if (!Array.isArray(pair) || pair.length !== 2) throw malformed('a sample is not a pair of time and value')
  const [time, text]: unknown[] = pair
  if (typeof time !== 'number' || !Number.isFinite(time)) throw malformed('the time of a sample is no number')
  if (typeof text !== 'string') throw malformed('the value of a sample is no text')
  const value = Number(text)
  if (!FINITE.test(text) || !Number.isFinite(value))
    throw malformed(`the value of a sample is "${oneLine(text)}", not a finite number`)
  return { time, value }
}

/** The first text of a list of them; empty where there is none. */
function textOf(values: unknown): string {
  const [first]: unknown[] = Array.isArray(values) ? values : [values]
  return typeof first === 'string' ? first : ''
}

import type { Sample } from './activity.ts'
import { oneLine } from '../text/redact.ts'
import { budget, exceeds } from './budget.ts'
import { isMoment } from '../time/windows.ts'

/** One series of an answer. */
export type Series = {
  /** As Prometheus returned them, with `__name__` if there is one. Prometheus drops empty labels. */
  readonly labels: Readonly<Record<string, string>>
  /** Oldest first: one for a vector or a scalar, one or more for a matrix. */
  readonly samples: readonly Sample[]
}

/** An invalid or incomplete answer. The message is one line and continues "Cannot ...: ". */
export class AnswerError extends Error {
  override readonly name = 'AnswerError'
}

/** Linkerd's counters wrap there, and no other queried number is as large. Sums of a million such values are still finite. */
const MAX_VALUE = 2 ** 53

/**
 * Parses an answer. A partial answer is an error: a status other than success, a warning (for example about an unreachable store), an impossible value (not
 * finite, above 2^53, or a raw sample below 0), a time outside the years 1970 to 9999, or a series without labels.
 *
 * @param isStated each value is a time that a proxy reports: it is NaN if it is not a number, and the user of the value checks whether it is possible
 * @throws AnswerError
 */
export function parseAnswer(body: string, isStated = false): Series[] {
  const answer = toObject(parseJson(body), 'it is no JSON object')
  if (answer['status'] !== 'success') {
    const said = typeof answer['error'] === 'string' ? `, it says "${oneLine(answer['error'])}"` : ''
    throw new AnswerError(`the answer of Prometheus has the status "${oneLine(textOf(answer['status']))}"${said}`)
  }
  const warnings = answer['warnings']
  if (Array.isArray(warnings) ? warnings.length > 0 : warnings !== undefined && warnings !== null)
    throw new AnswerError(`Prometheus warns that its answer may not be whole: "${oneLine(textOf(warnings))}"`)
  const data = toObject(answer['data'], 'it has no data')
  const { resultType, result } = data
  if (!Array.isArray(result)) throw malformed('it has no result')
  if (resultType === 'scalar') return [{ labels: {}, samples: [toSample(result, {}, isStated)] }]
  refuseExcess(result)
  if (resultType === 'vector') return result.map((series) => toInstantSeries(series, isStated))
  if (resultType === 'matrix') return result.map((series) => toRangeSeries(series, isStated))
  throw malformed(`its result is of type "${oneLine(textOf(resultType))}"`)
}

/** Throws if an answer exceeds its {@link budget}. */
function refuseExcess(result: readonly unknown[]): void {
  if (result.length > budget().series)
    throw new AnswerError(`the answer of Prometheus has ${exceeds('series', { atLeast: result.length })}`)
  let samples = 0
  for (const series of result) {
    const values: unknown = (series as { readonly values?: unknown } | null)?.values
    samples += Array.isArray(values) ? values.length : 1
  }
  if (samples > budget().samples)
    throw new AnswerError(`the answer of Prometheus has ${exceeds('samples', { atLeast: samples })}`)
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

function toInstantSeries(value: unknown, isStated: boolean): Series {
  const series = toObject(value, 'a series is no object')
  const labels = toLabels(series['metric'])
  return { labels, samples: [toSample(series['value'], labels, isStated)] }
}

function toRangeSeries(value: unknown, isStated: boolean): Series {
  const series = toObject(value, 'a series is no object')
  const labels = toLabels(series['metric'])
  const values = series['values']
  if (!Array.isArray(values) || values.length === 0) throw malformed('a series has no values')
  let previous = -Infinity
  const samples = values.map((pair) => {
    const sample = toSample(pair, labels, isStated)
    // A reduced value may be a difference; counters, gauges and times are never below 0.
    if (sample.value < 0 && !isStated) throw malformed(`the value of a sample is below 0${ofWhom(labels)}`)
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

/** Prometheus's number format; `Number()` alone would read an empty text as 0. */
const FINITE = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

function toSample(pair: unknown, labels: Series['labels'], isStated: boolean): Sample {
  if (!Array.isArray(pair) || pair.length !== 2) throw malformed('a sample is not a pair of time and value')
  const [time, text]: unknown[] = pair
  if (typeof time !== 'number' || !Number.isFinite(time)) throw malformed('the time of a sample is no number')
  if (!isMoment(time)) throw malformed(`the time of a sample is ${time}, which is in no year from 1970 to 9999`)
  if (typeof text !== 'string') throw malformed('the value of a sample is no text')
  const value = Number(text)
  const isNumber = FINITE.test(text) && Number.isFinite(value)
  if (isStated) return { time, value: isNumber ? value : NaN }
  if (!isNumber) throw malformed(`the value of a sample is "${oneLine(text)}", not a finite number${ofWhom(labels)}`)
  if (Math.abs(value) > MAX_VALUE)
    throw malformed(`the value of a sample is ${value}, more than any counter shows${ofWhom(labels)}`)
  return { time, value }
}

/** Names the pod or instance that wrote a bad value; empty if the labels do not name it. */
function ofWhom({ namespace, pod, instance }: Series['labels']): string {
  const who = pod === undefined ? instance : namespace === undefined ? pod : `${namespace}/${pod}`
  return who === undefined ? '' : ` (of ${oneLine(who)})`
}

/** Returns the first text of a list; empty if there is none. */
function textOf(values: unknown): string {
  const [first]: unknown[] = Array.isArray(values) ? values : [values]
  return typeof first === 'string' ? first : ''
}

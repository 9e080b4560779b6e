import type { Series } from './answers.ts'
import { TCP_COUNTERS, AUTHORIZED_COUNTERS } from './prometheus-queries.ts'
import { oneLine } from '../text/redact.ts'

/** A proxy's metrics page that cannot be read. The message continues "its page ". */
export class PageError extends Error {
  override readonly name = 'PageError'
}

/** Series of one page: the labels as the proxy wrote them, with the metric's name as `__name__`, and the one value. */
export type PageSeries = { readonly labels: Series['labels']; readonly value: number }

/** Start time of the proxy's process: without it, a restart between two pages would look like silence. */
const PROCESS_START = 'process_start_time_seconds'

const CERTIFICATE_END = 'control_identity_cert_expiration_timestamp_seconds'

/** Metrics kept from a page: only those that decide (no histograms, memory or route latencies). */
const KEPT: ReadonlySet<string> = new Set([
  ...TCP_COUNTERS,
  ...AUTHORIZED_COUNTERS,
  'request_total',
  PROCESS_START,
  'rustls_info',
  'proxy_build_info',
  CERTIFICATE_END,
])

/** Metrics whose values are times that the proxy reports. */
const MOMENTS: ReadonlySet<string> = new Set([PROCESS_START, CERTIFICATE_END])

const MAX_SERIES = 100_000
/** Linkerd's counters wrap there. */
const MAX_VALUE = 2 ** 53
const MAX_LINE_LENGTH = 32 * 1024

/** Keeps the lines of metrics that decide, each exactly as received and in order, and drops all others. Idempotent. */
export function reducePage(page: string): string {
  let kept = ''
  for (const line of linesOf(page)) if (KEPT.has(nameOf(line))) kept += `${line}\n`
  return kept
}

function* linesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length;) {
    const end = text.indexOf('\n', from)
    const to = end === -1 ? text.length : end
    yield text.slice(from, to)
    from = to + 1
  }
}

/** Returns the metric name of a line; empty for comments and anything else. */
function nameOf(line: string): string {
  return /^[a-zA-Z_:][\w:]{0,200}/.exec(line)?.[0] ?? ''
}

/** A label in the text format. Anything else is refused, never guessed. */
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(,|(?=\}))/y
const VALUE = /^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

/**
 * Parses a page, reduced or not: its kept series, each once, and the start of the process.
 *
 * @throws PageError if any line of a kept metric violates the text format: half a page may be only the encrypted half
 */
export function parsePage(page: string): { readonly series: readonly PageSeries[]; readonly processStart: number } {
  const series: PageSeries[] = []
  const seen = new Set<string>()
  let processStart: number | undefined
  for (const line of linesOf(page)) {
    const name = nameOf(line)
    if (!KEPT.has(name)) continue
    if (series.length >= MAX_SERIES) throw new PageError(`has more than ${MAX_SERIES} series`)
    const one = parseLine(line, name)
    const key = JSON.stringify(Object.entries(one.labels).sort(([a], [b]) => (a < b ? -1 : 1)))
    if (seen.has(key)) throw new PageError(`has the series ${oneLine(line)} twice`)
    seen.add(key)
    if (name === PROCESS_START) processStart = one.value
    series.push(one)
  }
  if (processStart === undefined) throw new PageError(`has no ${PROCESS_START}, is it a Linkerd proxy's?`)
  return { series, processStart }
}

function parseLine(line: string, name: string): PageSeries {
  const malformed = (): PageError => new PageError(`has a line that cannot be read: ${oneLine(line)}`)
  if (line.length > MAX_LINE_LENGTH) throw malformed()
  // No prototype, so that any label name is safe.
  const labels: Record<string, string> = Object.assign(Object.create(null) as Record<string, string>, {
    __name__: name,
  })
  let at = name.length
  if (line[at] === '{') {
    at += 1
    for (let more = line[at] !== '}'; more;) {
      LABEL.lastIndex = at
      const [whole, label, text, after] = LABEL.exec(line) ?? []
      if (whole === undefined || label === undefined || text === undefined) throw malformed()
      if (Object.hasOwn(labels, label)) throw malformed()
      labels[label] = text.replaceAll(/\\(["\\n])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
      at += whole.length
      more = after === ',' && line[at] !== '}'
    }
    if (line[at] !== '}') throw malformed()
    at += 1
  }
  if (line[at] !== ' ') throw malformed()
  const text = line.slice(at + 1)
  const value = Number(text)
  if (!VALUE.test(text) || !Number.isFinite(value)) throw malformed()
  // Impossible times are ignored when used; counts decide, so impossible ones are refused.
  if (value > MAX_VALUE && !MOMENTS.has(name)) throw malformed()
  // As in Prometheus, an empty label is absent.
  return { labels: Object.fromEntries(Object.entries(labels).filter(([, content]) => content !== '')), value }
}

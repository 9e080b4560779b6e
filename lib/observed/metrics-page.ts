import type { Series } from './answers.ts'
import { TCP_COUNTERS, AUTHORIZED_COUNTERS } from './prometheus-queries.ts'
import { oneLine } from '../text/redact.ts'

/** A proxy's metrics page that cannot be read. The message reads on from "its page ". */
export class PageError extends Error {
  override readonly name = 'PageError'
}

/** Series of one page: the labels as the proxy wrote them, with the metric's name as `__name__`, and the one value. */
export type PageSeries = { readonly labels: Series['labels']; readonly value: number }

/** When the proxy's process began: without it, a restart between two pages could not be told from silence. */
const PROCESS_START = 'process_start_time_seconds'

const CERTIFICATE_END = 'control_identity_cert_expiration_timestamp_seconds'

/** What is kept of a page: everything that decides, and nothing else (no histogram, no memory, no routes' latencies). */
const KEPT: ReadonlySet<string> = new Set([
  ...TCP_COUNTERS,
  ...AUTHORIZED_COUNTERS,
  'request_total',
  PROCESS_START,
  'rustls_info',
  'proxy_build_info',
  CERTIFICATE_END,
])

/** Moments that the proxy states. */
const MOMENTS: ReadonlySet<string> = new Set([PROCESS_START, CERTIFICATE_END])

const MAX_SERIES = 100_000
/** Linkerd's counters begin again there. */
const MAX_VALUE = 2 ** 53
const MAX_LINE_LENGTH = 32 * 1024

/**
 * The reducer of pages: keeps the lines of the metrics that decide, each exactly as received and in its order, and drops all others. Reducing what
 * was reduced before changes nothing.
 */
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

/** The metric that a line is of; empty for comments and what is none. */
function nameOf(line: string): string {
  return /^[a-zA-Z_:][\w:]{0,200}/.exec(line)?.[0] ?? ''
}

/** As the text format has it; what does not fit is refused, never guessed at. */
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(,|(?=\}))/y
const VALUE = /^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

/**
 * Reads a page, reduced or not: its kept series, each once, and when the process began.
 *
 * @throws PageError where any line of a kept metric is not exactly what the text format allows: half a page may be the half that is encrypted
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
  // Whatever a label is called, it is a label.
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
  // A moment that can be none is left out where it is used; a count decides.
  if (value > MAX_VALUE && !MOMENTS.has(name)) throw malformed()
  // Empty is absent, as Prometheus has it.
  return { labels: Object.fromEntries(Object.entries(labels).filter(([, content]) => content !== '')), value }
}

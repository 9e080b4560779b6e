import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { createGunzip, gzipSync } from 'node:zlib'
import { listenOnLoopback } from './loopback.ts'
import type { ReplayServer } from './replay-kubernetes.ts'
import type { ReplayAnswer } from './replay-answer.ts'

/**
 * One recorded answer of Prometheus: the parameters of an instant query (`query`, `time`) or of a range (`query`, `start`,
 * `end`, `step`), and the body exactly as received. A file of them is gzipped NDJSON.
 */
export type PrometheusRecord = Readonly<Record<string, string>> & { readonly query: string; readonly body: string }

/** Writes recorded answers; equal records give equal bytes, in any order. */
export async function writeRecords(file: string, records: readonly PrometheusRecord[]): Promise<void> {
  const lines = records.map((record) => JSON.stringify(record)).toSorted()
  await writeFile(file, gzipSync(lines.map((line) => `${line}\n`).join(''), { level: 9 }))
}

/** Answers a query by its path and parameters; undefined where it was not recorded. */
export type PrometheusReplay = (path: string, parameters: URLSearchParams) => ReplayAnswer

/** Answers from files of recorded answers, by the exact text of the query and the numbers of its times. */
export async function prometheusReplay(files: readonly string[]): Promise<PrometheusReplay> {
  const bodies = new Map<string, string>()
  for (const file of files) {
    const lines = createInterface({ input: createReadStream(file).pipe(createGunzip()), crlfDelay: Infinity })
    for await (const line of lines) {
      if (line === '') continue
      const { body, ...parameters } = JSON.parse(line) as PrometheusRecord
      bodies.set(keyOf(parameters), body)
    }
  }
  return (path, parameters) => {
    if (path !== '/api/v1/query' && path !== '/api/v1/query_range') return failure(404, 'not_found', 'no such path')
    const body = bodies.get(keyOf(Object.fromEntries(parameters)))
    if (body !== undefined) return { status: 200, body }
    return failure(422, 'execution', `no answer was recorded for ${parameters.toString()}`)
  }
}

/** An error as Prometheus words it. */
export function failure(code: number, errorType: string, error: string): ReplayAnswer {
  return { status: code, body: JSON.stringify({ status: 'error', errorType, error }) }
}

/** `1795522160` and `1795522160.0` are one time. */
function keyOf(parameters: Readonly<Record<string, string>>): string {
  const entries = Object.entries(parameters).map(([name, value]) => [name, name === 'query' ? value : Number(value)])
  return JSON.stringify(entries.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)))
}

/** The path and the parameters of a request, from its form or its query. */
export async function readQuery(request: IncomingMessage): Promise<{ path: string; parameters: URLSearchParams }> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://replay.invalid')
  if (request.method !== 'POST') return { path: pathname, parameters: searchParams }
  let form = ''
  request.setEncoding('utf8')
  for await (const chunk of request as AsyncIterable<string>) form += chunk
  return { path: pathname, parameters: new URLSearchParams(form) }
}

/**
 * Starts an HTTP server on loopback that answers like Prometheus, from recorded answers. Its own `time()` is the simulated time,
 * at first `start` (RFC 3339).
 */
export async function startPrometheusReplay(files: readonly string[], start: string): Promise<ReplayServer> {
  const replay = await prometheusReplay(files)
  let time = new Date(start)
  const server = createServer((request, response) => {
    readQuery(request).then(
      ({ path, parameters }) => {
        const { status, body } = asksTime(parameters) ? timeAnswer(time) : replay(path, parameters)
        response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
        response.end(body)
      },
      () => response.destroy(),
    )
  })
  const { port, close } = await listenOnLoopback(server)
  return {
    url: `http://127.0.0.1:${port}`,
    setTime: (next) => {
      time = new Date(next)
    },
    close,
  }
}

/** The question for Prometheus' own clock: the one that no recording can answer. */
function asksTime(parameters: URLSearchParams): boolean {
  return parameters.get('query') === 'time()' && !parameters.has('time')
}

function timeAnswer(time: Date): ReplayAnswer {
  const seconds = time.getTime() / 1000
  const data = { resultType: 'scalar', result: [seconds, String(seconds)] }
  return { status: 200, body: JSON.stringify({ status: 'success', data }) }
}

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { Seconds } from '../../../lib/model/time.ts'
import type { Labels, StoredSeries } from '../mesh/promql.ts'
import { freshFolder } from '../recorder.ts'

/** A real Prometheus that holds what is written to it, staleness markers among it. */
export type WrittenPrometheus = {
  /** Writes samples that are newer than those which are there. */
  readonly write: (series: readonly StoredSeries[]) => Promise<void>
  /** The body of the answer to an instant query. */
  readonly ask: (query: string, time: Seconds) => Promise<string>
}

const READY_WITHIN_MS = 60_000

/** Starts the installed `prometheus`, empty, on a free port; it is gone when the test ends. */
export async function startWrittenPrometheus(context: TestContext): Promise<WrittenPrometheus> {
  const folder = freshFolder(context)
  writeFileSync(join(folder, 'none.yml'), '{}\n')
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'none.yml')}`,
      `--storage.tsdb.path=${join(folder, 'tsdb')}`,
      '--storage.tsdb.retention.time=100y',
      // What is written stays in the head: blocks would be cut while it is asked.
      '--storage.tsdb.min-block-duration=60d',
      '--storage.tsdb.max-block-duration=60d',
      '--web.enable-remote-write-receiver',
      '--web.listen-address=127.0.0.1:0',
      '--log.level=info',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  context.after(() => child.kill('SIGKILL'))
  const url = await new Promise<string>((resolve, reject) => {
    let words = ''
    const late = setTimeout(() => reject(new Error('Cannot use Prometheus: it was not ready in time')), READY_WITHIN_MS)
    child.stderr.on('data', (chunk: Buffer) => {
      words += chunk.toString()
      const address = /msg="Listening on" address=(\S+)/.exec(words)?.[1]
      if (address === undefined || !words.includes('Server is ready')) return
      clearTimeout(late)
      resolve(`http://${address}`)
    })
    child.once('error', reject)
    child.once('exit', () =>
      reject(new Error(`Cannot use Prometheus: it ended, with ${words.trim().split('\n').at(-1)}`)),
    )
  })
  const post = async (
    path: string,
    body: Uint8Array<ArrayBuffer> | URLSearchParams,
    headers: Record<string, string>,
  ): Promise<string> => {
    const response = await fetch(`${url}${path}`, { method: 'POST', body, headers })
    const text = await response.text()
    if (!response.ok) throw new Error(`Cannot ask Prometheus: ${response.status} ${text}`)
    return text
  }
  return {
    async write(series) {
      for (const slice of slicesOf(series))
        await post('/api/v1/write', literalSnappy(writeRequest(slice)), {
          'Content-Encoding': 'snappy',
          'Content-Type': 'application/x-protobuf',
          'X-Prometheus-Remote-Write-Version': '0.1.0',
        })
    },
    ask: (query, time) => post('/api/v1/query', new URLSearchParams({ query, time: String(time) }), {}),
  }
}

/** All series are written side by side, a part at a time, since Prometheus takes no sample that is much older than its newest. */
const SLICE_SECONDS: Seconds = 1200

function slicesOf(series: readonly StoredSeries[]): StoredSeries[][] {
  const slices = new Map<number, StoredSeries[]>()
  for (const { labels, times, values } of series) {
    const own = Map.groupBy(times.keys(), (index) => Math.floor((times[index] ?? 0) / SLICE_SECONDS))
    for (const [slice, places] of own) {
      const all = slices.get(slice) ?? []
      all.push({
        labels,
        times: places.map((index) => times[index] ?? 0),
        values: places.map((index) => values[index] ?? null),
      })
      slices.set(slice, all)
    }
  }
  return [...slices].toSorted(([a], [b]) => a - b).map(([, slice]) => slice)
}

/** The bits of the value that marks a series as stale. */
const STALE = 0x7ff0000000000002n

/** `prometheus.WriteRequest` of remote write 1.0. */
function writeRequest(series: readonly StoredSeries[]): Uint8Array {
  const writer = new BinaryWriter()
  for (const { labels, times, values } of series) {
    writer.tag(1, WireType.LengthDelimited).fork()
    for (const [name, value] of sorted(labels)) {
      writer.tag(1, WireType.LengthDelimited).fork()
      writer.tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.LengthDelimited).string(value).join()
    }
    for (const [index, time] of times.entries()) {
      const value = values[index] ?? null
      writer.tag(2, WireType.LengthDelimited).fork().tag(1, WireType.Bit64)
      if (value === null) writer.fixed64(STALE)
      else writer.double(value)
      writer
        .tag(2, WireType.Varint)
        .int64(Math.round(time * 1000))
        .join()
    }
    writer.join()
  }
  return writer.finish()
}

function sorted(labels: Labels): [string, string][] {
  return Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
}

/** Snappy's block format with everything as literals: nothing is compressed, which it allows. */
function literalSnappy(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [new BinaryWriter().uint32(data.length).finish()]
  for (let at = 0; at < data.length; at += 0x1_00_00) {
    const chunk = data.subarray(at, at + 0x1_00_00)
    const last = chunk.length - 1
    // 61: a literal whose length, less one, stands in two bytes.
    chunks.push(Uint8Array.of(61 << 2, last & 0xff, last >> 8), chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

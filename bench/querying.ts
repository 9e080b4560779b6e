import { execFile, fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { Pool } from 'undici'

/** The common question, as of the end of the recording. */
const QUESTION = '/v1/paths?state=not-encrypted'
const NOW = '2026-11-24T13:36:00Z'

/** How many answers a second of one core are wanted, and how many that nothing changed. */
const WANTED = { answers: 1000, unchanged: 3000 }

/** What a server says of itself. */
type Used = { readonly cpuSeconds: number; readonly residentBytes: number }

/**
 * What the API answers on the demo's history: answers and 304s for each second of its own core, by clients that each wait for one answer before they ask
 * again; and whether its memory stays flat. `--seconds` and `--clients` are how long and how many.
 */
export async function benchQuerying(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: { type: 'string', default: '5' }, clients: { type: 'string', default: '50' } },
  })
  const [seconds, clients] = [Number(values.seconds), Number(values.clients)]
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-bench-'))
  const bin = new URL('../bin/ciphertrail.js', import.meta.url).pathname
  let server: ChildProcess | undefined
  try {
    await promisify(execFile)(process.execPath, [bin, 'demo'], { cwd: folder })
    server = fork(new URL('query-server.ts', import.meta.url), [join(folder, 'demo-output', 'store'), NOW], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    const [url] = (await once(server.stdout ?? process.stdin, 'data')) as [Buffer]
    const origin = url.toString().trim()
    const first = await fetch(new URL(QUESTION, origin))
    const etag = first.headers.get('etag') ?? ''
    await first.text()
    await load(server, origin, { seconds: 1, clients, headers: {}, status: 200 })
    const whole = await load(server, origin, { seconds, clients, headers: {}, status: 200 })
    const unchanged = await load(server, origin, {
      seconds,
      clients,
      headers: { 'if-none-match': etag },
      status: 304,
    })
    const grown = unchanged.residentBytes / whole.residentBytes
    for (const [name, { perCoreSecond, perSecond, median, p95 }, wanted] of [
      ['answers', whole, WANTED.answers],
      ['304s', unchanged, WANTED.unchanged],
    ] as const)
      console.log(
        `querying: ${clients} clients, ${Math.round(perCoreSecond)} ${name} a second of one core (wanted ${wanted}), ${Math.round(perSecond)} a second, median ${median.toFixed(1)} ms, 95 % ${p95.toFixed(1)} ms`,
      )
    console.log(
      `querying: ${Math.round(unchanged.residentBytes / 1e6)} MB resident, ${grown.toFixed(2)} of what it was before`,
    )
    if (whole.perCoreSecond < WANTED.answers || unchanged.perCoreSecond < WANTED.unchanged) process.exitCode = 1
  } finally {
    server?.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Asks for a while, each client one question after the other. */
async function load(
  server: ChildProcess,
  origin: string,
  {
    seconds,
    clients,
    headers,
    status,
  }: {
    readonly seconds: number
    readonly clients: number
    readonly headers: Readonly<Record<string, string>>
    readonly status: number
  },
): Promise<{ perSecond: number; perCoreSecond: number; median: number; p95: number; residentBytes: number }> {
  const pool = new Pool(origin, { connections: clients, pipelining: 1 })
  const before = await used(server)
  const begun = performance.now()
  const end = begun + seconds * 1000
  const waits: number[] = []
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < end) {
        const asked = performance.now()
        const answer = await pool.request({ path: QUESTION, method: 'GET', headers })
        await answer.body.dump({ limit: Infinity })
        if (answer.statusCode !== status) throw new Error(`Cannot measure: ${answer.statusCode}, wanted ${status}`)
        waits.push(performance.now() - asked)
      }
    }),
  )
  const passed = (performance.now() - begun) / 1000
  const after = await used(server)
  await pool.close()
  const sorted = waits.toSorted((a, b) => a - b)
  return {
    perSecond: waits.length / passed,
    perCoreSecond: waits.length / (after.cpuSeconds - before.cpuSeconds),
    median: sorted[Math.floor(sorted.length / 2)] ?? 0,
    p95: sorted[Math.floor(sorted.length * 0.95)] ?? 0,
    residentBytes: after.residentBytes,
  }
}

async function used(server: ChildProcess): Promise<Used> {
  server.send('used')
  const [answer] = (await once(server, 'message')) as [Used]
  return answer
}

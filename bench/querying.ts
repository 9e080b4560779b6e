import { execFile, fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { Pool } from 'undici'

/** The common question, as of the end of the recording. */
const QUESTION = '/v1/paths?state=not-encrypted'
const NOW = '2026-11-24T13:36:00Z'

/** How many answers a second of one core are wanted, and how many that nothing changed; and how much longer many may wait than one. */
const WANTED = { answers: 1000, unchanged: 3000, slower: 4 }

/** What a server says of itself. */
type Used = { readonly cpuSeconds: number; readonly residentBytes: number }

/**
 * What the API answers on the demo's history: answers and 304s for each second of its own core, by clients that each wait for one answer before they ask
 * again. Then many clients that ask once a second each, as people and programs do: how long they wait beside one who asks alone, and whether memory stays
 * flat. `--seconds` and `--clients` are how long and how many of the first kind, `--soak` and `--many` of the second.
 */
export async function benchQuerying(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '5' },
      clients: { type: 'string', default: '50' },
      soak: { type: 'string', default: '10' },
      many: { type: 'string', default: '200' },
    },
  })
  const [seconds, clients] = [Number(values.seconds), Number(values.clients)]
  const [soak, many] = [Number(values.soak), Number(values.many)]
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
    const one = { clients: 1, headers: {}, status: 200, pause: 1000 / many }
    const alone = await load(server, origin, { ...one, seconds: Math.min(soak, 5) })
    const half = await load(server, origin, { ...one, seconds: soak / 2, clients: many, pause: 1000 })
    const crowd = await load(server, origin, { ...one, seconds: soak / 2, clients: many, pause: 1000 })
    const grown = crowd.residentBytes / half.residentBytes
    const slower = Math.max(half.p95, crowd.p95) / alone.p95
    for (const [name, { perCoreSecond, perSecond, median, p95 }, wanted] of [
      ['answers', whole, WANTED.answers],
      ['304s', unchanged, WANTED.unchanged],
    ] as const)
      console.log(
        `querying: ${clients} clients, ${Math.round(perCoreSecond)} ${name} a second of one core (wanted ${wanted}), ${Math.round(perSecond)} a second, median ${median.toFixed(1)} ms, 95 % ${p95.toFixed(1)} ms`,
      )
    console.log(
      `querying: ${many} clients for ${soak} s, once a second each: no error, median ${crowd.median.toFixed(1)} ms, 95 % ${crowd.p95.toFixed(1)} ms; alone ${alone.median.toFixed(1)} and ${alone.p95.toFixed(1)} ms: ${slower.toFixed(2)} of it (wanted ${WANTED.slower})`,
    )
    console.log(
      `querying: ${Math.round(crowd.residentBytes / 1e6)} MB resident, ${grown.toFixed(2)} of what it was half-way`,
    )
    const isFast = whole.perCoreSecond >= WANTED.answers && unchanged.perCoreSecond >= WANTED.unchanged
    if (!isFast || slower > WANTED.slower) process.exitCode = 1
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
    pause = 0,
  }: {
    readonly seconds: number
    readonly clients: number
    /** Milliseconds from one question of a client to its next one at least. */
    readonly pause?: number
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
    Array.from({ length: clients }, async (_, index) => {
      // Not all at the same moment.
      if (pause > 0) await setTimeout((pause * index) / clients)
      while (performance.now() < end) {
        const asked = performance.now()
        const answer = await pool.request({ path: QUESTION, method: 'GET', headers })
        await answer.body.dump({ limit: Infinity })
        if (answer.statusCode !== status) throw new Error(`Cannot measure: ${answer.statusCode}, wanted ${status}`)
        const waited = performance.now() - asked
        waits.push(waited)
        if (pause > waited) await setTimeout(pause - waited)
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

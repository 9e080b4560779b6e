import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { addCluster } from '../lib/store/registry/registry.ts'
import { newPrivateKey, signerOf } from '../lib/seal/key/key.ts'
import { seal } from '../lib/seal/write/seal.ts'
import { openStore } from '../test/store/objects/open-s3.ts'
import { batchOf, requestOf } from '../test/support/aws/lambda.ts'
import { unpackFunction } from '../test/support/aws/packaged-functions.ts'
import { startS3Server } from '../test/support/servers/s3-server.ts'
import { type Cost, median, run } from './processes.ts'

const STORE = 's3://evidence?derived=derived'
const NOW = new Date()

/** More than this times the bare handler is too slow. */
const WANTED = 1.5

/** First events that do as little as a function ever does: what is measured is starting. */
const EVENTS: Readonly<Record<string, unknown>> = {
  plan: { time: `${NOW.toISOString().slice(0, 19)}Z` },
  collect: batchOf({
    cluster: 'nobody',
    window: { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' },
    attempt: 1,
  }),
  query: requestOf('/health'),
  // Whoever comes without a session gets the page that leads to the issuer: it loads what every page does.
  'query (page)': requestOf('/'),
}

/** Not held against {@link WANTED}: people wait for a page once, and everything that one loads is loaded by it alone. */
const UNBOUNDED = 'query (page)'

/**
 * What the import and the first event of each packaged function cost, against a bare handler that does one S3 get; in CPU seconds of one core, the
 * middle of some runs. Wants `npm run package` before. `--runs` is how many.
 */
export async function benchColdStart(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { runs: { type: 'string', default: '9' } } })
  const s3 = await startS3Server()
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-bench-'))
  const unpacked: string[] = []
  try {
    s3.makeBucket('evidence')
    s3.makeBucket('derived', { hasLock: false })
    Object.assign(process.env, s3.env, {
      CIPHERTRAIL_STORE: STORE,
      CIPHERTRAIL_COLLECT_QUEUE: `${s3.url}/111122223333/collect`,
      CIPHERTRAIL_TRUST_KEY: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
      CIPHERTRAIL_DELIVER_QUEUE: `${s3.url}/111122223333/deliver`,
      CIPHERTRAIL_PACK_QUEUE: `${s3.url}/111122223333/pack`,
      POWERTOOLS_METRICS_NAMESPACE: 'bench',
      CIPHERTRAIL_API_ISSUER: s3.url,
      CIPHERTRAIL_URL: s3.url,
      CIPHERTRAIL_SIGN_IN_KEY: 'key',
      CIPHERTRAIL_SIGN_IN_CLIENT: 'bench',
    })
    const objects = openStore(STORE)
    await addCluster({ id: 'shop', agent: true }, { now: NOW, by: 'bench' }, { objects })
    await seal({ now: NOW }, { objects, signer: signerOf(newPrivateKey('example.com/bench')) })

    const bare = join(folder, 'bare.mjs')
    await build({
      entryPoints: [new URL('bare-handler.ts', import.meta.url).pathname],
      outfile: bare,
      bundle: true,
      platform: 'node',
      target: 'node24',
      format: 'esm',
      minifySyntax: true,
      minifyWhitespace: true,
      banner: {
        js: "import{createRequire as createRequireOfBundle}from'node:module';const require=createRequireOfBundle(import.meta.url);",
      },
      logLevel: 'error',
    })
    const cases = [
      { name: 'bare S3 get', path: bare, event: { bucket: 'derived', key: 'registry/clusters.json' } as unknown },
    ]
    for (const [name, event] of Object.entries(EVENTS)) {
      const own = unpackFunction(name.replace(/ .*/, ''))
      unpacked.push(own)
      cases.push({ name, path: join(own, 'index.mjs'), event })
    }
    const costs = new Map<string, Cost[]>(cases.map(({ name }) => [name, []]))
    // In turns, so that whatever else the machine does meets all alike.
    for (let round = 0; round < Number(values.runs); round++)
      for (const { name, path, event } of cases) costs.get(name)?.push(await coldStart(path, event))
    const cpu = (name: string): number => median((costs.get(name) ?? []).map(({ cpuSeconds }) => cpuSeconds))
    const yardstick = cpu('bare S3 get')
    for (const { name } of cases) {
      const ratio = cpu(name) / yardstick
      const mark = ratio > WANTED && name !== UNBOUNDED ? `  wanted at most ${WANTED}` : ''
      console.log(`cold start  ${name.padEnd(12)} ${cpu(name).toFixed(3)} s of CPU, ${ratio.toFixed(2)} x${mark}`)
    }
  } finally {
    await s3.close()
    for (const one of [folder, ...unpacked]) rmSync(one, { recursive: true, force: true })
  }
}

async function coldStart(path: string, event: unknown): Promise<Cost> {
  const child = new URL('cold-start-child.js', import.meta.url).pathname
  const { code, stderr } = await run('taskset', ['-c', '0', process.execPath, child, path, JSON.stringify(event)])
  if (code !== 0) throw new Error(`Cannot measure "${path}": it ended with ${code}: ${stderr}`)
  return JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as Cost
}

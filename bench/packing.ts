import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { newPrivateKey, signerOf } from '../lib/seal/key/key.ts'
import { seal } from '../lib/seal/write/seal.ts'
import { documentOf, recordReport } from '../lib/store/evidence/report-records.ts'
import { evidenceKey } from '../lib/store/keys.ts'
import { directoryObjects } from '../lib/store/objects/directory.ts'
import { isEvidenceKey } from '../lib/store/objects/objects.ts'
import { addCluster } from '../lib/store/registry/registry.ts'
import { documentKey, packsPrefix } from '../lib/store/report-keys.ts'
import { toSeconds, toTime } from '../lib/time/windows.ts'
import { startS3Server } from '../test/support/servers/s3-server.ts'
import { measured, median, run, secondsOf } from './processes.ts'

/**
 * Measures `ciphertrail pack` and the evidence part of `ciphertrail verify PACK` (without making the report again) over a large pack, against sha256sum over the same
 * evidence, in the same run: seconds from the start of the process to its end, and the most memory. Prints one line of JSON for each run and the medians.
 * `npm run bench -- packing --megabytes 2048 --objects 2000 --runs 3`
 * With `--s3` the store lies in S3, and the command and the job that keeps a pack are measured.
 */
export async function benchPacking(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      megabytes: { type: 'string', default: '2048' },
      objects: { type: 'string', default: '2000' },
      runs: { type: 'string', default: '3' },
      s3: { type: 'boolean', default: false },
    },
  })
  const count = Number(values.objects)
  const bytes = Math.ceil((Number(values.megabytes) * 1e6) / count)
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-bench-'))
  const [store, pack] = [join(folder, 'store'), join(folder, 'pack.zip')]
  try {
    const vkey = await filledStore(store, count, bytes)
    if (values.s3) return await packFromS3(store, pack, Number(values.runs))
    const runs: { pack: number; verify: number; sha256sum: number; packMegabytes: number; verifyMegabytes: number }[] =
      []
    for (let at = 0; at < Number(values.runs); at++) {
      let packMegabytes = 0
      let verifyMegabytes = 0
      const packing = await secondsOf(async () => {
        packMegabytes = (await measured('measured.ts', packCommand(store, pack))).peakMegabytes
      })
      const sha256sum = await secondsOf(async () => {
        const evidence = JSON.stringify(join(store, 'evidence'))
        const { code, stderr } = await run('bash', ['-c', `find ${evidence} -type f -print0 | xargs -0 sha256sum`])
        if (code !== 0) throw new Error(`Cannot run sha256sum: it ended with ${code}: ${stderr}`)
      })
      const verify = await secondsOf(async () => {
        const cost = await measured('measured.ts', ['verify', pack, '--key', vkey, '--no-render'])
        verifyMegabytes = cost.peakMegabytes
      })
      const one = { pack: packing, verify, sha256sum, packMegabytes, verifyMegabytes }
      runs.push(one)
      console.log(JSON.stringify({ scenario: 'packing', run: at, ...one }))
    }
    console.log(
      JSON.stringify({
        scenario: 'packing',
        objects: count,
        megabytes: Number(values.megabytes),
        timesSha256sum: Math.round(median(runs.map(({ verify, sha256sum }) => verify / sha256sum)) * 100) / 100,
        packMegabytes: median(runs.map(({ packMegabytes }) => packMegabytes)),
        verifyMegabytes: median(runs.map(({ verifyMegabytes }) => verifyMegabytes)),
        wanted: { timesSha256sum: 1.3, packMegabytes: 200, verifyMegabytes: 200 },
      }),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const FIRST = toSeconds('2026-01-01T00:00:00Z')
const PERIOD = { from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z', label: 'A year', timeZone: 'UTC' }

function packCommand(store: string, pack: string): string[] {
  return ['pack', '--store', store, '--from', PERIOD.from, '--to', PERIOD.to, '--out', pack]
}

/** Measures the command and the job with a store in S3, which this process serves from its own memory. */
async function packFromS3(folder: string, pack: string, count: number): Promise<void> {
  const s3 = await startS3Server()
  try {
    s3.makeBucket('evidence')
    s3.makeBucket('derived', { hasLock: false, hasVersions: false })
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const key = relative(folder, path)
      s3.meddle(isEvidenceKey(key) ? 'evidence' : 'derived', key, readFileSync(path))
    }
    Object.assign(process.env, s3.env)
    const store = 's3://evidence?derived=derived'
    const runs: { packCpuSeconds: number; packMegabytes: number; jobCpuSeconds: number; jobMegabytes: number }[] = []
    for (let at = 0; at < count; at++) {
      const command = await measured('measured.ts', packCommand(store, pack))
      const job = await measured('packing-job.ts', [store])
      for (const key of s3.buckets.get('derived')?.keys() ?? [])
        if (key.startsWith(packsPrefix)) s3.meddle('derived', key, null)
      s3.forget()
      const one = {
        packCpuSeconds: command.cpuSeconds,
        packMegabytes: command.peakMegabytes,
        jobCpuSeconds: job.cpuSeconds,
        jobMegabytes: job.peakMegabytes,
      }
      runs.push(one)
      console.log(JSON.stringify({ scenario: 'packing', store: 's3', run: at, ...one }))
    }
    console.log(
      JSON.stringify({
        scenario: 'packing',
        store: 's3',
        packMegabytes: median(runs.map(({ packMegabytes }) => packMegabytes)),
        jobMegabytes: median(runs.map(({ jobMegabytes }) => jobMegabytes)),
        wanted: { packMegabytes: 200, jobMegabytes: 200 },
      }),
    )
  } finally {
    await s3.close()
  }
}

/** Fills a store with evidence of ten clusters, hour after hour, and a sealed report of it. Gives the log's key. */
async function filledStore(store: string, count: number, bytes: number): Promise<string> {
  const objects = directoryObjects(store)
  const clusters = Array.from({ length: 10 }, (_, at) => `cluster-${at}`)
  // Registered after the period: no window of it is missing.
  const author = { now: new Date('2027-01-02T00:00:00Z'), by: 'bench' }
  for (const id of clusters) await addCluster({ id, windowMinutes: 60 }, author, { objects })
  for (let number = 0; number < count; number++) {
    const start = FIRST + Math.floor(number / clusters.length) * 3600
    const window = { start: toTime(start), end: toTime(start + 3600) }
    const key = evidenceKey({ window, cluster: clusters[number % clusters.length] ?? '', attempt: 1 })
    const path = join(store, key)
    mkdirSync(dirname(path), { recursive: true })
    // Sizes differ as those of clusters do.
    writeFileSync(path, randomBytes(Math.ceil((bytes * (1 + (number % 9))) / 5)))
  }
  const document = Buffer.from('%PDF-1.7 of the bench')
  const documents = [documentOf('report.pdf', document)]
  const { key, write } = recordReport(
    { period: PERIOD, clusters, version: '0.0.0', checkpoint: null, documents },
    objects,
  )
  await objects.putOnce(documentKey(key, 'report.pdf'), document)
  await write()
  const signer = signerOf(newPrivateKey('bench.example/log'))
  await seal({ now: author.now, everything: true }, { objects, signer })
  return signer.vkey
}

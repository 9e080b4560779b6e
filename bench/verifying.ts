import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { toSeconds, toTime } from '../lib/time/windows.ts'
import { newPrivateKey, signerOf } from '../lib/seal/key/key.ts'
import { seal } from '../lib/seal/write/seal.ts'
import { directoryObjects } from '../lib/store/objects/directory.ts'
import { evidenceKey } from '../lib/store/keys.ts'
import { measured, median, run, secondsOf } from './processes.ts'

/**
 * Measures `ciphertrail verify` over a gigabyte of evidence against sha256sum over the same files, in the same run: seconds of each, from the
 * start of the process to its end. Prints one line of JSON for each run and the medians.
 * `npm run bench -- verifying --megabytes 1024 --objects 2000 --runs 3`
 */
export async function benchVerifying(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      megabytes: { type: 'string', default: '1024' },
      objects: { type: 'string', default: '2000' },
      runs: { type: 'string', default: '3' },
    },
  })
  const count = Number(values.objects)
  const bytes = Math.ceil((Number(values.megabytes) * 1e6) / count)
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-bench-'))
  const store = join(folder, 'store')
  try {
    for (let number = 0; number < count; number++) {
      const path = join(store, keyOf(number))
      mkdirSync(dirname(path), { recursive: true })
      // Sizes differ as those of clusters do.
      writeFileSync(path, randomBytes(Math.ceil((bytes * (1 + (number % 9))) / 5)))
    }
    const signer = signerOf(newPrivateKey('bench.example/log'))
    await seal(
      { now: new Date('2026-12-01T00:00:00Z'), everything: true },
      { objects: directoryObjects(store), signer },
    )

    const runs: { verify: number; sha256sum: number; peakMegabytes: number }[] = []
    for (let at = 0; at < Number(values.runs); at++) {
      const sha256sum = await secondsOf(async () => {
        const { code, stderr } = await run('bash', [
          '-c',
          `find ${JSON.stringify(join(store, 'evidence'))} -type f -print0 | xargs -0 sha256sum`,
        ])
        if (code !== 0) throw new Error(`Cannot run sha256sum: it ended with ${code}: ${stderr}`)
      })
      let peakMegabytes = 0
      const verify = await secondsOf(async () => {
        const cost = await measured('measured.ts', ['verify', store, '--key', signer.vkey])
        peakMegabytes = Math.round(cost.peakMegabytes)
      })
      runs.push({ verify, sha256sum, peakMegabytes })
      console.log(JSON.stringify({ scenario: 'verifying', run: at, verify, sha256sum, peakMegabytes }))
    }
    const ratio = median(runs.map(({ verify, sha256sum }) => verify / sha256sum))
    console.log(
      JSON.stringify({
        scenario: 'verifying',
        objects: count,
        timesSha256sum: Math.round(ratio * 100) / 100,
        peakMegabytes: median(runs.map(({ peakMegabytes }) => peakMegabytes)),
        wanted: { timesSha256sum: 1.3, peakMegabytes: 150 },
      }),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const FIRST = toSeconds('2026-01-01T00:00:00Z')

/** Ten clusters, hour after hour. */
function keyOf(number: number): string {
  const start = FIRST + Math.floor(number / 10) * 3600
  const window = { start: toTime(start), end: toTime(start + 3600) }
  return evidenceKey({ window, cluster: `cluster-${number % 10}`, attempt: 1 })
}

/** Packs of a small store: three windows of one cluster and a gap, a waiver, a report of them, all sealed. */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { keepReport, makeReport } from '../../../lib/jobs/make-report.ts'
import { makePack, type MadePack, type PackInstructions } from '../../../lib/pack/make-pack.ts'
import type { Signer } from '../../../lib/seal/tlog/note.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { declareWaivers } from '../../../lib/store/registry/declarations.ts'
import { addCluster, readClusters } from '../../../lib/store/registry/registry.ts'
import { toTime } from '../../../lib/time/windows.ts'
import { minutesIn, snapshotOf } from './sealed-store.ts'

/** The version that makes what is packed here, and verifies it. */
export const VERSION = '0.0.0'

const at = (minutes: number): string => toTime(minutesIn(minutes).getTime() / 1000)

/** Four windows of five minutes. */
export const PERIOD = { from: at(0), to: at(20), label: 'Twenty minutes', timeZone: 'UTC' }

const author = { now: minutesIn(0), by: 'tester' }

/** Fills a store with what {@link PERIOD} has, and seals it; of further windows evidence too, where asked. Gives the key of the report. */
export async function fillReported(
  objects: Objects,
  signer: Signer,
  { period = PERIOD, windows = [0, 1, 3], reportedAt = 400 } = {},
): Promise<string> {
  const sealAt = (minutes: number) =>
    seal({ now: minutesIn(minutes), retentionSeconds: 600, everything: true }, { objects, signer })
  if ((await readClusters({ objects })).length === 0)
    await addCluster({ id: 'east', windowMinutes: 5 }, author, { objects })
  const waiver = {
    id: 'W-1',
    owner: 'team',
    reason: 'old',
    compensatingControl: 'none',
    expires: '2027-01-01T00:00:00Z',
    destination: 'deployment/default/x',
  }
  await declareWaivers([waiver], author, objects)
  for (const index of windows) await writeAttempt(snapshotOf('east', index), { objects })
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
  await sealAt(reportedAt - 20)
  const clusters = await readClusters({ objects })
  const made = await makeReport({ clusters, period, now: minutesIn(reportedAt), version: VERSION }, { objects })
  const key = await keepReport(made, objects)
  await sealAt(reportedAt + 1)
  return key
}

/** The pack of a store's report, in memory. */
export async function packOf(
  objects: Objects,
  wanted: Partial<PackInstructions> = {},
): Promise<{ readonly bytes: Buffer; readonly made: MadePack }> {
  const sink = new PassThrough()
  const bytes = buffer(sink)
  // Where no pack is made the sink fails, too.
  bytes.catch(() => undefined)
  const made = await makePack(
    { period: PERIOD, command: 'ciphertrail report', isPeriodOnly: false, version: VERSION, ...wanted },
    () => sink,
    { objects, elsewhere: () => Promise.resolve(undefined) },
  )
  assert.equal((await bytes).length, made.size)
  return { bytes: await bytes, made }
}

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { compactCluster } from '../../lib/history/derive.ts'
import { readHistory, readWindow } from '../../lib/history/cluster-state.ts'
import { collectDue } from '../../lib/jobs/collect-window.ts'
import { plan } from '../../lib/jobs/plan-collection.ts'
import { checkStore } from '../../lib/seal/verify/check-store.ts'
import { verifyStore } from '../../lib/seal/verify/verify-period.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { attemptsPrefix, evidenceKey } from '../../lib/store/keys.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'
import { toldWindow } from '../support/stored/told-cluster.ts'
import { matchesText, textWith } from '../support/texts/matches-text.ts'

/** What stands in the folder of one cluster and is no file stops nothing of the others, is followed by nobody, and is never taken for "nothing there". */

const signer = newSigner()
const PIPE = evidenceKey({ cluster: 'evil', window: toldWindow(1), attempt: 1 })
const LINK = attemptsPrefix(toldWindow(2), 'evil').slice(0, -1)

/** Two clusters, one with a pipe in the place of an attempt, and a link in the place of the next window's folder; it leads to a complete attempt. */
async function oddStore(context: TestContext): Promise<{ readonly folder: string; readonly objects: Objects }> {
  const parent = mkdtempSync(join(tmpdir(), 'ciphertrail-odd-'))
  context.after(() => rmSync(parent, { recursive: true, force: true }))
  const folder = join(parent, 'store')
  const objects = directoryObjects(folder)
  for (const id of ['evil', 'honest'])
    await addCluster({ id, windowMinutes: 5 }, { now: minutesIn(0), by: 'tester' }, { objects })
  await writeAttempt(snapshotOf('evil', 0), { objects })
  for (const index of [0, 1, 2]) await writeAttempt(snapshotOf('honest', index), { objects })
  mkdirSync(dirname(join(folder, PIPE)))
  execFileSync('mkfifo', [join(folder, PIPE)])
  const elsewhere = join(parent, 'elsewhere')
  await writeAttempt(snapshotOf('evil', 2), { objects: directoryObjects(elsewhere) })
  symlinkSync(join(elsewhere, LINK), join(folder, LINK))
  return { folder, objects }
}

async function deriveAll(objects: Objects): Promise<readonly string[]> {
  const lines: string[] = []
  for (const cluster of await readClusters({ objects }))
    lines.push(...(await compactCluster(cluster, { objects, assess: assessWindow, unsettledSeconds: 600 })).errors)
  return lines
}

test('plan() asks for the windows of others, and for none that cannot be stored', async (context) => {
  const { folder, objects } = await oddStore(context)
  const { due, errors } = await plan({ now: minutesIn(17) }, { objects })
  matchesText(errors, textWith({ LINK, path: join(folder, LINK) }))
  assert.deepEqual(
    due.map(({ cluster, window, attempt }) => `${cluster} ${window.start} ${attempt}`),
    [`evil ${toldWindow(1).start} 1`, `honest ${toldWindow(2).start} 1`],
  )
  // The one that is stored is only derived, and then unreadable: the next attempt is due.
  const deps = { objects, open: () => assert.fail('a cluster was opened') }
  const message = due[0] ?? assert.fail()
  const outcome = await collectDue(
    message,
    { collector: { name: 'test', version: '0' }, now: () => minutesIn(17) },
    deps,
  )
  matchesText(outcome, { outcome: 'stored-before', key: PIPE, complete: null, errors: textWith({ PIPE }) })
  await deriveAll(objects)
  const { due: next } = await plan({ now: minutesIn(28) }, { objects })
  assert.deepEqual(
    next.filter(({ window }) => window.start <= toldWindow(2).start),
    [{ cluster: 'evil', window: toldWindow(1), attempt: 2 }],
  )
})

test('the windows concerned are unreadable or not collected, and those of others are as they are', async (context) => {
  const { objects } = await oddStore(context)
  await deriveAll(objects)
  const unreadable = await readWindow('evil', toldWindow(1).start, objects)
  assert.deepEqual([unreadable?.collected, unreadable?.paths], [false, []])
  const { months } = (await readHistory('evil', objects)) ?? assert.fail()
  assert.ok(months.every(({ windows }) => windows.every(({ start }) => start !== toldWindow(2).start)))
  for (const index of [0, 1, 2])
    assert.equal((await readWindow('honest', toldWindow(index).start, objects))?.collected, true)
})

test('seal() seals the others and no gap where something may be, and names what it left; log check and verify do, too', async (context) => {
  const { objects, folder } = await oddStore(context)
  await deriveAll(objects)
  const { leaves, errors } = await seal({ now: minutesIn(200), retentionSeconds: 600 }, { objects, signer })
  // Each cluster has windows until minute 190, of which 3 are there, and 2 of evil's cannot be told.
  assert.deepEqual(leaves, { snapshot: 4, 'registry-change': 2, gap: 38 - 3 + 38 - 3 })
  matchesText(errors, textWith({ PIPE, LINK }))
  const again = await seal({ now: minutesIn(200), retentionSeconds: 600, everything: true }, { objects, signer })
  assert.deepEqual([again.leaves, again.errors], [{ heartbeat: 1 }, errors])

  const odd = [PIPE, LINK].map((key) => ({ key, problem: 'it is neither a file nor a directory, move it away' }))
  const checked = await checkStore({ vkey: signer.vkey }, { objects, assess: assessWindow, unsettledSeconds: 600 })
  assert.deepEqual(
    checked.findings.kept.filter(({ key }) => key !== null),
    odd,
  )
  const verified = await verifyStore({ vkey: signer.vkey }, { objects })
  assert.deepEqual(verified.findings.kept, odd)
  assert.equal(verified.objects.asSealed, 6)

  // Sealed evidence whose folder became a link is not as it was sealed, wherever the link leads.
  const moved = attemptsPrefix(toldWindow(0), 'honest').slice(0, -1)
  execFileSync('mv', [join(folder, moved), join(folder, '..', 'moved')])
  symlinkSync(join(folder, '..', 'moved'), join(folder, moved))
  const after = await verifyStore({ vkey: signer.vkey }, { objects: directoryObjects(folder) })
  assert.ok(
    after.findings.kept.some(
      ({ key, problem }) => key === `${moved}/0001.json.gz` && / is a link, move it away \(leaf \d+\)$/.test(problem),
    ),
  )
  assert.equal(after.objects.missing, 1)
})

test('a pipe in any folder of the store is named by log check, and stops nothing', async (context) => {
  const { objects, folder } = await oddStore(context)
  await deriveAll(objects)
  await seal({ now: minutesIn(20) }, { objects, signer })
  const pipes = [
    'changes/scope/000001.json',
    'claims/week/2026-W48/team/r0000000000000000.json',
    'documents/20261124T140000Z-0123456789abcdef/report.pdf',
    'log/batch/0000000000000099',
    'log/index/evidence/other',
    'not-encrypted/month=2026-11/other.parquet',
    'reports/20261124T140000Z-0123456789abcdef.json',
    'state/_archive/evil/2026-11-20.json',
    'timeline/cluster=evil/month=2026-10/intervals.parquet',
    'windows/evil/20261124T125500Z-20261124T130000Z.json',
  ]
  for (const key of pipes) {
    mkdirSync(dirname(join(folder, key)), { recursive: true })
    execFileSync('mkfifo', [join(folder, key)])
  }
  const { findings } = await checkStore({ vkey: signer.vkey }, { objects, assess: assessWindow, unsettledSeconds: 600 })
  for (const key of pipes)
    assert.ok(
      findings.kept.some((finding) => finding.key === key && finding.problem.startsWith('it is neither')),
      `${key} is not named`,
    )
  assert.ok(!findings.kept.some(({ key, problem }) => `${key} ${problem}`.includes('honest')))
})

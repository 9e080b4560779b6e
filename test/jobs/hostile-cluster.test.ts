import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssessInput, assessWindow } from '../../lib/assess/window/window.ts'
import { compactCluster, deriveCluster, rebuildCluster } from '../../lib/history/derive.ts'
import { readWindow } from '../../lib/history/cluster-state.ts'
import { readReportInput } from '../../lib/jobs/read-report-input.ts'
import type { Snapshot } from '../../lib/model/snapshot.ts'
import { checkStore } from '../../lib/seal/verify/check-store.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { packetsKey } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

const signer = newSigner()

/** A snapshot of which each proxy's certificate ends at a moment that can be none. */
function stating(snapshot: Snapshot, value: string): Snapshot {
  const answers = ['crypto-certificate-first', 'crypto-certificate-last', 'crypto-certificate-count'].map((name) => ({
    name,
    query: name,
    time: '0',
    body: JSON.stringify({
      status: 'success',
      data: { resultType: 'vector', result: [{ metric: {}, value: [0, name.endsWith('count') ? '2' : value] }] },
    }),
  }))
  const { metrics } = snapshot
  return { ...snapshot, metrics: { ...metrics, answers: [...metrics.answers, ...answers] } }
}

/** Two clusters with two windows each, derived and sealed; what `east` collected in its second one is hostile. */
async function filled(hostile: (snapshot: Snapshot) => Snapshot): Promise<Objects> {
  const objects = memoryObjects()
  for (const id of ['east', 'west'])
    await addCluster({ id, windowMinutes: 5 }, { now: minutesIn(0), by: 'tester' }, { objects })
  for (const id of ['east', 'west'])
    for (const index of [0, 1]) {
      const snapshot = snapshotOf(id, index)
      await writeAttempt(id === 'east' && index === 1 ? hostile(snapshot) : snapshot, { objects })
    }
  for (const cluster of await readClusters({ objects })) {
    await deriveCluster(cluster, { objects, assess: assessWindow })
    await compactCluster(cluster, { objects, assess: assessWindow })
    await rebuildCluster(cluster, { objects, assess: assessWindow })
  }
  await seal({ now: minutesIn(20), everything: true }, { objects, signer })
  return objects
}

async function reportOf(objects: Objects) {
  const clusters = await readClusters({ objects })
  const period = {
    from: minutesIn(0).toISOString(),
    to: minutesIn(10).toISOString(),
    label: 'ten minutes',
    timeZone: 'UTC',
  }
  return readReportInput({ clusters, period, now: minutesIn(20), version: '0.0.0' }, { objects })
}

for (const value of ['1e308', '1e14', 'NaN', '+Inf', '-Inf', '-1'])
  test(`a proxy that states ${value} as the end of its certificate leaves derive, rebuild, log check and report as they are`, async () => {
    const objects = await filled((snapshot) => stating(snapshot, value))
    const result = await readWindow('east', '2026-11-24T12:05:00Z', objects)
    assert.equal(result?.collected, true)
    assert.equal(result.crypto.certificates, null)
    assert.match(result.errors.join('\n'), /^Cannot tell when certificates end: /)
    const { findings } = await checkStore({ vkey: signer.vkey }, { objects, assess: assessWindow })
    assert.deepEqual(findings.kept, [])
    const { clusters } = await reportOf(objects)
    assert.deepEqual(
      clusters.map(({ id, windows }) => [id, windows.filter(({ collected }) => collected).length]),
      [
        ['east', 2],
        ['west', 2],
      ],
    )
  })

test('a cluster of which it cannot be told what is derived keeps no other from being checked', async () => {
  const objects = await filled((snapshot) => snapshot)
  const assess = (input: AssessInput) => {
    if (input.snapshot.cluster === 'east') throw new RangeError('Invalid time value')
    return { ...assessWindow(input), errors: ['changed'] }
  }
  const { findings } = await checkStore({ vkey: signer.vkey }, { objects, assess })
  const [first, ...others] = findings.kept
  matchesText(first, { key: null, problem: TEXT })
  assert.ok(others.some(({ key }) => key?.startsWith('windows/west/')))
  assert.ok(!others.some(({ key }) => key?.includes('east')))
})

test('a cluster with a capture that nobody can read is told as not collected, and the others as they are', async () => {
  const objects = await filled((snapshot) => snapshot)
  const key = packetsKey('east', '2026-11-24T12:02:00Z', 'a'.repeat(64))
  await objects.putOnce(key, Buffer.from('{"from":"+033658-09-27T01:46:40Z"}'))
  const { clusters, judgement } = await reportOf(objects)
  const [east, west] = clusters
  assert.deepEqual(
    east?.windows.map(({ collected }) => collected),
    [false, false],
  )
  assert.deepEqual(east.rows, [])
  matchesText(east.errors[0]?.line)
  assert.deepEqual(
    west?.windows.map(({ collected }) => collected),
    [true, true],
  )
  const ofEast = judgement.findings.filter(({ subject }) => subject.cluster === 'east' && subject.kind === 'cluster')
  assert.ok(ofEast.length > 0)
  assert.deepEqual(
    ofEast.filter(({ verdict }) => verdict === 'pass'),
    [],
  )
})

test('a cluster of which nothing is derived yet counts as not collected, and keeps no other from being reported', async () => {
  const objects = await filled((snapshot) => snapshot)
  await addCluster({ id: 'new', windowMinutes: 5 }, { now: minutesIn(0), by: 'tester' }, { objects })
  await writeAttempt(snapshotOf('new', 0), { objects })
  const { clusters } = await reportOf(objects)
  assert.deepEqual(
    clusters.map(({ isUnread }) => isUnread),
    [undefined, true, undefined],
  )
  assert.deepEqual(
    clusters.map(({ id, windows, errors }) => [id, windows.filter(({ collected }) => collected).length, errors.length]),
    [
      ['east', 2, 0],
      ['new', 0, 1],
      ['west', 2, 0],
    ],
  )
  matchesText(clusters[1]?.errors[0]?.line)
})

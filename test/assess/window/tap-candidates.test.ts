import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import type { Snapshot, TapSighting } from '../../../lib/model/snapshot.ts'
import { evidenceOf } from '../../support/mesh/synthetic-cluster.ts'
import { pod, timeAt } from '../../support/mesh/synthetic-pods.ts'
import { clearHttp, mutual } from '../../support/mesh/synthetic-prometheus.ts'

const web = pod('deployment/web')
const api = pod('deployment/api')
const legacy = pod('deployment/legacy', { meshed: false })
const MESH = { pods: [web, api, legacy], counters: [...mutual(web, api, 8080), ...clearHttp(api, 9000)] }

const sighting = (source: string, changes: Partial<TapSighting> = {}): TapSighting => ({
  source,
  destination: api.ip,
  port: 9000,
  tls: 'no_tls_from_remote',
  isOnProbePath: false,
  requests: 1,
  ...changes,
})

function assessedWith(sightings: readonly TapSighting[] | undefined) {
  const evidence = evidenceOf(MESH)
  const tap: Snapshot['tap'] & object = {
    status: 'complete',
    errors: [],
    takenAt: timeAt(361),
    seconds: 10,
    tapped: [],
    left: 0,
    requests: 1,
    sightings: sightings ?? [],
  }
  const snapshot = sightings === undefined ? evidence.snapshot : { ...evidence.snapshot, tap }
  return assessWindow({ ...evidence, snapshot })
}

/** Who the unnamed source of `api:9000` may be. */
const candidatesOf = (sightings: readonly TapSighting[]): string[] =>
  assessedWith(sightings)
    .paths.filter(({ source, port }) => source.kind === 'unmeshed' && port === 9000)
    .flatMap(({ candidates }) => candidates.map(({ kind, name }) => `${kind}/${name}`))

test('a source without a name may be the workload whose pod has the address that tap saw, a probe, or an address', () => {
  assert.deepEqual(candidatesOf([]), [])
  assert.deepEqual(candidatesOf([sighting(legacy.ip)]), ['deployment/legacy'])
  assert.deepEqual(
    candidatesOf([
      sighting(legacy.ip),
      sighting(legacy.ip, { requests: 7, tls: 'other' }),
      sighting('10.0.0.1', { isOnProbePath: true }),
      sighting('203.0.113.9'),
    ]),
    ['deployment/legacy', 'external/203.0.113.9', 'probe/'],
  )
  // Another port, another workload, and an address that no list has, are other paths.
  assert.deepEqual(
    candidatesOf([sighting(legacy.ip, { port: 9001 }), sighting(legacy.ip, { destination: web.ip })]),
    [],
  )
  assert.deepEqual(candidatesOf([sighting(legacy.ip, { destination: '192.0.2.1' })]), [])
})

test('a pod that is on a probe path is named, since it is no kubelet', () => {
  assert.deepEqual(candidatesOf([sighting(legacy.ip, { isOnProbePath: true })]), ['deployment/legacy'])
})

test('what tap saw changes nothing but who a source without a name may be', () => {
  const address = fc.constantFrom(web.ip, api.ip, legacy.ip, '203.0.113.9', '::1', 'nonsense', '')
  const anySighting = fc.record({
    source: address,
    destination: address,
    port: fc.constantFrom(8080, 9000, 0),
    tls: fc.string(),
    isOnProbePath: fc.boolean(),
    requests: fc.nat(),
  })
  const without = assessedWith(undefined)
  assert.deepEqual(assessedWith([]), without)
  fc.assert(
    fc.property(fc.array(anySighting, { maxLength: 8 }), (sightings) => {
      const { paths, ...rest } = assessedWith(sightings)
      const { paths: pathsWithout, ...restWithout } = without
      assert.deepEqual(rest, restWithout)
      assert.deepEqual(
        paths.map((path) => ({ ...path, candidates: [] })),
        pathsWithout,
      )
      for (const { source, candidates } of paths) assert.ok(source.kind === 'unmeshed' || candidates.length === 0)
      assert.deepEqual(assessedWith(sightings.toReversed()).paths, paths)
    }),
    { numRuns: 50 },
  )
})

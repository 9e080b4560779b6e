import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Enforcement } from '../../../lib/model/path.ts'
import { summarizeEnforcement } from '../../../lib/report/summary/enforcement-summary.ts'
import type { EnforcementReading } from '../../../lib/report/summary/enforcement-summary.ts'
import { cluster, hours, workload } from '../../support/stored/report-input.ts'
import type { Stretch } from '../../support/stored/report-input.ts'

const day = { from: '2026-11-20T00:00:00Z', to: '2026-11-21T00:00:00Z' }
const stretch = (enforcement: Enforcement, more: Partial<Stretch>): Stretch => ({
  from: 0,
  to: 23,
  state: 'mtls',
  ...more,
  more: { enforcement },
})
const readingsOf = (...stretches: readonly Stretch[]): readonly EnforcementReading[] =>
  summarizeEnforcement([
    cluster('west', hours(day), [
      {
        pathId: 'a',
        source: workload('deployment', 'shop', 'web'),
        destination: workload('deployment', 'shop', 'cart'),
        port: 80,
        stretches,
      },
    ]),
  ]).map(({ reading }) => reading)

const refused = { state: 'plaintext', outcome: 'refused' } as const
const cases: readonly (readonly [string, readonly Stretch[], readonly EnforcementReading[]])[] = [
  ['clear traffic on a port that lets it', [stretch('plaintext-allowed', { state: 'plaintext' })], ['open-and-used']],
  ['clear traffic on a port that only logs', [stretch('audited', { state: 'plaintext' })], ['open-and-used']],
  ['encrypted traffic on a port that lets plain text', [stretch('plaintext-allowed', {})], ['open']],
  ['encrypted traffic on a port that refuses', [stretch('plaintext-refused', {})], ['closed']],
  ['refused traffic', [stretch('plaintext-refused', refused)], ['closed-and-tried']],
  ['clear traffic on a port that refuses', [stretch('plaintext-refused', { state: 'no-mesh-tls' })], ['contradicted']],
  ['traffic on a port of unknown policy', [stretch('unknown', { state: 'plaintext' })], ['not-known']],
  ['exempt traffic only', [stretch('plaintext-allowed', { state: 'exempt' })], []],
  ['no traffic', [stretch('plaintext-allowed', { state: 'not-observed' })], []],
  [
    'a port that was open and used, and is closed now',
    [stretch('plaintext-allowed', { state: 'plaintext', to: 11 }), stretch('plaintext-refused', { from: 12 })],
    ['closed-now'],
  ],
]
for (const [name, stretches, readings] of cases)
  test(`enforcementOf() reads ${name} as ${readings[0] ?? 'nothing'}`, () => {
    assert.deepEqual(readingsOf(...stretches), readings)
  })

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COVERAGE_COLUMNS } from '../../lib/history/tables/coverage-table.ts'
import { NOT_ENCRYPTED_COLUMNS } from '../../lib/history/tables/not-encrypted-table.ts'
import { TIMELINE_COLUMNS } from '../../lib/history/tables/timeline-table.ts'
import { coverageKey, notEncryptedKey, timelineKey } from '../../lib/store/keys.ts'
import { packagedTemplate, resolved } from '../support/aws/cloudformation.ts'

/** As Athena calls what a column holds. */
const TYPES = {
  text: 'string',
  time: 'timestamp',
  number: 'double',
  count: 'bigint',
  small: 'int',
  flag: 'boolean',
  bits: 'binary',
  list: 'array<bigint>',
} as const

const template = await packagedTemplate()

const TABLES = [
  ['TimelineTable', TIMELINE_COLUMNS, timelineKey],
  ['CoverageTable', COVERAGE_COLUMNS, coverageKey],
  ['NotEncryptedTable', NOT_ENCRYPTED_COLUMNS, (_: string, month: string) => notEncryptedKey(month)],
] as const

test('the tables of Athena have the columns that are written, in the order in which they are', () => {
  for (const [id, columns] of TABLES)
    assert.deepEqual(
      resolved(template)[id]?.Properties['TableInput'].StorageDescriptor.Columns,
      columns.map(({ name, kind }) => ({ Name: name, Type: TYPES[kind] })),
      id,
    )
})

test('a partition of a table is where the store keeps that month of that cluster', () => {
  for (const [id, , keyOf] of TABLES) {
    const { Parameters } = resolved(template)[id]?.Properties['TableInput'] ?? {}
    const at = Parameters['storage.location.template']
      .replace('${cluster}', 'shop')
      .replace('${month}', '2026-11')
      .replace(/^s3:\/\/[^/]+\//, '')
    assert.ok(at.endsWith('/') && keyOf('shop', '2026-11').startsWith(at), at)
    assert.ok(!keyOf('shop', '2026-11').slice(at.length).includes('/'))
  }
})

test('a query must name its clusters, but where the template does', () => {
  const projectionOf = (given: Readonly<Record<string, string>>) =>
    ['TimelineTable', 'CoverageTable'].map((id) => {
      const { Parameters } = resolved(template, given)[id]?.Properties['TableInput'] ?? {}
      return [Parameters['projection.cluster.type'], Parameters['projection.cluster.values']]
    })
  assert.deepEqual(projectionOf({}), [
    ['injected', undefined],
    ['injected', undefined],
  ])
  assert.deepEqual(projectionOf({ SqlClusters: 'shop,bank' }), [
    ['enum', 'shop,bank'],
    ['enum', 'shop,bank'],
  ])
})

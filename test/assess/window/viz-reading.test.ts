import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compareViz, isComparable, vizReading } from '../../../lib/assess/window/viz-reading.ts'
import type { Snapshot, VizAnswer } from '../../../lib/model/snapshot.ts'
import { encodeDerived } from '../../../lib/store/objects/derived-object.ts'
import { halfDay, named80, pathWindow, windowResult } from '../../support/stored/window-results.ts'

const RECORDED = readFileSync(join(import.meta.dirname, '../../fixtures/viz/edges-deployment.json'), 'utf8')
const AT = '2026-11-24T12:01:00Z'

function snapshotWith(answers: readonly VizAnswer[] | undefined): Snapshot {
  const viz = { status: 'complete', errors: [], takenAt: AT, answers }
  return (answers === undefined ? {} : { viz }) as unknown as Snapshot
}

/** As `linkerd viz edges` knows pairs: both ends of one kind. */
const pair = { ...named80, destination: { ...named80.destination, kind: 'deployment' } }

const reading = (reason: string, src = 'web') => ({
  takenAt: AT,
  edges: [{ kind: 'deployment', src, srcNamespace: 'shop', dst: 'ledger', dstNamespace: 'bank', reason }],
})

describe('vizReading()', () => {
  test('reads what was recorded, sorted, with reasons and without identities', () => {
    const read = vizReading(snapshotWith([{ kind: 'deployment', body: RECORDED }]))
    assert.equal(read?.takenAt, AT)
    assert.equal(read.edges.length, 15)
    assert.deepEqual(
      read.edges.filter(({ reason }) => reason !== '').map(({ src, dst, reason }) => [src, dst, reason]),
      [['frontend', 'legacy', 'Not Provided By Service Discovery']],
    )
    assert.equal(vizReading(snapshotWith(undefined)), undefined)
    assert.equal(vizReading(snapshotWith([{ kind: 'deployment', body: '{"error":"x"}' }])), undefined)
    assert.deepEqual(vizReading(snapshotWith([{ kind: 'deployment', body: '{"ok":{"edges":[]}}' }]))?.edges, [])
  })

  test('gives what can be stored, or nothing, of any answer', () => {
    const edge = fc.record({
      src: fc.string({ unit: 'binary' }),
      dst: fc.constant('\ud800'),
      no_tls_reason: fc.string({ maxLength: 2_000 }),
    })
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.array(edge).map((edges) => JSON.stringify(edges)),
        ),
        (body) => {
          const read = vizReading(snapshotWith([{ kind: 'deployment', body }]))
          encodeDerived(read ?? null)
          for (const { reason } of read?.edges ?? []) assert.ok(reason.length <= 253)
        },
      ),
    )
  })
})

describe('compareViz()', () => {
  const shown = (state: 'mtls' | 'plaintext' | 'unknown') => ({ paths: [pathWindow(pair, state)] })

  test('finds a tick that ciphertrail does not show, the other way round, and a pair that it does not know', () => {
    const statesOf = (...comparison: Parameters<typeof compareViz>) =>
      compareViz(...comparison).differences.map(({ path }) => path?.state ?? null)
    assert.deepEqual(statesOf(reading(''), shown('mtls')), [])
    assert.deepEqual(statesOf(reading('Not HTTP'), shown('plaintext')), [])
    assert.deepEqual(statesOf(reading(''), shown('plaintext')), ['plaintext'])
    assert.deepEqual(statesOf(reading(''), shown('unknown')), ['unknown'])
    assert.deepEqual(statesOf(reading('Not HTTP'), shown('mtls')), ['mtls'])
    assert.deepEqual(statesOf(reading('', 'fake'), shown('mtls')), [null])
  })

  test('knows no pair that viz cannot show: of two kinds, or of two clusters', () => {
    for (const destination of [named80.destination, { ...pair.destination, cluster: 'east' }]) {
      const paths = [pathWindow({ ...pair, destination }, 'plaintext')]
      assert.deepEqual(
        compareViz(reading(''), { paths }).differences.map(({ path }) => path),
        [null],
      )
    }
  })

  test('says nothing of a pair that it does not know where a part of the metrics was not read', () => {
    assert.deepEqual(compareViz(reading('', 'fake'), { ...shown('mtls'), partial: true }).differences, [])
    assert.equal(compareViz(reading(''), { ...shown('plaintext'), partial: true }).differences.length, 1)
  })

  test('compares with the window that holds the moment, if that was collected', () => {
    const window = halfDay(0)
    const at = (takenAt: string) => ({ ...reading(''), takenAt })
    assert.equal(isComparable(at(window.end), windowResult(window)), true)
    assert.equal(isComparable(at(window.start), windowResult(window)), false)
    assert.equal(isComparable(at(halfDay(1).end), windowResult(window)), false)
    assert.equal(isComparable(at(window.end), windowResult(window, { collected: false })), false)
  })
})

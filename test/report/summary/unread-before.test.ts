import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Coverage } from '../../../lib/model/window.ts'
import { type ReadWindows, unreadBefore } from '../../../lib/report/summary/unread-before.ts'
import { coverageOf, hours, workload } from '../../support/stored/report-input.ts'

const FROM = '2026-11-16T00:00:00Z'
const at = (hour: number): string => `2026-11-16T${String(hour).padStart(2, '0')}:00:00Z`
const web = workload('deployment', 'shop', 'web')
const cart = workload('deployment', 'shop', 'cart')
const path = { source: web, destination: cart }

/** Twelve hours of a cluster. */
const read = (lost: Parameters<typeof hours>[0], coverage: readonly Coverage[] = []): ReadWindows => ({
  id: 'west',
  windows: hours({ from: FROM, to: at(12), ...lost }),
  coverage,
})
const isUnread = (known: ReadWindows, time: string): boolean =>
  unreadBefore([known], new Set([time]))('west', path, time)
const gap = (reason: Coverage['gaps'][number]['reason'], of = web): Coverage[] =>
  coverageOf('west', hours({ from: FROM, to: at(12) }), of, {
    gapsOf: (index, { start, end }) => (index === 4 ? [{ reason, pods: 1, from: start, to: end }] : []),
  })

test('a window without a result, or without metrics, just before is not read, and one elsewhere says nothing', () => {
  for (const lost of [{ missing: [4] }, { failed: [4] }])
    assert.deepEqual(
      [4, 5, 6].map((hour) => isUnread(read(lost), at(hour))),
      [false, true, false],
    )
  assert.equal(unreadBefore([read({ missing: [4] })], new Set([at(5)]))('east', path, at(5)), false)
})

test('a gap of an end counts, of another workload not, nor that a pod had no proxy', () => {
  assert.equal(isUnread(read({}, gap('prometheus-down')), at(5)), true)
  assert.equal(isUnread(read({}, gap('prometheus-down', cart)), at(5)), true)
  assert.equal(isUnread(read({}, gap('prometheus-down')), at(6)), false)
  assert.equal(isUnread(read({}, gap('prometheus-down', workload('deployment', 'shop', 'other'))), at(5)), false)
  assert.equal(isUnread(read({}, gap('no-proxy')), at(5)), false)
})

test('before the first window nothing is missing; after the last one it is', () => {
  assert.equal(isUnread(read({}), FROM), false)
  assert.equal(isUnread(read({}), '2026-11-15T00:00:00Z'), false)
  assert.equal(isUnread(read({}), at(13)), true)
  assert.equal(isUnread({ id: 'west', windows: [], coverage: [] }, at(5)), false)
})

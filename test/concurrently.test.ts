import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concurrently } from '../lib/concurrently.ts'

test('concurrently() runs no more at once than it may, keeps the order, and begins none after a failure', async () => {
  let now = 0
  let most = 0
  const begun: number[] = []
  const run = async (item: number) => {
    begun.push(item)
    most = Math.max(most, (now += 1))
    await new Promise((resolve) => setImmediate(resolve))
    now -= 1
    if (item === 13) throw new Error('thirteen')
    return item * 2
  }
  const items = Array.from({ length: 12 }, (_, index) => index)
  assert.deepEqual(
    await concurrently(items, 3, run),
    items.map((item) => item * 2),
  )
  assert.equal(most, 3)
  assert.deepEqual(await concurrently([], 3, run), [])
  begun.length = 0
  await assert.rejects(concurrently([10, 13, 14, 15, 16, 17], 2, run), /thirteen/)
  assert.equal(now, 0)
  assert.ok(!begun.includes(17))
})

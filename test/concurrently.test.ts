import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atMost, concurrently } from '../lib/concurrently.ts'

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

test('atMost() runs no more at once than it may, in the order in which they come, also after a failure', async () => {
  let now = 0
  let most = 0
  const begun: number[] = []
  const limited = atMost(2)
  const run = (item: number) =>
    limited(async () => {
      begun.push(item)
      most = Math.max(most, (now += 1))
      await new Promise((resolve) => setImmediate(resolve))
      now -= 1
      if (item === 1) throw new Error('one')
      return item
    })
  for (let round = 0; round < 2; round++) {
    begun.length = 0
    const ended = await Promise.allSettled([0, 1, 2, 3, 4].map(run))
    assert.deepEqual(begun, [0, 1, 2, 3, 4])
    assert.deepEqual(
      ended.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
    )
  }
  assert.deepEqual([now, most], [0, 2])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inThread } from '../../support/process/thread.ts'
import type { Told, ToTell } from './model-child.ts'

/** How many are told; `npm run test:stories` tells fifty times as many. */
const STORIES = Number(process.env['STORIES'] ?? 2_000)
const ATTACKED = STORIES / 2
const THREADS = 2

/** Tells stories in threads; see model-child.ts. */
function tellStories(stories: number, kind: Pick<ToTell, 'isHasty' | 'isAttacked'>): Promise<Told[]> {
  const seed = Number(process.env['PROPERTY_SEED'] ?? 20_261_124)
  const count = stories / THREADS
  return Promise.all(
    Array.from({ length: THREADS }, (_, thread) =>
      inThread<Told>(new URL('model-child.ts', import.meta.url), { seed: seed + thread * count, count, ...kind }),
    ),
  )
}

test(`extend(): ${STORIES} stories of runs that race and die, told request by request, leave one log in which nothing is lost or twice`, async () => {
  for (const { wrong, first } of await tellStories(STORIES, { isHasty: false, isAttacked: false }))
    assert.deepEqual([wrong, first], [0, undefined])
})

test('extend(): the same stories show a run that lists before it has finished what is there', async () => {
  for (const { wrong, first } of await tellStories(1000, { isHasty: true, isAttacked: false })) {
    assert.ok(wrong > 0)
    assert.match(first ?? '', /is leaf \d+ and leaf \d+|other bytes than its batches make/)
  }
})

test('extend(): in stories in which somebody writes batches without the key, the log has nothing of them that is not stored, and goes on', async () => {
  for (const { wrong, first } of await tellStories(ATTACKED, { isHasty: false, isAttacked: true }))
    assert.deepEqual([wrong, first], [0, undefined])
})

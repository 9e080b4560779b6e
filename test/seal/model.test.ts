import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { Told } from './model-child.ts'

const STORIES = 100_000
const THREADS = 2

/** Tells stories in threads; see model-child.ts. */
async function tellStories(stories: number, isHasty: boolean): Promise<Told[]> {
  const seed = Number(process.env['PROPERTY_SEED'] ?? 20_261_124)
  const count = stories / THREADS
  return Promise.all(
    Array.from({ length: THREADS }, async (_, thread) => {
      const workerData = { seed: seed + thread * count, count, isHasty }
      const [told] = (await once(
        new Worker(new URL('model-child.ts', import.meta.url), { workerData }),
        'message',
      )) as [Told]
      return told
    }),
  )
}

test(`extend(): ${STORIES} stories of runs that race and die, told request by request, leave one log in which nothing is lost or twice`, async () => {
  for (const { wrong, first } of await tellStories(STORIES, false)) assert.deepEqual([wrong, first], [0, undefined])
})

test('extend(): the same stories show a run that lists before it has finished what is there', async () => {
  for (const { wrong, first } of await tellStories(1000, true)) {
    assert.ok(wrong > 0)
    assert.match(first ?? '', /is leaf \d+ and leaf \d+|other bytes than its batches make/)
  }
})

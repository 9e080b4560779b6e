import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inThread } from '../../support/process/thread.ts'
import type { Ends } from './faults-child.ts'

const SEEDS = 500
const CHILD = new URL('faults-child.ts', import.meta.url)

test(`seal(): 8 runs with collectors, killed and failing anywhere, leave one log in which each thing has one leaf, ${SEEDS} times`, async () => {
  const first = Number(process.env['PROPERTY_SEED'] ?? 20_261_124)
  const ends = await inThread<Ends>(CHILD, { first, count: SEEDS })
  assert.ok(ends.died > SEEDS && ends.failed > SEEDS && ends.done > SEEDS, JSON.stringify(ends))
})

test('seal(): a run that fails or dies at any one of its writes leaves nothing that the next run does not finish', async () => {
  assert.ok((await inThread<number>(CHILD, { first: 0, count: 0 })) >= 12)
})

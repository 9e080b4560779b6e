import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inThread } from '../../support/process/thread.ts'
import type { Told } from './deliver-child.ts'

const STORIES = 500
const SEED = Number(process.env['PROPERTY_SEED'] ?? 20_261_124)

const told = (count: number, isHasty: boolean): Promise<Told> =>
  inThread<Told>(new URL('deliver-child.ts', import.meta.url), { seed: SEED, count, isHasty })

test(`deliverDue(): ${STORIES} stories of runs that race, repeat, fail and die, told request by request: nobody gets a mail twice, and what is uncertain is listed`, async () => {
  const { wrong, first, mails, unknown } = await told(STORIES, false)
  assert.deepEqual([wrong, first], [0, undefined])
  assert.ok(mails > STORIES, `${mails} mails`)
  assert.ok(unknown > 100, `${unknown} are not known`)
})

test('deliverDue(): the same stories show a run that sends without a claim', async () => {
  const { wrong, first } = await told(50, true)
  assert.ok(wrong > 0)
  assert.match(first ?? '', /twice|is undefined/)
})

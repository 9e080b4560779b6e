import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstLookOf } from '../../lib/history/archive.ts'

type Remembered = Parameters<typeof firstLookOf>[0]

/** What is remembered of attempts that began then, and of an archive with lists first taken then. */
function remembered(begun: readonly string[], archived?: readonly string[]): Remembered {
  const days = archived?.map((first) => ({ lists: { first } }))
  return {
    archive: days === undefined ? undefined : { days },
    evidence: begun.map((startedAt) => ({ attempts: [{ startedAt }] })),
  } as unknown as Remembered
}

const [FIRST, SECOND, THIRD] = ['2026-11-24T09:00:00Z', '2026-11-24T12:00:00Z', '2026-11-24T13:00:00Z']

test('firstLookOf() is the earliest time at which anybody looked, in whatever order windows were asked for', () => {
  assert.equal(firstLookOf(remembered([SECOND, FIRST, THIRD])), FIRST)
  assert.equal(firstLookOf(remembered([THIRD, SECOND], [SECOND, FIRST])), FIRST)
  assert.equal(firstLookOf(remembered([FIRST], [SECOND])), FIRST)
})

test('firstLookOf() is not known of nothing, nor where the archive does not say it', () => {
  assert.equal(firstLookOf(remembered([])), null)
  assert.equal(firstLookOf(remembered([SECOND], [])), null)
})

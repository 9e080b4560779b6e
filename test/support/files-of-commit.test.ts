import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { filesOfCommit } from './files-of-commit.ts'

const ABOUT_DAYS = ['test/cli/run/run.test.ts', 'test/jobs/plan.test.ts', 'test/time/week.test.ts']
const OTHERS = Array.from({ length: 41 }, (_, index) => `test/cli/${index}.test.ts`)
const FILES = [...ABOUT_DAYS, ...OTHERS].toSorted()

test('filesOfCommit() gives a commit always the same files: those about days, and a quarter of the others', () => {
  const drawn = filesOfCommit('c0ffee', FILES)
  assert.deepEqual(filesOfCommit('c0ffee', FILES), drawn)
  assert.deepEqual(drawn, drawn.toSorted())
  assert.deepEqual(
    ABOUT_DAYS.filter((file) => !drawn.includes(file)),
    [],
  )
  assert.equal(drawn.length, ABOUT_DAYS.length + 11)
})

test('filesOfCommit() leaves no file out for long', () => {
  const commits = Array.from({ length: 40 }, (_, index) => hash('sha1', `${index}`))
  assert.deepEqual(new Set(commits.flatMap((commit) => filesOfCommit(commit, FILES))), new Set(FILES))
  assert.deepEqual(filesOfCommit('c0ffee', ['test/cli/one.test.ts']), ['test/cli/one.test.ts'])
  assert.deepEqual(filesOfCommit('c0ffee', []), [])
})

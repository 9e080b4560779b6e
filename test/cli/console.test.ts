import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

const CHILD = join(import.meta.dirname, '../support/process/slow-reader-child.ts')

test('drained() waits for a reader that is slow, so that a long answer is not in memory', async () => {
  const [lines, line] = [20_000, 'x'.repeat(1000)]
  const child = fork(CHILD, [String(lines), line], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  assert.ok(child.stdout !== null)
  const [[waited], read] = await Promise.all([once(child, 'message') as Promise<[number]>, text(child.stdout)])
  assert.equal(read.length, lines * (line.length + 1))
  assert.ok(waited < 200_000, `${waited} bytes waited at once`)
})

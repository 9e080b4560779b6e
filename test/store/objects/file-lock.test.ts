import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import { withFileLock } from '../../../lib/store/objects/file-lock.ts'

async function lockPath(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ciphertrail-lock-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'lock')
}

test('withFileLock() runs one after the other, also within a process', async (t) => {
  const path = await lockPath(t)
  let inside = 0
  const results = await Promise.all(
    [1, 2, 3, 4].map((number) =>
      withFileLock(path, 10_000, async () => {
        inside += 1
        assert.equal(inside, 1)
        // The others ask for it meanwhile.
        await nextTurn()
        inside -= 1
        return number
      }),
    ),
  )
  assert.deepEqual(
    results,
    [1, 2, 3, 4].map((result) => ({ result })),
  )
  assert.equal((await stat(path)).size, 0)
})

test('withFileLock() gives the lock back when what it ran throws', async (t) => {
  const path = await lockPath(t)
  await assert.rejects(
    withFileLock(path, 0, async () => {
      throw new RangeError('out')
    }),
    RangeError,
  )
  assert.deepEqual(await withFileLock(path, 0, async () => 'in'), { result: 'in' })
})

test('withFileLock() waits for a stopped owner as long as told, and is free at once when that one is killed', async (t) => {
  const path = await lockPath(t)
  const script = `
    import { withFileLock } from ${JSON.stringify(new URL('../../../lib/store/objects/file-lock.ts', import.meta.url).href)}
    await withFileLock(process.argv[1], 0, async () => {
      console.log('locked')
      await new Promise((resolve) => setTimeout(resolve, 60_000))
    })`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => owner.kill('SIGKILL'))
  await once(owner.stdout, 'data')
  owner.kill('SIGSTOP')
  assert.equal(await withFileLock(path, 100, () => assert.fail('it is locked')), undefined)

  const exit = once(owner, 'exit')
  owner.kill('SIGKILL')
  await exit
  assert.deepEqual(await withFileLock(path, 0, async () => 'in'), { result: 'in' })
})

test('withFileLock() throws where its file cannot be made', async (t) => {
  const path = join(await lockPath(t), 'absent', 'lock')
  await assert.rejects(
    withFileLock(path, 0, () => assert.fail('it has no lock')),
    { code: 'ERR_SQLITE_ERROR' },
  )
})

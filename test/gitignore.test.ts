import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from './support/process/command-line.ts'
import { freshFolder } from './support/recorder.ts'

test('git ignores keys, trust and packs that the commands of the README make in a clone', async (t) => {
  const folder = freshFolder(t)
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: folder, encoding: 'utf8' })
  git('init', '--quiet')
  copyFileSync(join(import.meta.dirname, '../.gitignore'), join(folder, '.gitignore'))
  for (const args of [
    ['key', 'new', 'example.com/ciphertrail'],
    ['cluster', 'add', 'prod', '--context', 'prod'],
    ['seal'],
    ['seal'],
  ]) {
    const { code, stderr } = await run(args, { folder })
    assert.equal(code, 0, stderr)
  }
  writeFileSync(join(folder, 'w48.zip'), '')
  // A lock exists only while it is held, or after a crash.
  for (const name of ['key.head.lock', 'trust.lock']) writeFileSync(join(folder, `ciphertrail-data.${name}`), '')
  for (const name of ['key', 'key.head', 'trust']) assert.ok(readdirSync(folder).includes(`ciphertrail-data.${name}`))
  assert.equal(git('status', '--porcelain', '--untracked-files=all'), '?? .gitignore\n')
})

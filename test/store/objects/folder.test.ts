import assert from 'node:assert/strict'
import { statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { makeFolder } from '../../../lib/store/objects/folder.ts'
import { freshFolder } from '../../support/recorder.ts'

test('makeFolder() makes a folder and all above it, also many at once, and again', async (t) => {
  const folder = freshFolder(t)
  const deep = join(folder, 'a/b/c')
  await Promise.all(['x', 'y', 'x', '.', 'x/z'].map((name) => makeFolder(join(deep, name))))
  await makeFolder(relative(process.cwd(), join(folder, 'd/e')))
  for (const path of [join(deep, 'x/z'), join(deep, 'y'), join(folder, 'd/e')]) assert.ok(statSync(path).isDirectory())
  symlinkSync(deep, join(folder, 'link'))
  await makeFolder(join(folder, 'link'))
  await makeFolder(join(folder, 'link/w'))
  assert.ok(statSync(join(deep, 'w')).isDirectory())
  await makeFolder('/')
})

test('makeFolder() ends where no folder can be made', async (t) => {
  const folder = freshFolder(t)
  const file = join(folder, 'file')
  writeFileSync(file, '')
  symlinkSync(join(folder, 'nothing'), join(folder, 'broken'))
  for (const [path, code] of [
    [file, 'EEXIST'],
    [join(file, 'a/b'), 'ENOTDIR'],
    [join(folder, 'broken'), 'ENOENT'],
    ['/proc/ciphertrail/reports', 'ENOENT'],
    ['/proc/ciphertrail', 'ENOENT'],
  ] as const)
    await assert.rejects(makeFolder(path), { code }, path)
})

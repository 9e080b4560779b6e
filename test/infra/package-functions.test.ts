import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

// Of zod by a named import esbuild keeps everything, of its namespace what is used: 30 kB of each zip, and a twentieth of a cold start.
test('what functions are made of imports zod as a namespace', () => {
  const sources = ['lib', 'functions'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
  )
  const imports = sources
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const [line] = /^import (?!type).* from 'zod'$/m.exec(readFileSync(join(ROOT, file), 'utf8')) ?? []
      return line === undefined ? [] : [{ file, line }]
    })
  assert.ok(imports.length > 40)
  assert.deepEqual(
    imports.filter(({ line }) => line !== "import * as z from 'zod'"),
    [],
  )
})

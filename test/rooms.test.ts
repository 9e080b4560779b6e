import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'

/** Files of the product, and their text. */
const SOURCES = globSync('{lib,cli,functions}/**/*.ts').map((file) => ({ file, text: readFileSync(file, 'utf8') }))

/** Names that the platform asks for in each file: AWS Lambda starts `handler`. */
const NAMES_OF_PLATFORMS = new Set(['handler'])

/** Values that occur more than once, each with the places where it does. */
function repeated(places: readonly (readonly [name: string, file: string])[]): [string, string[]][] {
  const byName = Map.groupBy(places, ([name]) => name)
  return [...byName].flatMap(([name, all]) => (all.length > 1 ? [[name, all.map(([, file]) => file)]] : []))
}

test('no name is exported twice: a word means one thing', () => {
  const exported = SOURCES.flatMap(({ file, text }) =>
    [...text.matchAll(/^export (?:async )?(?:function\*?|const|type|class) (\w+)/gm)].map(
      ([, name = '']) => [name, file] as const,
    ),
  )
  assert.ok(exported.length > 1000)
  assert.deepEqual(repeated(exported.filter(([name]) => !NAMES_OF_PLATFORMS.has(name))), [])
})

test('no file has more than 400 lines, and no folder more than 25 files side by side', () => {
  const long = SOURCES.filter(({ text }) => text.split('\n').length > 401).map(({ file }) => file)
  assert.deepEqual(long, [])
  const files = globSync('{lib,cli,functions,test}/**/*.{ts,mjs,hbs}')
  const full = [...Map.groupBy(files, dirname)].filter(([, inside]) => inside.length > 25).map(([folder]) => folder)
  assert.deepEqual(full, [])
})

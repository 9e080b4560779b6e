import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseJson } from '../../lib/text/parse-json.ts'

test('parseJson() gives what JSON.parse() gives, and undefined for what is no JSON', () => {
  assert.deepEqual(parseJson('{"a":[1,"[["]}'), { a: [1, '[['] })
  assert.deepEqual(parseJson(Buffer.from('[1]')), [1])
  assert.equal(parseJson('{"a":'), undefined)
})

test('parseJson() does not parse long text that nests deeper than anything written here', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  assert.equal(parseJson(nested(600_000)), undefined)
  const long = JSON.stringify({ text: '['.repeat(2_000_000), list: [1] })
  assert.deepEqual((parseJson(long) as { list: unknown }).list, [1], 'what strings hold nests nothing')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesOf, jsonText, listText, objectText } from '../../lib/text/json-lines.ts'

const parse = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString('utf8'))

test('listText() and objectText() give the JSON of what they are given, in ASCII, whatever it is', () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue({ noUnicodeString: false })),
      fc.dictionary(
        fc.string({ unit: 'binary' }).filter((name) => name !== '__proto__'),
        fc.jsonValue(),
      ),
      (list, fields) => {
        const texts = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, [jsonText(value)]]))
        const bytes = bytesOf(objectText({ list: listText(list), ...texts, absent: undefined }))
        assert.deepEqual(parse(bytes), JSON.parse(JSON.stringify({ list, ...fields })))
        assert.match(Buffer.from(bytes).toString('latin1'), /^[\n\x20-\x7E]*\n$/)
      },
    ),
  )
})

test('each item of a list stands on a line of its own, also where there are more than fit at once', () => {
  const items = Array.from({ length: 5000 }, (_, index) => ({ index, words: 'a line\nof “text”' }))
  const lines = Buffer.from(bytesOf(listText(items)))
    .toString('utf8')
    .split('\n')
  assert.equal(lines.length, items.length + 3)
  assert.equal(lines[4711], `${jsonText(items[4710])},`)
  assert.deepEqual(Buffer.from(bytesOf(listText([]))).toString(), '[]\n')
  assert.deepEqual(Buffer.from(bytesOf(objectText({}))).toString(), '{}\n')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { breakable, printable } from '../../lib/text/printable.ts'

test('printable() leaves what can be seen as it is', () => {
  for (const text of ['shop/web-1.example.com:8080', 'CN=Müller, O=Ο Όμιλος', '[U+202E]', 'Ж 漢字 😀 <b>&amp;'])
    assert.equal(printable(text), text)
})

test('printable() shows what cannot be seen by its code point', () => {
  const shown = {
    '\u001b[31m': '[U+001B][31m',
    '\u202egnp.exe': '[U+202E]gnp.exe',
    'a\u200bb\ufeff': 'a[U+200B]b[U+FEFF]',
    'a\nb\tc\r': 'a[U+000A]b[U+0009]c[U+000D]',
    'a\u00a0b\u3000\u2028': 'a[U+00A0]b[U+3000][U+2028]',
    'e\u0301': 'e[U+0301]',
    '\ud800x': '[U+D800]x',
    '\u{e0041}\u3164\u2800\u00ad': '[U+E0041][U+3164][U+2800][U+00AD]',
    '\u009b2J\u0007': '[U+009B]2J[U+0007]',
  }
  for (const [text, expected] of Object.entries(shown)) assert.equal(printable(text), expected)
})

test('printable() done twice is done once, and leaves nothing that moves a terminal or turns a line', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(text)
      assert.equal(printable(shown), shown)
      assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
    }),
  )
})

test('breakable() cuts after separators and in long words only, and loses nothing', () => {
  assert.deepEqual(breakable('shop/web-1.local:80'), ['shop/', 'web-', '1.', 'local:', '80'])
  assert.deepEqual(breakable('a'.repeat(40)), ['a'.repeat(18), 'a'.repeat(18), 'aaaa'])
  assert.deepEqual(breakable(''), [])
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (name) => assert.equal(breakable(name).join(''), name)))
})

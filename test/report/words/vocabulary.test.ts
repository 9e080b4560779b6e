import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { byteWords, countWords, plural, reasonWords } from '../../../lib/report/words/vocabulary.ts'
import { shareWords } from '../../../lib/text/share-words.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

test('shareWords() never says all of what is less than all, nor nothing of what is more than nothing', () => {
  const said = new Map([
    [1, '100 %'],
    [0.99999, '99.9 %'],
    [0.984, '98.4 %'],
    [0.98399, '98.3 %'],
    [0.6, '60.0 %'],
    [0.0001, 'less than 0.1 %'],
    [0, '0 %'],
  ])
  for (const [share, words] of said) assert.equal(shareWords(share), words)
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, minExcluded: true, maxExcluded: true }), (share) => {
      assert.ok(!['0 %', '100 %', '100.0 %', '0.0 %'].includes(shareWords(share)))
    }),
  )
})

test('reasonWords() keeps the raw reason, and shows one it does not know as it is', () => {
  matchesText(reasonWords('no_tls_from_remote'))
  matchesText(reasonWords('source-partly-unmeshed (3 of 6)'))
  for (const reason of ['tls=maybe', '__proto__', 'constructor', 'a (b) (c)', '('])
    assert.equal(reasonWords(reason), reason)
  matchesText(reasonWords(''))
})

test('counts and bytes carry their separators and units', () => {
  assert.equal(countWords(1_234_567), '1,234,567')
  assert.equal(plural(1, 'window'), '1 window')
  assert.equal(plural(0, 'proxy', 'proxies'), '0 proxies')
  const said = {
    0: '0 B',
    999: '999 B',
    1_000: '1.0 kB',
    3_400_000: '3.4 MB',
    999_999: '1.0 MB',
    123_000_000: '123 MB',
  }
  for (const [bytes, words] of Object.entries(said)) assert.equal(byteWords(Number(bytes)), words)
})

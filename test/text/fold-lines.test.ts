import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foldLines } from '../../lib/text/fold-lines.ts'
import { matchesText, textWith } from '../support/texts/matches-text.ts'

const damaged = (cluster: string, attempt: number) =>
  `Cannot read evidence "evidence/20261124T120000Z-20261124T120500Z/${cluster}/${String(attempt).padStart(4, '0')}.json.gz": it is not whole gzip data`

test('foldLines() leaves lines that are few, or differ', () => {
  const lines = ['Cannot read a', 'Cannot read b', damaged('shop', 1), damaged('shop', 2), damaged('shop-2', 1)]
  assert.deepEqual(foldLines(lines), lines)
})

test('foldLines() counts lines of one kind and cluster, and names the first and the last', () => {
  const lines = [
    ...Array.from({ length: 3000 }, (_, index) => damaged('evil', index + 1)),
    ...Array.from({ length: 4 }, (_, index) => damaged('shop', index + 1)),
  ]
  matchesText(foldLines(lines), [
    damaged('evil', 1),
    damaged('evil', 2),
    damaged('evil', 3),
    textWith({ damaged: damaged('evil', 3000) }),
    ...[1, 2, 3, 4].map((attempt) => damaged('shop', attempt)),
  ])
})

test('foldLines() gives few lines whatever somebody wrote', () => {
  const lines = Array.from({ length: 5000 }, (_, index) => `${'ab'.repeat(index % 700)} of "${'c'.repeat(index)}"`)
  const folded = foldLines([...lines, '9'.repeat(100_000)], 10)
  assert.ok(folded.length <= 41)
  assert.equal(folded.at(-1), 'and 4991 more lines')
})

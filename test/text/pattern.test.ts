import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matchesAny, matchesPattern } from '../../lib/text/pattern.ts'

test('matchesPattern() lets "*" stand for any text, and every other character for itself', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('*', 'a', 'b', '.', '/', 'ab'), { maxLength: 8 }).map((parts) => parts.join('')),
      fc.array(fc.constantFrom('a', 'b', '.', '/', 'ab', '*'), { maxLength: 10 }).map((parts) => parts.join('')),
      (pattern, text) => {
        const expression = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`, 's')
        assert.equal(matchesPattern(pattern, text), expression.test(text), `${pattern} ${text}`)
      },
    ),
    { numRuns: 2000 },
  )
})

test('matchesPattern() takes no longer for a hostile pattern than for another', () => {
  const begun = performance.now()
  assert.equal(matchesPattern('*a'.repeat(2000), 'a'.repeat(1999)), false)
  assert.equal(matchesPattern(`${'*a'.repeat(2000)}b`, 'a'.repeat(20_000)), false)
  // A matcher that goes back takes years.
  assert.ok(performance.now() - begun < 20_000)
})

test('matchesAny() of no pattern at all matches everything', () => {
  assert.ok(matchesAny([], 'shop'))
  assert.ok(matchesAny(['bank', 'sh*'], 'shop'))
  assert.ok(!matchesAny(['bank'], 'shop'))
})

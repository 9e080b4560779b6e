import assert from 'node:assert/strict'
import { test } from 'node:test'
import { licenceProblems, secretsIn } from '../../infra/check-supply.ts'
import { matchesText } from '../support/texts/matches-text.ts'

test('licenceProblems() names packages under a licence that may not come along', () => {
  const problems = licenceProblems({
    '': {},
    'node_modules/a': { license: 'MIT' },
    'node_modules/b': { license: '(Apache-2.0 AND BSD-3-Clause)' },
    'node_modules/c': { license: 'GPL-3.0 OR MIT' },
    'node_modules/d': { license: 'GPL-3.0' },
    'node_modules/e': { license: 'MPL-2.0', dev: true },
    'node_modules/f': { license: 'MPL-2.0' },
    'node_modules/g': {},
    'node_modules/h': { license: 'MIT AND AGPL-3.0', dev: true },
  })
  assert.deepEqual(
    problems.map((line) => line.split(' ')[0]),
    ['d', 'f', 'g', 'h'],
  )
})

test('secretsIn() names what looks like a credential by its line, and no example of a test', () => {
  const key = `-----BEGIN ${'PRIVATE KEY'}-----\n${'A'.repeat(64)}\n-----END`
  const found = [
    key,
    `AKIA${'ABCDEFGHIJ234567'}`,
    `ghp_${'a1'.repeat(18)}`,
    `xoxb-${'1234567890-abc'}`,
    `eyJ${'a'.repeat(30)}.eyJ${'b'.repeat(30)}.${'c'.repeat(30)}`,
  ]
  for (const text of found) assert.equal(secretsIn('file', `first\n${text}`).length, 1, text)
  matchesText(secretsIn('file', `first\n${found[1]}`))
  assert.deepEqual(secretsIn('file', 'AKIAEXAMPLEEXAMPLE12 -----BEGIN PRIVATE KEY-----'), [])
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { FRAMEWORKS } from '../../lib/assess/judge/controls.ts'
import { RULES } from '../../lib/assess/judge/rules.ts'
import { rulesPage } from '../../generate/rules-page.ts'

test('docs/rules.md is what the rules and controls say: "npm run rules" makes it again', () => {
  const page = readFileSync(new URL('../../docs/rules.md', import.meta.url), 'utf8')
  assert.equal(page, rulesPage(RULES, FRAMEWORKS))
})

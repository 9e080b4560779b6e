import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relationCells } from '../../../lib/report/sections/controls.ts'
import { summaryOf } from '../../support/report/told-documents.ts'

test('a framework’s row counts each control once by relation, and by verdict only those that rules test', () => {
  for (const framework of summaryOf('a-week').judgement.frameworks) {
    const numbers = relationCells(framework).map(({ lines }) => Number((lines[0] ?? '').replaceAll(/\D/g, '')))
    const [direct = 0, supports = 0, untested = 0, ...verdicts] = numbers
    assert.equal(direct + supports + untested, framework.controls.length, framework.id)
    assert.equal(untested, framework.controls.filter(({ rules }) => rules.length === 0).length, framework.id)
    assert.equal(
      verdicts.reduce((sum, one) => sum + one, 0),
      direct + supports,
      framework.id,
    )
  }
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HISTORY_COLUMNS } from '../../../lib/report/csv/api-paths-csv.ts'

test('docs/api.md describes each column of the history as CSV, in order', () => {
  const text = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8')
  const section = text.split('### As CSV')[1]?.split('\n## ')[0] ?? ''
  const described = [...section.matchAll(/^\| `([a-z_]+)` /gm)].map(([, column]) => column)
  assert.deepEqual(described, Object.keys(HISTORY_COLUMNS))
})

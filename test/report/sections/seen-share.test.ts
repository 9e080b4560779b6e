import assert from 'node:assert/strict'
import { test } from 'node:test'
import picocolors from 'picocolors'
import { pathLines, pathsNow } from '../../../cli/path-table.ts'
import { viewOf } from '../../../lib/report/report-view.ts'
import { standingOf } from '../../../lib/report/summary/standing.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import { cluster, hours, report, workload } from '../../support/stored/report-input.ts'

const END = hours().length - 1

test('a share that the verdict does not depend on has one word in paths and in each table of the report', () => {
  const paths = [
    [{ from: 0, to: END, state: 'unknown', reason: 'labels-overridden' }] as const,
    [{ from: 0, to: END, state: 'mtls' }] as const,
  ].map((stretches, index) => ({
    pathId: `a${index}`,
    source: workload('deployment', 'shop', 'web'),
    destination: workload('deployment', 'shop', `to-${index}`),
    port: 80,
    stretches,
  }))
  const missing = Array.from({ length: 42 }, (_, index) => index)
  const summary = summarise(report([cluster('west', hours({ missing }), paths)]))
  const { sections, appendix } = viewOf(summary)
  for (const id of ['lacking-evidence', 'not-enough-evidence']) {
    const table = [...sections, ...appendix].find((one) => one.id === id)?.tables[0]
    const column = table?.columns.findIndex(({ title }) => title === 'Seen') ?? assert.fail(id)
    const cells = table?.rows.map(({ head, cells: others }) => [head, ...others][column]?.lines.join(' '))
    assert.deepEqual(cells, ['-', '75.0 %'], id)
    assert.match(table?.caption ?? '', /A “-” under “Seen”: the verdict does not depend/u, id)
  }
  const [head = '', ...lines] = pathLines(pathsNow(summary), standingOf(summary), {
    colors: picocolors.createColors(false),
    width: null,
  })
  const seen = lines.map((line) => line.slice(head.indexOf('SEEN'), head.indexOf('WINDOWS')).trim())
  assert.deepEqual(seen, ['-', '75.0 %'])
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { csvFiles } from '../../../lib/report/csv/report-csv.ts'
import { printable } from '../../../lib/text/printable.ts'
import { enforcementSection } from '../../../lib/report/sections/enforcement.ts'
import { verificationSection } from '../../../lib/report/sections/verification.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import type { Summary } from '../../../lib/report/summary/summary.ts'
import { cluster, hours, PERIOD, report, storyOfAWeek, workload } from '../../support/stored/report-input.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const day = { from: '2026-11-20T00:00:00Z', to: '2026-11-20T02:00:00Z' }

/** A period whose one path has a hostile name at every place where a cluster may write one. */
function named(name: string, fix = name): Summary {
  return summarise(
    report(
      [
        cluster('west', hours(day), [
          {
            pathId: 'a',
            source: { ...workload('deployment', 'shop', name), serviceAccount: name },
            destination: workload('deployment', name, 'web'),
            port: 1,
            stretches: [{ from: 0, to: 1, state: 'plaintext', reason: name, cause: 'unknown', fix }],
          },
        ]),
      ],
      { period: { ...PERIOD, ...day } },
    ),
  )
}

const FORMULAS = ['=1+1', '+1', '-1+2', '@SUM(A1)', '\t=1', '\r=1', '=HYPERLINK("http://a","b")', '＝1', '|calc']

for (const formula of FORMULAS)
  test(`a name that begins like the formula ${JSON.stringify(formula)} is inert in every file`, () => {
    for (const { name, body } of csvFiles(named(formula)))
      for (const row of parse(body, { record_delimiter: '\r\n' }) as string[][])
        for (const field of row) assert.doesNotMatch(field, /^[=+\-@\t\r\uFF1D]/u, `${name}: ${field}`)
  })

test('every file is read back as it was, whatever names hold', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), (name) => {
      const paths = csvFiles(named(name)).find((file) => file.name === 'paths.csv')
      const [head, row, ...rest] = parse(paths?.body ?? '', { record_delimiter: '\r\n' }) as string[][]
      assert.equal(rest.length, 0)
      assert.equal(row?.length, head?.length)
      const field = row?.[head?.indexOf('source_name') ?? -1] ?? ''
      assert.equal(field.replace(/^'(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/u, ''), printable(name))
    }),
  )
})

test('lines of a fix stay lines, so that its commands can be copied, and a name in it opens no field', () => {
  const fix = 'Add deployment/web\n# See who connects, "now":\nkubectl get pods -n shop\n=1+1'
  const { body = '' } = csvFiles(named('\n=1', fix)).find((file) => file.name === 'paths.csv') ?? {}
  const [row] = parse(body, { columns: true, record_delimiter: '\r\n' }) as Record<string, string>[]
  assert.equal(row?.['fix'], fix)
  assert.equal(row['source_name'], '[U+000A]=1')
})

test('windows.csv names every attempt that was used, and the report says of how many windows there are several', () => {
  const windows = hours(day).map((window, index) => (index === 0 ? { ...window, also: ['evidence/two'] } : window))
  const summary = summarise(report([cluster('west', windows, [])], { period: { ...PERIOD, ...day } }))
  const [head, ...told] = parse(csvFiles(summary).find((file) => file.name === 'windows.csv')?.body ?? '', {
    record_delimiter: '\r\n',
  }) as string[][]
  assert.deepEqual(
    told.map((row) => row[head?.indexOf('evidence') ?? -1]),
    ['evidence/2026-11-20T01:00:00Z; evidence/two', 'evidence/2026-11-20T02:00:00Z'],
  )
  matchesText(verificationSection(summary).paragraphs.join('\n'))
  const single = summarise(report([cluster('west', hours(day), [])], { period: { ...PERIOD, ...day } }))
  assert.doesNotMatch(verificationSection(single).paragraphs.join('\n'), /more than once/)
})

test('lines end with CRLF, and each has as many fields as the first', () => {
  for (const { name, body, columns } of csvFiles(summarise(storyOfAWeek()))) {
    assert.ok(body.endsWith('\r\n'), name)
    for (const row of parse(body, { record_delimiter: '\r\n' }) as string[][])
      assert.equal(row.length, columns.length, name)
  }
})

test('docs/report-data.md describes every file and each of its columns, in order', () => {
  const text = readFileSync(new URL('../../../docs/report-data.md', import.meta.url), 'utf8')
  const described = new Map(
    text
      .split(/^## /mu)
      .slice(1)
      .map((section) => [
        section.split('\n')[0]?.trim() ?? '',
        Array.from(section.matchAll(/^\| `([a-z_]+)`/gmu), ([, column]) => column ?? ''),
      ]),
  )
  for (const { name, columns } of csvFiles(summarise(storyOfAWeek())))
    assert.deepEqual(described.get(name), columns, name)
})

test('changes.csv says what was not seen since, and enforcement.csv concludes in the words of the page', () => {
  const summary = summarise(storyOfAWeek())
  const rowsOf = (name: string): Record<string, string>[] =>
    parse(csvFiles(summary).find((file) => file.name === name)?.body ?? '', { columns: true, record_delimiter: '\r\n' })
  assert.deepEqual(
    rowsOf('changes.csv').map(({ seen_since: seen }) => seen),
    summary.changes.all.map(({ isSeenSince }) => (isSeenSince === null ? '' : String(isSeenSince))),
  )
  const conclusions = rowsOf('enforcement.csv').map(({ conclusion }) => conclusion)
  const table = enforcementSection(summary).tables[0]
  assert.deepEqual(
    conclusions,
    table?.rows.map(({ cells }) => cells.at(-1)?.lines.join('')),
  )
  assert.ok(conclusions.includes('allowed, not seen used without mesh TLS'))
})

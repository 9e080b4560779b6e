import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import { DEMO_FIXTURE } from '../../demo/fixture.ts'
import { judge } from '../../lib/assess/judge/judge.ts'
import type { Scope } from '../../lib/model/judgement.ts'
import { indexMembers } from '../../lib/pack/index-files.ts'
import { csvFiles } from '../../lib/report/csv/report-csv.ts'
import type { ReportInput } from '../../lib/report/report-input.ts'
import { summarise } from '../../lib/report/summary/summary.ts'
import { summaryJson } from '../../lib/report/summary/summary-json.ts'
import { recordedStore } from '../support/report/recorded-report.ts'
import { storyOfAWeek } from '../support/stored/report-input.ts'

type Row = Readonly<Record<string, string>>

/** The data of a report by name, as text. */
function dataOf(input: ReportInput): Map<string, string> {
  const summary = summarise(input)
  const files = new Map(csvFiles(summary).map(({ name, body }) => [name, body]))
  return files.set('summary.json', summaryJson(summary, 'r'))
}

const rowsOf = (text: string | undefined): readonly Row[] => parse(text ?? assert.fail(), { columns: true })

function byControl(data: ReadonlyMap<string, string>): readonly Row[] {
  const scope = {
    report: 'reports/r.json',
    number: 0,
    record: { period: { from: '', to: '', label: '', timeZone: 'UTC' }, clusters: [] },
    evidence: 'all',
  } as const
  const documents = new Map([...data].map(([name, body]) => [name, Buffer.from(body)]))
  const member = indexMembers([], scope, documents).find(({ name }) => name === 'index/by-control.csv')
  return rowsOf(Buffer.from(member?.body ?? assert.fail()).toString())
}

const COUNTS = ['pass', 'fail', 'waived', 'not_enough_evidence'] as const

/** Frameworks on one namespace alone, one of them with a wanted share of its own. */
function scoped(input: ReportInput): ReportInput {
  const { clusters, settings, period } = input
  const scope: Scope = {
    framework: 'soc-2',
    clusters: [],
    namespaces: ['bank'],
    labels: {},
    owner: 'bank',
    reason: 'the bank',
  }
  const scopes = [scope, { ...scope, framework: 'hipaa', namespaces: [], wantedShare: 1 }]
  const judgement = judge({ clusters, scopes, waivers: [], settings, period, at: period.to })
  return { ...input, judgement }
}

for (const [name, input] of [
  ['of the demo', (await recordedStore(DEMO_FIXTURE)).input],
  ['of a week of two clusters', storyOfAWeek()],
  ['of a week with declared scopes', scoped(storyOfAWeek())],
] as const)
  test(`index/by-control.csv has the counts of the report ${name}, and what is not judged apart`, () => {
    const data = dataOf(input)
    const rows = byControl(data)
    const findings = rowsOf(data.get('findings.csv'))
    for (const control of rowsOf(data.get('controls.csv'))) {
      const own = rows.filter(
        (row) => row['framework'] === control['framework'] && row['control'] === control['control'],
      )
      for (const count of COUNTS)
        assert.equal(
          own.reduce((sum, row) => sum + Number(row[count]), 0),
          Number(control[count]),
          `${count} of ${control['framework'] ?? ''} ${control['control'] ?? ''}`,
        )
    }
    for (const row of rows) {
      const listed = findings.filter(
        ({ rule, class: of, counted }) => rule === row['rule'] && (of !== '' || counted === 'true'),
      )
      const all = [...COUNTS, 'not_applicable', 'not_judged'].reduce((sum, count) => sum + Number(row[count]), 0)
      assert.equal(all, listed.length, row['rule'])
    }
    const ofPaths = rows.find(({ framework, rule }) => framework === 'nist-800-53' && rule === 'path-is-encrypted')
    const { atSomeTime, notEnoughEvidence, encrypted } = summarise(input).figures
    assert.equal(Number(ofPaths?.['fail']) + Number(ofPaths?.['waived']), atSomeTime)
    assert.equal(Number(ofPaths?.['not_enough_evidence']), notEnoughEvidence)
    assert.equal(Number(ofPaths?.['pass']), encrypted)
  })

test('index/by-control.csv leaves counts empty that a report of an earlier version does not have', () => {
  const rows = byControl(dataOf(storyOfAWeek()).set('summary.json', '{"controls":{"frameworks":[]}}'))
  assert.ok(rows.length > 10)
  for (const row of rows)
    for (const count of [...COUNTS, 'not_applicable', 'not_judged']) assert.equal(row[count], '', count)
})

/** What many rows would say alike is said once, with how many there are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReportInput } from '../../../lib/report/report-input.ts'
import { viewOf } from '../../../lib/report/report-view.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import type { TableView } from '../../../lib/report/table-cells.ts'
import { firstRows } from '../../../lib/report/words/report-context.ts'
import {
  type StoryPath,
  cluster,
  coverageOf,
  hours,
  report,
  storyOfAWeek,
  workload,
} from '../../support/stored/report-input.ts'

const END = hours().length - 1

const path = (index: number, more: Partial<StoryPath> = {}): StoryPath => ({
  pathId: (0xf01d_0000_0000 + index).toString(16),
  source: workload('deployment', `from-${index % 12}`, 'client'),
  destination: workload('deployment', `to-${index % 11}`, `server-${index}`),
  port: 8080,
  stretches: [{ from: 0, to: END, state: 'mtls' }],
  ...more,
})

const many = (count: number, more: Partial<StoryPath> = {}): StoryPath[] =>
  Array.from({ length: count }, (_, index) => path(index, more))

function tablesOf(input: ReportInput, id: string): readonly TableView[] {
  const { sections, appendix } = viewOf(summarise(input))
  return [...sections, ...appendix].find((one) => one.id === id)?.tables ?? []
}

const wordsOf = ({ head, cells }: TableView['rows'][number]): string =>
  [head, ...cells]
    .flatMap(({ names, lines, notes }) => [...names.map(({ pieces }) => pieces.join('')), ...lines, ...notes])
    .join(' | ')

test('one outage is one row of gaps, with how many workloads it hid and from when to when', () => {
  const windows = hours()
  const coverage = Array.from({ length: 6 }, (_, index) =>
    coverageOf('west', windows, workload('deployment', 'shop', `server-${index}`), {
      gapsOf: (hour, { start, end }) =>
        hour === 50 || hour === 51 + index ? [{ reason: 'prometheus-down', pods: 1, from: start, to: end }] : [],
    }),
  ).flat()
  const [gaps, ...others] = tablesOf(report([cluster('west', windows, [path(1)], { coverage })]), 'gaps')
  assert.equal(others.length, 0)
  assert.deepEqual(gaps?.rows.map(wordsOf), [
    'shop/server-0 | shop/server-1 | shop/server-2 | shop/server-3 | and 2 more | Prometheus unavailable | 12 h | 12 | Wed 18 Nov 02:00 to 09:00 | 99.4 %',
  ])
})

test('exempt paths with one client, port and reason share a row', () => {
  const exempt = many(5, {
    source: workload('deployment', 'linkerd-viz', 'prometheus'),
    port: 4191,
    stretches: [{ from: 0, to: END, state: 'exempt', reason: 'admin-port (mtls)', opens: 2, bytes: 1000 }],
  })
  const tables = tablesOf(report([cluster('west', hours(), [...exempt, path(50)])]), 'exempt')
  assert.deepEqual(
    tables.flatMap(({ rows }) => rows.map(wordsOf)),
    [
      'linkerd-viz/prometheus | 4191 | admin-port (mtls) | 5 | to-0/server-0 | to-1/server-1 | to-2/server-2 | and 2 more | 5.0 kB | 10 new connections',
    ],
  )
})

test('paths that lack evidence for one reason share a row if not all of them fit', () => {
  const [lacking] = tablesOf(
    report([cluster('west', hours({ missing: [1, 2, 3, 4, 5] }), many(30))]),
    'lacking-evidence',
  )
  assert.match(
    lacking?.caption ?? '',
    /^30 of 30 judged paths\. .*Paths with one reason share a row; paths\.csv has each\.$/u,
  )
  assert.deepEqual(lacking?.rows.map(wordsOf), [
    'from-0/client | and 29 more paths | to-0/server-0:8080 | several | 97.0 % | Seen for 97.0 % of its time, 99 % wanted: 5 of 168 windows not collected',
  ])
})

test('ports of a namespace that stand alike share a row if there are more than a table shows, and those that need attention never', () => {
  const used = path(500, {
    stretches: [{ from: 0, to: END, state: 'plaintext', reason: 'no_tls_from_remote', cause: null, clearShare: 1 }],
  })
  const [ports] = tablesOf(report([cluster('west', hours(), [...many(100), used])]), 'enforcement')
  assert.equal(ports?.rows.length, 12)
  assert.match(wordsOf(ports.rows[0] ?? assert.fail()), /server-500:8080 .* allowed, and used without mesh TLS$/u)
  assert.match(
    wordsOf(ports.rows[1] ?? assert.fail()),
    /^to-0 \| 10 ports .* allowed, not seen used without mesh TLS$/u,
  )
})

test('a healthy cluster with too many arrows shows the largest, and not that nothing was seen', () => {
  const flow = viewOf(summarise(report([cluster('west', hours(), many(132))]))).sections.find(
    ({ id }) => id === 'data-flow',
  )
  const [drawing] = flow?.drawings ?? []
  assert.match(
    drawing?.caption ?? '',
    /^132 paths of cluster west, none of them unencrypted or unknown, .* the 64 of 132 arrows/u,
  )
  assert.ok(!flow?.paragraphs.some((words) => words.includes('No traffic')))
})

test('times in findings are those that the rest of the report has', () => {
  const words = tablesOf(storyOfAWeek(), 'findings').flatMap(({ rows }) => rows.map(wordsOf))
  assert.ok(words.some((line) => line.includes('the first at Tue 17 Nov 10:00')))
  assert.ok(!words.some((line) => /\d{4}-\d\d-\d\dT/u.test(line)))
})

test('page one counts what was seen apart from what was open before and not seen since, and restores a dark cluster first', () => {
  const lost = hours({ missing: Array.from({ length: END + 1 }, (_, hour) => hour) })
  const { pathId, source, destination, port } = path(7)
  const before = {
    pathId,
    source,
    destination,
    port,
    episode: {
      id: `${pathId}-1`,
      openedAt: '2026-11-03T08:00:00Z',
      sinceUnknown: false,
      endedAt: null,
      ending: null,
    },
  }
  const dark = cluster('dark', lost, [], { workloads: [], crypto: null, coverage: [] })
  const view = viewOf(
    summarise(
      report([cluster('west', hours(), [path(1)]), dark], {
        past: [{ id: 'dark', periods: [], episodes: [before] }],
      }),
    ),
  ).pageOne
  const [open, seen] = view.figures
  assert.equal(open?.value, '1')
  assert.equal(seen?.value, '0')
  assert.equal(seen?.note, 'of 1 judged path; 1 more open before and not seen since')
  assert.match(view.restore, /^Before all else, restore collection of dark: .* ciphertrail cluster check dark$/u)
})

test('page one names the rules that failed controls come from', () => {
  const { failedRules } = viewOf(summarise(report([cluster('west', hours(), [path(1)])]))).pageOne
  assert.equal(
    failedRules,
    'Failures come from 1 rule: “Policy refuses plaintext on ports” (1 of 1); see “Findings, rule by rule”.',
  )
})

test('a name that looks like a time and is none is said as it stands', () => {
  const input = report([cluster('west', hours(), [path(1, { stretches: [{ from: 0, to: END, state: 'plaintext' }] })])])
  const { judgement } = input
  const [first = assert.fail()] = judgement.findings
  const finding: typeof first = {
    ...first,
    rule: 'ports-not-bypassed',
    verdict: 'fail',
    detail: 'skips 2026-02-30T00:00:00Z since 2026-11-17T10:00:00Z',
  }
  const rules = judgement.rules.map((rule) =>
    rule.id === finding.rule ? { ...rule, verdict: 'fail' as const, score: { ...rule.score, fail: 1 } } : rule,
  )
  const { sections, appendix } = viewOf(
    summarise({ ...input, judgement: { ...judgement, rules, findings: [finding] } }),
  )
  const text = JSON.stringify([sections, appendix])
  assert.match(text, /skips 2026-02-30T00:00:00Z since Tue 17 Nov/, 'the one is a name, the other a time')
})

test('a list that is cut counts what its rows stand for, not its rows', () => {
  assert.deepEqual(firstRows([['a', 'b', 'c'], ['d'], ['e']], 2, 'paths.csv', 'path'), {
    shown: [['a', 'b', 'c'], ['d']],
    note: ' 4 of 5 paths are shown, in 2 rows; all stand in paths.csv.',
  })
  assert.equal(firstRows([['a', 'b']], 1, 'paths.csv', 'path').note, '')
})

test('long tables of the appendix are folded, and before it only those of paths that are listed above', () => {
  const { sections, appendix } = viewOf(summarise(storyOfAWeek()))
  const looked = ['not-enough-evidence']
  for (const { id, tables } of sections)
    if (!looked.includes(id)) for (const { fold } of tables) assert.equal(fold, '', id)
  for (const { id, tables } of [...sections.filter((one) => looked.includes(one.id)), ...appendix]) {
    const isLong = tables.reduce((sum, { rows }) => sum + rows.length, 0) > 2
    for (const { rows, fold } of tables) assert.equal(fold !== '', isLong && rows.length > 0, id)
  }
  assert.equal(appendix.find(({ id }) => id === 'controls')?.tables[0]?.fold, '9 rows')
})

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
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

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
  matchesText(gaps?.rows.map(wordsOf))
})

test('exempt paths with one client, port and reason share a row', () => {
  const exempt = many(5, {
    source: workload('deployment', 'linkerd-viz', 'prometheus'),
    port: 4191,
    stretches: [{ from: 0, to: END, state: 'exempt', reason: 'admin-port (mtls)', opens: 2, bytes: 1000 }],
  })
  const tables = tablesOf(report([cluster('west', hours(), [...exempt, path(50)])]), 'exempt')
  matchesText(tables.flatMap(({ rows }) => rows.map(wordsOf)))
})

test('paths that lack evidence for one reason share a row if not all of them fit', () => {
  const [lacking] = tablesOf(
    report([cluster('west', hours({ missing: [1, 2, 3, 4, 5] }), many(30))]),
    'lacking-evidence',
  )
  matchesText(lacking?.caption)
  matchesText(lacking?.rows.map(wordsOf))
})

test('ports of a namespace that stand alike share a row if there are more than a table shows, and those that need attention never', () => {
  const used = path(500, {
    stretches: [{ from: 0, to: END, state: 'plaintext', reason: 'no_tls_from_remote', cause: null, clearShare: 1 }],
  })
  const [ports] = tablesOf(report([cluster('west', hours(), [...many(100), used])]), 'enforcement')
  assert.equal(ports?.rows.length, 12)
  matchesText(wordsOf(ports.rows[0] ?? assert.fail()))
  matchesText(wordsOf(ports.rows[1] ?? assert.fail()))
})

test('a healthy cluster with too many arrows shows the largest, and not that nothing was seen', () => {
  const flow = viewOf(summarise(report([cluster('west', hours(), many(132))]))).sections.find(
    ({ id }) => id === 'data-flow',
  )
  const [drawing] = flow?.drawings ?? []
  matchesText(drawing?.caption)
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
      mayBeEarlier: false,
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
  matchesText(seen?.note)
  matchesText(view.restore)
})

test('page one names the rules that failed controls come from', () => {
  const { failedRules } = viewOf(summarise(report([cluster('west', hours(), [path(1)])]))).pageOne
  matchesText(failedRules)
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
  matchesText(
    firstRows([['a', 'b', 'c'], ['d'], ['e']], 2, 'paths.csv', 'path', ({ length }) => length),
    {
      shown: [['a', 'b', 'c'], ['d']],
      note: TEXT,
    },
  )
  assert.equal(firstRows([['a', 'b']], 1, 'paths.csv', 'path', ({ length }) => length).note, '')
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

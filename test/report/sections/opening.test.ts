import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  judgedPathsWords,
  headlineWords,
  notesOf,
  openPathsWords,
  verdictOf,
} from '../../../lib/report/sections/opening.ts'
import { pageOne } from '../../../lib/report/sections/page-one.ts'
import { summaryJson } from '../../../lib/report/summary/summary-json.ts'
import { type Summary, summarise } from '../../../lib/report/summary/summary.ts'
import { wordingOf } from '../../../lib/report/words/report-context.ts'
import type { Scope } from '../../../lib/model/judgement.ts'
import { PERIOD, cluster, coverageOf, episode, hours, report, workload } from '../../support/stored/report-input.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const encrypted = {
  pathId: 'a',
  source: workload('deployment', 'shop', 'web'),
  destination: workload('deployment', 'shop', 'cart'),
  port: 80,
  stretches: [{ from: 0, to: 167, state: 'mtls' }],
} as const

test('a cluster of which it is not known how much there was to see has a note that says so', () => {
  const windows = hours()
  const coverage = coverageOf('west', windows.slice(0, 1), encrypted.source)
  const summary = summarise(report([cluster('west', windows, [encrypted], { coverage })]))
  assert.equal(summary.share, 1)
  matchesText(notesOf(summary).join('\n'))
})

test('a cluster of which nothing was observed comes before any number of the verdict', () => {
  const dark = cluster('north', hours({ missing: Array.from({ length: 168 }, (_, index) => index) }), [])
  const summary = summarise(report([cluster('west', hours(), [encrypted]), dark]))
  matchesText(verdictOf(summary))
  assert.equal(verdictOf(summary).startsWith(headlineWords(summary)), true)
  matchesText(judgedPathsWords(summary))
})

test('a cluster that was not collected lately is told before the verdict, which speaks of when it was last seen', () => {
  const lost = Array.from({ length: 48 }, (_, index) => 120 + index)
  const stale = cluster('north', hours({ missing: lost }), [
    { ...encrypted, stretches: [{ from: 0, to: 119, state: 'mtls' }] },
  ])
  const summary = summarise(report([cluster('west', hours(), [encrypted]), stale]))
  matchesText(headlineWords(summary))
  const plaintext = { ...encrypted, stretches: [{ from: 0, to: 119, state: 'plaintext', opens: 1, bytes: 1 }] } as const
  const open = summarise(report([cluster('north', hours({ missing: lost }), [plaintext])]))
  assert.match(headlineWords(open), /unencrypted when last seen/)
  assert.doesNotMatch(headlineWords(open), /at the end of|now/)
})

test('a cluster whose history cannot be read takes no path out of the open ones unsaid', () => {
  const dark = cluster('north', hours({ missing: Array.from({ length: 168 }, (_, index) => index) }), [], {
    isUnread: true,
  })
  const opened = episode(encrypted.pathId, PERIOD.from)
  const plaintext = {
    ...encrypted,
    stretches: [{ from: 0, to: 167, state: 'plaintext', opens: 1, bytes: 1, episode: opened }],
  } as const
  const unread = 'How many are on cluster north is unknown: its history cannot be read.'
  const [open, none, all] = [[plaintext], [encrypted], null].map((paths) =>
    summarise(report([...(paths === null ? [] : [cluster('west', hours(), paths)]), dark])),
  )
  assert.ok(open !== undefined && none !== undefined && all !== undefined)
  matchesText(openPathsWords(open))
  assert.ok(openPathsWords(open).endsWith(unread))
  matchesText(openPathsWords(none))
  assert.ok(openPathsWords(none).endsWith(unread))
  const figure = (summary: Summary) => pageOne(wordingOf(summary)).figures[0]?.value
  assert.deepEqual([open, none, all].map(figure), ['at least 1', 'unknown', 'unknown'])
  assert.deepEqual(
    [open, none, all].map(({ figures: { openNow, openUnknownOn } }) => [openNow, openUnknownOn]),
    [
      [1, ['north']],
      [0, ['north']],
      [0, ['north']],
    ],
  )
  assert.equal(summarise(report([cluster('west', hours(), [plaintext])])).figures.openUnknownOn, undefined)
})

test('a cluster that was taken out of the registry is named beside the verdict', () => {
  const input = report([cluster('west', hours(), [encrypted])])
  assert.deepEqual(notesOf(summarise(input)).slice(0, 1), [])
  matchesText(notesOf(summarise({ ...input, removed: ['prod', 'lab'] }))[0])
})

test('page one says of each framework with a wanted share of its own how long may be unseen', () => {
  const own = (framework: string, wantedShare: number): Scope => ({
    framework,
    clusters: [],
    namespaces: [],
    labels: {},
    owner: 'shop',
    reason: 'the shop',
    wantedShare,
  })
  const scopes = [own('soc-2', 0.85), own('hipaa', 1)]
  const summary = summarise(report([cluster('west', hours(), [encrypted])], { scopes }))
  const said = pageOne(wordingOf(summary)).facts.find(({ term }) => term === 'Wanted share')?.text ?? ''
  matchesText(said)
  matchesText(said)
  assert.match(said, /HIPAA[^;]* 100 %, nothing may be unseen/)
  const { controls } = JSON.parse(summaryJson(summary, '')) as {
    controls: { frameworks: { id: string; wantedShare: number }[] }
  }
  const wanted = new Map(controls.frameworks.map(({ id, wantedShare }) => [id, wantedShare]))
  assert.deepEqual(
    ['soc-2', 'hipaa', 'dora'].map((id) => wanted.get(id)),
    [0.85, 1, 0.99],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Episode } from '../../../lib/model/history.ts'
import { summarizeEpisodes, openUnseen } from '../../../lib/report/summary/episode-summary.ts'
import type { Episodes } from '../../../lib/report/summary/episode-summary.ts'
import { episode, workload } from '../../support/stored/report-input.ts'

const NOW = { from: '2026-11-20T00:00:00Z', to: '2026-11-21T00:00:00Z' }
const [source, destination] = [workload('deployment', 'shop', 'web'), workload('deployment', 'shop', 'cart')]
const of = (...episodes: readonly Episode[]): Episodes =>
  summarizeEpisodes(
    [
      {
        id: 'west',
        periods: [],
        episodes: episodes.map((own, index) => ({ pathId: `p${index}`, source, destination, port: 80, episode: own })),
      },
    ],
    NOW,
  )
const at = (hour: number): string => `2026-11-20T${String(hour).padStart(2, '0')}:00:00Z`

test('only what was fixed or refused counts into the time to fix', () => {
  const { endings, open, timeToFix } = of(
    episode('a', at(1), at(3)),
    episode('b', at(1), at(7), { ending: 'refused' }),
    episode('c', at(1), at(2), { ending: 'gone' }),
    episode('d', at(1), at(2), { ending: 'quiet' }),
    episode('e', at(1)),
  )
  assert.deepEqual(endings, { fixed: 1, refused: 1, gone: 1, quiet: 1 })
  assert.deepEqual(
    [open, timeToFix],
    [1, { episodes: 2, sinceUnknown: 0, median: 7200, longest: 21_600, isAtLeast: false }],
  )
})

test('an episode of unknown beginning is in no figure, and is told', () => {
  assert.deepEqual(of(episode('a', at(1), at(3), { sinceUnknown: true })).timeToFix, {
    episodes: 0,
    sinceUnknown: 1,
    median: null,
    longest: null,
    isAtLeast: false,
  })
})

test('an episode that ended after the period is open in it, and one that ended when it began is not of it', () => {
  const { all, open } = of(
    episode('a', at(1), '2026-11-22T00:00:00Z'),
    episode('b', '2026-11-19T00:00:00Z', NOW.from),
    episode('c', NOW.to),
  )
  assert.deepEqual(
    all.map(({ episode: own }) => [own.openedAt, own.endedAt]),
    [[at(1), null]],
  )
  assert.equal(open, 1)
})

test('an episode of unknown beginning did not begin in the period, as far as is known', () => {
  const { all } = of(
    episode('a', NOW.from, null, { sinceUnknown: true }),
    episode('b', at(1)),
    episode('c', '2026-11-19T00:00:00Z'),
  )
  assert.deepEqual(
    all.map(({ pathId, isNew }) => [pathId, isNew]),
    [
      ['p2', false],
      ['p0', false],
      ['p1', true],
    ],
  )
})

test('what is open is unseen, unless its path was seen open in the period', () => {
  const { all } = of(episode('a', at(1)), episode('b', at(2)), episode('c', at(3)), episode('d', at(4), at(5)))
  const seen = [
    { cluster: 'west', pathId: 'p0', isOpen: true },
    { cluster: 'west', pathId: 'p1', isOpen: false },
    { cluster: 'east', pathId: 'p2', isOpen: true },
  ]
  assert.deepEqual(
    openUnseen(all, seen).map(({ pathId }) => pathId),
    ['p1', 'p2'],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ClusterPast, PathEpisode } from '../../../lib/model/period.ts'
import type { Episode } from '../../../lib/model/history.ts'
import { changesOf } from '../../../lib/report/summary/change-summary.ts'
import type { PathChangeKind, Changes } from '../../../lib/report/summary/change-summary.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import { viewOf } from '../../../lib/report/report-view.ts'
import { cluster, episode, hours, report, workload } from '../../support/stored/report-input.ts'
import type { StoryWindow, Stretch } from '../../support/stored/report-input.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const BEFORE = { from: '2026-11-19T00:00:00Z', to: '2026-11-20T00:00:00Z' }
const NOW = { from: '2026-11-20T00:00:00Z', to: '2026-11-21T00:00:00Z' }
const [web, cart] = [workload('deployment', 'shop', 'web'), workload('deployment', 'shop', 'cart')]
const path = { pathId: 'a', source: web, destination: cart, port: 80 }
const day = (hour: number, of = '20'): string => `2026-11-${of}T${String(hour).padStart(2, '0')}:00:00Z`
const during = (episodes: readonly Episode[]): readonly PathEpisode[] =>
  episodes.map((own) => ({ ...path, episode: own }))

function of(
  episodes: readonly Episode[],
  {
    windowsBefore = hours(BEFORE),
    stretchesBefore = [{ from: 0, to: 23, state: 'mtls' }],
    stretches = [{ from: 0, to: 23, state: 'mtls' }],
  }: {
    windowsBefore?: readonly StoryWindow[]
    stretchesBefore?: readonly Stretch[]
    stretches?: readonly Stretch[]
  } = {},
): Changes {
  const { rows } = cluster('west', windowsBefore, [{ ...path, stretches: stretchesBefore }])
  const past: ClusterPast = {
    id: 'west',
    periods: [{ ...BEFORE, windows: windowsBefore, rows: windowsBefore.length === 0 ? [] : rows }],
    episodes: during(episodes),
  }
  return changesOf([cluster('west', hours(NOW), [{ ...path, stretches }])], [past], NOW)
}
const kindsOf = (episodes: readonly Episode[]): readonly PathChangeKind[] => of(episodes).all.map(({ kind }) => kind)

const cases: readonly (readonly [name: string, episodes: readonly Episode[], kinds: readonly PathChangeKind[]])[] = [
  ['begun in the period', [episode('a', day(3))], ['new']],
  ['begun exactly with the period', [episode('a', day(0))], ['new']],
  ['open before and after', [episode('a', day(3, '19'))], ['still-open']],
  ['open before, ended after the period', [episode('a', day(3, '19'), day(3, '21'))], ['still-open']],
  [
    'ended before the period and begun again in it',
    [episode('a', day(3, '18'), day(4, '18')), episode('a', day(5))],
    ['reopened'],
  ],
  ['ended and begun again within the period', [episode('a', day(1), day(2)), episode('a', day(5))], ['reopened']],
  ['fixed in the period', [episode('a', day(3, '19'), day(3))], ['fixed']],
  ['refused by policy now', [episode('a', day(3, '19'), day(3), { ending: 'refused' })], ['refused']],
  ['begun and fixed within the period', [episode('a', day(1), day(3))], ['fixed']],
  ['gone', [episode('a', day(3, '19'), day(3), { ending: 'gone' })], ['gone']],
  ['quiet, which is not fixed', [episode('a', day(3, '19'), day(3), { ending: 'quiet' })], ['quiet']],
  ['ended before the period', [episode('a', day(3, '19'), day(4, '19'))], []],
  ['ended exactly when the period began', [episode('a', day(3, '19'), day(0))], []],
  ['begun after the period', [episode('a', day(3, '21'))], []],
]
for (const [name, episodes, kinds] of cases)
  test(`an episode ${name} is ${kinds[0] ?? 'no change'}`, () => {
    assert.deepEqual(kindsOf(episodes), kinds)
  })

test('without an earlier period nothing is compared, and no number is given', () => {
  const { all, comparisons } = of([episode('a', day(3))], { windowsBefore: [] })
  assert.deepEqual(all, [])
  assert.deepEqual(comparisons, [{ cluster: 'west', basis: 'none', expected: 0, collected: 0 }])
})

test('a period before of which nothing was collected is not compared with', () => {
  const lost = hours({ ...BEFORE, missing: Array.from({ length: 24 }, (_, index) => index) })
  const { all, comparisons } = of([episode('a', day(3))], { windowsBefore: lost })
  assert.deepEqual([all.length, comparisons[0]?.basis], [0, 'not-collected'])
})

test('a first period says that it has nothing before it, and never that nothing changed', () => {
  const input = report([cluster('west', hours(NOW), [{ ...path, stretches: [{ from: 0, to: 23, state: 'mtls' }] }])], {
    period: { ...NOW, label: 'a day', timeZone: 'UTC' },
  })
  const { paragraphs } = viewOf(summarise(input)).sections.find(({ id }) => id === 'changes') ?? { paragraphs: [] }
  matchesText(paragraphs.join(' '))
  assert.doesNotMatch(paragraphs.join(' '), /no change|nothing changed|\b0 new\b/iu)
})

test('another ServiceAccount is a changed identity, once, whatever the state', () => {
  const owned = (account: string, from: number, to: number): Stretch => ({
    from,
    to,
    state: 'mtls',
    more: { source: { ...web, serviceAccount: account } },
  })
  const { all } = of([], {
    stretchesBefore: [owned('old', 0, 23)],
    stretches: [owned('old', 0, 11), owned('new', 12, 23)],
  })
  assert.deepEqual(
    all.map(({ kind, identity }) => [kind, identity]),
    [['identity', { end: 'source', before: 'old', after: 'new' }]],
  )
  assert.deepEqual(
    of([], { stretchesBefore: [owned('old', 0, 11), owned('new', 12, 23)], stretches: [owned('new', 0, 23)] }).all,
    [],
  )
})

test('each path has at most one change of its episodes, and an open one is never told as ended', () => {
  const times = fc.uniqueArray(fc.integer({ min: 0, max: 71 }), { minLength: 1, maxLength: 6 })
  const at = (hour: number): string =>
    new Date(Date.parse(BEFORE.from) + hour * 3_600_000).toISOString().replace('.000Z', 'Z')
  fc.assert(
    fc.property(
      times,
      fc.constantFrom<NonNullable<Episode['ending']>>('fixed', 'refused', 'gone', 'quiet'),
      (hoursOf, ending) => {
        const sorted = hoursOf.toSorted((a, b) => a - b)
        const episodes: Episode[] = []
        for (let index = 0; index < sorted.length; index += 2) {
          const closed = sorted[index + 1]
          episodes.push(
            episode(
              'a',
              at(sorted[index] ?? 0),
              closed === undefined ? null : at(closed),
              closed === undefined ? {} : { ending },
            ),
          )
        }
        const { all } = of(episodes)
        assert.ok(all.length <= 1)
        const isOpen = episodes.some(
          ({ openedAt, endedAt }) => openedAt < NOW.to && (endedAt === null || endedAt > NOW.to),
        )
        const kind = all[0]?.kind
        assert.equal(kind === 'new' || kind === 'reopened' || kind === 'still-open', isOpen)
      },
    ),
  )
})

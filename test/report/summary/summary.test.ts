import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ClusterPeriod } from '../../../lib/model/period.ts'
import type { State } from '../../../lib/model/path.ts'
import { STATES } from '../../../lib/model/path.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import type { Summary } from '../../../lib/report/summary/summary.ts'
import { viewOf } from '../../../lib/report/report-view.ts'
import { cluster, coverageOf, episode, hours, PERIOD, report, workload } from '../../support/stored/report-input.ts'
import type { StoryPath, Stretch } from '../../support/stored/report-input.ts'
import { errorText, matchesText } from '../../support/texts/matches-text.ts'

const web = workload('deployment', 'shop', 'web')
const path = (stretches: readonly Stretch[], more: Partial<StoryPath> = {}): StoryPath => ({
  pathId: 'a',
  source: web,
  destination: workload('deployment', 'shop', 'cart'),
  port: 80,
  stretches,
  ...more,
})
const whole = (state: State, more: Partial<Stretch> = {}): Stretch => ({ from: 0, to: 167, state, ...more })

function of(
  windows: ReturnType<typeof hours>,
  paths: readonly StoryPath[],
  more: Partial<ClusterPeriod> = {},
): Summary {
  return summarise(report([cluster('west', windows, paths, more)]))
}

test('a window that was not collected lowers the share like a window that was not observed', () => {
  const { share, clusters } = of(hours({ missing: [0, 1, 2], failed: [3] }), [path([whole('mtls')])])
  assert.equal(share, 164 / 168)
  assert.deepEqual(
    clusters.map(({ expected, collected, missing, failed }) => [expected, collected, missing, failed]),
    [[168, 164, 3, 1]],
  )
})

test('a share is null, never a number, where nothing was expected or collected', () => {
  assert.equal(of(hours(), [], { coverage: [] }).share, null)
  assert.equal(
    of(hours({ missing: Array.from({ length: 168 }, (_, index) => index) }), [path([whole('mtls')])]).share,
    null,
  )
  const { clusters } = of(hours(), [], { coverage: [] })
  assert.equal(clusters[0]?.unmeasured, 168)
})

test('what has not ended has lasted up to the last window that was collected, and no longer', () => {
  const open = (windows: ReturnType<typeof hours>): string => {
    const last = windows.length - 1
    const stretch: Stretch = { from: 0, to: last, state: 'plaintext', episode: episode('a', PERIOD.from) }
    const { sections } = viewOf(of(windows, [path([stretch])]))
    return sections.flatMap(({ groups }) => groups.map(({ facts }) => facts))[0] ?? ''
  }
  assert.match(open(hours()), /unencrypted since [^·]* \(7 d\) ·/)
  assert.match(open(hours().slice(0, 48)), /unencrypted since [^·]* \(2 d\) ·/, 'in a week that is not over')
  const dark = hours({ missing: Array.from({ length: 120 }, (_, index) => 48 + index) })
  matchesText(open(dark))
})

test('a path of which nothing was read just before it was seen unencrypted may have been so before', () => {
  const windows = hours()
  const summaryOf = (mayBeEarlier: boolean) => {
    const own = episode('a', windows[10]?.start ?? '', null, { mayBeEarlier })
    const stretches: readonly Stretch[] = [
      { from: 0, to: 9, state: 'mtls' },
      { from: 10, to: 167, state: 'plaintext', episode: own },
    ]
    return of(windows, [path(stretches)])
  }
  assert.deepEqual(
    [true, false].map((one) => summaryOf(one).notEncrypted[0]?.mayBeEarlier),
    [true, false],
  )
  const { sections } = viewOf(summaryOf(true))
  const facts = sections.flatMap(({ groups }) => groups.map((group) => group.facts))[0] ?? ''
  matchesText(facts)
})

test('a cluster of which nothing is known keeps its null beside one with a good number', () => {
  const summary = summarise(
    report([
      cluster('west', hours(), [path([whole('mtls')])]),
      cluster('north', hours({ failed: Array.from({ length: 168 }, (_, index) => index) }), []),
    ]),
  )
  assert.deepEqual(
    summary.clusters.map(({ share }) => share),
    [1, null],
  )
})

test('a path counts as the worst it was seen to be, and in one list only', () => {
  const worst = (...stretches: Stretch[]): string | undefined => {
    const { notEncrypted, notEnoughEvidence, refused, exempt, encrypted, unseen, paths } = of(hours(), [
      path(stretches),
    ])
    const all = [...notEncrypted, ...notEnoughEvidence, ...refused, ...exempt, ...encrypted, ...unseen]
    assert.equal(all.length, paths.length)
    return all[0]?.mark
  }
  const then = (state: State, more: Partial<Stretch> = {}): Stretch => ({ from: 84, to: 167, state, ...more })
  const first = (state: State, more: Partial<Stretch> = {}): Stretch => ({ from: 0, to: 83, state, ...more })
  assert.equal(worst(first('plaintext'), then('mtls')), 'plaintext')
  assert.equal(worst(first('mtls'), then('unknown')), 'unknown')
  assert.equal(worst(first('plaintext', { outcome: 'refused' }), then('mtls')), 'mtls')
  assert.equal(worst(whole('plaintext', { outcome: 'refused' })), 'refused')
  assert.equal(worst(first('exempt'), then('not-observed')), 'exempt')
  assert.equal(worst(first('not-observed'), then('not-collected')), 'not-observed')
})

test('refused plain text is marked as such in the strip, and only where it was refused', () => {
  const { notEncrypted } = of(hours(), [
    path([
      { from: 0, to: 9, state: 'plaintext' },
      { from: 10, to: 29, state: 'plaintext', outcome: 'refused' },
    ]),
  ])
  assert.deepEqual(
    [notEncrypted[0]?.windows.plaintext, notEncrypted[0]?.windows.refused, notEncrypted[0]?.exposedWindows],
    [10, 20, 10],
  )
})

test('rows of a path are joined: first, last, since, episodes, share of clear bytes', () => {
  const windows = hours({ missing: [20] })
  const open = episode('a', '2026-11-10T00:00:00Z', null, { sinceUnknown: true })
  const [exposure] = of(windows, [
    path([
      { from: 0, to: 30, state: 'plaintext', episode: open, clearShare: 1, bytes: 100 },
      { from: 31, to: 167, state: 'mtls', clearShare: 0, bytes: 300 },
    ]),
  ]).notEncrypted
  assert.ok(exposure !== undefined)
  assert.deepEqual(
    [exposure.episodes.length, exposure.isOpen, exposure.since, exposure.isSinceUnknown, exposure.exposedWindows],
    [1, true, '2026-11-10T00:00:00Z', true, 30],
  )
  assert.deepEqual([exposure.first, exposure.last], [windows[0]?.start, windows[30]?.end])
  assert.equal(exposure.clearShare, 200 / 500)
})

test('a cause is told once with its latest fix, and not where another window tells it better', () => {
  const reason = 'no_tls_from_remote'
  const clear = (at: number, cause: Stretch['cause'], fix: string): Stretch => ({
    from: at,
    to: at,
    state: 'plaintext',
    reason,
    cause: cause ?? null,
    fix,
  })
  const told = (...stretches: Stretch[]) =>
    of(hours(), [path(stretches)]).notEncrypted[0]?.reasons.map(({ cause, fix }) => [cause, fix])
  const vague = [clear(0, 'unknown', 'a'), clear(1, 'source-not-proxied', 'b')]
  assert.deepEqual(told(...vague), [['source-not-proxied', 'b']])
  assert.deepEqual(told(...vague, clear(2, 'source-not-meshed', 'c'), clear(3, 'source-not-meshed', 'd')), [
    ['source-not-meshed', 'd'],
  ])
})

test('an episode that ended after the period is open in its report', () => {
  const ended = (at: string): boolean | undefined =>
    of(hours(), [path([whole('plaintext', { episode: episode('a', PERIOD.from, at) })])]).notEncrypted[0]?.isOpen
  assert.equal(ended('2026-11-23T00:00:00Z'), true)
  assert.equal(ended(PERIOD.to), false)
})

test('a strip that is worse than the rows fails closed', () => {
  const good = cluster('west', hours(), [path([whole('mtls')])])
  const strips = { a: good.windows.map((_, index): State => (index === 5 ? 'plaintext' : 'mtls')) }
  assert.equal(summarise(report([{ ...good, strips }])).notEncrypted.length, 1)
})

test('summarise() refuses a path without a strip that fits', () => {
  const good = cluster('west', hours(), [path([whole('mtls')])])
  assert.throws(() => summarise(report([{ ...good, strips: {} }])), errorText({ name: 'Error' }))
})

test('windows of part of the period are said to be part of it', () => {
  assert.equal(of(hours(), []).clusters[0]?.expectedOnly, null)
  assert.deepEqual(of(hours({ from: '2026-11-18T09:00:00Z' }), []).clusters[0]?.expectedOnly, {
    from: '2026-11-18T09:00:00Z',
    to: PERIOD.to,
  })
})

test('gaps are summed by workload and reason, and errors by line', () => {
  const windows = hours()
  const gap = { reason: 'scrape-failed', pods: 2, from: '2026-11-16T00:00:00Z', to: '2026-11-16T00:10:00Z' } as const
  const { clusters } = of(windows, [], {
    coverage: coverageOf('west', windows, web, { gapsOf: (index) => (index < 3 ? [gap] : []) }),
    errors: ['2026-11-16T02:00:00Z', '2026-11-16T01:00:00Z'].map((window) => ({ window, line: 'Cannot read' })),
  })
  assert.deepEqual(
    clusters[0]?.gaps.map(({ reason, stretches, podSeconds }) => ({ reason, stretches, podSeconds })),
    [{ reason: 'scrape-failed', stretches: 3, podSeconds: 3600 }],
  )
  assert.deepEqual(clusters[0]?.errors, [
    { cluster: 'west', line: 'Cannot read', windows: 2, first: '2026-11-16T01:00:00Z', last: '2026-11-16T02:00:00Z' },
  ])
})

test('adding a window that is not encrypted or not known never makes a path look better', () => {
  const states = fc.constantFrom<State>(...STATES)
  fc.assert(
    fc.property(fc.array(states, { minLength: 1, maxLength: 8 }), states, (seen, more) => {
      const marks = (list: readonly State[]): Summary =>
        of(hours(), [path(list.map((state, index) => ({ from: index, to: index, state })))])
      const before = marks(seen)
      const after = marks([...seen, more])
      assert.ok(after.notEncrypted.length >= before.notEncrypted.length)
      assert.ok(
        after.notEncrypted.length + after.notEnoughEvidence.length >=
          before.notEncrypted.length + before.notEnoughEvidence.length,
      )
    }),
    { numRuns: 200 },
  )
})

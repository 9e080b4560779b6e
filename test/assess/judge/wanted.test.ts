import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WANTED_SHARE } from '../../../lib/assess/judge/stored-scope.ts'
import { atWantedShare } from '../../../lib/assess/judge/wanted.ts'
import { RULES } from '../../../lib/assess/judge/rules.ts'
import type { RuleFinding } from '../../../lib/assess/judge/rule.ts'
import type { Seen, Verdict } from '../../../lib/model/judgement.ts'
import type { GapReason } from '../../../lib/model/window.ts'
import {
  FOUR_WEEKS,
  type Shown,
  type ShownEnd,
  foundBy,
  scraped,
  watchedPeriod,
} from '../../support/stored/watched-period.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const repeat = (count: number, shown: Shown = {}): Shown[] => Array.from({ length: count }, () => shown)

/** All hours of four weeks, but for the indexes given. */
function fourWeeks(others: Readonly<Record<number, Shown>> = {}, usual: Shown = {}): Shown[] {
  return repeat(FOUR_WEEKS, usual).map((shown, index) => others[index] ?? shown)
}

function unreadFor(...reasons: readonly GapReason[]): ShownEnd {
  const gaps = reasons.map((reason) => ({ reason, pods: 1, from: '2026-11-02T00:20:00Z', to: '2026-11-02T00:31:00Z' }))
  return { coverage: { observedSeconds: 2940, ratio: 2940 / 3600, gaps } }
}

const gone: Shown = { isMissing: true }
const quiet: Shown = { state: 'not-observed' }
const clear: Shown = { state: 'plaintext', reason: 'no_tls_from_remote' }
const restart: Shown = { web: scraped(3510), db: scraped(3510) }
/** An outage of ten minutes, after which nobody can say what a proxy forgot. */
const outage: Shown = {
  state: 'unknown',
  reason: 'destination-not-seen',
  web: unreadFor('prometheus-down'),
  db: unreadFor('prometheus-down'),
}
const at = (indexes: readonly number[], shown: Shown): Record<number, Shown> =>
  Object.fromEntries(indexes.map((index) => [index, shown]))
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

/** Four weeks with traffic in thirteen windows, the last as given. */
const thirteen = (last: Shown): Shown[] => {
  const runs = at(
    range(0, 12).map((run) => run * 50),
    {},
  )
  return fourWeeks({ ...runs, 600: last }, quiet)
}

test('path-is-encrypted of four weeks of hours passes by the share that was seen, and says it', () => {
  const skips = {
    web: { workload: { blindSpots: [{ kind: 'skip-outbound', port: '80', detail: '' }] } },
    db: { workload: { blindSpots: [{ kind: 'skip-inbound', port: '80', detail: '' }] } },
  } as const
  const cases: readonly (readonly [what: string, verdict: Verdict, share: number, shown: readonly Shown[]])[] = [
    ['all seen', 'pass', 1, fourWeeks()],
    ['one not collected', 'pass', 671 / 672, fourWeeks({ 100: gone })],
    ['a restart of Prometheus a week', 'pass', 1 - 360 / 2_419_200, fourWeeks(at([9, 177, 345, 513], restart))],
    ['six hours not collected', 'pass', 666 / 672, fourWeeks(at(range(5, 11), gone))],
    ['seven hours not collected', 'not-enough-evidence', 665 / 672, fourWeeks(at(range(5, 12), gone))],
    ['one day not collected', 'not-enough-evidence', 648 / 672, fourWeeks(at(range(24, 48), gone))],
    [
      'one window in which the source may be half meshed',
      'not-enough-evidence',
      671 / 672,
      fourWeeks({ 3: { state: 'unknown', reason: 'source-partly-unmeshed (1 of 2)' } }),
    ],
    [
      'one window that nobody could tell',
      'pass',
      671 / 672,
      fourWeeks({ 3: { state: 'unknown', reason: 'destination-not-seen' } }),
    ],
    [
      'six runs of a job that nobody could tell, else quiet',
      'not-enough-evidence',
      666 / 672,
      fourWeeks(at([1, 101, 201, 301, 401, 501], { state: 'unknown', reason: 'pod-not-listed' }), quiet),
    ],
    ['an outage in one of thirteen windows with traffic', 'pass', 671 / 672, thirteen(outage)],
    [
      'a pod that ended unread in one of thirteen windows with traffic',
      'not-enough-evidence',
      671 / 672,
      thirteen({ ...outage, db: unreadFor('ended-unscraped') }),
    ],
    [
      'an outage and a pod that ended unread in one of thirteen windows with traffic',
      'not-enough-evidence',
      671 / 672,
      thirteen({ ...outage, db: unreadFor('prometheus-down', 'ended-unscraped') }),
    ],
    ['an outage in the only window with traffic', 'not-enough-evidence', 671 / 672, fourWeeks({ 600: outage }, quiet)],
    [
      'one window refused, and outages in five with traffic',
      'not-enough-evidence',
      667 / 672,
      fourWeeks({ 600: { outcome: 'refused' }, ...at(range(5, 10), outage) }, quiet),
    ],
    ['outages in seven windows', 'not-enough-evidence', 665 / 672, fourWeeks(at(range(5, 12), outage))],
    ['dark for 671 hours, seen in the last', 'not-enough-evidence', 1 / 672, fourWeeks({ 671: {} }, gone)],
    ['one window clear', 'fail', 1, fourWeeks({ 300: clear })],
    ['dark, but one window clear', 'fail', 1 / 672, fourWeeks({ 300: clear }, gone)],
    [
      'around both ends, and quiet since',
      'not-enough-evidence',
      0,
      fourWeeks({ 0: { ...skips } }, { ...quiet, ...skips }),
    ],
    ['around both ends, and quiet all the time', 'not-enough-evidence', 0, fourWeeks({}, { ...quiet, ...skips })],
    ['proxies of the destination never scraped', 'pass', 1, fourWeeks({}, { db: scraped(0) })],
    [
      'proxies of neither end ever scraped',
      'not-enough-evidence',
      0,
      fourWeeks({}, { web: scraped(0), db: scraped(0) }),
    ],
    ['quiet', 'not-applicable', 1, fourWeeks({}, quiet)],
    ['quiet, one not collected', 'not-applicable', 671 / 672, fourWeeks({ 7: gone }, quiet)],
    ['quiet, one day not collected', 'not-enough-evidence', 648 / 672, fourWeeks(at(range(24, 48), gone), quiet)],
    ['all refused', 'not-applicable', 1, fourWeeks({}, { ...clear, outcome: 'refused' })],
  ]
  for (const [what, verdict, share, shown] of cases) {
    const made = watchedPeriod(shown)
    const found = foundBy('path-is-encrypted', made)
    assert.equal(found.verdict, verdict, `${what}: ${found.detail}`)
    if (found.verdict === 'fail') continue
    const seen =
      found.seen?.share ??
      (verdict === 'not-enough-evidence' ? foundBy('inbound-plaintext-absent', made).seen?.share : null)
    if (found.seen !== null) assert.ok(Math.abs((seen ?? -1) - share) < 1e-9, `${what}: ${seen}`)
    if (verdict === 'pass') assert.match(found.detail, /, seen for (all|\d+\.\d %) of its time/, what)
  }
  const [once, restarts] = [{ 100: gone }, at([9, 177, 345, 513], restart)].map((others) =>
    foundBy('path-is-encrypted', watchedPeriod(fourWeeks(others))),
  )
  matchesText(once?.detail)
  matchesText(restarts?.detail)
})

test('a day that was not collected passes where less is wanted, and an hour does not where all is', () => {
  const day = watchedPeriod(fourWeeks(at(range(24, 48), gone)))
  const hour = watchedPeriod(fourWeeks({ 100: gone }))
  const verdictAt = (made: typeof day, wantedShare: number) =>
    foundBy('path-is-encrypted', made, { wantedShare }).verdict
  assert.deepEqual(
    [verdictAt(day, 0.85), verdictAt(day, 0.96), verdictAt(day, 0.97)],
    ['pass', 'pass', 'not-enough-evidence'],
  )
  assert.deepEqual([verdictAt(hour, 0.99), verdictAt(hour, 1)], ['pass', 'not-enough-evidence'])
  assert.equal(verdictAt(watchedPeriod(fourWeeks()), 1), 'pass')
})

const seenAs = (share: number | null, more: Partial<Seen> = {}): Seen => ({
  share,
  told: null,
  windows: 672,
  seenWindows: 600,
  partWindows: 0,
  uncollected: 0,
  unseenSeconds: share === null ? 0 : (1 - share) * 2_419_200,
  outsideSeconds: 0,
  ...more,
})

const finding = (verdict: Verdict, seen: Seen | null): RuleFinding => ({
  subject: { kind: 'cluster', cluster: 'prod' },
  verdict,
  detail: 'What was seen',
  seen,
})

const anyShare = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(null, 0, 1, 0.99, 0.98))

test('atWantedShare() leaves failures and what lacks evidence, and never makes a verdict better', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Verdict>('fail', 'not-enough-evidence', 'pass', 'not-applicable'),
      anyShare,
      anyShare,
      fc.constantFrom(0.5, 0.85, 0.99, 1),
      (verdict, share, told, wanted) => {
        const given = finding(verdict, seenAs(share, { told }))
        const found = atWantedShare(given, wanted)
        if (verdict === 'fail' || verdict === 'not-enough-evidence') assert.deepEqual(found, given)
        const isEnough = [share, told].every((one) => one === null || one >= wanted - 1e-9)
        if (verdict === 'pass' || verdict === 'not-applicable')
          assert.equal(found.verdict, isEnough ? verdict : 'not-enough-evidence')
      },
    ),
  )
})

test('atWantedShare() says of less than all never that it was all', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.5, max: 1, maxExcluded: true, noNaN: true }), (share) => {
      for (const wanted of [0.5, 1]) {
        const { detail } = atWantedShare(finding('pass', seenAs(share)), wanted)
        assert.doesNotMatch(detail, /100(\.0)? % of|seen all/)
        assert.match(detail, /[Ss]een for \d\d\.\d % of its time/)
      }
    }),
  )
  matchesText(atWantedShare(finding('pass', seenAs(1)), WANTED_SHARE).detail)
})

test('a finding that lacks evidence says what was not seen', () => {
  const lacking = (more: Partial<Seen>) => atWantedShare(finding('pass', seenAs(0.5, more)), WANTED_SHARE).detail
  matchesText(lacking({ uncollected: 72 }))
  matchesText(lacking({}))
  matchesText(lacking({ seenWindows: 671, partWindows: 1 }))
  matchesText(lacking({ seenWindows: 672, partWindows: 3 }))
  matchesText(lacking({ uncollected: 70, seenWindows: 600, partWindows: 5 }))
  matchesText(lacking({ outsideSeconds: 3600 }))
  assert.match(lacking({ told: 0.25 }), /25\.0 % can be judged, 99 % wanted/)
})

test('a window of which traffic was seen, and perhaps not all of it, is not called unseen', () => {
  const doubted: Shown = { web: { workload: { meshed: 'partly' } }, db: { workload: { meshed: 'partly' } } }
  const { detail } = foundBy('path-is-encrypted', watchedPeriod(fourWeeks(at(range(0, 20), doubted))))
  matchesText(detail)
})

const ORDER: readonly Verdict[] = ['fail', 'not-enough-evidence', 'pass', 'not-applicable']

/** What one window of a story showed. */
const anyShown: fc.Arbitrary<Shown> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<Shown>({}, {}, quiet) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Shown>(gone, restart, { web: scraped(1800) }, { db: scraped(0), web: scraped(900) }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Shown>(
      clear,
      { ...clear, outcome: 'refused' },
      { state: 'unknown', reason: 'destination-not-seen' },
      outage,
      { state: 'unknown', reason: 'source-partly-unmeshed (1 of 2)' },
      { ...quiet, isListed: false, web: null },
      { ...quiet, web: null },
      { ...quiet, changes: { partial: true } },
      { changes: { overridden: ['deployment/shop/db'] } },
    ),
  },
)

/** Four days or so, mostly well. */
const anyStory = fc
  .tuple(fc.integer({ min: 2, max: 48 }), fc.dictionary(fc.nat(47).map(String), anyShown, { maxKeys: 8 }), fc.boolean())
  .map(([count, others, isQuiet]) =>
    repeat(count, isQuiet ? quiet : {}).map((shown, index) => others[String(index)] ?? shown),
  )

const JUDGED = [
  'path-is-encrypted',
  'path-is-mutual',
  'inbound-plaintext-absent',
  'plaintext-is-refused',
  'identity-is-expected',
  'workload-is-meshed',
  'evidence-is-complete',
] as const

function verdictsOf(shown: readonly Shown[], wantedShare: number): Verdict[] {
  const made = watchedPeriod(shown)
  return JUDGED.map((rule) => foundBy(rule, made, { wantedShare }).verdict)
}

test('no verdict is better for an encrypted or a quiet window that was not collected', () => {
  fc.assert(
    fc.property(anyStory, fc.nat(47), fc.constantFrom(0.5, 0.9, 0.99, 1), (story, place, wanted) => {
      const index = place % story.length
      const { state = 'mtls', isMissing, changes } = story[index] ?? {}
      fc.pre((state === 'mtls' || state === 'not-observed') && isMissing !== true && changes === undefined)
      const before = verdictsOf(story, wanted)
      const after = verdictsOf(story.with(index, gone), wanted)
      for (const [rule, id] of JUDGED.entries()) {
        const [was, is] = [before[rule], after[rule]]
        assert.ok(was !== undefined && is !== undefined)
        // That nothing was to be judged claims nothing: it is no better than a pass.
        const isNothing = was === 'pass' && is === 'not-applicable'
        assert.ok(isNothing || ORDER.indexOf(is) <= ORDER.indexOf(was), `${id}: ${was}, then ${is}`)
      }
    }),
    { numRuns: 150 },
  )
})

test('one more clear window makes a path fail, whatever else was seen of it', () => {
  fc.assert(
    fc.property(anyStory, fc.nat(47), (story, place) => {
      const index = place % story.length
      const after = verdictsOf(story.with(index, clear), 0.5)
      assert.deepEqual(after.slice(0, 4), ['fail', 'fail', 'fail', 'fail'])
      const before = verdictsOf(story, 0.5)
      for (const [rule, is] of after.entries())
        assert.ok(is === 'not-applicable' || ORDER.indexOf(is) <= ORDER.indexOf(before[rule] ?? 'fail'), JUDGED[rule])
    }),
    { numRuns: 100 },
  )
})

test('no longer period passes where a part of it fails', () => {
  fc.assert(
    fc.property(anyStory, anyStory, (first, second) => {
      const whole = verdictsOf([...first, ...second], 0.5)
      for (const part of [first, second].map((story) => verdictsOf(story, 0.5)))
        for (const [rule, verdict] of part.entries())
          if (verdict === 'fail') assert.notEqual(whole[rule], 'pass', JUDGED[rule])
    }),
    { numRuns: 100 },
  )
})

test('every rule that passes says how much was seen', () => {
  const made = watchedPeriod(repeat(24))
  for (const { id } of RULES) {
    const { verdict, seen, detail } = foundBy(id, made)
    assert.equal(verdict, 'pass', `${id}: ${detail}`)
    assert.equal(seen?.share, 1, id)
    assert.match(detail, /seen for all of its time$/, id)
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { comparedOf } from '../../lib/history/compared.ts'
import { foldWindows } from '../../lib/history/timeline.ts'
import { emptyTimeline } from '../../lib/history/fold-state.ts'
import type { ExpectedWindow } from '../../lib/history/fold-state.ts'
import { PATH_CLASSES } from '../../lib/model/path.ts'
import { type Changes, compare } from '../../lib/report/summary/change-summary.ts'
import {
  anyHistory,
  expectedWindows,
  halfDay,
  HALF_DAY,
  named80,
  pathWindow,
} from '../support/stored/window-results.ts'

type Span = { readonly from: string; readonly to: string }

const SETTINGS = { judgedClasses: PATH_CLASSES, platformNamespaces: [] }

function changesOf(windows: readonly ExpectedWindow[], before: Span, period: Span): Changes {
  const { months, episodes } = foldWindows(emptyTimeline('demo'), windows)
  return compare([comparedOf('demo', { months, episodes }, { before, period }, SETTINGS)], before, period)
}

const episodesAt = (windows: readonly ExpectedWindow[], time: string): number =>
  new Set(
    foldWindows(emptyTimeline('demo'), windows)
      .episodes.filter(
        ({ openedAt, endedAt }) =>
          Date.parse(openedAt) < Date.parse(time) && (endedAt === null || Date.parse(endedAt) > Date.parse(time)),
      )
      .map(({ id }) => id),
  ).size

/** Windows `from` to `to`, the last one not among them. */
const spanOf = (windows: readonly ExpectedWindow[], from: number, to: number): Span => ({
  from: windows[from]?.window.start ?? '',
  to: windows[to - 1]?.window.end ?? '',
})

/** A history of four windows at least, and two periods of any lengths in it: apart, one after the other, overlapping, or one within the other. */
const compared = anyHistory
  .filter((windows) => windows.length >= 4)
  .chain((windows) =>
    fc.tuple(...Array.from({ length: 4 }, () => fc.nat(windows.length - 1))).map(([a = 0, b = 0, c = 0, d = 0]) => {
      const [first, second] = [Math.min(a, b), Math.max(a, b)]
      const [third, fourth] = [Math.min(c, d), Math.max(c, d, second)]
      return {
        windows,
        before: spanOf(windows, first, second + 1),
        period: spanOf(windows, third, fourth + 1),
      }
    }),
  )

const isOfEpisode = ({ kind }: Changes['all'][number]): boolean => kind !== 'identity' && kind !== 'enforcement'

test('a path has one change of its encryption at most, and what is open at the end is told as open', () => {
  fc.assert(
    fc.property(compared, ({ windows, before, period }) => {
      const { all, comparisons, counts } = changesOf(windows, before, period)
      const ofEpisodes = all.filter(isOfEpisode)
      assert.equal(new Set(ofEpisodes.map(({ pathId }) => pathId)).size, ofEpisodes.length)
      for (const { kind, episode, openSeconds } of ofEpisodes)
        assert.equal(openSeconds !== null, kind === 'new' || kind === 'reopened' || kind === 'still-open', episode?.id)
      if (['whole', 'partly'].includes(comparisons[0]?.basis ?? ''))
        assert.equal(counts.new + counts.reopened + counts['still-open'], episodesAt(windows, period.to))
      else assert.deepEqual(all, [])
    }),
  )
})

test('a period has no change from itself, and none from a longer or a shorter one that ends with it', () => {
  fc.assert(
    fc.property(compared, ({ windows, before, period }) => {
      const last = windows.findIndex(({ window }) => window.end === period.to)
      for (const earlier of [period, { from: before.from, to: period.to }, spanOf(windows, last, last + 1)]) {
        const { all, firstSeen, noLonger } = changesOf(windows, earlier, period)
        assert.deepEqual(
          all.filter(({ kind }) => kind !== 'still-open'),
          [],
        )
        assert.deepEqual([firstSeen, noLonger], [0, 0])
      }
    }),
  )
})

test('how long two periods are decides nothing of what happened between their ends', () => {
  const told = ({ all }: Changes) =>
    all.filter(isOfEpisode).map(({ isSeenSince: _, mayBeEarlier: _2, ...change }) => change)
  fc.assert(
    fc.property(compared, ({ windows, before, period }) => {
      const one = changesOf(windows, before, period)
      const longer = changesOf(windows, { ...before, from: windows[0]?.window.start ?? '' }, period)
      const isCompared = ({ comparisons }: Changes): boolean =>
        ['whole', 'partly'].includes(comparisons[0]?.basis ?? '')
      if (isCompared(one) && isCompared(longer)) assert.deepEqual(told(one), told(longer))
    }),
  )
})

test('what is told as ended was seen to end, whatever was not looked at', () => {
  const blinded = compared.chain(({ windows, ...periods }) =>
    fc.array(fc.boolean(), { minLength: windows.length, maxLength: windows.length }).map((isDark) => ({
      ...periods,
      windows: windows.map(({ window, result }, index) => ({ window, result: isDark[index] === true ? null : result })),
    })),
  )
  fc.assert(
    fc.property(blinded, ({ windows, before, period }) => {
      const { all, firstSeen, noLonger } = changesOf(windows, before, period)
      const between = windows.filter(({ window }) => window.end > before.to && window.end <= period.to)
      const isLookedAt = ({ result }: ExpectedWindow): boolean => result?.collected === true
      for (const { kind, episode, pathId } of all) {
        if (kind === 'fixed' || kind === 'refused') {
          const shown = between.find(({ window }) => window.start === episode?.endedAt)
          assert.ok(shown !== undefined && isLookedAt(shown), `${kind} where nobody looked`)
          if (kind === 'fixed' && pathId === named80.pathId)
            assert.match(shown.result?.paths.find((path) => path.pathId === pathId)?.state ?? '', /mtls|tls/)
        }
        if (kind === 'gone' || kind === 'quiet') {
          const shown = between.find(({ window }) => window.end === episode?.endedAt)
          assert.ok(shown !== undefined && isLookedAt(shown), `${kind} where nobody looked`)
        }
      }
      if (between.every((window) => !isLookedAt(window))) {
        assert.deepEqual([firstSeen, noLonger], [0, 0])
        for (const { kind, isSeenSince } of all) assert.deepEqual([kind, isSeenSince], ['still-open', false])
      }
    }),
  )
})

test('a change is seen since only if a window of the later period shows its path, or that it has ended', () => {
  fc.assert(
    fc.property(compared, ({ windows, before, period }) => {
      const later = windows.filter(
        ({ window, result }) =>
          window.end > before.to && window.end > period.from && window.end <= period.to && result?.collected === true,
      )
      for (const { kind, pathId, isSeenSince } of changesOf(windows, before, period).all.filter(isOfEpisode)) {
        const isShown = later.some(({ result }) =>
          result?.paths.some((path) => path.pathId === pathId && path.state !== 'unknown'),
        )
        if (kind === 'new' || kind === 'reopened' || kind === 'still-open') assert.equal(isSeenSince, isShown, kind)
        if (later.length === 0) assert.equal(isSeenSince, false, kind)
      }
    }),
  )
})

test('what was not collected changes nothing, and what is unknown fixes nothing', () => {
  const cut = anyHistory
    .filter((windows) => windows.length >= 2)
    .chain((windows) =>
      fc.record({
        windows: fc.constant(windows),
        at: fc.integer({ min: 1, max: windows.length - 1 }),
        isUnknown: fc.boolean(),
      }),
    )
  fc.assert(
    fc.property(cut, ({ windows, at, isUnknown }) => {
      const blind = windows.map(({ window, result }, index) => ({
        window,
        result:
          index < at || result === null
            ? result
            : isUnknown
              ? { ...result, paths: result.paths.map((path) => ({ ...path, state: 'unknown' as const })) }
              : null,
      }))
      const { counts } = changesOf(blind, spanOf(windows, 0, at), spanOf(windows, at, windows.length))
      assert.equal(counts.fixed, 0)
      if (!isUnknown) assert.equal(counts.new + counts.reopened + counts.refused + counts.gone + counts.quiet, 0)
    }),
  )
})

test('what happened between two periods is told, and how old it is', () => {
  const mtls = { paths: [pathWindow(named80, 'mtls')] }
  const clear = { paths: [pathWindow(named80, 'plaintext', { enforcement: 'plaintext-allowed' })] }
  const refusing = { paths: [pathWindow(named80, 'mtls', { enforcement: 'plaintext-refused' })] }
  const windows = expectedWindows([mtls, clear, clear, mtls, mtls, clear, clear, refusing])
  const of = (before: [number, number], period: [number, number]) =>
    changesOf(windows, spanOf(windows, ...before), spanOf(windows, ...period)).all.map(
      ({ kind, episode, openSeconds }) => [kind, episode?.openedAt ?? null, openSeconds],
    )
  assert.deepEqual(of([0, 1], [1, 2]), [['new', halfDay(1).start, HALF_DAY]])
  assert.deepEqual(of([0, 1], [4, 5]), [['fixed', halfDay(1).start, null]])
  assert.deepEqual(of([3, 4], [4, 5]), [])
  assert.deepEqual(of([4, 5], [6, 7]), [['fixed', halfDay(5).start, null]], 'it ended with the period')
  assert.deepEqual(of([4, 5], [5, 6]), [['reopened', halfDay(5).start, HALF_DAY]])
  assert.deepEqual(of([5, 7], [7, 8]), [['enforcement', null, null]])
})

test('what began after a gap may be earlier, and a period that was not looked at says nothing of what is open', () => {
  const clear = { paths: [pathWindow(named80, 'plaintext')] }
  const mtls = { paths: [pathWindow(named80, 'mtls')] }
  const of = (shown: Parameters<typeof expectedWindows>[0], before: [number, number], period: [number, number]) => {
    const windows = expectedWindows(shown)
    return changesOf(windows, spanOf(windows, ...before), spanOf(windows, ...period)).all.map(
      ({ kind, mayBeEarlier, isSeenSince }) => [kind, mayBeEarlier, isSeenSince],
    )
  }
  assert.deepEqual(of([mtls, mtls, clear], [0, 1], [1, 3]), [['new', false, true]])
  assert.deepEqual(of([mtls, null, clear], [0, 1], [1, 3]), [['new', true, true]])
  assert.deepEqual(of([mtls, null, clear, {}], [0, 1], [3, 4]), [['new', true, false]], 'the gap is between the two')
  assert.deepEqual(of([mtls, clear, null, null], [0, 2], [2, 4]), [['still-open', false, false]])
  assert.deepEqual(of([clear, clear, null, mtls, null, null], [0, 2], [4, 6]), [['fixed', false, false]])
})

test('a later period without a window knows of no path that is gone', () => {
  const windows = expectedWindows([{ paths: [pathWindow(named80, 'mtls')] }])
  const after = { from: '2026-12-24T00:00:00Z', to: '2026-12-25T00:00:00Z' }
  const { firstSeen, noLonger } = changesOf(windows, spanOf(windows, 0, 1), after)
  assert.deepEqual([firstSeen, noLonger], [0, 0])
})

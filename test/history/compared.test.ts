import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { comparedOf } from '../../lib/history/compared.ts'
import { foldWindows } from '../../lib/history/timeline.ts'
import { emptyTimeline } from '../../lib/history/timeline-schema.ts'
import type { ExpectedWindow } from '../../lib/history/timeline-schema.ts'
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

/** A history of four windows at least, and where its two periods begin and end. */
const compared = anyHistory
  .filter((windows) => windows.length >= 4)
  .chain((windows) =>
    fc
      .tuple(fc.nat(windows.length - 1), fc.nat(windows.length - 1), fc.nat(windows.length - 1))
      .map((cuts) => cuts.toSorted((a, b) => a - b))
      .map(([first = 0, second = 0, third = 0]) => ({
        windows,
        before: spanOf(windows, first, second + 1),
        period: spanOf(windows, third, windows.length),
      })),
  )

test('a path has one change of its encryption at most, and what is open at the end is told as open', () => {
  fc.assert(
    fc.property(compared, ({ windows, before, period }) => {
      const { all, comparisons, counts } = changesOf(windows, before, period)
      const ofEpisodes = all.filter(({ kind }) => kind !== 'identity' && kind !== 'enforcement')
      assert.equal(new Set(ofEpisodes.map(({ pathId }) => pathId)).size, ofEpisodes.length)
      for (const { kind, episode, openSeconds } of ofEpisodes)
        assert.equal(openSeconds !== null, kind === 'new' || kind === 'reopened' || kind === 'still-open', episode?.id)
      if (['whole', 'partly'].includes(comparisons[0]?.basis ?? ''))
        assert.equal(counts.new + counts.reopened + counts['still-open'], episodesAt(windows, period.to))
      else assert.deepEqual(all, [])
    }),
  )
})

test('a period has no change from itself, and none from a longer one that ends with it', () => {
  fc.assert(
    fc.property(compared, ({ windows, before, period }) => {
      for (const earlier of [period, { from: before.from, to: period.to }])
        assert.deepEqual(
          changesOf(windows, earlier, period).all.filter(({ kind }) => kind !== 'still-open'),
          [],
        )
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

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { rows, within } from '../../../lib/history/rows/path-history.ts'
import { foldWindows } from '../../../lib/history/timeline.ts'
import { type ExpectedWindow, emptyTimeline } from '../../../lib/history/fold-state.ts'
import { type FlowChange, type FlowSpan, flowChanges } from '../../../lib/report/summary/flow-changes.ts'
import { anyHistory, expectedWindows, named80, pathWindow } from '../../support/stored/window-results.ts'

function spansOf(windows: readonly ExpectedWindow[]): (from: number, to: number) => FlowSpan {
  const { months, episodes } = foldWindows(emptyTimeline('demo'), windows)
  return (from, to) => {
    const span = { from: windows[from]?.window.start ?? '', to: windows[to - 1]?.window.end ?? '' }
    return {
      windows: months.flatMap((month) => month.windows).filter(within(span)),
      rows: rows(months, episodes, span, { fixOf: () => null, platformNamespaces: [] }),
    }
  }
}

/** A history, some windows of which nobody collected, and two spans in it. */
const compared = anyHistory
  .filter((windows) => windows.length >= 2)
  .chain((windows) =>
    fc
      .tuple(
        fc.array(fc.boolean(), { minLength: windows.length, maxLength: windows.length }),
        ...Array.from({ length: 4 }, () => fc.nat(windows.length - 1)),
      )
      .map(([isDark, a = 0, b = 0, c = 0, d = 0]) => {
        const [second, fourth] = [Math.min(b, d), Math.max(b, d)]
        return {
          windows: windows.map(({ window, result }, index) => ({
            window,
            result: isDark[index] === true ? null : result,
          })),
          before: [Math.min(a, second), second + 1] as const,
          after: [Math.min(c, fourth), fourth + 1] as const,
        }
      }),
  )

test('a path is told once, with how it was seen; what nobody looked at is not gone, changed or new', () => {
  fc.assert(
    fc.property(compared, ({ windows, before, after }) => {
      const spanAt = spansOf(windows)
      const changes = flowChanges('demo', spanAt(...before), spanAt(...after))
      assert.equal(new Set(changes.map(({ pathId }) => pathId)).size, changes.length)
      const isSeen = (pathId: string, [from, to]: readonly [number, number]): boolean =>
        windows
          .slice(from, to)
          .some(({ result }) => result?.collected === true && result.paths.some((path) => path.pathId === pathId))
      const lookedAt = windows.slice(before[1], after[1]).filter(({ result }) => result?.collected === true)
      for (const change of changes) {
        for (const [seen, where] of [
          [change.before, before],
          [change.after, after],
        ] as const) {
          if (isSeen(change.pathId, where)) assert.notEqual(seen, null, change.kind)
          // A window may leave in doubt whether there was traffic.
          else assert.ok(seen === null || seen.state === 'unknown', change.kind)
        }
        if (change.kind === 'gone') assert.ok(lookedAt.length > 0, 'gone where nobody looked')
        if (change.kind === 'not-seen') assert.notEqual(change.notSeen, null)
      }
      if (windows.slice(...after).every(({ result }) => result?.collected !== true))
        assert.ok(changes.every(({ kind }) => kind === 'not-seen' || kind === 'gone'))
    }),
  )
})

test('a time does not differ from itself', () => {
  fc.assert(
    fc.property(compared, ({ windows, after }) => {
      const span = spansOf(windows)(...after)
      for (const { kind } of flowChanges('demo', span, span)) assert.equal(kind, 'same')
    }),
  )
})

test('each kind of difference', () => {
  const seen = (state: 'mtls' | 'plaintext') => ({ paths: [pathWindow(named80, state)] })
  const gone = { existing: ['statefulset/bank/ledger'] }
  const of = (
    shown: Parameters<typeof expectedWindows>[0],
    before: readonly [number, number],
    after: readonly [number, number],
  ) => {
    const spanAt = spansOf(expectedWindows(shown))
    const told = ({ kind, mayBeEarlier, notSeen }: FlowChange) => [kind, mayBeEarlier, notSeen]
    return flowChanges('demo', spanAt(...before), spanAt(...after)).map(told)
  }
  assert.deepEqual(of([{}, seen('mtls')], [0, 1], [1, 2]), [['new', false, null]])
  assert.deepEqual(of([{}, null, seen('mtls')], [0, 2], [2, 3]), [['new', true, null]], 'one window was not collected')
  assert.deepEqual(of([seen('mtls'), seen('plaintext')], [0, 1], [1, 2]), [['changed', false, null]])
  assert.deepEqual(of([seen('mtls'), {}], [0, 1], [1, 2]), [['not-seen', false, 'no-traffic']])
  assert.deepEqual(of([seen('mtls'), {}, null], [0, 1], [1, 3]), [['not-seen', false, 'partly-collected']])
  assert.deepEqual(of([seen('mtls'), null], [0, 1], [1, 2]), [['not-seen', false, 'not-collected']])
  assert.deepEqual(of([seen('mtls'), {}, seen('mtls')], [1, 2], [2, 3]), [['seen-again', false, null]])
  assert.deepEqual(of([seen('mtls'), gone, gone], [0, 1], [2, 3]), [['gone', false, null]])
  assert.deepEqual(of([seen('mtls'), gone, gone], [0, 2], [2, 3]), [], 'it was gone before')
  assert.deepEqual(
    of([seen('plaintext'), gone, seen('plaintext')], [0, 2], [2, 3]),
    [['new', false, null]],
    'it is back',
  )
  assert.deepEqual(of([seen('mtls'), seen('mtls')], [0, 1], [1, 2]), [['same', false, null]])
  assert.deepEqual(of([null, seen('mtls')], [0, 1], [1, 2]), [], 'nothing to compare with')
})

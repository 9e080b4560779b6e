import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Interval, TimelineMonth } from '../../../lib/model/history.ts'
import { STATES } from '../../../lib/model/path.ts'
import { type ExpectedWindow, emptyTimeline } from '../../../lib/history/fold-state.ts'
import { foldWindows } from '../../../lib/history/timeline.ts'
import { packWindows, unpackWindows } from '../../../lib/history/rows/packed-windows.ts'
import { GROUP_ROWS, openTable } from '../../../lib/history/tables/parquet-table.ts'
import {
  TIMELINE_COLUMNS,
  coverageIn,
  decodeMonth,
  decodeAsked,
  encodeMonth,
} from '../../../lib/history/tables/timeline-table.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import {
  anyHistory,
  coverageOf,
  expectedWindows,
  halfDay,
  named80,
  pathWindow,
  watched,
} from '../../support/stored/window-results.ts'

const fold = (shown: Parameters<typeof expectedWindows>[0]): TimelineMonth => {
  const [month] = foldWindows(emptyTimeline('demo'), expectedWindows(shown)).months
  assert.ok(month)
  return month
}

test('a month is the same after it was written and read, and equal months are equal bytes', async () => {
  await fc.assert(
    fc.asyncProperty(anyHistory, async (history) => {
      for (const month of foldWindows(emptyTimeline('demo'), history).months) {
        const body = encodeMonth(month)
        const read = await decodeMonth(body)
        assert.deepEqual(read, month)
        assert.deepEqual(encodeMonth(read), body)
      }
    }),
  )
})

test('a month of which some states are read is the same month with intervals of these alone', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyHistory.map(withKeys),
      fc.subarray([...STATES]),
      fc.boolean(),
      async (history, states, isWhole) => {
        for (const month of foldWindows(emptyTimeline('demo'), history).months) {
          const intervals = month.intervals
            .filter(({ state }) => states.includes(state))
            .map(({ activity, ...interval }) => ({ ...interval, activity: isWhole ? [] : activity }))
          const { windows, ...read } = await decodeAsked(encodeMonth(month), {
            states: new Set(states),
            isWhole: (name) => name === month.month && isWhole,
          })
          assert.deepEqual({ ...read, windows: windows.map(withEvidence) }, { ...month, intervals })
          const packed = unpackWindows(packWindows(windows, 'demo'), 'demo')
          assert.deepEqual(packed.map(withEvidence), month.windows)
        }
      },
    ),
  )
})

/** With keys as they are in a store: of one attempt, of several, of another cluster. */
function withKeys(history: readonly ExpectedWindow[]): readonly ExpectedWindow[] {
  return history.map(({ window, result }, index) => {
    if (result === null || index % 4 === 0) return { window, result }
    const key = (attempt: number) => evidenceKey({ window, cluster: index % 4 === 1 ? 'other' : 'demo', attempt })
    const also = index % 3 === 0 ? { also: [key(1)] } : {}
    return { window, result: { ...result, inputs: { ...result.inputs, evidence: key(1 + index), ...also } } }
  })
}

/** A window whose key may be made when it is asked for, as any other. */
const withEvidence = (window: TimelineMonth['windows'][number]) => ({ ...window, evidence: window.evidence })

test('a month keeps what no proxy would show: any text, any count, and evidence that is not where it should be', async () => {
  const hostile = ['', 'null', '\u0000', '"\\', '\u{10ffff}', '\ud800', 'a'.repeat(300), '=cmd|1!A1', '<script>']
  const [source, destination] = [named80.source, named80.destination]
  const paths = hostile.map((text, index) =>
    pathWindow(
      {
        ...named80,
        pathId: `0${index}`,
        source: { ...source, name: text, serviceAccount: text },
        destination: { ...destination, namespace: text, cluster: text },
      },
      'plaintext',
      {
        reason: text,
        clientId: text,
        opens: 1e300,
        bytes: index + 0.5,
        clearBytes: index,
        candidates: [{ ...source, name: text }],
        settings: [{ workload: source, name: text, value: text, by: 'pod' }],
      },
    ),
  )
  const month = fold([{ ...watched(halfDay(0)), paths }, null, { collected: false }])
  const wellFormed = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (_, text: unknown) => (typeof text === 'string' ? text.toWellFormed() : text)))
  assert.deepEqual(wellFormed(await decodeMonth(encodeMonth(month))), wellFormed(month))
  assert.equal(month.intervals[0]?.total.opens, Number.MAX_SAFE_INTEGER)
})

test('a month without a path, and one of more rows than a row group has, are tables as any', async () => {
  const none = fold([{}, {}])
  assert.deepEqual(await decodeMonth(encodeMonth(none)), none)
  const [interval] = fold([{ paths: [pathWindow(named80, 'mtls')] }]).intervals
  assert.ok(interval)
  const intervals = Array.from({ length: GROUP_ROWS + 3 }, (_, index): Interval => ({
    ...interval,
    pathId: index.toString(16).padStart(16, '0'),
  }))
  const body = encodeMonth({ ...none, intervals })
  assert.deepEqual((await decodeMonth(body)).intervals, intervals)
})

test('the metadata of a month say what it is, and the columns are those that it is documented by', async () => {
  const month = fold([{ ...watched(halfDay(0)), paths: [pathWindow(named80, 'mtls')] }])
  const { windows, ...metadata } = openTable(encodeMonth(month)).metadata
  assert.deepEqual(metadata, {
    format: 'ciphertrail/timeline/2',
    derivation: String(month.derivation),
    cluster: 'demo',
    month: '2026-11',
    watermark: halfDay(0).end,
    namespaces: 'null',
  })
  assert.ok(windows !== undefined && windows.length > 0)
  assert.deepEqual(
    openTable(encodeMonth(month)).columns,
    TIMELINE_COLUMNS.map(({ name }) => name),
  )
})

test('the table of coverage has a row for each window, with the attempt that its evidence key is made of', async () => {
  const window = halfDay(1)
  const key = (attempt: number) => evidenceKey({ window, cluster: 'demo', attempt })
  const month = fold([
    {},
    {
      inputs: { evidence: key(2), also: [key(1)], before: null, after: null },
      coverage: [coverageOf(window, { observedSeconds: 43_199.9 }), coverageOf(window, { observedSeconds: 0.1 + 0.2 })],
    },
    null,
  ])
  const rows = await openTable(coverageIn(encodeMonth(month))).read()
  assert.deepEqual(
    rows.map(({ ends_at, collected, observed_ms, attempt, evidence }) => [
      ends_at,
      collected,
      observed_ms,
      attempt,
      evidence,
    ]),
    [
      [halfDay(0).end, true, 0n, null, 'evidence/20261120T000000Z/demo/1'],
      [halfDay(1).end, true, 43_200_200n, 2, null],
      [halfDay(2).end, false, 0n, null, null],
    ],
  )
  assert.deepEqual((await decodeMonth(encodeMonth(month))).windows, month.windows)
})

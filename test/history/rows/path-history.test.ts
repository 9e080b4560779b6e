import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isNotEncrypted } from '../../../lib/assess/window/episode-lifecycle.ts'
import { rows, stateStripsOf, stripsOf } from '../../../lib/history/rows/path-history.ts'
import type { HistoryQuery } from '../../../lib/history/rows/path-history.ts'
import { rowCounter } from '../../../lib/history/rows/row-counter.ts'
import { foldWindows } from '../../../lib/history/timeline.ts'
import { STATES } from '../../../lib/model/path.ts'
import type { PathRow } from '../../../lib/model/history.ts'
import type { WindowResult } from '../../../lib/model/window.ts'
import {
  anyHistory,
  expectedWindows,
  halfDay,
  named80,
  pathWindow,
  unnamed80,
  windowResult,
} from '../../support/stored/window-results.ts'
import { emptyTimeline } from '../../../lib/history/fold-state.ts'
import type { ExpectedWindow } from '../../../lib/history/fold-state.ts'

function ask(history: readonly ExpectedWindow[], query: HistoryQuery = {}): PathRow[] {
  const { months, episodes } = foldWindows(emptyTimeline('demo'), history)
  return rows(months, episodes, query, {
    fixOf: ({ state }) => (state === 'plaintext' ? 'Mesh it' : null),
    platformNamespaces: [],
  })
}

function key(index: number): string {
  return windowResult(halfDay(index)).inputs.evidence
}

const mtls = { paths: [pathWindow(named80, 'mtls', { opens: 2, openAtScrape: 3, bytes: 100 })] }
const clear = { paths: [pathWindow(named80, 'plaintext', { opens: 1, openAtScrape: 1, bytes: 50, clearBytes: 25 })] }
const quiet = {}

test('rows() adds up what happened inside the period only, and names the first and the last snapshot behind each row', () => {
  const history = expectedWindows([clear, clear, quiet, clear, mtls])
  const [row, ...others] = ask(history, { from: halfDay(0).end, to: halfDay(3).end })
  assert.deepEqual(others, [])
  assert.deepEqual(row, {
    cluster: 'demo',
    class: 'application',
    ...named80,
    from: halfDay(1).start,
    to: halfDay(3).end,
    state: 'plaintext',
    outcome: 'allowed',
    reason: '',
    cause: null,
    fix: 'Mesh it',
    clearShare: 0.5,
    opens: 2,
    openAtScrape: 1,
    bytes: 100,
    corroborated: 'yes',
    enforcement: 'unknown',
    candidates: [],
    episode: {
      id: `${named80.pathId}-20261120T000000Z`,
      openedAt: halfDay(0).start,
      sinceUnknown: false,
      mayBeEarlier: false,
      endedAt: halfDay(4).start,
      ending: 'fixed',
    },
    waiver: null,
    evidence: [key(1), key(3)],
  } satisfies PathRow)
})

test('rows() takes the windows whose end lies in the period, whatever the notation of its times', () => {
  const history = expectedWindows([mtls, clear, mtls])
  assert.deepEqual(
    ask(history, { from: '2026-11-20T13:00:00.000+01:00', to: '2026-11-21T13:00:00+13:00' }),
    ask(history, { from: halfDay(0).end, to: halfDay(1).end }),
  )
  assert.equal(ask(history, { from: halfDay(0).end, to: halfDay(1).end })[0]?.state, 'plaintext')
  assert.deepEqual(ask(history, { from: halfDay(2).end }), [])
  assert.throws(() => ask(history, { from: 'yesterday' }), RangeError)
})

test('rows() says not-observed, in one row, of a path that was quiet in the whole period, also over a month end', () => {
  const history = expectedWindows([...Array.from({ length: 20 }, () => mtls), quiet, quiet, quiet, quiet, mtls])
  const [row, ...others] = ask(history, { from: halfDay(19).end, to: halfDay(23).end })
  assert.deepEqual(others, [])
  assert.deepEqual(
    [row?.state, row?.reason, row?.from, row?.to, row?.opens, row?.clearShare, row?.evidence],
    ['not-observed', 'quiet', halfDay(20).start, halfDay(23).end, 0, null, [key(20), key(23)]],
  )
  assert.deepEqual(
    ask(history, { from: halfDay(18).end }).map(({ state, from }) => [state, from]),
    [
      ['mtls', halfDay(19).start],
      ['mtls', halfDay(22).start],
    ],
    'quiet ends stay in their rows where the path was active in the period',
  )
})

test('rows() has no evidence for a window that was never collected, and the attempt for one that failed', () => {
  const history = expectedWindows([mtls, null, { collected: false, errors: ['Cannot read metrics "demo": 500'] }])
  assert.deepEqual(
    ask(history).map(({ state, reason, evidence }) => [state, reason, evidence]),
    [
      ['mtls', '', [key(0)]],
      ['not-collected', 'window-missing', []],
      ['not-collected', 'source-unreadable', [key(2)]],
    ],
  )
})

test('rows() filters by namespace of either end and by state; not-encrypted leaves out what was refused', () => {
  const paths = [
    pathWindow(named80, 'plaintext'),
    pathWindow({ ...named80, pathId: 'f1' }, 'plaintext', { outcome: 'refused' }),
    pathWindow(unnamed80, 'no-mesh-tls'),
  ]
  const history = expectedWindows([{ paths }])
  const ids = (query: HistoryQuery): string[] => ask(history, query).map(({ pathId }) => pathId)
  assert.deepEqual(ids({ namespace: 'shop' }), [named80.pathId, 'f1'])
  assert.deepEqual(ids({ namespace: 'bank' }).length, 3)
  assert.deepEqual(ids({ namespace: 'other' }), [])
  assert.deepEqual(ids({ state: 'plaintext' }), [named80.pathId, 'f1'])
  assert.deepEqual(ids({ state: 'not-encrypted' }), [named80.pathId, unnamed80.pathId])
})

test('rows() gives the worst first, then by path and time', () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const keys = ask(history).map(({ state, pathId, from }) => `${STATES.indexOf(state)} ${pathId} ${from}`)
      assert.deepEqual(keys, keys.toSorted())
    }),
  )
})

const nameOf = ({ pathId, state, outcome, reason }: PathRow): string => JSON.stringify([pathId, state, outcome, reason])

test('rows() of the parts of a period add up to the rows of the whole', () => {
  fc.assert(
    fc.property(anyHistory, fc.array(fc.nat(150)), (history, cuts) => {
      const sums = (parts: readonly PathRow[]): Map<string, readonly number[]> => {
        const byState = new Map<string, readonly number[]>()
        for (const row of parts) {
          const { state, outcome, opens, bytes, clearShare } = row
          if (state === 'not-observed' || state === 'not-collected') continue
          // Of a part of what was encrypted or unknown, no more than the sums of the whole are kept.
          if (opens === null || bytes === null) {
            assert.ok(!isNotEncrypted({ state, outcome }))
            continue
          }
          const name = nameOf(row)
          const [opened = 0, moved = 0, clearly = 0] = byState.get(name) ?? []
          byState.set(name, [opened + opens, moved + bytes, Math.round(clearly + (clearShare ?? 0) * bytes)])
        }
        return byState
      }
      const whole = ask(history)
      const ends = [...new Set(cuts)].toSorted((a, b) => a - b).map((index) => halfDay(index).end)
      const parts = [undefined, ...ends].flatMap((from, index) => ask(history, { from, to: ends[index] }))
      const all = sums(whole)
      // A part in which an interval was only quiet calls it not-observed: nothing can be lost by that but a sum of zeros.
      const cut = new Set(parts.filter(({ bytes, opens }) => bytes === null || opens === null).map(nameOf))
      for (const [name, sum] of all) if (!cut.has(name)) assert.deepEqual(sums(parts).get(name) ?? [0, 0, 0], sum)
      assert.ok(parts.every(({ from, to }) => from < to))

      const seconds = (list: readonly PathRow[]): number =>
        list.reduce((sum, { from, to }) => sum + Date.parse(to) - Date.parse(from), 0)
      assert.equal(seconds(parts), seconds(whole), 'no time is lost or told twice')
    }),
  )
})

test('rows() tells no sums of a part of what was encrypted, but where there is nothing to sum; window results tell them', () => {
  const silent = { paths: [pathWindow(named80, 'mtls', { opens: 0, openAtScrape: 2, bytes: 0 })] }
  const history = expectedWindows([mtls, mtls, quiet, mtls])
  const countsOf = (parts: readonly PathRow[]) =>
    parts.map(({ opens, openAtScrape, bytes, clearShare }) => [opens, openAtScrape, bytes, clearShare])
  assert.deepEqual(countsOf(ask(history)), [[6, 3, 300, 0]])
  const part = ask(history, { from: halfDay(0).end })
  assert.deepEqual(countsOf(part), [[null, null, null, null]])
  assert.deepEqual(countsOf(ask(expectedWindows([silent, silent]), { from: halfDay(0).end })), [[0, null, 0, null]])
  const counter = rowCounter(part)
  for (const { result } of history.slice(1)) if (result !== null) counter.add(result)
  assert.deepEqual(countsOf(counter.rows()), [[4, 3, 200, 0]])
})

test('rows() leaves out rows that end before a time, and changes no other', () => {
  fc.assert(
    fc.property(anyHistory, fc.nat(60), fc.boolean(), (history, index, isCut) => {
      const query = isCut ? { from: halfDay(1).start, to: halfDay(30).end } : {}
      const endsFrom = halfDay(index).end
      assert.deepEqual(
        ask(history, { ...query, endsFrom }),
        ask(history, query).filter(({ to }) => to >= endsFrom),
      )
    }),
  )
})

test('rowCounter() gives every part of a period the sums of its windows', () => {
  let cut = 0
  fc.assert(
    fc.property(anyHistory, fc.nat(12), fc.nat(40), (history, first, length) => {
      const last = first + length
      const found = ask(history, { from: halfDay(first).start, to: halfDay(last).end })
      cut += found.filter(({ bytes }) => bytes === null).length
      const counter = rowCounter(found)
      const within = history.filter(
        ({ window }) => window.start >= halfDay(first).start && window.end <= halfDay(last).end,
      )
      for (const { result } of within) if (result !== null) counter.add(result)
      for (const row of counter.rows()) {
        const own = within
          .filter(
            ({ window, result }) => result?.collected === true && row.from <= window.start && window.end <= row.to,
          )
          .flatMap(({ result }) => result?.paths.filter(({ pathId }) => pathId === row.pathId) ?? [])
        assert.deepEqual(
          [row.opens, row.openAtScrape, row.bytes],
          [
            own.reduce((sum, { opens }) => sum + opens, 0),
            own.reduce((most, { openAtScrape }) => Math.max(most, openAtScrape), 0),
            own.reduce((sum, { bytes }) => sum + bytes, 0),
          ],
        )
      }
    }),
  )
  assert.ok(cut > 20, `${cut}`)
})

test('rows() gives each path its class by all that the months of the period say of namespaces, and by no other month', () => {
  const bank = { ...mtls, namespaces: { mesh: ['bank'], others: ['shop'] } }
  const noLonger = { namespaces: { mesh: [], others: ['bank', 'shop'] } }
  const classes = (history: readonly ExpectedWindow[], query: HistoryQuery = {}, platformNamespaces: string[] = []) => {
    const { months, episodes } = foldWindows(emptyTimeline('demo'), history)
    return [
      ...new Set(rows(months, episodes, query, { fixOf: () => null, platformNamespaces }).map((row) => row.class)),
    ]
  }
  assert.deepEqual(classes(expectedWindows([bank, mtls, bank])), ['mesh'])
  assert.deepEqual(classes(expectedWindows([bank, noLonger, bank])), ['application'], 'it lost the label for a while')
  assert.deepEqual(classes(expectedWindows([noLonger, bank, bank])), ['application'], 'it had no label at first')
  assert.deepEqual(classes(expectedWindows([mtls, mtls])), ['application'], 'no list was read')
  assert.deepEqual(classes(expectedWindows([mtls, mtls]), {}, ['b*']), ['platform'])

  const twoMonths = expectedWindows([...Array.from({ length: 22 }, () => bank), bank, noLonger])
  assert.deepEqual(classes(twoMonths, { to: halfDay(21).end }), ['mesh'])
  assert.deepEqual(classes(twoMonths, { from: halfDay(21).end }), ['application'])
  assert.deepEqual(classes(twoMonths, { from: halfDay(20).end, to: halfDay(22).end }), ['application'])
})

test('stripsOf() has one cell for each expected window, with what the path was in it', () => {
  const gone: Partial<WindowResult> = { existing: [] }
  const history = expectedWindows([quiet, mtls, quiet, null, clear, gone])
  const { months } = foldWindows(emptyTimeline('demo'), history)
  const states = stripsOf(months, {}).get(named80.pathId)
  assert.deepEqual(
    states?.map(({ state }) => state),
    [null, 'mtls', 'not-observed', 'not-collected', 'plaintext', null],
  )
  assert.deepEqual(stripsOf(months, { from: halfDay(1).end, to: halfDay(3).end }).get(named80.pathId), [
    { ...halfDay(2), state: 'not-observed', outcome: 'allowed' },
    { ...halfDay(3), state: 'not-collected', outcome: 'allowed' },
  ])
})

test('stripsOf() agrees with what each window says of the path', () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const { months } = foldWindows(emptyTimeline('demo'), history)
      const states = Object.entries(stateStripsOf(months, {}))
      assert.deepEqual(
        states,
        Object.entries(Object.fromEntries(stripsOf(months, {}))).map(([id, cells]) => [
          id,
          cells.map(({ state }) => state),
        ]),
      )
      for (const [pathId, cells] of stripsOf(months, {})) {
        assert.deepEqual(
          cells.map(({ start }) => start),
          history.map(({ window }) => window.start),
        )
        for (const [index, { state }] of cells.entries()) {
          const result = history[index]?.result
          const seen = result?.collected ? result.paths.find((path) => path.pathId === pathId) : undefined
          if (seen !== undefined) assert.equal(state, seen.state)
          else if (result?.overridden?.length) assert.ok(state === 'unknown' || pathId.endsWith('d4') || state === null)
          else
            assert.ok(
              state === null || state === (result?.collected && !result.partial ? 'not-observed' : 'not-collected'),
            )
        }
      }
    }),
  )
})

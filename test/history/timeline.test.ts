import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import { NOTHING_SEEN, addActivity } from '../../lib/history/rows/path-readings.ts'
import { decodeMonth, encodeMonth } from '../../lib/history/tables/timeline-table.ts'
import { countQuiet, isQuietAt } from '../../lib/history/rows/quiet-windows.ts'
import { foldWindows, hotMonths } from '../../lib/history/timeline.ts'
import type { Episode, Interval } from '../../lib/model/history.ts'
import type { Coverage, PathWindow, WindowResult, Workload } from '../../lib/model/window.ts'
import {
  anyHistory,
  coverageOf,
  expectedWindows,
  halfDay,
  HALF_DAY,
  named443,
  named80,
  pathWindow,
  unnamed80,
  unnamed90,
  watched,
  workloadOf,
} from '../support/stored/window-results.ts'
import { emptyTimeline, timelineSchema } from '../../lib/history/fold-state.ts'
import type { ExpectedWindow, Timeline } from '../../lib/history/fold-state.ts'
import { errorText } from '../support/texts/matches-text.ts'

function fold(expected: Iterable<ExpectedWindow>): Timeline {
  return foldWindows(emptyTimeline('demo'), expected)
}

function intervals({ months }: Timeline, pathId: string = named80.pathId): Interval[] {
  return months.flatMap((month) => month.intervals).filter((interval) => interval.pathId === pathId)
}

/** Each interval as its state and how many half days it lasts. */
function outline(timeline: Timeline, pathId: string = named80.pathId): string[] {
  return intervals(timeline, pathId).map(
    ({ state, from, to }) => `${state} ${(Date.parse(to) - Date.parse(from)) / 1000 / HALF_DAY}`,
  )
}

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value)
}

const mtls = { paths: [pathWindow(named80, 'mtls')] }
const clear = { paths: [pathWindow(named80, 'plaintext', { clearBytes: 10 })] }
const quiet = {}
const failed = { collected: false, errors: ['Cannot read metrics "demo": 500'] }

test('foldWindows() keeps quiet windows in the interval, and a path that comes back as it was in one interval', () => {
  const timeline = fold(expectedWindows([mtls, quiet, quiet, mtls]))
  assert.deepEqual(outline(timeline), ['mtls 4'])
  assert.deepEqual(
    intervals(timeline).map(({ windows, quiet: bits }) =>
      times(windows, bits).map((quietly, index) => isQuietAt(quietly, index)),
    ),
    [[false, true, true, false]],
  )
})

test('foldWindows() makes seven quiet days a row of their own, from the first quiet window on', () => {
  assert.deepEqual(outline(fold(expectedWindows([mtls, ...times(13, quiet)]))), ['mtls 14'])
  assert.deepEqual(outline(fold(expectedWindows([mtls, ...times(14, quiet)]))), ['mtls 1', 'not-observed 14'])
  assert.deepEqual(outline(fold(expectedWindows([mtls, ...times(16, quiet), mtls]))), [
    'mtls 1',
    'not-observed 16',
    'mtls 1',
  ])
})

test('foldWindows() counts a quiet run on over a month end, back into the month before', () => {
  const before = [...times(12, mtls), ...times(10, quiet)]
  assert.deepEqual(outline(fold(expectedWindows(before))), ['mtls 22'])
  assert.deepEqual(outline(fold(expectedWindows([...before, ...times(3, quiet)]))), ['mtls 22', 'mtls 3'])
  assert.deepEqual(outline(fold(expectedWindows([...before, ...times(4, quiet)]))), [
    'mtls 12',
    'not-observed 10',
    'not-observed 4',
  ])
})

test('foldWindows() cuts an interval where state, outcome, reason, cause or enforcement changes', () => {
  const changes: Partial<PathWindow>[] = [
    { state: 'unknown' },
    { outcome: 'refused' },
    { reason: 'other' },
    { cause: 'unknown' },
    { enforcement: 'audited' },
  ]
  for (const change of changes) {
    const changed = { paths: [pathWindow(named80, 'mtls', change)] }
    assert.equal(intervals(fold(expectedWindows([mtls, changed, mtls]))).length, 3, JSON.stringify(change))
  }
  assert.deepEqual(outline(fold(expectedWindows(times(24, mtls)))), ['mtls 22', 'mtls 2'], 'and at month ends')
})

test('foldWindows() keeps the settings behind a cause as they were last seen: they cut no interval, and silence has none', () => {
  const skips = (value: string) => ({
    paths: [
      pathWindow(named80, 'plaintext', {
        settings: [
          {
            workload: { kind: 'deployment', namespace: 'shop', name: 'web' },
            name: 'config.linkerd.io/skip-outbound-ports',
            value,
            by: 'workload',
          },
        ],
      }),
    ],
  })
  const valuesOf = (windows: Parameters<typeof expectedWindows>[0]) =>
    intervals(fold(expectedWindows(windows))).map(({ settings }) => settings?.[0]?.value)
  assert.deepEqual(valuesOf([skips('80'), skips('80,443'), quiet]), ['80,443'])
  assert.deepEqual(valuesOf([skips('80'), clear]), [undefined])
  assert.deepEqual(valuesOf([skips('80'), ...times(16, quiet)]), ['80', undefined])
})

const listed = { inputs: { evidence: 'evidence/1', before: 'evidence/0', after: 'evidence/1' } }
const standing = (changes: Partial<Workload>) => ({
  ...listed,
  workloads: [workloadOf('web'), workloadOf('ledger', changes)],
})
const meshed = standing({})

test('foldWindows() keeps no quiet window in the row of a path of which an end left the mesh', () => {
  const seen = { ...mtls, ...meshed }
  const [left, changing] = [standing({ meshed: 'no' }), standing({ meshed: 'unknown', serviceAccount: null, pods: 2 })]
  assert.deepEqual(outline(fold(expectedWindows([seen, meshed, meshed, seen]))), ['mtls 4'])
  assert.deepEqual(outline(fold(expectedWindows([seen, changing, left, left]))), ['mtls 1', 'not-observed 3'])
  assert.deepEqual(outline(fold(expectedWindows([seen, changing, meshed, seen]))), [
    'mtls 1',
    'not-observed 2',
    'mtls 1',
  ])
  const other = standing({ serviceAccount: 'other' })
  assert.deepEqual(outline(fold(expectedWindows([seen, other, other]))), ['mtls 1', 'not-observed 2'])
})

test('foldWindows() takes back a quiet run of which later lists show that an end changed some time', () => {
  const seen = { ...mtls, ...meshed }
  const unlisted = {
    workloads: [workloadOf('web', { meshed: 'unknown' }), workloadOf('ledger', { meshed: 'unknown' })],
  }
  const stopped = standing({ pods: 0, meshed: 'unknown', serviceAccount: null })
  for (const silence of [unlisted, stopped, quiet]) {
    assert.deepEqual(outline(fold(expectedWindows([seen, silence, silence, meshed]))), ['mtls 4'])
    const left = [seen, silence, silence, standing({ meshed: 'no' })]
    assert.deepEqual(outline(fold(expectedWindows(left))), ['mtls 1', 'not-observed 3'])
    const renamed = [seen, silence, silence, { ...mtls, ...standing({ serviceAccount: 'other' }) }]
    assert.deepEqual(outline(fold(expectedWindows(renamed))), ['mtls 1', 'not-observed 2', 'mtls 1'])
  }
})

test('foldWindows() begins another row where an end is seen with another ServiceAccount, and leaves episodes as they are', () => {
  const seen = { ...clear, ...meshed }
  const other = { ...clear, ...standing({ serviceAccount: 'other' }) }
  const timeline = fold(expectedWindows([seen, seen, other, other]))
  assert.deepEqual(outline(timeline), ['plaintext 2', 'plaintext 2'])
  assert.equal(timeline.episodes.length, 1)
  assert.deepEqual(timeline.ends, {
    'deployment/shop/web': ['yes', 'web'],
    'statefulset/bank/ledger': ['yes', 'other'],
  })
})

test('foldWindows() says not-collected of each path known before a gap, by what failed, and extends nothing over it', () => {
  const timeline = fold(expectedWindows([null, mtls, null, null, failed, quiet, mtls]))
  assert.deepEqual(outline(timeline), ['mtls 1', 'not-collected 2', 'not-collected 1', 'not-observed 1', 'mtls 1'])
  assert.deepEqual(
    intervals(timeline).map(({ reason }) => reason),
    ['', 'window-missing', 'source-unreadable', 'quiet', ''],
  )
  assert.deepEqual(
    timeline.months[0]?.windows.map(({ evidence, collected }) => [evidence !== null, collected]),
    [
      [false, false],
      [true, true],
      [false, false],
      [false, false],
      [true, false],
      [true, true],
      [true, true],
    ],
  )
})

test('foldWindows() says not-collected of a path whose witness nobody read: its destination, where no proxy of its source is known', () => {
  const gaps = [{ reason: 'scrape-failed', pods: 1, from: halfDay(1).start, to: halfDay(1).end }] as const
  const unread = { coverage: [coverageOf(halfDay(1), { observedSeconds: 0, ratio: 0, gaps })] }
  for (const kind of ['unmeshed', 'probe', 'serviceaccount', 'deployment']) {
    const ends = { ...named80, source: { ...named80.source, kind } }
    const seen = { paths: [pathWindow(ends, 'mtls')] }
    const timeline = fold(expectedWindows([seen, unread, seen]))
    assert.deepEqual(
      intervals(timeline).map(({ state, reason }) => `${state} ${reason}`),
      kind === 'deployment' ? ['mtls '] : ['mtls ', 'not-collected scrape-failed', 'mtls '],
      kind,
    )
  }
})

test('foldWindows() takes silence for nothing in a window whose metrics were partly read', () => {
  assert.deepEqual(outline(fold(expectedWindows([mtls, { partial: true }, mtls]))), [
    'mtls 1',
    'not-collected 1',
    'mtls 1',
  ])
  assert.deepEqual(outline(fold(expectedWindows([mtls, { ...mtls, partial: true }]))), ['mtls 2'])
})

test('foldWindows() makes known paths of a workload with overridden labels unknown, not quiet', () => {
  const overridden = { overridden: ['statefulset/bank/ledger'] }
  const timeline = fold(expectedWindows([mtls, overridden, quiet, mtls]))
  assert.deepEqual(outline(timeline), ['mtls 1', 'unknown 2', 'mtls 1'])
  assert.equal(intervals(timeline)[1]?.reason, 'labels-overridden')
})

test('foldWindows() ends the rows of a path once a complete list lacks an end of it, until it is seen again', () => {
  const gone = { existing: ['deployment/shop/web'] }
  const there = { existing: ['deployment/shop/web', 'statefulset/bank/ledger'] }
  assert.deepEqual(outline(fold(expectedWindows([mtls, there, gone, null, there, mtls]))), ['mtls 2', 'mtls 1'])
  const far = { paths: [pathWindow(named443, 'mtls')] }
  assert.deepEqual(
    outline(fold(expectedWindows([far, there])), named443.pathId),
    ['mtls 2'],
    'the other cluster has a list of its own',
  )
  const odd = {
    pathId: 'e5',
    source: { ...named80.source, kind: 'rollout' },
    destination: named443.destination,
    port: 1,
  }
  assert.deepEqual(
    outline(fold(expectedWindows([{ paths: [pathWindow(odd, 'mtls')] }, gone])), 'e5'),
    ['mtls 2'],
    'a kind nobody lists',
  )
})

test('foldWindows() gives an interval the worst corroboration, all candidates and the latest identities of its windows', () => {
  const [web, api] = [named80.source, { ...named80.source, name: 'api' }]
  const timeline = fold(
    expectedWindows([
      {
        paths: [
          pathWindow(named80, 'mtls', {
            corroborated: 'no',
            candidates: [web],
            clientId: 'old.shop',
            serverId: 'ledger.bank',
          }),
        ],
      },
      { paths: [pathWindow(named80, 'mtls', { corroborated: 'yes', candidates: [api, web], clientId: 'new.shop' })] },
      { paths: [pathWindow({ ...named80, source: { ...web, serviceAccount: null } }, 'mtls')] },
    ]),
  )
  const [interval] = intervals(timeline)
  assert.equal(interval?.corroborated, 'no')
  assert.deepEqual(interval?.candidates, [api, web])
  assert.deepEqual(
    [interval?.clientId, interval?.serverId, interval?.source.serviceAccount],
    ['new.shop', 'ledger.bank', 'web'],
  )
})

test('foldWindows() opens, continues over everything that proves nothing, fixes and reopens an episode', () => {
  const timeline = fold(
    expectedWindows([clear, quiet, null, failed, { paths: [pathWindow(named80, 'unknown')] }, clear, mtls, clear]),
  )
  const [first, second] = timeline.episodes
  assert.deepEqual(first, {
    id: `${named80.pathId}-20261120T000000Z`,
    openedAt: halfDay(0).start,
    sinceUnknown: false,
    mayBeEarlier: false,
    endedAt: halfDay(6).start,
    ending: 'fixed',
  })
  assert.deepEqual([second?.openedAt, second?.endedAt], [halfDay(7).start, null])
  assert.deepEqual(
    intervals(timeline).map(({ episode }) => episode?.id),
    [...times(5, first?.id), undefined, second?.id],
  )
  assert.ok(
    intervals(timeline).every(({ episode }) => episode === null || episode.endedAt === null),
    'an interval holds its episode as it opened',
  )
})

test('foldWindows() ends an episode with the silence of seven watched days, and opens another where the path comes again', () => {
  const seven = times(14, watched(halfDay(0)))
  const timeline = fold(expectedWindows([clear, ...seven, {}, clear]))
  assert.deepEqual(
    timeline.episodes.map(({ openedAt, endedAt, ending }) => [openedAt, endedAt, ending]),
    [
      [halfDay(0).start, halfDay(14).end, 'quiet'],
      [halfDay(16).start, null, null],
    ],
  )
  assert.deepEqual(outline(timeline), ['plaintext 1', 'not-observed 14', 'not-observed 1', 'plaintext 1'])
  assert.deepEqual(
    intervals(timeline).map(({ episode }) => episode?.openedAt),
    [halfDay(0).start, halfDay(0).start, undefined, halfDay(16).start],
  )
})

test('foldWindows() begins to count the silence again after a gap, an unread proxy, or one that can be gone around', () => {
  const look = watched(halfDay(0))
  const doubts: (Partial<WindowResult> | null)[] = [
    null,
    failed,
    { ...look, partial: true },
    { ...look, coverage: [] },
    { ...look, workloads: [] },
    { ...look, overridden: ['deployment/shop/web'] },
    { ...look, paths: [pathWindow(named80, 'unknown')] },
    { ...look, paths: [pathWindow(named80, 'exempt')] },
  ]
  for (const doubt of doubts) {
    const half = times(7, look)
    const [episode] = fold(expectedWindows([clear, ...half, doubt, ...half, ...half.slice(1)])).episodes
    assert.equal(episode?.endedAt, null, JSON.stringify(doubt))
    const [later] = fold(expectedWindows([clear, ...half, doubt, ...half, ...half])).episodes
    assert.equal(later?.ending, 'quiet', JSON.stringify(doubt))
  }
})

test('foldWindows() ends an episode as gone once a complete list lacks an end, and never by a path that lies behind a gateway', () => {
  const gone = { existing: ['deployment/shop/web'] }
  const timeline = fold(expectedWindows([clear, gone, gone, clear]))
  assert.deepEqual(
    timeline.episodes.map(({ openedAt, endedAt, ending }) => [openedAt, endedAt, ending]),
    [
      [halfDay(0).start, halfDay(1).end, 'gone'],
      [halfDay(3).start, null, null],
    ],
  )
  assert.deepEqual(outline(timeline), ['plaintext 1', 'plaintext 1'])
  const far = { paths: [pathWindow(named443, 'plaintext')] }
  assert.equal(fold(expectedWindows([far, gone])).episodes[0]?.ending, null)
})

test('foldWindows() calls an unnamed source not-observed from its silence on, once its port is shown to be clean', () => {
  const unnamed = { paths: [pathWindow(unnamed80, 'plaintext')] }
  const clean = { ...mtls, coverage: [coverageOf(halfDay(0))] }
  const timeline = fold(expectedWindows([unnamed, unnamed, mtls, clean, mtls]))
  const own = intervals(timeline, unnamed80.pathId)
  assert.deepEqual(outline(timeline, unnamed80.pathId), ['plaintext 2', 'not-observed 1', 'not-observed 2'])
  assert.deepEqual(
    own.map(({ episode }) => episode?.openedAt),
    [halfDay(0).start, halfDay(0).start, undefined],
  )
  assert.deepEqual([timeline.episodes[0]?.endedAt, timeline.episodes[0]?.ending], [halfDay(3).start, 'fixed'])
})

test('foldWindows() refuses a window that does not begin where the timeline ends', () => {
  const [first, , third] = expectedWindows([mtls, mtls, mtls])
  assert.ok(first && third)
  assert.throws(() => fold([first, third]), errorText({ name: 'RangeError' }))
})

test('foldWindows() unites in a month what the lists of its windows say of namespaces, whenever they were read', () => {
  const labelled = { namespaces: { mesh: ['linkerd', 'shop'], others: ['bank'] } }
  const unlabelled = { ...failed, namespaces: { mesh: ['linkerd'], others: ['shop'] } }
  const united = { mesh: ['linkerd', 'shop'], others: ['bank', 'shop'] }
  const inNovember = (shown: readonly (Partial<WindowResult> | null)[]) =>
    fold(expectedWindows(shown)).months.map((month) => month.namespaces)
  assert.deepEqual(inNovember([labelled, null, unlabelled]), [united])
  assert.deepEqual(inNovember([unlabelled, quiet, labelled]), [united])
  assert.deepEqual(inNovember([mtls, null, failed]), [null])
  assert.deepEqual(inNovember([labelled, ...times(21, quiet), unlabelled]), [
    labelled.namespaces,
    unlabelled.namespaces,
  ])
})

/** What the store keeps between two folds: the months that may still change, as it keeps them, and the rest by its schema. */
async function storeAndRead({ months, ...rest }: Timeline): Promise<Timeline> {
  const hot = new Set(hotMonths({ ...rest, months }))
  const read = await Promise.all(
    months
      .filter(({ month }) => hot.has(month))
      .map(encodeMonth)
      .map((body) => decodeMonth(body)),
  )
  return { ...timelineSchema.parse(JSON.parse(JSON.stringify(rest))), months: read }
}

test('foldWindows() gives the same in any number of steps, with everything stored and read in between', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyHistory,
      fc.infiniteStream(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 }))),
      async (history, sizes) => {
        const months = new Map<string, unknown>()
        let timeline = emptyTimeline('demo')
        for (let index = 0; index < history.length;) {
          const { value: size = 1 } = sizes.next()
          const folded = foldWindows(timeline, history.slice(index, index + size))
          for (const month of folded.months) months.set(month.month, month)
          timeline = await storeAndRead(folded)
          index += size
        }
        assert.deepEqual({ ...timeline, months: [...months.values()] }, fold(history))
      },
    ),
    { numRuns: 300 },
  )
})

test('foldWindows() gives the same whatever the order of paths, candidates and coverage in a window', () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const turned = history.map(({ window, result }) => {
        if (result === null) return { window, result }
        const paths = result.paths.map((path) => ({ ...path, candidates: path.candidates.toReversed() })).toReversed()
        return { window, result: { ...result, paths, coverage: result.coverage.toReversed() } }
      })
      assert.deepEqual(fold(turned), fold(history))
    }),
  )
})

test('foldWindows() never ends an episode in a window that was not collected', () => {
  fc.assert(
    fc.property(anyHistory, fc.integer({ min: 1, max: 20 }), (history, length) => {
      const timeline = fold(history)
      const gaps = times(length, null).map((_, index) => ({ window: halfDay(history.length + index), result: null }))
      assert.deepEqual(foldWindows(timeline, gaps).episodes, timeline.episodes)

      const collected = history.flatMap(({ window, result }) => (result?.collected ? [window] : []))
      const [starts, ends] = [new Set(collected.map(({ start }) => start)), new Set(collected.map(({ end }) => end))]
      for (const { endedAt, ending } of timeline.episodes) {
        const times = ending === 'gone' || ending === 'quiet' ? ends : starts
        assert.ok(endedAt === null || times.has(endedAt))
      }
    }),
  )
})

/** What one window has to say of a path, told from the window alone. */
function seenIn({ result }: ExpectedWindow, ends: typeof named80) {
  const touchesLedger = ends.destination.name === 'ledger'
  if (!result?.collected) return { isCollected: false } as const
  const seen = result.paths.find(({ pathId }) => pathId === ends.pathId)
  const onPort = result.paths.filter(
    ({ destination, port }) => destination.name === ends.destination.name && port === ends.port,
  )
  const delivered = onPort.filter(({ outcome, state }) => outcome === 'allowed' && state !== 'exempt')
  const isEncrypted = ({ state }: PathWindow) => ['mtls', 'tls-anonymous', 'app-tls'].includes(state)
  const witness = ends.source.name === '' ? ends.destination.name : ends.source.name
  const isCovered = (name: string) =>
    result.coverage.some(({ workload, ratio }) => workload.name === name && ratio === 1)
  const isLacking = ({ gaps, workload }: Coverage) =>
    [ends.source.name, ends.destination.name].includes(workload.name) &&
    gaps.some(({ reason, isBrief }) => reason !== 'no-proxy' && isBrief !== true)
  const isOverridden = touchesLedger && result.overridden?.includes('statefulset/bank/ledger') === true
  return {
    isCollected: true,
    isRead: result.partial !== true && !isOverridden && seen?.state !== 'unknown' && !result.coverage.some(isLacking),
    isPartial: result.partial === true,
    isOverridden,
    isGone: touchesLedger && result.existing !== null && !result.existing.includes('statefulset/bank/ledger'),
    seen,
    isClean: delivered.length > 0 && delivered.every(isEncrypted) && isCovered(ends.destination.name),
    isRefusing:
      onPort.length > 0 &&
      onPort.every(({ enforcement }) => enforcement === 'plaintext-refused') &&
      delivered.every(isEncrypted),
    isWatched:
      isCovered(witness) &&
      result.workloads.some(
        ({ name, meshed, blindSpots }) => name === witness && meshed === 'yes' && blindSpots.length === 0,
      ),
  } as const
}

/** The episodes of a path by the rules of design.md 5, told window by window with all of the history in sight. */
function episodesByRule(history: readonly ExpectedWindow[], ends: typeof named80): Episode[] {
  const told: Episode[] = []
  const windows = history.map((one) => seenIn(one, ends))
  /** How many windows, up to this one, the path was silent and would have been seen. */
  const silentFor = (index: number): number => {
    let count = 0
    for (let at = index; at >= 0; at--) {
      const one = windows[at]
      const isSilent = one?.isCollected === true && !one.isPartial && !one.isOverridden && !one.isGone && !one.seen
      if (!isSilent || !one.isWatched) return count
      count++
    }
    return count
  }
  let isKnown = false
  for (const [index, { window }] of history.entries()) {
    const one = windows[index]
    if (one?.isCollected !== true) continue
    const { seen, isPartial, isOverridden, isGone, isClean, isRefusing } = one
    isKnown ||= seen !== undefined
    const last = told.at(-1)
    const end = (endedAt: string, ending: Episode['ending']) => {
      if (last !== undefined) told[told.length - 1] = { ...last, endedAt, ending }
    }
    if (last === undefined || last.endedAt !== null) {
      if (seen?.outcome === 'allowed' && (seen.state === 'plaintext' || seen.state === 'no-mesh-tls'))
        told.push({
          id: `${ends.pathId}-${window.start.replaceAll(/[-:]/g, '')}`,
          openedAt: window.start,
          sinceUnknown: seen.sinceUnknown,
          mayBeEarlier: !seen.sinceUnknown && index > 0 && windows[index - 1]?.isRead !== true,
          endedAt: null,
          ending: null,
        })
      continue
    }
    if (isPartial) continue
    const isEncrypted = seen?.outcome === 'allowed' && ['mtls', 'tls-anonymous', 'app-tls'].includes(seen.state)
    const isFixed = ends.source.kind === 'unmeshed' ? isClean : isEncrypted
    if (isRefusing && (seen?.outcome === 'refused' || !isFixed)) end(window.start, 'refused')
    else if (isFixed) end(window.start, 'fixed')
    else if (seen !== undefined || isOverridden) continue
    else if (isGone) end(window.end, 'gone')
    else if (silentFor(index) >= 14) end(window.end, 'quiet')
  }
  return told
}

test('foldWindows() tells the episodes that the rules tell, told the plain way, and every ending occurs', () => {
  const endings = new Set<string>()
  fc.assert(
    fc.property(anyHistory, (history) => {
      const timeline = fold(history)
      for (const ends of [named80, unnamed80, unnamed90, named443]) {
        const own = timeline.episodes.filter(({ id }) => id.startsWith(ends.pathId))
        assert.deepEqual(own, episodesByRule(history, ends))
        for (const { ending } of own) endings.add(ending ?? 'open')
        for (const [index, { openedAt, endedAt }] of own.entries()) {
          assert.ok(endedAt === null || endedAt >= openedAt)
          assert.ok(index === 0 || openedAt >= (own[index - 1]?.endedAt ?? '9999'), 'one at a time')
        }
      }
    }),
    { numRuns: 600 },
  )
  assert.deepEqual([...endings].toSorted(), ['fixed', 'gone', 'open', 'quiet', 'refused'])
})

/** Whether the lists of a window show that an end of a path changed in it or since the window that showed it last, told from all windows before. */
function isChangedByRule(history: readonly ExpectedWindow[], index: number, ends: typeof named80): boolean {
  const shows = (at: number, name: string) => {
    const result = history[at]?.result
    const own = result?.collected ? result.workloads.find((workload) => workload.name === name) : undefined
    return own === undefined || own.pods === 0 ? undefined : { ...own, hasLists: result?.inputs.before !== null }
  }
  const names = [ends.source.name, ends.destination.name].filter((name) => name === 'web' || name === 'ledger')
  return names.some((name) => {
    const now = shows(index, name)
    if (now === undefined) return false
    if (now.meshed === 'unknown') return now.hasLists
    // Nobody remembers a workload that is at the end of no path yet.
    const seenAt = history.findIndex(
      ({ result }) =>
        result?.collected === true &&
        result.paths.some(({ source, destination }) => [source.name, destination.name].includes(name)),
    )
    if (seenAt === -1) return false
    const before = Array.from({ length: Math.max(0, index - seenAt) }, (_, back) => shows(index - 1 - back, name))
    const known = before.filter((one) => one !== undefined && one.meshed !== 'unknown')
    const lastMeshed = known[0]?.meshed ?? now.meshed
    const lastAccount = known.find((one) => one?.serviceAccount !== null)?.serviceAccount ?? now.serviceAccount
    return lastMeshed !== now.meshed || (now.serviceAccount !== null && lastAccount !== now.serviceAccount)
  })
}

/** The rules of contracts.md 6, told window by window with all of the history in sight. */
function stateByRule(history: readonly ExpectedWindow[], ends: typeof named80): (string | null)[] {
  const states: (string | null)[] = []
  const fixed = new Set(
    episodesByRule(history, ends).flatMap(({ endedAt, ending }) =>
      ending === 'fixed' || ending === 'refused' ? [endedAt] : [],
    ),
  )
  let known = false
  let gone = false
  let before: string | null = null
  let run: { from: number; own: boolean } | null = null
  for (const [index, { window, result }] of history.entries()) {
    const seen = result?.collected ? result.paths.find(({ pathId }) => pathId === ends.pathId) : undefined
    const isFixed = fixed.has(window.start)
    const isOverridden = known && result?.collected && !seen && result.overridden?.includes('statefulset/bank/ledger')
    const touchesLedger = ends.destination.name === 'ledger'
    const isSilent = result?.collected && !result.partial
    const isChanged = result?.collected === true && isChangedByRule(history, index, ends)
    // Since when it is so is not known: nothing of the silence before goes on with what was seen.
    if (known && !gone && isChanged && run) states.fill('not-observed', run.from, index)
    if (seen || (isOverridden && touchesLedger)) {
      known = true
      gone = false
      run = null
      before = seen?.state ?? 'unknown'
      states.push(before)
    } else if (!known || gone) states.push(null)
    else if (!isSilent) {
      run = null
      before = null
      states.push('not-collected')
    } else if (result.existing && touchesLedger && !result.existing.includes('statefulset/bank/ledger')) {
      gone = true
      run = null
      states.push(null)
    } else {
      run ??= { from: index, own: before === null }
      if (isFixed || isChanged || index + 1 - run.from >= 14) run.own = true
      states.push(before)
      if (run.own) states.fill('not-observed', run.from, index + 1)
    }
  }
  return states
}

test('foldWindows() says of each path and window what the rules say, told the plain way', () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const timeline = fold(history)
      for (const ends of [named80, unnamed80, unnamed90, named443]) {
        const told = history.map(({ window }) => {
          const holding = intervals(timeline, ends.pathId).filter(
            ({ from, to }) => from <= window.start && to >= window.end,
          )
          assert.ok(holding.length <= 1, 'intervals do not overlap')
          return holding[0]?.state ?? null
        })
        assert.deepEqual(told, stateByRule(history, ends))
      }
    }),
    { numRuns: 300 },
  )
})

test('foldWindows() lets no interval but one of silence hold a window in which an end changed behind another window', () => {
  let cuts = 0
  fc.assert(
    fc.property(anyHistory, (history) => {
      const timeline = fold(history)
      for (const ends of [named80, unnamed80, unnamed90, named443]) {
        for (const { from, to, state } of intervals(timeline, ends.pathId)) {
          if (state === 'not-observed' || state === 'not-collected') continue
          for (const [index, { window, result }] of history.entries()) {
            if (window.start < from || window.end > to || result?.collected !== true || result.partial) continue
            if (!isChangedByRule(history, index, ends)) continue
            assert.equal(window.start, from)
            cuts++
          }
        }
      }
    }),
    { numRuns: 300 },
  )
  assert.ok(cuts > 100, `${cuts}`)
})

test('foldWindows() sorts intervals by path and time, and keeps each inside its month with its own windows', () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const { months } = fold(history)
      assert.deepEqual(
        months.flatMap(({ windows }) => windows.map(({ start, end }) => ({ start, end }))),
        history.map(({ window }) => window),
      )
      for (const { month, windows, intervals: own } of months) {
        assert.ok(windows.every(({ start }) => start.startsWith(month)))
        const keys = own.map(({ pathId, from }) => `${pathId} ${from}`)
        assert.deepEqual(keys, keys.toSorted())
        for (const { from, to, windows: count, quiet, activity, total, ...interval } of own) {
          const first = windows.findIndex(({ start }) => start === from)
          assert.equal(windows[first + count - 1]?.end, to)
          assert.equal(quiet.length, Math.ceil(count / 8))
          const silent = countQuiet(quiet, 0, count)
          assert.equal(countQuiet(quiet, 0, 8 * quiet.length), silent, 'no bit is set after the last window')
          if (interval.state === 'not-observed') assert.equal(silent, count)
          if (interval.state === 'not-collected') assert.equal(silent, 0)
          if (!isNotEncrypted(interval)) assert.deepEqual(activity, [])
          else {
            assert.equal(activity.length, count - silent)
            assert.deepEqual(activity.reduce(addActivity, NOTHING_SEEN), total)
          }
        }
      }
    }),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ALL_READ,
  isEncrypted,
  isNotEncrypted,
  nextEpisode,
  readingsOf,
  silentEpisode,
  unreadIn,
} from '../../../lib/assess/window/episode-lifecycle.ts'
import { STATES } from '../../../lib/model/path.ts'
import type { Coverage, PathWindow, WindowResult } from '../../../lib/model/window.ts'
import type { Episode } from '../../../lib/model/history.ts'
import {
  coverageOf,
  halfDay,
  named80,
  pathWindow,
  unnamed80,
  watched,
  windowResult,
  workloadOf,
} from '../../support/stored/window-results.ts'

const open: Episode = {
  id: `${named80.pathId}-20261120T000000Z`,
  openedAt: '2026-11-20T00:00:00Z',
  sinceUnknown: false,
  mayBeEarlier: false,
  endedAt: null,
  ending: null,
}
const window = halfDay(4)

function follow(episode: Episode | null, path: typeof named80, changes: Partial<WindowResult>): Episode | null {
  return nextEpisode(episode, path, readingsOf(windowResult(window, changes)), ALL_READ)
}

test('nextEpisode() opens one exactly for allowed traffic that is plaintext or without mesh TLS', () => {
  const opening = STATES.flatMap((state) =>
    (['allowed', 'refused'] as const)
      .filter((outcome) => follow(null, named80, { paths: [pathWindow(named80, state, { outcome })] }) !== null)
      .map((outcome) => `${state} ${outcome}`),
  )
  assert.deepEqual(opening, ['plaintext allowed', 'no-mesh-tls allowed'])
  assert.equal(follow(null, named80, {}), null)
})

test('nextEpisode() opens an episode at the start of the window, and keeps that its connections may be older', () => {
  assert.deepEqual(follow(null, named80, { paths: [pathWindow(named80, 'plaintext', { sinceUnknown: true })] }), {
    id: '00000000000000a1-20261122T000000Z',
    openedAt: '2026-11-22T00:00:00Z',
    sinceUnknown: true,
    mayBeEarlier: false,
    endedAt: null,
    ending: null,
  })
})

test('nextEpisode() says that an episode may be older exactly where its path was not read wholly in the window before', () => {
  const clear = readingsOf(windowResult(window, { paths: [pathWindow(named80, 'plaintext')] }))
  const after = (before: WindowResult | null) => nextEpisode(null, named80, clear, unreadIn(before))?.mayBeEarlier
  const shown = (changes: Partial<WindowResult>) => after(windowResult(halfDay(3), changes))
  const { start: from, end: to } = halfDay(3)
  const gap = (reason: Coverage['gaps'][number]['reason'], more: object = {}) => ({
    coverage: [coverageOf(halfDay(3), { gaps: [{ reason, pods: 1, from, to, ...more }] })],
  })
  const elsewhere = { workload: { kind: 'deployment', namespace: 'shop', name: 'other' } }
  assert.deepEqual(
    [
      after(null),
      shown({ collected: false }),
      shown({ partial: true }),
      shown({ overridden: ['statefulset/bank/ledger'] }),
      shown({ paths: [pathWindow(named80, 'unknown')] }),
      shown(gap('scrape-failed')),
    ],
    [true, true, true, true, true, true],
  )
  assert.deepEqual(
    [
      nextEpisode(null, named80, clear, ALL_READ)?.mayBeEarlier,
      shown({}),
      shown({ paths: [pathWindow(named80, 'mtls'), pathWindow(unnamed80, 'unknown')] }),
      shown({ coverage: gap('scrape-failed').coverage.map((row) => ({ ...row, ...elsewhere })) }),
      shown(gap('no-proxy')),
      shown(gap('scrape-failed', { isBrief: true })),
    ],
    [false, false, false, false, false, false],
  )
})

test('nextEpisode() ends the episode of a named source exactly where it is seen encrypted and allowed', () => {
  const ending = STATES.flatMap((state) =>
    (['allowed', 'refused'] as const)
      .filter((outcome) => follow(open, named80, { paths: [pathWindow(named80, state, { outcome })] }) !== open)
      .map((outcome) => `${state} ${outcome}`),
  )
  assert.deepEqual(ending, ['tls-anonymous allowed', 'app-tls allowed', 'mtls allowed'])
  assert.deepEqual(follow(open, named80, { paths: [pathWindow(named80, 'mtls')] }), {
    ...open,
    endedAt: window.start,
    ending: 'fixed',
  })
})

test('nextEpisode() ends nothing in a window whose metrics were partly read', () => {
  assert.equal(follow(open, named80, { partial: true, paths: [pathWindow(named80, 'mtls')] }), open)
})

test('nextEpisode() ends the episode of an unnamed source only where its port was covered, busy and clean', () => {
  const busy = [pathWindow(named80, 'mtls')]
  const end = (paths: PathWindow[], coverage: Coverage[]): boolean =>
    follow(open, unnamed80, { paths, coverage })?.endedAt === window.start
  const covered = [coverageOf(window)]

  assert.ok(end(busy, covered), 'busy, covered, clean')
  assert.ok(end([...busy, pathWindow(unnamed80, 'tls-anonymous')], covered), 'seen itself, encrypted')
  assert.ok(end([...busy, pathWindow(unnamed80, 'plaintext', { outcome: 'refused' })], covered), 'clear, but refused')

  assert.ok(!end([], covered), 'silence')
  assert.ok(!end([pathWindow(named80, 'mtls', { outcome: 'refused' })], covered), 'nothing allowed')
  assert.ok(!end([pathWindow(unnamed80, 'exempt')], covered), 'nothing but exempt traffic')
  assert.ok(!end([pathWindow({ ...named80, port: 81 }, 'mtls')], covered), 'another port')
  assert.ok(!end([...busy, pathWindow(unnamed80, 'unknown')], covered), 'unknown may be clear')
  assert.ok(
    !end([...busy, pathWindow({ ...named80, pathId: 'f' }, 'no-mesh-tls')], covered),
    'another source in the clear',
  )
  assert.ok(!end(busy, []), 'no coverage')
  assert.ok(!end([pathWindow(unnamed80, 'mtls')], []), 'seen encrypted, but not covered')
  assert.ok(
    !end(busy, [coverageOf(window, { expectedSeconds: 0, observedSeconds: 0, ratio: null })]),
    'nothing expected',
  )
  assert.ok(!end(busy, [coverageOf(window, { pods: { total: 2, meshed: 1, scraped: 1 } })]), 'a pod without a proxy')
  assert.ok(!end(busy, [coverageOf(window, { pods: { total: 2, meshed: 2, scraped: 1 } })]), 'a proxy without a scrape')
  const gaps = [{ reason: 'scrape-failed' as const, pods: 1, from: window.start, to: window.end }]
  assert.ok(!end(busy, [coverageOf(window, { gaps })]), 'a gap')
  const doubted = [workloadOf('ledger', { overriding: ['tls'] })]
  assert.equal(follow(open, unnamed80, { paths: busy, coverage: covered, workloads: doubted }), open, 'labels that lie')
})

test('nextEpisode() ends an episode as refused exactly where policy refuses plain text and let nothing in that may have been clear', () => {
  const refusing = { enforcement: 'plaintext-refused' } as const
  const attempt = pathWindow(unnamed80, 'plaintext', { outcome: 'refused', ...refusing })
  const busy = pathWindow(named80, 'mtls', refusing)
  const end = (path: typeof named80, ...paths: PathWindow[]): string | null =>
    follow(open, path, { paths })?.ending ?? null

  assert.equal(end(unnamed80, attempt), 'refused', 'it tried, and was refused')
  assert.equal(end(unnamed80, busy), 'refused', 'silent, while another path shows what policy does')
  assert.equal(end(named80, attempt), 'refused', 'a named one that is silent, too')
  assert.equal(end(named80, busy), 'fixed', 'seen encrypted itself')
  assert.deepEqual(
    follow(open, unnamed80, { paths: [attempt, busy], coverage: [coverageOf(window)] }),
    { ...open, endedAt: window.start, ending: 'refused' },
    'its port is clean, but what it still tries is clear',
  )

  const others: Partial<PathWindow>[] = [
    { enforcement: 'unknown' },
    { enforcement: 'audited' },
    { enforcement: 'plaintext-allowed' },
    { outcome: 'allowed' },
    { outcome: 'allowed', state: 'unknown' },
    { port: 81 },
  ]
  for (const change of others) assert.equal(end(unnamed80, { ...attempt, ...change }), null, JSON.stringify(change))
  assert.equal(end(unnamed80, attempt, pathWindow({ ...named80, pathId: 'f' }, 'unknown', refusing)), null)
  assert.equal(end(unnamed80), null, 'nothing was seen on the port')
  assert.equal(follow(open, unnamed80, { partial: true, paths: [attempt] }), open)
})

test('silentEpisode() ends an episode as gone, or as quiet after seven watched days, at the end of the window', () => {
  const silent = (isGone: boolean, watchedSince: string | null) =>
    silentEpisode(open, { isGone, watchedSince }, halfDay(20))
  assert.deepEqual(silent(true, null), { ...open, endedAt: halfDay(20).end, ending: 'gone' })
  assert.deepEqual(silent(false, halfDay(7).start), { ...open, endedAt: halfDay(20).end, ending: 'quiet' })
  assert.equal(silent(false, halfDay(8).start), open, 'six days and a half')
  assert.equal(silent(false, null), open)
})

test('readingsOf() calls a workload watched only where all of it was covered and nothing goes around its proxies', () => {
  const sees = (changes: Partial<WindowResult>): string[] => [
    ...readingsOf(windowResult(window, { ...watched(window), ...changes })).watched,
  ]
  assert.deepEqual(sees({}).toSorted(), ['deployment/shop/web', 'statefulset/bank/ledger'])
  assert.deepEqual(sees({ coverage: [coverageOf(window)] }), ['statefulset/bank/ledger'])
  assert.deepEqual(sees({ workloads: [] }), [], 'no list')
  for (const meshed of ['no', 'partly', 'unknown'] as const)
    assert.deepEqual(sees({ workloads: [workloadOf('ledger', { meshed })] }), [], meshed)
  for (const kind of ['skip-inbound', 'skip-outbound', 'skip-subnet'] as const)
    assert.deepEqual(
      sees({ workloads: [workloadOf('ledger', { blindSpots: [{ kind, port: null, detail: '' }] })] }),
      [],
    )
  const opaque = [{ kind: 'opaque-port' as const, port: '80', detail: '' }]
  assert.equal(sees({ workloads: [workloadOf('ledger', { blindSpots: opaque })] }).length, 1)
})

test('isEncrypted() and isNotEncrypted() are never true of one state, and both false of what is not known', () => {
  for (const state of STATES) assert.ok(!(isEncrypted(state) && isNotEncrypted({ state, outcome: 'allowed' })))
  assert.ok(!isEncrypted('unknown') && !isNotEncrypted({ state: 'unknown', outcome: 'allowed' }))
})

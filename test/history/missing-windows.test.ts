import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from '../../lib/model/registry.ts'
import type { Coverage, WindowResult } from '../../lib/model/window.ts'
import type { Episode, Interval, TimelineMonth } from '../../lib/model/history.ts'
import { rows } from '../../lib/history/rows/path-history.ts'
import { missingWindows, withMissing } from '../../lib/history/missing-windows.ts'
import { foldWindows } from '../../lib/history/timeline.ts'
import type { ExpectedWindow } from '../../lib/history/fold-state.ts'
import { emptyTimeline } from '../../lib/history/fold-state.ts'

const cluster: Cluster = {
  id: 'shop',
  registeredAt: '2026-11-24T10:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '1970-01-01T00:00:00Z', minutes: 60 }],
}

const source = { kind: 'deployment', namespace: 'shop', name: 'web', serviceAccount: 'web' }

const seen: Interval = {
  cluster: 'shop',
  pathId: '0123456789abcdef',
  source,
  destination: { ...source, name: 'db', cluster: null },
  port: 5432,
  from: '2026-11-24T11:00:00Z',
  to: '2026-11-24T13:00:00Z',
  state: 'mtls',
  outcome: 'allowed',
  reason: '',
  cause: null,
  enforcement: 'plaintext-allowed',
  corroborated: 'yes',
  candidates: [],
  clientId: 'web.shop',
  serverId: 'db.shop',
  episode: null,
  windows: 2,
  quiet: Uint8Array.of(0b10),
  total: { opens: 1, openAtScrape: 1, bytes: 5, clearBytes: 0 },
  activity: [],
}

const month: TimelineMonth = {
  format: 'ciphertrail/timeline/2',
  derivation: 1,
  cluster: 'shop',
  month: '2026-11',
  windows: ['11', '12'].map((hour) => ({
    start: `2026-11-24T${hour}:00:00Z`,
    end: `2026-11-24T${Number(hour) + 1}:00:00Z`,
    evidence: `evidence/${hour}`,
    collected: true,
    expectedSeconds: 3600,
    observedSeconds: 3600,
    ratio: 1,
  })),
  namespaces: null,
  intervals: [seen],
}

/** From when to when the windows of months reach. */
function toldBy(...months: readonly TimelineMonth[]): Parameters<typeof missingWindows>[1] {
  const windows = months.flatMap((one) => one.windows)
  return { since: windows[0]?.start ?? null, watermark: windows.at(-1)?.end ?? null }
}

const ends = (windows: readonly { readonly end: string }[]) => windows.map(({ end }) => end.slice(11, 13))

test('missingWindows() names the windows from the registration to the first evidence, and from the last to now', () => {
  assert.deepEqual(ends(missingWindows(cluster, toldBy(month), new Date('2026-11-24T15:01:00Z'))), ['11', '14', '15'])
})

test('missingWindows() leaves out a window that is not settled', () => {
  assert.deepEqual(ends(missingWindows(cluster, toldBy(month), new Date('2026-11-24T14:00:59Z'))), ['11'])
})

test('missingWindows() names every window since the registration where nothing was ever collected', () => {
  assert.deepEqual(ends(missingWindows(cluster, toldBy(), new Date('2026-11-24T12:01:00Z'))), ['11', '12'])
})

test('missingWindows() expects nothing between a replay of older windows and the registration', () => {
  const later = { ...cluster, registeredAt: '2026-11-25T09:30:00Z' }
  assert.deepEqual(ends(missingWindows(later, toldBy(month), new Date('2026-11-25T11:01:00Z'))), ['10', '11'])
})

test('withMissing() makes every known path not-collected where nothing came, and never quiet', () => {
  const now = new Date('2026-11-24T15:01:00Z')
  const { months } = withMissing('shop', { months: [month], episodes: [] }, missingWindows(cluster, toldBy(month), now))
  const [{ windows, intervals } = month] = months
  assert.deepEqual(ends(windows), ['11', '12', '13', '14', '15'])
  assert.deepEqual(
    windows.map(({ evidence }) => evidence === null),
    [true, false, false, true, true],
  )
  assert.deepEqual(
    intervals.map(({ state, from, to }) => [state, from, to]),
    [
      ['mtls', '2026-11-24T11:00:00Z', '2026-11-24T13:00:00Z'],
      ['not-collected', '2026-11-24T13:00:00Z', '2026-11-24T15:00:00Z'],
    ],
  )
})

const episode: Episode = {
  id: 'e',
  openedAt: seen.from,
  sinceUnknown: false,
  mayBeEarlier: false,
  endedAt: null,
  ending: null,
}

test('withMissing() cuts at the end of a month and keeps an open episode open', () => {
  const clear: TimelineMonth = { ...month, intervals: [{ ...seen, state: 'plaintext', episode }] }
  const now = new Date('2026-12-01T01:01:00Z')
  const { months } = withMissing('shop', { months: [clear], episodes: [] }, missingWindows(cluster, toldBy(clear), now))
  const last = months.map(({ month: name, intervals }) => [name, intervals.at(-1)?.to, intervals.at(-1)?.episode?.id])
  assert.deepEqual(last, [
    ['2026-11', '2026-12-01T00:00:00Z', 'e'],
    ['2026-12', '2026-12-01T01:00:00Z', 'e'],
  ])
})

test('withMissing() does not continue an episode that ended with the last window', () => {
  const clear: TimelineMonth = { ...month, intervals: [{ ...seen, state: 'not-observed', episode }] }
  const ended = { ...episode, endedAt: seen.to, ending: 'quiet' as const }
  const missing = missingWindows(cluster, toldBy(clear), new Date('2026-11-24T14:01:00Z'))
  const { months } = withMissing('shop', { months: [clear], episodes: [ended] }, missing)
  assert.equal(months[0]?.intervals.at(-1)?.state, 'not-collected')
  assert.equal(months[0]?.intervals.at(-1)?.episode, null)
})

test('a row ends where its evidence ends, also where nothing was expected for a while after it', () => {
  const later = { ...cluster, registeredAt: '2026-11-24T18:30:00Z' }
  const missing = missingWindows(later, toldBy(month), new Date('2026-11-24T20:01:00Z'))
  const { months } = withMissing('shop', { months: [month], episodes: [] }, missing)
  const told = rows(months, [], {}, { fixOf: () => null, platformNamespaces: [] }).map(({ state, from, to }) => [
    state,
    from.slice(11, 13),
    to.slice(11, 13),
  ])
  assert.deepEqual(told, [
    ['mtls', '11', '13'],
    ['not-collected', '18', '20'],
  ])
})

test('a path whose proxy nobody read is not quiet', () => {
  const window = (hour: number) => ({ start: `2026-11-24T${hour}:00:00Z`, end: `2026-11-24T${hour + 1}:00:00Z` })
  const path = { ...seen, opens: 1, openAtScrape: 1, bytes: 5, clearBytes: 0, sinceUnknown: false }
  const coverage = (observedSeconds: number, hour: number): Coverage => ({
    cluster: 'shop',
    window: window(hour),
    workload: { kind: source.kind, namespace: source.namespace, name: source.name },
    expectedSeconds: 3600,
    observedSeconds,
    ratio: observedSeconds / 3600,
    pods: { total: 1, meshed: 1, scraped: observedSeconds === 0 ? 0 : 1 },
    gaps:
      observedSeconds === 0
        ? [{ reason: 'scrape-failed', pods: 1, from: window(hour).start, to: window(hour).end }]
        : [],
  })
  const result = (hour: number, observedSeconds: number, paths: WindowResult['paths']): ExpectedWindow => ({
    window: window(hour),
    result: {
      format: 'ciphertrail/window/1',
      derivation: 1,
      cluster: 'shop',
      window: window(hour),
      inputs: { evidence: `evidence/${hour}`, before: null, after: null },
      collected: true,
      errors: [],
      edges: [],
      paths,
      coverage: [coverage(observedSeconds, hour)],
      workloads: [],
      crypto: { proxyVersions: [], tls: [], certificates: null, trustAnchors: [] },
      existing: null,
      namespaces: null,
    },
  })
  const expected = [result(11, 3600, [path]), result(12, 3600, []), result(13, 0, []), result(14, 3600, [path])]
  const { months } = foldWindows(emptyTimeline('shop'), expected)
  const told = rows(months, [], {}, { fixOf: () => null, platformNamespaces: [] }).map(
    ({ state, reason, from, to }) => [state, reason, from.slice(11, 13), to.slice(11, 13)],
  )
  assert.deepEqual(told, [
    ['mtls', '', '11', '13'],
    ['mtls', '', '14', '15'],
    ['not-collected', 'scrape-failed', '13', '14'],
  ])
})

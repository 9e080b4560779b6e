import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DERIVATION } from '../../lib/model/window.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import type { WindowResult } from '../../lib/model/window.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { stateKey, timelineKey, windowKey } from '../../lib/store/keys.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { readPeriod, readPeriodAndPast, readPresent } from '../../lib/history/period.ts'
import { encodeMonth } from '../../lib/history/tables/timeline-table.ts'
import { encodeDerived, sha256Of } from '../../lib/store/objects/derived-object.ts'
import { foldWindows } from '../../lib/history/timeline.ts'
import { halfDay, named80, pathWindow, unnamed80, watched, windowResult } from '../support/stored/window-results.ts'
import { emptyTimeline } from '../../lib/history/fold-state.ts'

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-period-'))
after(() => {
  rmSync(folder, { recursive: true })
})

const cluster: Cluster = {
  id: 'demo',
  registeredAt: halfDay(0).start,
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '1970-01-01T00:00:00Z', minutes: 60 }],
}

/** A store with twenty-eight half days: the unnamed source is in the clear from the sixth to the twentieth. */
async function stored(
  more: {
    readonly viz?: (index: number) => WindowResult['viz']
    readonly ends?: typeof named80
    readonly changes?: (index: number) => Partial<WindowResult>
  } = {},
): Promise<{ objects: Objects; reads: string[]; results: readonly WindowResult[] }> {
  const objects = directoryObjects(mkdtempSync(join(folder, 'store-')))
  const results = Array.from({ length: 28 }, (_, index) => {
    const window = halfDay(index)
    const viz = more.viz?.(index)
    return windowResult(window, {
      ...watched(window),
      ...(viz === undefined ? {} : { viz }),
      paths: [
        pathWindow(more.ends ?? named80, 'mtls', { clientId: 'web.shop', serverId: 'ledger.bank' }),
        ...(index >= 6 && index < 20 ? [pathWindow(unnamed80, 'plaintext')] : []),
      ],
      ...more.changes?.(index),
    })
  })
  const expected = results.map((result) => ({ window: result.window, result }))
  const { months, ...timeline } = foldWindows(emptyTimeline('demo'), expected)
  const windows = []
  for (const result of results) {
    const body = encodeDerived(result)
    await objects.putIf(windowKey('demo', result.window), body, null)
    windows.push({ ...result.window, sha256: sha256Of(body) })
  }
  const named = []
  for (const month of months) {
    const body = encodeMonth(month)
    await objects.putIf(timelineKey('demo', month.month), body, null)
    named.push({ month: month.month, sha256: sha256Of(body) })
  }
  const state = {
    format: 'ciphertrail/state/1',
    derivation: DERIVATION,
    cluster: 'demo',
    evidence: [],
    windows,
    replacing: [],
    timeline,
    months: named,
    unwritten: [],
  }
  await objects.putIf(stateKey('demo'), encodeDerived(state), null)
  const reads: string[] = []
  return {
    objects: {
      ...objects,
      get: (key) => {
        reads.push(key)
        return objects.get(key)
      },
    },
    reads,
    results,
  }
}

const span = (first: number, last: number) => ({ from: halfDay(first).start, to: halfDay(last).end })
const readAs = { now: new Date(halfDay(28).start), platformNamespaces: [] }

test('readPeriodAndPast() reads the windows of the period and the one before, and of what was earlier only months', async () => {
  const { objects, reads } = await stored()
  const { past } = await readPeriodAndPast(cluster, span(20, 23), [span(12, 15), span(16, 19)], readAs, objects)
  assert.equal(reads.filter((key) => key.startsWith('windows/')).length, 5)
  assert.deepEqual(
    past.periods.map(({ windows, rows }) => [windows.length, rows.map(({ state }) => state).toSorted()]),
    [
      [4, ['mtls', 'plaintext']],
      [4, ['mtls', 'plaintext']],
    ],
  )
})

test('readPresent() reads all months, or those in which windows of a span may end', async () => {
  // No path is quiet at the month's end, which would have the month before read, too.
  const { objects, reads } = await stored({ changes: () => ({ paths: [pathWindow(named80, 'mtls')] }) })
  const monthsOf = async (...asked: readonly ReturnType<typeof span>[]) => {
    reads.splice(0)
    const { months } = await readPresent(cluster, readAs.now, objects, ...asked)
    assert.deepEqual(
      reads.filter((key) => key.startsWith('timeline/')).toSorted(),
      months.map(({ month }) => timelineKey('demo', month)).toSorted(),
    )
    return months.map(({ month }) => month)
  }
  assert.deepEqual(await monthsOf(), ['2026-11', '2026-12'])
  assert.deepEqual(await monthsOf(span(2, 27)), ['2026-11', '2026-12'])
  assert.deepEqual(await monthsOf(span(24, 27)), ['2026-12'])
  // A window that begins in November may end in the first hour of December.
  assert.deepEqual(await monthsOf(span(22, 27)), ['2026-11', '2026-12'])
})

test('readPeriodAndPast() names an episode that ended in the period with its path, although the path has no row in it', async () => {
  const { objects } = await stored()
  const { past, current } = await readPeriodAndPast(cluster, span(20, 23), [span(16, 19)], readAs, objects)
  assert.deepEqual(
    past.episodes.map(({ pathId, source, episode }) => [pathId, source.kind, episode.openedAt, episode.ending]),
    [[unnamed80.pathId, 'unmeshed', halfDay(6).start, 'fixed']],
  )
  assert.equal(current.windows.length, 4)
})

test('a period before the registration has no window, so that nothing is compared with it', async () => {
  const { objects } = await stored()
  const { past } = await readPeriodAndPast(cluster, span(0, 3), [span(-8, -5), span(-4, -1)], readAs, objects)
  assert.deepEqual(
    past.periods.map(({ windows, rows }) => [windows.length, rows.length]),
    [
      [0, 0],
      [0, 0],
    ],
  )
})

test('readPeriod() tells by which namespaces paths and workloads have their class, and gives its rows the same', async () => {
  const labelled = { mesh: ['bank', 'linkerd'], others: ['shop'] }
  const changes = (index: number): Partial<WindowResult> => ({
    namespaces: index === 25 ? { mesh: ['linkerd'], others: ['bank', 'shop'] } : labelled,
  })
  const { objects } = await stored({ changes })
  const platformNamespaces = ['kube-*']
  const read = (first: number, last: number) =>
    readPeriodAndPast(cluster, span(first, last), [span(0, 3)], { ...readAs, platformNamespaces }, objects)
  const { current } = await read(4, 7)
  assert.deepEqual(current.classes, { meshNamespaces: ['bank', 'linkerd'], platformNamespaces })
  assert.deepEqual(new Set(current.rows.map((row) => row.class)), new Set(['mesh']))
  const later = await read(24, 27)
  assert.deepEqual(later.current.classes, { meshNamespaces: ['linkerd'], platformNamespaces })
  assert.deepEqual(new Set(later.current.rows.map((row) => row.class)), new Set(['application']))
  const [first] = later.past.periods
  assert.deepEqual(
    new Set(first?.rows.map((row) => row.class)),
    new Set(['mesh']),
    'an earlier period has its own months',
  )
})

test('windows of a month hold the sums of their coverage', async () => {
  const { objects, results } = await stored()
  const current = await readPeriod(cluster, span(0, 3), readAs, objects)
  for (const [index, { expectedSeconds, observedSeconds, ratio }] of current.windows.entries()) {
    const coverage = results[index]?.coverage ?? []
    assert.equal(
      expectedSeconds,
      coverage.reduce((sum, row) => sum + row.expectedSeconds, 0),
    )
    assert.equal(
      observedSeconds,
      coverage.reduce((sum, row) => sum + row.observedSeconds, 0),
    )
    assert.equal(ratio, observedSeconds / expectedSeconds)
  }
  assert.deepEqual(
    current.coverage,
    results.slice(0, 4).flatMap(({ coverage }) => coverage),
  )
})

test('what is kept once of many windows says the same of identities and workloads as the windows do', async () => {
  const { objects } = await stored()
  const current = await readPeriod(cluster, span(0, 9), readAs, objects)
  assert.deepEqual(
    current.facts?.identities.map(({ pathId, windows, clientId }) => [pathId, windows, clientId]),
    [[named80.pathId, 10, 'web.shop']],
  )
  assert.equal(current.facts?.listedWindows, 10)
  assert.equal(current.workloads.length, 2)
})

test('readPeriod() tells the workloads and the cryptography of the last window that has them', async () => {
  const crypto = { proxyVersions: [{ version: 'edge', proxies: 2 }], tls: [], certificates: null, trustAnchors: [] }
  const changes = (index: number): Partial<WindowResult> =>
    index === 9 ? { workloads: [], collected: false } : index === 8 ? { workloads: [] } : { crypto }
  const { objects, results } = await stored({ changes })
  const last = await readPeriod(cluster, span(0, 9), readAs, objects)
  assert.deepEqual(last.workloads, results[7]?.workloads)
  assert.deepEqual(last.crypto, results[8]?.crypto)
  const none = await readPeriod(cluster, span(9, 9), readAs, objects)
  assert.deepEqual([none.workloads, none.crypto], [[], null])
})

test('readPeriod() holds what linkerd viz edges showed against the window of that moment, also where it was asked for before the period', async () => {
  const { objects, results } = await stored({
    ends: { ...named80, destination: { ...named80.destination, kind: 'deployment' } },
    viz: (index) => ({
      takenAt: halfDay(index + 1).start.replace('00:00Z', '01:00Z'),
      edges: [
        {
          kind: 'deployment',
          src: 'web',
          srcNamespace: 'shop',
          dst: 'ledger',
          dstNamespace: 'bank',
          reason: 'Not HTTP',
        },
        { kind: 'deployment', src: 'fake', srcNamespace: 'shop', dst: 'ledger', dstNamespace: 'bank', reason: '' },
      ],
    }),
  })
  const read = async (first: number, last: number) => {
    const period = { from: halfDay(first).start, to: halfDay(last).end }
    return (await readPeriod(cluster, period, { ...readAs, now: new Date(halfDay(27).end) }, objects)).facts?.viz
  }
  const viz = await read(2, 4)
  assert.equal(viz?.compared, 6)
  assert.deepEqual(
    viz.differences.map(({ at, src, path }) => [at, src, path?.state ?? null]),
    [2, 3, 4].flatMap((index) => {
      const at = results[index - 1]?.viz?.takenAt
      return [
        [at, 'web', 'mtls'],
        [at, 'fake', null],
      ]
    }),
  )
  assert.equal(await read(0, 0), undefined)
})

import fc from 'fast-check'
import { toTime } from '../../../lib/time/windows.ts'
import { DERIVATION } from '../../../lib/model/window.ts'
import type { Coverage, PathWindow, WindowResult, Workload } from '../../../lib/model/window.ts'
import type { Destination, Outcome, Source, State } from '../../../lib/model/path.ts'
import type { Window } from '../../../lib/model/time.ts'
import type { ExpectedWindow } from '../../../lib/history/fold-state.ts'

/** Windows of half a day: a week of silence and the end of a month fit into few of them. */
export const HALF_DAY = 12 * 60 * 60

const named: Source = { kind: 'deployment', namespace: 'shop', name: 'web', serviceAccount: 'web' }
const unnamed: Source = { kind: 'unmeshed', namespace: '', name: '', serviceAccount: null }
const bank: Destination = {
  kind: 'statefulset',
  namespace: 'bank',
  name: 'ledger',
  serviceAccount: 'ledger',
  cluster: null,
}
const gateway: Destination = { kind: 'service', namespace: 'bank', name: 'far', serviceAccount: null, cluster: 'west' }

export type Ends = Pick<PathWindow, 'pathId' | 'source' | 'destination' | 'port'>

/** A named source and an unnamed one on one port, one on another port, and one to another cluster. */
export const named80: Ends = { pathId: '00000000000000a1', source: named, destination: bank, port: 80 }
export const unnamed80: Ends = { pathId: '00000000000000b2', source: unnamed, destination: bank, port: 80 }
export const unnamed90: Ends = { pathId: '00000000000000c3', source: unnamed, destination: bank, port: 90 }
export const named443: Ends = { pathId: '00000000000000d4', source: named, destination: gateway, port: 443 }

/** The window number `index` of {@link HALF_DAY} from 2026-11-20 on: index 22 is the first of December. */
export function halfDay(index: number): Window {
  const start = Date.UTC(2026, 10, 20) / 1000 + index * HALF_DAY
  return { start: toTime(start), end: toTime(start + HALF_DAY) }
}

export function pathWindow(ends: Ends, state: State, changes: Partial<PathWindow> = {}): PathWindow {
  return {
    ...ends,
    state,
    outcome: 'allowed',
    reason: '',
    cause: null,
    enforcement: 'unknown',
    opens: 1,
    openAtScrape: 0,
    bytes: 10,
    clearBytes: 0,
    sinceUnknown: false,
    corroborated: 'yes',
    candidates: [],
    clientId: null,
    serverId: null,
    ...changes,
  }
}

export function coverageOf(window: Window, changes: Partial<Coverage> = {}): Coverage {
  const { kind, namespace, name } = bank
  return {
    cluster: 'demo',
    window,
    workload: { kind, namespace, name },
    expectedSeconds: HALF_DAY,
    observedSeconds: HALF_DAY,
    ratio: 1,
    pods: { total: 1, meshed: 1, scraped: 1 },
    gaps: [],
    ...changes,
  }
}

/** One of the two ends as a list shows it: `web`, whose proxy sees what it sends, or `ledger`, whose proxy sees who has no name. */
export function workloadOf(end: 'web' | 'ledger', changes: Partial<Workload> = {}): Workload {
  const { kind, namespace, name, serviceAccount } = end === 'web' ? named : bank
  return {
    cluster: 'demo',
    kind,
    namespace,
    name,
    serviceAccount,
    meshed: 'yes',
    pods: 1,
    reason: null,
    defaultPolicy: null,
    skipInbound: [],
    skipOutbound: [],
    opaque: [],
    blindSpots: [],
    ...changes,
  }
}

/** A window in which every connection of both ends was seen, in coverage and lists. */
export function watched(window: Window): Pick<WindowResult, 'coverage' | 'workloads'> {
  const { kind, namespace, name } = named
  return {
    coverage: [coverageOf(window), coverageOf(window, { workload: { kind, namespace, name } })],
    workloads: [workloadOf('web'), workloadOf('ledger')],
  }
}

export function windowResult(window: Window, changes: Partial<WindowResult> = {}): WindowResult {
  return {
    format: 'ciphertrail/window/1',
    derivation: DERIVATION,
    cluster: 'demo',
    window,
    inputs: { evidence: `evidence/${window.start.replaceAll(/[-:]/g, '')}/demo/1`, before: null, after: null },
    collected: true,
    errors: [],
    edges: [],
    paths: [],
    coverage: [],
    workloads: [],
    crypto: { proxyVersions: [], tls: [], certificates: null, trustAnchors: [] },
    existing: null,
    namespaces: null,
    ...changes,
  }
}

/** A timeline's input from what a window shows: null for a missing one. */
export function expectedWindows(shown: readonly (Partial<WindowResult> | null)[]): ExpectedWindow[] {
  return shown.map((changes, index) => {
    const window = halfDay(index)
    return { window, result: changes === null ? null : windowResult(window, changes) }
  })
}

const seenState = fc.constantFrom<State>(
  'plaintext',
  'no-mesh-tls',
  'unknown',
  'tls-anonymous',
  'app-tls',
  'mtls',
  'mtls',
  'exempt',
)

function seen(ends: Ends): fc.Arbitrary<PathWindow> {
  return fc
    .record({
      state: seenState,
      outcome: fc.constantFrom<Outcome>('allowed', 'allowed', 'allowed', 'refused'),
      opens: fc.nat(3),
      openAtScrape: fc.nat(3),
      bytes: fc.nat(100),
      sinceUnknown: fc.boolean(),
      corroborated: fc.constantFrom('yes' as const, 'ambiguous' as const, 'no' as const),
      clientId: fc.constantFrom(null, 'web.shop', 'other.shop'),
      enforcement: fc.constantFrom('unknown' as const, 'plaintext-allowed' as const, 'plaintext-refused' as const),
      candidates: fc.subarray([named, bank]),
    })
    .map(({ state, ...changes }) =>
      pathWindow(ends, state, { ...changes, clearBytes: state === 'plaintext' ? changes.bytes : 0 }),
    )
}

const existing = fc.oneof(
  { weight: 4, arbitrary: fc.constant(null) },
  { weight: 4, arbitrary: fc.constant(['deployment/shop/web', 'statefulset/bank/ledger']) },
  { weight: 1, arbitrary: fc.constant(['deployment/shop/web']) },
)

const namespaces: fc.Arbitrary<WindowResult['namespaces']> = fc.constantFrom(
  null,
  { mesh: ['linkerd'], others: ['bank', 'shop'] },
  { mesh: ['bank', 'linkerd'], others: ['shop'] },
)

function lookedAt(covered: string): Pick<WindowResult, 'coverage' | 'workloads'> {
  const { coverage, workloads } = watched(halfDay(0))
  if (covered === 'none') return { coverage: [], workloads }
  if (covered === 'ledger') return { coverage: coverage.slice(0, 1), workloads }
  if (covered === 'partly') return { coverage: coverage.map(withGap), workloads }
  const skipped = { blindSpots: [{ kind: 'skip-outbound', port: '80', detail: '' } as const] }
  return {
    coverage,
    workloads: covered === 'bypassed' ? workloads.map((workload) => ({ ...workload, ...skipped })) : workloads,
  }
}

/** Of `web`, a scrape failed. */
function withGap(row: Coverage): Coverage {
  const { start: from, end: to } = row.window
  if (row.workload.name !== named.name) return row
  return { ...row, observedSeconds: HALF_DAY / 2, ratio: 0.5, gaps: [{ reason: 'scrape-failed', pods: 1, from, to }] }
}

/** How the lists show an end of a path: mostly as ever. */
const standing: fc.Arbitrary<Partial<Workload>> = fc.oneof(
  { weight: 12, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constantFrom<Partial<Workload>>({ meshed: 'no' }, { meshed: 'partly' }) },
  { weight: 1, arbitrary: fc.constantFrom<Partial<Workload>>({ meshed: 'unknown' }, { meshed: 'unknown', pods: 0 }) },
  { weight: 1, arbitrary: fc.constantFrom<Partial<Workload>>({ serviceAccount: 'other' }, { serviceAccount: null }) },
)

/** What one window shows; windows in which nothing was seen are often, since silence is where the rules are. */
const shownWindow: fc.Arbitrary<Partial<WindowResult> | null> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constant({ collected: false, errors: ['Cannot read metrics "demo": 500'] }) },
  {
    weight: 8,
    arbitrary: fc
      .record({
        paths: fc
          .tuple(...[named80, unnamed80, unnamed90, named443].map((ends) => fc.option(seen(ends), { freq: 2 })))
          .map((paths) => paths.filter((path) => path !== null)),
        covered: fc.constantFrom('both', 'both', 'ledger', 'none', 'bypassed', 'partly'),
        partial: fc.constantFrom(false, false, false, false, true),
        overridden: fc.constantFrom<string[]>([], [], [], [], ['statefulset/bank/ledger']),
        existing,
        namespaces,
        ends: fc.tuple(standing, standing),
        hasLists: fc.boolean(),
      })
      .map(({ covered, ends: [web, ledger], hasLists, ...changes }) => {
        const { coverage, workloads } = lookedAt(covered)
        const own = { web, ledger }
        return {
          ...changes,
          coverage,
          workloads: workloads.map((one) => ({ ...one, ...own[one.name === 'web' ? 'web' : 'ledger'] })),
          ...(hasLists ? { inputs: { evidence: 'evidence/1', before: 'evidence/0', after: 'evidence/1' } } : {}),
        }
      }),
  },
)

/** A stretch in which each window shows the same, as days do. */
const stretch = fc
  .tuple(
    fc.oneof(
      { weight: 2, arbitrary: shownWindow },
      { weight: 1, arbitrary: fc.constant({}) },
      // Silence that was looked at, as in most weeks in which a path ended.
      { weight: 1, arbitrary: fc.constant(watched(halfDay(0))) },
    ),
    fc.integer({ min: 1, max: 18 }),
    fc.boolean(),
  )
  .map(([shown, length, isLong]) => Array.from({ length: isLong ? length : 1 }, () => shown))

/** Any history of a cluster: expected windows without a hole. */
export const anyHistory: fc.Arbitrary<ExpectedWindow[]> = fc
  .array(stretch, { minLength: 1, maxLength: 25 })
  .map((stretches) => expectedWindows(stretches.flat()))

/**
 * Makes input for reports: a week of two clusters with a story, and parts to bend it. Nothing is drawn at random; equal arguments
 * give equal input.
 */
import { pathClass } from '../../../lib/assess/ends/path-class.ts'
import { workloadKey } from '../../../lib/assess/pods/facts.ts'
import { DEFAULT_SETTINGS } from '../../../lib/assess/judge/stored-scope.ts'
import type { Cause, ClassNamespaces, Endpoint, Outcome, State } from '../../../lib/model/path.ts'
import type { ClusterPast, ClusterPeriod, ObservedPeriod, ObservedWorkload } from '../../../lib/model/period.ts'
import type { Coverage, Crypto, Workload } from '../../../lib/model/window.ts'
import type { CountedRow, Episode, PathRow } from '../../../lib/model/history.ts'
import type { Scope, Waiver } from '../../../lib/model/judgement.ts'
import type { Window } from '../../../lib/model/time.ts'
import { earlierPeriods } from '../../../lib/time/week.ts'
import { judge } from '../../../lib/assess/judge/judge.ts'
import type { ReportInput } from '../../../lib/report/report-input.ts'

export const PERIOD = {
  from: '2026-11-15T23:00:00Z',
  to: '2026-11-22T23:00:00Z',
  label: 'Week 2026-W47',
  timeZone: 'Europe/Berlin',
}

const HOUR = 3_600_000
const iso = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z')

export type StoryWindow = ClusterPeriod['windows'][number]

/** Every hour of a period, collected but for the indexes given: `missing` ones have no attempt, `failed` ones one without metrics. */
export function hours({
  from = PERIOD.from,
  to = PERIOD.to,
  missing = [],
  failed = [],
}: {
  from?: string
  to?: string
  missing?: readonly number[]
  failed?: readonly number[]
} = {}): StoryWindow[] {
  const count = Math.round((Date.parse(to) - Date.parse(from)) / HOUR)
  return Array.from({ length: count }, (_, index) => {
    const start = iso(Date.parse(from) + index * HOUR)
    const end = iso(Date.parse(from) + (index + 1) * HOUR)
    const isLost = missing.includes(index) || failed.includes(index)
    return {
      start,
      end,
      evidence: missing.includes(index) ? null : `evidence/${end}`,
      collected: !isLost,
      expectedSeconds: 0,
      observedSeconds: 0,
      ratio: null,
    }
  })
}

/** A stretch of a path's life, by indexes of windows, both included. */
export type Stretch = {
  readonly from: number
  readonly to: number
  readonly state: State
  readonly outcome?: Outcome
  readonly reason?: string
  readonly cause?: Cause | null
  readonly fix?: string | null
  readonly episode?: Episode | null
  readonly clearShare?: number | null
  readonly opens?: number
  readonly bytes?: number
  readonly more?: Partial<CountedRow>
}

export type StoryPath = {
  readonly pathId: string
  readonly source: PathRow['source']
  readonly destination: PathRow['destination']
  readonly port: number
  readonly stretches: readonly Stretch[]
  /** Windows in which the path is quiet although a stretch covers them. */
  readonly isQuiet?: (index: number) => boolean
}

export const workload = (kind: string, namespace: string, name: string): PathRow['destination'] => ({
  kind,
  namespace,
  name,
  serviceAccount: name,
  cluster: null,
})
const UNMESHED: PathRow['source'] = { kind: 'unmeshed', namespace: '', name: '', serviceAccount: null }

/** Linkerd's namespaces, as `linkerd install` labels them. */
const CLASSES: ClassNamespaces = { meshNamespaces: ['linkerd', 'linkerd-viz'], platformNamespaces: [] }

/** The rows and the strip of a path over windows. Windows that were not collected cut its rows, as in the timeline. */
function life(
  cluster: string,
  windows: readonly StoryWindow[],
  { pathId, source, destination, port, stretches, isQuiet = () => false }: StoryPath,
): { rows: CountedRow[]; strip: (State | null)[] } {
  const strip: (State | null)[] = windows.map(() => null)
  const rows: CountedRow[] = []
  for (const stretch of stretches) {
    let begun: number | undefined
    let isLost = false
    const close = (end: number): void => {
      const first = begun === undefined ? undefined : windows[begun]
      const last = windows[end]
      if (first === undefined || last === undefined) return
      const state = isLost ? 'not-collected' : stretch.state
      rows.push({
        cluster,
        class: pathClass({ source, destination }, CLASSES),
        pathId,
        source,
        destination,
        port,
        from: first.start,
        to: last.end,
        state,
        outcome: isLost ? 'allowed' : (stretch.outcome ?? 'allowed'),
        reason: isLost ? '' : (stretch.reason ?? ''),
        cause: isLost ? null : (stretch.cause ?? null),
        fix: isLost ? null : (stretch.fix ?? null),
        clearShare: isLost ? null : (stretch.clearShare ?? (state === 'mtls' ? 0 : null)),
        opens: isLost ? 0 : (stretch.opens ?? 120),
        openAtScrape: isLost ? 0 : 2,
        bytes: isLost ? 0 : (stretch.bytes ?? 1_234_567),
        corroborated: 'yes',
        enforcement: 'plaintext-allowed',
        candidates: [],
        episode: isLost ? null : (stretch.episode ?? null),
        waiver: null,
        evidence: isLost ? [] : [`evidence/${first.end}`, `evidence/${last.end}`],
        ...(isLost ? {} : stretch.more),
      })
    }
    for (let index = stretch.from; index <= stretch.to; index += 1) {
      const window = windows[index]
      if (window === undefined) break
      strip[index] = window.collected ? (isQuiet(index) ? 'not-observed' : stretch.state) : 'not-collected'
      if (begun === undefined || isLost === window.collected) {
        if (begun !== undefined) close(index - 1)
        begun = index
        isLost = !window.collected
      }
    }
    close(Math.min(stretch.to, windows.length - 1))
  }
  return { rows, strip }
}

export const episode = (
  pathId: string,
  openedAt: string,
  endedAt: string | null = null,
  more: Partial<Episode> = {},
): Episode => ({
  id: `${pathId}-${openedAt.replace(/[-:]/gu, '')}`,
  openedAt,
  sinceUnknown: false,
  mayBeEarlier: false,
  endedAt,
  ending: endedAt === null ? null : 'fixed',
  ...more,
})

/** Coverage rows of one workload over the collected windows, with the part that was seen in each. */
export function coverageOf(
  cluster: string,
  windows: readonly StoryWindow[],
  of: { kind: string; namespace: string; name: string },
  { pods = 2, gapsOf = () => [] }: { pods?: number; gapsOf?: (index: number, window: Window) => Coverage['gaps'] } = {},
): Coverage[] {
  return windows.flatMap((window, index) => {
    if (!window.collected) return []
    const length = (Date.parse(window.end) - Date.parse(window.start)) / 1000
    const gaps = gapsOf(index, window)
    const lost = gaps.reduce((sum, gap) => sum + (gap.pods * (Date.parse(gap.to) - Date.parse(gap.from))) / 1000, 0)
    const expectedSeconds = pods * length
    return [
      {
        cluster,
        window: { start: window.start, end: window.end },
        workload: of,
        expectedSeconds,
        observedSeconds: expectedSeconds - lost,
        ratio: (expectedSeconds - lost) / expectedSeconds,
        pods: { total: pods, meshed: pods, scraped: pods },
        gaps,
      },
    ]
  })
}

const meshed = (cluster: string, kind: string, namespace: string, name: string): Workload => ({
  cluster,
  kind,
  namespace,
  name,
  serviceAccount: name,
  meshed: 'yes',
  pods: 2,
  reason: null,
  defaultPolicy: 'all-unauthenticated',
  skipInbound: [],
  skipOutbound: [],
  opaque: [],
  blindSpots: [],
})

const CRYPTO: Crypto = {
  proxyVersions: [{ version: 'edge-26.8.1', proxies: 31 }],
  tls: [
    {
      suites: 'TLS13_AES_256_GCM_SHA384,TLS13_AES_128_GCM_SHA256,TLS13_CHACHA20_POLY1305_SHA256',
      keyExchange: 'X25519MLKEM768,X25519,secp256r1',
      fips: 'false',
      proxies: 31,
    },
  ],
  certificates: { earliestExpiry: '2026-11-22T23:40:00Z', latestExpiry: '2026-11-23T22:10:00Z', proxies: 31 },
  trustAnchors: [
    {
      subject: 'CN=root.linkerd.cluster.local',
      sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      notBefore: '2026-01-01T00:00:00Z',
      notAfter: '2036-01-01T00:00:00Z',
    },
  ],
}

/** A cluster made of paths; every workload of them is covered wholly unless `coverage` says otherwise. */
export function cluster(
  id: string,
  windows: readonly StoryWindow[],
  paths: readonly StoryPath[],
  more: Partial<ClusterPeriod> = {},
): ClusterPeriod {
  const lives = paths.map((path) => ({ pathId: path.pathId, ...life(id, windows, path) }))
  const workloads = new Map(
    paths
      .flatMap(({ source, destination }) => [source, destination])
      .filter(({ namespace }) => namespace !== '')
      .map((end) => [`${end.kind}/${end.namespace}/${end.name}`, end]),
  )
  const coverage =
    more.coverage ??
    [...workloads.values()].flatMap(({ kind, namespace, name }) => coverageOf(id, windows, { kind, namespace, name }))
  return {
    id,
    windows: measured(windows, coverage),
    classes: CLASSES,
    rows: lives.flatMap(({ rows }) => rows),
    strips: Object.fromEntries(lives.map(({ pathId, strip }) => [pathId, strip])),
    coverage,
    facts: { listedWindows: 0, workloads: [], identities: [], crypto: [], observed: observedOf(windows, coverage) },
    workloads: [...workloads.values()].map(({ kind, namespace, name }) => meshed(id, kind, namespace, name)),
    crypto: CRYPTO,
    errors: [],
    ...more,
  }
}

/** What was read of each workload, as its coverage has it: each of them is listed, with a proxy in each pod. */
export function observedOf(
  windows: readonly StoryWindow[],
  coverage: readonly Coverage[],
  workloads: readonly Endpoint[] = [],
): ObservedPeriod {
  const indexes = new Map(windows.map(({ start }, index) => [start, index]))
  const observed = new Map<string, ObservedWorkload>()
  const of = (workload: Endpoint): ObservedWorkload => {
    const known = observed.get(workloadKey(workload)) ?? {
      hadPods: new Uint8Array(windows.length).fill(1),
      told: Uint8Array.from(windows, ({ collected }) => (collected ? 1 : 0)),
      shares: new Float64Array(windows.length),
      around: new Map(),
      outages: new Set(),
    }
    observed.set(workloadKey(workload), known)
    return known
  }
  for (const workload of workloads) of(workload)
  for (const { workload, window, observedSeconds, expectedSeconds, pods } of coverage)
    if (pods.meshed === pods.total)
      of(workload).shares[indexes.get(window.start) ?? -1] = observedSeconds / expectedSeconds
  return {
    windows: windows.map(({ start, collected }) => ({ start, collected, isPartial: false, isListed: true })),
    workloads: observed,
  }
}

/** Windows with the sums of their coverage, as the timeline has them. */
function measured(windows: readonly StoryWindow[], coverage: readonly Coverage[]): StoryWindow[] {
  const sums = new Map<string, { expectedSeconds: number; observedSeconds: number }>()
  for (const { window, expectedSeconds, observedSeconds } of coverage) {
    const known = sums.get(window.end) ?? { expectedSeconds: 0, observedSeconds: 0 }
    sums.set(window.end, {
      expectedSeconds: known.expectedSeconds + expectedSeconds,
      observedSeconds: known.observedSeconds + observedSeconds,
    })
  }
  return windows.map((window) => {
    const sum = sums.get(window.end) ?? { expectedSeconds: 0, observedSeconds: 0 }
    const ratio = sum.expectedSeconds > 0 ? sum.observedSeconds / sum.expectedSeconds : null
    return { ...window, ...sum, ratio }
  })
}

/** What a report is made from, before anybody judged it. */
export type UnjudgedInput = Omit<ReportInput, 'judgement' | 'past' | 'checkpoint' | 'settings'> &
  Partial<Pick<ReportInput, 'past' | 'checkpoint' | 'settings'>> & {
    readonly scopes?: readonly Scope[]
    readonly waivers?: readonly Waiver[]
  }

/** Judges the clusters of a report. */
export function judged({
  scopes = [],
  waivers = [],
  settings = DEFAULT_SETTINGS,
  ...input
}: UnjudgedInput): ReportInput {
  const { clusters, period } = input
  const judgement = judge({ clusters, scopes, waivers, settings, period, at: period.to })
  return { past: [], checkpoint: null, settings, ...input, judgement }
}

/** A report as it is written down in goldens: without what `cluster()` would add to its parts. */
export type WrittenInput = Omit<UnjudgedInput, 'clusters'> & {
  readonly clusters: readonly (Omit<ClusterPeriod, 'classes' | 'rows'> & {
    readonly rows: readonly Omit<CountedRow, 'class'>[]
  })[]
}

/** Adds to a written report what `cluster()` adds: classes, and what was read of each workload. */
export function completed({ clusters, ...input }: WrittenInput): UnjudgedInput {
  const classed = <Row extends Omit<PathRow, 'class'>>(rows: readonly Row[]) =>
    rows.map((row) => ({ ...row, class: pathClass(row, CLASSES) }))
  return {
    ...input,
    clusters: clusters.map((one) => ({
      ...one,
      classes: CLASSES,
      rows: classed(one.rows),
      facts: {
        listedWindows: 0,
        workloads: [],
        identities: [],
        crypto: [],
        ...one.facts,
        observed: observedOf(one.windows, one.coverage),
      },
    })),
    ...(input.past === undefined
      ? {}
      : {
          past: input.past.map((one) => ({
            ...one,
            periods: one.periods.map((period) => ({ ...period, rows: classed(period.rows) })),
          })),
        }),
  }
}

export const report = (clusters: readonly ClusterPeriod[], more: Partial<UnjudgedInput> = {}): ReportInput =>
  judged({ period: PERIOD, version: '0.1.0', clusters, ...more })

const pathId = (number: number): string => (0xa1b2_c3d4_0000 + number).toString(16).padStart(16, '0')

/** A week of two clusters: open, ended and reopened episodes, refused, unknown, exempt and quiet paths, gaps of several kinds. */
export function storyOfAWeek(): ReportInput {
  const west = hours({
    missing: [27, 28, 29],
    failed: [100],
  })
  const at = (index: number): string => west[index]?.start ?? PERIOD.to
  const night = (index: number): boolean => (index + 1) % 24 < 7
  const shop = (name: string): PathRow['destination'] => workload('deployment', 'shop', name)
  const bank = (name: string): PathRow['destination'] => workload('statefulset', 'bank', name)
  const voting = { ...shop('voting') }
  const west1 = cluster(
    'west',
    west,
    [
      {
        pathId: pathId(1),
        source: shop('web'),
        destination: voting,
        port: 8080,
        stretches: [
          { from: 0, to: 33, state: 'mtls', opens: 400, bytes: 50_000_000 },
          {
            from: 34,
            to: 60,
            state: 'plaintext',
            reason: 'not_provided_by_service_discovery',
            cause: 'destination-not-meshed',
            fix: 'Mesh deployment/voting in shop: kubectl annotate namespace shop linkerd.io/inject=enabled && kubectl rollout restart deployment/voting -n shop (a linkerd.io/inject: disabled on the workload itself must go first)',
            episode: episode(pathId(1), iso(Date.parse(at(34)) + 562_000), at(61)),
            clearShare: 1,
            opens: 311,
            bytes: 21_400_000,
          },
          { from: 61, to: 167, state: 'mtls', opens: 1300, bytes: 150_000_000 },
        ],
      },
      {
        pathId: pathId(2),
        source: UNMESHED,
        destination: bank('ledger-db'),
        port: 5432,
        stretches: [
          {
            from: 71,
            to: 167,
            state: 'no-mesh-tls',
            reason: 'port_skipped',
            cause: 'opaque-port-unmeshed-client',
            fix: 'Mesh the client that connects to statefulset/ledger-db in bank:5432: meshed clients reach an opaque port through port 4143, this one did not. Find it with ciphertrail packets or tshark in the linkerd-debug container (tap shows HTTP only), then annotate its namespace with linkerd.io/inject=enabled and restart it',
            episode: episode(pathId(2), iso(Date.parse(at(71)) + 1_864_000)),
            clearShare: 1,
            opens: 96,
            bytes: 3_210_000_000,
            more: {
              corroborated: 'no',
              candidates: [
                { kind: 'deployment', namespace: 'bank', name: 'audit-export', serviceAccount: 'audit-export' },
              ],
            },
          },
        ],
        isQuiet: night,
      },
      {
        pathId: pathId(3),
        source: workload('deployment', 'warehouse', 'orders'),
        destination: workload('statefulset', 'warehouse', 'inventory'),
        port: 8080,
        stretches: [
          {
            from: 0,
            to: 167,
            state: 'plaintext',
            reason: 'not_provided_by_service_discovery',
            cause: 'destination-not-meshed',
            fix: 'Mesh statefulset/inventory in warehouse: kubectl annotate namespace warehouse linkerd.io/inject=enabled && kubectl rollout restart statefulset/inventory -n warehouse (a linkerd.io/inject: disabled on the workload itself must go first)',
            episode: episode(pathId(3), '2026-09-28T07:00:00Z', null, { sinceUnknown: true }),
            clearShare: 1,
            opens: 50_402,
            bytes: 812_000_000,
            more: { enforcement: 'unknown', corroborated: 'no' },
          },
        ],
      },
      {
        pathId: pathId(4),
        source: UNMESHED,
        destination: shop('web'),
        port: 9090,
        stretches: [
          {
            from: 10,
            to: 40,
            state: 'plaintext',
            reason: 'no_tls_from_remote',
            cause: 'source-not-meshed',
            fix: 'Mesh the client: find it with linkerd viz tap deployment/web -n shop -o wide, then annotate its namespace with linkerd.io/inject=enabled and restart it',
            episode: episode(pathId(4), at(10), at(41), { ending: 'refused' }),
            clearShare: 1,
            opens: 124,
            bytes: 88_000,
          },
          {
            from: 41,
            to: 80,
            state: 'plaintext',
            outcome: 'refused',
            reason: 'no_tls_from_remote',
            opens: 160,
            bytes: 0,
          },
          {
            from: 81,
            to: 167,
            state: 'plaintext',
            reason: 'no_tls_from_remote',
            cause: 'source-not-meshed',
            fix: 'Mesh the client: find it with linkerd viz tap deployment/web -n shop -o wide, then annotate its namespace with linkerd.io/inject=enabled and restart it',
            episode: episode(pathId(4), at(81)),
            clearShare: 1,
            opens: 348,
            bytes: 240_000,
          },
        ],
      },
      {
        pathId: pathId(5),
        source: shop('checkout'),
        destination: bank('invoices'),
        port: 8080,
        stretches: [
          { from: 0, to: 90, state: 'mtls' },
          { from: 91, to: 96, state: 'unknown', reason: 'source-partly-unmeshed (1 of 3)', cause: 'unknown' },
          { from: 97, to: 167, state: 'mtls' },
        ],
      },
      {
        pathId: pathId(6),
        source: UNMESHED,
        destination: workload('deployment', 'identity', 'login'),
        port: 8080,
        stretches: [
          {
            from: 0,
            to: 167,
            state: 'plaintext',
            outcome: 'refused',
            reason: 'no_tls_from_remote',
            opens: 40_320,
            bytes: 0,
          },
        ],
      },
      {
        pathId: pathId(7),
        source: { kind: 'probe', namespace: '', name: '', serviceAccount: null },
        destination: shop('web'),
        port: 8080,
        stretches: [{ from: 0, to: 167, state: 'exempt', reason: 'probe path', opens: 60_480, bytes: 9_000_000 }],
      },
      {
        pathId: pathId(8),
        source: bank('invoices'),
        destination: {
          kind: 'external',
          namespace: '',
          name: 'tax-api.example.com',
          serviceAccount: null,
          cluster: null,
        },
        port: 80,
        stretches: [
          {
            from: 0,
            to: 167,
            state: 'plaintext',
            reason: 'not_provided_by_service_discovery',
            cause: 'outside-cluster',
            fix: 'Traffic to tax-api.example.com:80 leaves the cluster, where Linkerd does not encrypt: use TLS in the application, or route it through an egress gateway that does, and record who accepted it',
            episode: episode(pathId(8), '2026-11-03T08:00:00Z'),
            clearShare: 1,
            opens: 412,
            bytes: 5_200_000,
            more: { corroborated: 'no', enforcement: 'unknown' },
          },
        ],
        isQuiet: (index) => night(index) || index % 24 > 18,
      },
      {
        pathId: pathId(9),
        source: workload('cronjob', 'warehouse', 'picker'),
        destination: workload('deployment', 'warehouse', 'orders'),
        port: 8080,
        stretches: [{ from: 0, to: 167, state: 'mtls', opens: 56, bytes: 120_000 }],
        isQuiet: (index) => index % 3 !== 0,
      },
      {
        pathId: pathId(10),
        source: shop('web'),
        destination: { ...workload('deployment', 'shop', 'recommendations'), cluster: 'east' },
        port: 8080,
        stretches: [{ from: 0, to: 167, state: 'mtls', opens: 9_000, bytes: 72_000_000 }],
      },
      {
        pathId: pathId(11),
        source: bank('invoices'),
        destination: bank('ledger-db'),
        port: 5432,
        stretches: [{ from: 0, to: 167, state: 'mtls', opens: 12, bytes: 9_100_000_000 }],
      },
      {
        pathId: pathId(12),
        source: workload('deployment', 'legacy', 'batch'),
        destination: bank('invoices'),
        port: 8443,
        stretches: [{ from: 0, to: 167, state: 'not-observed', opens: 0, bytes: 0 }],
      },
      {
        pathId: pathId(13),
        source: { kind: 'unmeshed', namespace: '', name: '', serviceAccount: null },
        destination: workload('deployment', 'linkerd', 'linkerd-proxy-injector'),
        port: 8443,
        stretches: [
          {
            from: 0,
            to: 167,
            state: 'app-tls',
            reason: 'application-tls',
            cause: 'application-tls',
            opens: 60,
            bytes: 410_000,
          },
        ],
        isQuiet: (index) => index % 20 !== 0,
      },
    ],
    {
      errors: [
        {
          window: at(101),
          line: 'Cannot read metrics from "https://prometheus.linkerd-viz:9090": 503 Service Unavailable, 200 was expected',
        },
      ],
    },
  )
  const gap = (reason: Coverage['gaps'][number]['reason'], pods: number) => (index: number, window: Window) =>
    index >= 120 && index < 126 ? [{ reason, pods, from: window.start, to: window.end }] : []
  const coverage = [
    ...west1.coverage.filter(({ workload: { name } }) => name !== 'inventory' && name !== 'batch' && name !== 'login'),
    ...coverageOf('west', west, workload('deployment', 'identity', 'login'), {
      gapsOf: (_, window) => [{ reason: 'scrape-refused', pods: 2, from: window.start, to: window.end }],
    }),
    ...coverageOf('west', west, workload('deployment', 'shop', 'checkout'), {
      pods: 3,
      gapsOf: gap('scrape-failed', 2),
    }),
  ]
  const workloads = west1.workloads.map((row): Workload => {
    if (row.name === 'inventory')
      return {
        ...row,
        meshed: 'no',
        reason: 'disabled',
        blindSpots: [{ kind: 'unmeshed', port: null, detail: 'linkerd.io/inject: disabled on the pod template' }],
      }
    if (row.name === 'batch')
      return {
        ...row,
        meshed: 'no',
        reason: 'host-network',
        blindSpots: [
          { kind: 'unmeshed', port: null, detail: '' },
          { kind: 'host-network', port: null, detail: 'hostNetwork: true' },
        ],
      }
    if (row.name === 'checkout') return { ...row, meshed: 'partly', reason: 'created-before-injection', pods: 3 }
    if (row.name === 'orders')
      return {
        ...row,
        skipOutbound: ['80'],
        blindSpots: [
          { kind: 'skip-outbound', port: '80', detail: 'config.linkerd.io/skip-outbound-ports on the pod template' },
        ],
      }
    if (row.name === 'ledger-db')
      return {
        ...row,
        opaque: ['5432'],
        blindSpots: [{ kind: 'opaque-port', port: '5432', detail: 'opaque by default' }],
      }
    return row
  })
  const eastHours = hours({ from: '2026-11-18T09:00:00Z' })
  const east = cluster('east', eastHours, [
    {
      pathId: pathId(20),
      source: workload('deployment', 'shop', 'frontend'),
      destination: workload('deployment', 'shop', 'recommendations'),
      port: 8080,
      stretches: [{ from: 0, to: 109, state: 'mtls' }],
    },
    {
      pathId: pathId(21),
      source: workload('deployment', 'shop', 'frontend'),
      destination: workload('deployment', 'shop', 'cart'),
      port: 7000,
      stretches: [{ from: 0, to: 109, state: 'tls-anonymous', reason: '' }],
    },
  ])
  return report([{ ...west1, windows: measured(west, coverage), coverage, workloads }, east], {
    past: pastOfAWeek(west1, east),
    scopes: SCOPES,
    waivers: WAIVERS,
    checkpoint: CHECKPOINT,
  })
}

const SCOPES: readonly Scope[] = [
  {
    framework: 'pci-dss',
    clusters: ['west'],
    namespaces: ['bank', 'shop'],
    labels: {},
    owner: 'payments@example.com',
    reason: 'Card data flows through shop and bank on cluster west only, as the assessor agreed on 3 Nov 2026',
  },
]

/** One in use, one that ends soon and is too broad, one unused, one expired. */
const WAIVERS: readonly Waiver[] = [
  {
    id: 'tax-api',
    source: 'statefulset/bank/invoices',
    destination: 'external/tax-api.example.com',
    port: 80,
    rules: ['path-is-encrypted', 'path-is-mutual'],
    owner: 'bank@example.com',
    reason: 'The tax office offers no TLS before spring',
    compensatingControl: 'Payloads are signed and encrypted by the application',
    expires: '2027-03-31T00:00:00Z',
  },
  {
    id: 'inventory-migration',
    destination: 'statefulset/warehouse/inventory',
    owner: 'warehouse@example.com',
    reason: 'The vendor’s image does not start with a proxy; replaced in December',
    compensatingControl: 'The namespace has a network policy that lets in orders only',
    expires: '2026-12-01T00:00:00Z',
  },
  {
    id: 'old-reports',
    cluster: 'east',
    destination: 'deployment/shop/reports',
    owner: 'shop@example.com',
    reason: 'Reports are public',
    compensatingControl: 'None is needed for public data',
    expires: '2027-01-31T00:00:00Z',
  },
  {
    id: 'ledger-audit',
    source: '(unmeshed)',
    destination: 'statefulset/bank/ledger-db',
    owner: 'bank@example.com',
    reason: 'The audit export is being meshed',
    compensatingControl: 'The export runs on a dedicated node',
    expires: '2026-11-20T00:00:00Z',
  },
]

const CHECKPOINT = {
  origin: 'ciphertrail.example.com/prod',
  size: 20_485,
  root: 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=',
  vkey: 'ciphertrail.example.com/prod+1f2e3d4c+AZvXk1V6fKzGqGJqk4m2k0j3dCwq0mPZ0xq9s0wq1b2c',
  text: 'ciphertrail.example.com/prod\n20485\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— ciphertrail.example.com/prod Hy49TKx0bq3u6d4n1wZf0o8sQx\n',
  attempts: 168,
  unsealed: 1,
}

/** Seven weeks before: the oldest without a registration, one of which nothing was collected. */
function pastOfAWeek(...clusters: readonly ClusterPeriod[]): ClusterPast[] {
  const periods = earlierPeriods(PERIOD, 7)
  return clusters.map(({ id, rows }) => ({
    id,
    periods: periods.map(({ from, to }, index): ClusterPast['periods'][number] => {
      if (index < 2 || id === 'east') return { from, to, windows: [], rows: [] }
      const windows = hours({ from, to, missing: index === 4 ? Array.from({ length: 169 }, (_, hour) => hour) : [] })
      const open = rows.filter(({ state, episode: own }) => state === 'plaintext' && own !== null && own.openedAt < to)
      const coverage = coverageOf(id, windows, workload('deployment', 'shop', 'web'), {
        gapsOf: (hour, window) =>
          hour < 8 * index ? [{ reason: 'scrape-failed', pods: 1, from: window.start, to: window.end }] : [],
      })
      const seen = [
        ...new Map(rows.filter(({ state }) => state === 'mtls').map((row) => [row.pathId, row])).values(),
        ...new Map(open.map((row) => [row.pathId, row])).values(),
      ]
      return { from, to, windows: measured(windows, coverage), rows: seen.map((row) => ({ ...row, from, to })) }
    }),
    episodes: [
      ...new Map(
        rows.flatMap(({ pathId: path, source, destination, port, episode: own }) =>
          own === null ? [] : [[own.id, { pathId: path, source, destination, port, episode: own }] as const],
        ),
      ).values(),
    ],
  }))
}

/** A week with many paths on one cluster: one in forty not encrypted, the rest encrypted with quiet nights. */
export function manyPaths(count: number): ReportInput {
  const windows = hours({ missing: [50, 51] })
  const paths = Array.from({ length: count }, (_, index): StoryPath => {
    const id = pathId(1000 + index)
    const isClear = index % 40 === 0
    return {
      pathId: id,
      source: workload('deployment', `team-${index % 23}`, `service-${index}-frontend`),
      destination: workload('deployment', `team-${index % 31}`, `service-${(index * 7) % count}-backend`),
      port: 8080 + (index % 5),
      stretches: isClear
        ? [
            { from: 0, to: 80, state: 'mtls' },
            {
              from: 81,
              to: 167,
              state: 'plaintext',
              reason: 'no_tls_from_remote',
              cause: 'source-not-meshed',
              fix: 'Mesh the client',
              episode: episode(id, windows[81]?.start ?? PERIOD.to),
              clearShare: 1,
            },
          ]
        : [{ from: 0, to: 167, state: 'mtls' }],
      isQuiet: (window) => (window + index) % 24 < 6,
    }
  })
  return report([cluster('west', windows, paths)])
}

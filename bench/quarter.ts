/** A quarter of one cluster with many paths, healthy or not, with all facts that rules need. Nothing is drawn at random: equal sizes give equal quarters. */
import type { ClusterPast, ClusterPeriod, ObservedPeriod, PathIdentity, WorkloadHistory } from '../lib/model/period.ts'
import type { Cause } from '../lib/model/path.ts'
import type { Coverage } from '../lib/model/window.ts'
import type { ReportInput } from '../lib/report/report-input.ts'
import {
  type StoryPath,
  type StoryWindow,
  cluster,
  coverageOf,
  episode,
  hours,
  judged,
  observedOf,
  workload,
} from '../test/support/stored/report-input.ts'
import type { Window } from '../lib/model/time.ts'

const PERIOD = {
  from: '2026-07-01T00:00:00Z',
  to: '2026-10-01T00:00:00Z',
  label: 'Wed 1 Jul 2026 00:00 to Thu 1 Oct 2026 00:00',
  timeZone: 'UTC',
}
const BEFORE = { from: '2026-03-31T00:00:00Z', to: '2026-07-01T00:00:00Z' }
const WORKLOADS = 400
const HOUR = 3_600_000

const service = (index: number) => workload('deployment', `team-${index % 40}`, `service-${index % WORKLOADS}`)
const idOf = (index: number): string => (0xbeef_0000_0000 + index).toString(16).padStart(16, '0')

/** What goes wrong in a sick quarter: one path in twenty is open, one in fifty was, one workload in forty is half seen. */
const CAUSES: readonly Cause[] = [
  'destination-not-meshed',
  'source-skips-port',
  'destination-skips-port',
  'source-not-proxied',
]

/** Tells a quarter. */
export function quarterOf(paths: number, health: 'healthy' | 'sick'): ReportInput {
  const isSick = health === 'sick'
  // Prometheus was restarted once; in a sick quarter nobody collected for 15 hours as well.
  const missing = [1000, 1001, ...(isSick ? Array.from({ length: 15 }, (_, hour) => 400 + hour) : [])]
  const windows = hours({ ...PERIOD, missing })
  const coverage = coverageIn(windows, isSick)
  const one = cluster('prod-eu1', windows, [...lives(paths, windows, isSick), ...ownPaths(windows)], { coverage })
  // Nobody knows a policy of hours that were not collected.
  const rows = one.rows.map((row) =>
    row.state === 'not-collected' ? { ...row, enforcement: 'unknown' as const } : row,
  )
  const whole: ClusterPeriod = {
    ...one,
    rows,
    facts: factsOf(one, coverage, isSick),
    workloads: workloadsOf(one, isSick),
  }
  return judged({
    period: PERIOD,
    version: '0.1.0',
    clusters: [whole],
    past: [pastOf(whole)],
    checkpoint: {
      origin: 'acme.example/ciphertrail',
      size: 4_431,
      root: 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=',
      vkey: 'acme.example/ciphertrail+1f2e3d4c+AZvXk1V6fKzGqGJqk4m2k0j3dCwq0mPZ0xq9s0wq1b2c',
      text: 'acme.example/ciphertrail\n4431\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— acme.example/ciphertrail Hy49TKx0bq3u6d4n1wZf0o8sQx\n',
      attempts: windows.filter(({ collected }) => collected).length,
      unsealed: 0,
    },
  })
}

function lives(paths: number, windows: readonly StoryWindow[], isSick: boolean): StoryPath[] {
  const last = windows.length - 1
  return Array.from({ length: paths }, (_, index): StoryPath => {
    const [source, destination] = [service(index), service(index * 7 + Math.floor(index / WORKLOADS) + 1)]
    const encrypted = {
      state: 'mtls' as const,
      opens: 9_000,
      bytes: 40_000_000,
      more: { enforcement: isSick ? 'plaintext-allowed' : 'plaintext-refused' } as const,
    }
    const path = { pathId: idOf(index), source, destination, port: 8080 + (index % 5) }
    const isQuiet = (window: number): boolean => index % 3 === 0 && window % 24 < 6
    const turn = 100 + ((index * 37) % (last - 300))
    const ends = isSick && index % 20 === 0 ? last : isSick && index % 50 === 1 ? turn + 120 : null
    if (ends === null) return { ...path, isQuiet, stretches: [{ from: 0, to: last, ...encrypted }] }
    const cause = CAUSES[Math.floor(index / 20) % CAUSES.length] ?? 'unknown'
    // Clients of few destinations, so that one change fixes several paths.
    const target = service(Math.floor(index / 160) * 31)
    const openedAt = windows[turn]?.start ?? PERIOD.from
    return {
      ...path,
      destination: target,
      isQuiet,
      stretches: [
        { from: 0, to: turn - 1, ...encrypted },
        {
          from: turn,
          to: ends,
          state: cause === 'source-skips-port' ? 'no-mesh-tls' : 'plaintext',
          reason: cause === 'source-skips-port' ? 'port_skipped' : 'not_provided_by_service_discovery',
          cause,
          fix: `# Mesh deployment/${target.name} in ${target.namespace}:\nkubectl annotate namespace ${target.namespace} linkerd.io/inject=enabled\nkubectl rollout restart deployment/${target.name} -n ${target.namespace}`,
          episode: episode(path.pathId, openedAt, ends === last ? null : (windows[ends]?.end ?? null)),
          clearShare: 1,
          opens: 700,
          bytes: 3_000_000 * (1 + (index % 9)),
        },
        ...(ends === last ? [] : [{ from: ends + 1, to: last, ...encrypted }]),
      ],
    }
  })
}

/** Linkerd's own: proxies to the control plane. */
function ownPaths(windows: readonly StoryWindow[]): StoryPath[] {
  return Array.from({ length: 38 }, (_, index) => ({
    pathId: idOf(0x1_0000 + index),
    source: service(index * 10),
    destination: workload('deployment', 'linkerd', index % 2 === 0 ? 'linkerd-identity' : 'linkerd-destination'),
    port: index % 2 === 0 ? 8080 : 8086,
    stretches: [{ from: 0, to: windows.length - 1, state: 'mtls' as const, opens: 300, bytes: 900_000 }],
  }))
}

/** Four workloads lose a scrape now and then; in a sick quarter one in forty is read for half of each hour. */
function coverageIn(windows: readonly StoryWindow[], isSick: boolean): Coverage[] {
  const all = [
    ...Array.from({ length: WORKLOADS }, (_, index) => service(index)),
    ...['linkerd-identity', 'linkerd-destination'].map((name) => workload('deployment', 'linkerd', name)),
  ]
  return all.flatMap((end, index) => {
    const half = (window: Window): string =>
      new Date(Date.parse(window.start) + HOUR / 2).toISOString().replace('.000Z', 'Z')
    return coverageOf('prod-eu1', windows, end, {
      gapsOf: (hour, window) =>
        isSick && index % 40 === 7
          ? [{ reason: 'scrape-failed', pods: 2, from: half(window), to: window.end }]
          : index % 100 === 3 && hour % 500 === 250
            ? [{ reason: 'ended-unscraped', pods: 1, from: half(window), to: window.end }]
            : [],
    })
  })
}

function workloadsOf({ workloads }: ClusterPeriod, isSick: boolean): ClusterPeriod['workloads'] {
  return workloads.map((one, index) =>
    isSick && index % 50 === 9
      ? { ...one, meshed: 'no', reason: 'not-annotated', blindSpots: [{ kind: 'unmeshed', port: null, detail: '' }] }
      : { ...one, defaultPolicy: 'all-authenticated' },
  )
}

function factsOf(
  of: ClusterPeriod,
  coverage: readonly Coverage[],
  isSick: boolean,
): NonNullable<ClusterPeriod['facts']> {
  const { windows, crypto, rows } = of
  const observed: ObservedPeriod = observedOf(windows, coverage)
  const collected = windows.filter((window) => window.collected)
  const workloads = workloadsOf(of, isSick).map(
    ({ meshed, reason, kind, namespace, name, serviceAccount }): WorkloadHistory => ({
      kind,
      namespace,
      name,
      windows: collected.length,
      meshed: { yes: 0, no: 0, partly: 0, unknown: 0, [meshed]: collected.length },
      reasons: reason === null ? [] : [reason],
      serviceAccounts: serviceAccount === null ? [] : [serviceAccount],
      withoutServiceAccount: 0,
      sharedWith: null,
      bypasses: [],
      labels: [],
      overriding: [],
    }),
  )
  const identities = [...new Map(rows.map((row) => [row.pathId, row])).values()].map(
    ({ pathId, source, destination }): PathIdentity => ({
      pathId,
      windows: collected.length,
      clientId: `${source.name}.${source.namespace}`,
      serverId: `${destination.name}.${destination.namespace}`,
      source: source.serviceAccount,
      destination: destination.serviceAccount,
      corroborated: 'yes',
    }),
  )
  return {
    listedWindows: collected.length,
    observed,
    workloads,
    identities: identities.toSorted((a, b) => (a.pathId < b.pathId ? -1 : 1)),
    crypto:
      crypto === null
        ? []
        : collected.map(({ start, end }) => ({
            start,
            end,
            crypto: {
              ...crypto,
              certificates: {
                earliestExpiry: new Date(Date.parse(end) + 6 * HOUR).toISOString().replace('.000Z', 'Z'),
                latestExpiry: new Date(Date.parse(end) + 23 * HOUR).toISOString().replace('.000Z', 'Z'),
                proxies: 800,
              },
            },
          })),
  }
}

/** The quarter before, in which all was as it is where it is well now. */
function pastOf({ id, rows }: ClusterPeriod): ClusterPast {
  const { from, to } = BEFORE
  const windows = hours(BEFORE).map((window) => ({ ...window, expectedSeconds: 7200, observedSeconds: 7200, ratio: 1 }))
  return {
    id,
    periods: [
      { from, to, windows, rows: rows.filter(({ state }) => state === 'mtls').map((row) => ({ ...row, from, to })) },
    ],
    episodes: rows.flatMap(({ pathId, source, destination, port, episode: own }) =>
      own === null ? [] : [{ pathId, source, destination, port, episode: own }],
    ),
  }
}

/** A period of one cluster with many paths: one in twenty in the clear at some time, one in thirty unknown, and quiet nights. */
import { DEFAULT_SETTINGS } from '../lib/assess/judge/stored-scope.ts'
import type { ClusterPeriod, PastPeriod } from '../lib/model/period.ts'
import type { Coverage, Workload } from '../lib/model/window.ts'
import type { CountedRow, PathRow } from '../lib/model/history.ts'
import type { State } from '../lib/model/path.ts'
import type { ReportInput } from '../lib/report/report-input.ts'

const HOUR = 3_600_000
const TO = '2026-11-22T23:00:00Z'
const text = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z')

/** Nothing is drawn at random: equal sizes give equal periods. */
export function largePeriod(paths: number, weeks: number): Omit<ReportInput, 'judgement' | 'checkpoint'> {
  const hours = weeks * 168
  const from = Date.parse(TO) - hours * HOUR
  const windows = Array.from({ length: hours }, (_, index) => {
    const collected = index % 200 !== 150
    return {
      start: text(from + index * HOUR),
      end: text(from + (index + 1) * HOUR),
      evidence: collected ? `evidence/${index}` : null,
      collected,
      expectedSeconds: collected ? 1_440_000 : 0,
      observedSeconds: collected ? 1_430_000 : 0,
      ratio: collected ? 143 / 144 : null,
    }
  })
  const lives = Array.from({ length: paths }, (_, index) => lifeOf(index, paths, windows))
  const cluster: ClusterPeriod = {
    id: 'west',
    windows,
    classes: { meshNamespaces: ['linkerd'], platformNamespaces: [] },
    rows: lives.flatMap(({ rows }) => rows),
    strips: Object.fromEntries(lives.map(({ strip }, index) => [idOf(index), strip])),
    coverage: coverageOf(windows),
    workloads: Array.from({ length: 400 }, (_, index) => workloadOf(index)),
    crypto: null,
    errors: [],
  }
  const earlier = Array.from({ length: 7 }, (_, index): PastPeriod => {
    const span = { from: text(from - (7 - index) * hours * HOUR), to: text(from - (6 - index) * hours * HOUR) }
    return { ...span, windows: [], rows: [] }
  })
  return {
    period: { from: text(from), to: TO, label: `${weeks} weeks`, timeZone: 'Europe/Berlin' },
    version: 'bench',
    settings: DEFAULT_SETTINGS,
    clusters: [cluster],
    past: [
      {
        id: 'west',
        periods: earlier,
        episodes: cluster.rows.flatMap(({ pathId, source, destination, port, episode }) =>
          episode === null ? [] : [{ pathId, source, destination, port, episode }],
        ),
      },
    ],
  }
}

const idOf = (index: number): string => (0xa1b2_0000_0000 + index).toString(16).padStart(16, '0')

const endOf = (index: number): PathRow['destination'] => ({
  kind: 'deployment',
  namespace: `team-${index % 40}`,
  name: `service-${index % 400}`,
  serviceAccount: `service-${index % 400}`,
  cluster: null,
})

function lifeOf(
  index: number,
  paths: number,
  windows: ClusterPeriod['windows'],
): { rows: CountedRow[]; strip: (State | null)[] } {
  const turn = (index * 13) % windows.length
  const later: State = index % 20 === 0 ? 'plaintext' : index % 30 === 1 ? 'unknown' : 'mtls'
  const openedAt = windows[turn]?.start ?? ''
  const row = (first: number, last: number, state: State): CountedRow => ({
    cluster: 'west',
    class: 'application',
    pathId: idOf(index),
    source: endOf(index),
    destination: endOf((index * 7 + Math.floor(index / 400)) % paths),
    port: 8080 + (index % 5),
    from: windows[first]?.start ?? '',
    to: windows[last]?.end ?? '',
    state,
    outcome: 'allowed',
    reason: state === 'plaintext' ? 'no_tls_from_remote' : state === 'unknown' ? 'destination-not-seen' : '',
    cause: state === 'plaintext' ? 'source-not-meshed' : null,
    fix:
      state === 'plaintext'
        ? `Mesh the client: annotate namespace team-${index % 40} with linkerd.io/inject=enabled and restart deployment/service-${index % 400}`
        : null,
    clearShare: state === 'plaintext' ? 1 : state === 'mtls' ? 0 : null,
    opens: 1000,
    openAtScrape: 3,
    bytes: 1_000_000,
    corroborated: 'yes',
    enforcement: 'plaintext-allowed',
    candidates: [],
    episode:
      state === 'plaintext'
        ? {
            id: `${idOf(index)}-${openedAt}`,
            openedAt,
            sinceUnknown: false,
            mayBeEarlier: false,
            endedAt: null,
            ending: null,
          }
        : null,
    waiver: null,
    evidence: [],
  })
  return {
    rows: [...(turn > 0 ? [row(0, turn - 1, 'mtls')] : []), row(turn, windows.length - 1, later)],
    strip: windows.map(({ collected }, window) =>
      !collected ? 'not-collected' : (window + index) % 24 < 6 ? 'not-observed' : window < turn ? 'mtls' : later,
    ),
  }
}

function coverageOf(windows: ClusterPeriod['windows']): readonly Coverage[] {
  const pods = { total: 1, meshed: 1, scraped: 1 }
  const workloads = Array.from({ length: 400 }, (_, index) => {
    const { kind, namespace, name } = endOf(index)
    return { kind, namespace, name }
  })
  return windows
    .filter(({ collected }) => collected)
    .flatMap(({ start, end }) => {
      const window = { start, end }
      return workloads.map((workload) => ({
        cluster: 'west',
        window,
        workload,
        expectedSeconds: 3600,
        observedSeconds: 3575,
        ratio: 3575 / 3600,
        pods,
        gaps: [],
      }))
    })
}

function workloadOf(index: number): Workload {
  const { kind, namespace, name, serviceAccount } = endOf(index)
  return {
    cluster: 'west',
    kind,
    namespace,
    name,
    serviceAccount,
    meshed: index % 25 === 0 ? 'no' : 'yes',
    pods: 1,
    reason: index % 25 === 0 ? 'not-annotated' : null,
    defaultPolicy: 'all-unauthenticated',
    skipInbound: [],
    skipOutbound: [],
    opaque: [],
    blindSpots: [],
  }
}

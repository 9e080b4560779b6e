/** Makes periods of a cluster for rules to judge: all well, unless a test says otherwise. */
import fc from 'fast-check'
import { workloadKey } from '../../../lib/assess/pods/facts.ts'
import type {
  ClusterPeriod,
  ObservedPeriod,
  PathIdentity,
  PeriodFacts,
  WorkloadHistory,
} from '../../../lib/model/period.ts'
import type { Crypto, VizDifference, Workload } from '../../../lib/model/window.ts'
import type { Endpoint, State } from '../../../lib/model/path.ts'
import type { PathRow } from '../../../lib/model/history.ts'
import { type StoryPath, type StoryWindow, type Stretch, cluster, hours, observedOf, workload } from './report-input.ts'

/** Twelve hours of one day. */
export const HOURS = { from: '2026-11-20T00:00:00Z', to: '2026-11-20T12:00:00Z' }

export const CRYPTO: Crypto = {
  proxyVersions: [{ version: 'edge-26.8.1', proxies: 4 }],
  tls: [
    {
      suites: 'TLS13_AES_128_GCM_SHA256,TLS13_AES_256_GCM_SHA384',
      keyExchange: 'X25519MLKEM768,X25519',
      fips: 'false',
      proxies: 4,
    },
  ],
  certificates: { earliestExpiry: '2026-11-21T00:00:00Z', latestExpiry: '2026-11-21T06:00:00Z', proxies: 4 },
  trustAnchors: [
    { subject: 'CN=root', sha256: 'ab', notBefore: '2026-01-01T00:00:00Z', notAfter: '2036-01-01T00:00:00Z' },
  ],
}

export const UNMESHED: PathRow['source'] = { kind: 'unmeshed', namespace: '', name: '', serviceAccount: null }

/** A path from `shop/web` to `shop/db`, port 80, in all of twelve hours; `stretches` and ends may be given otherwise. */
export function path(
  stretches: readonly Partial<Stretch>[] = [{}],
  changes: Partial<Omit<StoryPath, 'stretches'>> = {},
): StoryPath {
  return {
    pathId: 'a1',
    source: workload('deployment', 'shop', 'web'),
    destination: workload('deployment', 'shop', 'db'),
    port: 80,
    ...changes,
    stretches: stretches.map(({ more, ...stretch }) => ({
      from: 0,
      to: 11,
      state: 'mtls',
      ...stretch,
      more: { enforcement: 'plaintext-refused', ...more },
    })),
  }
}

/** A cluster over twelve hours in which nothing is amiss but what is given. */
export function period(
  paths: readonly StoryPath[] = [path()],
  {
    id = 'prod',
    windows = hours(HOURS),
    facts = {},
    history = {},
    ...more
  }: Partial<Omit<ClusterPeriod, 'facts' | 'windows'>> & {
    windows?: StoryWindow[]
    facts?: Partial<PeriodFacts>
    /** Changes of every workload's history. */
    history?: Partial<WorkloadHistory>
  } = {},
): ClusterPeriod {
  const made = cluster(id, windows, paths, more)
  return { ...made, facts: { ...factsOf(made, history, facts), ...facts } }
}

/**
 * What the windows of a period would say of it, were all well.
 *
 * @param history changes of every workload's history; what was read of each window follows it
 * @param lists in how many windows lists were read, the first ones, and which workloads they showed
 */
export function factsOf(
  { windows, rows, workloads, coverage }: ClusterPeriod,
  history: Partial<WorkloadHistory> = {},
  lists: Partial<Pick<PeriodFacts, 'listedWindows' | 'workloads'>> = {},
): PeriodFacts {
  const collected = windows.filter((window) => window.collected)
  return {
    listedWindows: collected.length,
    observed: observedAs(observedOf(windows, coverage, workloads), history, lists),
    workloads: workloads.map((one) => historyOf(one, collected.length, history)),
    identities: identitiesOf(rows),
    crypto: collected.map(({ start, end }, index) => ({ start, end, crypto: rotated(index) })),
  }
}

/** What was read of workloads with such a history: of its windows those with a proxy in each pod come first. */
function observedAs(
  { windows, workloads }: ObservedPeriod,
  { meshed, overriding = [], bypasses = [] }: Partial<WorkloadHistory>,
  { listedWindows = Infinity, workloads: listed }: Partial<Pick<PeriodFacts, 'listedWindows' | 'workloads'>>,
): ObservedPeriod {
  const names = listed === undefined ? null : new Set(listed.map(workloadKey))
  const places = windows.flatMap(({ collected }, index) => (collected ? [index] : []))
  const unlisted = new Set(places.slice(listedWindows))
  const stateAt = new Map(
    (['yes', 'unknown', 'partly', 'no'] as const)
      .flatMap((state) => Array.from({ length: meshed?.[state] ?? 0 }, () => state))
      .map((state, order) => [places[order] ?? -1, state]),
  )
  return {
    windows: windows.map((window, index) => (unlisted.has(index) ? { ...window, isListed: false } : window)),
    workloads: new Map(
      [...workloads].map(([key, one]) => {
        const isShown = (index: number) => !unlisted.has(index) && (names === null || names.has(key))
        const isRead = (index: number) =>
          isShown(index) && overriding.length === 0 && (stateAt.get(index) ?? 'yes') === 'yes'
        return [
          key,
          {
            hadPods: one.hadPods,
            told: one.told.map((told, index) => (isShown(index) && stateAt.get(index) !== 'unknown' ? told : 0)),
            shares: one.shares.map((share, index) => (isRead(index) ? share : 0)),
            around: new Map(bypasses.length === 0 ? [] : windows.map((_, index) => [index, bypasses])),
            outages: one.outages,
          },
        ]
      }),
    ),
  }
}

function historyOf(
  { kind, namespace, name, serviceAccount, meshed }: Pick<Workload, 'serviceAccount' | 'meshed'> & Endpoint,
  windows: number,
  changes: Partial<WorkloadHistory> = {},
): WorkloadHistory {
  return {
    kind,
    namespace,
    name,
    windows,
    meshed: { yes: 0, no: 0, partly: 0, unknown: 0, [meshed]: windows },
    reasons: [],
    serviceAccounts: serviceAccount === null ? [] : [serviceAccount],
    withoutServiceAccount: 0,
    sharedWith: null,
    bypasses: [],
    labels: [{ app: name }],
    overriding: [],
    ...changes,
  }
}

/** Both identities in each window with mutual TLS. */
function identitiesOf(rows: readonly PathRow[]): PathIdentity[] {
  return rows
    .filter(({ state, source, destination }) => state === 'mtls' && source.name !== '' && destination.name !== '')
    .map(({ pathId, source, destination, from, to, corroborated }) => ({
      pathId,
      windows: Math.round((Date.parse(to) - Date.parse(from)) / 3_600_000),
      clientId: `${source.serviceAccount}.${source.namespace}`,
      serverId: `${destination.serviceAccount}.${destination.namespace}`,
      source: source.serviceAccount,
      destination: destination.serviceAccount,
      corroborated,
    }))
}

/** Certificates that are renewed every hour. */
function rotated(index: number): Crypto {
  const later = (time: string) => new Date(Date.parse(time) + index * 3_600_000).toISOString().replace('.000Z', 'Z')
  const { certificates } = CRYPTO
  return {
    ...CRYPTO,
    certificates:
      certificates === null
        ? null
        : {
            ...certificates,
            earliestExpiry: later(certificates.earliestExpiry),
            latestExpiry: later(certificates.latestExpiry),
          },
  }
}

const anyState = fc.constantFrom<State>(
  'plaintext',
  'no-mesh-tls',
  'unknown',
  'tls-anonymous',
  'app-tls',
  'mtls',
  'mtls',
  'mtls',
  'exempt',
  'not-observed',
)

const END_NAMES = ['web', 'db', 'api', 'mail'] as const

/** Stretches that follow each other over the twelve hours. */
const anyStretches = fc
  .array(
    fc.record({
      state: anyState,
      outcome: fc.constantFrom('allowed' as const, 'allowed' as const, 'refused' as const),
      enforcement: fc.constantFrom(
        'plaintext-refused' as const,
        'plaintext-allowed' as const,
        'audited' as const,
        'unknown' as const,
      ),
      corroborated: fc.constantFrom('yes' as const, 'yes' as const, 'no' as const, 'ambiguous' as const),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((parts) =>
    parts.map(({ state, outcome, ...more }, index): Partial<Stretch> => {
      const length = 12 / parts.length
      return { from: index * length, to: (index + 1) * length - 1, state, outcome, more }
    }),
  )

const anyPath: fc.Arbitrary<Omit<StoryPath, 'pathId'>> = fc
  .record({
    source: fc.constantFrom(...END_NAMES, null),
    destination: fc.constantFrom(...END_NAMES),
    namespaces: fc.constantFrom(['shop', 'shop'], ['shop', 'bank'], ['bank', 'bank']),
    port: fc.constantFrom(80, 443),
    stretches: anyStretches,
  })
  .map(({ source, destination, namespaces: [from = '', to = ''], port, stretches }) => {
    const ends = {
      source: source === null ? UNMESHED : workload('deployment', from, source),
      destination: workload('statefulset', to, destination),
    }
    return path(stretches, { ...ends, port })
  })

/** Any period of a cluster: paths of every kind, windows that are missing, lists that were not read, workloads in any shape. */
export const anyPeriod = (id = 'prod'): fc.Arbitrary<ClusterPeriod> =>
  fc
    .record({
      paths: fc.array(anyPath, { maxLength: 5 }),
      missing: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 2, arbitrary: fc.uniqueArray(fc.nat(11), { maxLength: 3 }) },
        { weight: 1, arbitrary: fc.constant(Array.from({ length: 12 }, (_, index) => index)) },
      ),
      unlisted: fc.constantFrom(0, 0, 0, 1),
      viz: fc.array(
        fc.record({ index: fc.nat(5), reason: fc.constantFrom('', 'Not HTTP'), state: anyState, hour: fc.nat(9) }),
        { maxLength: 3 },
      ),
      history: fc.constantFrom<Partial<WorkloadHistory>>(
        {},
        {},
        { meshed: { yes: 0, no: 12, partly: 0, unknown: 0 } },
        { labels: [] },
        { overriding: ['tls'] },
        { sharedWith: 'deployment/shop/other' },
      ),
    })
    .map(({ paths, missing, unlisted, history, viz }) =>
      period(
        paths.map((one, index) => ({ ...one, pathId: `${id}-${index}` })),
        {
          id,
          windows: hours({ ...HOURS, missing }),
          history,
          facts: {
            listedWindows: Math.max(0, 12 - missing.length - unlisted),
            viz: { compared: 9, differences: viz.map((one) => vizDifference(`${id}-${one.index}`, one)) },
          },
        },
      ),
    )

/** What viz showed otherwise of a path; of a pair that no proxy told of where the period has no such path. */
export function vizDifference(
  pathId: string | null,
  { reason, state, hour = 1 }: { readonly reason: string; readonly state: State; readonly hour?: number },
): VizDifference {
  return {
    at: `2026-11-20T0${hour}:01:00Z`,
    kind: 'deployment',
    src: 'web',
    srcNamespace: 'shop',
    dst: 'db',
    dstNamespace: 'shop',
    reason,
    path: pathId === null ? null : { pathId, port: 80, state, outcome: 'allowed', why: 'no_tls_from_remote' },
  }
}

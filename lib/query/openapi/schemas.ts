/** What the API answers, as schemas: the OpenAPI document is made from them, and tests hold every answer to them. */
import * as z from 'zod'
import { storedWaiver } from '../../assess/judge/stored-waivers.ts'
import { CAUSES, PATH_CLASSES, STATES } from '../../model/path.ts'
import { PATH_CHANGE_KINDS } from '../../report/summary/change-summary.ts'
import { FLOW_CHANGE_KINDS } from '../../report/summary/flow-changes.ts'
import { problemKinds } from '../problem.ts'

const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC.' })
const count = z.int().nonnegative()
const seconds = z.number().nonnegative()
const share = z.number().min(0).max(1)
const isAtLeast = z.boolean().meta({
  description: 'The beginning of one that is counted was not seen: median and longest are lower bounds.',
})
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

const span = z
  .strictObject({ from: time, to: time })
  .meta({ id: 'Period', description: 'The windows that end in (from, to].' })
const window = z.strictObject({ start: time, end: time }).meta({ id: 'Window' })

const end = {
  kind: z.string().meta({
    description: 'Lower-case singular Kubernetes kind, or unmeshed, serviceaccount, probe, service, external.',
  }),
  namespace: z.string().exactOptional(),
  name: z.string().exactOptional().meta({ description: 'Authority or address of external.' }),
  serviceAccount: z.string().nullable().exactOptional().meta({ description: 'Null: unknown.' }),
}
const source = z.strictObject(end).meta({ id: 'Source' })
const destination = z
  .strictObject({ ...end, cluster: z.string().nullable().exactOptional() })
  .meta({ id: 'Destination', description: '`cluster` is the other cluster of a path through a gateway.' })
const workload = z.strictObject({ kind: z.string(), namespace: z.string(), name: z.string() }).meta({ id: 'Workload' })

const ends = { pathId: z.string(), source, destination, port: z.int() }

const ending = z.enum(['fixed', 'refused', 'gone', 'quiet'])
const episode = z
  .strictObject({
    id: z.string(),
    openedAt: time,
    sinceUnknown: z.boolean().meta({ description: 'Its beginning was not seen: it is older.' }),
    mayBeEarlier: z.boolean().meta({
      description: 'The path was not read wholly in the window before: it may have begun earlier, unseen.',
    }),
    endedAt: time.nullable().meta({ description: 'Null while open.' }),
    ending: ending.nullable(),
  })
  .meta({ id: 'Episode', description: 'A time in which a path was not encrypted.' })

const state = z.enum(STATES).meta({ id: 'State' })
const cause = z.enum(CAUSES).meta({ id: 'Cause' })
const outcome = z.enum(['allowed', 'refused'])
const enforcement = z
  .enum(['plaintext-refused', 'plaintext-allowed', 'audited', 'unknown'])
  .meta({ id: 'Enforcement', description: 'What policy says of plaintext on the port.' })
const corroborated = z.enum(['yes', 'ambiguous', 'no']).meta({ description: 'Did the other side see it.' })
const settings = z.array(
  z.strictObject({
    workload,
    name: z.string(),
    value: z.string().nullable(),
    port: z.int().exactOptional(),
    by: z.enum(['workload', 'namespace', 'control-plane', 'pod']),
  }),
)

/** What a row counts; null where the period cuts a stretch of which only the sums are kept. */
const ofWhole = count.nullable().meta({
  description: 'Null where the period holds a part of a stretch of which only the sums are kept.',
})

const path = z
  .strictObject({
    cluster: z.string(),
    ...ends,
    class: z.enum(PATH_CLASSES),
    from: time,
    to: time,
    state,
    outcome,
    reason: z.string(),
    cause: cause.nullable(),
    settings: settings.exactOptional(),
    fix: z.string().nullable(),
    clearShare: share.nullable().meta({ description: 'Part of the bytes that the mesh did not encrypt.' }),
    opens: ofWhole,
    openAtScrape: ofWhole,
    bytes: ofWhole,
    corroborated,
    enforcement,
    candidates: z.array(source),
    episode: episode.nullable(),
    waiver: z.string().nullable(),
    evidence: z.array(z.string()).meta({ description: 'Keys of evidence: /v1/ and the key is where it is.' }),
  })
  .meta({ id: 'Path', description: 'A path in an interval of equal state.' })

const edge = z
  .strictObject({
    cluster: z.string(),
    ...ends,
    state,
    outcome,
    reason: z.string(),
    cause: cause.nullable(),
    settings: settings.exactOptional(),
    enforcement,
    opens: count,
    openAtScrape: count,
    bytes: count,
    clearBytes: count,
    sinceUnknown: z.boolean(),
    corroborated,
    candidates: z.array(z.strictObject({ ...end, namespace: z.string(), name: z.string() })),
    clientId: z.string().nullable(),
    serverId: z.string().nullable(),
    message: z.string().meta({ description: 'As `ciphertrail edges` has it.' }),
  })
  .meta({ id: 'Edge', description: 'A path in one window.' })

const collected = z
  .enum(['all', 'partly', 'none'])
  .meta({ id: 'Collected', description: 'Where it is not `all`, an empty list says nothing.' })

const replay = z.string().nullable().meta({
  description: 'The cluster is a replay of what this sentence says, and nothing is collected from it; else null.',
})

const cluster = {
  id: z.string(),
  collectedUntil: time.nullable(),
  expectedFrom: time.nullable(),
  windows: count,
  notCollected: count.meta({
    description:
      'Windows that were not collected, in which no proxy was observed, or of which metrics were not all answered.',
  }),
  uncoveredSeconds: seconds.meta({
    description: 'Time of the period, from its first window on, that no window covers.',
  }),
  coverage: share.nullable(),
  replay,
  problem: z.string().nullable().meta({ description: 'Why nothing can be read of it.' }),
}
const clusterAnswer = z
  .strictObject(cluster)
  .meta({ id: 'ClusterPeriod', description: 'What is known of a cluster in a period.' })

const next = z.string().nullable().meta({ description: 'The cursor of the next page; null on the last.' })
const listOf = <T extends z.ZodType, S extends z.ZodRawShape>(item: T, more: S) =>
  z.strictObject({ ...more, items: z.array(item), next })

/** How much of a period can be compared. */
const comparisonBasis = z.enum(['whole', 'partly', 'not-collected', 'none'])

const known = z.strictObject({
  windows: count,
  notCollected: count,
  uncoveredSeconds: seconds,
  expectedFrom: time.nullable(),
  collectedUntil: time.nullable(),
})
const comparedCluster = z.strictObject({
  id: z.string(),
  basis: comparisonBasis,
  periodBasis: comparisonBasis,
  before: known,
  between: known,
  period: known,
  replay,
  problem: z.string().nullable(),
})
const seen = z
  .strictObject({ state, outcome })
  .nullable()
  .meta({ description: 'How it was seen last; null where nothing was seen of it.' })
const counts = z.strictObject(
  Object.fromEntries(PATH_CHANGE_KINDS.map((kind) => [kind, count])) as Record<
    (typeof PATH_CHANGE_KINDS)[number],
    typeof count
  >,
)

const coverage = z.strictObject({
  workload,
  expectedSeconds: seconds,
  observedSeconds: seconds,
  ratio: share.nullable(),
  pods: z.strictObject({ total: count, meshed: count, scraped: count }),
  gaps: z.array(
    z.strictObject({ reason: z.string(), pods: count, from: time, to: time, isBrief: z.literal(true).exactOptional() }),
  ),
})

const crypto = z.strictObject({
  proxyVersions: z.array(z.strictObject({ version: z.string(), proxies: count })),
  tls: z.array(z.strictObject({ suites: z.string(), keyExchange: z.string(), fips: z.string(), proxies: count })),
  certificates: z.strictObject({ earliestExpiry: time, latestExpiry: time, proxies: count }).nullable(),
  trustAnchors: z.array(z.strictObject({ subject: z.string(), sha256: z.string(), notBefore: time, notAfter: time })),
})

const pack = z
  .strictObject({
    status: z.enum(['none', 'asked', 'failed', 'made']),
    at: time.nullable(),
    size: count.nullable(),
    sha256: sha256.nullable(),
    problem: z.string().nullable(),
    href: z.string().nullable(),
  })
  .meta({ id: 'Pack' })

const report = z
  .strictObject({
    id: z.string(),
    period: z.strictObject({ from: time, to: time, label: z.string(), timeZone: z.string() }),
    clusters: z.array(z.string()),
    removed: z.array(z.string()).exactOptional(),
    version: z.string(),
    checkpoint: z.strictObject({ origin: z.string(), size: count, root: z.string() }).nullable(),
    documents: z.array(z.strictObject({ name: z.string(), sha256, size: count, href: z.string().nullable() })),
    pack: pack.nullable(),
  })
  .meta({ id: 'Report' })

const waiver = z.strictObject({ ...storedWaiver.shape, expires: time })

/** A problem document. */
export const problem = z
  .strictObject({
    type: z.enum(problemKinds().map((kind) => `urn:ciphertrail:problem:${kind}`)),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    parameter: z.string().exactOptional().meta({ description: 'The parameter that is to blame.' }),
  })
  .meta({ description: 'RFC 9457.' })

/** What places answer as JSON, by the names of their operations. */
export const ANSWERS = {
  getHealth: z.strictObject({ status: z.enum(['ok', 'degraded']), version: z.string() }),
  listClusters: listOf(
    z.strictObject({ ...cluster, registeredAt: time, windowMinutes: count }).meta({ id: 'Cluster' }),
    { period: span, removed: z.array(z.string()) },
  ),
  listCoverage: listOf(
    z.strictObject({
      window,
      collected: z.boolean(),
      expectedSeconds: seconds,
      observedSeconds: seconds,
      ratio: share.nullable(),
      workloads: z.array(coverage),
    }),
    { period: span, cluster: clusterAnswer },
  ),
  getCrypto: z.strictObject({ cluster: z.string(), replay, window, crypto }),
  listPaths: listOf(path, { period: span, collected, clusters: z.array(clusterAnswer) }),
  listEpisodes: listOf(
    z.strictObject({
      cluster: z.string(),
      ...ends,
      episode,
      class: z.enum(PATH_CLASSES),
      seconds: seconds.meta({
        description: 'How long it lasted, or has lasted; at least, if its beginning was not seen.',
      }),
      last: z
        .strictObject({
          to: time,
          state,
          reason: z.string(),
          cause: cause.nullable(),
          fix: z.string().nullable(),
          enforcement,
          waiver: z.string().nullable(),
        })
        .nullable()
        .meta({ description: 'How the path was when it was not encrypted last in the period.' }),
    }),
    { period: span, collected, clusters: z.array(clusterAnswer) },
  ),
  diffPeriods: listOf(
    z.strictObject({
      cluster: z.string(),
      change: z.enum(PATH_CHANGE_KINDS),
      ...ends,
      episode: episode.nullable(),
      openSeconds: seconds.nullable(),
      isSeenSince: z.boolean().nullable().meta({
        description:
          'Whether the later period shows it, after the end of the earlier one: of what is open, the path itself; of what ended, that it was looked at. If not, how it stands now is unknown. Null for a changed identity or enforcement.',
      }),
      mayBeEarlier: z.boolean().meta({
        description: 'As in `episode`; false without one.',
      }),
      identity: z
        .strictObject({ end: z.enum(['source', 'destination']), before: z.string(), after: z.string() })
        .nullable(),
      enforcement: z.strictObject({ before: enforcement, after: enforcement }).nullable(),
    }),
    {
      before: span,
      period: span,
      collected,
      clusters: z.array(comparedCluster),
      counts,
      firstSeen: count,
      noLonger: count,
      unseen: count,
      timeToFix: z.strictObject({
        episodes: count,
        sinceUnknown: count,
        medianSeconds: seconds.nullable(),
        longestSeconds: seconds.nullable(),
        isAtLeast,
      }),
      open: z.strictObject({
        paths: count,
        medianSeconds: seconds.nullable(),
        longestSeconds: seconds.nullable(),
        isAtLeast,
      }),
    },
  ),
  diffFlow: listOf(
    z.strictObject({
      cluster: z.string(),
      change: z.enum(FLOW_CHANGE_KINDS),
      ...ends,
      class: z.enum(PATH_CLASSES),
      candidates: z.array(source),
      before: seen,
      after: seen,
      mayBeEarlier: z
        .boolean()
        .meta({ description: 'Of a new one: a window up to the earlier time was not collected.' }),
      notSeen: z.enum(['no-traffic', 'partly-collected', 'not-collected']).nullable().meta({
        description:
          'Of one that was not seen: whether all, some or none of the windows up to the later time were collected.',
      }),
    }),
    {
      before: span,
      period: span,
      collected,
      // Between two times that are each looked back from there is nothing to count.
      clusters: z.array(comparedCluster.omit({ between: true })),
      counts: z.strictObject(
        Object.fromEntries(FLOW_CHANGE_KINDS.map((kind) => [kind, count])) as Record<
          (typeof FLOW_CHANGE_KINDS)[number],
          typeof count
        >,
      ),
    },
  ),
  listEdges: listOf(edge, {
    collected,
    clusters: z.array(
      z.strictObject({ id: z.string(), window: window.nullable(), replay, problem: z.string().nullable() }),
    ),
  }),
  listWaivers: listOf(
    z.strictObject({
      waiver,
      status: z.enum(['in-force', 'expiring', 'expired']),
      isTooBroad: z.boolean(),
      findings: z.null(),
    }),
    { change: z.strictObject({ number: count, at: time, by: z.string() }).nullable() },
  ),
  listEvidence: z.strictObject({
    cluster: z.string(),
    replay,
    window,
    attempts: z.array(
      z.strictObject({ attempt: count, key: z.string(), sha256, size: count, href: z.string(), proof: z.string() }),
    ),
  }),
  getCheckpoint: z.strictObject({
    origin: z.string(),
    size: count,
    root: z.string(),
    vkey: z.string(),
    text: z.string(),
  }),
  listReports: listOf(report, {
    unreadable: count.meta({
      description: 'How many records of reports cannot be read. Nobody knows of which clusters they are.',
    }),
  }),
  getReport: report,
  askForPack: pack,
} as const satisfies Readonly<Record<string, z.ZodType>>

import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { cadvisorQueriesOf } from '../lib/observed/cadvisor-queries.ts'
import { openCluster } from '../lib/collect/cluster/open-cluster.ts'
import { listAll } from '../lib/collect/kubernetes/list-objects.ts'
import { LISTINGS } from '../lib/collect/kubernetes/listings.ts'
import { queryInstant } from '../lib/collect/prometheus/ask-prometheus.ts'
import { earlierScrapesQuery, queriesOf } from '../lib/observed/prometheus-queries.ts'
import { SETTLE_SECONDS, toSeconds, toTime, windowsBetween } from '../lib/time/windows.ts'
import type { Cluster } from '../lib/model/registry.ts'
import type { KubernetesList } from '../lib/model/snapshot.ts'
import type { Window } from '../lib/model/time.ts'
import { DEMO_FIXTURE, fromStamp, kubernetesFolder, prometheusFile, toStamp } from '../demo/fixture.ts'
import { PACKETS_FIXTURE, recordPackets } from './record-packets.ts'
import { startPrometheus } from '../demo/recorded-prometheus.ts'
import { startKubernetesReplay } from '../demo/replay-kubernetes.ts'
import { writeRecords } from '../demo/replay-prometheus.ts'
import type { PrometheusRecord } from '../demo/replay-prometheus.ts'
import { readListings, writeListings } from '../demo/replay-viz.ts'

/**
 * `npm run record [demo|public|lives|packets]`: asks everything that the collector asks, of a real Prometheus on a recorded data directory and of
 * recorded Kubernetes lists, and writes the answers as fixtures. The same recording gives the same bytes.
 *
 * Needs Debian's `prometheus` and `zstd`, for `packets` (record/record-packets.ts) `tshark`, and for all but `demo`
 * CIPHERTRAIL_RECORDINGS: the folder `public`, beside which `lives` lies.
 */

type Recording = {
  /** Undefined: not on this machine. */
  readonly from: string | undefined
  readonly to: string
  /** The windows to record are the five-minute ones whose end lies in (after, until]. */
  readonly after: string
  readonly until: string
  /** What tests judge by is copied as well: the demo's lies in the recording itself. */
  readonly withTruth: boolean
}

const ROOT = join(import.meta.dirname, '..')

/** The kubeconfig that is given says all. */
const NO_ENVIRONMENT = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }

type RecordingName = 'demo' | 'public' | 'lives'

const PUBLIC = process.env['CIPHERTRAIL_RECORDINGS'] || undefined

const RECORDINGS: Readonly<Record<RecordingName, Recording>> = {
  demo: {
    from: join(ROOT, 'test/recordings/demo'),
    to: DEMO_FIXTURE,
    after: '2026-11-24T13:00:00Z',
    until: '2026-11-24T13:35:00Z',
    withTruth: false,
  },
  public: {
    from: PUBLIC,
    to: join(ROOT, 'test/fixtures/public'),
    after: '2026-11-24T12:10:00Z',
    until: '2026-11-24T13:00:00Z',
    withTruth: true,
  },
  lives: {
    from: PUBLIC === undefined ? undefined : join(dirname(PUBLIC), 'lives'),
    to: join(ROOT, 'test/fixtures/lives'),
    after: '2026-11-30T11:25:00Z',
    until: '2026-11-30T12:00:00Z',
    withTruth: true,
  },
}

/**
 * Records one recording into a folder, by default its own, which is emptied before. Throws an error that names what is absent: the
 * recording, Prometheus, zstd.
 */
export async function record(name: RecordingName, to = RECORDINGS[name].to): Promise<void> {
  const { from, after, until, withTruth } = RECORDINGS[name]
  if (from === undefined)
    throw new Error(
      `Cannot record "${name}": CIPHERTRAIL_RECORDINGS is not set, set it to the folder of that recording`,
    )
  if (!existsSync(join(from, 'truth.json')))
    throw new Error(`Cannot record "${name}": "${from}" is no recording, it holds no truth.json`)
  rmSync(to, { recursive: true, force: true })
  const work = mkdtempSync(join(tmpdir(), 'ciphertrail-record-'))
  const kubeconfig = join(work, 'kubeconfig')
  const prometheus = await startPrometheus(join(from, 'tsdb.tar.zst'))
  const kubernetes = await startKubernetesReplay(join(from, 'k8s'), after, kubeconfig)
  const cluster: Cluster = {
    id: name,
    registeredAt: after,
    kubeconfig,
    prometheusUrl: prometheus.url,
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    windows: [{ since: after, minutes: 5 }],
  }
  const access = openCluster(cluster, { environment: NO_ENVIRONMENT })
  try {
    const windows = windowsBetween(cluster.windows, toSeconds(after), toSeconds(until))
    mkdirSync(join(to, 'prometheus'), { recursive: true })
    for (const window of windows) {
      const records: PrometheusRecord[] = []
      for (const { query, time } of [...queriesOf(window), ...cadvisorQueriesOf(window), earlierScrapesQuery(window)]) {
        const at = String(time)
        const { body } = await queryInstant(access.prometheus, { what: `record ${query}`, query, time: at })
        records.push({ query, time: at, body: inOrder(body) })
      }
      await writeRecords(prometheusFile(to, window), records)
    }
    for (const stamp of stampsFor(windows, readdirSync(join(from, 'k8s')))) {
      const at = fromStamp(stamp)
      kubernetes.setTime(at)
      const { status, errors, lists } = await listAll(access.kubernetes, cluster, { now: () => new Date(at) })
      if (status !== 'complete') throw new Error(`Cannot record "${name}" at ${at}: ${errors.join('; ')}`)
      const folder = join(kubernetesFolder(to), stamp)
      mkdirSync(folder, { recursive: true })
      for (const list of lists) if (list.version !== undefined) writeList(folder, list, list.version)
    }
    writeListings(join(to, 'edges.ndjson.gz'), readListings(from))
    if (withTruth) copyTruth(from, to)
  } finally {
    await access.close()
    await kubernetes.close()
    await prometheus.stop()
    rmSync(work, { recursive: true, force: true })
  }
}

/** Prometheus gives the groups of an aggregation in no order. */
function inOrder(body: string): string {
  const answer = JSON.parse(body) as { data: { resultType: string; result: readonly unknown[] } }
  if (answer.data.resultType !== 'vector' && answer.data.resultType !== 'matrix') return body
  const byText = answer.data.result.map((series) => JSON.stringify(series)).toSorted()
  return JSON.stringify({ ...answer, data: { ...answer.data, result: byText.map((text) => JSON.parse(text)) } })
}

/** The lists that a collector sees who comes when a window may be collected: the newest not after that. */
function stampsFor(windows: readonly Window[], stamps: readonly string[]): string[] {
  const sorted = stamps.toSorted()
  const seen = windows.flatMap(({ end }) => {
    const time = toStamp(toTime(toSeconds(end) + SETTLE_SECONDS))
    return sorted.findLast((stamp) => stamp <= time) ?? []
  })
  return [...new Set(seen)]
}

const KINDS = new Map<string, string>([
  ...LISTINGS.map(({ resource, kind }) => [resource, kind] as const),
  ['configmaps', 'ConfigMap'],
])

function writeList(folder: string, { resource, items }: KubernetesList, version: string): void {
  const dot = resource.indexOf('.')
  const list = {
    kind: `${KINDS.get(resource) ?? ''}List`,
    apiVersion: dot < 0 ? version : `${resource.slice(dot + 1)}/${version}`,
    metadata: {},
    items,
  }
  writePacked(join(folder, `${resource}.json.gz`), JSON.stringify(list))
}

/** What tests judge by: the truth without what they do not read, and what `linkerd viz edges` said of workloads. */
function copyTruth(from: string, to: string): void {
  const { start, end, window_seconds, paths } = JSON.parse(readFileSync(join(from, 'truth.json'), 'utf8')) as Truth
  const kept = paths.map(({ src, dst, port, proto, case: id, windows }) => ({
    src,
    dst,
    port,
    proto,
    case: id,
    windows: windows.map(({ active, ...window }) => window),
  }))
  writePacked(join(to, 'truth.json.gz'), JSON.stringify({ start, end, window_seconds, paths: kept }))
}

type Truth = {
  readonly start: string
  readonly end: string
  readonly window_seconds: number
  readonly paths: readonly (Readonly<Record<'src' | 'dst' | 'port' | 'proto' | 'case', unknown>> & {
    readonly windows: readonly ({ readonly active?: unknown } & Readonly<Record<string, unknown>>)[]
  })[]
}

function writePacked(file: string, text: string): void {
  writeFileSync(file, gzipSync(text, { level: 9 }))
}

/** All files below a folder, and the bytes they hold. */
function sizeOf(folder: string): { files: number; bytes: number } {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
  return { files: files.length, bytes }
}

const NAMES: readonly string[] = [...Object.keys(RECORDINGS), 'packets']

function isName(text: string): text is RecordingName {
  return Object.hasOwn(RECORDINGS, text)
}

async function main(names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (name !== 'packets' && !isName(name)) throw new Error(`Cannot record "${name}": known are ${NAMES.join(', ')}`)
    if (name === 'packets') await recordPackets(RECORDINGS.public.from)
    else await record(name)
    const to = name === 'packets' ? PACKETS_FIXTURE : RECORDINGS[name].to
    const { files, bytes } = sizeOf(to)
    console.log(`${name}: ${files} files, ${bytes} bytes in ${relative(ROOT, to)}`)
  }
}

if (import.meta.main) {
  const names = process.argv.slice(2)
  main(names.length > 0 ? names : NAMES).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  })
}

/** The history is read by engines that know nothing of ciphertrail, by the queries of docs/history-sql.md. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import type { Episode, TimelineMonth } from '../../lib/model/history.ts'
import type { Window } from '../../lib/model/time.ts'
import { DERIVATION } from '../../lib/model/window.ts'
import { type ClusterState, encodeState } from '../../lib/history/cluster-state.ts'
import { createApi } from '../../lib/query/api.ts'
import { encodeNotEncrypted, notEncryptedRows, newestFirst } from '../../lib/history/tables/not-encrypted-table.ts'
import { coverageIn, encodeMonth } from '../../lib/history/tables/timeline-table.ts'
import { emptyTimeline } from '../../lib/history/fold-state.ts'
import { foldWindows } from '../../lib/history/timeline.ts'
import { toTime } from '../../lib/time/windows.ts'
import { coverageKey, notEncryptedKey, stateKey, timelineKey } from '../../lib/store/keys.ts'
import { sha256Of } from '../../lib/store/objects/derived-object.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { type MotoServer, startMoto } from '../support/servers/moto-server.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { HALF_DAY, anyHistory, halfDay } from '../support/stored/window-results.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/history-sql.md'), 'utf8')
const blocks = (kind: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${kind}\\n([^\`]+)\`\`\`$`, 'gm'))].map(([, text = '']) => text)
/** As if they were asked at the end of the histories. */
const QUERIES = blocks('sql').map((query) =>
  query.replace('now()', "timestamp '2027-01-10 00:00:00'").replace(/;\s*$/, ''),
)
const [VIEWS = ''] = blocks('sql duckdb')

const NOW = new Date('2027-01-10T00:00:00Z')

type Rows = readonly (readonly unknown[])[]

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-sql-'))
const months: TimelineMonth[] = []
/** Path ids, and so ids of episodes, are the same in all clusters here: how one ended is told by none. */
const episodes = new Map<string, Episode>()
let moto: MotoServer

before(async () => {
  moto = await startMoto()
  Object.assign(process.env, moto.env)
  await new S3Client({ forcePathStyle: true }).send(
    new CreateBucketCommand({ Bucket: 'derived', CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' } }),
  )
  const histories = fc.sample(anyHistory, { numRuns: 60, seed: 20_261_130 })
  for (const [index, history] of histories.entries()) {
    const cluster = `cluster-${String(index).padStart(2, '0')}`
    const { months: own, ...timeline } = foldWindows(emptyTimeline(cluster), history)
    months.push(...own)
    await writeState(
      timeline,
      own,
      history.map(({ window }) => window),
    )
  }
  for (const objects of [directoryObjects(folder), openStore('s3://derived/some/prefix?lock=none')])
    await write(objects)
})
after(async () => {
  await moto.close()
  rmSync(folder, { recursive: true })
})

/** What the API reads beside months: the registration, as that of a replay, of which no window is missing; and the state. */
async function writeState(
  timeline: ClusterState['timeline'],
  own: readonly TimelineMonth[],
  windows: readonly Window[],
): Promise<void> {
  const objects = directoryObjects(folder)
  const { cluster } = timeline
  await addCluster({ id: cluster, windowMinutes: 60, replay: 'a test' }, { now: NOW, by: 'test' }, { objects })
  const state: ClusterState = {
    derivation: DERIVATION,
    cluster,
    evidence: [],
    windows: windows.map((window) => ({ ...window, sha256: null })),
    replacing: [],
    timeline,
    months: own.map((month) => ({ month: month.month, sha256: sha256Of(encodeMonth(month)) })),
    unwritten: [],
    archive: null,
  }
  await objects.putIf(stateKey(cluster), encodeState(state), null)
}

async function write(objects: Objects): Promise<void> {
  for (const [month, own] of Map.groupBy(months, (one) => one.month)) {
    const rows = own.flatMap((one) => notEncryptedRows(one, episodes))
    await objects.putIf(notEncryptedKey(month), encodeNotEncrypted(month, {}, rows.toSorted(newestFirst)), null)
  }
  for (const month of months) {
    const body = encodeMonth(month)
    await objects.putIf(timelineKey(month.cluster, month.month), body, null)
    await objects.putIf(coverageKey(month.cluster, month.month), coverageIn(body), null)
  }
}

async function duckdb(place: string, more: readonly string[] = []): Promise<DuckDBConnection> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  for (const statement of [...more, VIEWS.replaceAll('/var/lib/ciphertrail', place)]) await connection.run(statement)
  return connection
}

async function duckdbOnS3(): Promise<DuckDBConnection> {
  const httpfs = process.env['CIPHERTRAIL_HTTPFS']
  if (httpfs === undefined)
    throw new Error('Cannot read S3 by DuckDB: CIPHERTRAIL_HTTPFS is not set, run test/system/run')
  const { host } = new URL(moto.url)
  return duckdb('s3://derived/some/prefix', [
    `load '${httpfs}'`,
    `create secret (type s3, key_id 'test', secret 'test', region 'eu-central-1', endpoint '${host}', url_style 'path', use_ssl false)`,
  ])
}

/** Rows as other engines tell them, too: numbers to a hundredth, times as RFC 3339; sorted, since equals may come in any order. */
function told(rows: Rows): string[] {
  return rows
    .map((row) =>
      JSON.stringify(
        row.map((value) => {
          if (typeof value !== 'string') return typeof value === 'number' ? Math.round(value * 100) / 100 : value
          // In the zone of the process, whatever the session says.
          if (/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d$/.test(value))
            return toTime(Date.parse(`${value.replace(' ', 'T')}:00`) / 1000)
          return /^-?\d+(\.\d+)?$/.test(value) && !/^\d{16}$/.test(value)
            ? Math.round(Number(value) * 100) / 100
            : value
        }),
      ),
    )
    .toSorted()
}

async function answers(connection: DuckDBConnection): Promise<string[][]> {
  const found: string[][] = []
  for (const query of QUERIES) found.push(told((await connection.runAndReadAll(query)).getRowsJson() as Rows))
  return found
}

test('DuckDB reads months from the directory: each interval and each window is a row, and says what it says', async () => {
  const connection = await duckdb(folder)
  const rowsOf = async (query: string) => told((await connection.runAndReadAll(query)).getRowsJson() as Rows)
  assert.deepEqual(
    await rowsOf(
      `select cluster, month, path_id || '', starts_at, ends_at, state, outcome, windows, quiet_windows, bytes, len(window_bytes) from timeline`,
    ),
    told(
      months.flatMap(({ cluster, month, intervals }) =>
        intervals.map((one) => [
          cluster,
          month,
          one.pathId,
          one.from,
          one.to,
          one.state,
          one.outcome,
          one.windows,
          bitsOf(one.quiet),
          one.total.bytes,
          one.activity.length === 0 ? null : one.activity.length,
        ]),
      ),
    ),
  )
  assert.deepEqual(
    await rowsOf('select cluster, month, ends_at, collected, observed_ms / 1000 from coverage'),
    told(
      months.flatMap(({ cluster, month, windows }) =>
        windows.map(({ end, collected, observedSeconds }) => [cluster, month, end, collected, observedSeconds]),
      ),
    ),
  )
})

function bitsOf(quiet: Uint8Array): number {
  return [...quiet].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
}

test('the queries of docs/history-sql.md have answers, and the first one gives what was not encrypted', async () => {
  assert.equal(QUERIES.length, 5)
  const found = await answers(await duckdb(folder))
  for (const [index, rows] of found.entries()) assert.ok(rows.length > 0, QUERIES[index])
  const clear = months
    .flatMap(({ cluster, intervals }) => intervals.map((interval) => ({ ...interval, cluster })))
    .filter(isNotEncrypted)
    .toSorted((a, b) => (a.to === b.to ? 0 : a.to < b.to ? 1 : -1))
  assert.ok(clear.length > 50, `${clear.length}`)
  const [all] = QUERIES
  const rows = told(
    (await (await duckdb(folder)).runAndReadAll(all?.replace('limit 100', '') ?? '')).getRowsJson() as Rows,
  )
  assert.deepEqual(
    rows,
    told(
      clear.map((one) => [
        one.cluster,
        one.source.namespace,
        one.source.name,
        one.destination.namespace,
        one.destination.name,
        one.port,
        one.state,
        one.reason,
        one.cause,
        one.from,
        one.to,
        one.total.clearBytes,
        null,
      ]),
    ),
  )
})

test('DuckDB gives the same answers from S3', async () => {
  assert.deepEqual(await answers(await duckdbOnS3()), await answers(await duckdb(folder)))
})

test('DuckDB opens no month that a query does not name', async () => {
  const connection = await duckdb(folder)
  const plan = async (where: string) =>
    JSON.stringify(
      (await connection.runAndReadAll(`explain analyze select count(*) from timeline where ${where}`)).getRowsJson(),
    )
  assert.match(
    await plan("cluster = 'cluster-03' and month = '2026-11'"),
    /Scanning Files: 1\/\d{2,3}|Total Files Read: 1\D/,
  )
})

/** A question to `/v1/paths`. */
type Filter = {
  readonly clusters: readonly string[]
  readonly namespace: string | null
  readonly workload: string | null
  readonly state: string
  /** Seconds after the first window of all. */
  readonly first: number
  readonly length: number
}

const STATES = ['not-encrypted', 'plaintext', 'no-mesh-tls', 'unknown', 'tls-anonymous', 'app-tls', 'mtls', 'exempt']
const SPAN = 60 * HALF_DAY

const anyFilter: fc.Arbitrary<Filter> = fc.record({
  clusters: fc.oneof(
    {
      weight: 60,
      arbitrary: fc.uniqueArray(
        fc.nat(59).map((index) => `cluster-${String(index).padStart(2, '0')}`),
        { minLength: 1, maxLength: 6 },
      ),
    },
    { weight: 1, arbitrary: fc.constant([]) },
  ),
  namespace: fc.constantFrom(null, null, null, 'shop', 'bank'),
  workload: fc.constantFrom(null, null, null, null, 'web', 'deployment/web', 'statefulset/ledger', 'deployment/ledger'),
  state: fc.constantFrom(...STATES, 'not-collected'),
  first: fc.oneof(fc.constant(0), fc.nat(SPAN / 4)),
  length: fc.oneof(fc.constant(SPAN), fc.integer({ min: 1, max: SPAN })),
})

const periodOf = ({ first, length }: Filter): readonly [from: string, to: string] => {
  const begin = Date.parse(halfDay(0).start) / 1000 + first
  return [toTime(begin), toTime(begin + length)]
}

async function byApi(api: ReturnType<typeof createApi>, filter: Filter): Promise<string[]> {
  const { clusters, namespace, workload, state } = filter
  const [from, to] = periodOf(filter)
  const search = new URLSearchParams({ state, from, to, limit: '50' })
  for (const cluster of clusters) search.append('cluster', cluster)
  if (namespace !== null) search.set('namespace', namespace)
  if (workload !== null) search.set('workload', workload)
  const found: unknown[][] = []
  for (let next: string | null = ''; next !== null;) {
    if (next !== '') search.set('cursor', next)
    const response = await api.fetch(new Request(`http://127.0.0.1/v1/paths?${search.toString()}`))
    assert.equal(response.status, 200)
    const answer = (await response.json()) as { items: Record<string, unknown>[]; next: string | null }
    for (const row of answer.items)
      found.push(['cluster', 'pathId', 'from', 'to', 'state', 'outcome', 'reason'].map((name) => row[name]))
    next = answer.next
  }
  return told(found)
}

/** An interval is told of the windows that end in the period, unless all of these were quiet. */
async function bySql(connection: DuckDBConnection, filter: Filter): Promise<string[]> {
  const { clusters, namespace, workload, state } = filter
  const [from, to] = periodOf(filter)
  const quoted = (text: string): string => `'${text}'`
  const [name, kind] = (workload ?? '').split('/').toReversed()
  const ends = ['source', 'destination'].map((end) =>
    [
      'true',
      ...(namespace === null ? [] : [`${end}_namespace = ${quoted(namespace)}`]),
      ...(workload === null ? [] : [`${end}_name = ${quoted(name ?? '')}`]),
      ...(kind === undefined ? [] : [`${end}_kind = ${quoted(kind)}`]),
    ].join(' and '),
  )
  const query = `
    with w as (select *, row_number() over (partition by cluster, month order by starts_at) as n from coverage),
    pieces as (
      select t.cluster, path_id, t.state, outcome, reason, min(w.starts_at) as first_at, max(w.ends_at) as last_at,
        bool_and(case when quiet is null then false else get_bit(quiet::bit, ((w.n - b.n) // 8 * 8 + 7 - (w.n - b.n) % 8)::int) = 1 end) as is_quiet
      from timeline t
      join w on w.cluster = t.cluster and w.month = t.month and w.starts_at >= t.starts_at and w.ends_at <= t.ends_at
      join w b on b.cluster = t.cluster and b.month = t.month and b.starts_at = t.starts_at
      where w.ends_at > ${quoted(from)}::timestamptz and w.ends_at <= ${quoted(to)}::timestamptz
        and ${clusters.length === 0 ? 'true' : `t.cluster in (${clusters.map(quoted).join(', ')})`}
        and (${ends.map((end) => `(${end})`).join(' or ')})
        and ${state === 'not-encrypted' ? `t.state in ('plaintext', 'no-mesh-tls') and outcome = 'allowed'` : `t.state = ${quoted(state)}`}
      group by t.cluster, t.month, path_id, t.starts_at, t.state, outcome, reason
    )
    select cluster, path_id, first_at, last_at, state, outcome, reason from pieces where not is_quiet`
  return told((await connection.runAndReadAll(query)).getRowsJson() as Rows)
}

test('DuckDB and the API give the same answers to 500 random filters', async () => {
  const connection = await duckdb(folder)
  const api = createApi('test', {
    objects: directoryObjects(folder),
    now: () => NOW,
    access: async () => ({ subject: 'test', clusters: 'all' }),
    isHealthy: async () => true,
    log: () => undefined,
  })
  let rows = 0
  for (const filter of fc.sample(anyFilter, { numRuns: 500, seed: 20_261_201 })) {
    const answer = await byApi(api, filter)
    assert.deepEqual(answer, await bySql(connection, filter), JSON.stringify(filter))
    rows += answer.length
  }
  assert.ok(rows > 500, `${rows}`)
})

/** Runs the queries by Spark, without a limit, since which of equal rows come first is not said. */
async function bySpark(place: string, settings: Readonly<Record<string, string>>): Promise<string[][]> {
  const python = process.env['CIPHERTRAIL_PYSPARK']
  if (python === undefined) throw new Error('Cannot run Spark: CIPHERTRAIL_PYSPARK is not set, run test/system/run')
  const tables = {
    timeline: `${place}/timeline`,
    coverage: `${place}/coverage`,
    not_encrypted: `${place}/not-encrypted`,
  }
  const child = spawn(python, [join(import.meta.dirname, 'history-sql.py')], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', TZ: 'UTC' },
  })
  const ended = once(child, 'close') as Promise<[number]>
  child.stdin.end(JSON.stringify({ tables, settings, queries: QUERIES.map((query) => query.replace('limit 100', '')) }))
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  assert.equal(status, 0, stderr.slice(-2000))
  return (JSON.parse(stdout) as Rows[]).map(told)
}

async function byDuckdb(): Promise<string[][]> {
  const connection = await duckdb(folder)
  const found: string[][] = []
  for (const query of QUERIES)
    found.push(told((await connection.runAndReadAll(query.replace('limit 100', ''))).getRowsJson() as Rows))
  return found
}

test('Spark gives the same answers from the directory', async () => {
  assert.deepEqual(await bySpark(folder, {}), await byDuckdb())
})

test('Spark gives the same answers from S3', async () => {
  const jars = process.env['CIPHERTRAIL_SPARK_JARS']
  if (jars === undefined) throw new Error('Cannot run Spark: CIPHERTRAIL_SPARK_JARS is not set, run test/system/run')
  const settings = {
    'spark.jars': readdirSync(jars)
      .filter((name) => name.endsWith('.jar'))
      .map((name) => join(jars, name))
      .join(','),
    'spark.hadoop.fs.s3a.endpoint': moto.url,
    'spark.hadoop.fs.s3a.endpoint.region': 'eu-central-1',
    'spark.hadoop.fs.s3a.path.style.access': 'true',
    'spark.hadoop.fs.s3a.connection.ssl.enabled': 'false',
    'spark.hadoop.fs.s3a.access.key': 'test',
    'spark.hadoop.fs.s3a.secret.key': 'test',
  }
  assert.deepEqual(await bySpark('s3a://derived/some/prefix', settings), await byDuckdb())
})

/** The history is read by engines that know nothing of ciphertrail, by the queries of docs/history-sql.md. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import type { Episode, TimelineMonth } from '../../lib/model/history.ts'
import { encodeNotEncrypted, notEncryptedRows } from '../../lib/history/tables/not-encrypted-table.ts'
import { coverageIn, encodeMonth } from '../../lib/history/tables/timeline-table.ts'
import { emptyTimeline } from '../../lib/history/timeline-schema.ts'
import { foldWindows } from '../../lib/history/timeline.ts'
import { toTime } from '../../lib/time/windows.ts'
import { coverageKey, notEncryptedKey, timelineKey } from '../../lib/store/keys.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { type MotoServer, startMoto } from '../support/servers/moto-server.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { anyHistory } from '../support/stored/window-results.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/history-sql.md'), 'utf8')
const blocks = (kind: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${kind}\\n([^\`]+)\`\`\`$`, 'gm'))].map(([, text = '']) => text)
/** As if they were asked at the end of the histories. */
const QUERIES = blocks('sql').map((query) =>
  query.replace('now()', "timestamp '2027-01-10 00:00:00'").replace(/;\s*$/, ''),
)
const [VIEWS = ''] = blocks('sql duckdb')

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
    const timeline = foldWindows(emptyTimeline(`cluster-${String(index).padStart(2, '0')}`), history)
    months.push(...timeline.months)
  }
  for (const objects of [directoryObjects(folder), openStore('s3://derived/some/prefix?lock=none')])
    await write(objects)
})
after(async () => {
  await moto.close()
  rmSync(folder, { recursive: true })
})

async function write(objects: Objects): Promise<void> {
  for (const [month, own] of Map.groupBy(months, (one) => one.month)) {
    const rows = own.flatMap((one) => notEncryptedRows(one, episodes))
    await objects.putIf(notEncryptedKey(month), encodeNotEncrypted(month, {}, rows), null)
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

test('Spark gives the same answers from the directory', async () => {
  const python = process.env['CIPHERTRAIL_PYSPARK']
  if (python === undefined) throw new Error('Cannot run Spark: CIPHERTRAIL_PYSPARK is not set, run test/system/run')
  const tables = {
    timeline: join(folder, 'timeline'),
    coverage: join(folder, 'coverage'),
    not_encrypted: join(folder, 'not-encrypted'),
  }
  const { stdout, stderr, status } = spawnSync(python, [join(import.meta.dirname, 'history-sql.py')], {
    input: JSON.stringify({ tables, queries: QUERIES.map((query) => query.replace('limit 100', '')) }),
    encoding: 'utf8',
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', TZ: 'UTC' },
  })
  assert.equal(status, 0, stderr.slice(-2000))
  const bySpark = (JSON.parse(stdout) as Rows[]).map(told)
  const connection = await duckdb(folder)
  for (const [index, query] of QUERIES.entries())
    assert.deepEqual(
      bySpark[index],
      told((await connection.runAndReadAll(query.replace('limit 100', ''))).getRowsJson() as Rows),
      query,
    )
})

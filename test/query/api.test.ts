import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import type { PathRow } from '../../lib/model/history.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { archiveKey, recentKey, stateKey, timelineKey, windowKey } from '../../lib/store/keys.ts'
import { type Objects, StoreError } from '../../lib/store/objects/objects.ts'
import { HOSTILE, collectLate, fillHistories } from '../support/stored/asked-store.ts'
import { parseNdjson, run } from '../support/process/command-line.ts'
import { type Asking, type LocalApi, startApi } from '../support/servers/local-api.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'

type ClusterAnswer = {
  id: string
  windows: number
  expectedFrom: string | null
  notCollected: number
  collectedUntil: string
  problem: string | null
}
type Paths = {
  period: { from: string; to: string }
  collected: string
  clusters: ClusterAnswer[]
  items: PathRow[]
  next: string | null
}

async function paths({ ask }: LocalApi, query = '', init?: Asking): Promise<Paths> {
  const response = await ask(`/v1/paths${query}`, init)
  assert.equal(response.status, 200, await response.clone().text())
  return (await response.json()) as Paths
}

async function problem(response: Response): Promise<Record<string, unknown>> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  const content = (await response.json()) as Record<string, unknown>
  assert.equal(content['status'], response.status)
  return content
}

/** Follows a list to its end, as a client does: by the links. */
async function pages({ ask, url }: LocalApi, path: string, init: Asking = {}): Promise<Response[]> {
  const found: Response[] = []
  for (let next: string | undefined = path; next !== undefined;) {
    const response: Response = await ask(next, init)
    assert.equal(response.status, 200)
    found.push(response)
    const [, link] = /^<(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '') ?? []
    next = link === undefined ? undefined : new URL(link, new URL(next, url)).href
  }
  return found
}

test('the API tells the rows that the command line tells of the same store, newest first', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ciphertrail-api-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const objects = directoryObjects(folder)
  await fillHistories(objects)
  const api = await startApi(t, { objects })
  const period = ['--from', '2026-11-24T12:00:00Z', '--to', '2026-11-24T12:20:00Z']
  const now = '2026-11-24T12:20:00Z'
  const told = await run(['paths', '--json', '--store', folder, ...period], { folder, now })
  const { items } = await paths(api, '?from=2026-11-24T12:00:00Z&to=2026-11-24T12:20:00Z')
  const sorted = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).toSorted()
  assert.deepEqual(sorted(items), sorted(parseNdjson(told.stdout)))
  assert.ok(items.some(isNotEncrypted))
  const ends = items.map(({ to }) => to)
  assert.deepEqual(ends, ends.toSorted().toReversed())
})

test('pages joined are the whole list, whatever their sizes, as JSON and as CSV', async (t) => {
  const api = await startApi(t)
  const { items: whole } = await paths(api, '?limit=1000')
  const wholeCsv = await (await api.ask('/v1/paths?limit=1000', { headers: { accept: 'text/csv' } })).text()
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: whole.length + 1 }), async (limit) => {
      const joined = await pages(api, `/v1/paths?limit=${limit}`)
      const parts = await Promise.all(joined.map(async (page) => ((await page.json()) as Paths).items))
      assert.deepEqual(parts.flat(), whole)
      for (const part of parts.slice(0, -1)) assert.equal(part.length, limit)
      const files = await pages(api, `/v1/paths?limit=${limit}`, { headers: { accept: 'text/csv' } })
      assert.equal((await Promise.all(files.map((file) => file.text()))).join(''), wholeCsv)
    }),
    { numRuns: 8 },
  )
})

test('an answer says until when data goes, and where there is none', async (t) => {
  const api = await startApi(t)
  const { clusters, collected, period, items } = await paths(api, '?from=2026-11-24T12:00:00Z')
  assert.equal(collected, 'partly')
  assert.equal(period.to, '2026-11-24T12:20:00Z')
  assert.deepEqual(
    clusters.map(({ id, windows, notCollected }) => ({ id, windows, notCollected })),
    [
      { id: 'east', windows: 4, notCollected: 1 },
      { id: 'west', windows: 4, notCollected: 0 },
    ],
  )
  const missing = items.filter(({ state }) => state === 'not-collected')
  assert.ok(missing.length > 0)
  for (const { cluster, from, to } of missing)
    assert.deepEqual(
      { cluster, from, to },
      { cluster: 'east', from: '2026-11-24T12:10:00Z', to: '2026-11-24T12:15:00Z' },
    )
  assert.equal((await paths(api, '?cluster=west&from=2026-11-24T12:00:00Z')).collected, 'all')
  const early = await paths(api, '?cluster=west&from=2026-11-20T12:00:00Z')
  assert.deepEqual(
    [early.collected, early.clusters.map(({ expectedFrom }) => expectedFrom)],
    ['partly', ['2026-11-24T12:00:00Z']],
    'of the days before the first window nothing is known',
  )
  // What is filtered away must not read as good news.
  const silent = await paths(api, '?cluster=east&namespace=nowhere')
  assert.deepEqual([silent.items, silent.collected], [[], 'partly'])
  const none = await paths(api, '?from=2026-11-24T12:10:00Z&to=2026-11-24T12:15:00Z&cluster=east')
  assert.equal(none.collected, 'none')
})

test('a window that is to come does not count as collected, whatever end is asked for', async (t) => {
  const { period } = await paths(await startApi(t), '?from=2026-11-24T12:00:00Z&to=2027-01-01')
  assert.equal(period.to, '2026-11-24T12:20:00Z')
})

test('a cluster whose history is damaged is named, and answers for itself by a problem', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const damage = async (key: string) => {
    const stored = await objects.get(key)
    await objects.putIf(key, Buffer.from('{}'), stored?.etag ?? null)
  }
  await damage(timelineKey('east', '2026-11'))
  await damage(recentKey('east'))
  await damage(windowKey('east', { start: '2026-11-24T12:00:00Z', end: '2026-11-24T12:05:00Z' }))
  const api = await startApi(t, { objects })
  const { clusters, collected } = await paths(api)
  assert.equal(collected, 'partly')
  assert.match(clusters.find(({ id }) => id === 'east')?.problem ?? '', /^Cannot use "windows\/east\/.*rebuild/)
  const alone = await api.ask('/v1/paths?cluster=east')
  assert.equal(alone.status, 503)
  assert.match(String((await problem(alone))['detail']), /^Cannot use "windows\/east\//)
  const csv = await (await api.ask('/v1/paths', { headers: { accept: 'text/csv' } })).text()
  const [first] = parse(csv, { columns: true }) as Record<string, string>[]
  assert.deepEqual([first?.['cluster'], first?.['state'], first?.['path_id']], ['east', 'not-collected', ''])
  const list = (await (await api.ask('/v1/clusters')).json()) as { items: ClusterAnswer[] }
  assert.match(list.items.find(({ id }) => id === 'east')?.problem ?? '', /rebuild/)
})

test('a list that changed between two pages is begun again', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  let minutes = 21
  const api = await startApi(t, { objects, now: () => minutesIn(minutes) })
  const { next } = await paths(api, '?limit=2&cluster=west')
  // Windows that come later are another period, and change nothing of this one.
  minutes = 31
  const second = await api.ask(`/v1/paths?limit=2&cluster=west&cursor=${next}`)
  assert.equal(second.status, 200)
  const otherwise = await api.ask(`/v1/paths?limit=2&cluster=east&cursor=${next}`)
  assert.equal((await problem(otherwise))['parameter'], 'cursor')
  const third = await paths(api, '?limit=2&cluster=east&to=2026-11-24T12:20:00Z')
  await collectLate(objects)
  const changed = await api.ask(`/v1/paths?limit=2&cluster=east&to=2026-11-24T12:20:00Z&cursor=${third.next}`)
  assert.equal(changed.status, 409)
  assert.match(String((await problem(changed))['detail']), /begin again/)
})

test('filters are for either end, and a workload with its namespace is one end', async (t) => {
  const api = await startApi(t)
  const names = async (query: string) =>
    [
      ...new Set(
        (await paths(api, query)).items.map(
          ({ source, destination }) => `${source.kind === 'unmeshed' ? '' : source.name} ${destination.name}`,
        ),
      ),
    ].toSorted()
  assert.deepEqual(await names('?cluster=west&workload=web'), ['web api', 'web db'])
  assert.deepEqual(await names('?cluster=west&workload=statefulset/db'), [' db', 'api db', 'web db'])
  assert.deepEqual(await names('?cluster=west&workload=deployment/db'), [])
  assert.deepEqual(await names('?cluster=west&workload=db&namespace=shop'), [' db', 'api db', 'web db'])
  assert.deepEqual(await names('?cluster=west&workload=db&namespace=bank'), [])
  const clear = await paths(api, '?state=not-encrypted')
  assert.ok(clear.items.length > 0 && clear.items.every(isNotEncrypted))
  // Nothing was refused there: no state of a row that was let in is an answer.
  assert.deepEqual((await paths(api, '?state=refused')).items, [])
})

const BAD: readonly [query: string, parameter: string][] = [
  ['?foo=1', 'foo'],
  ['?constructor=1', 'constructor'],
  ['?__proto__=1', '__proto__'],
  ['?state=encrypted', 'state'],
  ['?state=', 'state'],
  ['?state=mtls&state=plaintext', 'state'],
  ['?from=yesterday', 'from'],
  ['?from=2026-02-30', 'from'],
  ['?to=2026-11-24T12:00:00', 'to'],
  ['?from=2026-11-24T12:10:00Z&to=2026-11-24T12:10:00Z', 'from'],
  ['?from=2020-01-01', 'from'],
  ['?limit=0', 'limit'],
  ['?limit=1001', 'limit'],
  ['?limit=1e2', 'limit'],
  ['?limit=-1', 'limit'],
  ['?cluster=East', 'cluster'],
  ['?cluster=east&cluster=', 'cluster'],
  ['?cluster=nowhere', 'cluster'],
  ['?namespace=', 'namespace'],
  [`?namespace=${'x'.repeat(301)}`, 'namespace'],
  ['?workload=', 'workload'],
  ['?cursor=', 'cursor'],
  ['?cursor=abc', 'cursor'],
  [`?cursor=${Buffer.from('{"v":1}').toString('base64url')}`, 'cursor'],
  [`?cursor=${'A'.repeat(10_000)}`, 'cursor'],
]

test('what cannot be used is a problem that names its parameter', async (t) => {
  const { ask } = await startApi(t)
  for (const [query, parameter] of BAD) {
    const response = await ask(`/v1/paths${query}`)
    assert.equal(response.status, parameter === 'cluster' && query.endsWith('nowhere') ? 404 : 400, query)
    const { detail, parameter: named } = await problem(response)
    assert.equal(named, parameter, query)
    assert.ok(String(detail).length < 400, query)
  }
})

test('a hostile name can be asked for, and harms neither terminal, page nor spreadsheet', async (t) => {
  const api = await startApi(t)
  const { items } = await paths(api, `?workload=${encodeURIComponent(HOSTILE)}`)
  assert.equal(items[0]?.destination.name, HOSTILE)
  const json = await (await api.ask('/v1/paths')).text()
  assert.doesNotMatch(json.trimEnd(), /[\p{C}\p{Zl}\p{Zp}]/u)
  const csv = await (await api.ask('/v1/paths', { headers: { accept: 'text/csv' } })).text()
  for (const row of parse(csv, { columns: true, record_delimiter: '\r\n' }) as Record<string, string>[])
    for (const [column, field] of Object.entries(row)) {
      // Only a fix has lines, and they are of its own.
      assert.doesNotMatch(column === 'fix' ? field.replaceAll('\n', '') : field, /^[=+\-@]|\p{C}/u)
      if (column === 'fix' && field !== '')
        assert.match(field, /^[A-Z][^\n]+(\n(#|kubectl|linkerd|ciphertrail) [^\n]+)*$/u)
    }
  for (const parameter of ['state', 'from', 'cursor', HOSTILE]) {
    const response = await api.ask(`/v1/paths?${encodeURIComponent(parameter)}=${encodeURIComponent(HOSTILE)}`)
    assert.equal(response.status, 400)
    assert.doesNotMatch((await response.text()).trimEnd(), /\p{C}/u)
  }
})

test('nobody gets in without being known, and nobody sees more than is granted', async (t) => {
  const { ask, url } = await startApi(t)
  for (const path of ['/v1/clusters', '/v1/paths', '/v1/checkpoint', '/v1/reports', '/v1/nothing', '/v1/']) {
    const response = await fetch(new URL(path, url))
    assert.deepEqual([response.status, response.headers.get('www-authenticate')], [401, 'Bearer'], path)
    assert.doesNotMatch(await response.text(), /east|west/)
  }
  const west = { headers: { authorization: 'Bearer west' } }
  const told = await (await ask('/v1/paths', west)).text()
  assert.match(told, /"west"/)
  assert.doesNotMatch(told, /"(east|old)"/)
  const list = await (await ask('/v1/clusters', west)).text()
  assert.doesNotMatch(list, /"(east|old)"/)
  // Whether a cluster exists is not told either.
  const [other, unknown] = await Promise.all(
    ['east', 'nope'].map(async (id) =>
      (await (await ask(`/v1/paths?cluster=${id}`, west)).text()).replaceAll(id, 'ID'),
    ),
  )
  assert.equal(other, unknown)
  assert.equal((await ask('/v1/paths', { headers: { authorization: 'Bearer ' } })).status, 401)
})

test('archived days are none of the clusters that are not registered any more, and hide none of these', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  for (const key of [archiveKey('gone', '2026-11-01'), stateKey('0-first')])
    await objects.putIf(key, Buffer.from('{}'), null)
  const lists: string[] = []
  const counting: Objects = {
    ...objects,
    list(prefix, startAfter) {
      lists.push(prefix)
      return objects.list(prefix, startAfter)
    },
  }
  const { ask } = await startApi(t, { objects: counting })
  const { removed } = (await (await ask('/v1/clusters')).json()) as { removed: string[] }
  assert.deepEqual(removed, ['0-first', 'old'])
  assert.equal(lists.filter((prefix) => prefix === 'state/').length, 2)
})

test('clusters are told with what is known of each, and those that are not registered any more by name', async (t) => {
  const { ask } = await startApi(t)
  const answer = (await (await ask('/v1/clusters')).json()) as { items: ClusterAnswer[]; removed: string[] }
  assert.deepEqual(answer.removed, ['old'])
  assert.deepEqual(
    answer.items.map(({ id, collectedUntil, notCollected }) => [id, collectedUntil, notCollected]),
    [
      ['east', '2026-11-24T12:20:00Z', 1],
      ['west', '2026-11-24T12:20:00Z', 0],
    ],
  )
  assert.doesNotMatch(JSON.stringify(answer), /kubeconfig|context|prometheus/i)
})

test('the head of the log is told as it was signed, once something is', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  const { ask } = await startApi(t, { objects })
  assert.equal((await ask('/v1/checkpoint')).status, 404)
  const signer = newSigner()
  const { size } = await seal({ now: minutesIn(22), everything: true }, { objects, signer })
  const head = (await (await ask('/v1/checkpoint')).json()) as Record<string, unknown>
  assert.deepEqual([head['size'], head['vkey'], head['origin']], [size, signer.vkey, 'example.com/log'])
  const text = await (await ask('/v1/checkpoint', { headers: { accept: 'text/plain' } })).text()
  assert.equal(text, Buffer.from((await objects.get('log/checkpoint'))?.body ?? []).toString())
  assert.equal((await problem(await ask('/v1/checkpoint?x=1')))['parameter'], 'x')
  const stored = await objects.get('log/checkpoint')
  await objects.putIf('log/checkpoint', Buffer.from(text.replace(/\n\d+\n/, '\n7\n')), stored?.etag ?? null)
  assert.equal((await ask('/v1/checkpoint')).status, 503)
})

test('health is open, is never kept, and says only how it is and which version', async (t) => {
  let isHealthy = true
  const { url } = await startApi(t, { isHealthy: async () => isHealthy })
  const health = () => fetch(new URL('/health', url))
  const well = await health()
  assert.deepEqual([well.status, await well.json()], [200, { status: 'ok', version: '1.2.3' }])
  assert.equal(well.headers.get('cache-control'), 'no-store')
  isHealthy = false
  const ill = await health()
  assert.deepEqual([ill.status, await ill.json()], [503, { status: 'degraded', version: '1.2.3' }])
})

test('an answer that the client has already is not sent again', async (t) => {
  const { ask } = await startApi(t)
  const first = await ask('/v1/paths')
  // Weak, since the answer came compressed.
  const etag = first.headers.get('etag') ?? ''
  for (const header of [etag, etag.replace('W/', ''), `"other", ${etag}`, '*']) {
    const again = await ask('/v1/paths', { headers: { 'if-none-match': header } })
    assert.deepEqual([again.status, await again.text(), again.headers.get('etag')], [304, '', etag], header)
  }
  assert.equal((await ask('/v1/paths', { headers: { 'if-none-match': '"other"' } })).status, 200)
  const csv = await ask('/v1/paths', { headers: { accept: 'text/csv', 'if-none-match': etag } })
  assert.equal(csv.status, 200)
})

test('HEAD has the headers of GET without the body; other methods, forms and places are problems', async (t) => {
  const { ask } = await startApi(t)
  const [get, head] = [await ask('/v1/paths'), await ask('/v1/paths', { method: 'HEAD' })]
  assert.equal(await head.text(), '')
  assert.equal(head.headers.get('etag'), get.headers.get('etag'))
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
    for (const path of ['/v1/paths', '/health']) {
      const response = await ask(path, { method })
      assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD'], `${method} ${path}`)
      assert.equal((await problem(response))['detail'], 'Method not allowed: use GET or HEAD')
    }
  assert.equal((await problem(await ask('/v1/paths', { headers: { accept: 'image/png' } })))['status'], 406)
  for (const path of ['/v1/', '/v1/paths/', '/v1/paths/x/y', '/v2/paths', '/v1/../health/x', '/v1/%00'])
    assert.equal((await problem(await ask(path)))['status'], 404, path)
})

test('every answer forbids browsers to run, frame or guess it, and is kept by whoever asked at most', async (t) => {
  const { ask } = await startApi(t)
  for (const path of ['/v1/paths', '/v1/clusters', '/v1/checkpoint', '/health', '/nothing', '/v1/paths?x']) {
    const { headers } = await ask(path)
    assert.match(headers.get('content-security-policy') ?? '', /^default-src 'none'/, path)
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
    assert.equal(headers.get('referrer-policy'), 'no-referrer', path)
    assert.match(headers.get('cache-control') ?? '', /^(private, no-cache|no-store)$/, path)
    assert.equal(headers.get('access-control-allow-origin'), null, path)
  }
})

test('a failure tells the operator why, and whoever asks only that it is one', async (t) => {
  for (const [error, status] of [
    [new Error('secret-of-the-inside'), 500],
    [new StoreError('Cannot read /secret-of-the-inside: EIO'), 503],
  ] as const) {
    const objects = { ...memoryObjects(), get: () => Promise.reject(error) }
    const { ask, logged } = await startApi(t, { objects })
    for (const path of ['/v1/paths', '/v1/clusters', '/v1/checkpoint']) {
      const response = await ask(path)
      assert.equal(response.status, status, path)
      const text = JSON.stringify(await problem(response))
      assert.doesNotMatch(text, /secret|EIO/)
      assert.match(logged.at(-1)?.error ?? '', /secret-of-the-inside/)
    }
  }
  const { ask } = await startApi(t, { access: () => Promise.reject(new Error('secret-of-the-inside')) })
  const response = await ask('/v1/paths')
  assert.equal(response.status, 500)
  assert.doesNotMatch(await response.text(), /secret/)
})

test('each request is logged with who asked and what came of it, without parameters and credentials', async (t) => {
  const { ask, logged } = await startApi(t)
  await ask('/v1/paths?namespace=shop')
  await ask('/v1/paths', { headers: { authorization: 'Basic c2VjcmV0' } })
  assert.deepEqual(logged, [
    { method: 'GET', path: '/v1/paths', status: 200, subject: 'all', error: null },
    { method: 'GET', path: '/v1/paths', status: 401, subject: null, error: null },
  ])
})

test('who follows the link of a mail to the address of the service finds a page, which tells nothing of what is kept', async (t) => {
  const { ask } = await startApi(t, { objects: memoryObjects() })
  const response = await ask('/', { headers: { authorization: '' } })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
  const page = await response.text()
  assert.match(page, /<h1>ciphertrail<\/h1>/)
  assert.doesNotMatch(page, /<form|<a |<script/)
  assert.equal((await ask('/', { method: 'POST' })).status, 405)
})

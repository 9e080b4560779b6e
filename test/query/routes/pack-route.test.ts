import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { keepPack } from '../../../lib/jobs/packs/make-kept-pack.ts'
import { readPackState, recordFailed } from '../../../lib/pack/pack-state.ts'
import { loopbackAccess } from '../../../lib/query/access/access.ts'
import { answerSchema } from '../../../lib/query/openapi/operations.ts'
import type { PackItem } from '../../../lib/query/routes/reports-route.ts'
import { recordReport } from '../../../lib/store/evidence/report-records.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { packKey } from '../../../lib/store/report-keys.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillReported, packOf, PERIOD, VERSION } from '../../support/stored/packed-report.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'
import { matchesText, textWith } from '../../support/texts/matches-text.ts'

const filled = new Map<string, Uint8Array>()
const report = await fillReported(memoryObjects(filled), newSigner())
const id = report.replace(/^reports\/(.*)\.json$/, '$1')
const PATH = `/v1/reports/${id}/pack`
const LATER = minutesIn(500)

const freshStore = (): Objects => memoryObjects(new Map(filled))
const keep = (objects: Objects, at = LATER) => keepPack(report, { version: VERSION, now: () => at }, { objects })

async function problem(response: Response): Promise<{ type: string; status: number; detail: string }> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  const content = (await response.json()) as { type: string; status: number; detail: string }
  assert.equal(content.status, response.status)
  return { ...content, type: content.type.replace('urn:ciphertrail:problem:', '') }
}

test('who asks for a pack gets it made once, is told how it stands, and downloads the bytes that the command gives', async (t) => {
  const objects = freshStore()
  const queued: string[] = []
  let now = LATER
  const { ask } = await startApi(t, { objects, now: () => now, queuePack: async (key) => void queued.push(key) })
  const pack = async () => ((await (await ask(`/v1/reports/${id}`)).json()) as { pack: PackItem }).pack
  assert.equal((await pack()).status, 'none')
  const before = await problem(await ask(PATH))
  matchesText([before.type, before.detail], ['not-found', textWith({ PATH })])
  const asked = await ask(PATH, { method: 'POST' })
  assert.deepEqual(
    [asked.status, asked.headers.get('location'), asked.headers.get('retry-after')],
    [202, `/v1/reports/${id}`, '30'],
  )
  const item: unknown = await asked.json()
  assert.equal(answerSchema('askForPack')?.safeParse(item).error, undefined)
  assert.deepEqual(item, {
    status: 'asked',
    at: LATER.toISOString().replace('.000', ''),
    size: null,
    sha256: null,
    problem: null,
    href: null,
  })
  // Impatience makes no more work.
  for (let times = 0; times < 5; times++) assert.equal((await ask(PATH, { method: 'POST' })).status, 202)
  assert.deepEqual(queued, [report])
  const waiting = await problem(await ask(PATH))
  assert.deepEqual([waiting.type, waiting.status], ['not-ready', 409])
  matchesText(waiting.detail)
  assert.equal((await pack()).status, 'asked')
  // Whoever was to make it died.
  now = new Date(LATER.getTime() + 2 * 60 * 60_000)
  assert.equal((await ask(PATH, { method: 'POST' })).status, 202)
  assert.deepEqual(queued, [report, report])

  const { bytes, made } = await packOf(freshStore(), { key: report })
  await keep(objects)
  const { status, href, size, sha256 } = await pack()
  assert.deepEqual([status, href, size, sha256], ['made', PATH, made.size, made.sha256])
  const list = (await (await ask('/v1/reports')).json()) as { items: { pack: PackItem }[] }
  assert.deepEqual(
    list.items.map((one) => one.pack.sha256),
    [made.sha256],
  )
  const given = await ask(PATH)
  assert.deepEqual(
    ['content-type', 'content-length', 'content-disposition', 'etag', 'x-content-type-options'].map((name) =>
      given.headers.get(name),
    ),
    [
      'application/zip',
      String(bytes.length),
      `attachment; filename="ciphertrail-${id}-pack.zip"`,
      `"${made.sha256}"`,
      'nosniff',
    ],
  )
  assert.equal(hash('sha256', Buffer.from(await given.arrayBuffer())), made.sha256)
  const head = await ask(PATH, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(bytes.length)])
  assert.equal((await ask(PATH, { headers: { 'if-none-match': `"${made.sha256}"` } })).status, 304)
  const again = await ask(PATH, { method: 'POST' })
  assert.deepEqual([again.status, ((await again.json()) as PackItem).status, queued.length], [200, 'made', 2])
})

test('a pack that was removed may be asked for again', async (t) => {
  const held = new Map(filled)
  const objects = memoryObjects(held)
  const queued: string[] = []
  const { ask } = await startApi(t, { objects, now: () => LATER, queuePack: async (key) => void queued.push(key) })
  await keep(objects)
  held.delete(packKey(report, 'pack.zip'))
  assert.equal((await ask(PATH)).status, 404)
  await ask(PATH, { method: 'POST' })
  assert.deepEqual(queued, [report])
  await keep(objects, new Date(LATER.getTime() + 1000))
  assert.equal((await ask(PATH)).status, 200)
})

test('only who may see every cluster has packs, since they name all of them: others learn nothing of whether there is one', async (t) => {
  const objects = freshStore()
  const queued: string[] = []
  const { ask } = await startApi(t, { objects, now: () => LATER, queuePack: async (key) => void queued.push(key) })
  const asEast = { headers: { authorization: 'Bearer east' } }
  const answers = async () => {
    const told: string[] = []
    for (const method of ['GET', 'HEAD', 'POST']) {
      const response = await ask(PATH, { method, ...asEast })
      told.push(`${response.status} ${await response.text()}`)
    }
    const item = (await (await ask(`/v1/reports/${id}`, asEast)).json()) as { pack: null }
    const list = (await (await ask('/v1/reports', asEast)).json()) as { items: { pack: null }[] }
    return [...told, item.pack, list.items.map(({ pack }) => pack)]
  }
  const before = await answers()
  matchesText(String(before[0]))
  assert.deepEqual(before.slice(3), [null, [null]])
  await keep(objects)
  assert.deepEqual(await answers(), before)
  assert.deepEqual(queued, [])
  for (const token of ['west', 'nowhere']) {
    const response = await ask(PATH, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
    assert.equal((await problem(response)).type, 'not-found')
  }
  assert.equal((await ask(PATH, { method: 'POST', headers: { authorization: '' } })).status, 401)
})

test('what makes no sense is refused in words, and queues nothing', async (t) => {
  const queued: string[] = []
  const objects = freshStore()
  const { ask } = await startApi(t, { objects, now: () => LATER, queuePack: async (key) => void queued.push(key) })
  const refused = async (path: string, headers: Record<string, string> = {}, method = 'POST') =>
    problem(await ask(path, { method, headers }))
  assert.equal((await refused('/v1/reports/20261124T140000Z-0123456789abcdef/pack')).type, 'not-found')
  // A name that is encoded is nobody's, whatever it says: the answer is that of one that is not there, on all routes.
  const absent = await refused('/v1/reports/20261124T140000Z-0123456789abcdef', {}, 'GET')
  for (const path of ['/v1/reports/..%2f..%2fx/pack', '/v1/reports/..%2f..%2fx', `${PATH.replace('-', '%2D')}`])
    for (const method of path.endsWith('/pack') ? ['GET', 'POST'] : ['GET'])
      assert.deepEqual(await refused(path, {}, method), absent, `${method} ${path}`)
  assert.equal((await refused(`${PATH}?again=1`)).type, 'bad-parameter')
  for (const method of ['PUT', 'DELETE', 'PATCH'])
    assert.equal((await refused(PATH, {}, method)).type, 'method-not-allowed')
  // A page of another site that a browser on this machine shows.
  for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }])
    assert.equal((await refused(PATH, headers)).type, 'not-allowed')

  const { key, write } = recordReport(
    { period: PERIOD, clusters: ['east'], version: '1.2.3', checkpoint: null, documents: [] },
    objects,
  )
  await write()
  const unsealed = await refused(`/v1/reports/${key.replace(/^reports\/(.*)\.json$/, '$1')}/pack`)
  assert.deepEqual([unsealed.type, unsealed.status], ['not-ready', 409])
  matchesText(unsealed.detail)

  await recordFailed(report, 'Cannot pack it here: it is too large', LATER, objects)
  assert.equal((await refused(PATH, {}, 'GET')).detail, 'Cannot pack it here: it is too large')
  const again = await ask(PATH, { method: 'POST' })
  assert.deepEqual([again.status, ((await again.json()) as PackItem).status], [200, 'failed'])
  assert.deepEqual(queued, [])
})

test('a failing queue is told, and nobody waits for a pack that nobody makes', async (t) => {
  const objects = freshStore()
  const { ask } = await startApi(t, { objects, now: () => LATER, queuePack: () => Promise.reject(new Error('away')) })
  assert.equal((await ask(PATH, { method: 'POST' })).status, 500)
  assert.equal((await readPackState(report, objects)).status, 'none')
})

test('where nothing makes packs, the command is named, and kept ones are given', async (t) => {
  const objects = freshStore()
  const { ask } = await startApi(t, { objects, now: () => LATER })
  const command = `run "ciphertrail pack --report ${id} --out pack.zip"`
  assert.ok((await problem(await ask(PATH))).detail.endsWith(command))
  const asked = await problem(await ask(PATH, { method: 'POST' }))
  assert.deepEqual([asked.type, asked.detail.endsWith(command)], ['not-ready', true])
  await keep(objects)
  assert.equal((await ask(PATH)).status, 200)
})

test('where one answer may have only so many bytes, a pack is 303 to the store, or in words not to be had', async (t) => {
  const objects = freshStore()
  await keep(objects)
  const { ask: askWithout } = await startApi(t, { objects, now: () => LATER, largestBody: 1000 })
  assert.equal((await problem(await askWithout(PATH))).type, 'unreadable')
  const versions = new Map([[packKey(report, 'pack.zip'), 'v1']])
  const versioned: Objects = {
    ...objects,
    async get(key, version) {
      const stored = await objects.get(key, version)
      if (stored === undefined || !key.endsWith('outcome.json')) return stored
      const text = Buffer.from(stored.body).toString().replace('"version":null', '"version":"v1"')
      return { ...stored, body: Buffer.from(text) }
    },
    link: async (key, { method, version, seconds, type }) =>
      `https://bucket.example/${key}?${method}&${version === versions.get(key)}&${seconds}&${type}`,
  }
  const { ask } = await startApi(t, { objects: versioned, now: () => LATER, largestBody: 1000 })
  for (const method of ['GET', 'HEAD']) {
    const { status, headers } = await ask(PATH, { method, redirect: 'manual' })
    assert.deepEqual(
      [status, headers.get('location'), headers.get('cache-control')],
      [303, `https://bucket.example/packs/${id}/pack.zip?${method}&true&60&application/zip`, 'no-store'],
    )
  }
})

test('a page of another site on this machine asks for nothing, though everybody on it may', async (t) => {
  const queued: string[] = []
  const { url } = await startApi(t, {
    objects: freshStore(),
    now: () => LATER,
    access: loopbackAccess,
    queuePack: async (key) => void queued.push(key),
  })
  const ask = (headers: Record<string, string>) => fetch(new URL(PATH, url), { method: 'POST', headers })
  assert.equal((await ask({ origin: 'https://evil.example' })).status, 403)
  assert.deepEqual(queued, [])
  assert.equal((await ask({ origin: url })).status, 202)
  assert.deepEqual(queued, [report])
})

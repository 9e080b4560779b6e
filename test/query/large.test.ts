/** What is too large for one answer, over a store in S3 whose server judges signed addresses, and lists of which fewer items are asked for. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { TestContext } from 'node:test'
import { addChannel, readChannels } from '../../lib/deliver/channel/channels.ts'
import { downloadIdOf, makeDownload, readDownload, revokeDownload } from '../../lib/deliver/link/downloads.ts'
import { linkKey } from '../../lib/deliver/link/link-key.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { documentOf, recordReport } from '../../lib/store/evidence/report-records.ts'
import { WEEK, keepPdf } from '../support/deliver/kept-report.ts'
import { startApi } from '../support/servers/local-api.ts'
import { S3_SECRET_KEY, type S3Server, startS3Server } from '../support/servers/s3-server.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { documentKey } from '../../lib/store/report-keys.ts'

const NOW = new Date('2026-11-23T07:00:00Z')
const LARGEST = 1000
const LARGE = Buffer.from(`%PDF-1.7 ${'a report of everything '.repeat(100)}`)
const SMALL = Buffer.from('%PDF-1.7 a report')

let server: S3Server
let stores = 0

before(async () => {
  server = await startS3Server()
  Object.assign(process.env, server.env)
})
after(() => server.close())

type WorldOptions = { readonly hasVersions?: boolean | 'suspended'; readonly largestBody?: number }

/** The API over a fresh store in S3, with what time it is here and there. */
async function world(t: TestContext, { hasVersions = true, largestBody = LARGEST }: WorldOptions = {}) {
  const number = stores++
  server.makeBucket(`evidence-${number}`)
  server.makeBucket(`derived-${number}`, { hasLock: false, hasVersions })
  const clock = { now: NOW }
  const objects = openStore(`s3://evidence-${number}?derived=derived-${number}`, { now: () => clock.now })
  const setNow = (now: Date): void => {
    clock.now = now
    server.setNow(now)
  }
  setNow(NOW)
  const api = await startApi(t, { objects, now: () => clock.now, largestBody })
  return { ...api, objects, setNow, derived: `derived-${number}` }
}

/** Keeps a report with a document of each kind, and gives its id. */
async function keepDocuments(objects: Objects, body: Uint8Array): Promise<string> {
  const names = ['paths.csv', 'report.html', 'report.pdf', 'summary.json']
  const documents = names.map((name) => documentOf(name, body))
  const { key, write } = recordReport(
    { period: WEEK, clusters: ['prod'], version: '0.1.0', checkpoint: null, documents },
    objects,
  )
  await write()
  for (const name of names) await objects.putOnce(documentKey(key, name), body)
  return key.replace(/^reports\/(.*)\.json$/, '$1')
}

const after60s = new Date(NOW.getTime() + 60_000)

test('a document that is too large for an answer is given by the store, as what it is, for a minute', async (t) => {
  const { ask, objects, setNow, logged } = await world(t)
  const id = await keepDocuments(objects, LARGE)
  for (const [name, type, disposition] of [
    ['html', 'text/html; charset=utf-8', `inline; filename="ciphertrail-${id}-report.html"`],
    ['pdf', 'application/pdf', `inline; filename="ciphertrail-${id}-report.pdf"`],
    ['paths.csv', 'text/csv; charset=utf-8', `attachment; filename="ciphertrail-${id}-paths.csv"`],
    ['summary.json', 'application/json', `attachment; filename="ciphertrail-${id}-summary.json"`],
  ] as const) {
    setNow(NOW)
    const sent = await ask(`/v1/reports/${id}/${name}`, { redirect: 'manual' })
    assert.deepEqual([sent.status, await sent.text()], [303, ''])
    assert.equal(sent.headers.get('referrer-policy'), 'no-referrer')
    assert.equal(sent.headers.get('cache-control'), 'no-store')
    const location = sent.headers.get('location') ?? assert.fail()
    const given = await fetch(location)
    assert.deepEqual([given.status, Buffer.from(await given.arrayBuffer())], [200, LARGE])
    assert.equal(given.headers.get('content-type'), type)
    assert.equal(given.headers.get('content-disposition'), disposition)
    setNow(after60s)
    assert.equal((await fetch(location)).status, 403)
    assert.ok(!location.includes(encodeURIComponent(S3_SECRET_KEY)))
    assert.ok(!JSON.stringify(logged).includes('X-Amz'), 'no log has the address')
  }
  assert.deepEqual(
    logged.map(({ path, status, subject }) => [path, status, subject]),
    ['html', 'pdf', 'paths.csv', 'summary.json'].map((name) => [`/v1/reports/${id}/${name}`, 303, 'all']),
  )
})

test('whoever follows on gets a large document, and asks by HEAD or by its tag as for a small one', async (t) => {
  const { ask, objects } = await world(t)
  const id = await keepDocuments(objects, LARGE)
  const path = `/v1/reports/${id}/pdf`
  // The token stays here: fetch, as curl, takes no authorization to another host.
  assert.deepEqual(Buffer.from(await (await ask(path)).arrayBuffer()), LARGE)
  const head = await ask(path, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(LARGE.length)])
  const etag = (await ask(path, { redirect: 'manual' })).headers.get('etag') ?? assert.fail()
  for (const method of ['GET', 'HEAD'])
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, '*'])
      assert.equal((await ask(path, { method, headers: { 'if-none-match': tag } })).status, 304)
  const other = await ask(path, { headers: { 'if-none-match': '"x"' } })
  assert.deepEqual([other.status, Buffer.from(await other.arrayBuffer())], [200, LARGE])
})

test('a document that fits, or anything where no size is a limit, is given here', async (t) => {
  for (const [body, largestBody] of [
    [LARGE, LARGE.length],
    [LARGE, Infinity],
    [SMALL, LARGEST],
  ] as const) {
    const { ask, objects } = await world(t, { largestBody })
    const answer = await ask(`/v1/reports/${await keepDocuments(objects, body)}/pdf`, { redirect: 'manual' })
    assert.deepEqual([answer.status, Buffer.from(await answer.arrayBuffer())], [200, body])
  }
})

test('nobody is sent to a large document who may not see it, nor to one that is not the recorded one, or could be replaced', async (t) => {
  const { ask, objects, derived } = await world(t)
  const id = await keepDocuments(objects, LARGE)
  const refused = async (status: number, path: string, authorization = 'Bearer all') => {
    const answer = await ask(path, { redirect: 'manual', headers: { authorization } })
    assert.deepEqual([answer.status, answer.headers.get('location')], [status, null])
    return answer.text()
  }
  await refused(401, `/v1/reports/${id}/pdf`, '')
  await refused(404, `/v1/reports/${id}/pdf`, 'Bearer other')
  await refused(404, `/v1/reports/${id}/report.json`)

  // What is put over it while somebody is sent to it is not what they get.
  const sent = await ask(`/v1/reports/${id}/html`, { redirect: 'manual' })
  server.meddle(derived, documentKey(`reports/${id}.json`, 'report.html'), Buffer.from('all clear'.repeat(1000)))
  const given = await fetch(sent.headers.get('location') ?? '')
  assert.deepEqual(Buffer.from(await given.arrayBuffer()), LARGE)
  await refused(503, `/v1/reports/${id}/html`)

  for (const hasVersions of [false, 'suspended'] as const) {
    const unversioned = await world(t, { hasVersions })
    const other = await keepDocuments(unversioned.objects, LARGE)
    const answer = await unversioned.ask(`/v1/reports/${other}/pdf`, { redirect: 'manual' })
    assert.deepEqual([answer.status, answer.headers.get('location')], [503, null])
    assert.match(await answer.text(), /it has 2\.3 kB, and 1\.0 kB can be handed over here; read it from the bucket/)
  }
})

/** A channel with a link to a large report, asked without any login. */
async function linked(t: TestContext, options: Parameters<typeof world>[1] = {}) {
  const around = await world(t, options)
  const { objects, ask } = around
  const report = await keepPdf(objects, WEEK, LARGE)
  const added = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }
  await addChannel({ id: 'grc', recipients: ['ada@example.com'], hasDownloads: true }, added, objects)
  const [recipient = ''] = (await readChannels(objects))[0]?.recipients ?? []
  await linkKey(objects)
  const wanted = { report, channel: 'grc', recipient, expiresAt: '2026-12-23T07:00:00Z' }
  const token = await makeDownload(wanted, NOW, objects)
  const id = downloadIdOf(token) ?? ''
  const visit = (method: string, path = `/d/${token}`) =>
    ask(path, { method, redirect: 'manual', headers: { authorization: '' } })
  const uses = async () => (await readDownload(id, objects))?.uses
  return { ...around, token, id, visit, uses, report, recipient }
}

test('the button of a link to a large report is written down and leads to the store, for a minute', async (t) => {
  const { visit, uses, setNow, logged, recipient, report } = await linked(t)
  const page = await visit('GET')
  assert.match(await page.text(), /A PDF of 2\.3 kB.*<button/s)
  assert.equal(await uses(), 0)
  const pressed = await visit('POST')
  assert.deepEqual([pressed.status, await pressed.text(), await uses()], [303, '', 1])
  for (const [name, value] of [
    ['referrer-policy', 'no-referrer'],
    ['cache-control', 'no-store'],
    ['x-robots-tag', 'noindex, nofollow'],
  ] as const)
    assert.equal(pressed.headers.get(name), value)
  const location = pressed.headers.get('location') ?? ''
  const policy = page.headers.get('content-security-policy') ?? ''
  assert.ok(policy.includes(`form-action 'self' ${server.url};`), 'the button may lead there, and nowhere else')
  const given = await fetch(location)
  assert.deepEqual(Buffer.from(await given.arrayBuffer()), LARGE)
  assert.equal(given.headers.get('content-type'), 'application/pdf')
  assert.equal(given.headers.get('content-disposition'), 'attachment; filename="ciphertrail-2026-W47.pdf"')
  setNow(after60s)
  assert.equal((await fetch(location)).status, 403)
  assert.equal((await visit('POST')).status, 303)
  assert.equal(await uses(), 2)
  assert.ok(!JSON.stringify(logged).includes('X-Amz'))
  const posted = logged.filter(({ method }) => method === 'POST')
  assert.deepEqual(
    posted.map((line) => [line.path, line.status, line.subject, line.download?.report]),
    [0, 1].map(() => ['/d', 303, recipient, report]),
  )
})

test('a link to a large report that has ended leads nowhere, also in the moment in which it is pressed', async (t) => {
  const { visit, uses, objects, id } = await linked(t)
  await revokeDownload(id, NOW, objects)
  for (const method of ['GET', 'POST']) {
    const answer = await visit(method)
    assert.deepEqual([answer.status, answer.headers.get('location')], [410, null])
  }
  assert.equal(await uses(), 0)

  const failing = await linked(t)
  server.misbehave(({ action, key }) =>
    action === 's3:PutObject' && key.startsWith('downloads/') ? { status: 400, code: 'InvalidRequest' } : undefined,
  )
  const answer = await failing.visit('POST')
  server.misbehave(() => undefined)
  assert.deepEqual([answer.status, answer.headers.get('location'), await failing.uses()], [503, null, 0])
})

test('a link to a large report of a bucket without versions says that before the button, and counts nothing', async (t) => {
  const { visit, uses } = await linked(t, { hasVersions: false })
  const page = await visit('GET')
  assert.equal(page.status, 503)
  assert.doesNotMatch(await page.text(), /<form/)
  assert.equal((await visit('POST')).status, 503)
  assert.equal(await uses(), 0)
})

test('the bytes behind the address of a button that was pressed elsewhere leave by the store, too', async (t) => {
  const elsewhere = await linked(t, { largestBody: Infinity })
  const { objects, visit } = elsewhere
  const ticket = (await visit('POST')).headers.get('location') ?? ''
  const here = await startApi(t, { objects, now: () => NOW, largestBody: LARGEST })
  for (const method of ['GET', 'HEAD']) {
    const answer = await here.ask(`/d/${ticket}`, { method, headers: { authorization: '' } })
    assert.deepEqual([answer.status, answer.headers.get('content-length')], [200, String(LARGE.length)])
  }
})

type ListPage = { readonly items: readonly unknown[]; readonly next: string | null }

test('a list that is too large for one answer says which limit is likely to do, and pages of that are the list', async (t) => {
  const whole = await startApi(t)
  for (const [path, type] of [
    ['/v1/paths?from=2026-10-01', 'application/json'],
    ['/v1/paths?from=2026-10-01', 'text/csv'],
    ['/v1/clusters?', 'application/json'],
  ] as const) {
    const headers = { accept: type }
    const body = Buffer.from(await (await whole.ask(`${path}&limit=1000`, { headers })).arrayBuffer())
    const { ask } = await startApi(t, { largestBody: body.length - 1 })
    const refused = await ask(`${path}&limit=1000`, { headers })
    assert.equal(refused.status, 400)
    assert.equal(refused.headers.get('content-type'), 'application/problem+json')
    const { parameter, detail } = (await refused.json()) as { parameter: string; detail: string }
    assert.equal(parameter, 'limit')
    const [, limit = ''] =
      /^Cannot hand over \d+ items at once: .*, wanted a limit of (\d+) or less$/.exec(detail) ?? []
    assert.ok(Number(limit) >= 1, detail)
    if (type === 'text/csv') {
      assert.equal((await ask(`${path}&limit=${limit}`, { headers })).status, 200)
      continue
    }
    const items: unknown[] = []
    for (let next: string | null = ''; next !== null;) {
      const answer = await ask(`${path}&limit=${limit}${next === '' ? '' : `&cursor=${next}`}`)
      assert.equal(answer.status, 200)
      const page = (await answer.json()) as ListPage
      items.push(...page.items)
      next = page.next
    }
    assert.deepEqual(items, (JSON.parse(body.toString()) as ListPage).items)
  }
})

test('an answer of which there is no less to ask for is a problem that says so', async (t) => {
  const { ask } = await startApi(t, { largestBody: 10 })
  for (const path of ['/v1/clusters?limit=1', '/v1/reports']) {
    const answer = await ask(path)
    assert.equal(answer.status, 503)
    assert.match(await answer.text(), /Cannot hand over this answer: it has .*, and 10 B can be handed over here/)
  }
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { addChannel, readChannels } from '../../lib/deliver/channel/channels.ts'
import { MAX_PIECE_BYTES, reportPieces } from '../../lib/deliver/report/report-pieces.ts'
import { listDeliveries } from '../../lib/deliver/send/claims.ts'
import { signatureOf, webhookPost } from '../../lib/deliver/send/webhook.ts'
import { alertDue } from '../../lib/jobs/alert-channels.ts'
import { postReports } from '../../lib/jobs/post-reports.ts'
import { documentOf, recordReport } from '../../lib/store/evidence/report-records.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { documentKey } from '../../lib/store/report-keys.ts'
import { keepWeek } from '../support/deliver/kept-report.ts'
import { freshFolder } from '../support/recorder.ts'
import { ocsfFaults, planFaults, resultsFaults } from '../support/report/schemas.ts'
import { summaryOf, toldBy } from '../support/report/told-documents.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { errorText, matchesText } from '../support/texts/matches-text.ts'

/** The reports of weeks, as a program gets them that has no access to the store. */

const SECRET = 'a secret of these tests'
const MINUTE = 60_000
const START = Date.parse('2026-11-23T07:00:00Z')

type Got = { readonly id: string; readonly body: string; readonly text: unknown }

/** A receiver that takes what is signed, and answers as it is told. */
async function receiver(t: TestContext, now: () => Date) {
  const got: Got[] = []
  const state: { answer: ((response: ServerResponse, at: number) => void) | null; readonly got: Got[]; url: string } = {
    answer: null,
    got,
    url: '',
  }
  const server = createServer((request, response) => {
    void buffer(request).then((bytes) => {
      const body = bytes.toString()
      const signature = String(request.headers['ciphertrail-signature'])
      assert.equal(signature, signatureOf(body, SECRET, Math.floor(now().getTime() / 1000)))
      assert.equal(request.headers['content-type'], 'application/json')
      got.push({ id: String(request.headers['ciphertrail-id']), body, text: JSON.parse(body) })
      if (state.answer === null) response.writeHead(204).end()
      else state.answer(response, got.length)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return state
}

/** The documents of a week of stories, with so many findings more. */
function documentsOf(more = 0): Record<string, string> {
  const { texts } = toldBy(summaryOf('a-week'))
  const findings = JSON.parse(texts['ocsf.json'] ?? '') as Record<string, unknown>[]
  const others = Array.from({ length: more }, (_, at) => ({
    ...findings[at % findings.length],
    finding_info: { ...(findings[at % findings.length]?.['finding_info'] as object), uid: `more-${at}` },
  }))
  const name = (one: string) => texts[one as keyof typeof texts] ?? assert.fail(one)
  return {
    'ocsf.json': `${JSON.stringify([...findings, ...others])}\n`,
    'oscal.json': name('oscal.json'),
    'oscal-plan.json': name('oscal-plan.json'),
  }
}

async function started(t: TestContext) {
  const folder = freshFolder(t)
  const secretFile = join(folder, 'secret')
  writeFileSync(secretFile, SECRET, { mode: 0o600 })
  const objects = memoryObjects(new Map())
  const clock = { minutes: 0 }
  const now = () => new Date(START + clock.minutes * MINUTE)
  const hook = await receiver(t, now)
  const add = async (id: string, webhookFormat: string, url = hook.url) =>
    addChannel({ id, webhook: { url, secretFile }, webhookFormat }, { now: now(), by: 'tester' }, objects)
  const post = (changes: Partial<Parameters<typeof postReports>[1]> = {}) =>
    postReports({ at: now() }, { objects, now, post: webhookPost(undefined), ...changes })
  return { folder, objects, clock, now, hook, add, post }
}

const uidsOf = (got: readonly Got[]): string[] =>
  got.flatMap(({ text }) => (text as { finding_info: { uid: string } }[]).map(({ finding_info: { uid } }) => uid))

test('each finding of each week comes once, signed, in order, in pieces that are valid by the schema', async (t) => {
  const { objects, clock, hook, add, post } = await started(t)
  await add('siem', 'ocsf')
  const documents = documentsOf(600)
  const first = await keepWeek('2026-W47', documents, objects)
  const [told] = await post()
  assert.deepEqual([told?.problem, told?.tried.every(({ status }) => status === 'sent')], [null, true])
  const wanted = (JSON.parse(documents['ocsf.json'] ?? '') as { finding_info: { uid: string } }[]).map(
    ({ finding_info: { uid } }) => uid,
  )
  assert.deepEqual(uidsOf(hook.got), wanted)
  assert.ok(hook.got.length > 2, `${hook.got.length} pieces`)
  for (const { body, text } of hook.got) {
    assert.ok(Buffer.byteLength(body) <= MAX_PIECE_BYTES)
    for (const finding of text as object[]) assert.deepEqual(ocsfFaults(finding), [])
  }
  const id = first.slice('reports/'.length, -'.json'.length)
  assert.deepEqual(
    hook.got.map((one) => one.id),
    hook.got.map((_, at) => `${id}-ocsf-${at + 1}`),
  )
  const count = hook.got.length
  assert.deepEqual((await post())[0]?.tried, [])
  clock.minutes = 7 * 24 * 60
  await keepWeek('2026-W48', documentsOf(), objects)
  await post()
  assert.equal(hook.got.length, count + 1)
  // Posted again after a restart that lost what it remembers: nothing.
  assert.deepEqual((await post({ settled: new Set() }))[0]?.tried, [])
})

test('OSCAL comes as the plan and then the results, whole and valid', async (t) => {
  const { objects, hook, add, post } = await started(t)
  await add('grc', 'oscal')
  const documents = documentsOf()
  await keepWeek('2026-W47', documents, objects)
  await post()
  assert.deepEqual(
    hook.got.map(({ body }) => body),
    [documents['oscal-plan.json'], documents['oscal.json']],
  )
  assert.deepEqual([planFaults(hook.got[0]?.text), resultsFaults(hook.got[1]?.text)], [[], []])
})

test('a week without a finding is told as such, and one that was made elsewhere is not told', async (t) => {
  const { objects, hook, add, post } = await started(t)
  await add('siem', 'ocsf')
  await keepWeek('2026-W47', { 'ocsf.json': '[]\n' }, objects)
  await post()
  assert.deepEqual(
    hook.got.map(({ body }) => body),
    ['[]\n'],
  )
  const { key, write } = recordReport(
    {
      period: {
        from: '2026-11-16T05:00:00Z',
        to: '2026-11-23T05:00:00Z',
        label: 'Week 2026-W47',
        timeZone: 'America/New_York',
      },
      clusters: ['prod'],
      version: '0.1.0',
      checkpoint: null,
      documents: [documentOf('ocsf.json', Buffer.from('[1]'))],
    },
    objects,
  )
  await write()
  assert.deepEqual((await post())[0], { channel: 'siem', tried: [], problem: null })
  // Changed since: nothing is posted, and that is said.
  await objects.putIf(documentKey(key, 'ocsf.json'), Buffer.from('[2]'), null)
  matchesText((await post())[0]?.problem)
  assert.equal(hook.got.length, 1)
  // Nor does a record that somebody put there keep others from being posted.
  await objects.putOnce('reports/20261123T000001Z-0000000000000000.json', Buffer.from('planted'))
  await keepWeek('2026-W46', { 'ocsf.json': '[]\n' }, objects)
  assert.match((await post())[0]?.problem ?? '', /not the document|is no record of a report/)
})

test('a new channel begins with the latest report, and gets none of before', async (t) => {
  const { objects, hook, add, post } = await started(t)
  await keepWeek('2026-W46', documentsOf(), objects)
  const latest = await keepWeek('2026-W47', documentsOf(), objects)
  await add('siem', 'ocsf')
  await post()
  assert.deepEqual(
    hook.got.map(({ id }) => id),
    [`${latest.slice('reports/'.length, -'.json'.length)}-ocsf-1`],
  )
})

test('a piece that is not taken is posted again with its id, later and later, and what follows waits for it', async (t) => {
  const { objects, clock, hook, add, post, now } = await started(t)
  await add('siem', 'ocsf')
  await keepWeek('2026-W47', documentsOf(600), objects)
  hook.answer = (response, at) => response.writeHead(at === 2 ? 503 : 204).end()
  await post()
  assert.deepEqual(
    hook.got.map(({ id }) => id.slice(-1)),
    ['1', '2'],
  )
  clock.minutes += 4
  await post()
  assert.equal(hook.got.length, 2)
  hook.answer = null
  clock.minutes += 1
  await post()
  const ids = hook.got.map(({ id }) => id)
  assert.equal(ids[1], ids[2])
  assert.equal(new Set(uidsOf(hook.got)).size, uidsOf(hook.got.filter((_, at) => at !== 1)).length)
  // The next week fails for good: the rest of it is left, it is said, and the week after comes all the same.
  clock.minutes = 7 * 24 * 60
  await keepWeek('2026-W48', documentsOf(600), objects)
  hook.answer = (response) => response.writeHead(413).end()
  const before = hook.got.length
  const [refused] = await post()
  assert.equal(hook.got.length, before + 1)
  matchesText(refused?.problem)
  assert.match((await post())[0]?.problem ?? '', /HTTP 413/)
  assert.equal(hook.got.length, before + 1)
  hook.answer = null
  clock.minutes = 14 * 24 * 60
  await keepWeek('2026-W49', documentsOf(), objects)
  assert.deepEqual([(await post())[0]?.problem, hook.got.length], [null, before + 2])
  const statuses: string[] = []
  for await (const { status } of listDeliveries('report', now(), objects)) statuses.push(status)
  assert.ok(statuses.includes('failed') && statuses.includes('sent'))
})

test('documents are read only while a piece of them is due', async (t) => {
  const { objects, clock, hook, add, post } = await started(t)
  for (const format of ['ocsf', 'oscal']) await add(format, format)
  await keepWeek('2026-W47', documentsOf(600), objects)
  const read: string[] = []
  const watched: Objects = {
    ...objects,
    get: async (key, version) => {
      if (key.startsWith('documents/')) read.push(key.split('/').at(-1) ?? '')
      return objects.get(key, version)
    },
  }
  const look = async () => {
    read.length = 0
    const posts = await post({ objects: watched })
    return { read: read.toSorted(), problems: posts.map(({ problem }) => problem ?? '') }
  }
  const all = ['ocsf.json', 'oscal-plan.json', 'oscal.json']
  hook.answer = (response) => response.writeHead(503).end()
  assert.deepEqual((await look()).read, all)
  // Each waits for its next try.
  assert.deepEqual((await look()).read, [])
  clock.minutes += 5
  hook.answer = (response) => response.writeHead(413).end()
  assert.deepEqual((await look()).read, all)
  // Both have failed for good.
  const failed = await look()
  assert.deepEqual(failed.read, [])
  for (const problem of failed.problems) assert.match(problem, /HTTP 413/)
})

test('runs that race and end anywhere post each piece, in order, and none is lost', async (t) => {
  const { objects, clock, hook, add, post } = await started(t)
  await add('siem', 'ocsf')
  await keepWeek('2026-W47', documentsOf(900), objects)
  let left = 3
  for (let round = 0; round < 12; round++) {
    await Promise.all([post({ isOver: () => left-- <= 0 }), post({ isOver: () => left-- <= 0 }), post()])
    left = round
    clock.minutes += 16
  }
  const ids = hook.got.map(({ id }) => Number(/-(\d+)$/.exec(id)?.[1]))
  assert.deepEqual(
    ids,
    [...new Set(ids)].toSorted((a, b) => a - b),
  )
  assert.equal(new Set(uidsOf(hook.got)).size, uidsOf(hook.got).length)
})

test('a receiver that hangs or is dead keeps nobody else waiting, and redirects are not followed', async (t) => {
  const { objects, hook, add, post, clock } = await started(t)
  const dead = createServer(() => undefined)
  dead.listen(0, '127.0.0.1')
  await once(dead, 'listening')
  t.after(() => {
    dead.closeAllConnections()
    dead.close()
  })
  await keepWeek('2026-W47', documentsOf(), objects)
  await add('a-hangs', 'ocsf', `http://127.0.0.1:${(dead.address() as AddressInfo).port}/`)
  await add('b-dead', 'ocsf', 'http://127.0.0.1:1/')
  await add('c-well', 'ocsf')
  const real = webhookPost(undefined)
  const outcomes = await post({ post: (webhook, one, now) => real(webhook, { ...one, timeoutMs: 300 }, now) })
  assert.deepEqual(
    outcomes.map(({ channel, tried }) => [channel, tried.map(({ status }) => status)]),
    [
      ['a-hangs', ['failed']],
      ['b-dead', ['failed']],
      ['c-well', ['sent']],
    ],
  )
  const before = hook.got.length
  await add('d-moved', 'oscal')
  hook.answer = (response) => response.writeHead(307, { location: hook.url }).end()
  clock.minutes += 1
  await post()
  assert.equal(hook.got.length, before + 1)
})

test('a webhook gets either alerts or reports, and reports only for a channel of everything', async (t) => {
  const { objects, hook, add, now } = await started(t)
  await add('siem', 'ocsf')
  const author = { now: now(), by: 'tester' }
  const alerts = await alertDue(
    { at: now(), url: null },
    { objects, now, mail: null, post: webhookPost(undefined), publish: () => Promise.reject(new Error('none')) },
  )
  assert.deepEqual([alerts.map(({ problem }) => problem), hook.got], [[null], []])
  for (const options of [
    { id: 'siem', namespaces: ['pay'] },
    { id: 'siem', webhookFormat: 'csv' },
    { id: 'other', webhookFormat: 'ocsf' },
  ] as const)
    await assert.rejects(addChannel(options, author, objects), errorText({}, options))
  const format = async () => (await readChannels(objects))[0]?.webhook?.format
  await addChannel({ id: 'siem', webhook: { url: 'https://b.example/', secretFile: '/s' } }, author, objects)
  assert.equal(await format(), 'ocsf')
  await addChannel({ id: 'siem', webhookFormat: 'alert' }, author, objects)
  assert.deepEqual((await readChannels(objects))[0]?.webhook, { url: 'https://b.example/', secretFile: '/s' })
})

test('names from clusters arrive as text, and nothing that is no list of findings is posted', () => {
  const hostile = { name: '"]\n[{"\u202E\u0000 é 😀', nested: ['</script>'] }
  const body = Buffer.from(JSON.stringify([hostile, hostile]))
  const [piece] = reportPieces('reports/20261123T000000Z-0123456789abcdef.json', 'ocsf', [{ name: 'ocsf.json', body }])
  assert.deepEqual(JSON.parse(piece?.body ?? ''), [hostile, hostile])
  assert.match(piece?.body ?? '', /^[\x20-\x7E\n]*$/)
  for (const text of ['{}', '[1]', 'null', '[', ''])
    assert.throws(
      () =>
        reportPieces('reports/20261123T000000Z-0123456789abcdef.json', 'ocsf', [
          { name: 'ocsf.json', body: Buffer.from(text) },
        ]),
      /^ReportPieceError: "ocsf\.json" is no list of findings$/,
    )
})

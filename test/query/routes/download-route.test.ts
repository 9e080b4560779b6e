import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { addChannel, removeChannel } from '../../../lib/deliver/channel/channels.ts'
import {
  downloadIdOf,
  linkName,
  makeDownload,
  readDownload,
  revokeDownload,
} from '../../../lib/deliver/link/downloads.ts'
import { downloadTicket } from '../../../lib/deliver/link/download-tickets.ts'
import { linkKey, readLinkKey } from '../../../lib/deliver/link/link-key.ts'
import { readRecipients } from '../../../lib/deliver/channel/recipients.ts'
import { suppress } from '../../../lib/deliver/channel/suppressions.ts'
import { type Objects, StoreError } from '../../../lib/store/objects/objects.ts'
import { REPORT_PDF, WEEK, keepPdf } from '../../support/deliver/kept-report.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { downloadKey, linksKey } from '../../../lib/store/delivery-keys.ts'
import { documentKey } from '../../../lib/store/report-keys.ts'

const ADDED = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }
const SENT = new Date('2026-11-23T07:00:00Z')
const UNTIL = '2026-12-23T07:00:00Z'

const add = (objects: Objects, more: Partial<Parameters<typeof addChannel>[0]> = {}) =>
  addChannel(
    {
      id: 'grc',
      recipients: ['ada@example.com', 'bob@example.com'],
      timeZone: 'Europe/Berlin',
      hasDownloads: true,
      ...more,
    },
    ADDED,
    objects,
  )

/** A report that is kept, a channel of two, and a link to the report in the mail of one of them; asked of a server with a clock that can be set. */
async function world(t: TestContext, changes: Partial<Objects> = {}, largestBody = Infinity) {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const report = await keepPdf(objects)
  await add(objects)
  const [recipient = ''] = [...(await readRecipients(objects))].find(([, address]) => address.startsWith('ada')) ?? []
  await linkKey(objects)
  const token = await makeDownload({ report, channel: 'grc', recipient, expiresAt: UNTIL }, SENT, objects)
  const id = downloadIdOf(token) ?? ''
  const clock = { now: SENT }
  const { ask, logged } = await startApi(t, { objects: { ...objects, ...changes }, now: () => clock.now, largestBody })
  /** Without any login, and without following on. */
  const visit = (method: string, path = `/d/${token}`) =>
    ask(path, { method, redirect: 'manual', headers: { authorization: '' } })
  const uses = async () => (await readDownload(id, objects))?.uses
  const fetches = async () => (await readDownload(id, objects))?.fetches
  return { held, objects, report, recipient, token, id, clock, visit, uses, fetches, logged }
}

function assertTellsNobody({ headers }: Response): void {
  assert.equal(headers.get('referrer-policy'), 'no-referrer')
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.match(headers.get('x-robots-tag') ?? 'noindex', /noindex/)
  assert.match(headers.get('content-security-policy') ?? '', /^default-src 'none'/)
  assert.equal(headers.get('x-content-type-options'), 'nosniff')
  assert.equal(headers.get('etag'), null)
}

test('a link shows a page with one button, and whoever follows links gets nothing and changes nothing', async (t) => {
  const { held, visit, logged, token, recipient, report, id } = await world(t)
  const before = new Map(held)
  for (const method of ['GET', 'HEAD', 'GET', 'OPTIONS', 'PUT', 'DELETE', 'PROPFIND']) {
    const response = await visit(method)
    assert.equal(response.status, ['GET', 'HEAD'].includes(method) ? 200 : 405, method)
    assertTellsNobody(response)
    const body = await response.text()
    assert.doesNotMatch(body, /%PDF/)
    if (method !== 'GET') continue
    assert.equal(body.match(/<form method="post"><button/g)?.length, 1)
    assert.match(body, /Download the report of week 2026-W47 \(UTC\)\?/)
    assert.match(body, /until Wed 23 Dec 2026 08:00 \(Europe\/Berlin\)/)
    assert.doesNotMatch(body, new RegExp(token))
    assert.doesNotMatch(body, /<a |<img|<script|<link/)
  }
  assert.deepEqual(held, before)
  assert.deepEqual(logged[0], {
    method: 'GET',
    path: '/d',
    status: 200,
    subject: recipient,
    error: null,
    download: { link: linkName(id), channel: 'grc', report },
  })
  assert.ok(!JSON.stringify(logged).includes(token))
})

test('the button is written down and leads to the bytes, which need no login and are there for a minute', async (t) => {
  const { visit, uses, fetches, clock, logged, token, id, held } = await world(t)
  const pressed = await visit('POST')
  assert.equal(pressed.status, 303)
  assertTellsNobody(pressed)
  assert.equal(await pressed.text(), '')
  assert.equal(await uses(), 1)
  const location = pressed.headers.get('location') ?? ''
  assert.match(location, new RegExp(`^${id}\\.\\d{13}\\.[A-Za-z0-9_-]{43}/report\\.pdf$`))
  assert.ok(!location.includes(token))
  const path = `/d/${location}`
  for (const method of ['GET', 'HEAD', 'GET']) {
    const file = await visit(method, path)
    assert.equal(file.status, 200)
    assertTellsNobody(file)
    assert.equal(file.headers.get('content-type'), 'application/pdf')
    assert.equal(file.headers.get('content-disposition'), 'attachment; filename="ciphertrail-2026-W47.pdf"')
    if (method === 'GET') assert.deepEqual(Buffer.from(await file.arrayBuffer()), REPORT_PDF)
  }
  for (const method of ['POST', 'OPTIONS', 'DELETE']) assert.equal((await visit(method, path)).status, 405)
  for (const other of [path.replace('report.pdf', 'report.html'), path.replace(/\.\d{13}\./, '.9999999999999.')])
    assert.equal((await visit('GET', other)).status, 404)
  clock.now = new Date(SENT.getTime() + 59_999)
  assert.equal((await visit('GET', path)).status, 200)
  clock.now = new Date(SENT.getTime() + 60_000)
  const late = await visit('GET', path)
  assert.equal(late.status, 404)
  assertTellsNobody(late)
  // Whoever else got the address is seen: each request is written down, and none that gave nothing.
  assert.deepEqual([await uses(), await fetches()], [1, 4])

  // People press twice, programs press too: that burns nothing, and each time is written down.
  assert.equal((await visit('POST')).status, 303)
  assert.equal((await visit('POST')).status, 303)
  assert.equal(await uses(), 3)
  const said = JSON.stringify([logged, [...held.values()].map((body) => Buffer.from(body).toString())])
  for (const secret of [token, location.split('.')[2]?.split('/')[0] ?? assert.fail()])
    assert.ok(!said.includes(secret), 'neither the log nor the store holds what opens')
  assert.deepEqual([...new Set(logged.map((line) => line.path))], ['/d', '/d/file'])
})

test('a link that was not made here is told nothing, whatever is asked', async (t) => {
  const { visit, token, held, logged, id } = await world(t)
  const before = new Map(held)
  const bodies = new Set<string>()
  for (const path of [
    token.slice(1),
    `${token}A`,
    `${token.slice(0, -1)}${token.endsWith('A') ? 'Q' : 'A'}`,
    'A'.repeat(43),
    id,
    'ada@example.com',
    `${id}.9999999999999.${'A'.repeat(43)}/report.pdf`,
    `${token}/report.pdf`,
  ].map((one) => `/d/${one}`))
    for (const method of ['GET', 'POST', 'DELETE']) {
      const response = await visit(method, path)
      assert.equal(response.status, 404, `${method} ${path}`)
      assertTellsNobody(response)
      bodies.add(await response.text())
    }
  assert.equal(bodies.size, 1)
  assert.deepEqual(held, before)
  for (const { subject, download } of logged) assert.deepEqual([subject, download], [null, undefined])
})

test('a link works until the moment that its mail told, and then says no more than that', async (t) => {
  const { visit, uses, clock } = await world(t)
  clock.now = new Date(Date.parse(UNTIL) - 1)
  assert.equal((await visit('GET')).status, 200)
  const pressed = await visit('POST')
  assert.equal(pressed.status, 303)
  clock.now = new Date(UNTIL)
  const path = `/d/${pressed.headers.get('location') ?? ''}`
  for (const [method, at] of [
    ['GET', undefined],
    ['POST', undefined],
    ['GET', path],
  ] as const) {
    const response = await visit(method, at)
    assert.equal(response.status, 410)
    assertTellsNobody(response)
    const body = await response.text()
    assert.match(body, /It worked until Wed 23 Dec 2026 08:00 \(Europe\/Berlin\)/)
    assert.doesNotMatch(body, /<form|%PDF|W47/)
  }
  assert.equal(await uses(), 1)
})

/** What ends a link at once, and the way back where there is one. */
const ENDS: Readonly<
  Record<string, (around: Awaited<ReturnType<typeof world>>) => Promise<(() => Promise<unknown>) | null>>
> = {
  'it is revoked': async ({ objects, id }) => {
    await revokeDownload(id, SENT, objects)
    return null
  },
  'the channel is removed, also where one of its name is added again': async ({ objects }) => {
    await removeChannel('grc', ADDED, objects)
    return null
  },
  'the recipient is taken out of the channel': async ({ objects }) => {
    await add(objects, { recipients: ['bob@example.com'] })
    return () => add(objects)
  },
  'the recipient left the channel': async ({ objects, recipient }) => {
    await suppress({ recipient, channel: 'grc', reason: 'unsubscribed' }, SENT, objects)
    return null
  },
  'mail to the recipient came back': async ({ objects, recipient }) => {
    await suppress({ recipient, channel: null, reason: 'bounced' }, SENT, objects)
    return null
  },
  'links are switched off': async ({ objects }) => {
    await add(objects, { hasDownloads: false })
    return null
  },
  'the report is not kept any more': async ({ held, report }) => {
    const key = documentKey(report, 'report.pdf')
    const body = held.get(key) ?? assert.fail()
    held.delete(key)
    return async () => held.set(key, body)
  },
  'the record of the report is gone': async ({ held, report }) => {
    const body = held.get(report) ?? assert.fail()
    held.delete(report)
    return async () => held.set(report, body)
  },
}

for (const [name, end] of Object.entries(ENDS))
  test(`a link ends at once where ${name}, and which it was is not told`, async (t) => {
    const around = await world(t)
    const { visit, uses } = around
    const pressed = await visit('POST')
    assert.equal(pressed.status, 303)
    const undo = await end(around)
    const bodies = new Set<string>()
    for (const [method, path] of [
      ['GET', undefined],
      ['POST', undefined],
      ['GET', `/d/${pressed.headers.get('location') ?? ''}`],
    ] as const) {
      const response = await visit(method, path)
      assert.equal(response.status, 410, method)
      assertTellsNobody(response)
      bodies.add(await response.text())
    }
    assert.equal(bodies.size, 1)
    assert.match([...bodies].join(), /It was ended, or the report is not kept any more/)
    assert.equal(await uses(), 1)
    if (undo !== null) {
      await undo()
      assert.equal((await visit('POST')).status, 303)
    } else {
      await addChannel({ id: 'grc', recipients: ['ada@example.com'], hasDownloads: true }, LATER, around.objects)
      assert.equal((await visit('POST')).status, 410, 'and it does not come back')
    }
  })

const LATER = { now: new Date('2026-11-23T08:00:00Z'), by: 'test' }

test('a link leads to its own report, also where there is one of another week', async (t) => {
  const { objects, visit } = await world(t)
  const other = { ...WEEK, from: WEEK.to, to: '2026-11-30T00:00:00Z', label: 'Week 2026-W48' }
  await keepPdf(objects, other, Buffer.from('%PDF of another week'))
  const file = await visit('GET', `/d/${(await visit('POST')).headers.get('location') ?? ''}`)
  assert.deepEqual(Buffer.from(await file.arrayBuffer()), REPORT_PDF)
})

test('whoever has the key of the links gets no report by a ticket of their own that no press of the button stands behind', async (t) => {
  const { objects, id, clock, visit, uses } = await world(t)
  const key = (await readLinkKey(objects)) ?? assert.fail()
  const forged = () => visit('GET', `/d/${downloadTicket(id, clock.now, key)}/report.pdf`)
  assert.equal((await forged()).status, 404)
  assert.equal(await uses(), 0)
  await visit('POST')
  clock.now = new Date(clock.now.getTime() + 5 * 60_000)
  assert.equal((await forged()).status, 404)
  assert.equal(await uses(), 1)
})

test('a ticket of one store opens nothing in another', async (t) => {
  const [one, other] = [await world(t), await world(t)]
  const location = (await one.visit('POST')).headers.get('location') ?? ''
  assert.equal((await other.visit('GET', `/d/${location}`)).status, 404)
})

test('what cannot be written down is not given, and what is not the recorded report is not, either', async (t) => {
  const failing = await world(t, { putIf: () => Promise.reject(new StoreError('Cannot write: the disk is full')) })
  const refused = await failing.visit('POST')
  assert.equal(refused.status, 503)
  assertTellsNobody(refused)
  assert.equal(refused.headers.get('location'), null)
  assert.equal(failing.logged[0]?.error, 'Cannot write: the disk is full')

  const changed = await world(t)
  const location = (await changed.visit('POST')).headers.get('location') ?? ''
  changed.held.set(documentKey(changed.report, 'report.pdf'), Buffer.from('%PDF all was encrypted'))
  for (const [method, path] of [
    ['GET', undefined],
    ['POST', undefined],
    ['GET', `/d/${location}`],
  ] as const) {
    const response = await changed.visit(method, path)
    assert.equal(response.status, 503)
    assert.doesNotMatch(await response.text(), /%PDF/)
  }
  assert.equal(await changed.uses(), 1)

  const damaged = await world(t)
  damaged.held.set(downloadKey(damaged.id), Buffer.from('{}'))
  assert.equal((await damaged.visit('POST')).status, 503)

  const keyless = await world(t)
  keyless.held.delete(linksKey)
  assert.equal((await keyless.visit('POST')).status, 503)
  assert.equal(await keyless.uses(), 0)
  assert.match(keyless.logged[0]?.error ?? '', /registry\/links\.json/)
})

test('bytes that cannot be written down are not given, nor those of a link that is revoked while they are', async (t) => {
  let how: () => Promise<unknown> = async () => undefined
  const around = await world(t, {
    async putIf(key, body, etag) {
      await how()
      return around.objects.putIf(key, body, etag)
    },
  })
  const path = `/d/${(await around.visit('POST')).headers.get('location') ?? ''}`
  how = () => Promise.reject(new StoreError('Cannot write: the disk is full'))
  const unwritten = await around.visit('GET', path)
  assert.equal(unwritten.status, 503)
  assert.doesNotMatch(await unwritten.text(), /%PDF/)
  how = () => revokeDownload(around.id, SENT, around.objects)
  const revoked = await around.visit('GET', path)
  assert.equal(revoked.status, 410)
  assert.doesNotMatch(await revoked.text(), /%PDF/)
  assert.deepEqual([await around.uses(), await around.fetches()], [1, 0])
})

test('a link that is revoked while its use is written down gives nothing', async (t) => {
  const around = await world(t, {
    async putIf(key, body, etag) {
      if (key.startsWith('downloads/')) await revokeDownload(around.id, SENT, around.objects)
      return around.objects.putIf(key, body, etag)
    },
  })
  const response = await around.visit('POST')
  assert.equal(response.status, 410)
  assert.match(await response.text(), /It was ended/)
  assert.equal(await around.uses(), 0)
})

test('whichever request to the store fails, nothing is given, and what was counted was written down first', async (t) => {
  let left = Infinity
  const failing = <T>(effect: () => T): T => {
    left -= 1
    if (left === 0) throw new StoreError('Cannot reach the store')
    return effect()
  }
  const around = await world(t, {
    get: async (key) => failing(() => around.objects.get(key)),
    putIf: async (key, body, etag) => failing(() => around.objects.putIf(key, body, etag)),
    list: (prefix, after) => failing(() => around.objects.list(prefix, after)),
  })
  const location = (await around.visit('POST')).headers.get('location') ?? ''
  for (const [method, path] of [
    ['GET', undefined],
    ['POST', undefined],
    ['GET', `/d/${location}`],
  ] as const) {
    let requests = 0
    for (let at = 1; ; at++) {
      left = at
      const before = await around.uses()
      const response = await around.visit(method, path)
      if (left > 0) break
      requests = at
      assert.equal(response.status, 503, `${method} with request ${at} failing`)
      assert.equal(response.headers.get('location'), null)
      assert.doesNotMatch(await response.text(), /%PDF|<form/)
      assert.equal(await around.uses(), before)
    }
    assert.ok(requests >= 6, `${method} asks ${requests} times`)
  }
})

test('whoever revokes while the button is pressed many times stops all that come after', async (t) => {
  const { objects, id, visit, uses } = await world(t)
  const first = Array.from({ length: 5 }, () => visit('POST'))
  const revoked = revokeDownload(id, SENT, objects)
  const more = Array.from({ length: 5 }, () => visit('POST'))
  const answers = await Promise.all([...first, ...more])
  await revoked
  assert.deepEqual(
    [...new Set(answers.map(({ status }) => status))].filter((one) => one !== 303 && one !== 410),
    [],
  )
  assert.equal(await uses(), answers.filter(({ status }) => status === 303).length)
  assert.equal((await visit('POST')).status, 410)
  for (const answer of answers)
    if (answer.status === 303)
      assert.equal((await visit('GET', `/d/${answer.headers.get('location') ?? ''}`)).status, 410)
})

test('a report that is too large to be handed over is told before the button is there, and no press is counted', async (t) => {
  for (const [largest, status] of [
    [REPORT_PDF.length, 200],
    [REPORT_PDF.length - 1, 503],
  ] as const) {
    const { visit, uses } = await world(t, {}, largest)
    const page = await visit('GET')
    assert.equal(page.status, status)
    assertTellsNobody(page)
    assert.equal(/<form/.test(await page.text()), status === 200)
    assert.equal((await visit('POST')).status, status === 200 ? 303 : 503)
    assert.equal(await uses(), status === 200 ? 1 : 0)
  }
})

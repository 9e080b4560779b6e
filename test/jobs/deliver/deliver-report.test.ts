import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import PostalMime from 'postal-mime'
import { addChannel } from '../../../lib/deliver/channel/channels.ts'
import { listDeliveries } from '../../../lib/deliver/send/claims.ts'
import { linkName, listDownloads } from '../../../lib/deliver/link/downloads.ts'
import { smtpMail } from '../../../lib/deliver/send/smtp.ts'
import { readRecipients } from '../../../lib/deliver/channel/recipients.ts'
import { deliverDue } from '../../../lib/jobs/mail/deliver-mails.ts'
import { readMailReport } from '../../../lib/jobs/mail/mail-report.ts'
import { type Objects, StoreError } from '../../../lib/store/objects/objects.ts'
import { REPORT_PDF, WEEK, keepPdf } from '../../support/deliver/kept-report.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { startMailServer } from '../../support/servers/mail-server.ts'
import { CHANNEL } from '../../support/deliver/mail-stories.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { documentKey } from '../../../lib/store/report-keys.ts'

const ADDED = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }
const DUE = Date.parse('2026-11-23T07:00:00Z')
const BOTH = { hasDownloads: true, attachesPdf: true } as const

/** A store with a channel of two, a server of mail, and runs of `deliver` with what the server took of each. */
async function world(t: TestContext, channel: Partial<Parameters<typeof addChannel>[0]> = BOTH) {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  await addChannel({ id: 'grc', recipients: ['ada@example.com', 'bob@example.com'], ...channel }, ADDED, objects)
  const server = await startMailServer()
  t.after(() => server.close())
  const send = smtpMail({
    host: 'localhost',
    port: server.port,
    tls: 'starttls',
    user: null,
    password: null,
    ca: server.ca,
  })
  const deliver = async (
    changes: { readonly url?: string | null; readonly objects?: Partial<Objects>; readonly minutes?: number } = {},
  ) => {
    const now = () => new Date(DUE + (changes.minutes ?? 0) * 60_000)
    const outcomes = await deliverDue(
      {
        at: now(),
        version: '0.1.0',
        url: changes.url === undefined ? 'https://ct.example.com' : changes.url,
        from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
      },
      { objects: { ...objects, ...changes.objects }, send, now },
    )
    assert.deepEqual(
      outcomes.map(({ problem }) => problem),
      [null],
    )
    const mails = await Promise.all(
      server.taken.map(async ({ to, message }) => ({ ...(await PostalMime.parse(message)), to, message })),
    )
    return mails.map((mail) => ({
      ...mail,
      links: [...new Set((mail.text ?? '').match(/https:\/\/ct\.example\.com\/d\/[^\s]*/g))],
    }))
  }
  return { held, objects, deliver }
}

test('each recipient gets a link of their own to the report of the week, and the report attached', async (t) => {
  const { held, objects, deliver } = await world(t)
  await keepPdf(objects)
  const mails = await deliver()
  assert.equal(mails.length, 2)
  const tokens: string[] = []
  for (const { text, html, links, attachments, message } of mails) {
    const [link = ''] = links
    assert.equal(links.length, 1)
    assert.match(link, /^https:\/\/ct\.example\.com\/d\/[A-Za-z0-9_-]{43}$/)
    assert.ok(html?.includes(`href="${link}"`))
    assert.equal(html?.match(/\/d\//g)?.length, 1)
    assert.match(text ?? '', /works until Wed 23 Dec 2026 07:00\. Whoever has this mail has it, too: do not forward it/)
    assert.match(text ?? '', /The report is attached as a PDF of 31 B\./)
    assert.deepEqual(
      attachments.map(({ filename, mimeType, disposition }) => [filename, mimeType, disposition]),
      [['ciphertrail-2026-W47.pdf', 'application/pdf', 'attachment']],
    )
    const [content] = attachments.map((one) => one.content)
    assert.ok(content instanceof ArrayBuffer)
    assert.deepEqual(Buffer.from(content), REPORT_PDF)
    assert.match(message.toString('latin1'), /^[\t\r\n -~]*$/)
    tokens.push(link.split('/').at(-1) ?? '')
  }
  assert.equal(new Set(tokens).size, 2)

  // Nothing that is kept, by name or by content, holds what stands in the mails.
  for (const [key, body] of held)
    for (const token of tokens) assert.ok(!`${key} ${Buffer.from(body).toString('latin1')}`.includes(token), key)
  const { downloads } = await listDownloads(objects)
  const recipients = await readRecipients(objects)
  assert.deepEqual(
    new Set(downloads.map(({ recipient }) => recipients.get(recipient))),
    new Set(['ada@example.com', 'bob@example.com']),
  )
  assert.deepEqual([...new Set(downloads.map(({ expiresAt }) => expiresAt))], ['2026-12-23T07:00:00Z'])

  // That a mail brought a link stays with the mail, once the link is not kept any more.
  const kept = async () => {
    const named: string[] = []
    for await (const { recipient, link } of listDeliveries('week', new Date(DUE), objects))
      named.push(`${recipient} ${link ?? ''}`)
    return named.toSorted()
  }
  const named = downloads.map(({ recipient, id }) => `${recipient} ${linkName(id)}`).toSorted()
  assert.deepEqual(await kept(), named)

  const { ask, logged } = await startApi(t, { objects, now: () => new Date(DUE) })
  for (const { links, to } of mails) {
    const path = new URL(links[0] ?? '').pathname
    const file = await ask(path, { method: 'POST', headers: { authorization: '' } })
    // `fetch` has followed to the bytes.
    assert.deepEqual([file.status, Buffer.from(await file.arrayBuffer())], [200, REPORT_PDF])
    assert.equal(recipients.get(logged.at(-1)?.subject ?? ''), to)
  }
  assert.ok(tokens.every((token) => !JSON.stringify(logged).includes(token)))
})

test('a channel that did not ask for it gives nothing of the report away', async (t) => {
  const { held, objects, deliver } = await world(t, {})
  await keepPdf(objects)
  for (const { text, links, attachments } of await deliver()) {
    assert.deepEqual([links, attachments], [[], []])
    assert.doesNotMatch(text ?? '', /attached|Download/)
  }
  assert.deepEqual(
    [...held.keys()].filter((key) => key.startsWith('downloads/')),
    [],
  )
})

test('a mail says why it is without the report, and has no link to what is not there', async (t) => {
  const { objects, deliver, held } = await world(t)
  // Neither that of the week before, nor one of which only the record is here.
  await keepPdf(objects, { ...WEEK, from: '2026-11-09T00:00:00Z', to: WEEK.from, label: 'Week 2026-W46' })
  const report = await keepPdf(objects)
  held.delete(documentKey(report, 'report.pdf'))
  for (const { text, links, attachments } of await deliver()) {
    assert.deepEqual([links, attachments], [[], []])
    assert.match(text ?? '', /not kept yet, so this mail is without a link to it and without an attachment of it/)
  }
  assert.equal((await listDownloads(objects)).downloads.length, 0)
})

test('a report that is not the one that was recorded is neither attached nor linked', async (t) => {
  const { held, objects, deliver } = await world(t)
  const report = await keepPdf(objects)
  held.set(documentKey(report, 'report.pdf'), Buffer.from('%PDF all was encrypted'))
  for (const { text, links, attachments, message } of await deliver()) {
    assert.deepEqual([links, attachments], [[], []])
    assert.match(text ?? '', /is not the one that was recorded when it was made, so this mail is without a link/)
    assert.doesNotMatch(message.toString('latin1'), /JVBER/)
  }
})

test('a report of another time zone is given as that, and one that is too large is linked alone', async (t) => {
  const { objects, deliver } = await world(t, { ...BOTH, timeZone: 'Europe/Berlin' })
  await keepPdf(objects, WEEK, Buffer.alloc(5_000_001, '%PDF'))
  for (const { text, links, attachments, message } of await deliver()) {
    assert.deepEqual([links.length, attachments], [1, []])
    assert.match(text ?? '', /The report is not attached: its PDF of 5\.0 MB is more than/)
    assert.match(text ?? '', /of the same week in UTC, where it was Mon 16 Nov 00:00 to Mon 23 Nov 00:00/)
    assert.ok(message.length < 80_000)
  }
})

test('a channel of plain text has the link and the report, too, and one without pages only the report', async (t) => {
  const { objects, deliver } = await world(t, { ...BOTH, format: 'text', recipients: ['ada@example.com'] })
  await keepPdf(objects)
  const [mail] = await deliver()
  assert.deepEqual([mail?.html, mail?.links.length, mail?.attachments.length], [undefined, 1, 1])

  const closed = await world(t)
  await keepPdf(closed.objects)
  for (const { text, links, attachments } of await closed.deliver({ url: null })) {
    assert.deepEqual([links.length, attachments.length], [0, 1])
    assert.match(text ?? '', /There is no link to the report, since/)
  }
  assert.equal((await listDownloads(closed.objects)).downloads.length, 0)
})

test('where a link cannot be written down no mail goes, and it goes with the next try', async (t) => {
  const { objects, deliver } = await world(t)
  await keepPdf(objects)
  const putIf: Objects['putIf'] = (key, body, etag) =>
    key.startsWith('downloads/')
      ? Promise.reject(new StoreError('Cannot write: the disk is full'))
      : objects.putIf(key, body, etag)
  assert.deepEqual(await deliver({ objects: { putIf } }), [])
  const told = []
  for await (const { status, detail } of listDeliveries('week', new Date(DUE), objects)) told.push([status, detail])
  const failed = ['failed', 'a link cannot be made: Cannot write: the disk is full']
  assert.deepEqual(told, [failed, failed])
  assert.equal((await deliver({ minutes: 6 })).length, 2)
  assert.equal((await deliver({ minutes: 12 })).length, 2)
})

test('a channel of a part gets nothing of the report, whatever is recorded of it', async () => {
  const objects = memoryObjects()
  await keepPdf(objects)
  const read = (filter: Partial<typeof CHANNEL>) =>
    readMailReport(
      {
        channel: { ...CHANNEL, downloadsSince: '2026-11-20T00:00:00Z', attachesPdf: true, ...filter },
        period: WEEK,
        now: new Date(DUE),
        hasPages: true,
      },
      objects,
    )
  assert.equal((await read({})).attachments.length, 1)
  for (const filter of [{ clusters: ['prod'] }, { namespaces: ['bank'] }])
    assert.deepEqual(await read(filter), { offer: null, download: null, attachments: [] })
})

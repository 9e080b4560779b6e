import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import PostalMime from 'postal-mime'
import { addChannel, readChannels } from '../../../lib/deliver/channel/channels.ts'
import { listDeliveries } from '../../../lib/deliver/send/claims.ts'
import { NotSentError, withoutAddress } from '../../../lib/deliver/send/send.ts'
import { mailByEnvironment, MailSettingsError, readMailSettings } from '../../../lib/deliver/send/settings.ts'
import { smtpMail } from '../../../lib/deliver/send/smtp.ts'
import { readSuppressions, suppress } from '../../../lib/deliver/channel/suppressions.ts'
import { readRecipients } from '../../../lib/deliver/channel/recipients.ts'
import { deliverDue } from '../../../lib/jobs/mail/deliver-mails.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { parseNdjson, run } from '../../support/process/command-line.ts'
import { freshStore } from '../../support/stored/fresh-store.ts'
import { type MailServer, type MailServerOptions, startMailServer } from '../../support/servers/mail-server.ts'
import { freshFolder } from '../../support/recorder.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const ADDED = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }
const DUE = Date.parse('2026-11-23T07:00:00Z')
const FROM = { name: 'ciphertrail', address: 'ciphertrail@example.com' }

async function mailServer(t: TestContext, options: MailServerOptions = {}): Promise<MailServer> {
  const server = await startMailServer(options)
  t.after(() => server.close())
  return server
}

const smtpOf = ({ port, ca }: MailServer, more: Partial<Parameters<typeof smtpMail>[0]> = {}) =>
  smtpMail({ host: 'localhost', port, tls: 'starttls', user: null, password: null, ca, ...more })

const deliver = (server: MailServer, objects: Objects, minutes = 0) => {
  const now = () => new Date(DUE + minutes * 60_000)
  return deliverDue(
    { at: now(), version: '0.1.0', url: 'https://ct.example.com', from: FROM },
    { objects, send: smtpOf(server), now },
  )
}

/** Who was told how of which channel. */
async function told(objects: Objects, minutes = 0): Promise<readonly string[]> {
  const recipients = await readRecipients(objects)
  const lines: string[] = []
  for await (const one of listDeliveries('week', new Date(DUE + minutes * 60_000), objects))
    lines.push(
      `${one.channel} ${recipients.get(one.recipient) ?? ''} ${one.status}${one.retryAt === null ? '' : ' (again)'}`,
    )
  return lines.toSorted((a, b) => (a < b ? -1 : 1))
}

async function twoChannels(objects: Objects): Promise<void> {
  await addChannel({ id: 'one', recipients: ['ada@example.com', 'bob@example.com'] }, ADDED, objects)
  await addChannel(
    { id: 'two', recipients: ['bob@example.com', 'eve@example.com'], timeZone: 'Europe/Berlin' },
    ADDED,
    objects,
  )
}

test('runs that race and repeat give each recipient of two channels each mail once, over TLS', async (t) => {
  const objects = await freshStore(t)
  const server = await mailServer(t)
  await twoChannels(objects)
  assert.deepEqual(
    (await deliver(server, objects, -61)).map(({ week }) => week),
    [null, null],
  )
  await Promise.all([deliver(server, objects), deliver(server, objects), deliver(server, objects)])
  await deliver(server, objects, 30)
  await deliver(server, objects, 6 * 24 * 60)
  const mails = await Promise.all(
    server.taken.map(async ({ to, message, isEncrypted }) => {
      assert.ok(isEncrypted)
      const { headers, subject, to: shown } = await PostalMime.parse(message)
      assert.deepEqual(
        shown?.map(({ address }) => address),
        [to],
      )
      assert.match(subject ?? '', /^no data: no cluster is registered \((one|two), week 47\)$/)
      const link = headers.find(({ key }) => key === 'list-unsubscribe')?.value ?? ''
      return [`${/ \((\w+), week \d+\)$/.exec(subject ?? '')?.[1] ?? ''} ${to}`, link] as const
    }),
  )
  assert.deepEqual(
    mails.map(([mail]) => mail).toSorted((a, b) => (a < b ? -1 : 1)),
    ['one ada@example.com', 'one bob@example.com', 'two bob@example.com', 'two eve@example.com'],
  )
  assert.equal(new Set(mails.map(([, link]) => link)).size, 4, 'everybody has a link of their own')
  for (const [, link] of mails) assert.doesNotMatch(link, /example\.com%40|@/)
  assert.ok((await told(objects)).every((line) => line.endsWith(' sent')))
  await deliver(server, objects, 7 * 24 * 60)
  assert.equal(server.taken.length, 8, 'the next week has mails of its own')
})

test('what a server refuses is tried again where that helps, and what is cut off is not known and never sent again', async (t) => {
  const objects = await freshStore(t)
  const server = await mailServer(t, {
    mannerOf: (to, time) => {
      switch (to) {
        case 'busy@example.com':
          return time < 2 ? { code: 451, at: 'rcpt' } : 'take'
        case 'full@example.com':
          return time === 0 ? { code: 452, at: 'data' } : 'take'
        case 'nobody@example.com':
          return { code: 550, at: 'rcpt' }
        case 'cut@example.com':
          return 'cut-before'
        case 'lost@example.com':
          return 'cut-after'
        default:
          return 'take'
      }
    },
  })
  const names = ['busy', 'full', 'nobody', 'cut', 'lost', 'well']
  await addChannel({ id: 'one', recipients: names.map((name) => `${name}@example.com`) }, ADDED, objects)
  const [first] = await deliver(server, objects)
  assert.equal(first?.tried.length, 6)
  for (const { detail } of first.tried) assert.doesNotMatch(detail ?? '', /@/)
  assert.deepEqual(await told(objects), [
    'one busy@example.com failed (again)',
    'one cut@example.com unknown',
    'one full@example.com failed (again)',
    'one lost@example.com unknown',
    'one nobody@example.com failed',
    'one well@example.com sent',
  ])
  assert.equal(first.unknown, 0, 'before it')
  for (const minutes of [1, 6, 7, 40, 600, 5000]) {
    const [{ unknown } = assert.fail()] = await deliver(server, objects, minutes)
    assert.equal(unknown, 2)
  }
  assert.deepEqual(
    (await told(objects)).filter((line) => !line.endsWith(' sent')),
    ['one cut@example.com unknown', 'one lost@example.com unknown', 'one nobody@example.com failed'],
  )
  const counts = Map.groupBy(server.taken, ({ to }) => to)
  assert.deepEqual(
    [...counts.values()].map((mails) => mails.length),
    [1, 1, 1, 1],
  )
})

test('whom a server says nobody has is silenced at once, told in the next mail and not tried again; what it says of others silences nobody', async (t) => {
  const objects = await freshStore(t)
  const server = await mailServer(t, {
    mannerOf: (to) => {
      switch (to) {
        case 'gone@example.com':
          return { code: 550, enhanced: '5.1.1', at: 'rcpt' }
        case 'plain@example.com':
          return { code: 550, at: 'rcpt' }
        case 'policy@example.com':
          return { code: 550, enhanced: '5.7.1', at: 'rcpt' }
        case 'domain@example.com':
          return { code: 550, enhanced: '5.1.2', at: 'rcpt' }
        // Of the message, whatever the number says.
        case 'data@example.com':
          return { code: 550, enhanced: '5.1.1', at: 'data' }
        case 'later@example.com':
          return { code: 450, enhanced: '4.1.1', at: 'rcpt' }
        default:
          return 'take'
      }
    },
  })
  const names = ['gone', 'plain', 'policy', 'domain', 'data', 'later', 'well']
  await addChannel({ id: 'one', recipients: names.map((name) => `${name}@example.com`) }, ADDED, objects)
  await addChannel({ id: 'two', recipients: ['gone@example.com'] }, ADDED, objects)
  await deliver(server, objects)
  assert.deepEqual(
    (await told(objects)).filter((line) => line.startsWith('one')),
    [
      'one data@example.com failed',
      'one domain@example.com failed',
      'one gone@example.com bounced',
      'one later@example.com failed (again)',
      'one plain@example.com failed',
      'one policy@example.com failed',
      'one well@example.com sent',
    ],
  )
  const recipients = await readRecipients(objects)
  assert.deepEqual(
    (await readSuppressions(objects)).map(({ recipient, ...rest }) => [recipients.get(recipient), rest]),
    [['gone@example.com', { channel: null, reason: 'bounced', at: '2026-11-23T07:00:00Z' }]],
  )
  const next = await deliver(server, objects, 7 * 24 * 60)
  matchesText(
    next.map(({ tried, suppressed, problem }) => [tried.length, suppressed.bounced, problem?.split(';')[0] ?? null]),
    [
      [6, 1, null],
      [0, 1, TEXT],
    ],
  )
  const { text } = await PostalMime.parse(server.taken.at(-1)?.message ?? '')
  matchesText(text)
})

test('a server without TLS, with another certificate or away is told as such, and nothing was sent', async (t) => {
  const plain = await mailServer(t, { hasTls: false })
  const other = await mailServer(t)
  const envelope = {
    from: FROM.address,
    to: 'ada@example.com',
    message: Buffer.from('Subject: x\r\n\r\nx\r\n'),
    tags: { kind: 'week', period: '2026-W47', channel: 'a', recipient: 'b' } as const,
  }
  for (const send of [
    smtpOf(plain),
    smtpOf({ ...other, ca: plain.ca }),
    smtpOf({ ...other, port: 1 }),
    smtpOf(other, { user: 'ada', password: 'wrong-secret' }),
  ])
    await assert.rejects(send(envelope), (error) => {
      assert.ok(error instanceof NotSentError, String(error))
      assert.equal(error.refusal, 'for-now')
      assert.doesNotMatch(error.message, /wrong-secret|\n/)
      return true
    })
  assert.equal(plain.taken.length + other.taken.length, 0)
})

test('withoutAddress() leaves no address in what a server said, in whatever letters', () => {
  matchesText(
    withoutAddress('550 <Ada@Example.COM>: no; failed in EU: ciphertrail@example.com, eve@x.org.', 'ada@example.com'),
  )
})

test('whoever unsubscribed or whose mail came back gets none, of that channel or of any', async (t) => {
  const objects = await freshStore(t)
  const server = await mailServer(t)
  await twoChannels(objects)
  const [one, two] = await readChannels(objects)
  const recipients = await readRecipients(objects)
  const pseudonym = (address: string) => [...recipients].find(([, known]) => known === address)?.[0] ?? ''
  await suppress(
    { recipient: pseudonym('bob@example.com'), channel: 'one', reason: 'unsubscribed' },
    ADDED.now,
    objects,
  )
  await suppress({ recipient: pseudonym('eve@example.com'), channel: null, reason: 'bounced' }, ADDED.now, objects)
  const outcomes = await deliver(server, objects)
  assert.deepEqual(
    outcomes.map(({ suppressed }) => suppressed),
    [
      { unsubscribed: 1, bounced: 0, complained: 0 },
      { unsubscribed: 0, bounced: 1, complained: 0 },
    ],
  )
  assert.deepEqual(
    server.taken.map(({ to }) => to),
    ['ada@example.com', 'bob@example.com'],
  )
  assert.ok(one && two)
  const { text } = await PostalMime.parse(server.taken[0]?.message ?? '')
  matchesText(text)
})

test('a channel of which nobody is left to get mail is a problem each time, and keeps no other from its mail', async (t) => {
  const objects = await freshStore(t)
  const server = await mailServer(t)
  await addChannel({ id: 'one', recipients: ['ada@example.com', 'bob@example.com'] }, ADDED, objects)
  await addChannel({ id: 'two', recipients: ['eve@example.com'] }, ADDED, objects)
  const [one] = await readChannels(objects)
  for (const recipient of one?.recipients ?? [])
    await suppress({ recipient, channel: null, reason: 'complained' }, ADDED.now, objects)
  const settled = new Set<string>()
  for (let time = 0; time < 2; time++) {
    const now = () => new Date(DUE)
    const outcomes = await deliverDue(
      { at: now(), version: '0.1.0', url: null, from: FROM },
      { objects, send: smtpOf(server), now, settled },
    )
    assert.deepEqual(
      outcomes.map(({ channel, problem }) => [channel, problem?.split(';')[0] ?? null]),
      [
        ['one', 'nobody is left who gets its mail: 2 called it unwanted'],
        ['two', null],
      ],
    )
  }
  assert.deepEqual(
    server.taken.map(({ to }) => to),
    ['eve@example.com'],
  )
})

test('readMailSettings() says what is wrong with a settings file, and never quotes a password', async (t) => {
  const folder = freshFolder(t)
  const file = join(folder, 'mail.json')
  const read = (content: unknown) => {
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
    return readMailSettings(file)
  }
  const good = { from: 'ciphertrail@example.com', host: 'smtp.example.com' }
  assert.deepEqual(await read(good), {
    from: FROM,
    host: 'smtp.example.com',
    port: 587,
    tls: 'starttls',
    user: null,
    password: null,
    ca: null,
  })
  writeFileSync(join(folder, 'secret'), 'hunter2\n')
  assert.deepEqual(await read({ ...good, tls: 'implicit', user: 'x', passwordFile: join(folder, 'secret') }), {
    from: FROM,
    host: 'smtp.example.com',
    port: 465,
    tls: 'implicit',
    user: 'x',
    password: 'hunter2',
    ca: null,
  })
  assert.deepEqual(await read({ from: FROM.address, ses: { region: 'eu-central-1' } }), {
    from: FROM,
    ses: { region: 'eu-central-1', configurationSet: null },
  })
  for (const content of [
    '{"password": "hunter2"',
    { ...good, password: 'hunter2' },
    { ...good, user: 'x', password: 'hunter2', tls: 'none' },
    { ...good, tls: 'none' },
    { ...good, hots: 'x' },
    { from: FROM.address, hots: 'x' },
    { ...good, 'a\u001b[31m': 'x' },
    [],
    { host: 'smtp.example.com' },
    { from: FROM.address },
    { ...good, tls: 'no' },
    { from: FROM.address, ses: { region: 'eu-central-1', key: 'hunter2' } },
    { ...good, from: 'x' },
    { ...good, fromName: 'x\r\nBcc: eve@example.com' },
    { ...good, caFile: join(folder, 'none.pem') },
    { ...good, port: 0 },
    { from: FROM.address, ses: { region: 'here' } },
    { ...good, ses: { region: 'eu-central-1' } },
  ] as const)
    await assert.rejects(read(content), (error) => {
      assert.ok(error instanceof MailSettingsError)
      matchesText(error.message)
      assert.doesNotMatch(error.message, /hunter2/)
      return true
    })
})

test('mailByEnvironment() takes what a function is given by the same rules, names the variable that is wrong, and quotes no address', () => {
  const given = {
    mailFrom: FROM.address,
    mailFromName: undefined,
    configurationSet: 'ciphertrail-prod',
    region: 'eu-central-1',
    url: 'https://ct.example.com/pages/',
  }
  assert.deepEqual(mailByEnvironment(given), {
    from: FROM,
    ses: { region: 'eu-central-1', configurationSet: 'ciphertrail-prod' },
    url: 'https://ct.example.com/pages',
  })
  assert.deepEqual(mailByEnvironment({ ...given, mailFromName: 'mTLS', configurationSet: undefined, url: undefined }), {
    from: { ...FROM, name: 'mTLS' },
    ses: { region: 'eu-central-1', configurationSet: null },
    url: null,
  })
  assert.equal(mailByEnvironment({ ...given, mailFrom: undefined, region: undefined }), null)
  for (const wrong of [
    { mailFrom: 'ada@@example.com' },
    { mailFromName: 'x\r\nBcc: eve@example.com' },
    { configurationSet: 'a b' },
    { region: undefined },
    { url: 'https://user:hunter2@ct.example.com' },
  ] as const)
    assert.throws(
      () => mailByEnvironment({ ...given, ...wrong }),
      (error) => {
        assert.ok(error instanceof MailSettingsError)
        matchesText(error.message)
        assert.doesNotMatch(error.message, /ada|eve|hunter2|\n/)
        return true
      },
    )
})

/** A folder with settings of mail that lead to a server. */
function settingsFor(server: MailServer, folder: string): void {
  writeFileSync(join(folder, 'ca.pem'), server.ca)
  writeFileSync(
    join(folder, 'mail.json'),
    JSON.stringify({
      from: FROM.address,
      host: 'localhost',
      port: server.port,
      user: 'ct',
      password: 'secret',
      caFile: 'ca.pem',
    }),
  )
}

test('ciphertrail deliver sends what is due, and deliveries lists it', async (t) => {
  const folder = freshFolder(t)
  const server = await mailServer(t, {
    user: { name: 'ct', password: 'secret' },
    mannerOf: (to) => (to.startsWith('nobody') ? { code: 550, enhanced: '5.1.1', at: 'rcpt' } : 'take'),
  })
  settingsFor(server, folder)
  await run(['channel', 'add', 'one', '--to', 'ada@example.com', '--to', 'nobody@example.com'], { folder })
  const env = { CIPHERTRAIL_MAIL: 'mail.json' }
  const none = await run(['deliver', '--now', '2020-01-01T00:00:00Z'], { folder, env })
  matchesText([none.code, none.stdout], [0, TEXT])
  // Far enough for a channel that was added just now, whenever that is.
  const now = ['--now', '2099-01-05T12:00:00Z']
  const sent = await run(['deliver', ...now], { folder, env })
  assert.equal(sent.code, 1, sent.stderr)
  assert.match(
    sent.stdout,
    /^one: week 2098-W\d\d|^one: week 2099-W01, 1 sent, 1 bounced\n {2}r[0-9a-f]{32} bounced: Can't send mail - all recipients were rejected: 550 5\.1\.1 /,
  )
  assert.equal(server.taken.length, 1)
  const again = await run(['deliver', ...now, '--json'], { folder, env })
  assert.deepEqual(parseNdjson(again.stdout)[0]?.['tried'], [])
  const listed = parseNdjson((await run(['deliveries', ...now, '--json'], { folder })).stdout)
  assert.deepEqual(listed.map(({ address, status }) => `${String(address)} ${String(status)}`).toSorted(), [
    'ada@example.com sent',
    'nobody@example.com bounced',
  ])
  const bounced = await run(['deliveries', '--status', 'bounced', ...now], { folder })
  assert.match(bounced.stdout, /^WEEK +CHANNEL +TO +STATUS +AT +TRIES +DETAIL\n\S+ +one +nobody@example\.com +bounced /)
  const checkedChannel = await run(['channel', 'check', 'one'], { folder })
  matchesText(checkedChannel.stdout)
  assert.match((await run(['channel', 'list', '--json'], { folder })).stdout, /"bounced"/)
  const unknown = await run(['deliveries', '--status', 'unknown', ...now], { folder })
  matchesText([unknown.code, unknown.stdout, unknown.stderr], [0, '', TEXT])
  const alerts = await run(['deliveries', '--kind', 'alert', '--channel', 'one', ...now], { folder })
  matchesText([alerts.code, alerts.stderr], [0, TEXT])
  await run(['key', 'new', 'example.com/log', '--key', 'log.key'], { folder })
  await run(['seal', '--key', 'log.key'], { folder })
  const checked = await run(['log', 'check'], { folder })
  assert.equal(checked.code, 0, `claims are known to whoever checks a store: ${checked.stdout}${checked.stderr}`)
  for (const args of [
    ['deliver'],
    ['deliver', '--mail', 'none.json'],
    ['deliver', '--mail', 'mail.json', '--channel', 'two'],
    ['deliveries', '--status', 'lost'],
    ['deliveries', '--week', '2026-W60'],
    ['deliveries', '--week', 'last'],
    ['deliveries', '--kind', 'alert', '--week', '2026-W47'],
  ] as const) {
    const { code, stderr } = await run([...args], { folder })
    assert.equal(code, 2)
    matchesText(stderr, TEXT, args)
  }
})

test('ciphertrail deliver says with each run to how many a mail may or may not have gone, which fails the run in which it happens', async (t) => {
  const folder = freshFolder(t)
  const server = await mailServer(t, {
    user: { name: 'ct', password: 'secret' },
    mannerOf: (to) => (to.startsWith('lost') ? 'cut-after' : 'take'),
  })
  settingsFor(server, folder)
  await run(['channel', 'add', 'one', '--to', 'ada@example.com', '--to', 'lost@example.com'], { folder })
  const deliver = (...args: string[]) =>
    run(['deliver', '--now', '2099-01-05T12:00:00Z', ...args], { folder, env: { CIPHERTRAIL_MAIL: 'mail.json' } })
  const first = await deliver()
  assert.equal(first.code, 1, first.stderr)
  matchesText(first.stdout)
  const second = await deliver()
  assert.deepEqual([second.code, second.stderr], [0, ''])
  matchesText(second.stdout)
  assert.equal(parseNdjson((await deliver('--json')).stdout)[0]?.['unknown'], 1)
})

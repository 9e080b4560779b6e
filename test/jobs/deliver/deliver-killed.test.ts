import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import PostalMime from 'postal-mime'
import { readAlerts } from '../../../lib/deliver/alert/alert-state.ts'
import { addChannel, readChannels } from '../../../lib/deliver/channel/channels.ts'
import { listDeliveries } from '../../../lib/deliver/send/claims.ts'
import { readRecipients } from '../../../lib/deliver/channel/recipients.ts'
import { smtpMail } from '../../../lib/deliver/send/smtp.ts'
import { alertDue } from '../../../lib/jobs/alert-channels.ts'
import { deliverDue } from '../../../lib/jobs/mail/deliver-mails.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { addCluster } from '../../../lib/store/registry/registry.ts'
import { drawer } from '../../support/stored/interleaving.ts'
import { startMailServer } from '../../support/servers/mail-server.ts'
import { freshFolder } from '../../support/recorder.ts'
import { DELIVERY_KINDS } from '../../../lib/store/delivery-keys.ts'

const STORIES = 12
const SEED = Number(process.env['PROPERTY_SEED'] ?? 20_261_124)
const ADDED = { now: new Date('2026-11-20T00:00:00Z'), by: 'test' }
const DUE = Date.parse('2026-11-23T07:00:00Z')
const FROM = { name: 'ciphertrail', address: 'ciphertrail@example.com' }
const CHILD = fileURLToPath(new URL('deliver-kill-child.ts', import.meta.url))

test(`${STORIES} stories of processes that send over SMTP and are killed, by themselves at any step or when the server hears whom a mail is for: each mail and each alert comes at most once and to its own recipients, and what is uncertain is listed`, async (t) => {
  let [killed, sent, unknown] = [0, 0, 0]
  for (let index = 0; index < STORIES; index++) {
    const seed = SEED + index
    const draw = drawer(seed)
    const folder = freshFolder(t)
    const running = new Set<ChildProcess>()
    const server = await startMailServer({
      mannerOf: () => {
        const drawn = draw(12)
        // The process that speaks, or the one beside it.
        if (drawn === 0) [...running][draw(running.size)]?.kill('SIGKILL')
        return drawn === 1 ? { code: 451, at: 'rcpt' } : drawn === 2 ? 'cut-after' : 'take'
      },
    })
    const certificate = join(folder, 'ca.pem')
    writeFileSync(certificate, server.ca)
    const directory = join(folder, 'store')
    const objects = directoryObjects(directory)
    await addCluster({ id: 'west', windowMinutes: 60 }, ADDED, { objects })
    await addChannel({ id: 'one', recipients: ['ada@example.com', 'bob@example.com'] }, ADDED, objects)
    await addChannel({ id: 'two', recipients: ['bob@example.com', 'eve@example.com'] }, ADDED, objects)

    const begin = async (minutes: number): Promise<void> => {
      const step = 1 + draw(120)
      const child = spawn(process.execPath, [CHILD, directory, `${server.port}`, certificate, `${minutes}`, `${step}`])
      running.add(child)
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
      running.delete(child)
      assert.ok(code === 0 || signal === 'SIGKILL', `seed ${seed}: ${code}`)
      if (signal !== null) killed += 1
    }
    await Promise.all([begin(0), begin(0)])
    await begin(16)

    // Much later one that nobody disturbs sends whatever is left.
    for (const minutes of [40, 130, 460]) {
      const now = () => new Date(DUE + minutes * 60_000)
      const mail = {
        from: FROM,
        send: smtpMail({
          host: 'localhost',
          port: server.port,
          tls: 'starttls',
          user: null,
          password: null,
          ca: server.ca,
        }),
      }
      const nowhere = (): Promise<never> => Promise.reject(new Error('no place is told'))
      await deliverDue({ at: now(), version: '0.1.0', url: null, from: FROM }, { objects, send: mail.send, now })
      await alertDue({ at: now(), url: null }, { objects, now, mail, post: nowhere, publish: nowhere })
    }
    await server.close()

    const recipients = await readRecipients(objects)
    const channels = await readChannels(objects)
    const seen = new Set<string>()
    for (const { to, message } of server.taken) {
      const { headers, messageId = '', to: shown } = await PostalMime.parse(message)
      const listId = headers.find(({ key }) => key === 'list-id')?.value ?? ''
      const channel = channels.find(({ id }) => listId.startsWith(`<${id}.`))
      assert.ok(
        channel?.recipients.some((one) => recipients.get(one) === to),
        `seed ${seed}: ${to} got one of ${listId}`,
      )
      assert.deepEqual(
        shown?.map(({ address }) => address),
        [to],
      )
      assert.ok(!seen.has(messageId), `seed ${seed}: ${to} got a mail twice`)
      seen.add(messageId)
    }
    const statuses: string[] = []
    for (const kind of DELIVERY_KINDS)
      for await (const { status } of listDeliveries(kind, new Date(DUE + 1000 * 60_000), objects)) statuses.push(status)
    const notices = await Promise.all(
      channels.map(async (channel) => (await readAlerts(channel, objects)).state.sequence),
    )
    assert.deepEqual(notices, [1, 1], `seed ${seed}: one decides`)
    assert.equal(statuses.length, 8, `seed ${seed}: somebody was not thought of`)
    const count = (wanted: string): number => statuses.filter((status) => status === wanted).length
    assert.equal(count('sent') + count('unknown'), 8, `seed ${seed}: ${statuses.join(', ')}`)
    assert.ok(
      count('sent') <= seen.size && seen.size <= 8,
      `seed ${seed}: ${count('sent')} are called sent, ${seen.size} came`,
    )
    sent += count('sent')
    unknown += count('unknown')
  }
  assert.ok(
    killed > STORIES && sent > 4 * STORIES && unknown >= STORIES / 2,
    `${killed} killed, ${sent} sent, ${unknown} unknown`,
  )
  t.diagnostic(`${killed} processes were killed, ${sent} mails are known to be sent, ${unknown} are not known`)
})

import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { addChannel, readChannels } from '../../../lib/deliver/channel/channels.ts'
import { type Delivery, listDeliveries } from '../../../lib/deliver/send/claims.ts'
import { downloadIdOf, readDownload } from '../../../lib/deliver/link/downloads.ts'
import { readRecipients } from '../../../lib/deliver/channel/recipients.ts'
import { type Envelope, NotSentError, type SendMail } from '../../../lib/deliver/send/send.ts'
import { deliverDue } from '../../../lib/jobs/mail/deliver-mails.ts'
import { type Actor, drawer, tell, type Telling } from '../../support/stored/interleaving.ts'
import { keepPdf } from '../../support/deliver/kept-report.ts'
import { type Gate, memoryObjects } from '../../support/stored/memory-objects.ts'

// Tells the stories of deliver.test.ts in a thread of its own; see test/support/process/thread.ts.

const ADDED = new Date('2026-11-20T00:00:00Z')
const DUE = Date.parse('2026-11-23T07:00:00Z')
const MINUTE = 60_000

/** What a server of mail took: nobody takes it back. */
type World = { readonly held: Map<string, Uint8Array>; readonly taken: Envelope[] }

/** A server that takes a message, says that it does not, or is cut off before or after it took it; and whoever sends may die at any of these. */
const serverOf =
  ({ taken }: World, gate: Gate, draw: (limit: number) => number): SendMail =>
  (envelope) => {
    const drawn = draw(8)
    if (drawn === 0)
      return gate({ member: 'get', key: 'smtp', size: 0 }, () => {
        throw new NotSentError('450 later', 'for-now')
      })
    if (drawn === 1)
      return gate({ member: 'get', key: 'smtp', size: 0 }, () => {
        throw new NotSentError('550 never', 'for-good')
      })
    return gate({ member: 'putIf', key: 'smtp', size: envelope.message.length }, () => {
      taken.push(envelope)
      if (drawn === 2) throw new Error('the connection was cut')
      return '250 taken'
    })
  }

/** A run; `isHasty`: one that sends first and writes it down then, as it must not be. */
const runner =
  (world: World, minutes: number, draw: (limit: number) => number, isHasty: boolean): Actor =>
  (gate) => {
    const objects = memoryObjects(world.held, gate)
    const send = serverOf(world, gate, draw)
    const now = () => new Date(DUE + minutes * MINUTE)
    const hasty = {
      ...objects,
      putIf: (key: string, body: Uint8Array, etag: string | null) =>
        key.startsWith('claims/') ? Promise.resolve('') : objects.putIf(key, body, etag),
    }
    return deliverDue(
      {
        at: now(),
        version: '0.1.0',
        url: 'https://ct.example.com',
        from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
      },
      { objects: isHasty ? hasty : objects, send, now },
    )
  }

let template: Map<string, Uint8Array> | undefined

/** Two channels with recipients in common, of which one is given links to the report. */
async function channels(): Promise<Map<string, Uint8Array>> {
  if (template === undefined) {
    const held = new Map<string, Uint8Array>()
    const objects = memoryObjects(held)
    const author = { now: ADDED, by: 'test' }
    await addChannel({ id: 'one', recipients: ['ada@example.com', 'bob@example.com'] }, author, objects)
    await addChannel(
      { id: 'two', recipients: ['bob@example.com', 'BOB@example.com', 'eve@example.com'], hasDownloads: true },
      author,
      objects,
    )
    await keepPdf(objects)
    template = held
  }
  return new Map(template)
}

type Story = Telling & { readonly seed: number; readonly world: World }

async function storyOf(seed: number, isHasty: boolean): Promise<Story> {
  const draw = drawer(seed)
  const world: World = { held: await channels(), taken: [] }
  // Some at the same time, some when a failure may be tried again, some when a claim counts as dead.
  const actors = Array.from({ length: 2 + draw(3) }, () =>
    runner(world, [0, 0, 6, 16, 30][draw(5)] ?? 0, draw, isHasty),
  )
  const fateOf = () => {
    const drawn = draw(60)
    return (['dies-before', 'dies-after', 'fails-before', 'fails-after'] as const)[drawn] ?? 'done'
  }
  return { seed, world, actors, draw, fateOf }
}

/** Fails where somebody got a mail twice or one of others, a link of others or one that anybody could find, or where what is written down is not what happened. */
async function check({ held, taken }: World): Promise<void> {
  const objects = memoryObjects(held)
  const recipients = await readRecipients(objects)
  const member = new Map(
    (await readChannels(objects)).map(({ id, recipients: own }) => [id, own.map((one) => recipients.get(one))]),
  )
  const tokens: { readonly to: string; readonly token: string }[] = []
  const mails = taken.map(({ to, message }) => {
    const text = Buffer.from(message).toString('latin1')
    const channel = /^List-Id: <([a-z]+)\./im.exec(text)?.[1] ?? ''
    assert.match(text, new RegExp(`^To: ${to.replaceAll('.', '\\.')}\r$`, 'm'))
    assert.ok(member.get(channel)?.includes(to), `${to} got a mail of "${channel}"`)
    const links = new Set(text.replaceAll('=\r\n', '').match(/\/d\/[A-Za-z0-9_-]{43}/g))
    assert.equal(links.size, channel === 'two' ? 1 : 0, `a mail of "${channel}" has ${links.size} links`)
    tokens.push(...[...links].map((link) => ({ to, token: link.slice(3) })))
    return `${channel} ${to}`
  })
  assert.equal(new Set(mails).size, mails.length, `somebody got a mail twice: ${mails.join(', ')}`)
  assert.equal(new Set(tokens.map(({ token }) => token)).size, tokens.length, 'a link stands in two mails')
  for (const { to, token } of tokens) {
    const download = await readDownload(downloadIdOf(token) ?? '', objects)
    assert.deepEqual([recipients.get(download?.recipient ?? ''), download?.channel], [to, 'two'])
    for (const [key, body] of held) assert.ok(!`${key} ${Buffer.from(body).toString('latin1')}`.includes(token), key)
  }
  const told = new Map<string, Delivery>()
  for await (const delivery of listDeliveries('week', new Date(DUE + 24 * 60 * MINUTE), objects))
    told.set(`${delivery.channel} ${recipients.get(delivery.recipient) ?? ''}`, delivery)
  for (const mail of mails)
    assert.ok(['sent', 'unknown'].includes(told.get(mail)?.status ?? 'none'), `${mail} is ${told.get(mail)?.status}`)
  for (const [mail, { status }] of told) {
    assert.notEqual(status, 'claimed', 'a day later nothing is still about to be sent')
    if (status === 'sent') assert.ok(mails.includes(mail), `${mail} is called sent`)
    if (status === 'failed') assert.ok(!mails.includes(mail), `${mail} is called failed`)
  }
}

/** After all of them, a run that nobody disturbs claims whatever is left. */
async function finish(world: World): Promise<void> {
  const gate: Gate = (_, effect) => Promise.resolve().then(effect)
  await runner(world, 12 * 60, () => 7, false)(gate)
  const objects = memoryObjects(world.held)
  let count = 0
  for await (const { status } of listDeliveries('week', new Date(DUE + 24 * 60 * MINUTE), objects)) {
    count += 1
    assert.notEqual(status, 'claimed')
  }
  assert.equal(count, 4, 'everybody of both channels was thought of')
}

/** How many stories went wrong, and the first of them. */
export type Told = {
  readonly wrong: number
  readonly first: string | undefined
  readonly mails: number
  readonly unknown: number
}

async function tellAll(firstSeed: number, count: number, isHasty: boolean): Promise<Told> {
  const stories = await Promise.all(Array.from({ length: count }, (_, index) => storyOf(firstSeed + index, isHasty)))
  let [wrong, mails, unknown] = [0, 0, 0]
  let first: string | undefined
  await tell(stories, async ({ seed, world }) => {
    try {
      await check(world)
      await finish(world)
      await check(world)
    } catch (error) {
      wrong += 1
      first ??= `seed ${seed}: ${String(error)}`
    }
    mails += world.taken.length
    for await (const { status } of listDeliveries('week', new Date(DUE + 24 * 60 * MINUTE), memoryObjects(world.held)))
      if (status === 'unknown') unknown += 1
  })
  return { wrong, first, mails, unknown }
}

const { seed, count, isHasty } = workerData as { seed: number; count: number; isHasty: boolean }
parentPort?.postMessage(await tellAll(seed, count, isHasty))

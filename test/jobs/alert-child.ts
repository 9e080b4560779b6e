import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { readAlerts } from '../../lib/deliver/alert/alert-state.ts'
import { endpointPseudonym } from '../../lib/deliver/alert/due-alerts.ts'
import { addChannel, readChannels } from '../../lib/deliver/channel/channels.ts'
import { type Delivery, listDeliveries } from '../../lib/deliver/send/claims.ts'
import { readRecipients } from '../../lib/deliver/channel/recipients.ts'
import { type Envelope, NotSentError } from '../../lib/deliver/send/send.ts'
import { alertDue } from '../../lib/jobs/alert-channels.ts'
import { readProgress, writeProgress } from '../../lib/seal/write/progress.ts'
import { vkeyKey } from '../../lib/store/log-keys.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { type Actor, drawer, tell, type Telling } from '../support/stored/interleaving.ts'
import { type Gate, memoryObjects } from '../support/stored/memory-objects.ts'

// Tells the stories of alert.test.ts in a thread of its own; see test/support/process/thread.ts.

const START = Date.parse('2026-11-24T00:00:00Z')
const at = (minutes: number): Date => new Date(START + minutes * 60_000)
/** When the last run of a story has tried all that may be tried again. */
const END = 44 * 60

const HOOK = 'https://hooks.example.com/ct'
const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:alerts'

/** Told to a place that is no person, as often as it came. */
type Told = { readonly place: string; readonly id: string; readonly body: string; readonly isTaken: boolean }

/** What servers took: nobody takes it back. */
type World = {
  readonly held: Map<string, Uint8Array>
  readonly taken: Envelope[]
  readonly told: Told[]
  /** Minutes at which the next actors begin: time goes on while others are at work. */
  readonly times: number[]
}

/** Whoever tells it may be refused for now or for good, or cut off before or after it was taken; and may die at any of these. */
function waysOf({ taken, told }: World, gate: Gate, draw: (limit: number) => number) {
  const request = { member: 'putIf', key: 'told', size: 0 } as const
  const telling = (place: string, id: string, body: string): Promise<string> => {
    const drawn = draw(6)
    return gate(request, () => {
      told.push({ place, id, body, isTaken: drawn > 2 })
      if (drawn === 0) throw new NotSentError('503 later', 'for-now')
      if (drawn === 1) throw new NotSentError('410 never', 'for-good')
      if (drawn === 2) throw new NotSentError('the connection was cut', 'for-now')
      return 'taken'
    })
  }
  return {
    post: ({ url }: { readonly url: string }, { id, body }: { readonly id: string; readonly body: string }) =>
      telling(url, id, body),
    publish: (topic: string, { id, json }: { readonly id: string; readonly json: string }) => telling(topic, id, json),
    send: (envelope: Envelope): Promise<string> => {
      const drawn = draw(8)
      return gate(request, () => {
        if (drawn === 0) throw new NotSentError('450 later', 'for-now')
        if (drawn === 1) throw new NotSentError('550 never', 'for-good')
        taken.push(envelope)
        if (drawn === 2) throw new Error('the connection was cut')
        return '250 taken'
      })
    },
  }
}

/** `hasty` sends and claims nothing; `careless` writes over what another run decided. Neither may be. */
type Manner = 'right' | 'hasty' | 'careless'

/** A run; its alerts are of the time at which it begins. */
const runner =
  (world: World, draw: (limit: number) => number, manner: Manner): Actor =>
  (gate) => {
    const minutes = world.times.shift() ?? 0
    const objects = memoryObjects(world.held, gate)
    const { post, publish, send } = waysOf(world, gate, draw)
    const putIf = async (key: string, body: Uint8Array, etag: string | null): Promise<string> => {
      if (manner === 'hasty' && key.startsWith('claims/')) return ''
      if (manner === 'careless' && key.startsWith('alerts/'))
        return objects.putIf(key, body, (await objects.get(key))?.etag ?? null)
      return objects.putIf(key, body, etag)
    }
    return alertDue(
      { at: at(minutes), url: null },
      {
        objects: { ...objects, putIf },
        now: () => at(minutes),
        mail: { from: { name: 'ciphertrail', address: 'ciphertrail@example.com' }, send },
        post,
        publish,
      },
    )
  }

/** Somebody who seals, so that what was so is over while others look. */
const sealer =
  (world: World): Actor =>
  async (gate) => {
    const minutes = world.times.shift() ?? 0
    const objects = memoryObjects(world.held, gate)
    const progress = await readProgress(objects)
    await writeProgress(progress, { now: at(minutes).getTime() / 1000, isWhole: false }, objects)
  }

let template: Map<string, Uint8Array> | undefined

/** A cluster that nobody collects from, a log that nobody seals, and two channels with recipients in common. */
async function store(): Promise<Map<string, Uint8Array>> {
  if (template === undefined) {
    const held = new Map<string, Uint8Array>()
    const objects = memoryObjects(held)
    const author = { now: at(0), by: 'test' }
    await addCluster({ id: 'west', windowMinutes: 5 }, { ...author, now: at(-300) }, { objects })
    await addChannel(
      { id: 'one', recipients: ['ada@example.com', 'bob@example.com'], webhook: { url: HOOK, secretFile: '/s' } },
      author,
      objects,
    )
    await addChannel(
      { id: 'two', recipients: ['bob@example.com', 'eve@example.com'], snsTopic: TOPIC },
      author,
      objects,
    )
    held.set(vkeyKey, Buffer.from('a key'))
    template = held
  }
  return new Map(template)
}

type Story = Telling & { readonly seed: number; readonly world: World }

async function storyOf(seed: number, manner: Manner): Promise<Story> {
  const draw = drawer(seed)
  const runs = 2 + draw(3)
  const isSealed = draw(2) === 1
  const drawn = Array.from({ length: runs + Number(isSealed) }, () => [20, 20, 26, 60, 245][draw(5)] ?? 20)
  const world: World = { held: await store(), taken: [], told: [], times: drawn.toSorted((a, b) => a - b) }
  const actors: Actor[] = Array.from({ length: runs }, () => runner(world, draw, manner))
  if (isSealed) actors.splice(draw(runs), 0, sealer(world))
  const fateOf = () => (['dies-before', 'dies-after', 'fails-before', 'fails-after'] as const)[draw(60)] ?? 'done'
  return { seed, world, actors, draw, fateOf }
}

/** Fails where a person got something twice or of others, where two decided, or where what is written down is not what happened. */
async function check({ held, taken, told }: World): Promise<void> {
  const objects = memoryObjects(held)
  const recipients = await readRecipients(objects)
  const channels = await readChannels(objects)
  const notices = new Map<string, { readonly channel: string; readonly to: readonly string[] }>()
  for (const channel of channels) {
    const { state } = await readAlerts(channel, objects)
    assert.equal(state.sequence, state.notices.length)
    const open = new Set<string>()
    let told = ''
    for (const { id, at: time, began, ended, to } of state.notices) {
      assert.ok(time >= told, 'who began earlier and was slow takes back what was told')
      told = time
      notices.set(id, { channel: channel.id, to })
      for (const { key } of ended) assert.ok(open.delete(key), `${key} ends and was not told`)
      for (const { key } of began) {
        assert.ok(!open.has(key), `${key} begins twice`)
        open.add(key)
      }
    }
  }
  for (const { place, id, body } of told) {
    const notice = notices.get(id)
    assert.ok(notice?.to.includes(endpointPseudonym(place)), `"${place}" was told ${id}, which nobody decided for it`)
    assert.equal((JSON.parse(body) as { id: string }).id, id)
    assert.equal(body, told.find((one) => one.id === id)?.body, 'what comes twice is the same')
  }
  const claims = new Map<string, Delivery>()
  for await (const delivery of listDeliveries('alert', at(END), objects))
    claims.set(`${delivery.period} ${delivery.recipient}`, delivery)
  const mails = taken.map(({ to, message, tags }) => {
    assert.equal(recipients.get(tags.recipient), to)
    const text = Buffer.from(message).toString('latin1')
    assert.match(text, new RegExp(`^To: ${to.replaceAll('.', '\\.')}\r$`, 'm'))
    assert.ok(channels.some((one) => one.id === tags.channel && one.recipients.includes(tags.recipient)))
    assert.equal(notices.get(tags.period)?.channel, tags.channel, `${tags.period} was not decided for ${tags.channel}`)
    return `${tags.period} ${to}`
  })
  assert.equal(new Set(mails).size, mails.length, `somebody got a mail twice: ${mails.join(', ')}`)
  for (const [name, { status }] of claims) {
    assert.notEqual(status, 'claimed', `${name}: much later nothing is still about to be sent`)
    const [id = '', recipient = ''] = name.split(' ')
    const isPlace = !recipients.has(recipient)
    const own = isPlace
      ? told.filter((one) => one.id === id && endpointPseudonym(one.place) === recipient && one.isTaken)
      : taken.filter(({ tags }) => tags.period === id && tags.recipient === recipient)
    if (status === 'sent') assert.ok(own.length > 0, `${name} is called sent`)
    if (status === 'failed' && !isPlace) assert.equal(own.length, 0, `${name} is called failed`)
  }
}

/** After all of them, runs that nobody disturbs tell whatever is left: nothing that was decided is lost. */
async function finish(world: World): Promise<void> {
  const gate: Gate = (_, effect) => Promise.resolve().then(effect)
  for (const minutes of [262, 290, 400, 500, 560, 600, 700, 1100, 1500]) {
    world.times.splice(0, world.times.length, minutes)
    await runner(world, () => 7, 'right')(gate)
  }
  const objects = memoryObjects(world.held)
  const recipients = await readRecipients(objects)
  const claims = new Map<string, Delivery>()
  for await (const delivery of listDeliveries('alert', at(END), objects))
    claims.set(`${delivery.period} ${delivery.recipient}`, delivery)
  for (const channel of await readChannels(objects)) {
    const { state } = await readAlerts(channel, objects)
    assert.ok(state.notices.length > 0)
    assert.deepEqual(
      state.watched.filter(({ isActive, isTold }) => isActive && !isTold),
      [],
      'whatever is so is told',
    )
    for (const { id, to } of state.notices)
      for (const one of to) {
        const status = claims.get(`${id} ${one}`)?.status
        assert.ok(status !== undefined, `nobody thought of ${one}`)
        // A place that was not told was refused for good; a person may also be one of whom it is not known.
        if (!recipients.has(one)) assert.ok(status === 'sent' || status === 'failed', `${one} is ${status}`)
      }
  }
}

/** How many stories went wrong, and the first of them. */
export type AlertsTold = {
  readonly wrong: number
  readonly first: string | undefined
  readonly mails: number
  readonly posts: number
  readonly again: number
  readonly notices: number
  readonly unknown: number
}

async function tellAll(firstSeed: number, count: number, manner: Manner): Promise<AlertsTold> {
  const stories = await Promise.all(Array.from({ length: count }, (_, index) => storyOf(firstSeed + index, manner)))
  let [wrong, mails, posts, again, notices, unknown] = [0, 0, 0, 0, 0, 0]
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
    posts += world.told.length
    again += world.told.length - new Set(world.told.map(({ place, id }) => `${place} ${id}`)).size
    const objects = memoryObjects(world.held)
    for (const channel of await readChannels(objects)) notices += (await readAlerts(channel, objects)).state.sequence
    for await (const { status } of listDeliveries('alert', at(END), objects)) if (status === 'unknown') unknown += 1
  })
  return { wrong, first, mails, posts, again, notices, unknown }
}

const { seed, count, manner } = workerData as { seed: number; count: number; manner: Manner }
parentPort?.postMessage(await tellAll(seed, count, manner))

import assert from 'node:assert/strict'
import { test } from 'node:test'
import PostalMime from 'postal-mime'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { timeOf } from '../../lib/time/windows.ts'
import type { Waiver } from '../../lib/model/judgement.ts'
import { type RunningService, type ServiceDeps, createService } from '../../lib/jobs/service.ts'
import type { ServiceEvent } from '../../lib/jobs/service-events.ts'
import type { CollectDueDeps } from '../../lib/jobs/collect-window.ts'
import { checkStore } from '../../lib/seal/verify/check-store.ts'
import { readSnapshot } from '../../lib/store/evidence/evidence.ts'
import { evidencePrefix } from '../../lib/store/keys.ts'
import { addChannel, readChannels } from '../../lib/deliver/channel/channels.ts'
import { listDeliveries } from '../../lib/deliver/send/claims.ts'
import { listDownloads, makeDownload } from '../../lib/deliver/link/downloads.ts'
import { liftSuppression, suppress } from '../../lib/deliver/channel/suppressions.ts'
import { type Envelope, NotSentError } from '../../lib/deliver/send/send.ts'
import { declareScope, declareWaivers } from '../../lib/store/registry/declarations.ts'
import { type Objects, StoreError } from '../../lib/store/objects/objects.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { readHistory } from '../../lib/history/cluster-state.ts'
import { compareText } from '../../lib/text/order.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { type Gate, memoryObjects } from '../support/stored/memory-objects.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'
import { toldCluster } from '../support/stored/told-cluster.ts'
import { workersHere } from '../support/stored/workers-here.ts'
import type { ClusterAccess } from '../../lib/collect/cluster/cluster-access.ts'
import { reportsPrefix } from '../../lib/store/report-keys.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const signer = newSigner()
const REPORT = 'reports/20261123T000000Z-0123456789abcdef.json'

async function freshStore(
  held: Map<string, Uint8Array> = new Map(),
  ids = ['shop'],
  windowMinutes = 5,
): Promise<Objects> {
  const objects = memoryObjects(held)
  for (const id of ids) await addCluster({ id, windowMinutes }, { now: minutesIn(0), by: 'tester' }, { objects })
  return objects
}

/** A service whose time is told minute by minute. */
type Told = {
  readonly service: RunningService
  readonly events: readonly ServiceEvent[]
  /** One look at so many minutes after the first window began, and all that comes of it. */
  readonly at: (minutes: number) => Promise<void>
  readonly setMinutes: (minutes: number) => void
}

type Changes = Partial<Omit<ServiceDeps, 'objects' | 'workers'>> & Partial<Pick<CollectDueDeps, 'open'>>

function start(objects: Objects, { open, ...changes }: Changes = {}): Told {
  let minutes = 0
  const now = () => minutesIn(minutes)
  const events: ServiceEvent[] = []
  const service = createService(
    { version: '0.0.0', timeZone: 'UTC', clustersAtOnce: 2 },
    {
      objects,
      signer,
      workers: workersHere({
        objects,
        open: open ?? (() => toldCluster(now).access),
        collector: { name: 'ciphertrail', version: '0.0.0' },
        now,
      }),
      now,
      log: (event) => events.push(event),
      post: () => Promise.reject(new Error('no webhook is told')),
      publish: () => Promise.reject(new Error('nothing is published')),
      mail: null,
      wait: () => Promise.reject(new Error('nothing is waited for')),
      ...changes,
    },
  )
  return {
    service,
    events,
    setMinutes: (value) => {
      minutes = value
    },
    async at(value) {
      minutes = value
      await service.tick()
      await service.idle()
    },
  }
}

async function keysOf(prefix: string, objects: Objects): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys
}

const lines = (events: readonly ServiceEvent[]) => events.map(({ event }) => event)

test('each window is collected once it is over, and sealed; where nothing is due nothing is done', async () => {
  const objects = await freshStore()
  const { at, events } = start(objects)
  await at(0)
  assert.deepEqual(lines(events), ['sealed'])
  // The window that was over when the cluster was registered.
  await at(1)
  assert.deepEqual(lines(events).slice(1), ['planned', 'collected', 'sealed'])
  await at(5)
  assert.equal(events.length, 4)
  await at(6)
  assert.deepEqual(lines(events).slice(4), ['planned', 'collected', 'sealed'])
  for (const minutes of [7, 8, 9, 10]) await at(minutes)
  assert.equal(events.length, 7)
  for (let minutes = 11; minutes <= 31; minutes++) await at(minutes)
  assert.equal((await keysOf(evidencePrefix, objects)).length, 7)
  const history = await readHistory('shop', objects)
  const windows = history?.months.flatMap((month) => month.windows) ?? []
  assert.equal(windows.filter(({ collected }) => collected).length, 7)
  assert.ok(events.every(({ level }) => level === 'info'))
})

test('the first list of a cluster with windows of an hour is taken within a minute after it is registered, in the middle of one', async () => {
  const objects = await freshStore(new Map(), [])
  await addCluster({ id: 'shop', windowMinutes: 60 }, { now: minutesIn(27.5), by: 'tester' }, { objects })
  const { at, events } = start(objects)
  await at(28)
  const [key = assert.fail(), ...others] = await keysOf(evidencePrefix, objects)
  assert.deepEqual(others, [])
  const { window, kubernetes } = await readSnapshot(key, objects)
  assert.deepEqual(window, { start: '2026-11-24T11:00:00Z', end: '2026-11-24T12:00:00Z' })
  assert.deepEqual([kubernetes.status, kubernetes.takenAt], ['complete', timeOf(minutesIn(28))])
  for (let minutes = 29; minutes <= 61; minutes++) await at(minutes)
  assert.deepEqual(
    events.flatMap(({ event, window: collected }) => (event === 'collected' ? [collected] : [])),
    [window, { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' }],
  )
})

test('after hours in which nobody ran, what is missing is collected, oldest first', async () => {
  const objects = await freshStore()
  await start(objects).at(6)
  const later = start(objects)
  await later.at(61)
  assert.equal((await keysOf(evidencePrefix, objects)).length, 13)
  const collected = later.events.filter(({ event }) => event === 'collected').map((event) => event['window'])
  assert.equal(collected.length, 11)
  assert.deepEqual(
    collected,
    collected.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  )
})

test('a cluster that is down keeps no other waiting, is said once a try, and is tried again later', async () => {
  const objects = await freshStore(new Map(), ['down', 'hung', 'up'])
  const now = { minutes: 0 }
  const told = start(objects, {
    open: ({ id }) => {
      const { access } = toldCluster(
        () => minutesIn(now.minutes),
        () => (id === 'down' ? 'down' : 'up'),
      )
      return id === 'hung' ? hanging(access) : access
    },
  })
  const collected = (id: string) => told.events.filter(({ event, cluster }) => event === 'collected' && cluster === id)
  for (const [minutes, up, down] of [
    [6, 2, 1],
    [7, 2, 2],
    [8, 2, 2],
    [11, 3, 3],
  ] as const) {
    now.minutes = minutes
    told.setMinutes(minutes)
    await told.service.tick()
    await new Promise((resolve) => setImmediate(resolve))
    while (collected('up').length < up || collected('down').length < down)
      await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(collected('up').length, 3)
  assert.deepEqual(
    collected('down').map(({ level }) => level),
    ['warn', 'warn', 'warn'],
  )
  assert.equal(collected('hung').length, 0)
})

test('a cluster on which collecting hangs is told by the health of the service', async () => {
  const objects = await freshStore()
  const now = { minutes: 6 }
  const { access } = toldCluster(() => minutesIn(now.minutes))
  const { service, setMinutes } = start(objects, { open: () => hanging(access) })
  for (; now.minutes <= 67; now.minutes++) {
    setMinutes(now.minutes)
    await service.tick()
    assert.equal(service.isHealthy(), now.minutes <= 66, `${now.minutes}`)
  }
})

/** A way in on which nothing ever answers. */
function hanging(access: ClusterAccess): ClusterAccess {
  return { ...access, prometheus: { ...access.prometheus, ask: () => new Promise<never>(() => {}) } }
}

test('weeks that ended are reported once, also those that ended while nobody ran', async () => {
  const objects = await freshStore(new Map(), ['shop'], 60)
  await start(objects).at(61)
  // Tuesday the 24th is in week 48, which ends six days later; two more end before somebody starts again.
  const days = 24 * 60
  const later = start(objects)
  await later.at(19 * days)
  const reported = () => later.events.filter(({ event }) => event === 'reported').map((event) => event['week'])
  assert.deepEqual(reported(), ['2026-W48', '2026-W49'])
  assert.equal((await keysOf(reportsPrefix, objects)).length, 2)
  // The third one is over at midnight, and made when nothing of it can be collected any more.
  await later.at(20 * days - 7 * 60)
  assert.equal((await keysOf(reportsPrefix, objects)).length, 2)
  await later.at(20 * days)
  assert.deepEqual(reported().slice(2), ['2026-W50'])
  const again = start(objects)
  await again.at(20 * days + 1)
  assert.equal((await keysOf(reportsPrefix, objects)).length, 3)
  assert.deepEqual(
    again.events.filter(({ event }) => event === 'reported'),
    [],
  )
})

test('whoever is told that it is to stop begins nothing more, and what was begun ends whole', async () => {
  const objects = await freshStore()
  const told = start(objects)
  told.setMinutes(61)
  const ticked = told.service.tick()
  await ticked
  told.service.stop()
  await told.service.idle()
  const stored = await keysOf(evidencePrefix, objects)
  assert.ok(stored.length <= 1, `${stored.length}`)
  await told.service.tick()
  await told.service.idle()
  assert.equal((await keysOf(evidencePrefix, objects)).length, stored.length)
})

test('two services on one store at once come to one history and one log', async () => {
  const held = new Map<string, Uint8Array>()
  const objects = await freshStore(held)
  const both = [start(objects), start(objects)]
  for (const minutes of [1, 6, 11, 16, 21]) await Promise.all(both.map(({ at }) => at(minutes)))
  const windows = (await readHistory('shop', objects))?.months.flatMap((month) => month.windows) ?? []
  assert.deepEqual(
    windows.map(({ collected }) => collected),
    [true, true, true, true, true],
  )
  assert.ok((await keysOf(evidencePrefix, objects)).length <= 10)
  await assertSound(objects)
  assert.deepEqual(
    both.flatMap(({ events }) => events.filter(({ level }) => level === 'error')),
    [],
  )
})

test('killed at any of its requests to the store and started again, nothing is lost and nothing doubled', async () => {
  const whole = await countRequests()
  assert.ok(whole > 60, `${whole}`)
  for (let last = 1; last < whole; last += 7) {
    const held = new Map<string, Uint8Array>()
    await freshStore(held)
    let requests = 0
    const { promise: died, resolve: die } = Promise.withResolvers<void>()
    const dying: Gate = async (_, effect) => {
      await Promise.resolve()
      if (++requests <= last) return effect()
      die()
      return new Promise<never>(() => {})
    }
    const first = start(memoryObjects(held, dying))
    void first.at(11)
    await died
    const objects = memoryObjects(held)
    const second = start(objects)
    for (const minutes of [12, 13]) await second.at(minutes)
    const windows = (await readHistory('shop', objects))?.months.flatMap((month) => month.windows) ?? []
    assert.deepEqual(
      windows.map(({ collected }) => collected),
      [true, true, true],
      `killed at request ${last}`,
    )
    assert.equal((await keysOf(evidencePrefix, objects)).length, 3, `killed at request ${last}`)
    await assertSound(objects)
  }
})

async function countRequests(): Promise<number> {
  const held = new Map<string, Uint8Array>()
  await freshStore(held)
  let requests = 0
  const objects = memoryObjects(held, async (_, effect) => {
    requests++
    return Promise.resolve().then(effect)
  })
  await start(objects).at(11)
  return requests
}

/** Every object is what its leaf says, the log is signed, and what is derived follows from the evidence. */
async function assertSound(objects: Objects): Promise<void> {
  const { findings, unsealed } = await checkStore({ vkey: signer.vkey }, { objects, assess: assessWindow })
  assert.deepEqual([findings.kept, unsealed.kept], [[], []])
}

test('a scheduler that cannot plan is told by its health, and heals by itself', async () => {
  const held = new Map<string, Uint8Array>()
  await freshStore(held)
  let isBroken = false
  const objects = memoryObjects(held, async (_, effect) => {
    if (isBroken) throw new Error('the disk is gone')
    return Promise.resolve().then(effect)
  })
  const { at, service, events } = start(objects)
  await at(1)
  assert.equal(service.isHealthy(), true)
  isBroken = true
  for (const minutes of [2, 3, 11]) await at(minutes)
  assert.equal(service.isHealthy(), true)
  await at(12)
  assert.equal(service.isHealthy(), false)
  // Said once, not each minute.
  assert.equal(events.filter(({ event, what }) => event === 'failed' && what === 'plan').length, 1)
  isBroken = false
  await at(13)
  assert.equal(service.isHealthy(), true)
})

test('a store that can be read and not written is told by its health, and heals by itself', async () => {
  const held = new Map<string, Uint8Array>()
  await freshStore(held)
  let isFull = false
  const objects = memoryObjects(held, async ({ member }, effect) => {
    if (isFull && (member === 'putOnce' || member === 'putIf')) throw new Error('the disk is full')
    return Promise.resolve().then(effect)
  })
  const { at, service } = start(objects)
  await at(1)
  isFull = true
  for (let minutes = 2; minutes <= 181; minutes += 5) await at(minutes)
  assert.equal(service.isHealthy(), true)
  await at(182)
  assert.equal(service.isHealthy(), false)
  isFull = false
  await at(183)
  assert.equal(service.isHealthy(), true)
})

test('a cluster whose history cannot be written keeps no other from being brought up, and is said', async () => {
  const held = new Map<string, Uint8Array>()
  await freshStore(held, ['bad', 'good'])
  await start(memoryObjects(held)).at(6)
  // As where whoever collected died before it derived.
  for (const key of held.keys()) if (/^(state|windows|timeline)\//.test(key)) held.delete(key)
  const objects = memoryObjects(held, async ({ member, key }, effect) => {
    if (member === 'putIf' && /^(state|windows|timeline)\/(cluster=)?bad\b/.test(key)) throw new Error('no')
    return Promise.resolve().then(effect)
  })
  const { at, events } = start(objects)
  await at(7)
  assert.equal(await readHistory('bad', objects), undefined)
  assert.notEqual(await readHistory('good', objects), undefined)
  assert.ok(events.some(({ event, what, message }) => event === 'failed' && what === 'compact' && message === 'no'))
})

test('a gap that is sealed is a warning', async () => {
  const objects = await freshStore(new Map(), ['shop'])
  const { at, events } = start(objects, { open: () => Promise.reject(new Error('no key')) })
  await at(6)
  await at(6 * 60 + 20)
  const sealed = events.filter(({ event }) => event === 'sealed')
  assert.deepEqual(
    sealed.map(({ level }) => level),
    ['info', 'warn'],
  )
})

test('a service sends each mail that is due once, however often it looks and is started again', async () => {
  const objects = memoryObjects()
  await addChannel(
    { id: 'one', recipients: ['ada@example.com', 'bob@example.com'], hasAlerts: false },
    { now: minutesIn(0), by: 'test' },
    objects,
  )
  const sent: string[] = []
  let isAway = true
  const mail = {
    from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
    url: null,
    send: async ({ to }: Envelope) => {
      if (isAway) throw new NotSentError('the server is away', 'for-now')
      sent.push(to)
      return '250 taken'
    },
  }
  const { at, events } = start(objects, { mail })
  const week = 7 * 24 * 60
  await at(10)
  assert.deepEqual(sent, [])
  await at(week)
  isAway = false
  for (const minutes of [1, 2, 6, 7, 8]) await at(week + minutes)
  const again = start(objects, { mail })
  await again.at(week + 60)
  assert.deepEqual(sent.toSorted(compareText), ['ada@example.com', 'bob@example.com'])
  assert.deepEqual(
    events.filter(({ event }) => event === 'delivered').map(({ level, sent: count, failed }) => [level, count, failed]),
    [
      ['warn', 0, 2],
      ['info', 2, 0],
    ],
  )
  await again.at(2 * week)
  assert.equal(sent.length, 4)
})

test('a service that is stopped while mails wait for their turn begins with no other and calls none uncertain: the next start sends them', async () => {
  const objects = memoryObjects()
  const recipients = ['ada@example.com', 'bob@example.com', 'cyd@example.com']
  await addChannel({ id: 'one', recipients, hasAlerts: false }, { now: minutesIn(0), by: 'test' }, objects)
  const sent: string[] = []
  let isFast = false
  const mail = {
    from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
    url: null,
    send: async ({ to }: Envelope) => {
      if (sent.length > 0 && !isFast) throw new NotSentError('Maximum sending rate exceeded.', 'too-fast')
      sent.push(to)
      return 'ses'
    },
  }
  const waits: boolean[] = []
  const first = start(objects, {
    mail,
    wait: async (_, signal) => {
      first.service.stop()
      waits.push(signal.aborted)
    },
  })
  const week = 7 * 24 * 60
  await first.at(week)
  assert.deepEqual([sent.length, waits], [1, [true]])
  const stands = async (minutes: number) => {
    const all: string[] = []
    for await (const { status, attempt } of listDeliveries('week', minutesIn(minutes), objects))
      all.push(`${status} ${attempt}`)
    return all.toSorted(compareText)
  }
  assert.deepEqual(await stands(week + 20), ['failed 0', 'sent 1'])
  assert.deepEqual(
    first.events.filter(({ level }) => level === 'error'),
    [],
  )

  isFast = true
  await start(objects, { mail }).at(week + 20)
  assert.deepEqual(await stands(week + 20), ['sent 1', 'sent 1', 'sent 1'])
  assert.deepEqual(sent.toSorted(compareText), recipients)
})

test('a service says once that nobody of a channel is left to get its mail, and counts by why who gets none', async () => {
  const objects = memoryObjects()
  await addChannel(
    { id: 'one', recipients: ['ada@example.com', 'bob@example.com'], hasAlerts: false },
    { now: minutesIn(0), by: 'test' },
    objects,
  )
  const [one, two] = (await readChannels(objects))[0]?.recipients ?? []
  for (const [recipient, reason] of [
    [one, 'bounced'],
    [two, 'complained'],
  ] as const)
    await suppress({ recipient: recipient ?? '', channel: null, reason }, minutesIn(0), objects)
  const { at, events } = start(objects, {
    mail: {
      from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
      url: null,
      send: async () => '250 taken',
    },
  })
  const week = 7 * 24 * 60
  for (const minutes of [0, 1, 2]) await at(week + minutes)
  const failed = () => events.flatMap(({ event, what, message }) => (event === 'failed' ? [[what, message]] : []))
  assert.equal(failed().length, 1)
  matchesText(failed().flat().join(' '))
  await liftSuppression(one ?? '', null, objects)
  await at(week + 3)
  assert.deepEqual(
    events.flatMap(({ event, sent, suppressed }) => (event === 'delivered' ? [[sent, suppressed]] : [])),
    [[1, { unsubscribed: 0, bounced: 0, complained: 1 }]],
  )
})

test('plain text is told in the look that collects the first window that shows it, though what keeps the house fails', async () => {
  const objects = await freshStore(new Map(), ['shop', 'far'])
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: minutesIn(-1), by: 'test' }, objects)
  const sent: string[] = []
  const mail = {
    from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
    url: null,
    send: async ({ message }: Envelope) => {
      sent.push(/^Subject: (.*)\r$/m.exec(Buffer.from(message).toString())?.[1] ?? '')
      return '250 taken'
    },
  }
  const failing = { ...signer, sign: () => Promise.reject(new Error('nobody signs')) }
  const { at, events } = start(objects, { mail, signer: failing })
  await at(0)
  assert.deepEqual(sent, [])
  // It was in the clear before the clusters were registered, and before the channel was added: nobody was told of it.
  await at(1)
  assert.deepEqual(sent, ['[ops] 2 paths not encrypted'])
  for (const minutes of [2, 5, 6, 7, 8, 11, 12, 16]) await at(minutes)
  assert.equal(sent.length, 1)
  assert.equal(events.filter(({ event }) => event === 'alerted').length, 1)
})

test('a service that is stopped while it alerts tells nobody more, and the next start tells the rest', async () => {
  const objects = await freshStore()
  const webhook = { url: 'https://hooks.example.com/a', secret: '/run/secrets/hook' }
  const recipients = ['ada@example.com', 'bob@example.com']
  await addChannel({ id: 'ops', recipients, webhook }, { now: minutesIn(-1), by: 'test' }, objects)
  const told: string[] = []
  const changes = (service: () => RunningService | null) => ({
    mail: {
      from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
      url: null,
      send: async ({ to }: Envelope) => {
        service()?.stop()
        told.push(to)
        return '250 taken'
      },
    },
    post: async () => (told.push(webhook.url), 'HTTP 200'),
  })
  const first = start(
    objects,
    changes(() => first.service),
  )
  await first.at(6)
  assert.equal(told.length, 1)
  await start(
    objects,
    changes(() => null),
  ).at(7)
  assert.deepEqual(told.toSorted(compareText), [...recipients, webhook.url])
})

test('a look for alerts that failed is made again by the next minute', async () => {
  const objects = await freshStore()
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: minutesIn(-1), by: 'test' }, objects)
  const sent: string[] = []
  const mail = {
    from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
    url: null,
    send: async ({ to }: Envelope) => (sent.push(to), '250 taken'),
  }
  let isAway = true
  const broken = {
    ...objects,
    list: (prefix: string, after?: string) => {
      if (isAway && prefix.includes('waivers')) throw new Error('the store is away')
      return objects.list(prefix, after)
    },
  }
  const { at } = start(broken, { mail })
  await at(6)
  assert.deepEqual(sent, [])
  isAway = false
  await at(7)
  assert.deepEqual(sent, ['ada@example.com'])
})

test('what a waiver accepts is told once it ends, and what is out of scope is told as the mail of the week tells it', async () => {
  const objects = await freshStore()
  const author = { now: minutesIn(-1), by: 'test' }
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, author, objects)
  const waiver = (expires: string): Waiver => ({
    id: 'api-until-then',
    destination: 'deployment/*/api',
    owner: 'Ada',
    reason: 'it is being replaced',
    compensatingControl: 'none',
    expires,
  })
  await declareWaivers([waiver(timeOf(minutesIn(20)))], author, objects)
  await declareScope(
    {
      scopes: [
        { framework: 'pci-dss', clusters: ['other'], namespaces: ['*'], labels: {}, owner: 'Ada', reason: 'cards' },
      ],
      report: {},
    },
    author,
    objects,
  )
  const sent: string[] = []
  const mail = {
    from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
    url: null,
    send: async ({ message }: Envelope) => {
      const { subject, text } = await PostalMime.parse(message)
      sent.push(`${subject ?? ''}: ${/^- (.*)$/m.exec(text ?? '')?.[1] ?? ''}`)
      return '250 taken'
    },
  }
  const { at } = start(objects, { mail })
  for (const minutes of [6, 11, 16, 19]) await at(minutes)
  assert.equal(sent.length, 0)
  await at(21)
  assert.equal(sent.length, 1)
  assert.match(
    sent[0] ?? '',
    /^\[ops\] 1 path not encrypted \(cluster shop\): no longer accepted, waiver api-until-then ended Tue 24 Nov 12:20; not encrypted since /,
  )
  await declareWaivers([waiver('2027-03-01T00:00:00Z')], author, objects)
  await at(26)
  assert.match(
    sent[1] ?? '',
    /^\[ops\] accepted: 1 path not encrypted \(cluster shop\): accepted by waiver api-until-then until Mon 1 Mar 2027 00:00, by Ada; not encrypted since /,
  )
  for (const minutes of [31, 36, 240]) await at(minutes)
  assert.ok(sent.every((one) => !one.includes('fixed')))
})

test('once a day links are removed that were over for long, and where that fails nothing else is kept waiting', async () => {
  const store = await freshStore(new Map(), ['shop'], 60)
  let isRefused = true
  const objects: Objects = {
    ...store,
    remove: (key) =>
      isRefused ? Promise.reject(new StoreError('Cannot remove: access is denied')) : store.remove(key),
  }
  const link = (expiresAt: string) =>
    makeDownload({ report: REPORT, channel: 'grc', recipient: `r${'a'.repeat(32)}`, expiresAt }, minutesIn(0), store)
  await link('2026-01-01T00:00:00Z')
  await link('2026-12-23T07:00:00Z')
  const { at, events } = start(objects)
  const count = async () => (await listDownloads(store)).downloads.length
  await at(6)
  assert.deepEqual(
    events.filter(({ level }) => level !== 'info').map(({ event, message }) => [event, message]),
    [['failed', 'Cannot remove: access is denied']],
  )
  assert.ok(lines(events).includes('collected'))
  isRefused = false
  await at(7)
  assert.equal(await count(), 2, 'not again at once')
  await at(67)
  assert.equal(await count(), 1)
  assert.deepEqual(
    events.filter(({ event }) => event === 'removed').map(({ links }) => links),
    [1],
  )
  await link('2026-01-01T00:00:00Z')
  await at(90)
  assert.equal(await count(), 2, 'once a day')
  await at(24 * 60 + 67)
  assert.equal(await count(), 1)
})

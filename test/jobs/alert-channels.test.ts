import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { addChannel, readChannels, removeChannel } from '../../lib/deliver/channel/channels.ts'
import { listDeliveries } from '../../lib/deliver/send/claims.ts'
import { type Envelope, NotSentError } from '../../lib/deliver/send/send.ts'
import { liftSuppression, suppress } from '../../lib/deliver/channel/suppressions.ts'
import { signatureOf, webhookPost } from '../../lib/deliver/send/webhook.ts'
import { type AlertDeps, alertDue } from '../../lib/jobs/alert-channels.ts'
import { checkStore } from '../../lib/seal/verify/check-store.ts'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { changeKey } from '../../lib/store/keys.ts'
import { readProgress, writeProgress } from '../../lib/seal/write/progress.ts'
import { vkeyKey } from '../../lib/store/log-keys.ts'
import { readScopes } from '../../lib/assess/judge/parse-scope.ts'
import { declareScope } from '../../lib/store/registry/declarations.ts'
import { compareText } from '../../lib/text/order.ts'
import type { Snapshot } from '../../lib/model/snapshot.ts'
import { compactCluster, deriveCluster } from '../../lib/history/derive.ts'
import { writeAttempt } from '../../lib/store/evidence/evidence.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { freshFolder } from '../support/recorder.ts'
import { minutesIn, snapshotOf } from '../support/stored/sealed-store.ts'
import type { SyntheticCluster } from '../support/mesh/synthetic-cluster.ts'
import { pod } from '../support/mesh/synthetic-pods.ts'
import { clearHttp, mutual } from '../support/mesh/synthetic-prometheus.ts'
import { inThread } from '../support/process/thread.ts'
import type { AlertsTold } from './alert-child.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const TOPIC = 'arn:aws:sns:eu-central-1:111122223333:alerts'
const START = Date.parse('2026-11-24T00:00:00Z')
const FROM = { name: 'ciphertrail', address: 'ciphertrail@example.com' }
const at = (minutes: number): Date => new Date(START + minutes * 60_000)

type Posted = { readonly headers: Readonly<Record<string, string | string[] | undefined>>; readonly body: string }

/** A webhook that answers with these codes, one after the other, then with 204. */
async function webhook(t: TestContext, codes: number[] = []): Promise<{ url: string; posted: Posted[] }> {
  const posted: Posted[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      posted.push({ headers: request.headers, body })
      const code = codes.shift() ?? 204
      response.writeHead(code, code === 302 ? { location: 'http://169.254.169.254/' } : {}).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, posted }
}

/** A look at what is so after some minutes, told to nobody unless it is said how. */
const lookAt = (objects: Objects, minutes: number, more: Partial<AlertDeps> = {}) =>
  alertDue(
    { at: at(minutes), url: null },
    {
      objects,
      now: () => at(minutes),
      publish: () => Promise.reject(new Error('nothing is published')),
      post: webhookPost(undefined),
      mail: null,
      ...more,
    },
  )

/** A cluster that nobody collects from: two windows are lost after a time. */
async function lostCluster(objects: Objects): Promise<void> {
  await addCluster({ id: 'west', windowMinutes: 5 }, { now: at(0), by: 'test' }, { objects })
}

test('a log is behind once nothing was sealed for more than three hours', async () => {
  const objects = memoryObjects()
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: at(0), by: 'test' }, objects)
  await objects.putOnce(vkeyKey, Buffer.from('a key'))
  await writeProgress(await readProgress(objects), { now: at(0).getTime() / 1000, isWhole: true }, objects)
  const kinds = async (minutes: number) =>
    (await lookAt(objects, minutes)).flatMap(({ notice }) => notice?.began.map(({ kind }) => kind) ?? [])
  const second = 1 / 60
  assert.deepEqual([await kinds(180), await kinds(180 + second)], [[], ['seal']])
})

test('what is lost is told once by mail and by a signed webhook, by runs that race, repeat and meet failures', async (t) => {
  const objects = memoryObjects()
  await lostCluster(objects)
  const hook = await webhook(t, [503, 302])
  const secretFile = join(freshFolder(t), 'secret')
  writeFileSync(secretFile, 'hunter2\n')
  await addChannel(
    { id: 'ops', recipients: ['ada@example.com', 'bob@example.com'], webhook: { url: hook.url, secretFile } },
    { now: at(0), by: 'test' },
    objects,
  )
  const sent: Envelope[] = []
  // As the service has it; it must not take for done what is only to be tried again later.
  const settled = new Set<string>()
  const look = (minutes: number) =>
    alertDue(
      { at: at(minutes), url: 'https://ct.example.com' },
      {
        objects,
        now: () => at(minutes),
        settled,
        publish: () => Promise.reject(new Error('nothing is published')),
        post: webhookPost(undefined),
        mail: {
          from: FROM,
          send: async (envelope: Envelope) => {
            if (minutes === 20 && envelope.to.startsWith('bob')) throw new NotSentError('later', 'for-now')
            sent.push(envelope)
            return '250'
          },
        },
      },
    )
  assert.deepEqual(
    (await look(14)).map(({ notice }) => notice),
    [null],
    'one window may be late',
  )
  await Promise.all([look(20), look(20), look(20)])
  for (const minutes of [21, 26, 30, 60, 100]) await look(minutes)
  assert.deepEqual(
    sent.map(({ to }) => to),
    ['ada@example.com', 'bob@example.com'],
  )
  for (const { message } of sent)
    assert.match(Buffer.from(message).toString(), /^Subject: \[ops\] 1 cluster not observed \(cluster west\)\r$/m)
  // 503, then a way to elsewhere, which is not gone, then taken.
  assert.equal(hook.posted.length, 3)
  const [{ headers, body } = { headers: {}, body: '' }] = hook.posted
  const [, seconds, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['ciphertrail-signature'])) ?? []
  assert.equal(
    digest,
    createHmac('sha256', 'hunter2')
      .update(`${seconds ?? ''}.${body}`)
      .digest('hex'),
  )
  assert.equal(new Set(hook.posted.map((one) => one.headers['ciphertrail-id'])).size, 1)
  const told = JSON.parse(body) as { channel: string; began: { kind: string; line: string }[] }
  assert.deepEqual([told.channel, told.began.map(({ kind }) => kind)], ['ops', ['coverage']])
  const statuses: string[] = []
  for await (const { status } of listDeliveries('alert', at(100), objects)) statuses.push(status)
  assert.deepEqual(statuses, ['sent', 'sent', 'sent'])
  const { findings } = await checkStore({}, { objects, assess: assessWindow })
  assert.deepEqual(
    findings.kept.filter(({ key }) => key?.startsWith('alerts/') === true || key?.startsWith('claims/') === true),
    [],
  )
})

test('a run that dies after it decided is made good by the next', async () => {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  await lostCluster(objects)
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: at(0), by: 'test' }, objects)
  const sent: string[] = []
  const deps = (store: Objects) => ({
    objects: store,
    now: () => at(20),
    publish: () => Promise.reject(new Error('nothing is published')),
    post: webhookPost(undefined),
    mail: { from: FROM, send: async ({ to }: Envelope) => (sent.push(to), '250') },
  })
  const dying = {
    ...objects,
    putIf: (key: string, body: Uint8Array, etag: string | null) =>
      key.startsWith('claims/') ? Promise.reject(new Error('died')) : objects.putIf(key, body, etag),
  }
  const [died] = await alertDue({ at: at(20), url: null }, deps(dying))
  assert.equal(died?.problem, 'died')
  assert.deepEqual(sent, [])
  await alertDue({ at: at(20), url: null }, deps(objects))
  assert.deepEqual(sent, ['ada@example.com'])
})

test('a mail that somebody else is about to send is looked after until it was sent, since they may fail', async () => {
  const objects = memoryObjects()
  await lostCluster(objects)
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: at(0), by: 'test' }, objects)
  const sent: string[] = []
  const look = (minutes: number, settled: Set<string>, send: (envelope: Envelope) => Promise<string>) =>
    alertDue(
      { at: at(minutes), url: null },
      {
        objects,
        now: () => at(minutes),
        settled,
        publish: () => Promise.reject(new Error('nothing is published')),
        post: webhookPost(undefined),
        mail: { from: FROM, send },
      },
    )
  const begun = Promise.withResolvers<void>()
  const refused = Promise.withResolvers<string>()
  const slow = look(20, new Set(), () => (begun.resolve(), refused.promise))
  await begun.promise
  const settled = new Set<string>()
  const send = async ({ to }: Envelope) => (sent.push(to), '250')
  await look(21, settled, send)
  refused.reject(new NotSentError('later', 'for-now'))
  await slow
  await look(30, settled, send)
  assert.deepEqual(sent, ['ada@example.com'])
})

test('who joins a channel is not sent what was told before, and who is back under its name is told what is so', async () => {
  const objects = memoryObjects()
  await lostCluster(objects)
  const author = { now: at(0), by: 'test' }
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, author, objects)
  const sent: string[] = []
  const look = (minutes: number) =>
    lookAt(objects, minutes, { mail: { from: FROM, send: async ({ to }: Envelope) => (sent.push(to), '250') } })
  await look(20)
  await addChannel({ id: 'ops', recipients: ['ada@example.com', 'eve@example.com'] }, author, objects)
  await look(25)
  assert.deepEqual(sent, ['ada@example.com'])
  await removeChannel('ops', author, objects)
  await addChannel({ id: 'ops', recipients: ['eve@example.com'] }, { now: at(30), by: 'test' }, objects)
  await look(35)
  assert.deepEqual(sent, ['ada@example.com', 'eve@example.com'])
})

test('a run that began before another one decided takes nothing back, and delivers what is left', async () => {
  const objects = memoryObjects()
  await lostCluster(objects)
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: at(0), by: 'test' }, objects)
  await objects.putOnce(vkeyKey, Buffer.from('a key'))
  await writeProgress(await readProgress(objects), { now: at(0).getTime() / 1000, isWhole: true }, objects)
  const look = async (minutes: number) => {
    const [outcome] = await lookAt(objects, minutes)
    return [outcome?.notice?.began.map(({ kind }) => kind), outcome?.notice?.ended.map(({ kind }) => kind)]
  }
  assert.deepEqual(await look(185), [['seal', 'coverage'], []])
  assert.deepEqual(await look(175), [undefined, undefined])
  await writeProgress(await readProgress(objects), { now: at(190).getTime() / 1000, isWhole: true }, objects)
  assert.deepEqual(await look(195), [[], ['seal']])
})

test('a log that has just been begun is not told as behind, and one that was never sealed in hours is', async () => {
  const objects = memoryObjects()
  await lostCluster(objects)
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: at(0), by: 'test' }, objects)
  await objects.putOnce(vkeyKey, Buffer.from('a key'))
  const kinds = async (minutes: number) => {
    const [outcome] = await lookAt(objects, minutes)
    return outcome?.notice?.began.map(({ kind }) => kind)
  }
  assert.deepEqual(await kinds(20), ['coverage'])
  assert.deepEqual(await kinds(181), ['seal'])
})

test('two windows of a cluster are lost ten minutes after the second is over, whether they last five minutes or an hour', async () => {
  const objects = memoryObjects()
  const author = { now: at(0), by: 'test' }
  await addCluster({ id: 'fast', windowMinutes: 5 }, author, { objects })
  await addCluster({ id: 'slow', windowMinutes: 60 }, author, { objects })
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, author, objects)
  const told: [minutes: number, cluster: string | null][] = []
  for (let minutes = 1; minutes <= 140; minutes++) {
    const [outcome] = await lookAt(objects, minutes)
    for (const { cluster } of outcome?.notice?.began ?? []) told.push([minutes, cluster])
  }
  assert.deepEqual(told, [
    [20, 'fast'],
    [130, 'slow'],
  ])
})

test('a look that finds what was told writes nothing', async () => {
  const objects = memoryObjects()
  await lostCluster(objects)
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: at(0), by: 'test' }, objects)
  const written: string[] = []
  const counting = {
    ...objects,
    putIf: (key: string, body: Uint8Array, etag: string | null) => {
      written.push(key)
      return objects.putIf(key, body, etag)
    },
  }
  for (const minutes of [20, 25, 30, 400]) await lookAt(counting, minutes)
  assert.deepEqual(written, ['alerts/ops.json'])
})

test('a register of waivers that is damaged is told, and keeps nobody from being told', async () => {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  await lostCluster(objects)
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, { now: at(0), by: 'test' }, objects)
  held.set(changeKey('waivers', 1), Buffer.from('{}'))
  const [told] = await lookAt(objects, 20)
  assert.deepEqual(
    told?.notice?.began.map(({ kind }) => kind),
    ['unreadable', 'coverage'],
  )
})

test('a webhook is never posted to a metadata service, whatever its name leads to, and no secret is in what is said', async (t) => {
  const secretFile = join(freshFolder(t), 'secret')
  writeFileSync(secretFile, 'hunter2')
  const post = webhookPost(undefined)
  for (const url of ['https://169.254.169.254/latest', 'https://[fd00:ec2::254]/', 'http://127.0.0.1:1/'])
    await assert.rejects(post({ url, secretFile }, { id: 'x', body: '{}' }, at(0)), (error) => {
      assert.ok(error instanceof NotSentError)
      assert.doesNotMatch(error.message, /hunter2/)
      return true
    })
  await assert.rejects(
    webhookPost('10.0.0.0/8')({ url: 'http://127.0.0.1:1/', secretFile }, { id: 'x', body: '{}' }, at(0)),
    /CIPHERTRAIL_ALLOWED_NETWORKS/,
  )
  assert.notEqual(signatureOf('{}', 'a', 1), signatureOf('{}', 'a', 2))
})

test('an alert that nobody is left to get is a problem, unless it is told to a place', async () => {
  const objects = memoryObjects()
  await lostCluster(objects)
  const author = { now: at(0), by: 'test' }
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, author, objects)
  const [ops] = await readChannels(objects)
  await suppress({ recipient: ops?.recipients[0] ?? '', channel: null, reason: 'bounced' }, at(0), objects)
  const sent: string[] = []
  const settled = new Set<string>()
  const look = async (minutes: number) => {
    const [outcome] = await alertDue(
      { at: at(minutes), url: null },
      {
        objects,
        now: () => at(minutes),
        settled,
        publish: async () => 'published',
        post: () => Promise.reject(new Error('nothing is posted')),
        mail: { from: FROM, send: async ({ to }) => `${sent.push(to)}` },
      },
    )
    return outcome?.problem ?? null
  }
  assert.equal(await look(10), null, 'nothing was to be told yet')
  for (const minutes of [20, 25])
    assert.match((await look(minutes)) ?? '', /^nobody is left who gets its mail: mail to 1 came back; /)
  assert.deepEqual(sent, [])
  await liftSuppression(ops?.recipients[0] ?? '', null, objects)
  for (const minutes of [30, 35]) assert.equal(await look(minutes), null)
  assert.deepEqual(sent, ['ada@example.com'], 'who is let have mail again is told of the last days, once')
  await suppress({ recipient: ops?.recipients[0] ?? '', channel: null, reason: 'bounced' }, at(35), objects)
  await addChannel({ id: 'ops', snsTopic: 'arn:aws:sns:eu-central-1:123456789012:alerts' }, author, objects)
  assert.equal(await look(40), null)
})

test('an alert that only mail could tell is a problem where no settings of mail are given, and is told once they are', async () => {
  const objects = memoryObjects()
  await lostCluster(objects)
  const author = { now: at(0), by: 'test' }
  await addChannel({ id: 'mail', recipients: ['ada@example.com', 'bob@example.com'] }, author, objects)
  await addChannel({ id: 'topic', recipients: ['cem@example.com'], snsTopic: TOPIC }, author, objects)
  await addChannel({ id: 'weekly', recipients: ['eve@example.com'], hasAlerts: false }, author, objects)
  const sent: string[] = []
  const look = async (minutes: number, hasMail = false) => {
    const outcomes = await alertDue(
      { at: at(minutes), url: null },
      {
        objects,
        now: () => at(minutes),
        publish: async () => 'published',
        post: () => Promise.reject(new Error('nothing is posted')),
        mail: hasMail ? { from: FROM, send: async ({ to }) => `${sent.push(to)}` } : null,
      },
    )
    return outcomes.map(({ channel, problem }) => `${channel}: ${problem ?? 'none'}`)
  }
  assert.deepEqual(await look(10), ['mail: none', 'topic: none'], 'nothing was to be told yet')
  const problem = 'nobody is told: there are no settings of mail for its 2 recipients, and it has no webhook or topic'
  for (const minutes of [20, 25]) assert.deepEqual(await look(minutes), [`mail: ${problem}`, 'topic: none'])
  assert.deepEqual(await look(30, true), ['mail: none', 'topic: none'])
  assert.deepEqual(sent.toSorted(), ['ada@example.com', 'bob@example.com', 'cem@example.com'])
  assert.deepEqual(await look(35), ['mail: none', 'topic: none'], 'all of it was told')
})

test('an alert needs no month: a path is back again, or nothing is observed since a window that only months have', async () => {
  const objects = memoryObjects()
  const minutes = (index: number): Date => minutesIn(5 * index)
  await addCluster({ id: 'shop', windowMinutes: 5 }, { now: minutesIn(-1), by: 'test' }, { objects })
  await addChannel({ id: 'ops', snsTopic: TOPIC }, { now: minutesIn(-1), by: 'test' }, objects)
  const [web, api] = [pod('deployment/web'), pod('deployment/api')]
  const mesh = (counters: SyntheticCluster['counters']): SyntheticCluster => ({
    pods: [web, api],
    counters: counters ?? [],
  })
  const [clear, encrypted] = [mesh(clearHttp(api, 9000)), mesh(mutual(web, api, 9000))]
  const unread = { status: 'failed', errors: ['Cannot ask'], prometheusTime: null, answers: [] } as const
  const collect = async (index: number, ...rest: [Partial<Snapshot>?, SyntheticCluster?]): Promise<void> => {
    await writeAttempt(snapshotOf('shop', index, ...rest), { objects })
    const [cluster] = await readClusters({ objects })
    assert.ok(cluster)
    await compactCluster(cluster, { objects, assess: assessWindow, unsettledSeconds: 300 })
  }
  const reads: string[] = []
  const counting = { ...objects, get: (key: string) => (reads.push(key), objects.get(key)) }
  const look = async (index: number) => {
    reads.length = 0
    const now = minutes(index)
    const [told] = await alertDue(
      { at: now, url: null },
      {
        objects: counting,
        now: () => now,
        publish: async () => 'taken',
        post: webhookPost(undefined),
        mail: null,
      },
    )
    assert.equal(told?.problem, null)
    return { notice: told.notice, months: reads.filter((key) => key.startsWith('timeline/')).length }
  }
  for (const index of [0, 1, 2, 3]) await collect(index, {}, index === 1 || index === 2 ? encrypted : clear)
  const again = await look(7)
  matchesText(again.notice?.began.map(({ line }) => line.replace(/: .*/, '')))
  assert.equal(again.months, 0)
  for (const index of [4, 5, 6, 7, 8]) await collect(index, { metrics: unread, complete: false })
  const lost = await look(12)
  matchesText(lost.notice?.began.map(({ line }) => line))
  assert.ok(lost.months > 0, 'since when is told by months alone')
})

test('what was in the clear before a cluster was registered is told to the channels that were there at its first look, and to none that an old cluster gets', async () => {
  const objects = memoryObjects()
  const [web, api] = [pod('deployment/web'), pod('deployment/api')]
  const clear: SyntheticCluster = { pods: [web, api], counters: clearHttp(api, 9000) }
  const add = (id: string, minutes: number) =>
    addChannel({ id, snsTopic: TOPIC }, { now: minutesIn(minutes), by: 'test' }, objects)
  await addCluster({ id: 'shop', windowMinutes: 5 }, { now: minutesIn(8), by: 'test' }, { objects })
  await add('ops', 9)
  const told: string[][] = []
  const collect = async (index: number, minutes: number): Promise<void> => {
    const startedAt = minutesIn(minutes).toISOString()
    await writeAttempt(snapshotOf('shop', index, { startedAt }, clear), { objects })
    const [cluster] = await readClusters({ objects })
    assert.ok(cluster)
    await deriveCluster(cluster, { objects, assess: assessWindow })
    const now = minutesIn(minutes + 1)
    const outcomes = await alertDue(
      { at: now, url: null },
      { objects, now: () => now, publish: async () => 'taken', post: webhookPost(undefined), mail: null },
    )
    assert.ok(outcomes.every(({ problem }) => problem === null))
    const paths = outcomes.flatMap(({ channel, notice }) =>
      (notice?.began ?? []).filter(({ kind }) => kind === 'path').map(() => channel),
    )
    told.push(paths)
  }
  // The window before the registration, then those after it.
  await collect(0, 10)
  await collect(1, 11)
  await add('sitting', 69)
  await add('later', 71)
  await collect(13, 72)
  assert.deepEqual(told, [['ops'], [], ['sitting']])
})

test('a cluster whose lists nobody may read is not observed, though its metrics are read', async () => {
  const objects = memoryObjects()
  await addCluster({ id: 'shop', windowMinutes: 5 }, { now: minutesIn(-1), by: 'test' }, { objects })
  await addChannel({ id: 'ops', snsTopic: TOPIC }, { now: minutesIn(-1), by: 'test' }, objects)
  const unlisted = { status: 'failed', errors: ['403'], takenAt: null, lists: [] } as const
  const told: (string | undefined)[] = []
  for (const index of [0, 1, 2, 3]) {
    await writeAttempt(snapshotOf('shop', index, index < 3 ? { kubernetes: unlisted, complete: false } : {}), {
      objects,
    })
    const [cluster] = await readClusters({ objects })
    assert.ok(cluster)
    await deriveCluster(cluster, { objects, assess: assessWindow })
    const now = minutesIn(5 * (index + 3))
    const [outcome] = await alertDue(
      { at: now, url: null },
      { objects, now: () => now, publish: async () => 'taken', post: webhookPost(undefined), mail: null },
    )
    assert.equal(outcome?.problem, null)
    told.push(...[...(outcome.notice?.began ?? []), ...(outcome.notice?.ended ?? [])].map(({ line }) => line))
  }
  matchesText(told)
})

test('a namespace whose proxies nobody scrapes is told to a channel of it and to one of everything, while the rest of its cluster is seen', async () => {
  const objects = memoryObjects()
  const added = { now: minutesIn(-1), by: 'test' }
  await addCluster({ id: 'shop', windowMinutes: 5 }, added, { objects })
  await addChannel({ id: 'all', snsTopic: TOPIC }, added, objects)
  await addChannel({ id: 'bank', snsTopic: TOPIC, namespaces: ['ba*'] }, added, objects)
  await addChannel({ id: 'care', snsTopic: TOPIC, namespaces: ['care'] }, added, objects)
  const web = pod('deployment/web')
  const job = pod('deployment/job', { namespace: 'care', to: -600 })
  const ledger = pod('deployment/ledger', { namespace: 'bank' })
  const meshOf = (isScraped: boolean, isThere = true): SyntheticCluster => ({
    pods: [
      web,
      job,
      ...(isThere ? [{ ...ledger, scrape: () => (isScraped ? ('success' as const) : ('failure' as const)) }] : []),
    ],
  })
  const told = new Map<string, string[]>()
  const memory = new Map()
  // Seen, two windows not, not collected at all, not seen, seen again; then its pod is gone, which is no loss.
  const shown = [meshOf(true), meshOf(false), meshOf(false), null, meshOf(false), meshOf(true)]
  for (const [index, mesh] of [...shown, ...Array.from({ length: 4 }, () => meshOf(true, false))].entries()) {
    if (mesh !== null) await writeAttempt(snapshotOf('shop', index, {}, mesh), { objects })
    const [cluster] = await readClusters({ objects })
    assert.ok(cluster)
    await deriveCluster(cluster, { objects, assess: assessWindow })
    const now = minutesIn(5 * (index + 1) + 10)
    for (const use of [memory, new Map()])
      for (const { channel, notice, problem } of await alertDue(
        { at: now, url: null },
        {
          objects,
          now: () => now,
          publish: async () => 'taken',
          post: webhookPost(undefined),
          mail: null,
          memory: use,
        },
      )) {
        assert.equal(problem, null)
        for (const { line } of [...(notice?.began ?? []), ...(notice?.ended ?? [])])
          told.set(channel, [...(told.get(channel) ?? []), `${index} ${line}`])
      }
  }
  const lost = 'nothing was observed in namespace bank of cluster shop after Tue 24 Nov 12:05'
  const lines = [`2 ${lost}`, `5 observed again, up to Tue 24 Nov 12:30 (reported: ${lost})`]
  assert.deepEqual(
    [...told],
    [
      ['all', lines],
      ['bank', lines],
    ],
  )
})

const STORIES = 500
const SEED = Number(process.env['PROPERTY_SEED'] ?? 20_261_124)

const toldIn = (count: number, manner: string): Promise<AlertsTold> =>
  inThread<AlertsTold>(new URL('alert-child.ts', import.meta.url), { seed: SEED, count, manner })

test(`alertDue(): ${STORIES} stories of runs that race, repeat, fail and die, told request by request: one decides, no notice is lost, nobody gets a mail twice, and what comes twice to a place has one id`, async () => {
  const { wrong, first, ...counts } = await toldIn(STORIES, 'right')
  assert.deepEqual([wrong, first], [0, undefined])
  assert.ok(counts.mails > 4 * STORIES && counts.notices > 2 * STORIES, JSON.stringify(counts))
  assert.ok(counts.again > 50 && counts.unknown > 100, JSON.stringify(counts))
})

test('alertDue(): the same stories show a run that sends without a claim, and one that writes over what another decided', async () => {
  for (const [manner, wanted] of [
    ['hasty', /twice|sent|thought of/],
    ['careless', /decided|twice|sequence|equal/],
  ] as const) {
    const { wrong, first } = await toldIn(100, manner)
    assert.ok(wrong > 0, manner)
    assert.match(first ?? '', wanted)
  }
})

/** Tells a store of a cluster in which an application and Linkerd's own workloads are reached in the clear. */
async function clearCluster(objects: Objects): Promise<void> {
  const api = pod('deployment/api')
  const identity = pod('deployment/linkerd-identity', { namespace: 'linkerd' })
  const metrics = pod('deployment/metrics-api', { namespace: 'linkerd-viz' })
  const labels = {
    linkerd: { 'linkerd.io/is-control-plane': 'true' },
    'linkerd-viz': { 'linkerd.io/extension': 'viz' },
  }
  const clear: SyntheticCluster = {
    pods: [api, identity, metrics],
    counters: [...clearHttp(api, 9000), ...clearHttp(identity, 8080), ...clearHttp(metrics, 8085)],
    objects: () => ({
      namespaces: [
        { metadata: { name: api.namespace } },
        ...Object.entries(labels).map(([name, own]) => ({ metadata: { name, labels: own } })),
      ],
    }),
  }
  const author = { now: minutesIn(-1), by: 'test' }
  await addChannel({ id: 'ops', snsTopic: TOPIC }, author, objects)
  await addCluster({ id: 'shop', windowMinutes: 5 }, author, { objects })
  await writeAttempt(snapshotOf('shop', 0, {}, clear), { objects })
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster)
  await deriveCluster(cluster, { objects, assess: assessWindow })
}

/** What a look of six minutes after the cluster was begun tells: destinations of paths, and lines of whatever else. */
async function toldOfClear(objects: Objects): Promise<readonly string[]> {
  const now = minutesIn(6)
  const [told] = await alertDue(
    { at: now, url: null },
    { objects, now: () => now, publish: async () => 'taken', post: webhookPost(undefined), mail: null },
  )
  assert.equal(told?.problem, null)
  return (told.notice?.began ?? [])
    .map(({ line }) => / to deployment (\S+):/.exec(line)?.[1] ?? line)
    .toSorted(compareText)
}

const ALL_CLEAR = ['linkerd-viz/metrics-api', 'linkerd/linkerd-identity', 'shop/api']

test('a path of Linkerd’s own is no alert, one of an application is; both are where scope.yaml says that controls judge the mesh, too', async () => {
  const toldOf = async (scope: string | null): Promise<readonly string[]> => {
    const objects = memoryObjects()
    await clearCluster(objects)
    if (scope !== null) {
      const { value } = readScopes(scope)
      assert.ok(value)
      await declareScope(value, { now: minutesIn(-1), by: 'test' }, objects)
    }
    return toldOfClear(objects)
  }
  assert.deepEqual(await toldOf(null), ['shop/api'])
  assert.deepEqual(await toldOf('report:\n  judge: [application, mesh]\n'), ALL_CLEAR)
})

test('a scope that is damaged is told in one line, and keeps nobody from being told: paths of every class are judged', async () => {
  for (const damage of [
    '{}',
    'not JSON',
    '{"format":"ciphertrail/change/1","kind":"scope","number":1,"at":"2026-11-24T00:00:00Z","by":"test","content":[]}',
  ]) {
    const held = new Map<string, Uint8Array>()
    const objects = memoryObjects(held)
    await clearCluster(objects)
    held.set(changeKey('scope', 1), Buffer.from(damage))
    assert.deepEqual(await toldOfClear(objects), [
      ...ALL_CLEAR,
      `the scope cannot be read, so paths of every class are judged: Cannot read "${changeKey('scope', 1)}": it is damaged, put back a copy of it, as nothing can make it again`,
    ])
  }
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { functionNames } from '../../infra/package-functions.ts'
import { ALARMS, COUNTED, METRICS, type S3Requests, costPage, monthOf } from '../../generate/cost-page.ts'
import { addChannel } from '../../lib/deliver/channel/channels.ts'
import { alertDue } from '../../lib/jobs/alert-channels.ts'
import { collectDue } from '../../lib/jobs/collect-window.ts'
import { deliverRequested } from '../../lib/jobs/mail/deliver-mails.ts'
import { mailsDue } from '../../lib/jobs/mail/due-mails.ts'
import { plan } from '../../lib/jobs/plan-collection.ts'
import { noteTrust } from '../../lib/jobs/trust-note.ts'
import type { Memory } from '../../lib/history/recent.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects, type StoreRequest } from '../support/stored/memory-objects.ts'
import { toldCluster, toldTime, toldWindow } from '../support/stored/told-cluster.ts'

test('docs/cost.md is what the model says: "npm run cost" makes it again', () => {
  const page = readFileSync(new URL('../../docs/cost.md', import.meta.url), 'utf8')
  assert.equal(page, costPage())
})

test('docs/aws.md says of the cost what the page says', () => {
  const guide = readFileSync(new URL('../../docs/aws.md', import.meta.url), 'utf8')
  const [, one, least, most] =
    /about (\d+) USD a month for one cluster, and ([\d.]+) to ([\d.]+) USD for each/.exec(guide) ?? []
  const each = costPage()
    .split('\n')
    .find((line) => line.startsWith('| for each cluster'))
  const costs = [...(each ?? '').matchAll(/\$([\d.]+)/g)].map(([, cost]) => Number(cost))
  const rounded = (cost: number | undefined) => Number(cost?.toPrecision(1))
  assert.equal(Number(one), costs[0])
  assert.deepEqual([Number(least), Number(most)], [rounded(costs[4]), rounded(costs[5])])
})

function countsOf(requests: readonly StoreRequest[]): S3Requests {
  const of = (...members: string[]) => requests.filter(({ member }) => members.includes(member)).length
  const counts = { gets: of('get', 'digest'), lists: of('list'), puts: of('putOnce', 'putIf') }
  assert.equal(counts.gets + counts.lists + counts.puts, requests.length)
  return counts
}

test('the requests of the model are those that are made', async () => {
  let requests: StoreRequest[] = []
  const objects = memoryObjects(new Map(), async (request, effect) => {
    requests.push(request)
    return effect()
  })
  const taken = (): S3Requests => {
    const counts = countsOf(requests)
    requests = []
    return counts
  }
  const signer = newSigner('ciphertrail-trust')
  await addCluster({ id: 'shop', windowMinutes: 5 }, { now: new Date(toldWindow(0).start), by: 'tester' }, { objects })
  const trust = noteTrust({ objects, signer: () => Promise.resolve(signer), place: 's3://evidence' })
  await trust.vouch(await readClusters({ objects }))
  taken()
  await plan({ now: toldTime(0) }, { objects })
  assert.deepEqual(taken(), COUNTED.plan)
  for (let index = 0; index < 7; index++) {
    const now = () => toldTime(index)
    const message = { cluster: 'shop', window: toldWindow(index), attempt: 1 }
    await collectDue(
      message,
      { collector: { name: 'ciphertrail', version: '0.0.0' }, now },
      {
        objects,
        open: async (cluster) => {
          await trust.check(cluster)
          return toldCluster(now).access
        },
      },
    )
    const counts = taken()
    // The first ones find less before them.
    if (index > 4) assert.deepEqual(counts, sumOf(COUNTED.collect, COUNTED.again))
  }
  await plan({ now: toldTime(7) }, { objects })
  assert.deepEqual(taken(), { ...COUNTED.plan, gets: COUNTED.plan.gets + 1 })
})

test('the requests of the model for mail and alerts are those that are made', async () => {
  let requests: StoreRequest[] = []
  const objects = memoryObjects(new Map(), async (request, effect) => {
    requests.push(request)
    return effect()
  })
  const taken = (): S3Requests => {
    const counts = countsOf(requests)
    requests = []
    return counts
  }
  const added = new Date('2026-11-20T00:00:00Z')
  const author = { now: added, by: 'tester' }
  await addCluster({ id: 'told', windowMinutes: 5 }, { now: new Date(toldWindow(0).start), by: 'tester' }, { objects })
  await addChannel({ id: 'ops', recipients: ['ada@example.com'] }, author, objects)
  const send = async () => '250'
  const from = { name: 'ciphertrail', address: 'ciphertrail@example.com' }
  const memory: Memory = new Map()
  const settled = new Set<string>()
  for (let index = 0; index < 4; index++) {
    const now = () => toldTime(index)
    const message = { cluster: 'told', window: toldWindow(index), attempt: 1 }
    const collector = { name: 'ciphertrail', version: '0.0.0' }
    await collectDue(message, { collector, now }, { objects, open: () => toldCluster(now).access })
    taken()
    const publish = () => Promise.reject(new Error('nothing is published'))
    const deps = { objects, now, mail: { from, send }, post: publish, publish, memory, settled }
    const [outcome] = await alertDue({ at: now(), url: null }, deps)
    assert.equal(outcome?.problem, null)
    const counts = taken()
    // The first ones find nothing that they remember, and a condition that begins.
    if (index > 1) assert.deepEqual(counts, sumOf(COUNTED.alert, COUNTED.alertCluster))
  }
  const now = () => new Date(toldTime(4).getTime() + 7 * 24 * 3_600_000)
  const sendTo = async (id: string, recipients: readonly string[]) => {
    await addChannel({ id, recipients, hasAlerts: false }, author, objects)
    taken()
    const instructions = { at: now(), version: '0.0.0', url: null, from }
    const { outcome } = await deliverRequested({ channel: id, week: '2026-W48' }, instructions, { objects, send, now })
    assert.equal(outcome, 'delivered')
    return taken()
  }
  const one = await sendTo('one', ['ada@example.com'])
  const two = await sendTo('two', ['ada@example.com', 'bob@example.com'])
  assert.deepEqual(two, sumOf(one, COUNTED.mail))
  await sendTo('ops', ['ada@example.com'])
  const look = () => mailsDue(now(), { objects, now, settled })
  assert.deepEqual(await look(), { due: [], errors: [] })
  taken()
  await look()
  assert.deepEqual(taken(), COUNTED.mailLook)
})

const sumOf = (a: S3Requests, b: S3Requests): S3Requests => ({
  gets: a.gets + b.gets,
  lists: a.lists + b.lists,
  puts: a.puts + b.puts,
})

test('alarms and metrics are counted as the template and the functions have them', () => {
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
  assert.equal(read('infra/resources/alarms.yml').match(/Type: AWS::CloudWatch::Alarm/g)?.length, ALARMS)
  const metrics = ['lambda', ...functionNames()].flatMap((name) => [
    ...[...read(`functions/${name}.ts`).matchAll(/counts: \{([^}]*)\}/g)].flatMap(([, counts = '']) =>
      [...counts.matchAll(/\b([A-Z]\w+):/g)].map(([, metric]) => metric),
    ),
    ...[...read(`functions/${name}.ts`).matchAll(/addMetric\('(\w+)'/g)].map(([, metric]) => metric),
  ])
  assert.equal(new Set(metrics).size, METRICS, metrics.join(' '))
})

test('a cluster costs the same or less, the more there are', () => {
  for (const minutes of [5, 60] as const) {
    const each = [1, 10, 100, 1000].map((clusters) => monthOf(clusters, minutes).total / clusters)
    assert.deepEqual(
      each,
      each.toSorted((a, b) => b - a),
    )
  }
})

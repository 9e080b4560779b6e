import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { COUNTED, type S3Requests, costPage, monthOf } from '../../docs/cost-model.ts'
import { collectDue } from '../../lib/run/collect.ts'
import { plan } from '../../lib/run/plan.ts'
import { addCluster } from '../../lib/store/registry.ts'
import { memoryObjects, type StoreRequest } from '../support/memory-objects.ts'
import { toldCluster, toldTime, toldWindow } from '../support/told-cluster.ts'

const words = (text: string): string => text.replaceAll(/[ -]+/g, ' ')

test('docs/cost.md is what the model says: "npm run cost" makes it again', () => {
  const page = readFileSync(new URL('../../docs/cost.md', import.meta.url), 'utf8')
  assert.equal(words(page), words(costPage()))
})

test('the requests of the model are those that are made', async () => {
  let requests: StoreRequest[] = []
  const objects = memoryObjects(new Map(), async (request, effect) => {
    requests.push(request)
    return effect()
  })
  const taken = (): S3Requests => {
    const of = (...members: string[]) => requests.filter(({ member }) => members.includes(member)).length
    const counts = { gets: of('get', 'digest'), lists: of('list'), puts: of('putOnce', 'putIf') }
    assert.equal(counts.gets + counts.lists + counts.puts, requests.length)
    requests = []
    return counts
  }
  await addCluster({ id: 'shop', windowMinutes: 5 }, { now: new Date(toldWindow(0).start), by: 'tester' }, { objects })
  taken()
  await plan({ now: toldTime(0) }, { objects })
  assert.deepEqual(taken(), COUNTED.plan)
  for (let index = 0; index < 4; index++) {
    const now = () => toldTime(index)
    const message = { cluster: 'shop', window: toldWindow(index), attempt: 1 }
    await collectDue(
      message,
      { collector: { name: 'ciphertrail', version: '0.0.0' }, now },
      { objects, open: () => toldCluster(now).access },
    )
    const counts = taken()
    // The first ones find nothing before them.
    if (index > 1) assert.deepEqual(counts, COUNTED.collect)
  }
  await plan({ now: toldTime(4) }, { objects })
  assert.deepEqual(taken(), { ...COUNTED.plan, gets: COUNTED.plan.gets + 1 })
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

/** What nobody knows must never read as good news: metrics that were not all answered, time without a cluster, windows of another length. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { addCluster, readClusters, removeCluster } from '../../../lib/store/registry/registry.ts'
import type { SyntheticCluster } from '../../support/mesh/synthetic-cluster.ts'
import { pod } from '../../support/mesh/synthetic-pods.ts'
import {
  NO_DISCOVERY,
  NO_TLS,
  authorized,
  clearHttp,
  inbound,
  mutual,
  outbound,
  tcp,
} from '../../support/mesh/synthetic-prometheus.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn, snapshotOf } from '../../support/stored/sealed-store.ts'

type Row = Record<string, unknown>

const [web, api] = [pod('deployment/web'), pod('deployment/api')]
const pods = [web, api]
const ENCRYPTED: SyntheticCluster = { pods, counters: mutual(web, api, 8080) }
const CLEAR: SyntheticCluster = { pods, counters: tcp(web, outbound(api, 8080, NO_DISCOVERY)) }
const time = (minutes: number): string => minutesIn(minutes).toISOString().replace('.000Z', 'Z')
const author = (minutes: number) => ({ now: minutesIn(minutes), by: 'tester' })

/** A store with a cluster of which these windows were collected. */
async function storeOf(...windows: readonly (Snapshot | SyntheticCluster)[]): Promise<Objects> {
  const objects = memoryObjects()
  await addCluster({ id: 'east', windowMinutes: 5 }, author(0), { objects })
  for (const [index, one] of windows.entries())
    await writeAttempt('format' in one ? one : snapshotOf('east', index, {}, one), { objects })
  await derive(objects)
  return objects
}

async function derive(objects: Objects): Promise<void> {
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
}

async function asker(t: TestContext, objects: Objects, minutes = 21) {
  const { ask } = await startApi(t, { objects, now: () => minutesIn(minutes) })
  return async (path: string): Promise<Row & { readonly items: readonly Row[] }> => {
    const response = await ask(path)
    assert.equal(response.status, 200, await response.clone().text())
    return (await response.json()) as Row & { readonly items: readonly Row[] }
  }
}

/** A window of which the query that shows what is sent in the clear was not answered. */
function unanswered(index: number): Snapshot {
  const { metrics, ...rest } = snapshotOf('east', index, {}, CLEAR)
  return {
    ...rest,
    complete: false,
    metrics: {
      ...metrics,
      status: 'partial',
      errors: ['Cannot query clear-outbound: no answer'],
      answers: metrics.answers.filter(({ name }) => name !== 'clear-outbound'),
    },
  }
}

test('where metrics were not all answered nothing counts as seen, and an empty list is not called whole', async (t) => {
  const ask = await asker(t, await storeOf(unanswered(0), unanswered(1), unanswered(2), unanswered(3)))
  const { collected, clusters, items } = await ask(`/v1/paths?state=not-encrypted&from=${time(0)}`)
  assert.deepEqual(items, [])
  assert.equal(collected, 'partly')
  assert.deepEqual(
    (clusters as Row[]).map(({ windows, notCollected, coverage }) => [windows, notCollected, coverage]),
    [[4, 4, 0]],
  )
  const coverage = await ask('/v1/clusters/east/coverage')
  assert.deepEqual(
    coverage.items.map(({ ratio }) => ratio),
    [0, 0, 0, 0],
  )
})

test('time in which the cluster was not registered is known to nobody, before and after it is collected again', async (t) => {
  const objects = await storeOf(ENCRYPTED, ENCRYPTED, ENCRYPTED, ENCRYPTED)
  await removeCluster('east', author(21), { objects })
  const again = 10 * 24 * 60
  await addCluster({ id: 'east', windowMinutes: 5 }, author(again), { objects })
  const ask = await asker(t, objects, again + 1)
  const told = async (to: number) => {
    const { collected, clusters } = await ask(`/v1/paths?state=not-encrypted&from=${time(0)}&to=${time(to)}`)
    return [collected, (clusters as Row[])[0]?.['uncoveredSeconds']]
  }
  assert.deepEqual(await told(20), ['all', 0])
  assert.deepEqual(await told(24 * 60), ['partly', (24 * 60 - 20) * 60])
  const diff = await ask(`/v1/diff?from=${time(0)}/${time(10)}&to=${time(10)}/${time(24 * 60)}`)
  assert.equal(diff['collected'], 'partly')
})

test('an end inside a window that is over lacks that window', async (t) => {
  const ask = await asker(t, await storeOf(ENCRYPTED, ENCRYPTED, CLEAR, ENCRYPTED))
  const told = async (to: string) => (await ask(`/v1/paths?state=not-encrypted&from=${time(0)}&to=${to}`))['collected']
  assert.equal(await told(time(10)), 'all')
  assert.equal(await told('2026-11-24T12:14:59Z'), 'partly')
})

test('the window that holds a time is the one that was collected, whatever size windows have now', async (t) => {
  const objects = await storeOf(ENCRYPTED, ENCRYPTED, CLEAR, ENCRYPTED)
  await removeCluster('east', author(21), { objects })
  await addCluster({ id: 'east', windowMinutes: 60 }, author(22), { objects })
  const ask = await asker(t, objects, 23)
  const at = async (minutes: number) => {
    const { clusters, items } = await ask(`/v1/edges?at=${time(minutes)}&kind=deployment`)
    return [(clusters as Row[])[0]?.['window'], items.map(({ state }) => state)]
  }
  assert.deepEqual(await at(12), [{ start: time(10), end: time(15) }, ['no-mesh-tls']])
  assert.deepEqual(await at(15), [{ start: time(10), end: time(15) }, ['no-mesh-tls']])
  assert.deepEqual(await at(17), [{ start: time(15), end: time(20) }, ['mtls']])
})

test('an episode of a path that is gone is of the window in which it was gone', async (t) => {
  const gone: SyntheticCluster = { pods: [api], counters: [] }
  const ask = await asker(t, await storeOf(CLEAR, gone, gone, gone))
  const [{ episode } = {}] = (await ask('/v1/episodes')).items
  const { endedAt, ending } = episode as Row
  assert.equal(ending, 'gone')
  const before = new Date(Date.parse(endedAt as string) - 300_000).toISOString().replace('.000Z', 'Z')
  for (const more of ['', '&open=false', '&namespace=shop'])
    assert.deepEqual(
      (await ask(`/v1/episodes?from=${before}${more}`)).items.map((one) => one['episode']),
      [episode],
    )
  assert.deepEqual((await ask(`/v1/episodes?from=${before}&open=true`)).items, [])
  assert.deepEqual((await ask(`/v1/episodes?from=${before}&namespace=nowhere`)).items, [])
})

test('the last that was seen of an episode is what was seen last, not the first state by name', async (t) => {
  const opaque: SyntheticCluster = {
    pods,
    counters: [...tcp(api, inbound(api, 9000, NO_TLS)), authorized(api, 9000, 'tcp_authz_allow')],
  }
  const http: SyntheticCluster = { pods, counters: clearHttp(api, 9000) }
  const ask = await asker(t, await storeOf(opaque, http, http, http))
  const { items } = await ask('/v1/episodes')
  assert.deepEqual(
    items.map(({ last }) => [(last as Row)['state'], (last as Row)['to']]),
    [['plaintext', time(20)]],
  )
  const rows = (await ask('/v1/paths?state=not-encrypted')).items
  assert.deepEqual(
    rows.map(({ state, from, to }) => [state, from, to]),
    [
      ['plaintext', time(5), time(20)],
      ['no-mesh-tls', time(0), time(5)],
    ],
  )
})

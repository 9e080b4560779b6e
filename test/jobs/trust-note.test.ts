import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from '../../lib/model/registry.ts'
import { noteTrust } from '../../lib/jobs/trust-note.ts'
import { UntrustedError } from '../../lib/store/registry/trust.ts'
import { registryKey, trustKey } from '../../lib/store/keys.ts'
import { addCluster, readClusters, removeCluster } from '../../lib/store/registry/registry.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'

/** A store whose registrations an operator signs for, and what somebody can do who may write what is not locked. */
async function world() {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const operator = newSigner('ciphertrail-trust')
  const author = { now: new Date('2026-11-24T12:00:00Z'), by: 'operator' }
  const trustOf = (place: string, signer = operator) =>
    noteTrust({ objects, signer: () => Promise.resolve(signer), place })
  const trust = trustOf('s3://evidence')
  const clusterOf = async (id: string): Promise<Cluster> =>
    (await readClusters({ objects })).find((one) => one.id === id) ?? assert.fail(`${id} is not registered`)
  const add = async (id: string, url: string) => {
    await addCluster({ id, prometheusUrl: url }, author, { objects })
    await trust.vouch([await clusterOf(id)])
  }
  const isOpened = async (id: string, by = trust): Promise<boolean> =>
    by.check(await clusterOf(id)).then(
      () => true,
      (error: unknown) => {
        if (error instanceof UntrustedError) return false
        throw error
      },
    )
  return {
    held,
    objects,
    author,
    trust,
    trustOf,
    add,
    isOpened,
    remove: (id: string) => removeCluster(id, author, { objects }),
  }
}

test('noteTrust() opens what was signed for, as it was registered, with that key, in that store', async () => {
  const { add, isOpened, objects, author, trustOf } = await world()
  await add('prod', 'https://a.example')
  await add('shop', 'https://b.example')
  assert.deepEqual([await isOpened('prod'), await isOpened('shop')], [true, true])
  assert.equal(await isOpened('prod', trustOf('s3://another')), false)
  assert.equal(await isOpened('prod', trustOf('s3://evidence', newSigner('ciphertrail-trust'))), false)
  await addCluster({ id: 'prod', prometheusUrl: 'https://c.example' }, author, { objects })
  assert.deepEqual([await isOpened('prod'), await isOpened('shop')], [false, true])
})

test('noteTrust() opens nothing where what is signed was changed, damaged or removed', async () => {
  const { add, isOpened, held } = await world()
  await add('prod', 'https://a.example')
  const text = Buffer.from(held.get(trustKey) ?? assert.fail()).toString()
  for (const spoiled of ['', '?', '{}', text.replace('"change":1', '"change":9'), text.replace('"prod"', '"shop"')]) {
    held.set(trustKey, Buffer.from(spoiled))
    assert.equal(await isOpened('prod'), false, spoiled)
  }
  held.delete(trustKey)
  assert.equal(await isOpened('prod'), false)
})

test('noteTrust() does not open a cluster that was changed or removed since, whatever of the store is put back', async () => {
  const { add, isOpened, held, remove, trust, author, objects } = await world()
  await add('prod', 'https://old.example')
  const [oldTrust, oldRegistry] = [held.get(trustKey), held.get(registryKey)]
  assert.ok(oldTrust !== undefined && oldRegistry !== undefined)
  await add('shop', 'https://b.example')
  await remove('prod')
  await trust.forget('prod')
  const latest = Buffer.from(held.get(registryKey) ?? assert.fail()).toString()
  // The registry says that it has every change, and has the cluster as it was.
  const { clusters } = JSON.parse(Buffer.from(oldRegistry).toString()) as { clusters: unknown[] }
  const forged = { ...(JSON.parse(latest) as object), clusters, removed: undefined }
  held.set(registryKey, Buffer.from(JSON.stringify(forged)))
  held.set(trustKey, oldTrust)
  assert.equal(await isOpened('prod'), false)
  // Nor does the next signature vouch for it by the way.
  await addCluster({ id: 'third', prometheusUrl: 'https://c.example' }, author, { objects })
  held.set(trustKey, oldTrust)
  await trust.vouch([])
  assert.equal(await isOpened('prod'), false)
})

test('noteTrust() keeps what two operators sign for at once', async () => {
  const { isOpened, objects, author, trust } = await world()
  const ids = Array.from({ length: 8 }, (_, number) => `c${number}`)
  for (const id of ids) await addCluster({ id, prometheusUrl: 'https://a.example' }, author, { objects })
  await Promise.all((await readClusters({ objects })).map((cluster) => trust.vouch([cluster])))
  for (const id of ids) assert.equal(await isOpened(id), true, id)
})

test('what an agent collects needs nobody to vouch for it, since nobody opens it', async () => {
  const { isOpened, objects, author } = await world()
  await addCluster({ id: 'prod', agent: true }, author, { objects })
  assert.equal(await isOpened('prod'), true)
})

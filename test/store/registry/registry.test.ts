import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readChange, recordChange } from '../../../lib/store/registry/changes.ts'
import { changeKey, registryKey } from '../../../lib/store/keys.ts'
import { type Objects, StoreError } from '../../../lib/store/objects/objects.ts'
import { ClusterOptionError } from '../../../lib/store/registry/registration.ts'
import type { ClusterOptions } from '../../../lib/store/registry/registration.ts'
import {
  addCluster,
  readClusters,
  readRecorded,
  readWatched,
  removeCluster,
} from '../../../lib/store/registry/registry.ts'
import { makeAuthority } from '../../../demo/replay-kubernetes.ts'
import { freshStore } from '../../support/stored/fresh-store.ts'
import { errorText, matchesText, TEXT } from '../../support/texts/matches-text.ts'

const ada = { now: new Date('2026-11-24T12:34:56.789Z'), by: 'ada' }

async function windowsOf(objects: Objects): Promise<string[]> {
  const [cluster] = await readClusters({ objects })
  return (cluster?.windows ?? []).map(({ since, minutes }) => `${minutes} since ${since}`)
}

test('addCluster() registers a cluster with its defaults, and readClusters() sorts by id', async (t) => {
  const objects = await freshStore(t)
  assert.deepEqual(await readClusters({ objects }), [])
  assert.equal(await addCluster({ id: 'shop', context: 'kind-shop', windowMinutes: 5 }, ada, { objects }), 'added')
  assert.equal(await addCluster({ id: 'bank', prometheusUrl: 'http://127.0.0.1:9090' }, ada, { objects }), 'added')
  const common = { registeredAt: '2026-11-24T12:34:56Z', linkerdNamespace: 'linkerd', vizNamespace: 'linkerd-viz' }
  const since = '1970-01-01T00:00:00Z'
  assert.deepEqual(await readClusters({ objects }), [
    { id: 'bank', ...common, prometheusUrl: 'http://127.0.0.1:9090', windows: [{ since, minutes: 60 }] },
    { id: 'shop', ...common, context: 'kind-shop', windows: [{ since, minutes: 5 }] },
  ])
})

test('addCluster() of a known cluster changes what is given and nothing else', async (t) => {
  const objects = await freshStore(t)
  await addCluster({ id: 'shop', context: 'old', kubeconfig: '/etc/kube config' }, ada, { objects })
  const before = await objects.get(registryKey)
  assert.equal(await addCluster({ id: 'shop' }, { ...ada, now: new Date(0) }, { objects }), 'unchanged')
  assert.equal(await addCluster({ id: 'shop', context: 'old', windowMinutes: 60 }, ada, { objects }), 'unchanged')
  assert.equal((await objects.get(registryKey))?.etag, before?.etag)

  assert.equal(
    await addCluster({ id: 'shop', context: 'new', vizNamespace: 'viz' }, { ...ada, now: new Date(0) }, { objects }),
    'updated',
  )
  assert.equal(await addCluster({ id: 'shop', prometheusUrl: 'http://prometheus' }, ada, { objects }), 'updated')
  assert.equal((await readClusters({ objects }))[0]?.prometheusUrl, 'http://prometheus')
  assert.equal(await addCluster({ id: 'shop', prometheusUrl: null }, ada, { objects }), 'updated')
  assert.equal(await addCluster({ id: 'shop', prometheusUrl: null }, ada, { objects }), 'unchanged')
  const [cluster] = await readClusters({ objects })
  assert.ok(cluster !== undefined && !('prometheusUrl' in cluster))
  assert.equal(cluster?.context, 'new')
  assert.equal(cluster?.vizNamespace, 'viz')
  assert.equal(cluster?.kubeconfig, '/etc/kube config')
  assert.equal(cluster?.registeredAt, '2026-11-24T12:34:56Z')
})

test('addCluster() says for how long workloads are tapped in each collection, and that they no longer are', async (t) => {
  const objects = await freshStore(t)
  const tapOf = async (tapSeconds?: number | null) => {
    await addCluster({ id: 'shop', ...(tapSeconds === undefined ? {} : { tapSeconds }) }, ada, { objects })
    return (await readClusters({ objects }))[0]?.tapSeconds
  }
  assert.deepEqual([await tapOf(), await tapOf(10), await tapOf(), await tapOf(null)], [undefined, 10, 10, undefined])
  for (const seconds of [0, 61, 1.5, NaN])
    await assert.rejects(tapOf(seconds), {
      message: `Cannot add cluster "shop": workloads are tapped for 1 to 60 seconds, not ${seconds}`,
    })
})

test('addCluster() keeps the names of files with credentials, and forgets them where the address is another server', async (t) => {
  const objects = await freshStore(t)
  const auth = async () => (await readClusters({ objects }))[0]?.prometheusAuth
  const add = (options: Omit<ClusterOptions, 'id'>) => addCluster({ id: 'shop', ...options }, ada, { objects })
  await add({ prometheusUrl: 'https://a.example/x', prometheusAuth: { tokenFile: '/t', caFile: '/ca' } })
  assert.deepEqual(await auth(), { tokenFile: '/t', caFile: '/ca' })
  await add({ prometheusUrl: 'https://a.example/y' })
  assert.deepEqual(await auth(), { tokenFile: '/t', caFile: '/ca' })
  await add({ prometheusAuth: { user: 'me', passwordFile: '/p' } })
  assert.deepEqual(await auth(), { user: 'me', passwordFile: '/p' })
  await add({ prometheusUrl: 'https://b.example/y' })
  assert.equal(await auth(), undefined)
  await add({ prometheusAuth: { certFile: '/c', keyFile: '/k' } })
  await add({ prometheusUrl: null })
  await add({ prometheusUrl: 'https://b.example/y' })
  assert.equal(await auth(), undefined)

  const url = 'https://a.example'
  const cases: Omit<ClusterOptions, 'id'>[] = [
    { prometheusUrl: url, prometheusAuth: { tokenFile: '/t', user: 'me', passwordFile: '/p' } },
    { prometheusUrl: url, prometheusAuth: { user: 'me' } },
    { prometheusUrl: url, prometheusAuth: { passwordFile: '/p' } },
    { prometheusUrl: url, prometheusAuth: { certFile: '/c' } },
    { prometheusUrl: url, prometheusAuth: { tokenFile: '/\u001b' } },
    { prometheusUrl: 'http://p.example', prometheusAuth: { tokenFile: '/t' } },
    { prometheusUrl: 'http://127.0.0.1', prometheusAuth: { certFile: '/c', keyFile: '/k' } },
    { prometheusUrl: url, prometheusAuth: { sigv4RoleArn: 'arn:aws:iam::123456789012:role/x' } },
    { prometheusUrl: url, prometheusAuth: { sigv4Region: 'eu-central-1', tokenFile: '/t' } },
    { prometheusUrl: url, prometheusAuth: { sigv4Region: 'x/y' } },
    { prometheusUrl: url, prometheusAuth: { sigv4Region: 'eu-central-1', sigv4RoleArn: 'me' } },
    { prometheusUrl: 'http://p.example', prometheusAuth: { sigv4Region: 'eu-central-1' } },
    { prometheusUrl: null, prometheusAuth: { tokenFile: '/t' } },
  ]
  for (const options of cases) await assert.rejects(add(options), errorText({ name: 'ClusterOptionError' }, options))
  assert.equal(await add({ prometheusUrl: 'http://127.0.0.1:9090', prometheusAuth: { tokenFile: '/t' } }), 'updated')
})

test('addCluster() keeps one way to the API server: what is given takes the place of the other', async (t) => {
  const objects = await freshStore(t)
  const way = async () => {
    const [{ kubeconfig, context, eks, apiServer } = {}] = await readClusters({ objects })
    return JSON.parse(JSON.stringify({ kubeconfig, context, eks, apiServer })) as unknown
  }
  const add = (options: Omit<ClusterOptions, 'id'>) => addCluster({ id: 'shop', ...options }, ada, { objects })
  const eks = { name: 'shop', region: 'eu-central-1', roleArn: 'arn:aws:iam::123456789012:role/team/auditor' }
  const authority = await makeAuthority()
  const { key } = await authority.issue()
  const { ca } = authority
  const apiServer = { url: 'https://api.example:6443/k8s', ca, tokenFile: '/t' }
  await add({ kubeconfig: '/k', context: 'c' })
  await add({ apiServer: { ...apiServer, ca: `${ca}${ca}` } })
  await add({ apiServer })
  assert.deepEqual(await way(), { apiServer })
  await add({ eks })
  assert.deepEqual(await way(), { eks })
  await add({ windowMinutes: 5 })
  assert.deepEqual(await way(), { eks })
  await add({ context: 'c' })
  assert.deepEqual(await way(), { context: 'c' })
  await add({ kubeconfig: '/k' })
  assert.deepEqual(await way(), { kubeconfig: '/k', context: 'c' })
  await add({ apiServer })
  await add({ context: 'c' })
  assert.deepEqual(await way(), { context: 'c' })
  await add({ agent: true })
  assert.deepEqual(await way(), {})
  assert.equal((await readClusters({ objects }))[0]?.agent, true)
  await add({ context: 'c' })
  assert.ok(!('agent' in ((await readClusters({ objects }))[0] ?? {})))

  const cases: [options: Omit<ClusterOptions, 'id'>, line: RegExp][] = [
    [{ eks, context: 'c' }, /by a kubeconfig, by EKS, by its address or by an agent, and more than one is given$/],
    [{ eks, agent: true }, /by its address or by an agent, and more than one is given$/],
    [{ eks, apiServer }, /by a kubeconfig, by EKS, by its address or by an agent, and more than one is given$/],
    [{ apiServer: { ...apiServer, tokenSecret: 'x' } }, /lies either in a file or in a secret of AWS$/],
    [{ apiServer: { url: apiServer.url, ca } }, /lies either in a file or in a secret of AWS$/],
    [{ apiServer: { url: apiServer.url, ca, tokenSecret: 'a b' } }, /a name or an ARN of AWS Secrets Manager$/],
    [{ apiServer: { ...apiServer, tokenFile: '/\u001b' } }, /"\/\\u001b" is not the name of a file$/],
    ...['http://10.0.0.1', 'https://h/?x', 'https://h/', 'https://h#', 'nonsense', 'https://h\n'].map(
      (url): [Omit<ClusterOptions, 'id'>, RegExp] => [
        { apiServer: { ...apiServer, url } },
        /: the address of its API server must be one such as https:\/\/api\.prod\.example:6443$/,
      ],
    ),
    [
      { apiServer: { ...apiServer, url: 'https://me:hunter2@h' } },
      /^[^"]*"shop": the address of its API server holds a credential, which would be stored; name the file or the secret that holds the token$/,
    ],
    ...[key, `${ca}${key}`, `mine\n${ca}`, ca.replace(/M[\w/+]{20}/, 'M'.repeat(21)), ''].map(
      (text): [Omit<ClusterOptions, 'id'>, RegExp] => [
        { apiServer: { ...apiServer, ca: text } },
        /^[^"]*"shop": the authority of its API server must be certificates in PEM, and nothing else$/,
      ],
    ),
    [{ eks: { ...eks, name: '../x' } }, /"\.\.\/x" is not the name of a cluster in EKS$/],
    [{ eks: { ...eks, region: 'eu-central-1.evil.example/' } }, /is not a region of AWS, such as eu-central-1$/],
    [{ eks: { ...eks, roleArn: 'arn:aws:iam::1:role/x' } }, /is not the ARN of a role, such as arn:aws:iam::/],
  ]
  for (const [options, line] of cases) await assert.rejects(add(options), { name: 'ClusterOptionError', message: line })
})

test('addCluster() lets another window size begin at the next UTC midnight, and forgets one that never began', async (t) => {
  const objects = await freshStore(t)
  const at = async (time: string, windowMinutes: number) =>
    addCluster({ id: 'shop', windowMinutes }, { ...ada, now: new Date(time) }, { objects })
  const first = '60 since 1970-01-01T00:00:00Z'
  await at('2026-11-24T12:00:00Z', 60)
  assert.equal(await at('2026-11-24T23:59:59.999Z', 5), 'updated')
  assert.deepEqual(await windowsOf(objects), [first, '5 since 2026-11-25T00:00:00Z'])
  assert.equal(await at('2026-11-24T23:59:59.999Z', 5), 'unchanged')
  await at('2026-11-24T23:59:59.999Z', 15)
  assert.deepEqual(await windowsOf(objects), [first, '15 since 2026-11-25T00:00:00Z'])
  assert.equal(await at('2026-11-24T23:59:59.999Z', 60), 'updated')
  assert.deepEqual(await windowsOf(objects), [first])
  await at('2026-11-24T23:59:59.999Z', 15)
  // At midnight the size is in force, and a change waits for the next one.
  await at('2026-11-25T00:00:00Z', 30)
  assert.deepEqual(await windowsOf(objects), [first, '15 since 2026-11-25T00:00:00Z', '30 since 2026-11-26T00:00:00Z'])
})

test('addCluster() never changes how a past day was tiled, whatever is said when', async (t) => {
  const objects = await freshStore(t)
  const start = Date.parse('2026-11-24T00:00:00Z')
  let round = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 48 }), fc.constantFrom(5, 15, 30, 60)), {
        minLength: 1,
        maxLength: 8,
      }),
      async (changes) => {
        const id = `c${round++}`
        let time = start
        let tiled: string[] = []
        for (const [hours, windowMinutes] of changes) {
          time += hours * 60 * 60 * 1000
          await addCluster({ id, windowMinutes }, { ...ada, now: new Date(time) }, { objects })
          const cluster = (await readClusters({ objects })).find((one) => one.id === id)
          const sinces = (cluster?.windows ?? []).map(({ since }) => since)
          assert.deepEqual(sinces, [...new Set(sinces)].sort())
          assert.equal(cluster?.windows.at(-1)?.minutes, windowMinutes)
          const past = (cluster?.windows ?? [])
            .filter(({ since }) => Date.parse(since) <= time)
            .map((one) => JSON.stringify(one))
          assert.deepEqual(past.slice(0, tiled.length), tiled)
          tiled = past
        }
      },
    ),
    { numRuns: 20 },
  )
})

test('addCluster() refuses what cannot be, in one line and without a credential, and stores nothing', async (t) => {
  const objects = await freshStore(t)
  const cases: (Omit<ClusterOptions, 'id'> & { id?: string })[] = [
    { id: 'Shop' },
    { id: 'a\u001B[31m\n' },
    { windowMinutes: 10 },
    { linkerdNamespace: 'Link erd' },
    { vizNamespace: '' },
    { kubeconfig: '' },
    { context: 'a\nb' },
    { prometheusUrl: '127.0.0.1:9090' },
    { prometheusUrl: 'ftp://prometheus' },
    { prometheusUrl: 'http://prometheus/a b' },
    { prometheusUrl: 'http://prometheus\n' },
    { prometheusUrl: 'https://me:s3cret@prometheus' },
    { prometheusUrl: 'https://s3cret@prometheus' },
    { prometheusUrl: 'https://prometheus?token=s3cret' },
    { prometheusUrl: 'https://prometheus/#s3cret' },
    { prometheusUrl: 'https://prometheus/#' },
    { prometheusUrl: 'https://me:s3cret@exa mple' },
  ]
  for (const options of cases) {
    await assert.rejects(addCluster({ id: 'shop', ...options }, ada, { objects }), (error) => {
      assert.ok(error instanceof ClusterOptionError)
      matchesText(error.message, TEXT, options)
      assert.doesNotMatch(error.message, /s3cret|[\p{Cc}]/u)
      return true
    })
  }
  assert.equal(await objects.get(registryKey), undefined)
})

test('removeCluster() takes a cluster out and says whether it was there', async (t) => {
  const objects = await freshStore(t)
  assert.equal(await removeCluster('shop', ada, { objects }), false)
  await addCluster({ id: 'shop' }, ada, { objects })
  await addCluster({ id: 'bank' }, ada, { objects })
  assert.equal(await removeCluster('shop', ada, { objects }), true)
  assert.equal(await removeCluster('shop', ada, { objects }), false)
  assert.deepEqual(
    (await readClusters({ objects })).map(({ id }) => id),
    ['bank'],
  )
})

test('readWatched() gives each time that a cluster was registered, also where the registry is made again', async (t) => {
  const objects = await freshStore(t)
  const at = (now: string) => ({ now: new Date(now), by: 'ada' })
  await addCluster({ id: 'shop' }, at('2026-11-24T08:00:00Z'), { objects })
  await addCluster({ id: 'bank' }, at('2026-11-24T08:00:00Z'), { objects })
  await removeCluster('shop', at('2026-11-24T09:00:00Z'), { objects })
  await addCluster({ id: 'shop', context: 'new' }, at('2026-11-24T10:00:00Z'), { objects })
  await removeCluster('shop', at('2026-11-24T11:00:00Z'), { objects })
  await addCluster({ id: 'shop' }, at('2026-11-24T12:00:00Z'), { objects })
  const watched = [
    ['bank', '2026-11-24T08:00:00Z', undefined],
    ['shop', '2026-11-24T12:00:00Z', undefined],
    ['shop', '2026-11-24T08:00:00Z', '2026-11-24T09:00:00Z'],
    ['shop', '2026-11-24T10:00:00Z', '2026-11-24T11:00:00Z'],
  ]
  const read = async () =>
    (await readWatched({ objects })).map(({ id, registeredAt, removedAt }) => [id, registeredAt, removedAt])
  assert.deepEqual(await read(), watched)
  const stored = await objects.get(registryKey)
  assert.equal(String((await readRecorded({ objects })).bytes), Buffer.from(stored?.body ?? []).toString())
  await objects.remove(registryKey)
  assert.deepEqual(await read(), watched)
})

test('clusters that are added at once are all kept', async (t) => {
  const objects = await freshStore(t)
  const ids = Array.from({ length: 12 }, (_, index) => `cluster-${String(index).padStart(2, '0')}`)
  await Promise.all(ids.map((id) => addCluster({ id }, ada, { objects })))
  assert.deepEqual(
    (await readClusters({ objects })).map(({ id }) => id),
    ids,
  )
})

test('a damaged registry is one clear line that names its key, and is left as it is', async (t) => {
  const cluster = {
    id: 'shop',
    registeredAt: '2026-11-24T12:34:56Z',
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    windows: [{ since: '1970-01-01T00:00:00Z', minutes: 60 }],
  }
  const registry = (change: object) =>
    JSON.stringify({ format: 'ciphertrail/clusters/1', change: 0, clusters: [{ ...cluster, ...change }] })
  for (const [text, state] of [
    ['', 'it is not a registry'],
    ['{"format":"ciphertrail/clu', 'it is not a registry'],
    ['[]', 'it is not a registry'],
    [registry({}).replace('/1', '/2'), '"format" is absent or wrong'],
    [registry({ id: '../shop' }), '"clusters.0.id" is absent or wrong'],
    [registry({ windows: [] }), '"clusters.0.windows" is absent or wrong'],
    [registry({ windows: [{ since: 'now', minutes: 60 }] }), '"clusters.0.windows.0.since" is absent or wrong'],
    [
      registry({ windows: [{ since: cluster.registeredAt, minutes: 7 }] }),
      '"clusters.0.windows.0.minutes" is absent or wrong',
    ],
    [
      JSON.stringify({ format: 'ciphertrail/clusters/1', change: 0, clusters: [cluster, cluster] }),
      '"clusters" is absent or wrong',
    ],
  ] as const) {
    const objects = await freshStore(t)
    const etag = await objects.putIf(registryKey, Buffer.from(text), null)
    const message = `Cannot read the registry "registry/clusters.json": ${state}, move it away: it is made again from what is recorded under "changes/clusters/"`
    await assert.rejects(readClusters({ objects }), { message })
    await assert.rejects(addCluster({ id: 'bank' }, ada, { objects }), { message })
    await assert.rejects(removeCluster('shop', ada, { objects }), { message })
    assert.equal((await objects.get(registryKey))?.etag, etag)
  }
})

test('each change of the registry is recorded once, with who and when, and the registry can be made again from them', async (t) => {
  const objects = await freshStore(t)
  await addCluster({ id: 'shop' }, ada, { objects })
  await addCluster({ id: 'shop', context: 'new' }, { now: new Date('2026-11-25T00:00:00Z'), by: 'grace' }, { objects })
  await addCluster({ id: 'shop', context: 'new' }, ada, { objects })
  await addCluster({ id: 'bank' }, ada, { objects })
  await removeCluster('bank', ada, { objects })
  const changes = await Promise.all([1, 2, 3, 4, 5].map((number) => readChange('clusters', number, objects)))
  assert.deepEqual(
    changes.map((change) => change && [change.at, change.by, (change.content as { id: string }).id]),
    [
      ['2026-11-24T12:34:56Z', 'ada', 'shop'],
      ['2026-11-25T00:00:00Z', 'grace', 'shop'],
      ['2026-11-24T12:34:56Z', 'ada', 'bank'],
      ['2026-11-24T12:34:56Z', 'ada', 'bank'],
      undefined,
    ],
  )
  const clusters = await readClusters({ objects })
  assert.deepEqual(
    clusters.map(({ id, context }) => [id, context]),
    [['shop', 'new']],
  )
  await objects.remove(registryKey)
  assert.deepEqual(await readClusters({ objects }), clusters)
})

test('a change that was recorded counts, whatever became of the registry and of the writer', async (t) => {
  const store = await freshStore(t)
  const dying: Objects = {
    ...store,
    putIf: () => Promise.reject(new StoreError('Cannot write: the disk is full')),
  }
  await addCluster({ id: 'shop' }, ada, { objects: store })
  await assert.rejects(addCluster({ id: 'bank' }, ada, { objects: dying }), StoreError)
  assert.deepEqual(
    (await readClusters({ objects: store })).map(({ id }) => id),
    ['bank', 'shop'],
  )
  assert.equal(await removeCluster('shop', ada, { objects: store }), true)
  assert.deepEqual(
    (await readClusters({ objects: store })).map(({ id }) => id),
    ['bank'],
  )
})

test('a damaged change is one clear line that names its key, and nothing is decided past it', async (t) => {
  for (const text of [
    '',
    '{}',
    '{"format":"ciphertrail/change/1","kind":"clusters","number":1,"at":"2026-11-24T12:34:56Z","by":"ada","content":{"id":"shop"}}',
  ]) {
    const objects = await freshStore(t)
    await objects.putOnce(changeKey('clusters', 1), Buffer.from(text))
    const message =
      'Cannot read "changes/clusters/000001.json": it is damaged, put back a copy of it, as nothing can make it again'
    await assert.rejects(readClusters({ objects }), { message })
    await assert.rejects(addCluster({ id: 'bank' }, ada, { objects }), { message })
  }
})

test('a registry that is made again says which change is missing, and passes over none', async (t) => {
  const objects = await freshStore(t)
  await addCluster({ id: 'shop' }, ada, { objects })
  await recordChange({ kind: 'clusters', number: 3, content: { id: 'bank', cluster: null } }, ada, objects)
  await objects.remove(registryKey)
  await assert.rejects(readClusters({ objects }), errorText())
})

test('a change that is recorded while the registry is made again is no hole in it', async (t) => {
  const objects = await freshStore(t)
  const add = (number: number, id: string) =>
    recordChange({ kind: 'clusters', number, content: { id, cluster: null } }, ada, objects)
  await addCluster({ id: 'shop' }, ada, { objects })
  await objects.remove(registryKey)
  const racing: Objects = {
    ...objects,
    async *list(prefix, after) {
      await add(2, 'bank')
      yield* objects.list(prefix, after)
    },
  }
  assert.deepEqual(
    (await readClusters({ objects: racing })).map(({ id }) => id),
    ['shop'],
  )
})

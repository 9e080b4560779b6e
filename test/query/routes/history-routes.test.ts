import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { encodeCursor } from '../../../lib/query/page.ts'
import type { Waiver } from '../../../lib/model/judgement.ts'
import { checkProof } from '../../../lib/seal/verify/prove.ts'
import { verifierOf } from '../../../lib/seal/tlog/note.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { declareWaivers } from '../../../lib/store/registry/declarations.ts'
import { addCluster, readClusters } from '../../../lib/store/registry/registry.ts'
import { parseNdjson, run } from '../../support/process/command-line.ts'
import { pod } from '../../support/mesh/synthetic-pods.ts'
import { NO_DISCOVERY, mutual, outbound, tcp } from '../../support/mesh/synthetic-prometheus.ts'
import { type LocalApi, startApi } from '../../support/servers/local-api.ts'
import { ASKED_AT, fillHistories, fillNorth } from '../../support/stored/asked-store.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { minutesIn, snapshotOf } from '../../support/stored/sealed-store.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

type Row = Record<string, unknown>
type List = { items: Row[]; next: string | null } & Row

/** A store in a folder, so that the command line is asked of the same. */
let folder = ''
let objects: Objects
const signer = newSigner()
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ciphertrail-routes-'))
  objects = directoryObjects(folder)
  await fillHistories(objects)
  await fillNorth(objects)
  await declareWaivers([waiver('one', 'north'), waiver('two', 'east'), waiver('three')], author, objects)
  await seal({ now: ASKED_AT, everything: true }, { objects, signer })
})
after(() => rm(folder, { recursive: true, force: true }))

const author = { now: minutesIn(20), by: 'tester' }
const NOW = ASKED_AT.toISOString().replace('.000Z', 'Z')
const WINDOW = '20261124T120000Z-20261124T120500Z'
const minutes = (from: number, to: number): string =>
  [from, to].map((minute) => `2026-11-24T12:${String(minute).padStart(2, '0')}:00Z`).join('/')

function waiver(id: string, cluster?: string): Waiver {
  return {
    id,
    ...(cluster === undefined ? {} : { cluster }),
    source: 'deployment/shop/web',
    owner: 'shop',
    reason: 'It cannot speak TLS',
    compensatingControl: 'One node',
    expires: '2027-01-31T00:00:00Z',
  }
}

async function list({ ask }: LocalApi, path: string, as = 'all'): Promise<List> {
  const response = await ask(path, { headers: { authorization: `Bearer ${as}` } })
  assert.equal(response.status, 200, await response.clone().text())
  return (await response.json()) as List
}

async function told(...args: string[]): Promise<Row[]> {
  return parseNdjson((await run([...args, '--json', '--store', folder], { folder, now: NOW })).stdout)
}

test('diff, episodes and edges of the API are those of the command line', async (t) => {
  const api = await startApi(t, { objects })
  const periods = [minutes(0, 5), minutes(5, 20)] as const
  const diff = await list(api, `/v1/diff?from=${periods[0]}&to=${periods[1]}`)
  assert.deepEqual(diff.items, await told('diff', ...periods))
  assert.deepEqual([diff['collected'], (diff['counts'] as Row)['fixed']], ['partly', 1])
  assert.deepEqual((await list(api, '/v1/episodes')).items, await told('episodes'))
  const edges = await list(api, '/v1/edges?at=2026-11-24T12:03:00Z&kind=deployment')
  const shown = edges.items.filter(({ state }) => state !== 'exempt')
  assert.deepEqual(shown, await told('edges', 'deployment', '--at', '2026-11-24T12:03:00Z'))
  assert.ok(diff.items.length > 0 && shown.length > 0)
})

test('an episode says how long it lasted and how its path was seen last', async (t) => {
  const api = await startApi(t, { objects })
  const { items } = await list(api, '/v1/episodes?cluster=north')
  assert.deepEqual(
    items.map(({ seconds, episode, last }) => [seconds, (episode as Row)['ending'], (last as Row)['waiver']]),
    [[600, 'fixed', 'one']],
  )
  const earlier = await list(api, '/v1/episodes?cluster=north&to=2026-11-24T12:10:00Z')
  assert.deepEqual(
    earlier.items.map(({ seconds, episode }) => [seconds, (episode as Row)['endedAt']]),
    [[300, null]],
    'a past time keeps saying what was true then',
  )
  assert.deepEqual((await list(api, '/v1/episodes?cluster=north&open=true')).items, [])
  assert.deepEqual((await list(api, '/v1/episodes?cluster=north&namespace=nowhere')).items, [])
})

test('an episode that begins after a gap may have begun earlier', async (t) => {
  const store = memoryObjects()
  await addCluster({ id: 'gap', windowMinutes: 5 }, author, { objects: store })
  const [web, api] = [pod('deployment/web'), pod('deployment/api')]
  const pods = [web, api]
  const clear = { pods, counters: tcp(web, outbound(api, 8080, NO_DISCOVERY)) }
  const collect = (index: number, mesh: Parameters<typeof snapshotOf>[3]) =>
    writeAttempt(snapshotOf('gap', index, {}, mesh), { objects: store })
  const told = async () => {
    for (const cluster of await readClusters({ objects: store }))
      await deriveCluster(cluster, { objects: store, assess: assessWindow })
    const { items } = await list(await startApi(t, { objects: store }), '/v1/episodes')
    return items.map(({ episode }) => [(episode as Row)['mayBeEarlier'], (episode as Row)['openedAt']])
  }
  await collect(0, { pods, counters: mutual(web, api, 8080) })
  await collect(2, clear)
  assert.deepEqual(await told(), [[true, '2026-11-24T12:10:00Z']])
  await collect(1, { pods, counters: mutual(web, api, 8080) })
  assert.deepEqual(await told(), [[false, '2026-11-24T12:10:00Z']])
})

test('edges of a window that nobody collected are a gap, never an empty answer that reads as good news', async (t) => {
  const api = await startApi(t, { objects })
  const { collected, clusters, items } = await list(api, '/v1/edges?at=2026-11-24T12:12:00Z&cluster=east')
  assert.deepEqual([collected, items], ['none', []])
  matchesText(String((clusters as Row[])[0]?.['problem']))
})

test('coverage of a cluster is told window by window, those that are missing among them', async (t) => {
  const api = await startApi(t, { objects })
  const { items, cluster } = await list(api, '/v1/clusters/east/coverage')
  assert.deepEqual(
    items.map(({ window, collected, workloads }) => [
      (window as Row)['end'],
      collected,
      (workloads as unknown[]).length > 0,
    ]),
    [
      ['2026-11-24T12:20:00Z', true, true],
      ['2026-11-24T12:15:00Z', false, false],
      ['2026-11-24T12:10:00Z', true, true],
      ['2026-11-24T12:05:00Z', true, true],
    ],
  )
  assert.equal((cluster as Row)['notCollected'], 1)
})

test('what proxies stated of their cryptography is told of one window', async (t) => {
  const api = await startApi(t, { objects })
  const answer = (await (await api.ask('/v1/clusters/north/crypto')).json()) as Row
  assert.deepEqual(answer['window'], { start: '2026-11-24T12:15:00Z', end: '2026-11-24T12:20:00Z' })
  assert.ok('certificates' in (answer['crypto'] as Row))
  assert.equal((await api.ask('/v1/clusters/east/crypto?at=2026-11-24T12:12:00Z')).status, 404)
  assert.equal((await api.ask('/v1/clusters/nowhere/crypto')).status, 404)
})

test('evidence is given as it is stored, with a proof that the key of the log believes', async (t) => {
  const { ask } = await startApi(t, { objects })
  const answer = (await (await ask(`/v1/evidence/${WINDOW}/north`)).json()) as { attempts: Row[] }
  const [attempt] = answer.attempts
  const key = `evidence/${WINDOW}/north/0001.json.gz`
  assert.deepEqual([attempt?.['key'], answer.attempts.length], [key, 1])
  const bytes = await ask(String(attempt?.['href']))
  assert.equal(bytes.headers.get('content-type'), 'application/gzip')
  const stored = await objects.get(key)
  const body = Buffer.from(await bytes.arrayBuffer())
  assert.deepEqual(body, Buffer.from(stored?.body ?? []))
  assert.match(gunzipSync(body).toString(), /"north"/)
  for (const path of [String(attempt?.['proof']), `/v1/evidence/${WINDOW}/north/proof`]) {
    const { leaf } = checkProof(Buffer.from(await (await ask(path)).arrayBuffer()), verifierOf(signer.vkey))
    assert.equal('key' in leaf ? leaf.key : null, key)
  }
  for (const path of [
    `/v1/evidence/${WINDOW}/nowhere`,
    `/v1/evidence/${WINDOW}/north/0002.json.gz`,
    `/v1/evidence/${WINDOW}/north/0002.json.gz/proof`,
    `/v1/evidence/${WINDOW}/north/..`,
    `/v1/evidence/packets/north`,
    '/v1/evidence/x/y/proof',
  ])
    assert.equal((await ask(path)).status, 404, path)
})

test('what is not sealed has no proof yet', async (t) => {
  const unsealed = memoryObjects()
  await fillHistories(unsealed)
  const { ask } = await startApi(t, { objects: unsealed })
  assert.equal((await ask(`/v1/evidence/${WINDOW}/east/proof`)).status, 404)
})

/** Two teams: each has one cluster, and must learn nothing of the other's. */
const SCOPED = [
  '/v1/clusters',
  '/v1/paths',
  '/v1/episodes',
  `/v1/diff?from=${minutes(0, 5)}&to=${minutes(5, 20)}`,
  '/v1/edges?at=2026-11-24T12:03:00Z',
  '/v1/edges',
  '/v1/waivers',
  '/v1/reports',
]

test('no list, filter, cursor or id gets around the scope of a team', async (t) => {
  const { ask, ...api } = await startApi(t, { objects })
  const as = (team: string) => ({ headers: { authorization: `Bearer ${team}` } })
  for (const path of SCOPED) {
    for (const [team, other] of [
      ['north', 'east'],
      ['east', 'north'],
    ] as const) {
      const mine = await (await ask(path, as(team))).text()
      assert.doesNotMatch(mine, new RegExp(`"${other}"`), `${path} as ${team}`)
      const join_ = path.includes('?') ? '&' : '?'
      if (!/clusters|waivers|reports/.test(path))
        assert.equal((await ask(`${path}${join_}cluster=${other}`, as(team))).status, 404, path)
      // A cursor of somebody who may see more is worth nothing.
      const { next } = await list({ ask, ...api }, `${path}${join_}limit=1`)
      if (next === null) continue
      assert.equal((await ask(`${path}${join_}limit=1&cursor=${next}`, as(team))).status, 400, path)
    }
  }
  for (const path of [
    '/v1/clusters/east/coverage',
    '/v1/clusters/east/crypto',
    `/v1/evidence/${WINDOW}/east`,
    `/v1/evidence/${WINDOW}/east/proof`,
    `/v1/evidence/${WINDOW}/east/0001.json.gz`,
    `/v1/evidence/${WINDOW}/east/0001.json.gz/proof`,
  ]) {
    assert.equal((await ask(path)).status, 200, path)
    const [denied, absent] = await Promise.all(
      [path, path.replace('/east', '/nope')].map(async (one) => {
        const response = await ask(one, as('north'))
        assert.equal(response.status, 404, one)
        return (await response.text()).replaceAll(/east|nope/g, 'ID')
      }),
    )
    assert.equal(denied, absent, 'whether it exists is not told either')
  }
})

test('a waiver that names no cluster is about every one, and its standing is told as of a time', async (t) => {
  const api = await startApi(t, { objects })
  const ids = async (as: string, query = '') =>
    (await list(api, `/v1/waivers${query}`, as)).items.map(({ waiver: one, status }) => [(one as Row)['id'], status])
  assert.deepEqual((await ids('all')).length, 3)
  assert.deepEqual(
    (await ids('north')).map(([id]) => id),
    ['one', 'three'],
  )
  assert.deepEqual(await ids('north', '?at=2027-02-01&limit=1'), [['one', 'expired']])
})

/** A cursor of a form that could have been given, but for its time. */
function ancientCursor(): string {
  const [q, d] = ['0'.repeat(16), '0'.repeat(16)]
  return encodeCursor({ v: 1, q, u: '0000-01-01T00:00:00Z', n: 1, d })
}

const BAD: readonly [path: string, parameter: string][] = [
  ['/v1/diff', 'from'],
  ['/v1/diff?from=2026-11-23', 'to'],
  ['/v1/diff?from=2026-11-23&to=2026-W99', 'to'],
  ['/v1/diff?from=2026-11-24&to=2026-11-23', 'from'],
  ['/v1/diff?from=2026-11-23&to=2027-01', 'to'],
  ['/v1/diff?from=2020-01&to=2026-11-23', 'from'],
  ['/v1/diff?from=2026-11-23&to=2026-11-24&timeZone=Mars', 'timeZone'],
  ['/v1/diff?from=2026-11-23&to=2026-11-24&change=better', 'change'],
  ['/v1/episodes?open=maybe', 'open'],
  ['/v1/episodes?state=mtls', 'state'],
  ['/v1/edges?kind=house', 'kind'],
  ['/v1/edges?at=now', 'at'],
  ['/v1/clusters/north/coverage?cluster=east', 'cluster'],
  ['/v1/clusters/north/crypto?limit=1', 'limit'],
  ['/v1/waivers?at=soon', 'at'],
  ['/v1/edges?at=0000-01-01', 'at'],
  ['/v1/edges?at=9999-12-31T23:59:59.999Z', 'at'],
  ['/v1/clusters/north/crypto?at=0000-01-01', 'at'],
  ['/v1/flow?before=0000-01-01', 'before'],
  ['/v1/paths?to=0000-01-05', 'to'],
  ['/v1/episodes?to=0000-01-05', 'to'],
  ['/v1/clusters/north/coverage?to=0000-01-05', 'to'],
  ['/v1/diff?from=0000-01&to=0000-02', 'from'],
  ['/v1/diff?from=0000-01-01/2026-11-23&to=2026-11-24', 'from'],
  [`/v1/paths?cursor=${ancientCursor()}`, 'cursor'],
  [`/v1/evidence/${WINDOW}/north?limit=1`, 'limit'],
]
for (const [path, parameter] of BAD)
  test(`${path} is a problem that names ${parameter}`, async (t) => {
    const { ask } = await startApi(t, { objects })
    const response = await ask(path)
    assert.equal(response.status, 400)
    assert.equal(((await response.json()) as Row)['parameter'], parameter)
  })

test('pages joined are the whole list of their first page, also while windows arrive', async (t) => {
  const [web, api] = [pod('deployment/web'), pod('deployment/api')]
  const meshes = [
    { pods: [web, api], counters: mutual(web, api, 8080) },
    { pods: [web, api], counters: tcp(web, outbound(api, 8080, NO_DISCOVERY)) },
    { pods: [web, api], counters: [...mutual(web, api, 8080), ...mutual(api, web, 9000)] },
  ]
  const lists = [
    '/v1/paths',
    '/v1/episodes',
    '/v1/clusters/west/coverage',
    `/v1/diff?from=${minutes(0, 5)}&to=${minutes(5, 20)}`,
    '/v1/edges',
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...lists),
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.constantFrom(...meshes), { minLength: 3, maxLength: 3 }),
      async (path, limit, arriving) => {
        const own = memoryObjects()
        await fillHistories(own)
        // Before the others: its pages must not go on with windows that are collected meanwhile.
        await fillNorth(own, 'centre')
        // Of edges, also those of a window that is over and not collected yet.
        let passed = path === '/v1/edges' ? 26 : 21
        const { ask } = await startApi(t, { objects: own, now: () => minutesIn(passed) })
        const question = `${path}${path.includes('?') ? '&' : '?'}`
        const read = async (query: string) => (await (await ask(question + query)).json()) as List
        const whole = (await read('limit=1000')).items
        const joined: Row[] = []
        let next: string | null = null
        for (let at = 0; at === 0 || next !== null; at++) {
          const page: List = await read(`limit=${limit}${next === null ? '' : `&cursor=${next}`}`)
          joined.push(...page.items)
          next = page.next
          const mesh = arriving[at]
          if (mesh === undefined) continue
          for (const id of ['centre', 'west']) await writeAttempt(snapshotOf(id, 4 + at, {}, mesh), { objects: own })
          for (const cluster of await readClusters({ objects: own }))
            await deriveCluster(cluster, { objects: own, assess: assessWindow })
          passed += 5
        }
        const names = (rows: readonly Row[]) =>
          rows.map(({ cluster, pathId, from, window }) => [cluster, pathId, from, window])
        assert.deepEqual(names(joined), names(whole))
      },
    ),
    { numRuns: 12 },
  )
})

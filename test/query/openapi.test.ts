import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import type { Waiver } from '../../lib/model/judgement.ts'
import { openApiDocument } from '../../lib/query/openapi/document.ts'
import { OPERATIONS, type Operation, answerSchema } from '../../lib/query/openapi/operations.ts'
import { problem } from '../../lib/query/openapi/schemas.ts'
import { PACK_PATH } from '../../lib/query/routes/pack-route.ts'
import { routesOf } from '../../lib/query/routes/routes.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { declareWaivers } from '../../lib/store/registry/declarations.ts'
import { type LocalApi, startApi } from '../support/servers/local-api.ts'
import { ASKED_AT, fillHistories, fillNorth } from '../support/stored/asked-store.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'

const EXAMPLES = join(import.meta.dirname, '../../lib/query/openapi/examples.json')

/** What no two machines answer alike: keys that were made just now, and what was compressed. */
const UNLIKE = new Set(['getHealth', 'getCheckpoint', 'listEvidence'])

const objects = memoryObjects()
before(async () => {
  await fillNorth(objects, 'prod')
  const waiver: Waiver = {
    id: 'web-orders',
    source: 'deployment/shop/web',
    owner: 'shop',
    reason: 'The client cannot be meshed before January',
    compensatingControl: 'Both run on one node',
    expires: '2027-01-31T00:00:00Z',
  }
  await declareWaivers([waiver], { now: minutesIn(20), by: 'alice' }, objects)
  await seal({ now: ASKED_AT, everything: true }, { objects, signer: newSigner() })
})

function addressOf(path: string, { names = {}, query = {} }: NonNullable<Operation['example']>): string {
  const named = path.replaceAll(/:([a-z]+)/g, (_, name: string) => names[name] ?? '')
  return `${named}?${new URLSearchParams(query).toString()}`
}

async function answersOf(api: LocalApi, path: string, operation: Operation): Promise<unknown> {
  const address = addressOf(path, operation.example ?? {})
  for (const type of Object.keys(operation.others ?? {})) {
    const { status, headers } = await api.ask(address, { headers: { accept: type } })
    assert.deepEqual([status, headers.get('content-type')?.split(';')[0]], [200, type], address)
  }
  const schema = answerSchema(operation.id)
  if (schema === undefined) return undefined
  const response = await api.ask(address)
  assert.equal(response.status, 200, `${address}: ${await response.clone().text()}`)
  const content: unknown = await response.json()
  const { error } = schema.safeParse(content)
  assert.equal(error, undefined, `${address}: ${String(error)}`)
  return content
}

test('the document tells every place of the API, and no other', () => {
  const served = routesOf({ objects, now: () => ASKED_AT }).map(({ path }) => path)
  assert.deepEqual(Object.keys(OPERATIONS).toSorted(), ['/health', PACK_PATH, ...served].toSorted())
})

test('the document has no finding of a linter', async () => {
  const config = await createConfig({ extends: ['recommended-strict'] })
  const findings = await lintFromString({ source: JSON.stringify(openApiDocument('1.2.3')), config })
  assert.deepEqual(
    findings.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer]),
    [],
  )
})

test('the examples of the document are what the API answers', async (t) => {
  const api = await startApi(t, { objects })
  const told: Record<string, unknown> = {}
  for (const [path, operation] of Object.entries(OPERATIONS)) {
    if (operation.example === undefined) continue
    const content = await answersOf(api, path, operation)
    if (content !== undefined && !UNLIKE.has(operation.id)) told[operation.id] = content
  }
  const text = `${JSON.stringify(told, null, 2)}\n`
  const changed = EXAMPLES.replace('.json', '-changed.json')
  const isSame = JSON.stringify(JSON.parse(readFileSync(EXAMPLES, 'utf8'))) === JSON.stringify(told)
  if (isSame) rmSync(changed, { force: true })
  else writeFileSync(changed, text)
  assert.ok(isSame, `Cannot match the examples: see ${changed}`)
})

test('every answer has the shape that the document tells, gaps, problems and hostile names among them', async (t) => {
  const asked = memoryObjects()
  await fillHistories(asked)
  const api = await startApi(t, { objects: asked })
  const minutes = '2026-11-24T12:00:00Z/2026-11-24T12:05:00Z'
  const places: readonly (readonly [id: string, address: string])[] = [
    ['listClusters', '/v1/clusters'],
    ['listCoverage', '/v1/clusters/east/coverage'],
    ['getCrypto', '/v1/clusters/west/crypto'],
    ['listPaths', '/v1/paths?limit=1000'],
    ['listPaths', '/v1/paths?to=2026-11-24T12:05:00Z'],
    ['listEpisodes', '/v1/episodes'],
    ['listEdges', '/v1/edges'],
    ['listEdges', '/v1/edges?at=2026-11-24T12:12:00Z'],
    ['diffPeriods', `/v1/diff?from=${minutes}&to=2026-11-24`],
    ['diffPeriods', '/v1/diff?from=2026-11-23&to=2026-11-24'],
    ['listWaivers', '/v1/waivers'],
  ]
  for (const [id, address] of places) {
    const { error } = answerSchema(id)?.safeParse(await (await api.ask(address)).json()) ?? assert.fail(id)
    assert.equal(error, undefined, `${address}: ${String(error)}`)
  }
  for (const address of ['/v1/paths?limit=0', '/v1/clusters/nope/crypto', '/v1/checkpoint', '/v1/nowhere'])
    problem.parse(await (await api.ask(address)).json())
})

test('/openapi.json needs no token, since it tells nothing of what is stored', async (t) => {
  const { url } = await startApi(t, { objects })
  const response = await fetch(new URL('/openapi.json', url))
  assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'application/json'])
  assert.deepEqual(await response.json(), JSON.parse(JSON.stringify(openApiDocument('1.2.3'))))
  const etag = response.headers.get('etag') ?? ''
  assert.equal((await fetch(new URL('/openapi.json', url), { headers: { 'if-none-match': etag } })).status, 304)
  assert.equal((await fetch(new URL('/openapi.json', url), { method: 'POST' })).status, 405)
})

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { answerSchema } from '../../../lib/query/openapi/operations.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { run } from '../../support/process/command-line.ts'
import { startApi } from '../../support/servers/local-api.ts'
import { ASKED_AT, HOSTILE, fillHistories, fillNorth } from '../../support/stored/asked-store.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const WORDS = `SYNTHETIC HISTORY: none of it happened ${HOSTILE}`
const minutes = (from: number, to: number): string =>
  [from, to].map((minute) => `2026-11-24T12:${String(minute).padStart(2, '0')}:00Z`).join('/')

let folder = ''
let objects: Objects
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ciphertrail-replay-'))
  objects = directoryObjects(folder)
  await fillHistories(objects)
  await fillNorth(objects, 'north', { replay: WORDS })
})
after(() => rm(folder, { recursive: true, force: true }))

test('each answer of the API about a replay says what it is, and of no other cluster', async (t) => {
  const { ask } = await startApi(t, { objects })
  const answered = async (operation: string, address: string): Promise<string> => {
    const text = await (await ask(address)).text()
    const { error } = answerSchema(operation)?.safeParse(JSON.parse(text)) ?? assert.fail(operation)
    assert.equal(error, undefined, `${address}: ${String(error)}`)
    return text
  }
  const places = (cluster: string): readonly (readonly [operation: string, address: string])[] => [
    ['listClusters', '/v1/clusters'],
    ['listCoverage', `/v1/clusters/${cluster}/coverage`],
    ['getCrypto', `/v1/clusters/${cluster}/crypto`],
    ['listPaths', `/v1/paths?cluster=${cluster}`],
    ['listEpisodes', `/v1/episodes?cluster=${cluster}`],
    ['listEdges', `/v1/edges?cluster=${cluster}`],
    ['listEvidence', `/v1/evidence/20261124T120000Z-20261124T120500Z/${cluster}`],
    ['diffPeriods', `/v1/diff?cluster=${cluster}&from=${minutes(0, 5)}&to=${minutes(5, 20)}`],
  ]
  for (const [operation, address] of places('north'))
    assert.match(await answered(operation, address), /"replay":"SYNTHETIC HISTORY: none of it happened/, address)
  for (const [operation, address] of places('west').slice(1))
    assert.match(await answered(operation, address), /"replay":null/, address)
})

test('the paths of a replay as CSV begin with a row that says so', async (t) => {
  const { ask } = await startApi(t, { objects })
  const csv = async (cluster: string): Promise<string> =>
    (await ask(`/v1/paths?cluster=${cluster}`, { headers: { accept: 'text/csv' } })).text()
  matchesText((await csv('north')).split('\r\n')[1])
  assert.doesNotMatch(await csv('west'), /,replay,/)
})

test('nobody is told to collect a window that a replay does not have', async () => {
  const { code, stderr } = await run(
    ['edges', '--at', '2025-01-01T00:00:00Z', '--cluster', 'north', '--store', folder],
    {
      folder,
    },
  )
  assert.equal(code, 1)
  assert.match(
    stderr,
    /has no attempt for the window .*; it is a replay, which has only the windows of its recording\n$/,
  )
  assert.doesNotMatch(stderr, /ciphertrail collect/)
})

test('each command that tells of paths says once on standard error that it shows a replay', async () => {
  const now = ASKED_AT.toISOString().replace('.000Z', 'Z')
  const commands = [
    ['paths'],
    ['episodes'],
    ['edges', 'all'],
    ['workloads'],
    ['diff', minutes(0, 5), minutes(5, 20)],
  ] as const
  for (const command of commands)
    for (const json of [[], ['--json']]) {
      const ask = (cluster: string) =>
        run([...command, ...json, '--cluster', cluster, '--store', folder], { folder, now })
      const { stderr } = await ask('north')
      assert.equal(stderr.match(/SYNTHETIC HISTORY: none of it happened/g)?.length, 1, `${command[0]}: ${stderr}`)
      assert.equal(stderr.includes('\u001b'), false)
      assert.doesNotMatch((await ask('west')).stderr, /SYNTHETIC/)
    }
})

test('a period that goes on after a replay ended is known partly, in paths, episodes and the diff', async (t) => {
  const { ask } = await startApi(t, { objects, now: () => new Date('2026-11-25T00:00:00Z') })
  const collected = async (address: string): Promise<unknown> =>
    ((await (await ask(address)).json()) as { collected: unknown }).collected
  const times = (to: string) => `cluster=north&from=2026-11-24T12:00:00Z&to=${to}`
  for (const place of ['paths', 'episodes']) {
    assert.equal(await collected(`/v1/${place}?${times('2026-11-24T12:20:00Z')}`), 'all', place)
    assert.equal(await collected(`/v1/${place}?${times('2026-11-24T15:00:00Z')}`), 'partly', place)
  }
  const diff = (to: string) => `/v1/diff?cluster=north&from=${minutes(0, 5)}&to=2026-11-24T12:05:00Z/${to}`
  assert.equal(await collected(diff('2026-11-24T12:20:00Z')), 'all')
  assert.equal(await collected(diff('2026-11-24T15:00:00Z')), 'partly')
})

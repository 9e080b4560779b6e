import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { ASKED_AT, fillHistories, fillNorth } from '../support/stored/asked-store.ts'
import { TOKENS, startLocalSite } from '../support/servers/local-site.ts'
import { freshFolder } from '../support/recorder.ts'
import { linesOf, parseNdjson, run, runOnTerminal, shownText } from '../support/process/command-line.ts'
import { matchesText } from '../support/texts/matches-text.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ciphertrail-diff-'))
  const objects = directoryObjects(folder)
  await fillHistories(objects)
  await fillNorth(objects)
})
after(() => rm(folder, { recursive: true, force: true }))

const NOW = ASKED_AT.toISOString().replace('.000Z', 'Z')
const minutes = (from: number, to: number): string =>
  [from, to].map((minute) => `2026-11-24T12:${String(minute).padStart(2, '0')}:00Z`).join('/')
const diff = (...args: string[]) => run(['diff', ...args, '--store', folder], { folder, now: NOW })

test('diff tells what is new and what was fixed, as lines of JSON', async () => {
  const changes = async (...periods: [string, string]) => {
    const { code, stdout, stderr } = await diff(...periods, '--cluster', 'north', '--json')
    assert.deepEqual([code, stderr], [0, ''])
    return parseNdjson(stdout).map(({ change, port, openSeconds }) => [change, port, openSeconds])
  }
  assert.deepEqual(await changes(minutes(0, 5), minutes(5, 10)), [['new', 8080, 300]])
  assert.deepEqual(await changes(minutes(5, 10), minutes(15, 20)), [['fixed', 8080, null]])
  assert.deepEqual(await changes(minutes(0, 5), minutes(15, 20)), [['fixed', 8080, null]])
  assert.deepEqual(await changes(minutes(15, 20), minutes(15, 20)), [])
})

test('diff of a cluster with gaps says so, and fixes nothing by silence', async () => {
  const { code, stdout, stderr } = await diff(minutes(0, 5), minutes(5, 15), '--cluster', 'east', '--json')
  assert.equal(code, 0, stderr)
  matchesText(stderr)
  const kinds = parseNdjson(stdout).map(({ change, openSeconds }) => [change, openSeconds])
  assert.deepEqual(kinds, [
    ['still-open', 900],
    ['still-open', 900],
  ])
})

test('diff fails where nothing was collected before, and calls nothing new', async () => {
  const { code, stdout, stderr } = await diff('2026-11-23', '2026-11-24', '--cluster', 'west')
  assert.equal(code, 1)
  assert.match(stdout, /Nothing can be compared\./)
  matchesText(stderr)
})

test('diff counts what is open where nothing can be compared, too', async () => {
  const { code, stdout } = await diff('2026-11-23', minutes(5, 10), '--cluster', 'north')
  assert.equal(code, 1)
  matchesText(stdout)
})

test('diff and its page say of ages that they are lower bounds where the window before was not collected', async (t) => {
  const own = freshFolder(t)
  const objects = directoryObjects(own)
  await fillNorth(objects, 'north', { missing: [1, 3] })
  const { code, stdout } = await run(['diff', minutes(0, 5), minutes(5, 15), '--store', own], { folder: own, now: NOW })
  assert.equal(code, 0)
  matchesText(stdout)
  const { page, signIn } = await startLocalSite(t, { objects })
  const text = await page(
    `/changes?from=${encodeURIComponent(minutes(0, 5))}&to=${encodeURIComponent(minutes(5, 15))}`,
    await signIn(TOKENS.all),
  )
  matchesText(/Open at the end[^<]*/.exec(text)?.[0] ?? '')
})

test('diff says of what ended that it was not seen since, where nothing of the second period was collected', async () => {
  const later = ['diff', minutes(5, 10), minutes(30, 35), '--cluster', 'north', '--store', folder]
  const shown = await run(later, { folder, now: '2026-11-24T13:00:00Z' })
  assert.equal(shown.code, 1)
  assert.match(shown.stdout, /fixed .*; not seen since/)
  matchesText(shown.stderr)
  const told = await run([...later, '--json'], { folder, now: '2026-11-24T13:00:00Z' })
  assert.deepEqual(
    parseNdjson(told.stdout).map(({ change, isSeenSince }) => [change, isSeenSince]),
    [['fixed', false]],
  )
  const seen = await diff(minutes(5, 10), minutes(15, 20), '--cluster', 'north', '--json')
  assert.deepEqual(
    parseNdjson(seen.stdout).map(({ isSeenSince }) => isSeenSince),
    [true],
  )
})

test('a diff on a terminal is at most 100 columns wide', async () => {
  const { stdout } = await runOnTerminal(['diff', minutes(0, 5), minutes(5, 20), '--store', folder, '--now', NOW], {
    folder,
    columns: 180,
  })
  const lines = linesOf(shownText(stdout)).map(stripVTControlCharacters)
  assert.ok(lines.some((line) => line.includes('CHANGE')))
  for (const line of lines) assert.ok(line.length <= 100, line)
})

for (const args of [
  ['2026-W99', '2026-W47'],
  ['2026-11-24', '2026-11-23'],
  ['2026-11-23', '2027-01'],
  ['yesterday', '2026-11-23'],
  ['2026-11-23', '2026-11-24', '--time-zone', 'Mars'],
] as const)
  test(`diff ${args.join(' ')} is refused by one line`, async () => {
    const { code, stdout, stderr } = await diff(...args)
    assert.deepEqual([code, stdout, linesOf(stderr).length], [2, '', 1])
    matchesText(stderr)
  })

test('episodes and paths of a day are those from its begin to its end', async () => {
  for (const command of ['episodes', 'paths']) {
    const asked = async (...args: string[]) => {
      const { code, stdout } = await run([command, ...args, '--now', NOW, '--json', '--store', folder], { folder })
      return { code, rows: parseNdjson(stdout) }
    }
    const day = await asked('--period', '2026-11-24')
    assert.ok(day.rows.length > 0)
    assert.deepEqual(day, await asked('--from', '2026-11-24', '--to', '2026-11-25'))
    assert.deepEqual((await asked('--period', '2026-Q4')).rows.length, day.rows.length)
    assert.deepEqual((await asked('--period', '2026-Q3')).rows, [])
  }
})

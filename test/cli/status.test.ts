import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import * as z from 'zod'
import { toSeconds, toTime } from '../../lib/time/windows.ts'
import { packetsKey } from '../../lib/store/keys.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { linesOf, parseNdjson, run, runOnTerminal, shownText } from '../support/process/command-line.ts'
import { addArguments, startDemoMesh } from '../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import { startService } from '../support/process/running-service.ts'
import { matchesGolden } from '../support/golden.ts'
import { freshFolder } from '../support/recorder.ts'
import { copyStore } from '../support/stored/trusted-store.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

const ESCAPE = '\u001b'

/** What the tests say of the replay. */
const REPLAY = 'This is a replay of a test.'

/** One mesh with two collected windows, for tests that only read it; those that change something copy its store. */
let mesh: DemoMesh
/** Just after the second window. */
let now: string

before(async () => {
  mesh = await startDemoMesh()
  for (const window of mesh.windows.slice(0, 2)) {
    const { code, stderr } = await mesh.run('collect', ...mesh.optionsAt(window))
    assert.equal(code, 0, stderr)
  }
  now = toTime(toSeconds(mesh.windows[1]?.end ?? '') + 60)
})
after(() => mesh.close())

/** A copy of the store, by its name. */
function ownStore(name: string): string {
  copyStore(join(mesh.folder, 'ciphertrail-data'), join(mesh.folder, name))
  return name
}

/** The same store, as if a demo had made it. */
async function replayStore(name: string): Promise<string> {
  const store = ownStore(name)
  const objects = directoryObjects(join(mesh.folder, store))
  await addCluster({ id: 'shop', replay: REPLAY }, { now: new Date(now), by: 'tester' }, { objects })
  return store
}

const later = (days: number): string => toTime(toSeconds(now) + days * 24 * 60 * 60)

async function good(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await mesh.run(...args)
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
  return stdout
}

async function newKey(origin: string, file: string): Promise<void> {
  assert.equal((await mesh.run('key', 'new', origin, '--key', file)).code, 0)
}

const share = z.number().min(0).max(1)
const count = z.int().nonnegative()
const time = z.iso.datetime()
const figures = z.strictObject({
  openNow: count,
  openBefore: count.nullable(),
  atSomeTime: count,
  waived: count,
  waivedNow: count,
  openPlaintext: count,
  openNoMeshTls: count,
  notEnoughEvidence: count,
  encrypted: count,
  judged: count,
})
const statusSchema = z.strictObject({
  from: time,
  to: time,
  label: z.literal('now'),
  timeZone: z.literal('UTC'),
  replay: z.string().nullable(),
  wantedShare: share,
  paths: figures,
  others: z.array(z.strictObject({ class: z.enum(['mesh', 'platform']), known: count, ...figures.shape })),
  actions: z.array(
    z.strictObject({
      number: z.int().positive(),
      cluster: z.string(),
      cause: z.string(),
      target: z.strictObject({ kind: z.string(), namespace: z.string(), name: z.string() }),
      port: z.int(),
      fix: z.string().nullable(),
      owner: z.string(),
      isInScope: z.boolean(),
      title: z.string(),
      paths: z.array(z.string()).min(1),
      since: time,
      isSinceUnknown: z.boolean(),
      mayBeEarlier: z.boolean(),
      clearBytes: z.number().nonnegative(),
    }),
  ),
  clusters: z.array(
    z.strictObject({
      id: z.string(),
      lastWindow: time.nullable(),
      isUpToDate: z.boolean(),
      seenInDay: share.nullable(),
      seenInSpan: share.nullable(),
      missingWindows: count,
      missingSeconds: count,
    }),
  ),
  removed: z.array(z.string()),
  log: z.strictObject({ origin: z.string(), size: count, root: z.string(), unsealed: count }).nullable(),
  mail: z.strictObject({ channel: z.string(), at: time }).nullable(),
})

async function statusJson(...args: string[]): Promise<z.infer<typeof statusSchema>> {
  const [status, ...more] = parseNdjson(await good('status', ...args, '--json'))
  assert.deepEqual(more, [])
  return statusSchema.parse(status)
}

test('status shows on one screen what is open, what to do first, what was seen, and that nothing is sealed or mailed', async () => {
  const text = await good('status', '--now', now)
  matchesGolden('cli/status.txt', text)
  assert.ok(linesOf(text).length <= 24, 'it fits on one screen')
})

test('status --json has the numbers of the report of the same period', async () => {
  const status = await statusJson('--now', now)
  assert.deepEqual([status.from, status.to], [mesh.windows[0]?.start, mesh.windows[1]?.end])
  await good('report', '--from', status.from, '--to', status.to, '--out', 'same')
  const summary = z
    .object({ paths: z.looseObject({ others: z.array(z.unknown()) }), actions: z.array(z.unknown()) })
    .parse(JSON.parse(readFileSync(join(mesh.folder, 'same/summary.json'), 'utf8')))
  const { byState: _, judgedClasses: __, wantedShare, others, ...numbers } = summary.paths
  assert.deepEqual({ ...status.paths }, numbers)
  assert.deepEqual([status.others, status.wantedShare], [others, wantedShare])
  assert.deepEqual(
    status.actions.map(({ title: _title, ...action }) => action),
    summary.actions,
  )
  assert.deepEqual(
    status.actions.map(({ number }) => number),
    status.actions.map((_action, index) => index + 1),
  )
  assert.ok(status.paths.openNow > 0 && status.actions.length > 3)
  assert.deepEqual(status.clusters[0]?.id, 'shop')
})

test('status fits a terminal of 80, 100 or 160 columns with nothing cut, in colours unless NO_COLOR is set', async () => {
  const piped = (await good('status', '--now', now)).replaceAll(/\s+/g, ' ')
  for (const columns of [80, 100, 160]) {
    const onTerminal = async (env: Record<string, string>): Promise<string> => {
      const { code, stdout } = await runOnTerminal(['status', '--now', now], { ...mesh, columns, env })
      assert.equal(code, 0)
      return shownText(stdout)
    }
    const plain = await onTerminal({ NO_COLOR: '1' })
    assert.ok(!plain.includes(ESCAPE))
    for (const line of linesOf(plain)) assert.ok(line.length <= Math.min(columns, 100), `${columns}: ${line}`)
    assert.equal(plain.replaceAll(/\s+/g, ' '), piped)
    assert.match(plain, /^1 {2}Add statefulset.*\n {3}fixes 1 path · owner warehouse · /m)
    assert.ok(columns < 100 || linesOf(plain).length <= 24, 'it fits on one screen')
    const colored = await onTerminal({})
    assert.match(colored, new RegExp(`^${ESCAPE}\\[31m7 application paths are unencrypted now`))
    assert.equal(colored.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), ''), plain)
  }
})

test('without a command it is status where the store has a cluster, and help where it has none', async (context) => {
  assert.equal(await good(), await good('status'))
  const store = join(mesh.folder, 'ciphertrail-data')
  const folder = freshFolder(context)
  const elsewhere = await run(['--store', store], { folder, now: mesh.now })
  assert.deepEqual(elsewhere, await mesh.run('status'))
  const byVariable = await run([], { folder, now: mesh.now, env: { CIPHERTRAIL_STORE: store } })
  assert.deepEqual(byVariable, elsewhere)

  const help = await run(['--help'], { folder })
  assert.match(help.stdout, /^Usage: ciphertrail \[options\] \[command\]\n/)
  for (const args of [[], ['--store', 'nowhere']]) assert.deepEqual(await run(args, { folder }), help)
  const status = await run(['status'], { folder })
  assert.deepEqual([status.code, status.stdout], [2, ''])
  matchesText(status.stderr)
  assert.deepEqual(readdirSync(folder), [], 'no store is made')
})

test('a cluster that is dark comes first, has seen 0 % and keeps what was open in it', async () => {
  const store = ownStore('dark')
  const bank = addArguments(mesh).map((word) => (word === 'shop' ? 'bank' : word))
  assert.equal((await mesh.run(...bank, '--store', store)).code, 0)
  const args = ['--store', store, '--now', later(2)]
  const text = await good('status', ...args)
  matchesText(text)
  assert.match(text, /^bank +none +0(\.0)? % +0(\.0)? % +\d+ windows, /m)
  matchesText(text)
  const { clusters, paths, actions } = await statusJson(...args)
  assert.deepEqual(
    clusters.map(({ id, lastWindow, isUpToDate, seenInDay }) => [id, lastWindow, isUpToDate, seenInDay]),
    [
      ['bank', null, false, 0],
      ['shop', mesh.windows[1]?.end, false, 0],
    ],
  )
  assert.equal(paths.openNow, 7)
  assert.ok(actions.length > 0)

  // When nobody saw it in the whole span, nothing tells what to change; it is open all the same.
  const weeks = ['--store', store, '--now', later(12)]
  const dark = await statusJson(...weeks)
  assert.deepEqual([dark.paths.openNow, dark.paths.atSomeTime, dark.actions], [7, 0, []])
  const words = await good('status', ...weeks)
  matchesText(words)
  matchesText(words)
  matchesText(words)
  const table = await mesh.run('paths', ...weeks, '--state', 'not-encrypted', '--cluster', 'shop')
  const open = linesOf(table.stdout).filter((line) => / since .*\(not seen now\)/.test(line))
  assert.equal(open.length, 9, '7 of applications, 2 of Linkerd’s own')
  assert.ok(
    open.every((line) => line.startsWith('? unknown ')),
    table.stdout,
  )
})

test('where what was collected of a cluster cannot be read, status and paths say why, and paths where more can be asked', async () => {
  const store = ownStore('unread')
  const capture = join(mesh.folder, store, packetsKey('shop', mesh.windows[1]?.start ?? '', '0123456789abcdef'))
  mkdirSync(dirname(capture), { recursive: true })
  writeFileSync(capture, '{"bad":1}')
  const args = ['--store', store, '--now', now]
  const status = await mesh.run('status', ...args)
  assert.equal(status.code, 0)
  matchesText(status.stderr)
  assert.match(status.stdout, /^Do first: find out why nothing was collected /m)
  const paths = await mesh.run('paths', ...args, '--state', 'not-encrypted')
  assert.deepEqual([paths.code, paths.stdout], [1, ''])
  matchesText(paths.stderr)
})

test('status says which log is sealed and when the next mail goes out', async () => {
  const store = ownStore('sealed')
  const at = ['--store', store, '--now', now]
  await newKey('example.com/log', 'log.key')
  await good('seal', '--key', 'log.key', ...at)
  const add = ['channel', 'add', 'weekly', '--to', 'a@example.com', '--time-zone', 'UTC', '--store', store]
  const added = await mesh.run(...add)
  assert.equal(added.code, 0, added.stderr)
  const text = await good('status', ...at)
  matchesText(text)
  assert.match(text, /^Mail: next \w{3} 30 Nov \d\d:\d\d to channel weekly$/m)
  const { log, mail } = await statusJson(...at)
  assert.deepEqual([log?.origin, log?.unsealed, mail?.channel], ['example.com/log', 0, 'weekly'])
})

test('status of a fleet shows the clusters that are seen least, and counts the others', async () => {
  const store = ownStore('fleet')
  for (let number = 10; number < 30; number++) {
    const arguments_ = addArguments(mesh).map((word) => (word === 'shop' ? `bank-${number}` : word))
    assert.equal((await mesh.run(...arguments_, '--store', store)).code, 0)
  }
  const at = ['--store', store, '--now', now]
  const lines = linesOf(await good('status', ...at))
  const first = lines.findIndex((line) => line.startsWith('CLUSTER'))
  assert.deepEqual(
    lines.slice(first + 1, first + 9).map((line) => line.split(' ')[0]),
    Array.from({ length: 8 }, (_, index) => `bank-${10 + index}`),
  )
  matchesText(lines[first + 9])
  assert.equal((await statusJson(...at)).clusters.length, 21)
})

test('a replay is shown as one: weeks later no window is missed, and what was seen is as it was', async () => {
  const store = await replayStore('replay')
  const at = ['--store', store, '--now', later(21)]
  const [first, , ...rest] = linesOf(await good('status', ...at))
  assert.equal(first, REPLAY)
  assert.deepEqual(rest, linesOf(await good('status', '--now', now)))
  const { replay, clusters } = await statusJson(...at)
  assert.equal(replay, REPLAY)
  assert.deepEqual([clusters[0]?.missingWindows, clusters[0]?.isUpToDate], [0, true])
  const paths = await mesh.run('paths', ...at)
  assert.deepEqual([paths.code, paths.stderr], [0, `${REPLAY}\n`])
  assert.equal(paths.stdout, await good('paths', '--now', now))
  const history = await mesh.run('paths', '--history', ...at)
  assert.equal(history.code, 0)
  assert.doesNotMatch(history.stdout, /not-collected/)
  const [own = '', others = ''] = history.stdout.split(/^\d+ intervals of Linkerd’s own, not judged:$/m)
  assert.deepEqual(
    [own, others].map((part) => /\blinkerd(-viz)?\/\S+:\d/.test(part)),
    [false, true],
  )
  // Nor is a gap sealed for a window that nobody was to collect.
  await newKey('example.com/replay', 'replay.key')
  const [sealed] = parseNdjson(await good('seal', '--key', 'replay.key', ...at, '--json'))
  assert.doesNotMatch(JSON.stringify(sealed), /"gap":[1-9]/)
  const leaves = parseNdjson(await good('log', 'show', '--store', store, '--json'))
  assert.ok(!leaves.some(({ kind }) => kind === 'gap'))
})

test('collect says in one line that a replay has nothing to collect, and nobody opens it', async () => {
  const store = await replayStore('replay-collect')
  const text = await good('collect', '--store', store, '--now', later(21))
  matchesText(text)
  assert.equal(await good('collect', '--store', store, '--json'), '')
  const { end } = mesh.windows[2] ?? { end: '' }
  const asked = await mesh.run('collect', '--store', store, '--at', end)
  matchesText(asked, { code: 1, signal: null, stdout: '', stderr: TEXT })
  for (const args of [
    ['look', 'shop'],
    ['cluster', 'check', 'shop'],
  ]) {
    const { code, stdout, stderr } = await mesh.run(...args, '--store', store)
    assert.equal(code, 1, args.join(' '))
    assert.match(`${stdout}${stderr}`, /it is a replay/, args.join(' '))
  }
})

test('run says of a replay that it collects nothing from it', async () => {
  const store = await replayStore('replay-run')
  await newKey('example.com/run', 'run.key')
  const service = await startService(['--store', store, '--key', 'run.key'], mesh.folder)
  await service.until(({ event }) => event === 'replay')
  const said = service.lines.filter(({ event }) => event === 'replay')
  matchesText(
    said.map(({ cluster, message }) => [cluster, message]),
    [TEXT],
  )
  await service.until(({ event }) => event === 'sealed')
  assert.ok(!service.lines.some(({ event }) => event === 'collected' || event === 'failed'))
  service.kill('SIGTERM')
  assert.equal((await service.ended).code, 0)
})

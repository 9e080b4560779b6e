import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { toSeconds, toTime } from '../../../lib/time/windows.ts'
import { linesOf, parseNdjson, run, runOnTerminal } from '../../support/process/command-line.ts'
import { addArguments, startDemoMesh } from '../../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../../support/mesh/demo-mesh.ts'
import { freshFolder } from '../../support/recorder.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const ESCAPE = '\u001b'

/** A mesh of which nothing was ever collected. */
let mesh: DemoMesh

before(async () => {
  mesh = await startDemoMesh()
})
after(() => mesh.close())

/** The minutes that were recorded last. */
const LAST = ['--last', '5m'] as const

type LookJson = {
  readonly cluster: string
  readonly complete: boolean
  readonly collected: boolean
  readonly seen: { readonly ratio: number } | null
  readonly counts: { readonly paths: number; readonly notEncrypted: number; readonly unknown: number } | null
  readonly paths: readonly { readonly state: string; readonly outcome: string; readonly why: string }[] | null
  /** Of the classes that are not judged. */
  readonly otherPaths: LookJson['paths']
  readonly notSeen: readonly { readonly name: string; readonly what: string }[] | null
  readonly errors: readonly string[]
}

const lookJson = (stdout: string): LookJson[] => parseNdjson(stdout) as unknown as LookJson[]

/** Every file under a folder, with what it holds. */
function treeOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return entry.isFile() ? `${path} ${createHash('sha256').update(readFileSync(path)).digest('hex')}` : path
    })
    .toSorted()
}

test('look shows what is there now, worst first, before any window was collected, and stores nothing', async () => {
  const before = treeOf(mesh.folder)
  const { code, stdout, stderr } = await mesh.run('look', ...LAST)
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.deepEqual(treeOf(mesh.folder), before)
  const lines = linesOf(stdout)
  matchesText(lines[0])
  matchesText(stdout)
  assert.match(stdout, /^▲ plaintext +\(unmeshed\) +deployment\/emojivoto\/voting:8080/m)
  assert.match(stdout, /^NOT SEEN/m)
  for (const line of lines) assert.ok(line.length <= 100, line)
  const states = lines.flatMap((line) => /^\S (plaintext|no-mesh-tls|unknown|app-tls|mtls) /.exec(line)?.[1] ?? [])
  const order = ['plaintext', 'no-mesh-tls', 'unknown', 'app-tls', 'mtls']
  assert.deepEqual(
    states,
    states.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)),
  )
})

test('look agrees with what a collection of the same minutes tells', async (context) => {
  const own = await startDemoMesh()
  context.after(() => own.close())
  for (const window of own.windows.slice(-2)) assert.equal((await own.run('collect', ...own.optionsAt(window))).code, 0)
  const end = own.windows.at(-1)?.end ?? ''
  const told = new Map(
    parseNdjson((await own.run('edges', 'all', '-o', 'wide', '--at', end, '--json')).stdout).map((path) => [
      path['pathId'],
      path['state'],
    ]),
  )
  const [look] = parseNdjson((await own.run('look', 'shop', ...LAST, '--json')).stdout) as unknown as [
    Record<'paths' | 'otherPaths', { pathId: string; state: string }[]>,
  ]
  assert.ok(told.size > 50)
  const shown = new Map([...look.paths, ...look.otherPaths].map(({ pathId, state }) => [pathId, state]))
  assert.deepEqual(new Set(shown.keys()), new Set(told.keys()))
  // The recording has no cAdvisor: what it would take to know who has ended since is unknown.
  const others = [...shown].filter(([id, state]) => state !== told.get(id))
  assert.ok(others.length <= 3 && others.every(([id, state]) => state === 'unknown' && told.get(id) === 'mtls'))
})

test('look --all shows each path, also those that are exempt, and --json holds all of them', async () => {
  const shown = await mesh.run('look', ...LAST)
  const all = await mesh.run('look', ...LAST, '--all')
  const [look] = lookJson((await mesh.run('look', ...LAST, '--json')).stdout)
  assert.ok(look?.paths && look.counts && look.notSeen)
  const rows = (stdout: string) => linesOf(stdout).filter((line) => /^[▲△?◐○●⊘–] /u.test(line)).length
  assert.equal(rows(all.stdout), look.paths.length + (look.otherPaths?.length ?? 0))
  assert.ok(rows(shown.stdout) < look.paths.length)
  assert.doesNotMatch(all.stdout, /--all/)
  // Whatever is not in order is never among what is left out.
  const notable = look.paths.filter(
    ({ state, outcome }) => outcome === 'refused' || !['mtls', 'exempt'].includes(state),
  )
  assert.ok(notable.length > 0 && rows(shown.stdout) >= notable.length)
  assert.deepEqual([look.complete, look.collected, look.errors], [true, true, []])
  assert.ok(look.notSeen.some(({ what }) => what === 'unmeshed'))
  assert.ok(look.paths.every(({ why }) => why !== ''))
})

test('look fits the terminal, keeps to 100 columns where it is wider, and colours by NO_COLOR', async () => {
  const { folder, now = '' } = mesh
  const args = ['look', ...LAST, '--all', '--now', now]
  for (const columns of [80, 100, 160]) {
    const { code, stdout } = await runOnTerminal(args, { folder, columns, env: { NO_COLOR: '1' } })
    assert.equal(code, 0)
    const [, ...drawn] = stdout.split(`\r${ESCAPE}[K`)
    const lines = linesOf((drawn.at(-1) ?? '').replaceAll('\r\n', '\n'))
    assert.ok(lines.length > 50 && !stdout.includes(`${ESCAPE}[3`))
    for (const line of lines) assert.ok(line.length <= Math.min(columns, 100), `${columns}: ${line}`)
    assert.match(stdout, /Looking at shop: \d+ of \d+ queries/)
  }
  const coloured = await runOnTerminal(args, { folder, columns: 100 })
  assert.ok(coloured.stdout.includes(`${ESCAPE}[31m`))
})

test('look at several clusters names each, and one that cannot be asked keeps no other from being shown', async (context) => {
  const own = await startDemoMesh()
  context.after(() => own.close())
  const as = (id: string) => addArguments(own).map((word) => (word === 'shop' ? id : word))
  assert.equal((await own.run(...as('bank'))).code, 0)
  const both = await own.run('look', ...LAST)
  assert.equal(both.code, 0)
  assert.match(both.stdout, /^bank: \d+ of [^]*\n\nshop: \d+ of /)
  assert.doesNotMatch((await own.run('look', 'bank', ...LAST)).stdout, /^bank: |shop: /m)

  assert.equal((await run(['cluster', 'add', 'far', '--agent'], own)).code, 0)
  const three = await own.run('look', ...LAST, '--json')
  assert.equal(three.code, 1)
  matchesText(three.stderr)
  assert.deepEqual(
    lookJson(three.stdout).map(({ cluster }) => cluster),
    ['bank', 'shop'],
  )
})

test('look ends with 1 and a line for each source that failed, and shows no verdict where nothing can be told', async (context) => {
  const own = await startDemoMesh()
  context.after(() => own.close())
  own.prometheus.misbehave(() => ({ answer: { status: 403, body: '{}' } }))
  const blind = await own.run('look', ...LAST)
  assert.deepEqual([blind.code, blind.stdout], [1, ''])
  matchesText(blind.stderr)
  const [json] = lookJson((await own.run('look', ...LAST, '--json')).stdout)
  assert.deepEqual([json?.collected, json?.paths, json?.counts, json?.seen], [false, null, null, null])
  own.prometheus.misbehave(undefined)

  own.kubernetes.misbehave(() => ({ answer: { status: 403, body: '{}' } }))
  const unlisted = await own.run('look', ...LAST)
  assert.equal(unlisted.code, 1)
  matchesText(unlisted.stdout)
  matchesText(unlisted.stdout)
  matchesText(unlisted.stdout)
  assert.match(
    unlisted.stderr,
    /^(Cannot list .*403 Forbidden.*\n){3}And \d+ more of cluster "shop"; see "ciphertrail cluster check shop"\n$/,
  )
})

test('look says in one line what is wrong with its command line', async (context) => {
  const folder = freshFolder(context)
  const line = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(['look', ...args], { folder })
    assert.deepEqual([code, stdout, linesOf(stderr).length], [2, '', 1])
    return stderr
  }
  matchesText(await line())
  assert.equal((await run(['cluster', 'add', 'shop', '--agent'], { folder })).code, 0)
  matchesText(await line('other'))
  for (const last of ['10', '2h', '0m', '61m']) assert.match(await line('--last', last), /^Cannot read --last /)
  assert.ok(!existsSync(join(folder, 'ciphertrail-data', 'evidence')))
})

test('collect with nothing due says when the first window ends, and points to look', async (context) => {
  const own = await startDemoMesh()
  context.after(() => own.close())
  // A Prometheus that has just begun, in a cluster that was just registered.
  own.prometheus.misbehave(({ path }) =>
    path === '/api/v1/query_range'
      ? { answer: { status: 200, body: '{"status":"success","data":{"resultType":"matrix","result":[]}}' } }
      : undefined,
  )
  const first = own.windows[0]?.start ?? ''
  const { code, stdout, stderr } = await own.run('collect', '--now', toTime(toSeconds(first) - 30))
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  matchesText(stdout)
})

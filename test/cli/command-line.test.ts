import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import manifest from '../../package.json' with { type: 'json' }
import {
  linesOf,
  parseNdjson,
  run,
  runOnTerminal,
  runProcess,
  runShell,
  shownText,
} from '../support/process/command-line.ts'
import { startDemoMesh } from '../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import { freshFolder } from '../support/recorder.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

const COMMANDS = [
  ['status'],
  ['look'],
  ['cluster'],
  ['cluster', 'add'],
  ['cluster', 'list'],
  ['cluster', 'remove'],
  ['cluster', 'check'],
  ['collect'],
  ['edges'],
  ['paths'],
  ['workloads'],
  ['report'],
  ['seal'],
  ['key'],
  ['key', 'new'],
  ['key', 'show'],
  ['scope'],
  ['scope', 'check'],
  ['scope', 'set'],
  ['scope', 'show'],
  ['waiver'],
  ['waiver', 'check'],
  ['waiver', 'set'],
  ['waiver', 'list'],
  ['log'],
  ['log', 'show'],
  ['log', 'check'],
  ['verify'],
  ['rebuild'],
  ['tap'],
  ['packets'],
  ['agent'],
  ['alert'],
  ['channel'],
  ['channel', 'add'],
  ['channel', 'list'],
  ['channel', 'check'],
  ['channel', 'preview'],
  ['channel', 'links'],
  ['channel', 'revoke'],
  ['channel', 'suppress'],
  ['channel', 'resume'],
  ['channel', 'remove'],
  ['deliver'],
  ['deliveries'],
  ['run'],
  ['demo'],
  ['completion'],
]

/** A group of commands, and what answers for people or shells only. */
const WITHOUT_JSON = new Set(['cluster', 'channel', 'scope', 'waiver', 'key', 'log', 'run', 'demo', 'completion'])

const ESCAPE = '\u001b'

/** One mesh with two collected windows, for the tests that only read; made with the first of them. */
let mesh: DemoMesh

before(async () => {
  mesh = await startDemoMesh()
  for (const window of mesh.windows.slice(0, 2)) {
    const { code, stderr } = await mesh.run('collect', ...mesh.optionsAt(window))
    assert.equal(code, 0, stderr)
  }
})
after(() => mesh.close())

test('--help and --version answer on standard output and end well', async (context) => {
  const folder = freshFolder(context)
  const help = await runProcess(['--help'], { folder })
  assert.deepEqual({ code: help.code, stderr: help.stderr }, { code: 0, stderr: '' })
  assert.match(help.stdout, /^Usage: ciphertrail/)
  for (const [name] of COMMANDS) assert.match(help.stdout, new RegExp(`^ {2}${name}\\b`, 'm'))
  assert.deepEqual(
    linesOf(help.stdout).filter((line) => line.length > 80),
    [],
  )
  assert.match(help.stdout, /Exit codes: 0 done, 1 .*, 2 /)
  assert.deepEqual(await runProcess(['--version'], { folder }), {
    code: 0,
    signal: null,
    stdout: `${manifest.version}\n`,
    stderr: '',
  })
  assert.deepEqual(readdirSync(folder), [])
})

test('the help of every command says what it is for, and has an example, in 80 columns; every command that answers has --json', async (context) => {
  const folder = freshFolder(context)
  for (const command of COMMANDS) {
    const { code, stdout, stderr } = await run([...command, '--help'], { folder })
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.match(stdout, new RegExp(`^Usage: ciphertrail ${command.join(' ')}\\b`))
    assert.match(stdout, new RegExp(`\nExamples?:\n(.*\n)*.*ciphertrail ${command.join(' ')}\\b`))
    assert.deepEqual(
      linesOf(stdout).filter((line) => line.length > 80),
      [],
      'it fits on a terminal of 80 columns',
    )
    if (!WITHOUT_JSON.has(command.join(' '))) assert.match(stdout, /^ {2}--json\b/m, command.join(' '))
  }
})

test('the system’s own Node starts the command, whichever version it is', async () => {
  const own = realpathSync(process.execPath)
  const node = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((file) => existsSync(file) && realpathSync(file) !== own)
  assert.ok(node, 'wanted on PATH, beside the npm package "node": the Node that npm runs on')
  const options = { folder: mesh.folder, node }
  assert.deepEqual(
    await runProcess(['cluster', 'list', '--json'], options),
    await mesh.run('cluster', 'list', '--json'),
  )
  const wrong = await runProcess(['edges', 'nonsense'], options)
  assert.equal(wrong.code, 2)
  assert.equal(linesOf(wrong.stderr).length, 1)
})

test('a symbolic link to the command is the command', async (context) => {
  const folder = freshFolder(context)
  const link = join(folder, 'ciphertrail')
  symlinkSync(join(import.meta.dirname, '../../bin/ciphertrail.js'), link)
  const { status, stdout } = spawnSync(process.execPath, [link, '--version'], { encoding: 'utf8' })
  assert.deepEqual({ status, stdout }, { status: 0, stdout: `${manifest.version}\n` })
})

const MISUNDERSTOOD: readonly string[] = [
  'cluster',
  'edge',
  'cluster ad',
  'collect --form 2026-11-24',
  'collect extra',
  'diff 2026-W46',
  'edges secrets',
  'edges deploy -o yaml',
  'edges deploy -n shop -A',
  'edges deploy --at yesterday',
  'edges deploy --at 2026-11-24T12:00:00',
  'edges deploy --at 2026-02-30T12:00:00Z',
  'edges deploy --at 0000-01-01',
  'edges deploy --at 9999-12-31T23:59:59.999Z',
  'edges deploy --at',
  'edges deploy --cluster nowhere',
  'paths --state secure',
  'paths --from 2026-11-24T13:00:00Z --to 2026-11-24T13:00:00Z',
  'paths --from 0000-01-01',
  'paths --period 2026-Q5',
  'paths --period 9999-12',
  'episodes --period 2026-11 --from 2026-11-24',
  'report --period 2026-13',
  'paths --now today',
  'paths --now 9999-12-31',
  'workloads --at 13:00',
  'collect --at 2026-11-24T13:00:00Z --from 2026-11-24T12:00:00Z',
  'collect --from 2026-11-24T12:00:00Z',
  'collect --from 2026-11-24T13:00:00Z --to 2026-11-24T12:00:00Z',
  'collect --from 1976-11-24 --to 2026-11-24',
  'collect --now later',
  'collect --timeout 0',
  'collect --timeout 1e9',
  'collect --cluster nowhere',
  'report --from 2026-11-24',
  'report --week 2026-W47 --from 2026-11-24',
  'report --week 2026-W60',
  'report --week 0000-W01',
  'report --week 2026-W47 --time-zone Europe/Atlantis',
  'report --from 2026-11-24 --to 2026-11-23',
  'rebuild --cluster nowhere',
  'tap web -n shop',
  'tap svc/web -n shop',
  'tap deploy/ -n shop',
  'tap deploy/web',
  'tap ns/shop -n bank',
  'tap deploy/web -n shop --for 10',
  'tap deploy/web -n shop --for 2000m',
  'tap deploy/web -n shop --max-rps 0',
  'tap deploy/web -n shop -o yaml',
  'tap deploy/web -n shop --cluster nowhere',
  'packets x.pcap --port 70000',
  'packets x.pcap --cluster nowhere',
  'cluster add Prod',
  'cluster add prod --window 7m',
  'cluster add prod --port-forward --prometheus-url http://p',
  'cluster add prod --port-forward --prometheus-token-file t',
  'packets',
  'packets a.pcap --pod shop/web',
  'packets a.pcap --for 3s',
  'packets a.pcap --save',
  'packets --pod web',
  'packets --pod shop/web/x',
  'packets --pod shop/web --for 1h',
  'cluster add prod --tap 90s',
  'cluster add prod --tap on',
  'cluster add prod --eks prod',
  'cluster add prod --eks prod --eks-region nowhere',
  'cluster add prod --prometheus-token-file t',
  'cluster add prod --prometheus-url http://user:hunter2@127.0.0.1:9090',
  'cluster remove nowhere',
  'cluster check nowhere',
  'completion tcsh',
]

test('a command line that is not understood is one line on standard error, and exit code 2', async () => {
  for (const line of MISUNDERSTOOD) {
    const { code, stdout, stderr } = await mesh.run(...line.split(' ').filter(Boolean))
    assert.deepEqual(
      { code, stdout, lines: linesOf(stderr).length },
      { code: 2, stdout: '', lines: 1 },
      `${line}: ${stderr}`,
    )
    matchesText(stderr, TEXT, line)
    assert.match(stderr, /^Cannot .*[^.\s]\n$/, line)
    assert.doesNotMatch(stderr, /hunter2/)
  }
})

test('a wrong choice ends with one sign, and a wrong period is told all forms of one', async (context) => {
  const folder = freshFolder(context)
  const choice = await run(['edges', '-o', 'xml'], { folder })
  assert.equal(choice.code, 2)
  assert.match(choice.stderr, /Allowed choices are table, wide, json, linkerd; see/)
  const period = await run(['report', '--period', 'x'], { folder })
  assert.equal(period.code, 2)
  assert.match(
    period.stderr,
    /^Cannot read period "x": wanted a week such as .*, a month such as .*, a quarter such as /,
  )
})

test('every command that needs a cluster says so where none is registered, and makes no store', async (context) => {
  const folder = freshFolder(context)
  for (const line of [
    'collect',
    'edges all',
    'paths',
    'workloads',
    'rebuild',
    'report --week 2026-W47',
    'cluster check x',
  ]) {
    const { code, stdout, stderr } = await run(line.split(' '), { folder })
    assert.deepEqual({ code, stdout, lines: linesOf(stderr).length }, { code: 2, stdout: '', lines: 1 }, line)
    assert.match(stderr, /store "\.\/ciphertrail-data" does not exist; .* add a cluster with "ciphertrail cluster add/)
  }
  mkdirSync(join(folder, 'empty'))
  const other = await run(['paths', '--store', 'empty'], { folder })
  assert.equal(other.code, 2)
  assert.match(other.stderr, /store "empty" has no cluster;/)
  rmSync(join(folder, 'empty'), { recursive: true })
  const listed = await run(['cluster', 'list'], { folder })
  matchesText(listed, { code: 0, signal: null, stdout: '', stderr: TEXT })
  assert.deepEqual(readdirSync(folder), [])
})

test('a time on the command line may be a date, have another zone, a space or fractions', async () => {
  const windowOf = async (at: string): Promise<string | undefined> => {
    const { stderr } = await mesh.run('edges', 'all', '--at', at)
    return /has no attempt for the window (\S+) to/.exec(stderr)?.[1]
  }
  assert.equal(await windowOf('2026-11-20'), '2026-11-19T23:55:00Z')
  assert.equal(await windowOf('2026-11-20T01:00:01+01:00'), '2026-11-20T00:00:00Z')
  assert.equal(await windowOf('2026-11-20 00:00Z'), '2026-11-19T23:55:00Z')
  assert.equal(await windowOf('2026-11-20T00:00:00.001Z'), '2026-11-20T00:00:00Z')
})

test('every read command answers with NDJSON that parses, and nothing else', async () => {
  const period = ['--from', mesh.windows[0]?.start ?? '', '--to', mesh.windows[1]?.end ?? '']
  for (const [args, least] of [
    [['cluster', 'list'], 1],
    [['cluster', 'check', 'shop'], 20],
    [['edges', 'all'], 20],
    [['edges', 'all', '-o', 'json'], 20],
    [['paths'], 20],
    [['status'], 1],
    [['workloads'], 15],
    [['report', ...period], 1],
    [['rebuild'], 1],
  ] as const) {
    const isFlag = !args.some((word) => word === '-o')
    const { code, stdout, stderr } = await mesh.run(...args, ...(isFlag ? ['--json'] : []))
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
    const objects = parseNdjson(stdout)
    assert.ok(objects.length >= least, `${args.join(' ')}: ${objects.length}`)
    assert.ok(objects.every((object) => typeof object === 'object' && !Array.isArray(object)))
  }
})

test('collect and cluster add answer with JSON, too', async () => {
  const again = await mesh.run('cluster', 'add', 'shop', '--json')
  assert.deepEqual(parseNdjson(again.stdout), [{ cluster: 'shop', outcome: 'unchanged' }])
  const [first] = mesh.windows
  assert.ok(first)
  const { code, stdout } = await mesh.run('collect', ...mesh.optionsAt(first), '--json')
  assert.equal(code, 0)
  const [{ attempt, ...object } = {}] = parseNdjson(stdout)
  assert.match(String(attempt), /^evidence\/20261124T130000Z-20261124T130500Z\/shop\/\d{4}\.json\.gz$/)
  assert.deepEqual(
    { cluster: object['cluster'], window: object['window'], complete: object['complete'], errors: object['errors'] },
    { cluster: 'shop', window: first, complete: true, errors: [] },
  )
})

test('what was found never changes an exit code', async () => {
  const { code, stdout } = await mesh.run('paths', '--state', 'not-encrypted', '--json')
  assert.equal(code, 0)
  assert.ok(parseNdjson(stdout).some(({ state }) => state === 'plaintext'))
})

test('there are colours on a terminal, unless NO_COLOR is set, and nowhere else, unless FORCE_COLOR is', async () => {
  const { folder } = mesh
  const args = ['edges', 'all', '-o', 'wide']
  const red = `${ESCAPE}[31m▲ plaintext${ESCAPE}[39m`
  const onTerminal = await runOnTerminal(args, { folder })
  assert.ok(onTerminal.stdout.includes(red), onTerminal.stdout.slice(0, 400))
  for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }, { NO_COLOR: '1', FORCE_COLOR: '1' }])
    assert.ok(!(await runOnTerminal(args, { folder, env })).stdout.includes(ESCAPE), JSON.stringify(env))
  for (const env of [{}, { CI: 'true' }, { FORCE_COLOR: '0' }, { FORCE_COLOR: '1', NO_COLOR: '1' }])
    assert.ok(!(await run(args, { folder, env })).stdout.includes(ESCAPE), JSON.stringify(env))
  assert.ok((await run(args, { folder, env: { FORCE_COLOR: '1' } })).stdout.includes(red))
})

test('tables fit the terminal: what a path is about stays whole on lines of its own, and nothing wraps', async () => {
  const { folder, now = '' } = mesh
  for (const columns of [80, 120])
    // Else a window that ends while the one command or the other runs would be told by one of them.
    for (const args of [
      ['paths', '--now', now],
      ['edges', 'all'],
      ['edges', 'all', '-o', 'wide'],
    ]) {
      const { code, stdout } = await runOnTerminal(args, { folder, columns, env: { NO_COLOR: '1' } })
      assert.equal(code, 0)
      const lines = linesOf(shownText(stdout))
      for (const line of lines) assert.ok(line.length <= columns, `${columns}: ${line}`)
      const words = new Set(lines.flatMap((line) => line.split(/ {2,}/)))
      const { stdout: piped } = await mesh.run(...args)
      const [headings = '', ...rows] = linesOf(piped).slice(args[0] === 'edges' ? 1 : 0)
      assert.ok(headings.length > 80 && rows.length > 0)
      for (const word of rows.flatMap((row) => row.split(/ {2,}/))) assert.ok(words.has(word), `${columns}: ${word}`)
      assert.ok(
        lines.every((line) => line.length <= 100),
        'a longer line is hard to read',
      )
    }
})

test('progress is shown on a terminal only, and is gone when the answer comes', async (context) => {
  const own = await startDemoMesh()
  context.after(() => own.close())
  const [first] = own.windows
  assert.ok(first)
  const args = ['collect', ...own.optionsAt(first)]
  const { code, stdout } = await runOnTerminal(args, own)
  assert.equal(code, 0)
  assert.match(stdout, /Collecting shop .*: \d+ of \d+ queries/)
  assert.match(stdout, new RegExp(`\\r${ESCAPE}\\[Kshop Tue 24 Nov 2026 13:00 to 13:05[^:]*: complete,[^\r\n]*\r\n$`))
  const drawn = stdout.split(/[\r\n]+/).filter((line) => line.includes('Collecting'))
  assert.ok(
    drawn.every((line) => line.replace(`${ESCAPE}[K`, '').length < 100),
    'a longer line would wrap',
  )

  const piped = await own.run(...args)
  assert.match(piped.stdout, /^shop Tue 24 Nov 2026 13:00 to 13:05 \(UTC\): complete, .*\n$/)
  assert.equal(piped.stderr, '')
})

test('a reader that closes the pipe early ends the command in silence', async () => {
  const { folder, now = '' } = mesh
  for (const line of ['edges all -o wide', 'edges all --json', `paths --json --now ${now}`, 'workloads', '--help']) {
    const shell = `ciphertrail ${line} | head -1; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = await runShell(shell, { folder })
    assert.equal(stderr, '', line)
    assert.match(stdout, /^.+\n0\n$/, line)
  }
})

test('completion scripts are printed for bash, zsh and fish, and complete commands and options', async (context) => {
  const folder = freshFolder(context)
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout, stderr } = await run(['completion', shell], { folder })
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.match(stdout, /ciphertrail complete --/)
    if (spawnSync(shell, ['-c', ':']).error !== undefined) continue // not on this machine
    const { status, stderr: problem } = spawnSync(shell, ['-n'], { input: stdout, encoding: 'utf8' })
    assert.deepEqual({ status, problem }, { status: 0, problem: '' }, shell)
  }
  const words = async (...line: string[]): Promise<string[]> =>
    linesOf((await run(['complete', '--', ...line], { folder })).stdout).map((text) => text.split('\t')[0] ?? '')
  assert.ok((await words('ed')).includes('edges'))
  assert.ok((await words('cluster', '')).includes('check'))
  assert.ok((await words('collect', '--')).includes('--at'))
})

test('--store wins over CIPHERTRAIL_STORE, which wins over the folder of the command', async (context) => {
  const folder = freshFolder(context)
  const add = (args: string[], env: Record<string, string>) => run([...args, 'cluster', 'add', 'shop'], { folder, env })
  // Beside each store lies what vouches for its clusters.
  const withTrust = (...stores: string[]) => stores.flatMap((store) => [store, `${store}.trust`, `${store}.trust.lock`])
  await add(['--store', 'a'], { CIPHERTRAIL_STORE: 'b' })
  assert.deepEqual(readdirSync(folder), withTrust('a'))
  await add([], { CIPHERTRAIL_STORE: 'b' })
  assert.deepEqual(readdirSync(folder), withTrust('a', 'b'))
  await add([], {})
  assert.deepEqual(readdirSync(folder), withTrust('a', 'b', 'ciphertrail-data'))
  rmSync(join(folder, 'a'), { recursive: true })
  const after = await run(['cluster', 'list', '--store', 'b', '--json'], { folder })
  assert.equal(parseNdjson(after.stdout)[0]?.['id'], 'shop')
})

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { PathRow } from '../../lib/model/history.ts'
import type { ReportSettings } from '../../lib/model/judgement.ts'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import { judge } from '../../lib/assess/judge/judge.ts'
import { DEFAULT_SETTINGS } from '../../lib/assess/judge/stored-scope.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { readPeriod } from '../../lib/history/period.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { linesOf, parseNdjson, run } from '../support/process/command-line.ts'
import type { Ran } from '../support/process/command-line.ts'
import { startDemoMesh } from '../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import { freshFolder } from '../support/recorder.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

/** One mesh with two collected windows, for the tests that ask a history. */
let mesh: DemoMesh
let now: string

before(async () => {
  mesh = await startDemoMesh()
  for (const window of mesh.windows.slice(0, 2)) {
    const { code, stderr } = await mesh.run('collect', ...mesh.optionsAt(window))
    assert.equal(code, 0, stderr)
    now = window.end
  }
})
after(() => mesh.close())

const SCOPE = `
pci-dss:
  clusters: [shop, prod-*]
  namespaces: [billing]
  labels: {app: ledger-db}
  owner: payments
  reason: Card data
hipaa:
  owner: care
  reason: Everything
`

const waiver = (id: string, fields: string, expires = '2027-01-31T00:00:00Z') =>
  `${id}:\n  ${fields}\n  owner: bank\n  reason: old\n  compensatingControl: a firewall\n  expires: ${expires}\n`

/** Runs a command on a file of this text, in a folder of its own. */
function runOn(context: TestContext, text: string | Uint8Array, ...args: string[]): Promise<Ran> {
  const folder = freshFolder(context)
  writeFileSync(join(folder, 'file.yaml'), text)
  return run([...args, 'file.yaml'], { folder })
}

test('judge() of the recorded mesh fails each path that was not encrypted, and passes none of them', async () => {
  const objects = directoryObjects(join(mesh.folder, 'ciphertrail-data'))
  const [cluster] = await readClusters({ objects })
  const [first, second] = mesh.windows
  assert.ok(cluster && first && second)
  const period = await readPeriod(
    cluster,
    { from: first.start, to: second.end },
    { now: new Date(now), platformNamespaces: [] },
    objects,
  )
  const judged = (settings: ReportSettings) =>
    judge({
      clusters: [period],
      scopes: [],
      waivers: [],
      settings,
      period: { from: first.start, to: second.end },
      at: now,
    })
  const { findings, rules } = judged(DEFAULT_SETTINGS)
  const clear = new Set(period.rows.filter(isNotEncrypted).map(({ pathId }) => pathId))
  const encrypted = findings.filter(({ rule }) => rule === 'path-is-encrypted')
  const failed = encrypted.flatMap(({ verdict, subject }) =>
    verdict === 'fail' && subject.kind === 'path' ? subject.pathId : [],
  )
  assert.deepEqual(new Set(failed), clear)
  // The first window has no list from before it, so that nobody knows whose pods had a proxy in it.
  const mostSeen = Math.max(...encrypted.map(({ seen }) => seen?.share ?? 0))
  assert.ok(clear.size > 0 && mostSeen >= 0.5 && mostSeen < 0.99)
  assert.ok(!encrypted.some(({ verdict }) => verdict === 'pass'))
  const half = judged({ ...DEFAULT_SETTINGS, wantedShare: 0.5 }).findings.filter(
    ({ rule }) => rule === 'path-is-encrypted',
  )
  assert.ok(half.some(({ verdict }) => verdict === 'pass'))
  const said = (rule: string, name: string) =>
    findings.find((one) => one.rule === rule && one.subject.kind === 'workload' && one.subject.workload.name === name)
  matchesText(said('workload-is-meshed', 'inventory')?.detail)
  assert.equal(
    said('workload-is-meshed', 'emoji')?.verdict,
    'not-enough-evidence',
    'the first window has no list from before it',
  )
  for (const id of ['crypto-is-current', 'trust-anchor-is-valid'])
    assert.equal(rules.find((rule) => rule.id === id)?.verdict, 'pass', id)
  const web = period.facts?.workloads.find(({ name }) => name === 'web')
  assert.equal(web?.labels[0]?.['app'], 'web')
})

test('scope check says what a scope.yaml declares, and of which frameworks it says nothing', async (context) => {
  matchesText(await runOn(context, SCOPE, 'scope', 'check'), { code: 0, signal: null, stdout: TEXT, stderr: '' })
  const { stdout } = await runOn(context, SCOPE, 'scope', 'check', '--json')
  assert.deepEqual(
    parseNdjson(stdout).map(({ ok, framework, unmatchedClusters }) => [ok, framework, unmatchedClusters]),
    [
      [true, 'hipaa', []],
      [true, 'pci-dss', []],
      [true, undefined, undefined],
    ],
  )
})

test('scope check names a pattern that no registered cluster matches', async () => {
  const file = join(mesh.folder, 'scope.yaml')
  writeFileSync(file, SCOPE)
  const { code, stderr, stdout } = await mesh.run('scope', 'check', file)
  matchesText([code, stderr], [0, TEXT])
  assert.equal(linesOf(stdout).length, 4)
})

test('scope check and waiver check say each thing that is wrong with its place, and end with 2', async (context) => {
  const scope = await runOn(context, 'pci-dss:\n  clusters: prod\n  owner: a\n', 'scope', 'check')
  matchesText(scope, { code: 2, signal: null, stdout: '', stderr: TEXT })
  const waivers = await runOn(context, waiver('a', 'port: x', '2027-01-31'), 'waiver', 'check', '--json')
  assert.deepEqual([waivers.code, waivers.stderr], [2, ''])
  assert.deepEqual(
    parseNdjson(waivers.stdout).map(({ ok, file, line, column }) => [ok, file, line, column]),
    [
      [false, 'file.yaml', 2, 9],
      [false, 'file.yaml', 6, 12],
    ],
  )
})

test('scope check and waiver check say in one line what is no text to check, and write nothing', async (context) => {
  const folder = freshFolder(context)
  mkdirSync(join(folder, 'folder'))
  writeFileSync(join(folder, 'latin1'), Uint8Array.from([0x6f, 0xe9, 0x3a]))
  writeFileSync(join(folder, 'huge'), 'x'.repeat(4_000_001))
  writeFileSync(join(folder, 'hostile'), '"\\u001b[31mred": {}\n')
  const before = readdirSync(folder)
  for (const command of ['scope', 'waiver']) {
    for (const [file, says] of [
      ['nowhere', /^Cannot read "nowhere": it does not exist, wanted a YAML file$/],
      ['folder', /^Cannot read "folder": it is a folder, wanted a YAML file$/],
      ['latin1', /^latin1:1:1: Cannot read this as text: it is not UTF-8$/],
      ['huge', /^huge:1:1: Cannot read 4000001 bytes: wanted at most 4000000$/],
      ['hostile', /^hostile:1:2: Cannot use "\[U\+001B\]\[31mred" as/],
    ] as const) {
      const { code, stdout, stderr } = await run([command, 'check', file], { folder })
      assert.deepEqual([code, stdout], [2, ''], `${command} ${file}`)
      assert.match(linesOf(stderr)[0] ?? '', says)
    }
  }
  assert.deepEqual(readdirSync(folder), before)
})

test('waiver check without a history says how each waiver stands by its end alone', async (context) => {
  const text = [
    waiver('broad', 'port: 80'),
    waiver('ending', 'destination: deployment/shop/web', '2026-11-30T00:00:00Z'),
    waiver('over', 'destination: deployment/shop/web', '2026-11-24T00:00:00Z'),
    waiver('web', 'destination: deployment/shop/web'),
  ].join('')
  const { code, stdout, stderr } = await runOn(context, text, 'waiver', 'check', '--now', '2026-11-24T12:00:00Z')
  assert.equal(code, 0)
  matchesText(stderr)
  assert.deepEqual(
    linesOf(stdout).map((line) => line.split(/ {2,}/).slice(0, 3)),
    [
      ['ID', 'STATUS', 'FAILURES'],
      ['broad', 'in-force, too broad', '-'],
      ['ending', 'expiring', '-'],
      ['over', 'expired', '-'],
      ['web', 'in-force', '-'],
    ],
  )
  const none = await runOn(context, '{}', 'waiver', 'check')
  assert.deepEqual([none.code, none.stdout, none.stderr], [0, 'No waivers.\n', ''])
})

test('waiver check with a history says which waivers accept what failed, and which accept nothing', async () => {
  const file = join(mesh.folder, 'waivers.yaml')
  writeFileSync(
    file,
    [
      waiver('export', 'source: (unmeshed)\n  destination: "*/emojivoto/*"\n  rules: [path-is-encrypted]'),
      waiver('nobody', 'destination: deployment/nowhere/nobody'),
      waiver('over', 'destination: "*/warehouse/*"', '2026-11-01T00:00:00Z'),
    ].join(''),
  )
  const { code, stdout, stderr } = await mesh.run('waiver', 'check', file, '--now', now, '--json')
  assert.deepEqual([code, stderr], [0, ''])
  const standing = parseNdjson(stdout) as { waiver: { id: string }; status: string; findings: number }[]
  assert.deepEqual(
    standing.map((one) => [one.waiver.id, one.status, one.findings > 0]),
    [
      ['export', 'in-use', true],
      ['nobody', 'unused', false],
      ['over', 'expired', true],
    ],
  )
  const before = await mesh.run('waiver', 'check', file, '--now', '2026-01-01T00:00:00Z')
  matchesText(before.stderr)
  assert.doesNotMatch(before.stdout, /unused/, 'silence is not evidence')
})

test('scope set puts a scope in force, which scope show gives back with who set it; the same again changes nothing', async (context) => {
  const folder = freshFolder(context)
  writeFileSync(join(folder, 'scope.yaml'), SCOPE)
  const none = await run(['scope', 'show'], { folder })
  assert.deepEqual([none.code, none.stderr], [0, ''])
  matchesText(none.stdout)
  matchesText((await run(['scope', 'set', 'scope.yaml'], { folder })).stdout)
  matchesText((await run(['scope', 'set', 'scope.yaml'], { folder })).stdout)
  const shown = await run(['scope', 'show'], { folder })
  matchesText(shown.stdout)
  matchesText(shown.stderr)
  assert.equal(parseNdjson((await run(['scope', 'show', '--json'], { folder })).stdout).length, 3)
  writeFileSync(join(folder, 'scope.yaml'), 'pci-dss: {}\n')
  assert.equal((await run(['scope', 'set', 'scope.yaml'], { folder })).code, 2)
  assert.equal((await run(['scope', 'show', '--json'], { folder })).stdout.split('\n').length, 4)
})

test('waiver set puts waivers in force: waiver list says how they stand, and paths names the one of each path until it ends', async () => {
  const file = join(mesh.folder, 'in-force.yaml')
  writeFileSync(file, waiver('all-of-it', 'source: "*/*/*"\n  destination: "*/*/*"', '2026-12-31T00:00:00Z'))
  const clear = ['paths', '--state', 'not-encrypted', '--json']
  const waiversOf = ({ stdout }: Ran) => new Set(parseNdjson(stdout).map((row) => row['waiver']))
  assert.deepEqual(waiversOf(await mesh.run(...clear, '--to', now)), new Set([null]))
  const set = await mesh.run('waiver', 'set', file, '--json')
  assert.deepEqual(JSON.parse(set.stdout), { what: 'waivers', outcome: 'set', entries: 1 })
  const listed = await mesh.run('waiver', 'list', '--now', now)
  assert.match(listed.stdout, /all-of-it +in-use, too broad +[1-9]/)
  assert.match(listed.stderr, /^Set by /)
  const rows = await mesh.run(...clear, '--to', now)
  assert.deepEqual(waiversOf(rows), new Set(['all-of-it', null]))
  for (const { source, destination, waiver: id } of parseNdjson(rows.stdout) as unknown as PathRow[])
    assert.equal(
      id !== null,
      'namespace' in source && 'namespace' in destination,
      JSON.stringify([source, destination]),
    )
  const table = await mesh.run('paths', '--state', 'not-encrypted', '--to', now)
  assert.match(table.stdout, /ACTION\n/)
  assert.match(table.stdout, /^▲ plaintext +deployment\/warehouse\/orders .* waiver all-of-it$/m)
  assert.match(
    (await mesh.run('paths', '--history', '--state', 'not-encrypted', '--to', now)).stdout,
    /WAIVER.*\n.*all-of-it/s,
  )
  assert.deepEqual(
    waiversOf(await mesh.run('paths', '--state', 'not-encrypted', '--json', '--to', '2027-01-01T00:00:00Z')),
    new Set([null]),
  )
  assert.deepEqual(waiversOf(await mesh.run('paths', '--state', 'mtls', '--json', '--to', now)), new Set([null]))
})

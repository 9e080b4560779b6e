import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { linesOf, parseNdjson, runOnTerminal } from '../support/process/command-line.ts'
import type { Ran } from '../support/process/command-line.ts'
import { damaged, DAMAGES } from '../support/stored/damage.ts'
import { startDemoMesh } from '../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import { copyStore } from '../support/stored/trusted-store.ts'
import { matchesText, textWith } from '../support/texts/matches-text.ts'

/** The mesh of the demo, of which three windows were collected and sealed, and a report's leaf besides. */
let mesh: DemoMesh
let store: string
let vkey: string
/** The checkpoint after the first window. */
let earlier: string
/** The key of an attempt. */
let attempt: string

before(async () => {
  mesh = await startDemoMesh()
  store = join(mesh.folder, 'ciphertrail-data')
  vkey = (await ok('key', 'new', 'example.com/ciphertrail')).trim()
  earlier = join(mesh.folder, 'earlier')
  for (const [index, window] of mesh.windows.slice(0, 3).entries()) {
    const [, , , now = ''] = mesh.optionsAt(window)
    await ok('collect', ...mesh.optionsAt(window))
    await ok('seal', '--now', now)
    if (index === 0) cpSync(join(store, 'log', 'checkpoint'), earlier)
  }
  for await (const key of directoryObjects(store).list('evidence/')) attempt = key
})
after(() => mesh.close())

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await mesh.run(...args)
  assert.equal(code, 0, stderr)
  return stdout
}

function copyOf(name: string): string {
  const copy = join(mesh.folder, `copy-${name}`)
  copyStore(store, copy)
  return copy
}

async function heldIn(folder: string): Promise<Map<string, Uint8Array>> {
  const objects = directoryObjects(folder)
  const held = new Map<string, Uint8Array>()
  for await (const key of objects.list('')) held.set(key, (await objects.get(key))?.body ?? Buffer.of())
  return held
}

function assertClear({ code, stdout, stderr }: Ran, expectedCode: number): void {
  assert.deepEqual([code, stdout, linesOf(stderr).length], [expectedCode, '', 1], stderr)
  matchesText(stderr)
  assert.match(stderr, /^Cannot [^\n]*[^.\s]\n$/)
  assert.doesNotMatch(stderr, /\.ts:\d|node:internal|PRIVATE\+KEY/)
}

test('log check and verify find nothing in a store that nobody touched', async () => {
  const checked = await mesh.run('log', 'check')
  assert.deepEqual([checked.code, checked.stderr], [0, ''])
  matchesText(checked.stdout)

  const verified = await mesh.run('verify', store, '--key', vkey, '--since', earlier)
  assert.deepEqual([verified.code, verified.stderr], [0, ''])
  const page = verified.stdout
  matchesText(page)
  matchesText(page)
  matchesText(page)
  assert.match(page, /\nshop +2026-11-24T13:00:00Z +2026-11-24T13:15:00Z +3 +3 +- +-\n/)
  assert.ok(linesOf(page).length < 25)
  // Whoever reads a page with nothing on it that failed is told what it does not show.
  matchesText(page)
})

test('without a key and an earlier checkpoint the page says what that leaves open', async () => {
  const { code, stdout } = await mesh.run('verify', store)
  assert.equal(code, 0)
  matchesText(stdout)
  matchesText(stdout)
  matchesText(stdout)
  matchesText(stdout)
})

test('a key may be given as the file that holds it, as key show prints it', async () => {
  const file = join(mesh.folder, 'public')
  writeFileSync(file, await ok('key', 'show'))
  const [answer] = parseNdjson(await ok('verify', store, '--key', file, '--json'))
  assert.deepEqual([answer?.['verified'], answer?.['key']], [true, { vkey, from: 'given' }])
})

test('whatever befalls an object of the recorded mesh, log check names it and ends with 1', async () => {
  const copy = copyOf('damaged')
  const held = await heldIn(copy)
  const picks = fc.sample(
    fc.tuple(
      fc.constantFrom(...held.keys()),
      fc.constantFrom(...DAMAGES),
      fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
    ),
    6,
  )
  for (const [key, damage, numbers] of picks) {
    let next = 0
    const changes = damage.changes(key, held, (below) => (numbers[next++] ?? 0) % below)
    if (changes.size === 0) continue
    for (const [one, body] of changes) writeOver(join(copy, one), body)
    const { code, stdout } = await mesh.run('log', 'check', '--store', copy)
    for (const one of changes.keys()) assert.ok(stdout.includes(one), `${damage.name} of ${one}: ${stdout}`)
    const isOnlyUnsealed = /: 0 findings, [1-9]/.test(stdout)
    assert.equal(code, isOnlyUnsealed ? 0 : 1, stdout)
    for (const one of changes.keys()) writeOver(join(copy, one), held.get(one) ?? null)
    assert.deepEqual(await heldIn(copy), damaged(held, new Map()))
  }
})

function writeOver(path: string, body: Uint8Array | null): void {
  rmSync(path, { force: true })
  if (body === null) return
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, body)
}

test('changed evidence is named by log check and by verify, as lines and as JSON', async () => {
  const copy = copyOf('evidence')
  const file = join(copy, attempt)
  const body = readFileSync(file)
  writeFileSync(file, Buffer.concat([body, Buffer.of(0)]))
  const checked = await mesh.run('log', 'check', '--store', copy)
  assert.equal(checked.code, 1)
  const line = `${attempt}: it has ${body.length + 1} bytes, sealed were ${body.length} (leaf 3)`
  assert.equal(linesOf(checked.stdout)[0], line)
  const findings = parseNdjson((await mesh.run('log', 'check', '--store', copy, '--json')).stdout)
  assert.deepEqual(findings[0], { key: attempt, problem: line.slice(attempt.length + 2), isWrong: true })
  assert.equal(findings.at(-1)?.['findings'], findings.length - 1)

  const verified = await mesh.run('verify', copy, '--key', vkey)
  assert.deepEqual(
    [verified.code, linesOf(verified.stdout).slice(0, 2)],
    [1, ['Not verified: 1 finding.', `  ${line}`]],
  )
  const [answer] = parseNdjson((await mesh.run('verify', copy, '--key', vkey, '--json')).stdout)
  assert.deepEqual([answer?.['verified'], answer?.['findingsTotal']], [false, 1])
})

test('a waiver in force that is not sealed yet is told by log check with exit code 3, and by 0 once it is sealed', async () => {
  const copy = copyOf('waived')
  const file = join(mesh.folder, 'waivers.yaml')
  const lines = [
    'cluster: shop',
    'rules: [path-is-encrypted]',
    'destination: "*/shop/*"',
    'owner: payments',
    'reason: moves in spring',
    'compensatingControl: a private network',
    'expires: 2027-03-01T00:00:00Z',
  ]
  writeFileSync(file, `ledger-export:\n${lines.map((line) => `  ${line}\n`).join('')}`)
  const set = await mesh.run('waiver', 'set', file, '--store', copy)
  assert.equal(set.code, 0, set.stderr)
  const check = (...options: string[]) => mesh.run('log', 'check', '--store', copy, ...options)
  const { code, stdout, stderr } = await check()
  assert.deepEqual([code, stderr], [3, ''])
  matchesText(linesOf(stdout).slice(0, -1))
  matchesText(linesOf(stdout).at(-1))
  const asJson = await check('--json')
  assert.equal(asJson.code, 3)
  assert.partialDeepStrictEqual(parseNdjson(asJson.stdout).at(-1), { findings: 0, unsealed: 1, inForce: 1 })
  // What is wrong weighs more.
  writeOver(join(copy, 'log/x'), Buffer.of(0))
  assert.equal((await check()).code, 1)
  writeOver(join(copy, 'log/x'), null)
  const key = join(mesh.folder, 'ciphertrail-data.key')
  const sealed = await mesh.run('seal', '--store', copy, '--key', key)
  assert.equal(sealed.code, 0, sealed.stderr)
  assert.equal((await check()).code, 0)
})

test('a store that was rolled back as a whole verifies in itself, and --since says so', async () => {
  const copy = copyOf('rolled-back')
  const newest = join(mesh.folder, 'newest')
  cpSync(join(store, 'log', 'checkpoint'), newest)
  rmSync(copy, { recursive: true })
  const window = mesh.windows[0]
  assert.ok(window)
  const [, , , now = ''] = mesh.optionsAt(window)
  const key = ['--key', `${store}.key`]
  await ok('seal', '--now', now, ...key, '--store', copy)
  const { code, stdout } = await mesh.run('verify', copy, '--key', vkey)
  assert.equal(code, 0, stdout)
  const since = await mesh.run('verify', copy, '--key', vkey, '--since', newest)
  assert.equal(since.code, 1)
  matchesText(since.stdout)
  matchesText(since.stdout)
})

test('a copy with some of the objects is verified in part, and only where that was said', async () => {
  const copy = copyOf('partial')
  rmSync(join(copy, attempt))
  assert.equal((await mesh.run('verify', copy, '--key', vkey)).code, 1)
  const { code, stdout } = await mesh.run('verify', copy, '--key', vkey, '--partial')
  assert.equal(code, 0)
  matchesText(stdout)
  matchesText(stdout)
})

test('what is not sealed yet is said by both, and is no failure', async () => {
  const copy = copyOf('unsealed')
  const window = mesh.windows[3]
  assert.ok(window)
  await ok('collect', ...mesh.optionsAt(window), '--store', copy)
  const checked = await mesh.run('log', 'check', '--store', copy)
  assert.equal(checked.code, 0)
  matchesText(checked.stdout)
  const { code, stdout } = await mesh.run('verify', copy, '--key', vkey)
  assert.equal(code, 0)
  matchesText(stdout)
})

test('log show tells the head and the latest leaves', async () => {
  const shown = linesOf(await ok('log', 'show', '--last', '2'))
  matchesText(shown.slice(0, 4), [textWith({ vkey }), 'Leaves: 4', 'Checkpoint:', 'example.com/ciphertrail'])
  assert.match(shown.at(-1) ?? '', new RegExp(`^3 +snapshot +${attempt}$`))
  assert.equal(shown.at(-3)?.startsWith('LEAF'), true)
  const [answer] = parseNdjson(await ok('log', 'show', '--json', '--key', vkey))
  assert.equal(answer?.['checkpoint'], readFileSync(join(store, 'log', 'checkpoint'), 'utf8'))
  assert.deepEqual([answer?.['size'], answer?.['origin']], [4, 'example.com/ciphertrail'])
})

test('a proof of one object is checked by the object and the key alone', async () => {
  const file = join(mesh.folder, 'one.tlog-proof')
  assert.equal(await ok('log', 'show', '--proof', attempt, '--out', file), `${file}\n`)
  assert.equal(await ok('log', 'show', '--proof', attempt), readFileSync(file, 'utf8'))
  const object = join(store, attempt)
  const proved = linesOf(await ok('verify', '--proof', file, '--object', object, '--key', vkey))
  matchesText(proved[0])
  assert.match(proved[1] ?? '', new RegExp(`^${attempt}: sha256 [0-9a-f]{64}, \\d+ bytes$`))

  const other = join(store, 'registry', 'clusters.json')
  const wrong = await mesh.run('verify', '--proof', file, '--object', other, '--key', vkey)
  assert.equal(wrong.code, 1)
  matchesText(wrong.stdout)
  const changed = join(mesh.folder, 'changed.tlog-proof')
  writeFileSync(changed, readFileSync(file, 'utf8').replace('index 3', 'index 2'))
  const unproved = await mesh.run('verify', '--proof', changed, '--object', object, '--key', vkey, '--json')
  const [answer] = parseNdjson(unproved.stdout)
  assert.deepEqual([unproved.code, answer?.['verified']], [1, false])
  matchesText(String(answer?.['problem']))
})

test('what cannot be used is one line that says what is wanted', async () => {
  const missing = join(mesh.folder, 'missing')
  const file = join(store, attempt)
  const privateKey = readFileSync(`${store}.key`, 'utf8').trim()
  const proof = join(mesh.folder, 'some.tlog-proof')
  await ok('log', 'show', '--proof', attempt, '--out', proof)
  for (const [args, code] of [
    [['verify'], 2],
    [['verify', missing], 2],
    [['verify', store, '--since', missing], 2],
    [['verify', store, '--since', store], 2],
    [['verify', store, '--key', 'a+b+c'], 2],
    [['verify', store, '--key', 'nowhere'], 2],
    [['verify', store, '--key', privateKey], 2],
    [['verify', store, '--key', `${store}.key`], 2],
    [['verify', store, '--object', file], 2],
    [['verify', '--proof', proof, '--key', vkey], 2],
    [['verify', '--proof', proof, '--object', file], 2],
    [['verify', '--proof', missing, '--object', file, '--key', vkey], 2],
    [['verify', '--proof', proof, '--object', missing, '--key', vkey], 2],
    [['verify', store, '--proof', proof, '--object', file, '--key', vkey], 2],
    [['log', 'show', '--last', '-1'], 2],
    [['log', 'show', '--out', missing], 2],
    [['log', 'show', '--proof', 'evidence/none'], 1],
    [['log', 'show', '--proof', '../x'], 1],
    [['log', 'show', '--proof', attempt, '--out', store], 1],
    [['log', 'show', '--store', missing], 1],
    [['log', 'check', '--key', 'nowhere'], 2],
  ] as const)
    assertClear(await mesh.run(...args), code)
  assert.equal((await mesh.run('log', 'check', '--store', missing)).code, 1)
  const noPack = await mesh.run('verify', file)
  assert.equal(noPack.code, 1)
  matchesText(noPack.stdout)
})

test('a checkpoint that was copied by hand is the checkpoint', async () => {
  const copied = join(mesh.folder, 'copied')
  writeFileSync(copied, `\r\n${readFileSync(earlier, 'utf8').trimEnd().replaceAll('\n', '\r\n')}`)
  const [answer] = parseNdjson(await ok('verify', store, '--key', vkey, '--since', copied, '--json'))
  assert.deepEqual(answer?.['verified'], true)
})

test('a file that is no checkpoint is named as such, and compares with nothing', async () => {
  const { code, stdout } = await mesh.run('verify', store, '--key', vkey, '--since', join(store, attempt))
  assert.equal(code, 1)
  matchesText(stdout)
})

test('names in a store do nothing on a terminal', async () => {
  const copy = copyOf('hostile')
  writeFileSync(join(copy, 'log', 'vkey'), 'evil\u001b[31m\u202e+00000000+AAAA\n')
  for (const args of [
    ['verify', copy],
    ['log', 'check', '--store', copy],
    ['log', 'show', '--store', copy],
  ]) {
    const { stdout } = await runOnTerminal(args, { folder: mesh.folder })
    assert.ok(!stdout.includes('\u001b[31m') && !stdout.includes('\u202e'))
    assert.match(stdout, /it is no key/)
  }
})

test('thousands of attempts of one cluster are a few lines in log check, verify, rebuild and seal, and all of them in JSON', async () => {
  const copy = copyOf('flooded')
  const folder = join(copy, dirname(attempt))
  for (let number = 2; number <= 3000; number++)
    writeFileSync(join(folder, `${String(number).padStart(4, '0')}.json.gz`), `${number}`)
  const inCopy = (...args: string[]) => mesh.run(...args, '--store', copy)
  const [rebuilt, checked, json] = [
    await inCopy('rebuild'),
    await inCopy('log', 'check'),
    await inCopy('log', 'check', '--json'),
  ]
  assert.equal(rebuilt.code, 1)
  assert.ok(linesOf(rebuilt.stderr).length < 10, rebuilt.stderr.slice(0, 2000))
  matchesText(rebuilt.stderr)
  assert.equal(checked.code, 1)
  assert.ok(linesOf(checked.stdout).length < 20, checked.stdout.slice(0, 2000))
  matchesText(checked.stdout)
  matchesText(checked.stdout)
  assert.equal(parseNdjson(json.stdout).length, 2 * 2999 + 1)
  const verified = await mesh.run('verify', copy, '--key', vkey)
  assert.ok(linesOf(verified.stdout).length < 40, verified.stdout.slice(0, 3000))
  rmSync(copy, { recursive: true })
})

test('names that no object can have are told by log check, and are no fault', async () => {
  const copy = copyOf('foreign')
  writeFileSync(join(copy, 'evidence', 'a b\u001b[31m'), '')
  for (let number = 0; number < 20; number++) writeFileSync(join(copy, `.${number}`), '')
  const { code, stdout } = await mesh.run('log', 'check', '--store', copy)
  assert.equal(code, 0)
  matchesText(stdout)
  const last = parseNdjson((await mesh.run('log', 'check', '--store', copy, '--json')).stdout).at(-1) ?? assert.fail()
  assert.deepEqual([last['foreign'], (last['foreignNames'] as string[]).length], [21, 10])
})

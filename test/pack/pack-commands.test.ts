import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { keyFileSigner } from '../../lib/seal/key/key-file.ts'
import { linesOf, parseNdjson, run, runProcess } from '../support/process/command-line.ts'
import { fillReported, PERIOD, VERSION } from '../support/stored/packed-report.ts'
import { minutesIn } from '../support/stored/sealed-store.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

/** `pack`, `verify`, `sample` and `review` as they are typed. */

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-pack-cli-'))
after(() => rmSync(folder, { recursive: true }))
/** A day on which few windows were expected since the first one. */
const now = minutesIn(500).toISOString()
const command = (...args: string[]) => run(args, { folder, now })
const created = await command('key', 'new', 'example.com/log')
assert.equal(created.code, 0, created.stderr)
const vkey = (await command('key', 'show')).stdout.trim()
const objects = directoryObjects(join(folder, 'ciphertrail-data'))
const report = await fillReported(objects, await keyFileSigner(join(folder, 'ciphertrail-data.key')))
const period = `${PERIOD.from}/${PERIOD.to}`
const CHANGE = 'changes/clusters/000001.json'

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await command(...args)
  assert.deepEqual([code, stderr], [0, ''], args.join(' '))
  return stdout
}

test('the same pack is the same file, whatever the time zone, the language and the umask', async () => {
  const sums = new Set<string>()
  for (const [at, env] of [
    { TZ: 'America/St_Johns', LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8' },
    { TZ: 'Pacific/Kiritimati', LC_ALL: 'C', LANG: 'de_DE.UTF-8' },
  ].entries()) {
    const { code, stderr } = await runProcess(['pack', '--period', period, '--out', `${at}.zip`], { folder, env })
    assert.deepEqual([code, stderr], [0, ''])
    sums.add(hash('sha256', readFileSync(join(folder, `${at}.zip`))))
  }
  assert.equal(sums.size, 1)
  const [made] = parseNdjson(await ok('pack', '--report', report, '--out', 'again.zip', '--json'))
  assert.deepEqual([made?.['sha256'], made?.['report']], [[...sums][0], report])
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.new')),
    [],
  )
})

test('verify takes the file of a pack, shows the key first without --key, and fails on another one', async () => {
  await ok('pack', '--period', period, '--out', 'pack.zip')
  const own = linesOf(await ok('verify', 'pack.zip'))
  assert.equal(own[0], `Key       ${vkey}`)
  assert.ok(own.every((line) => line.length <= 160))
  const given = await ok('verify', 'pack.zip', '--key', vkey)
  matchesText(given)
  // The report was made by another version than the one that verifies.
  assert.match(
    given,
    new RegExp(`\\nRendered {2}not rendered again: ciphertrail ${VERSION} made the report, and this is `),
  )
  const [answer] = parseNdjson(await ok('verify', 'pack.zip', '--key', vkey, '--json'))
  assert.deepEqual([answer?.['verified'], answer?.['keyTrusted'], answer?.['keyMismatch']], [true, true, false])
  const [untrusted] = parseNdjson(await ok('verify', 'pack.zip', '--json'))
  assert.deepEqual([untrusted?.['verified'], untrusted?.['keyTrusted']], [true, false])
  const other = 'example.com/log+00000000+AQ'
  assert.equal((await command('verify', 'pack.zip', '--key', other)).code, 2)
  await run(['key', 'new', 'example.com/other', '--key', 'other.key'], { folder })
  const wrong = await command('verify', 'pack.zip', '--key', (await ok('key', 'show', '--key', 'other.key')).trim())
  assert.equal(wrong.code, 1)
  matchesText(wrong.stdout)
})

test('what cannot be packed is one line that says what to run', async () => {
  for (const [args, code] of [
    [['pack', '--week', '2020-W01', '--out', 'x.zip'], 1],
    [['pack', '--period', period, '--out', 'no/such/x.zip'], 1],
    [['pack', '--period', 'a/b/c', '--out', 'x.zip'], 2],
    [['pack', '--report', '../x', '--out', 'x.zip'], 2],
    [['pack', '--period', period], 2],
    [['review', '2020-W01', '--by', 'Ada', '--note', 'ok'], 2],
    [['review', report, '--by', ' ', '--note', 'ok'], 2],
    [['sample', '--period', period, '--count', '0', '--seed', '7'], 2],
    [['sample', '--period', period], 2],
  ] as const) {
    const ran = await command(...args)
    assert.deepEqual([ran.code, linesOf(ran.stderr).length], [code, 1], ran.stderr)
    matchesText(ran.stderr)
  }
})

test('sample picks the same windows for the same seed, proves each, and can be done by hand', async () => {
  const asked = ['sample', '--period', period, '--count', '3', '--seed', 'seven', '--json', '--out', 'sample'] as const
  const [sample] = parseNdjson(await ok(...asked))
  assert.deepEqual(parseNdjson(readFileSync(join(folder, 'sample/sample.json'), 'utf8')), [sample])
  const again = await command(...asked)
  matchesText([again.code, again.stderr], [2, TEXT])
  assert.deepEqual(parseNdjson(await ok(...asked.slice(0, -2))), [sample])
  const { windows, population } = sample as {
    windows: { window: { start: string }; cluster: string; status: string; proofs: { file: string }[] }[]
    population: Record<string, unknown>
  }
  assert.deepEqual(
    { ...population, derivedFrom: '' },
    { windows: 4, expected: 4, attempts: 3, gaps: 1, neither: 0, derivedFrom: '' },
  )
  assert.equal(windows.length, 3)
  const names = [0, 5, 10, 15].map((from) => {
    const text = (minutes: number) => minutesIn(minutes).toISOString().replace('.000Z', 'Z').replaceAll(/[-:]/g, '')
    return `${text(from)}-${text(from + 5)}`
  })
  const byHand = names.toSorted((a, b) => {
    const rank = (name: string) => hash('sha256', `seven\neast\n${name}\n`)
    return rank(a) < rank(b) ? -1 : 1
  })
  assert.deepEqual(
    windows.map(({ window }) => window.start.replaceAll(/[-:]/g, '')),
    byHand.slice(0, 3).map((name) => name.slice(0, 16)),
  )
  for (const { status, proofs, window } of windows) {
    assert.equal(proofs.length, 1)
    const proof = join('sample', proofs[0]?.file ?? '')
    if (status !== 'attempt') continue
    const bare = await command('verify', '--proof', proof, '--key', vkey)
    assert.equal(bare.code, 2)
    assert.match(bare.stderr, /^Cannot check a proof without the object that it is about: give --object, a file with /)
    const start = window.start.replaceAll(/[-:]/g, '')
    const name = names.find((one) => one.startsWith(start)) ?? ''
    const object = join('ciphertrail-data/evidence', name, 'east/0001.json.gz')
    await ok('verify', '--proof', proof, '--object', object, '--key', vkey)
  }
  const other = await ok('sample', '--period', period, '--count', '3', '--seed', 'eight')
  assert.match(other, /^Key {9}example\.com\/log\+.*\n.*\nCheckpoint {2}example\.com\/log, \d+ leaves, root \S{44}\n/)
  assert.ok(other.startsWith(`Key         ${vkey}\n`))
  matchesText(other)
})

test('the proof of a gap is checked without an object, and says which window it is of', async () => {
  const asked = ['sample', '--period', period, '--count', '4', '--seed', 'seven', '--json', '--out', 'gaps'] as const
  const [sample] = parseNdjson(await ok(...asked))
  const { windows } = sample as { windows: { status: string; proofs: { file: string }[] }[] }
  const file = windows.find(({ status }) => status === 'gap')?.proofs[0]?.file ?? assert.fail()
  const proof = ['verify', '--proof', join('gaps', file), '--key', vkey] as const
  assert.match(
    await ok(...proof),
    /^Verified: leaf \d+ of the \d+ leaves of log example\.com\/log records a gap, of which there is no object:\n.*cluster east, window 2026-11-24T12:10:00Z to 2026-11-24T12:15:00Z: [a-z-]+\n$/,
  )
  const [answer] = parseNdjson(await ok(...proof, '--json'))
  assert.deepEqual([answer?.['verified'], answer?.['object']], [true, null])
  const { code, stdout } = await command(...proof, '--object', 'gaps/sample.json')
  matchesText([code, stdout], [1, TEXT])
})

test('sample picks from no log that is not the signed one, and does not believe the index of it', async () => {
  const store = join(folder, 'ciphertrail-data')
  const damaged = join(folder, 'damaged')
  cpSync(store, damaged, { recursive: true })
  const asked = ['sample', '--period', period, '--count', '4', '--seed', 'seven', '--json', '--store', 'damaged']
  // An index that names other leaves changes no proof.
  rmSync(join(damaged, 'log/index'), { recursive: true })
  const [own] = parseNdjson(await ok(...asked.slice(0, -2)))
  assert.ok(own)
  assert.deepEqual(parseNdjson(await ok(...asked)), [own])
  assert.equal(own?.['key'], vkey)
  assert.match(JSON.stringify(own['checkpoint']), /^\{"origin":"example\.com\/log","size":\d+,"root":"[^"]{44}"\}$/)
  const bundles = readdirSync(join(damaged, 'log/tile/entries'), { recursive: true, encoding: 'utf8' })
  for (const name of bundles.map((one) => join(damaged, 'log/tile/entries', one))) {
    if (!statSync(name).isFile()) continue
    const body = readFileSync(name)
    writeFileSync(
      name,
      Buffer.from(body.toString('latin1').replaceAll('"window":{"end":"2026', '"window":{"end":"2036'), 'latin1'),
    )
  }
  const { code, stdout, stderr } = await command(...asked)
  matchesText([code, stdout, stderr], [1, '', TEXT])
})

test('sample expects windows by the sealed changes of the registry, and by no change that is not what was sealed', async () => {
  const changed = join(folder, 'changed')
  cpSync(join(folder, 'ciphertrail-data'), changed, { recursive: true })
  const asked = ['sample', '--period', period, '--count', '4', '--seed', 'seven', '--json', '--store', 'changed']
  const [own] = parseNdjson(await ok(...asked.slice(0, -2)))
  assert.ok(own)
  const inPlace = (name: string, change: (text: string) => string): void => {
    const path = join(changed, name)
    writeFileSync(path, change(readFileSync(path, 'utf8')))
  }
  const later = (text: string): string => text.replaceAll(minutesIn(0).toISOString().replace('.000', ''), PERIOD.to)
  // Whoever would hide windows writes the registry, a change that nobody sealed, or over one that was.
  inPlace('registry/clusters.json', later)
  assert.deepEqual(parseNdjson(await ok(...asked)), [own])
  const removal = { ...JSON.parse(readFileSync(join(changed, CHANGE), 'utf8')), number: 2 } as { content: object }
  removal.content = { id: 'east', cluster: null }
  writeFileSync(join(changed, CHANGE.replace('1.json', '2.json')), JSON.stringify(removal))
  assert.deepEqual(parseNdjson(await ok(...asked)), [own])
  inPlace(CHANGE, later)
  const { code, stdout, stderr } = await command(...asked)
  const says = `Cannot tell which windows were expected: "${CHANGE}" is not what was sealed, run "ciphertrail log check"\n`
  assert.deepEqual([code, stdout, stderr], [1, '', says])
  rmSync(join(changed, CHANGE))
  assert.equal((await command(...asked)).stderr, says.replace('is not what was sealed', 'was sealed, and is not there'))
})

test('a review is a leaf, and the report of a later period shows it', async () => {
  assert.match(
    await ok('review', report.slice('reports/'.length, -'.json'.length), '--by', '<b>Ada</b>', '--note', 'W-1 must go'),
    /^Recorded review 1: Twenty minutes \(reports\/.*\), by <b>Ada<\/b>\. Run "ciphertrail seal" to seal it\.\n$/,
  )
  assert.match(await ok('seal'), /1 review/)
  const to = minutesIn(40).toISOString().replace('.000Z', 'Z')
  await ok('report', '--from', PERIOD.to, '--to', to, '--out', 'later')
  const html = readFileSync(join(folder, 'later/report.html'), 'utf8')
  assert.match(html, /Reviews of earlier reports[\s\S]*&lt;b&gt;Ada&lt;\/b&gt;[\s\S]*W-1 must go/)
  await ok('report', '--from', PERIOD.from, '--to', PERIOD.to, '--out', 'same')
  assert.doesNotMatch(readFileSync(join(folder, 'same/report.html'), 'utf8'), /Reviews of earlier reports/)
})

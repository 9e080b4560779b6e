import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'parse5'
import type { DefaultTreeAdapterTypes } from 'parse5'
import { extractText, getDocumentProxy } from 'unpdf'
import { status } from '../../demo/replay-kubernetes.ts'
import { printable } from '../../lib/text/printable.ts'
import type { PathRow } from '../../lib/model/history.ts'
import type { Window } from '../../lib/model/time.ts'
import {
  parseRequeriedKey,
  parseChangeKey,
  parseEvidenceKey,
  parseTimelineKey,
  parseWindowKey,
} from '../../lib/store/keys.ts'
import { linesOf, parseNdjson, run, runOnTerminal, shownText } from '../support/process/command-line.ts'
import type { Ran } from '../support/process/command-line.ts'
import { startDemoMesh } from '../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import type { ReplayAnswer } from '../../demo/replay-answer.ts'
import { isReportKey } from '../../lib/store/report-keys.ts'

/**
 * What a lying API and lying labels may call things. Each takes the place of a recorded name everywhere: in objects, labels, identities,
 * authorities and addresses.
 */
const NAMES = {
  warehouse: '<img src=x onerror=alert(1)>',
  orders: '#panic("pwned") $x$ @ref',
  inventory: '\u001b[2J\u001b]0;pwned\u0007\u001b[31mgreen',
  picker: 'a\r\nshop: complete, 0 not encrypted',
  invoices: '../../../../../../../tmp/ciphertrail-escaped',
  'ledger-db': 'a\u202egnp.exe\u2066\u200b',
  billing: 'n'.repeat(253),
  'vote-bot': '$(touch pwned);`touch pwned`|"\'&',
  emojivoto: '{{constructor}}</td></table><script>alert(1)</script>',
  login: '\u009b31mC1\u0085',
  coredns: '__proto__',
  scraper: 'constructor',
  port_skipped: '<b>\u001b[31m=cmd|!A0',
  '203.0.113.20': 'javascript:alert(1)',
} as const

const RENAMED = new RegExp(Object.keys(NAMES).join('|').replaceAll('.', '[.]'), 'g')

/** Every text of an answer with the names replaced; keys stay, or it would be no answer. */
function renamed({ status: code, body }: ReplayAnswer): ReplayAnswer {
  const change = (text: string): string => text.replaceAll(RENAMED, (name) => NAMES[name as keyof typeof NAMES])
  return {
    status: code,
    body: JSON.stringify(JSON.parse(body, (_, value: unknown) => (typeof value === 'string' ? change(value) : value))),
  }
}

let mesh: DemoMesh
let windows: readonly [Window, Window]
let collected: Ran[]

before(async () => {
  mesh = await startDemoMesh({ changeMetrics: renamed, changeLists: renamed })
  const [first, second] = mesh.windows
  assert.ok(first && second)
  windows = [first, second]
  collected = []
  for (const window of windows) collected.push(await mesh.run('collect', ...mesh.optionsAt(window)))
})
after(() => mesh.close())

/** What a terminal acts on, and what turns or hides text; line feeds apart, which end lines. */
const ACTS = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

function assertInert(text: string, what: string): void {
  const [character] = ACTS.exec(text) ?? []
  assert.equal(character, undefined, `${what}: U+${character?.codePointAt(0)?.toString(16)}`)
}

test('collect works, and its own lines are inert', () => {
  for (const { code, stdout, stderr } of collected) {
    assert.deepEqual({ code, stderr, lines: linesOf(stdout).length }, { code: 0, stderr: '', lines: 1 })
    assertInert(stdout, 'collect')
  }
})

test('every table is inert, a row stays a row, and names can be read', async () => {
  for (const args of [
    ['edges', 'all', '-o', 'wide'],
    ['edges', 'all', '-o', 'linkerd'],
    ['edges', 'all'],
    ['paths'],
    ['workloads'],
  ]) {
    const { code, stdout, stderr } = await mesh.run(...args, ...(args[0] === 'paths' ? [] : ['--at', windows[1].end]))
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assertInert(stdout, args.join(' '))
    for (const name of ['warehouse', 'orders', 'inventory', 'picker', 'ledger-db', 'billing', 'login'] as const)
      assert.ok(stdout.includes(printable(NAMES[name])), `${args.join(' ')} lacks ${name}`)
    const rows = await mesh.run(...args, ...(args[0] === 'paths' ? [] : ['--at', windows[1].end]), '--json')
    const [first] = parseNdjson(rows.stdout)
    const expected = args.includes('linkerd') ? (first as unknown as unknown[]).length : linesOf(rows.stdout).length
    // Paths of other classes have a heading of their own, and `paths` has a row for each path, not for each interval.
    const isOfPaths = args[0] === 'paths'
    const others = isOfPaths ? linesOf(stdout).filter((line) => line.endsWith(', not judged:')).length : 0
    const wanted = isOfPaths ? new Set(parseNdjson(rows.stdout).map(({ pathId }) => pathId)).size : expected
    if (!args.includes('wide')) {
      const heads = args[0] === 'edges' && !args.includes('linkerd') ? 2 : 1
      assert.equal(linesOf(stdout).length, wanted + heads + 3 * others)
    }
  }
})

test('status and paths --history are inert, and show the names', async () => {
  for (const args of [['status'], ['status', '--json'], ['paths', '--history'], []]) {
    const { code, stdout, stderr } = await mesh.run(...args)
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assertInert(stdout, args.join(' '))
    if (args.includes('--json')) assert.equal(parseNdjson(stdout).length, 1)
    else assert.ok(stdout.includes(printable(NAMES.inventory)), `${args.join(' ')} lacks inventory`)
  }
  const { stdout } = await runOnTerminal(['status', '--now', mesh.now ?? ''], {
    ...mesh,
    columns: 80,
    env: { NO_COLOR: '1' },
  })
  assertInert(shownText(stdout), 'status on a terminal')
})

test('look is inert, and shows the names', async () => {
  for (const args of [['--all'], ['--json']]) {
    const { code, stdout, stderr } = await mesh.run('look', '--last', '5m', ...args)
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assertInert(stdout, 'look')
    if (args.includes('--json')) assert.ok(parseNdjson(stdout).length === 1)
    else for (const name of ['warehouse', 'login'] as const) assert.ok(stdout.includes(printable(NAMES[name])), name)
  }
})

test('on a terminal nothing but our own colours reaches it', async () => {
  const { stdout } = await runOnTerminal(['edges', 'all', '-o', 'wide', '--at', windows[1].end], mesh)
  const colours = ['\u001b[31m', '\u001b[33m', '\u001b[39m']
  assert.ok(colours.every((colour) => stdout.includes(colour)))
  const uncoloured = colours.reduce((text, colour) => text.replaceAll(colour, ''), stdout).replaceAll('\r\n', '\n')
  assertInert(uncoloured, 'the terminal')
})

test('JSON is inert to look at, and gives the names as they are', async () => {
  const { stdout } = await mesh.run('paths', '--json')
  assertInert(stdout, 'paths --json')
  const rows = parseNdjson(stdout) as unknown as PathRow[]
  const names = new Set(
    rows.flatMap(({ source, destination }) =>
      [source, destination].flatMap(({ name, namespace }) => [name, namespace]),
    ),
  )
  for (const name of [
    'warehouse',
    'orders',
    'inventory',
    'picker',
    'invoices',
    'ledger-db',
    'billing',
    'vote-bot',
    'emojivoto',
    'login',
  ] as const)
    assert.ok(names.has(NAMES[name]), name)
  assert.ok(rows.some(({ reason }) => reason === NAMES.port_skipped || reason.includes(NAMES.port_skipped)))
  for (const args of [
    ['edges', 'all', '--json'],
    ['workloads', '--json'],
    ['edges', 'all', '-o', 'linkerd', '--json'],
  ]) {
    const answer = await mesh.run(...args, '--at', windows[1].end)
    assertInert(answer.stdout, args.join(' '))
    assert.ok(parseNdjson(answer.stdout).length > 0)
  }
  const workloads = parseNdjson((await mesh.run('workloads', '--json')).stdout)
  for (const name of ['__proto__', 'constructor'])
    assert.ok(
      workloads.some((workload) => workload['name'] === name),
      name,
    )
})

test('a hostile name can be asked for', async () => {
  const { code, stdout } = await mesh.run('edges', 'all', '-n', NAMES.warehouse, '--json', '--at', windows[1].end)
  assert.equal(code, 0)
  assert.ok(parseNdjson(stdout).length > 0)
  const none = await mesh.run('edges', 'all', '-n', '\u001b[31m', '--at', windows[1].end)
  assert.deepEqual({ code: none.code, stdout: none.stdout }, { code: 0, stdout: '' })
})

type Page = { readonly elements: Map<string, number>; readonly attributes: Set<string>; readonly text: string }

/** What a browser would make of a page. */
function pageOf(html: string): Page {
  const elements = new Map<string, number>()
  const attributes = new Set<string>()
  let text = ''
  const visit = (node: DefaultTreeAdapterTypes.Node): void => {
    if ('value' in node) text += node.value
    if ('tagName' in node) {
      elements.set(node.tagName, (elements.get(node.tagName) ?? 0) + 1)
      for (const { name, value } of node.attrs) {
        attributes.add(name)
        assert.doesNotMatch(value, /javascript:|onerror/i, `${node.tagName} ${name}`)
      }
    }
    if ('childNodes' in node) for (const child of node.childNodes) visit(child)
  }
  visit(parse(html))
  return { elements, attributes, text }
}

test('no element, attribute or link of the report comes from a name, and its PDF shows the names as text', async (context) => {
  const period = ['--from', windows[0].start, '--to', windows[1].end]
  const { code, stdout, stderr } = await mesh.run('report', ...period)
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assertInert(stdout, 'report')

  const plain = await startDemoMesh()
  context.after(() => plain.close())
  for (const window of windows) await plain.run('collect', ...plain.optionsAt(window))
  assert.equal((await plain.run('report', ...period)).code, 0)

  const folder = join(mesh.folder, 'ciphertrail-report')
  const page = pageOf(readFileSync(join(folder, 'report.html'), 'utf8'))
  const usual = pageOf(readFileSync(join(plain.folder, 'ciphertrail-report', 'report.html'), 'utf8'))
  assert.deepEqual([...page.elements.keys()].toSorted(), [...usual.elements.keys()].toSorted())
  assert.deepEqual([...page.attributes].toSorted(), [...usual.attributes].toSorted())
  for (const tag of ['script', 'img', 'b']) assert.ok(!page.elements.has(tag), tag)
  assertInert(page.text, 'report.html')
  for (const name of ['warehouse', 'orders', 'inventory', 'ledger-db', 'billing', 'emojivoto'] as const)
    assert.ok(page.text.includes(printable(NAMES[name])), `the page lacks ${name}`)

  const pdf = await getDocumentProxy(new Uint8Array(readFileSync(join(folder, 'report.pdf'))))
  const { text } = await extractText(pdf, { mergePages: true })
  const bare = text.replaceAll(/\s/g, '')
  for (const name of ['warehouse', 'orders', 'inventory', 'emojivoto'] as const)
    assert.ok(bare.includes(printable(NAMES[name]).replaceAll(/\s/g, '')), `the PDF lacks ${name}`)
  for (let number = 1; number <= pdf.numPages; number++) {
    const annotations = (await (await pdf.getPage(number)).getAnnotations()) as { url?: string }[]
    for (const { url } of annotations) assert.equal(url, undefined)
  }
})

test('what a failing server says is inert, cut and one line', async (context) => {
  const said = `\u001b[2J\u009b31m\r\nCannot see: all is encrypted\u202e ${'x'.repeat(5000)}`
  mesh.kubernetes.misbehave(() => ({ answer: status(403, said, said) }))
  mesh.prometheus.misbehave(() => ({ answer: { status: 500, body: JSON.stringify({ status: 'error', error: said }) } }))
  context.after(() => {
    mesh.kubernetes.misbehave(undefined)
    mesh.prometheus.misbehave(undefined)
  })
  const third = mesh.windows[2]
  assert.ok(third)
  const { code, stdout, stderr } = await mesh.run('collect', ...mesh.optionsAt(third))
  assert.equal(code, 1)
  assertInert(stdout + stderr, 'collect')
  for (const line of linesOf(stderr)) assert.ok(line.length < 600 && line.startsWith('Cannot '), line)
  const check = await mesh.run('cluster', 'check', 'shop')
  assertInert(check.stdout + check.stderr, 'cluster check')
})

test('names on the command line are inert, too, and make no file', async () => {
  const folder = join(mesh.folder, 'arguments')
  for (const id of ['../x', '/etc', 'a\u001b[31m', 'A', '', 'x'.repeat(64), '-x', '__proto__', 'a\nb']) {
    const ran = await run(['cluster', 'add', '--store', folder, '--', id], mesh)
    assert.equal(ran.code, 2, id)
    assertInert(ran.stderr, `cluster add ${JSON.stringify(id)}`)
    assert.equal(linesOf(ran.stderr).length, 1)
  }
  for (const args of [
    ['edges', '\u001b[2J'],
    ['paths', '--state', 'a\u009bb'],
    ['collect', '--at', '\u202e'],
    ['\u001b]0;x\u0007'],
    ['edges', 'all', '--\u001b[31m'],
  ]) {
    const ran = await mesh.run(...args)
    assert.equal(ran.code, 2)
    assertInert(ran.stderr, JSON.stringify(args))
  }
  assert.ok(!existsSync(folder))
})

test('keys come from no name, and no file is outside of the store and the report', async () => {
  const files = readdirSync(mesh.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(mesh.folder, join(parentPath, name)))
  for (const file of files) {
    const key = file.replace(/^ciphertrail-data\//, '')
    const isKnown =
      ['kubeconfig', 'registry/clusters.json', 'state/shop.json', 'state/_recent/shop.json.gz', '.lock'].includes(
        key,
      ) ||
      // What vouches for the clusters lies beside the store.
      ['ciphertrail-data.trust', 'ciphertrail-data.trust.lock'].includes(file) ||
      parseRequeriedKey(key) === 'shop' ||
      /^ciphertrail-report\/(report\.(html|pdf)|(?:summary|oscal|oscal-plan|ocsf)\.json|[a-z-]+\.csv)$/.test(key) ||
      isReportKey(key) ||
      [parseEvidenceKey, parseWindowKey, parseTimelineKey, parseChangeKey].some(
        (parseKey) => parseKey(key) !== undefined,
      )
    assert.ok(isKnown, file)
  }
  for (const file of [
    join(tmpdir(), 'ciphertrail-escaped'),
    '/tmp/ciphertrail-escaped',
    join(mesh.folder, 'pwned'),
    'pwned',
  ])
    assert.ok(!existsSync(file), file)
  const derived = readFileSync(join(mesh.folder, 'ciphertrail-data/state/shop.json'))
  assert.equal((await mesh.run('rebuild')).code, 0)
  assert.deepEqual(readFileSync(join(mesh.folder, 'ciphertrail-data/state/shop.json')), derived)
})

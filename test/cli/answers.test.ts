import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import { toSeconds, toTime } from '../../lib/time/windows.ts'
import type { PathRow } from '../../lib/model/history.ts'
import type { Window } from '../../lib/model/time.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { listAttempts } from '../../lib/store/evidence/evidence.ts'
import { readWindow } from '../../lib/history/cluster-state.ts'
import { linesOf, parseNdjson, run, start } from '../support/process/command-line.ts'
import type { Ran } from '../support/process/command-line.ts'
import { addArguments, startDemoMesh } from '../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import { shownBelow } from '../support/doc-examples.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

/** One mesh, of which the first four windows were tried and the third was not collected: for the tests that only read. */
let mesh: DemoMesh
let windows: readonly [Window, Window, Window, Window]

before(async () => {
  mesh = await startDemoMesh()
  const [first, second, third, fourth] = mesh.windows
  assert.ok(first && second && third && fourth)
  windows = [first, second, third, fourth]
  for (const window of windows) {
    if (window === third) mesh.prometheus.misbehave(() => 'html')
    const { code, stderr } = await mesh.run('collect', ...mesh.optionsAt(window))
    mesh.prometheus.misbehave(undefined)
    assert.equal(code, window === third ? 1 : 0, stderr)
  }
})
after(() => mesh.close())

/** The cells of a table, which are two spaces or more apart. */
function cellsOf(stdout: string): string[][] {
  return linesOf(stdout).map((line) => line.split(/ {2,}/))
}

/** Of `edges` without the line above the table, which says of which window it is. */
function edgeCells(stdout: string): string[][] {
  const [window = '', ...table] = linesOf(stdout)
  assert.match(window, /^Window \w+ \d+ \w+ \d{4} \d\d:\d\d to \d\d:\d\d \(UTC\)$/)
  return cellsOf(table.join('\n'))
}

async function good(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await mesh.run(...args)
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
  return stdout
}

type EdgeJson = PathRow & {
  readonly message: string
  readonly clientId: string | null
  readonly serverId: string | null
}

async function edgesJson(...args: string[]): Promise<EdgeJson[]> {
  return parseNdjson(await good('edges', ...args, '--json')) as unknown as EdgeJson[]
}

test('edges has one row per path, with both identities and a message in words', async () => {
  const [head, ...rows] = edgeCells(await good('edges', 'all', '--at', windows[1].end))
  assert.deepEqual(head, ['STATE', 'SRC', 'DST', 'SRC_NS', 'DST_NS', 'CLIENT', 'SERVER', 'MSG'])
  for (const row of [
    ['▲ plaintext', '(unmeshed)', 'voting:8080', '-', 'emojivoto', '-', '-', 'No TLS From Remote'],
    ['⊘ refused (plaintext)', '(unmeshed)', 'login:8080', '-', 'identity', '-', '-', 'Refused: No TLS From Remote'],
    ['◐ tls-anonymous', '(unmeshed)', 'linkerd-identity:8080', '-', 'linkerd', '-', '-', 'No Client Identity'],
    ['○ app-tls', '(unmeshed)', 'tap-injector:8443', '-', 'linkerd-viz', '-', '-', 'Application TLS'],
    ['▲ plaintext', 'invoices', '203.0.113.10:80', 'billing', '-', '-', '-', 'Not Provided By Service Discovery'],
    ['● mtls', 'invoices', 'ledger-db:5432', 'billing', 'billing', 'invoices.billing', 'ledger-db.billing', '-'],
    ['● mtls', 'web', 'emoji:8080', 'emojivoto', 'emojivoto', 'web.emojivoto', 'emoji.emojivoto', '-'],
    [
      '▲ plaintext',
      'orders',
      'inventory:8080',
      'warehouse',
      'warehouse',
      '-',
      '-',
      'Not Provided By Service Discovery',
    ],
  ])
    assert.ok(
      rows.some((other) => other.join('|') === row.join('|')),
      row.join(' '),
    )
  assert.ok(rows.every((row) => row.length === 8))
  assert.equal(new Set(rows.map((row) => row.join('|'))).size, rows.length)
})

test('the message of an edge follows from its state, outcome and reason', async () => {
  const words: Readonly<Record<string, string>> = {
    not_provided_by_service_discovery: 'Not Provided By Service Discovery',
    no_tls_from_remote: 'No TLS From Remote',
    port_skipped: 'Port Skipped',
  }
  const seen = new Set<string>()
  for (const window of [windows[0], windows[1]])
    for (const { state, outcome, reason, message } of await edgesJson('all', '--at', window.end)) {
      const said = words[reason] ?? reason
      const wanted: Readonly<Record<string, string>> = {
        mtls: '-',
        'tls-anonymous': 'No Client Identity',
        'app-tls': 'Application TLS',
        plaintext: said,
        'no-mesh-tls': said,
        unknown: `Unknown: ${said}`,
      }
      assert.equal(message, outcome === 'refused' ? `Refused: ${said}` : wanted[state])
      seen.add(outcome === 'refused' ? 'refused' : state)
    }
  assert.deepEqual([...seen].toSorted(), [
    'app-tls',
    'mtls',
    'no-mesh-tls',
    'plaintext',
    'refused',
    'tls-anonymous',
    'unknown',
  ])
})

test('edges -o wide adds what is exempt, and how it was seen', async () => {
  const at = ['--at', windows[1].end]
  const plain = edgeCells(await good('edges', 'all', ...at))
  const [head, ...wide] = edgeCells(await good('edges', 'all', ...at, '-o', 'wide'))
  assert.deepEqual(head?.slice(8), ['SRC_KIND', 'DST_KIND', 'OPENS', 'OPEN', 'BYTES', 'SEEN_BY_BOTH', 'ENFORCEMENT'])
  const exempt = wide.filter((row) => row[0] === '– exempt')
  assert.equal(wide.length - exempt.length, plain.length - 1)
  assert.ok(
    exempt.some(
      ([, src, dst, , , , , msg]) => src === '(probe)' && dst === 'login:8080' && msg === 'Exempt: probe path',
    ),
  )
  assert.ok(exempt.some(([, src, , , , , , msg]) => src === '(unmeshed)' && msg?.startsWith('Exempt: admin-port (')))
  assert.ok(!plain.some((row) => row.some((cell) => cell.includes('Exempt') || cell === '(probe)')))
})

test('the kind and the namespace of edges are those of either end', async () => {
  const at = ['--at', windows[1].end]
  const all = await edgesJson('all', ...at)
  const ends = ({ source, destination }: EdgeJson) => [source, destination]
  for (const [kind, name] of [
    ['statefulset', 'statefulset'],
    ['sts', 'statefulset'],
    ['cronjobs', 'cronjob'],
    ['External', 'external'],
    ['unmeshed', 'unmeshed'],
  ] as const) {
    const expected = all.filter((edge) => ends(edge).some((end) => end.kind === name))
    assert.ok(expected.length > 0 && expected.length < all.length, kind)
    assert.deepEqual(await edgesJson(kind, ...at), expected)
  }
  const billing = all.filter((edge) => ends(edge).some(({ namespace }) => namespace === 'billing'))
  assert.deepEqual(await edgesJson('all', '-n', 'billing', ...at), billing)
  assert.deepEqual(await edgesJson('all', '-A', ...at), all)
  const none = await mesh.run('edges', 'all', '-n', 'no-such-namespace', ...at)
  assert.deepEqual(none, {
    code: 0,
    signal: null,
    stdout: '',
    stderr: 'No edges found. Window Tue 24 Nov 2026 13:05 to 13:10 (UTC)\n',
  })
})

test('--at T is the window with start < T <= end, and the default is the latest collected', async () => {
  const [first, second, third, fourth] = windows
  const at = async (time: string) => edgesJson('all', '--at', time)
  const inFirst = await at(first.end)
  const inSecond = await at(second.end)
  assert.notDeepEqual(inFirst, inSecond)
  assert.deepEqual(await at(second.start), inFirst, 'the start of a window belongs to the one before')
  assert.deepEqual(await at(toTime(toSeconds(second.start) + 1)), inSecond)
  assert.deepEqual(await edgesJson('all'), await at(fourth.end))
  const missing = await mesh.run('edges', 'all', '--at', toTime(toSeconds(second.end) + 1))
  assert.deepEqual({ code: missing.code, stdout: missing.stdout }, { code: 1, stdout: '' })
  assert.match(
    missing.stderr,
    new RegExp(`^Not collected: [^\n]* in the window ${third.start} to ${third.end}: Cannot query the time [^\n]*\n$`),
  )
  const never = await mesh.run('edges', 'all', '--at', '2026-11-20T00:00:00Z', '-o', 'linkerd', '--json')
  assert.deepEqual({ code: never.code, stdout: never.stdout }, { code: 1, stdout: '' })
  matchesText(never.stderr)
})

test('edges --against tells where linkerd viz edges says otherwise, and docs/checking-by-hand.md shows it', async () => {
  const at = ['--at', windows[1].end]
  const recorded = (minute: string): string =>
    join(import.meta.dirname, '../recordings/demo/edges', `20261124T13${minute}22Z-deployment.json`)
  const { code, stdout, stderr } = await mesh.run('edges', 'deployment', ...at, '--against', recorded('09'))
  assert.equal(code, 0)
  const typed =
    'linkerd viz edges deployment -A -o json | ciphertrail edges deployment --at 2026-11-24T13:10:00Z --against -'
  assert.equal(`${stderr}${stdout}`.trimEnd(), shownBelow(typed))
  assert.equal(
    (await good('edges', 'deployment', '-n', 'emojivoto', ...at)).trimEnd(),
    shownBelow('ciphertrail edges deployment -n emojivoto --at 2026-11-24T13:10:00Z'),
  )
  assert.deepEqual(parseNdjson(await good('edges', 'deployment', ...at, '--against', recorded('09'), '--json')), [
    {
      src: 'web',
      srcNamespace: 'emojivoto',
      dst: 'voting',
      dstNamespace: 'emojivoto',
      theirs: '√',
      ours: 'Not Provided By Service Discovery',
      port: 8080,
    },
  ])
  const later = await mesh.run('edges', 'deployment', '--at', windows[3].end, '--against', recorded('17'))
  assert.deepEqual([later.code, later.stdout], [0, ''])
  assert.match(later.stderr, /^(\d+) of \1 edges of linkerd viz edges are shown alike\.\n$/)
  const inside = await mesh.run('edges', 'deployment', ...at, '-n', 'billing', '--against', recorded('09'))
  assert.deepEqual([inside.code, inside.stdout], [0, ''])
})

test('edges --against says what it cannot read or compare, and prints nothing then', async () => {
  const lines: readonly (readonly [args: string[], code: number])[] = [
    [['deployment', '--against', 'nowhere.json'], 1],
    [['deployment', '--against', '.'], 1],
    [['deployment', '--against', 'kubeconfig'], 1],
    [['deployment', '--against', '-'], 1],
    [['all', '--against', 'kubeconfig'], 2],
    [['pod', '--against', 'kubeconfig'], 2],
  ]
  for (const [args, code] of lines) {
    const ran = await mesh.run('edges', ...args)
    assert.deepEqual([ran.code, ran.stdout], [code, ''], args.join(' '))
    matchesText(ran.stderr, TEXT, args)
  }
  const missing = await mesh.run('edges', 'deployment', '--at', windows[2].end, '--against', 'kubeconfig')
  assert.equal(missing.code, 1)
})

test('edges -o linkerd shows everything that linkerd viz edges showed in the minutes of a window', async () => {
  const folder = join(import.meta.dirname, '../recordings/demo/edges')
  for (const [kind, option] of [
    ['deployment', 'deploy'],
    ['statefulset', 'sts'],
  ] as const) {
    const ours = JSON.parse(await good('edges', option, '-o', 'linkerd', '--json', '--at', windows[1].end)) as Edge[]
    const named = new Set(ours.map((edge) => [edge.src_namespace, edge.src, edge.dst_namespace, edge.dst].join('/')))
    for (const minute of ['05', '06', '07', '08', '09']) {
      const file = readdirSync(folder).find(
        (name) => name.startsWith(`20261124T13${minute}`) && name.endsWith(`${kind}.json`),
      )
      const theirs = JSON.parse(readFileSync(join(folder, file ?? ''), 'utf8')) as Edge[]
      for (const edge of theirs)
        assert.ok(
          named.has([edge.src_namespace, edge.src, edge.dst_namespace, edge.dst].join('/')),
          JSON.stringify(edge),
        )
    }
  }
})

/** A row of the JSON of linkerd viz edges. */
type Edge = Readonly<Record<'src' | 'src_namespace' | 'dst' | 'dst_namespace', string>>

test('edges -o linkerd has the columns and the JSON of linkerd viz edges, one row for all ports of a pair', async () => {
  const at = ['--at', windows[1].end]
  const [head, ...rows] = cellsOf(await good('edges', 'deploy', '-n', 'emojivoto', ...at, '-o', 'linkerd'))
  assert.deepEqual(head, ['SRC', 'DST', 'SRC_NS', 'DST_NS', 'SECURED'])
  assert.ok(rows.some((row) => row.join('|') === 'web|emoji|emojivoto|emojivoto|√'))
  // Its two ports are one row, as today.
  const toWeb = rows.filter(([src, dst]) => src === '(unmeshed)' && dst === 'web')
  assert.deepEqual(
    toWeb.map((row) => row.at(-1)),
    ['No TLS From Remote'],
  )
  const [listed] = parseNdjson(await good('edges', 'deploy', '-n', 'emojivoto', ...at, '-o', 'linkerd', '--json'))
  assert.ok(Array.isArray(listed))
  assert.equal(listed.length, rows.length)
  assert.deepEqual(
    listed.find(({ src, dst }) => src === 'web' && dst === 'emoji'),
    {
      src: 'web',
      src_namespace: 'emojivoto',
      dst: 'emoji',
      dst_namespace: 'emojivoto',
      client_id: 'web.emojivoto',
      server_id: 'emoji.emojivoto',
      no_tls_reason: '',
    },
  )
})

async function paths(...args: string[]): Promise<PathRow[]> {
  return parseNdjson(await good('paths', ...args, '--json')) as unknown as PathRow[]
}

const PERIOD = (): string[] => ['--from', windows[0].start, '--to', windows[3].end]

test('paths --json has every field of a row, and {"kind":"unmeshed"} for who has no name', async () => {
  const found = await paths(...PERIOD())
  for (const row of found)
    // Only a cause that a setting explains has settings.
    assert.deepEqual(
      Object.keys(row)
        .filter((name) => name !== 'settings')
        .toSorted(),
      [
        'bytes',
        'candidates',
        'cause',
        'class',
        'clearShare',
        'cluster',
        'corroborated',
        'destination',
        'enforcement',
        'episode',
        'evidence',
        'fix',
        'from',
        'openAtScrape',
        'opens',
        'outcome',
        'pathId',
        'port',
        'reason',
        'source',
        'state',
        'to',
        'waiver',
      ],
    )
  const unnamed = found.filter(({ source }) => source.kind === 'unmeshed')
  assert.ok(unnamed.length > 0)
  for (const { source } of unnamed) assert.deepEqual(source, { kind: 'unmeshed' })
  const outside = found.find(({ destination }) => destination.name === '203.0.113.10')
  assert.deepEqual(outside?.destination, {
    kind: 'external',
    name: '203.0.113.10',
    serviceAccount: null,
    cluster: null,
  })
})

test('paths --json tells whose each path is, by the labels of the recorded namespaces', async () => {
  const namespaces = (wanted: PathRow['class'], rows: readonly PathRow[]) =>
    new Set(rows.filter((row) => row.class === wanted).map(({ destination }) => destination.namespace ?? ''))
  const found = await paths(...PERIOD())
  assert.deepEqual(namespaces('mesh', found), new Set(['linkerd', 'linkerd-viz']))
  for (const name of namespaces('platform', found)) assert.ok(['default', 'kube-system'].includes(name), name)
  assert.ok(!namespaces('application', found).has('linkerd'))
})

test('paths --state not-encrypted is what was allowed in the clear or without mesh TLS', async () => {
  const all = await paths(...PERIOD())
  const clear = await paths(...PERIOD(), '--state', 'not-encrypted')
  const isClear = ({ state, outcome }: PathRow) =>
    (state === 'plaintext' || state === 'no-mesh-tls') && outcome === 'allowed'
  assert.deepEqual(clear, all.filter(isClear))
  assert.ok(clear.length > 10)
  assert.ok(all.some(({ state, outcome }) => state === 'plaintext' && outcome === 'refused'))
  for (const { fix, episode } of clear) assert.ok(fix !== null && episode !== null)
  assert.deepEqual(
    await paths(...PERIOD(), '--state', 'mtls', '-n', 'billing'),
    all.filter(
      ({ state, source, destination }) =>
        state === 'mtls' && [source, destination].some(({ namespace }) => namespace === 'billing'),
    ),
  )
})

test('a window without a good attempt cuts every path that was known: not-collected, and the episode stays open', async () => {
  const [, , third] = windows
  const found = await paths(...PERIOD())
  const missing = found.filter(({ state }) => state === 'not-collected')
  assert.ok(missing.length > 50)
  for (const { from, to, evidence } of missing)
    assert.deepEqual([from, to, evidence.length], [third.start, third.end, 1])
  const known = new Set(found.filter(({ from }) => from < third.start).map(({ pathId }) => pathId))
  assert.equal(new Set(missing.map(({ pathId }) => pathId)).size, known.size)
  const life = found.filter(({ destination, source }) => destination.name === 'inventory' && source.name === 'orders')
  assert.ok(life.length >= 3)
  const [episode] = new Set(life.map((row) => JSON.stringify(row.episode)))
  assert.equal(new Set(life.map((row) => JSON.stringify(row.episode))).size, 1)
  assert.match(String(episode), /"endedAt":null/)
})

test('--state refused is what policy refused, and of each path what it refused last', async () => {
  const all = await paths(...PERIOD())
  const refused = all.filter(({ outcome }) => outcome === 'refused')
  assert.ok(refused.length > 0 && refused.length < all.length)
  assert.deepEqual(await paths('--state', 'refused', ...PERIOD()), refused)
  const shown = await good('paths', '--state', 'refused', ...PERIOD())
  assert.match(shown, /⊘ refused/)
  assert.doesNotMatch(shown, /[▲△●◐○] /)
})

test('--from and --to of paths take the windows whose end lies in (from, to]', async () => {
  const [, second] = windows
  const found = await paths('--from', second.start, '--to', second.end)
  assert.ok(found.length > 50)
  for (const { from, to } of found) assert.deepEqual([from, to], [second.start, second.end])
  const later = await paths('--from', toTime(toSeconds(second.end) - 1), '--to', second.end)
  assert.deepEqual(later, found)
  const before = await mesh.run('paths', '--to', windows[0].start)
  assert.deepEqual({ code: before.code, stdout: before.stdout }, { code: 1, stdout: '' })
  assert.match(before.stderr, /^Not collected: .*\nNo paths found from .* to .*--history.*\n$/)
  const nothing = await mesh.run('paths', '--period', '2026-W51')
  assert.deepEqual({ code: nothing.code, stdout: nothing.stdout }, { code: 1, stdout: '' })
  assert.match(nothing.stderr, /\nNo paths found from Mon 14 Dec 2026 00:00 to Mon 21 Dec 2026 00:00 \(UTC\);/)
})

test('paths of a week that nobody collected are not known, whatever was seen before', async () => {
  const later = toTime(toSeconds(windows[0].start) + 30 * 24 * 3600)
  for (const asked of [
    ['--now', later],
    ['--now', later, '--to', toTime(toSeconds(windows[0].start) + 20 * 24 * 3600)],
  ]) {
    const { code, stdout, stderr } = await mesh.run('paths', '--state', 'app-tls', ...asked)
    assert.deepEqual([code, stdout], [1, ''], stderr)
    assert.match(stderr, /^Not collected: no path of cluster "\w+" .*\nNo paths found from .*\n$/)
  }
})

test('paths --history draws the latest windows of each path, and since when it was not encrypted', async () => {
  const [head, ...rows] = cellsOf(await good('paths', '--history', ...PERIOD(), '--state', 'not-encrypted'))
  assert.deepEqual(head, [
    'STATE',
    'SOURCE',
    'DESTINATION',
    'FROM (UTC)',
    'TO (UTC)',
    'SINCE',
    'OPENS',
    'REASON',
    'CAUSE',
    'WINDOWS',
  ])
  const row = rows.find((cells) => cells[1] === 'deployment/warehouse/orders')
  assert.equal(row?.[2], 'statefulset/warehouse/inventory:8080')
  assert.match(row?.[5] ?? '', /^(before )?Tue 24 Nov 13:0\d$/)
  assert.equal(row?.at(-1), '▲▲✕▲')
})

/** The tables of `paths`, the first of the judged classes, each with a heading but the first. */
async function pathTables(...args: string[]): Promise<{ heading: string; head: string[]; rows: string[][] }[]> {
  const stdout = await good('paths', ...args)
  return stdout
    .trimEnd()
    .split(/\n\n|^(?=\d.*not judged:\n)/m)
    .filter((part) => part !== '')
    .map((part) => {
      const hasHeading = part.split('\n')[0]?.endsWith(', not judged:') === true
      const [heading = '', rest = ''] = hasHeading ? part.split(/\n(.*)/s) : ['', part]
      const [head = [], ...rows] = cellsOf(rest)
      return { heading, head, rows }
    })
}

test('paths has one row for each path, in the order of the actions that end what is open', async () => {
  const [judged, ofMesh, platform, ...more] = await pathTables(...PERIOD())
  assert.deepEqual(more, [])
  assert.ok(judged && ofMesh && platform)
  assert.deepEqual(judged.head, ['LAST STATE', 'SOURCE', 'DESTINATION', 'NOT ENCRYPTED', 'SEEN', 'WINDOWS', 'ACTION'])
  const all = [judged, ofMesh, platform].flatMap(({ rows }) => rows.map((row) => row.slice(1, 3).join(' to ')))
  assert.equal(new Set(all).size, all.length)
  const known = new Set((await paths(...PERIOD())).map(({ pathId }) => pathId))
  assert.equal(all.length, known.size, 'each path is in one table')
  matchesText(ofMesh.heading)
  matchesText(platform.heading)
  for (const [, , destination = ''] of ofMesh.rows) assert.match(destination, /^\w+\/linkerd(-viz)?\//)
  for (const [, , destination = ''] of judged.rows) assert.doesNotMatch(destination, /\/linkerd(-viz)?\//)

  const actions = judged.rows.map((row) => row[6] ?? '')
  const numbers = actions.filter((action) => action !== '-').map(Number)
  assert.ok(numbers.length > 3)
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  )
  assert.deepEqual(actions.slice(numbers.length), Array(actions.length - numbers.length).fill('-'), 'those come first')
  for (const row of judged.rows) {
    const isOpen = row[3]?.startsWith('since ') === true
    assert.equal(isOpen, row[6] !== '-', row.join(' '))
    if (isOpen) assert.match(row[0] ?? '', /^(▲ plaintext|△ no-mesh-tls)$/)
  }
  assert.ok(
    ofMesh.rows.every((row) => row[6] === '-'),
    'what is not judged has no action',
  )

  const of = (destination: string, source: string) =>
    judged.rows.find((row) => row[1] === source && row[2] === destination)?.slice(3)
  matchesText(of('statefulset/warehouse/inventory:8080', 'deployment/warehouse/orders'), [TEXT, '-', '▲▲✕▲', '1'])
  // What was seen is a share of its time; where it failed, that has none.
  const [, share] = of('deployment/emojivoto/emoji:8080', 'deployment/emojivoto/web') ?? []
  assert.match(share ?? '', /^\d\d\.\d %$/)
})

test('episodes shows those of Linkerd’s own paths and of the platform apart, as not judged', async () => {
  const told = await mesh.run('episodes', ...PERIOD(), '--json')
  const known = Map.groupBy(parseNdjson(told.stdout), ({ class: of }) => String(of))
  const shown = await mesh.run('episodes', ...PERIOD())
  const tables = shown.stdout.trimEnd().split('\n\n')
  const headings = tables.flatMap((table) => /^\d+ .*:$/m.exec(table)?.[0] ?? [])
  const count = (of: string): number => known.get(of)?.length ?? 0
  const plural = (of: string): string => `${count(of)} episode${count(of) === 1 ? '' : 's'}`
  assert.deepEqual(headings, [
    ...(count('mesh') === 0 ? [] : [`${plural('mesh')} of Linkerd’s own, not judged:`]),
    ...(count('platform') === 0 ? [] : [`${plural('platform')} of the platform, not judged:`]),
  ])
  assert.ok(count('mesh') > 0 && count('application') > 0)
  assert.equal(tables.length, headings.length + 1)
  assert.doesNotMatch(tables[0] ?? '', / \w+\/linkerd(-viz)?\//)
})

test('-n and --state choose rows of paths, and say of how many in each class', async () => {
  const [billing, ...others] = await pathTables(...PERIOD(), '-n', 'billing')
  assert.ok(billing && billing.rows.length > 3)
  assert.deepEqual(others, [])
  for (const [, source, destination] of billing.rows) assert.match(`${source} ${destination}`, /\/billing\//)
  const [open, ofMesh] = await pathTables(...PERIOD(), '--state', 'not-encrypted')
  for (const row of [...(open?.rows ?? []), ...(ofMesh?.rows ?? [])]) assert.match(row[3] ?? '', /^(since|until) /)
  matchesText(ofMesh?.heading)
  const [told] = await pathTables(...PERIOD(), '--state', 'mtls')
  assert.ok(told !== undefined && told.rows.every((row) => row[0] === '● mtls'))
  const none = await mesh.run('paths', ...PERIOD(), '-n', 'billing', '--state', 'app-tls')
  assert.deepEqual([none.code, none.stdout], [1, ''])
  // Silence about a window is no good news.
  matchesText(none.stderr)
  const whole = await mesh.run('paths', '--to', windows[1].end, '-n', 'billing', '--state', 'app-tls')
  assert.deepEqual([whole.code, whole.stdout], [0, ''])
  assert.match(whole.stderr, /^No paths found/)
})

test('workloads tells who is meshed, who is not and why, and what nobody sees', async () => {
  const [head, ...rows] = cellsOf(await good('workloads', '--at', windows[3].end))
  assert.deepEqual(head, [
    'KIND',
    'NAMESPACE',
    'NAME',
    'MESHED',
    'PODS',
    'REASON',
    'SERVICEACCOUNT',
    'POLICY',
    'BLIND SPOTS',
  ])
  const named = (name: string) => rows.find((row) => row[2] === name)?.slice(3)
  assert.deepEqual(named('inventory'), ['no', '1', 'disabled', 'inventory', '-', 'unmeshed'])
  assert.deepEqual(named('scraper'), ['no', '1', 'not-annotated', 'scraper', '-', 'unmeshed'])
  assert.deepEqual(named('login'), ['yes', '1', '-', 'login', 'all-authenticated', '-'])
  assert.deepEqual(named('ledger-db'), ['yes', '1', '-', 'ledger-db', 'all-unauthenticated', 'opaque-port 5432'])
  const [first] = windows
  const early = await mesh.run('workloads', '--at', first.end)
  assert.equal(early.code, 0)
  matchesText(early.stderr)
  assert.ok(
    cellsOf(early.stdout)
      .slice(1)
      .every((row) => row[3] === 'unknown'),
  )
})

test('a report is judged on the scope and the waivers in force, and a file that is wrong puts nothing in force', async () => {
  const file = (name: string, text: string): string => {
    writeFileSync(join(mesh.folder, name), text)
    return name
  }
  const scope = file(
    'scope.yaml',
    'pci-dss:\n  namespaces: [billing]\n  owner: payments\n  reason: Card data is processed there\n',
  )
  const waivers = file(
    'waivers.yaml',
    'inventory:\n  destination: statefulset/warehouse/inventory\n  owner: warehouse\n  reason: The vendor forbids a proxy\n  compensatingControl: A network policy\n  expires: 2027-01-31T00:00:00Z\n',
  )
  await good('scope', 'set', scope)
  await good('waiver', 'set', waivers)
  await good('report', ...PERIOD(), '--out', 'judged')
  const json = JSON.parse(readFileSync(join(mesh.folder, 'judged/summary.json'), 'utf8')) as {
    controls: { frameworks: { id: string; scopes: unknown[]; outOfScope: unknown[] }[] }
    waivers: { id: string; status: string; failures: number }[]
  }
  const pci = json.controls.frameworks.find(({ id }) => id === 'pci-dss')
  assert.equal(pci?.scopes.length, 1)
  assert.ok((pci?.outOfScope.length ?? 0) > 0)
  assert.deepEqual(
    json.waivers.map(({ id, status, failures }) => [id, status, failures > 0]),
    [['inventory', 'in-use', true]],
  )
  const page = readFileSync(join(mesh.folder, 'judged/report.html'), 'utf8')
  matchesText(page)

  const wrong = file('wrong.yaml', 'inventory:\n  owner: warehouse\n')
  const ran = await mesh.run('waiver', 'set', wrong)
  assert.deepEqual([ran.code, ran.stdout], [2, ''])
  assert.match(ran.stderr, /^wrong\.yaml:\d+:\d+: /)
  assert.match(await good('waiver', 'list', '--json'), /"id":"inventory"/)
})

test('a report is written where it is asked for, by default to ./ciphertrail-report', async () => {
  const byDefault = await good('report', ...PERIOD())
  const folder = join(mesh.folder, 'ciphertrail-report')
  const [verdict = '', ...names] = linesOf(byDefault)
  matchesText(verdict)
  assert.deepEqual(names.slice(0, 3), [
    'ciphertrail-report/report.html',
    'ciphertrail-report/report.pdf',
    'ciphertrail-report/summary.json',
  ])
  assert.deepEqual(readdirSync(folder).toSorted(), names.map((file) => basename(file)).toSorted())
  const page = readFileSync(join(folder, 'report.html'), 'utf8')
  assert.match(page, /^<!doctype html>/i)
  assert.equal(readFileSync(join(folder, 'report.pdf')).subarray(0, 5).toString(), '%PDF-')

  const again = await good('report', ...PERIOD(), '--out', 'deep/er', '--json', '--time-zone', 'UTC')
  const [written] = parseNdjson(again)
  assert.deepEqual(
    { html: written?.['html'], pdf: written?.['pdf'], verdict: written?.['verdict'] },
    {
      html: 'deep/er/report.html',
      pdf: 'deep/er/report.pdf',
      verdict,
    },
  )
  for (const name of names.map((file) => basename(file)))
    assert.deepEqual(
      readFileSync(join(mesh.folder, 'deep/er', name)),
      readFileSync(join(folder, name)),
      `${name}: same input, same bytes`,
    )
  const week = await good('report', '--week', '2026-W48', '--time-zone', 'Europe/Berlin', '--json')
  assert.deepEqual(parseNdjson(week)[0]?.['period'], {
    from: '2026-11-22T23:00:00Z',
    to: '2026-11-29T23:00:00Z',
    label: 'Week 2026-W48',
    timeZone: 'Europe/Berlin',
  })
})

/** The SHA-256 of everything that is derived, by name. There are no months before their windows are eight hours old. */
function derivedIn(store: string): Record<string, string> {
  return Object.fromEntries(
    ['windows', 'state', 'timeline']
      .filter((part) => existsSync(join(store, part)))
      .flatMap((part) =>
        readdirSync(join(store, part), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map(({ parentPath, name }) => [
            `${part}/${name}`,
            createHash('sha256')
              .update(readFileSync(join(parentPath, name)))
              .digest('hex'),
          ]),
      ),
  )
}

test('rebuild gives the same bytes as deriving window by window did', async () => {
  const store = join(mesh.folder, 'ciphertrail-data')
  const derived = derivedIn(store)
  assert.equal(Object.keys(derived).length, 6)
  matchesText(await good('rebuild'))
  assert.deepEqual(derivedIn(store), derived)
})

test('collect without times begins at the oldest sample, and later fills what is missing', async (context) => {
  const own = await startDemoMesh()
  context.after(() => own.close())
  const [first, second, third, fourth] = own.windows
  assert.ok(first && second && third && fourth)
  const collectAt = async (window: Window): Promise<{ ran: Ran; attempts: string[] }> => {
    const [, , flag = '', now = ''] = own.optionsAt(window)
    const ran = await own.run('collect', flag, now, '--json')
    return {
      ran,
      attempts: parseNdjson(ran.stdout).map(({ attempt }) => String(attempt).replace(/^evidence\/|\.json\.gz$/g, '')),
    }
  }
  own.prometheus.misbehave(({ parameters }) =>
    parameters.get('time') === String(toSeconds(second.end)) ? 'html' : undefined,
  )
  const firstRun = await collectAt(third)
  own.prometheus.misbehave(undefined)
  assert.equal(firstRun.ran.code, 1)
  assert.deepEqual(firstRun.attempts, [
    '20261124T130000Z-20261124T130500Z/shop/0001',
    '20261124T130500Z-20261124T131000Z/shop/0001',
    '20261124T131000Z-20261124T131500Z/shop/0001',
  ])
  const secondRun = await collectAt(fourth)
  assert.deepEqual({ code: secondRun.ran.code, stderr: secondRun.ran.stderr }, { code: 0, stderr: '' })
  assert.deepEqual(secondRun.attempts, [
    '20261124T130500Z-20261124T131000Z/shop/0002',
    '20261124T131500Z-20261124T132000Z/shop/0001',
  ])
  const nothing = await own.run('collect', '--now', toTime(toSeconds(fourth.end) + 60))
  assert.deepEqual({ code: nothing.code, stderr: nothing.stderr }, { code: 0, stderr: '' })
  matchesText(nothing.stdout)

  // A period asks for what is missing in it, a time for one window again.
  const again = await own.run('collect', ...own.optionsAt(second), '--json')
  assert.match(again.stdout, /"attempt":"evidence\/[^"]*\/shop\/0003\.json\.gz"/)
  const result = await readWindow('shop', second.start, directoryObjects(join(own.folder, 'ciphertrail-data')))
  assert.match(result?.inputs.evidence ?? '', /\/0002\.json\.gz$/, 'the first complete attempt stands')
})

test('two collectors of one window at once store two attempts, and derive what one alone would', async (context) => {
  const own = await startDemoMesh()
  context.after(() => own.close())
  const [first, second] = own.windows
  assert.ok(first && second)
  assert.equal((await own.run('collect', ...own.optionsAt(first))).code, 0)
  const [, , , now = '', ...others] = own.optionsAt(second)
  assert.deepEqual(others, [])
  // A second apart, since equal bytes would be one attempt.
  const racers = [0, 1].map((later) => {
    const options = ['--at', second.end, '--now', toTime(toSeconds(now) + later)]
    return start(['collect', ...options], own).ended
  })
  for (const { code, stderr, stdout } of await Promise.all(racers)) {
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.match(stdout, /: complete, 85 paths/)
  }
  const store = join(own.folder, 'ciphertrail-data')
  const objects = directoryObjects(store)
  assert.deepEqual(
    (await listAttempts(second, 'shop', { objects })).map(({ attempt }) => attempt),
    [1, 2],
  )
  const result = await readWindow('shop', second.start, objects)
  assert.match(result?.inputs.evidence ?? '', /\/0001\.json\.gz$/)
  const derived = derivedIn(store)
  assert.equal((await own.run('rebuild')).code, 0)
  assert.deepEqual(derivedIn(store), derived)
  const alone = await readWindow('shop', windows[1].start, directoryObjects(join(mesh.folder, 'ciphertrail-data')))
  assert.deepEqual(result?.paths, alone?.paths)
})

test('with several clusters, answers have a cluster column, and --cluster chooses', async (context) => {
  const own = await startDemoMesh()
  context.after(() => own.close())
  const [first] = own.windows
  assert.ok(first)
  const other = addArguments(own).map((word) => (word === 'shop' ? 'bank' : word))
  assert.equal((await own.run(...other)).code, 0)
  const { code, stdout } = await own.run('collect', ...own.optionsAt(first))
  assert.equal(code, 0)
  assert.match(stdout, /^bank .*\nshop .*\n$/)
  const [head, ...rows] = edgeCells((await own.run('edges', 'all')).stdout)
  assert.equal(head?.[0], 'CLUSTER')
  assert.deepEqual([...new Set(rows.map(([id]) => id))], ['bank', 'shop'])
  const one = edgeCells((await own.run('edges', 'all', '--cluster', 'bank')).stdout)
  assert.equal(one[0]?.[0], 'STATE')
  assert.equal(one.length - 1, rows.length / 2)
  assert.equal(cellsOf((await own.run('paths')).stdout)[0]?.[0], 'CLUSTER')
  const chosen = await own.run('paths', '--cluster', 'bank', '--cluster', 'bank', '--json')
  assert.ok(parseNdjson(chosen.stdout).every(({ cluster }) => cluster === 'bank'))

  // What is removed is not forgotten: its evidence stays, and it can be added again.
  assert.equal((await own.run('cluster', 'remove', 'bank')).code, 0)
  assert.equal((await own.run('edges', 'all', '--cluster', 'bank')).code, 2)
  assert.ok(
    existsSync(join(own.folder, 'ciphertrail-data/evidence/20261124T130000Z-20261124T130500Z/bank/0001.json.gz')),
  )
  assert.equal((await own.run(...other)).code, 0)
  assert.deepEqual(edgeCells((await own.run('edges', 'all', '--cluster', 'bank')).stdout), one)
})

test('cluster add changes what is given and keeps the rest; another window size waits for midnight', async () => {
  const folder = mesh.folder
  const store = ['--store', join(folder, 'registry-only')]
  const add = async (...args: string[]) => run(['cluster', 'add', 'prod', ...args, ...store], { folder })
  matchesText((await add('--prometheus-url', 'http://127.0.0.1:9090')).stdout)
  assert.match((await add('--context', 'p', '--window', '15m', '--kubeconfig', 'config')).stdout, /updated/)
  assert.match((await add('--context', 'p')).stdout, /unchanged/)
  const [cluster] = parseNdjson((await run(['cluster', 'list', '--json', ...store], { folder })).stdout)
  assert.deepEqual(
    {
      ...cluster,
      registeredAt: '',
      windows: z
        .array(z.object({ minutes: z.number() }))
        .parse(cluster?.['windows'])
        .map(({ minutes }) => minutes),
    },
    {
      id: 'prod',
      registeredAt: '',
      prometheusUrl: 'http://127.0.0.1:9090',
      context: 'p',
      kubeconfig: join(folder, 'config'),
      linkerdNamespace: 'linkerd',
      vizNamespace: 'linkerd-viz',
      windows: [60, 15],
    },
  )
  const table = await run(['cluster', 'list', ...store], { folder })
  assert.match(
    table.stdout,
    /^prod .* 60m, 15m from \w{3} \d+ \w{3} \d{4} 00:00 .* p .* http:\/\/127\.0\.0\.1:9090 +off$/m,
  )
  assert.match((await add('--port-forward')).stdout, /updated/)
  assert.match((await run(['cluster', 'list', ...store], { folder })).stdout, /^prod .* port-forward +off$/m)
})

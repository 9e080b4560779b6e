import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { makeAuthority, status } from '../../demo/replay-kubernetes.ts'
import { isNotEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import { STATES } from '../../lib/model/path.ts'
import type { PathRow } from '../../lib/model/history.ts'
import type { PathWindow, WindowResult } from '../../lib/model/window.ts'
import type { Snapshot } from '../../lib/model/snapshot.ts'
import type { Window } from '../../lib/model/time.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { listAttempts, readSnapshot } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey, timelineKey, windowKey } from '../../lib/store/keys.ts'
import { rows } from '../../lib/history/rows/path-history.ts'
import { readHistory, readWindow } from '../../lib/history/cluster-state.ts'
import { assessWindow } from '../../lib/assess/window/window.ts'
import { compactCluster } from '../../lib/history/derive.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { linesOf, parseNdjson, run, runShell } from '../support/process/command-line.ts'
import type { Ran } from '../support/process/command-line.ts'
import { startDemoMesh } from '../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import { TOKEN } from '../support/servers/kubernetes-server.ts'
import { freshFolder } from '../support/recorder.ts'
import type { Misbehaviour } from '../support/servers/misbehave.ts'
import { copyStore } from '../support/stored/trusted-store.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

/** The mesh of the demo, with the first window collected; each test goes on in a copy of that store. */
let mesh: DemoMesh
/** The window that goes wrong, and the one before it. */
let window: Window
let earlier: Window
/** What the window comes to when nothing goes wrong. */
let good: WindowResult
/** The paths that are known before it. */
let known: number

before(async () => {
  mesh = await startDemoMesh()
  const [first, second] = mesh.windows
  assert.ok(first && second)
  earlier = first
  window = second
  assert.equal((await mesh.run('collect', ...mesh.optionsAt(first))).code, 0)
  const store = copyOf('good')
  assert.equal((await collect(store)).code, 0)
  good = await resultOf(store)
  known = (await resultOf(store, first)).paths.length
})
after(() => mesh.close())

function copyOf(name: string): string {
  const store = join(mesh.folder, `store-${name}`)
  copyStore(join(mesh.folder, 'ciphertrail-data'), store)
  return store
}

function collect(store: string, ...more: string[]): Promise<Ran> {
  return mesh.run('collect', ...mesh.optionsAt(window), '--store', store, ...more)
}

async function resultOf(store: string, which = window): Promise<WindowResult> {
  const result = await readWindow('shop', which.start, directoryObjects(store))
  assert.ok(result)
  return result
}

/** What the history says of the window that went wrong. */
async function rowsOf(store: string): Promise<PathRow[]> {
  const history = await readHistory('shop', directoryObjects(store))
  assert.ok(history)
  return rows(
    history.months,
    history.episodes,
    { from: window.start, to: window.end },
    { fixOf: () => null, platformNamespaces: [] },
  )
}

/** The only attempt at the window, as it was stored. */
async function attemptOf(store: string): Promise<Snapshot> {
  const objects = directoryObjects(store)
  const attempts = await listAttempts(window, 'shop', { objects })
  assert.equal(attempts.length, 1)
  return readSnapshot(evidenceKey({ window, cluster: 'shop', attempt: 1 }), objects)
}

/** One line for each problem: no stack, nothing secret, nothing that ends a sentence. */
function assertClear({ stdout, stderr }: Ran, says: RegExp, lines = 1): void {
  assert.equal(linesOf(stderr).length, lines, stderr)
  for (const line of linesOf(stderr)) {
    assert.match(line, says)
    assert.match(line, /^Cannot [^\n]*[^.\s]$/)
  }
  for (const text of [stdout, stderr]) {
    assert.doesNotMatch(text, /\n\s+at |node:internal|\.ts:\d/)
    assert.ok(!text.includes(TOKEN) && !text.includes('hunter2'), 'a credential was printed')
  }
}

/** No stored byte holds the token. */
function assertNoSecret(store: string): void {
  for (const entry of readdirSync(store, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const bytes = readFileSync(join(entry.parentPath, entry.name))
    const text = (entry.name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
    assert.ok(!text.includes(TOKEN) && !text.includes('hunter2'), `${entry.name} holds a credential`)
  }
}

/** Nothing is said to be better than it was, and nothing that was not encrypted is lost. */
function assertNothingFalse(result: WindowResult, isWhole: boolean): void {
  const truth = new Map(good.paths.map((path) => [path.pathId, path]))
  const rank = ({ state }: PathWindow): number => STATES.indexOf(state)
  for (const path of result.paths) {
    const own = truth.get(path.pathId)
    const isEncrypted = rank(path) > STATES.indexOf('unknown')
    if (isEncrypted)
      assert.ok(own !== undefined && rank(own) >= rank(path), `${path.pathId} is said to be ${path.state}`)
  }
  if (!isWhole) return
  const told = new Map(result.paths.map((path) => [path.pathId, path]))
  for (const path of good.paths.filter(isNotEncrypted)) {
    const own = told.get(path.pathId)
    assert.ok(own !== undefined && (isNotEncrypted(own) || own.state === 'unknown'), `${path.pathId} is lost`)
  }
}

/** A later collect that goes well stands, as if nothing had ever gone wrong. */
async function assertRepaired(store: string): Promise<void> {
  const { code, stdout, stderr } = await collect(store, '--json')
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.match(String(parseNdjson(stdout)[0]?.['attempt']), /\/0002\.json\.gz$/)
  const result = await resultOf(store)
  const { inputs, ...derived } = result
  const { inputs: others, ...expected } = good
  assert.match(inputs.evidence, /\/0002\.json\.gz$/)
  assert.equal(inputs.before, others.before)
  assert.deepEqual(derived, expected)
}

type Failing = {
  readonly what: string
  /** What the one line says. */
  readonly says: RegExp
  readonly lines?: number
  readonly kubernetes?: (url: string) => Misbehaviour | undefined
  readonly prometheus?: (query: string) => Misbehaviour | undefined
  /** Writes a kubeconfig that does not lead in. */
  readonly kubeconfig?: (file: string) => void | Promise<void>
  readonly timeout?: string
  readonly metrics?: 'failed' | 'partial'
  /** A collect that goes well follows, too: one for each way in which an attempt is not whole. */
  readonly isRepaired?: boolean
}

const refusal = (code: number, message = 'no'): Misbehaviour => ({ answer: status(code, 'Refused', message) })
const trouble = (code: number): Misbehaviour => ({
  answer: { status: code, body: JSON.stringify({ status: 'error', errorType: 'internal', error: 'trouble' }) },
})

const FAILURES: readonly Failing[] = [
  {
    what: 'a kubeconfig that is not there',
    isRepaired: true,
    says: /kubeconfig ".*kubeconfig" does not exist$/,
    kubeconfig: (file) => rmSync(file),
  },
  {
    what: 'a kubeconfig that is broken YAML',
    says: /kubeconfig ".*kubeconfig" cannot be read: /,
    kubeconfig: (file) => writeFileSync(file, `users:\n- name: a\n  user: {token: ${TOKEN}\ncontexts: [`),
  },
  {
    what: 'a kubeconfig without the context',
    says: /has no context "elsewhere", it has "replay": give --context$/,
    kubeconfig: (file) =>
      writeFileSync(
        file,
        readFileSync(file, 'utf8').replace('"current-context": "replay"', '"current-context": "elsewhere"'),
      ),
  },
  {
    what: 'a token that the API server does not know',
    says: /401 Unauthorized from the API server.*; the credentials are wrong or expired, renew those in the kubeconfig$/,
    kubeconfig: (file) => mesh.kubernetes.writeKubeconfig(file, { user: { token: 'hunter2' } }),
  },
  {
    what: 'an expired token, which the answer repeats',
    says: /401 Unauthorized .*"token \[redacted\] has expired"/,
    kubernetes: () => refusal(401, `token ${TOKEN} has expired`),
  },
  {
    what: 'the certificate of another authority',
    says: /the certificate of the API server at .* is not signed by a trusted authority/,
    kubeconfig: async (file) => mesh.kubernetes.writeKubeconfig(file, { ca: (await makeAuthority()).ca }),
  },
  {
    what: 'a right that is missing',
    isRepaired: true,
    says: /list deployments of .*: 403 .*grant "list" on "deployments" in the API group "apps"$/,
    kubernetes: (url) => (url.includes('/deployments') ? refusal(403) : undefined),
  },
  {
    what: 'no rights at all',
    says: /403 Forbidden .*grant "(list|get)" on /,
    kubernetes: () => refusal(403),
    lines: 22,
  },
  {
    what: '404 of the API server',
    says: /404 .*is this the address of a Kubernetes API server\?$/,
    kubernetes: () => refusal(404),
  },
  { what: '500 of the API server', says: /500 .*it is broken or overloaded/, kubernetes: () => refusal(500) },
  {
    what: 'cut JSON of the API server',
    says: /the answer of the API server is cut or no JSON$/,
    kubernetes: () => 'cut-json',
  },
  {
    what: 'a page of a proxy before the API server',
    says: /sent "text\/html; charset=utf-8" instead of JSON/,
    kubernetes: () => 'html',
  },
  {
    what: 'an API server that hangs',
    says: /no answer from the API server at .* within 3 s/,
    kubernetes: () => 'hang',
    timeout: '3',
  },
  {
    what: '403 of Prometheus',
    isRepaired: true,
    says: /query the time .*403 Forbidden from Prometheus, "trouble"; viz's own Prometheus only answers over a port-forward, which is the way where no --prometheus-url is registered$/,
    prometheus: () => trouble(403),
    metrics: 'failed',
  },
  {
    what: '500 of Prometheus',
    says: /500 .*"trouble"; it is broken or overloaded/,
    prometheus: () => trouble(500),
    metrics: 'failed',
  },
  {
    what: 'cut JSON of Prometheus',
    says: /answer of Prometheus cannot be read/,
    prometheus: () => 'cut-json',
    metrics: 'failed',
  },
  {
    what: 'a Prometheus that hangs',
    says: /query the time .* no answer from Prometheus at .* within 3 s/,
    prometheus: () => 'hang',
    timeout: '3',
    metrics: 'failed',
  },
  {
    what: 'a Prometheus that hangs on every query of the window',
    says: /^Cannot query clear-inbound, process-starts, scrapes of cluster "shop": no answer from Prometheus at .* within 3 s/,
    prometheus: (query) => (query === 'time()' ? undefined : 'hang'),
    timeout: '3',
    metrics: 'failed',
  },
  {
    what: 'one query that fails',
    isRepaired: true,
    says: /^Cannot query clear-inbound of .*500 Internal Server Error/,
    prometheus: (query) =>
      query.includes('tcp_open_total|tcp_open_connections') &&
      query.includes('direction="inbound",peer="src",tls!="true",target_port!~')
        ? trouble(500)
        : undefined,
    metrics: 'partial',
  },
]

for (const failing of FAILURES) {
  const { what, says, lines = 1, kubernetes, prometheus, kubeconfig } = failing
  const { timeout = '5', metrics = 'complete', isRepaired = false } = failing
  test(`${what} is told and stored${isRepaired ? ', and a later collect repairs it' : ''}`, async (context) => {
    const store = copyOf(what.replaceAll(/\W/g, '-'))
    const restore = () => {
      mesh.kubernetes.misbehave(undefined)
      mesh.prometheus.misbehave(undefined)
      mesh.kubernetes.writeKubeconfig(mesh.kubeconfig)
    }
    context.after(restore)
    await kubeconfig?.(mesh.kubeconfig)
    mesh.kubernetes.misbehave(kubernetes)
    mesh.prometheus.misbehave(
      prometheus === undefined ? undefined : ({ parameters }) => prometheus(parameters.get('query') ?? ''),
    )
    const ran = await collect(store, '--timeout', timeout)
    restore()

    assert.equal(ran.code, 1)
    assertClear(ran, says, lines)
    assert.match(ran.stdout, /^shop Tue 24 Nov 2026 13:05 to 13:10 \(UTC\): incomplete, [^\n]*\n$/)
    const attempt = await attemptOf(store)
    assert.equal(attempt.complete, false)
    assert.equal(attempt.metrics.status, metrics)
    assert.equal(attempt.kubernetes.status === 'complete', prometheus !== undefined)
    const errors = [...attempt.metrics.errors, ...attempt.kubernetes.errors]
    assert.deepEqual(errors.toSorted(), linesOf(ran.stderr).toSorted())
    assertNoSecret(store)

    const result = await resultOf(store)
    assert.equal(result.collected, metrics !== 'failed')
    assertNothingFalse(result, metrics === 'complete')
    if (metrics === 'failed') {
      assert.match(ran.stdout, /no path can be told/)
      const told = await rowsOf(store)
      assert.equal(told.length, known)
      assert.ok(told.every(({ state }) => state === 'not-collected'))
    }
    if (isRepaired) await assertRepaired(store)
  })
}

test('a server that is busy once is asked again, and nothing is missing', async (context) => {
  const store = copyOf('busy')
  const busy = new Set<string>()
  const once = (name: string, answer: Misbehaviour): Misbehaviour | undefined => {
    if (busy.has(name)) return undefined
    busy.add(name)
    return answer
  }
  mesh.kubernetes.misbehave((url) =>
    url.includes('/services') ? once('services', { ...refusalOf(429), headers: { 'retry-after': '0' } }) : undefined,
  )
  mesh.prometheus.misbehave(({ parameters }) =>
    parameters.get('query')?.startsWith('process_start') ? once('starts', trouble(503)) : undefined,
  )
  context.after(() => {
    mesh.kubernetes.misbehave(undefined)
    mesh.prometheus.misbehave(undefined)
  })
  const { code, stderr } = await collect(store)
  assert.deepEqual({ code, stderr, busy: [...busy].toSorted() }, { code: 0, stderr: '', busy: ['services', 'starts'] })
  assert.deepEqual((await resultOf(store)).paths, good.paths)
})

function refusalOf(code: number): Extract<Misbehaviour, object> {
  return { answer: status(code, 'Refused', 'no') }
}

test('where neither source answers, one attempt is stored, and the windows that were not tried are named', async (context) => {
  const store = copyOf('away')
  mesh.kubernetes.misbehave(() => refusal(401))
  const away = ['cluster', 'add', 'shop', '--prometheus-url', 'http://127.0.0.1:1', '--store', store]
  context.after(() => mesh.kubernetes.misbehave(undefined))
  assert.equal((await mesh.run(...away)).code, 0)
  const last = mesh.windows[3]
  assert.ok(last)
  const [, , now = ''] = mesh.optionsAt(last).slice(1)
  const period = ['--from', window.start, '--to', last.end, '--now', now, '--store', store]
  const { code, stdout, stderr } = await mesh.run('collect', ...period)
  assert.equal(code, 1)
  const [metrics = '', kubernetes = '', rest = '', ...more] = linesOf(stderr)
  assert.deepEqual(more, [])
  matchesText(metrics)
  assert.match(kubernetes, /401 Unauthorized/)
  matchesText(rest)
  assert.equal(linesOf(stdout).length, 1)
  assert.equal((await attemptOf(store)).complete, false)
})

test('a failure that is the same in many windows is one line, and one attempt in each', async (context) => {
  const store = copyOf('many')
  mesh.prometheus.misbehave(() => trouble(403))
  context.after(() => mesh.prometheus.misbehave(undefined))
  const last = mesh.windows[3]
  assert.ok(last)
  const [, , now = ''] = mesh.optionsAt(last).slice(1)
  const ran = await mesh.run('collect', '--from', window.start, '--to', last.end, '--now', now, '--store', store)
  assert.equal(ran.code, 1)
  assertClear(ran, /403 Forbidden/)
  assert.equal(linesOf(ran.stdout).length, 3)
})

test('cluster check tells each thing that does not work, with a hint, and fails', async (context) => {
  mesh.kubernetes.misbehave((url) => (url.includes('/jobs') ? refusal(403) : undefined))
  mesh.prometheus.misbehave(({ parameters }) =>
    /^count\((up|count by)/.test(parameters.get('query') ?? '')
      ? {
          answer: {
            status: 200,
            body: JSON.stringify({ status: 'success', data: { resultType: 'vector', result: [] } }),
          },
        }
      : undefined,
  )
  mesh.setSkew(-45)
  context.after(() => {
    mesh.kubernetes.misbehave(undefined)
    mesh.prometheus.misbehave(undefined)
    mesh.setSkew(0)
  })
  const { code, stdout, stderr } = await mesh.run('cluster', 'check', 'shop', '--json')
  assert.deepEqual({ code, stderr }, { code: 1, stderr: '' })
  const failed = parseNdjson(stdout).filter(({ ok }) => ok === false)
  matchesText(failed.map(({ problem }) => String(problem).replace(/.*?(grant .*|s behind ours.*|is this .*)/, '$1')))
  const table = await mesh.run('cluster', 'check', 'shop')
  assert.equal(linesOf(table.stdout).filter((line) => line.startsWith('×')).length, 3)
  // One more is a warning: this Prometheus has nothing of cAdvisor.
  matchesText(table.stdout)
  assert.equal(linesOf(table.stdout).filter((line) => line.startsWith('    Cannot ')).length, 4)
  assert.match(
    table.stdout,
    /^Kubernetes API\n-{14}\n√ the API server answers\n\nRights\n-{6}\n√ may list pods in all namespaces\n/,
  )
  matchesText(table.stdout)
})

test('cluster check waits no longer than --timeout', async (context) => {
  mesh.kubernetes.misbehave(() => 'hang')
  mesh.prometheus.misbehave(() => 'hang')
  context.after(() => {
    mesh.kubernetes.misbehave(undefined)
    mesh.prometheus.misbehave(undefined)
  })
  const ran = await mesh.run('cluster', 'check', 'shop', '--timeout', '0.3')
  assert.equal(ran.code, 1)
  assert.equal([...ran.stdout.matchAll(/within 0\.3 s/g)].length, 2)
})

test('without --now, clocks and what Prometheus still holds are judged', async (context) => {
  const live = await startDemoMesh({ isLive: true })
  context.after(() => live.close())
  const [first, second, third, fourth] = live.windows
  assert.ok(first && second && third && fourth)
  const at = (one: Window, ...more: string[]) => live.run('collect', '--at', one.end, ...more)
  assert.equal((await at(first)).code, 0)

  const empty: Misbehaviour = {
    answer: { status: 200, body: JSON.stringify({ status: 'success', data: { resultType: 'vector', result: [] } }) },
  }
  const holdsNothing = (query: string) => query !== 'time()'
  live.prometheus.misbehave(({ parameters }) => (holdsNothing(parameters.get('query') ?? '') ? empty : undefined))
  const wrong = await at(second)
  assert.equal(wrong.code, 1)
  assertClear(
    wrong,
    /Prometheus has no sample of up\{job="linkerd-proxy"\} in it or in the day before, wanted the Prometheus of linkerd-viz/,
  )
  matchesText(wrong.stdout)

  // It was away in the window, but has older samples: the gap is final, and no path is told.
  live.prometheus.misbehave(({ parameters }) => {
    const query = parameters.get('query') ?? ''
    return holdsNothing(query) && !query.startsWith('count(count_over_time') ? empty : undefined
  })
  const gap = await at(third)
  assertClear(gap, /Prometheus holds no scrape of a Linkerd proxy in it$/)
  matchesText(gap.stdout)
  const edges = await live.run('edges', 'all', '--at', third.end)
  assert.deepEqual(
    { code: edges.code, stdout: edges.stdout, lines: linesOf(edges.stderr).length },
    { code: 1, stdout: '', lines: 1 },
  )
  const paths = await live.run('paths', '--from', third.start, '--to', third.end, '--json')
  assert.equal(paths.code, 0)
  assert.ok(parseNdjson(paths.stdout).every(({ state }) => state === 'not-collected'))
  matchesText(paths.stderr)
  const clear = await live.run('paths', '--from', third.start, '--to', third.end, '--state', 'not-encrypted')
  assert.deepEqual({ code: clear.code, lines: linesOf(clear.stderr).length }, { code: 1, lines: 1 })
  // Those that were open when they were last seen are listed all the same.
  assert.ok(
    linesOf(clear.stdout)
      .filter((line) => line.startsWith('?'))
      .every((line) => line.includes('(not seen now)')),
  )

  live.prometheus.misbehave(undefined)
  live.setSkew(90)
  const skewed = await at(fourth)
  assert.equal(skewed.code, 1)
  assertClear(
    skewed,
    /its clock is \d\d s ahead of ours, wanted at most 30 s; set both by NTP, then collect the window again$/,
  )
  live.setSkew(0)

  const mended = await live.run('collect', '--from', first.start, '--to', fourth.end, '--json')
  assert.deepEqual({ code: mended.code, stderr: mended.stderr }, { code: 0, stderr: '' })
  assert.deepEqual(
    parseNdjson(mended.stdout).map(({ attempt }) => String(attempt).slice(-12)),
    ['0002.json.gz', '0002.json.gz'],
    'the gap is complete, what failed is collected again',
  )
})

test('a window that is not over is not collected, and the line says when it can be', async () => {
  const { code, stdout, stderr } = await mesh.run('collect', '--at', window.end, '--now', window.end)
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
  matchesText(stderr)
})

test('a disk that is full is one line, and nothing is lost', async () => {
  const store = copyOf('limit')
  const options = mesh.optionsAt(window).join(' ')
  const limited = await runShell(`ulimit -f 20; ciphertrail collect ${options} --store ${store}`, mesh)
  assert.equal(limited.code, 1)
  assertClear(
    limited,
    /^Cannot write "evidence\/.*\/0001\.json\.gz" to store ".*": the file would be larger than the system allows/,
  )
  assert.deepEqual(await listAttempts(window, 'shop', { objects: directoryObjects(store) }), [])
  const again = await collect(store, '--json')
  assert.equal(again.code, 0)
  assert.deepEqual((await resultOf(store)).paths, good.paths)
})

test('a file system without room is one line, and what was stored stays', async (context) => {
  const mount = 'mount -t tmpfs -o size=64k none'
  const probe = spawnSync('unshare', ['-rm', 'sh', '-c', `${mount} /mnt`])
  if (probe.status !== 0) return context.skip('this machine lets nobody make a small file system')
  const store = join(mesh.folder, 'store-small')
  mkdirSync(store)
  const base = join(mesh.folder, 'ciphertrail-data', 'registry')
  cpSync(join(mesh.folder, 'ciphertrail-data.trust'), `${store}.trust`)
  const collects = `ciphertrail collect ${mesh.optionsAt(window).join(' ')} --store ${store}`
  const inside = `${mount} ${store}; cp -r ${base} ${store}; ${collects}; echo "code $?"; find ${store} -type f | wc -l; ciphertrail cluster list --json --store ${store}`
  const ran = await runShell(`export -f ciphertrail; unshare -rm bash -c '${inside}'`, mesh)
  assertClear(
    ran,
    /^Cannot write "evidence\/.*\/0001\.json\.gz" to store ".*": there is no room left, make some and run it again \(ENOSPC\)$/,
  )
  assert.match(ran.stdout, /^code 1\n1\n\{"id":"shop"/)
})

test('a store that may not be written is one line for each that would write, and is read as before', async (context) => {
  const store = copyOf('read-only')
  const isRoot = process.getuid?.() === 0
  // Root may write everywhere.
  if (isRoot) assert.equal(spawnSync('setpriv', ['--version']).status, 0, 'wanted setpriv, of util-linux')
  const become = isRoot ? 'setpriv --reuid=65534 --regid=65534 --clear-groups ' : ''
  spawnSync('chmod', ['-R', 'a-w,a+rX', store])
  if (isRoot) spawnSync('chown', ['65534', `${store}.trust`])
  spawnSync('chmod', ['a+rx', mesh.folder, mesh.kubeconfig])
  context.after(() => spawnSync('chmod', ['-R', 'u+w', store]))
  const asNobody = (line: string): Promise<Ran> =>
    runShell(`export -f ciphertrail; ${become} bash -c 'ciphertrail ${line} --store ${store}'`, mesh)
  for (const [line, says] of [
    [`collect ${mesh.optionsAt(window).join(' ')}`, /^Cannot write "evidence\/.*": this user may not/],
    ['cluster add other', /^Cannot write "changes\/clusters\/000002\.json" to store ".*": this user may not/],
  ] as const) {
    const ran = await asNobody(line)
    assert.equal(ran.code, 1, line)
    assertClear(ran, says)
    assert.equal(ran.stdout, '')
  }
  const { code, stdout, stderr } = await asNobody('paths --json')
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.ok(parseNdjson(stdout).length > 50)
})

test('a store that is a file is one line for every command', async () => {
  const store = join(mesh.folder, 'a-file')
  writeFileSync(store, 'a file')
  for (const line of ['cluster list', 'cluster add shop', 'collect', 'edges all', 'paths', 'workloads', 'rebuild']) {
    const ran = await mesh.run(...line.split(' '), '--store', store)
    assert.deepEqual({ code: ran.code, stdout: ran.stdout }, { code: 1, stdout: '' }, line)
    assertClear(ran, /a part of the path is a file, it must be a directory/)
  }
  assert.equal(readFileSync(store, 'utf8'), 'a file')
})

test('a damaged registry is one line for every command, and is left as it is', async () => {
  const store = copyOf('registry')
  const file = join(store, 'registry', 'clusters.json')
  truncateSync(file, 50)
  for (const line of ['cluster list', 'cluster add other', 'collect', 'edges all', 'paths', 'rebuild']) {
    const ran = await mesh.run(...line.split(' '), '--store', store)
    assert.deepEqual({ code: ran.code, stdout: ran.stdout }, { code: 1, stdout: '' }, line)
    assertClear(
      ran,
      /^Cannot read the registry "registry\/clusters\.json": it is not a registry, move it away: it is made again from/,
    )
  }
  assert.equal(readFileSync(file).length, 50)
})

test('damaged evidence harms its own window only, is told by rebuild, and a further attempt stands', async () => {
  const store = copyOf('evidence')
  assert.equal((await collect(store)).code, 0)
  const key = evidenceKey({ window, cluster: 'shop', attempt: 1 })
  truncateSync(join(store, key), 1000)
  const ran = await mesh.run('rebuild', '--store', store)
  assert.equal(ran.code, 1)
  assertClear(ran, new RegExp(`^Cannot read evidence "${key}": it is not whole gzip data$`))
  assert.equal((await resultOf(store)).collected, false)
  assert.equal((await resultOf(store, earlier)).collected, true)
  const told = await rowsOf(store)
  assert.equal(told.length, known)
  assert.ok(told.every(({ state }) => state === 'not-collected'))
  await assertRepaired(store)
})

test('damaged state is never read as "nothing was collected", and is made again', async () => {
  const store = copyOf('state')
  // What was missed since then grows while the test runs.
  const reference = (await mesh.run('paths', '--json', '--to', window.end)).stdout
  const state = join(store, 'state', 'shop.json')
  const period = ['--from', earlier.start, '--to', earlier.end, '--out', join(mesh.folder, 'no-report')]
  for (const [damage, says] of [
    [() => truncateSync(state, 100), 'it is damaged'],
    [() => rmSync(state), 'it is missing although there is evidence'],
    [() => writeFileSync(state, '{"derivation":1}'), 'an earlier version of ciphertrail derived it'],
  ] as const) {
    damage()
    for (const args of [['edges', 'all'], ['paths'], ['workloads'], ['report', ...period]]) {
      const ran = await mesh.run(...args, '--store', store)
      assert.deepEqual({ code: ran.code, stdout: ran.stdout }, { code: 1, stdout: '' }, args[0])
      const line = `Cannot use "state/shop.json": ${says}, run "ciphertrail rebuild" to make it again from evidence`
      assert.equal(ran.stderr, `${line}\n`)
    }
    const { code, stdout, stderr } = await mesh.run('rebuild', '--store', store)
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'shop: 1 window derived again\n', stderr: '' })
    assert.equal((await mesh.run('paths', '--json', '--to', window.end, '--store', store)).stdout, reference)
  }
})

test('damaged results and months are never shown, and rebuild makes them again', async () => {
  const store = copyOf('results')
  const objects = directoryObjects(store)
  // As a day later, when the window is in a month.
  for (const cluster of await readClusters({ objects }))
    await compactCluster(cluster, { objects, assess: assessWindow, unsettledSeconds: 0 })
  const reference = (await mesh.run('paths', '--json', '--to', window.end)).stdout
  const files = [windowKey('shop', earlier), timelineKey('shop', '2026-11')].map((key) => join(store, key))
  for (const file of files)
    writeFileSync(
      file,
      readFileSync(file, 'latin1').replaceAll('"plaintext"', '"mtls"').replaceAll('plaintext', 'mtls-----'),
      'latin1',
    )
  const edges = await mesh.run('edges', 'all', '--store', store)
  assert.deepEqual({ code: edges.code, stdout: edges.stdout }, { code: 1, stdout: '' })
  assertClear(edges, /^Cannot use "windows\/shop\/.*": it is not what was derived, run "ciphertrail rebuild"/)
  const paths = await mesh.run('paths', '--store', store)
  assert.deepEqual({ code: paths.code, stdout: paths.stdout }, { code: 1, stdout: '' })
  assert.equal((await mesh.run('rebuild', '--store', store)).code, 0)
  assert.equal((await mesh.run('paths', '--json', '--to', window.end, '--store', store)).stdout, reference)
})

test('a report that cannot be written is one line', async () => {
  const out = join(mesh.folder, 'taken')
  writeFileSync(out, 'a file')
  const ran = await mesh.run('report', '--from', earlier.start, '--to', earlier.end, '--out', out)
  assert.deepEqual({ code: ran.code, stdout: ran.stdout }, { code: 1, stdout: '' })
  assertClear(ran, /^Cannot write the report to ".*taken": EEXIST, wanted a folder that can be written and has space$/)
  assert.equal(readFileSync(out, 'utf8'), 'a file')
})

test('where no folder can be made is said in one line, and not tried for ever', async () => {
  // Of a name in it /proc says that /proc is not there.
  const nowhere = '/proc/ciphertrail/reports'
  const store = copyOf('nowhere')
  assert.equal((await mesh.run('channel', 'add', 'ops', '--to', 'ada@example.com', '--store', store)).code, 0)
  assert.equal((await mesh.run('key', 'new', 'example.com/log', '--key', `${store}.key`)).code, 0)
  assert.equal((await mesh.run('seal', '--key', `${store}.key`, '--store', store)).code, 0)
  const [proved = ''] = (await listAttempts(earlier, 'shop', { objects: directoryObjects(store) })).map(evidenceKey)
  for (const [says, ...args] of [
    ['write the report to', 'report', '--from', earlier.start, '--to', earlier.end, '--out', nowhere],
    ['write the mail to', 'channel', 'preview', 'ops', '--week', '2026-W47', '--out', nowhere],
    ['write the proof to', 'log', 'show', '--proof', proved, '--out', nowhere],
  ]) {
    const ran = await mesh.run(...args, '--store', store)
    assert.deepEqual({ code: ran.code, stdout: ran.stdout }, { code: 1, stdout: '' }, ran.stderr)
    assertClear(ran, new RegExp(`^Cannot ${says} "${nowhere}": \\w+, wanted `))
  }
  const ran = await mesh.run('channel', 'add', 'ops', '--to', 'ada@example.com', '--store', nowhere)
  assert.deepEqual({ code: ran.code, stdout: ran.stdout }, { code: 1, stdout: '' })
  assertClear(ran, /^Cannot write ".*" to store "\/proc\/ciphertrail\/reports": /)
})

test('one cluster that fails does not keep the others from being collected', async () => {
  const store = copyOf('two')
  const args = ['--kubeconfig', mesh.kubeconfig, '--prometheus-url', 'http://127.0.0.1:1', '--window', '5m']
  assert.equal((await mesh.run('cluster', 'add', 'aaa', ...args, '--store', store)).code, 0)
  const { code, stdout, stderr } = await collect(store)
  assert.equal(code, 1)
  matchesText(stdout)
  matchesText(stderr)
})

test('a command in an empty home finds no kubeconfig, and says so', async () => {
  const store = copyOf('home')
  const folder = join(mesh.folder, 'home')
  mkdirSync(folder)
  const now = ['--now', '2026-11-24T13:11:00Z']
  const add = ['cluster', 'add', 'bare', '--prometheus-url', mesh.prometheus.url, '--window', '5m', '--store', store]
  assert.equal((await run(add, { folder })).code, 0)
  const ran = await run(['collect', '--cluster', 'bare', '--at', window.end, ...now, '--store', store], { folder })
  assert.equal(ran.code, 1)
  assertClear(ran, /there is no kubeconfig at ".*\/home\/\.kube\/config": give --kubeconfig, or set KUBECONFIG$/)
})

test('packets says of a file that is no capture what it is, and of a machine without tshark how to get it', async (context) => {
  const folder = freshFolder(context)
  writeFileSync(join(folder, 'notes.txt'), 'It was encrypted, I think.')
  writeFileSync(join(folder, 'packed.pcap.gz'), gzipSync('x'))
  writeFileSync(join(folder, 'empty.pcap'), '')
  writeFileSync(join(folder, 'real.pcap'), Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex'))
  const lines: readonly string[] = ['notes.txt', 'packed.pcap.gz', 'empty.pcap', 'nowhere.pcap', '.', 'real.pcap']
  for (const file of lines) {
    const { code, stdout, stderr } = await run(['packets', file], { folder, env: { PATH: folder } })
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' }, file)
    matchesText(stderr, TEXT, file)
  }
})

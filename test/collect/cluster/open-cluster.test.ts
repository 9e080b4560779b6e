import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, createReadStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { kubeconfigText, makeAuthority, status } from '../../../demo/replay-kubernetes.ts'
import { failure } from '../../../demo/replay-prometheus.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import type { OpenOptions } from '../../../lib/collect/cluster/open-cluster.ts'
import { CONNECTIONS } from '../../../lib/net/connections.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import { TOKEN, startKubernetesServer } from '../../support/servers/kubernetes-server.ts'
import type { KubernetesServer } from '../../support/servers/kubernetes-server.ts'
import type { Misbehaviour } from '../../support/servers/misbehave.ts'
import { startPrometheusServer } from '../../support/servers/prometheus-server.ts'
import { matchesGolden } from '../../support/golden.ts'
import { freshFolder } from '../../support/recorder.ts'
import type { ClusterAccess } from '../../../lib/collect/cluster/cluster-access.ts'
import { type FailureKind, SourceError } from '../../../lib/net/errors.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const nothing = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }

const registered: Cluster = {
  id: 'prod',
  registeredAt: '2026-11-24T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
}

function open(context: TestContext, cluster: Partial<Cluster>, options: Partial<OpenOptions> = {}): ClusterAccess {
  const access = openCluster({ ...registered, ...cluster }, { environment: nothing, retryDelayMs: 1, ...options })
  context.after(() => access.close())
  return access
}

/** A server that answers everything, and a kubeconfig that leads to it. */
async function apiServer(
  context: TestContext,
  names?: readonly string[],
): Promise<{ server: KubernetesServer; file: string }> {
  const server = await startKubernetesServer(
    () => ({ status: 200, body: '{"kind":"PodList","items":[]}' }),
    '2026-11-24T12:00:00Z',
    names,
  )
  context.after(() => server.close())
  const file = join(freshFolder(context), 'config')
  server.writeKubeconfig(file)
  return { server, file }
}

const asking = { what: 'list pods of cluster "prod"' }

/** How a request failed that must fail: in one line, without the token. */
async function failureOf(request: Promise<unknown>): Promise<SourceError> {
  const error: unknown = await request.then(
    () => assert.fail('The request did not fail'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof SourceError, String(error))
  assert.match(error.message, /^Cannot [^\n]*[^.\n]$/)
  assert.ok(!error.message.includes(TOKEN), 'the token is in the message')
  return error
}

async function lineOf(request: Promise<unknown>): Promise<string> {
  return (await failureOf(request)).message
}

/** Without what differs from one run to the next: ports, and folders that are made for a test. */
const steady = (line: string): string =>
  line.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT').replaceAll(/"\/[^"]*?([\w-]*)"/g, '"/.../$1"')

const linesOf = (failures: readonly (readonly [name: string, line: string])[]): string =>
  failures.map(([name, line]) => `${name}\n  ${steady(line)}\n`).join('\n')

const listPods = (access: ClusterAccess): Promise<unknown> => access.kubernetes.get('/api/v1/pods', asking)

test('get() reads JSON over a few kept connections', async (context) => {
  const { server, file } = await apiServer(context)
  const access = open(context, { kubeconfig: file })
  assert.deepEqual(await listPods(access), { kind: 'PodList', items: [] })
  for (let i = 0; i < 11; i++) await listPods(access)
  assert.equal(server.asked.length, 12)
  assert.ok(server.connections() <= CONNECTIONS, `${server.connections()} TLS handshakes`)
})

const serverFailures: [name: string, how: Misbehaviour, kind: FailureKind, tries: number][] = [
  ['401', { answer: status(401, 'Unauthorized', 'Unauthorized') }, 'unauthorized', 1],
  ['403', { answer: status(403, 'Forbidden', 'pods is forbidden') }, 'forbidden', 1],
  ['404', { answer: status(404, 'NotFound', 'nothing here') }, 'not-found', 1],
  ['422', { answer: status(422, 'Invalid', 'no') }, 'rejected', 1],
  [
    '429 without end',
    { answer: status(429, 'TooManyRequests', 'slow down'), headers: { 'retry-after': '0' } },
    'rate-limited',
    3,
  ],
  [
    '429 for an hour',
    { answer: status(429, 'TooManyRequests', 'slow down'), headers: { 'retry-after': '3600' } },
    'rate-limited',
    1,
  ],
  ['500', { answer: status(500, 'InternalError', 'etcd is away') }, 'server', 3],
  [
    '503 that is a page',
    { answer: { status: 503, body: '<h1>Busy</h1>' }, headers: { 'content-type': 'text/html' } },
    'server',
    3,
  ],
  [
    'a redirect',
    { answer: { status: 302, body: '' }, headers: { location: 'https://user:pw@login.example/?token=x' } },
    'redirect',
    1,
  ],
  ['a login page', 'html', 'malformed', 1],
  ['JSON that is cut', 'cut-json', 'malformed', 1],
  ['a body that is cut', 'cut-body', 'connection', 3],
  ['gzip that is cut', 'cut-gzip', 'malformed', 1],
  ['bytes that are no text', 'not-utf8', 'malformed', 1],
  ['a reset', 'reset', 'connection', 3],
  ['a hung server', 'hang', 'timeout', 1],
  ['a dripping server', 'drip', 'timeout', 1],
]

test('get() ends with one clear line on whatever a server does, after three tries where that may pass', async (context) => {
  const lines: [string, string][] = []
  for (const [name, how, kind, tries] of serverFailures) {
    const { server, file } = await apiServer(context)
    server.misbehave(() => how)
    // The short deadline only where it is what ends the request.
    const kubernetesDeadlineMs = how === 'hang' || how === 'drip' ? 300 : 20_000
    const failed = await failureOf(listPods(open(context, { kubeconfig: file }, { kubernetesDeadlineMs })))
    assert.deepEqual([failed.kind, server.asked.length], [kind, tries], name)
    lines.push([name, failed.message])
  }
  matchesGolden('collect/api-server-errors.txt', linesOf(lines))
})

test('get() tries again after 429, 503 and a reset', async (context) => {
  const { server, file } = await apiServer(context)
  for (const how of [
    { answer: status(429, 'TooManyRequests', ''), headers: { 'retry-after': '0' } },
    { answer: status(503, 'ServiceUnavailable', '') },
    'reset',
  ] as const) {
    let left = 2
    server.misbehave(() => (left-- > 0 ? how : undefined))
    assert.deepEqual(await listPods(open(context, { kubeconfig: file })), { kind: 'PodList', items: [] })
  }
})

test('get() reads gzip and refuses an answer that is too large, compressed or not', async (context) => {
  const { server, file } = await apiServer(context)
  server.misbehave(() => 'gzip')
  assert.deepEqual(await listPods(open(context, { kubeconfig: file })), { kind: 'PodList', items: [] })
  for (const how of ['gzip', undefined] as const) {
    const body = JSON.stringify({ padding: 'x'.repeat(3_000_000) })
    const big = await startKubernetesServer(() => ({ status: 200, body }), '2026-11-24T12:00:00Z')
    context.after(() => big.close())
    big.misbehave(() => how)
    big.writeKubeconfig(file)
    assert.match(
      await lineOf(listPods(open(context, { kubeconfig: file }, { maxBytes: 1_000_000 }))),
      /: the answer of the API server is larger than 1 MB; if that is right, raise "answer" in CIPHERTRAIL_BUDGET$/,
    )
  }
})

test('a message never holds a credential that the server sends back', async (context) => {
  const { server, file } = await apiServer(context)
  const said = `bad ${TOKEN}\n\u001b[31mBearer abc.def\u202e https://me:pw@host/ eyJhbGci.eyJzdWIi.c2ln ${'x'.repeat(400)}`
  server.misbehave(() => ({ answer: status(403, 'Forbidden', said) }))
  const line = await lineOf(listPods(open(context, { kubeconfig: file })))
  assert.match(line, /"bad \[redacted\] \[31mBearer \[redacted\] https:\/\/\[redacted\]@host\/ \[redacted\] x+…"$/)
  assert.ok(line.length < 350)
})

test('get() refuses a certificate of another authority, and tries only once', async (context) => {
  const { server, file } = await apiServer(context)
  const other = await makeAuthority()
  server.writeKubeconfig(file, { ca: other.ca })
  const line = await lineOf(listPods(open(context, { kubeconfig: file })))
  matchesText(line)
  assert.equal(server.asked.length, 0)
})

test('get() refuses a certificate that is for another name', async (context) => {
  const { file } = await apiServer(context, ['api.example'])
  matchesText(await lineOf(listPods(open(context, { kubeconfig: file }))))
})

test('get() takes the name to check from tls-server-name', async (context) => {
  const { file } = await apiServer(context, ['api.example'])
  writeFileSync(file, readFileSync(file, 'utf8').replace('"server":', '"tls-server-name": "api.example", "server":'))
  assert.deepEqual(await listPods(open(context, { kubeconfig: file })), { kind: 'PodList', items: [] })
})

/** A plain TCP server, for what is no HTTP at all. */
async function tcpServer(context: TestContext, onConnection: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer(onConnection)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

test('get() ends in time when the TLS handshake hangs', async (context) => {
  const port = await tcpServer(context, () => undefined)
  const file = join(freshFolder(context), 'config')
  writeFileSync(file, kubeconfigText(`https://127.0.0.1:${port}`, (await makeAuthority()).ca, { token: TOKEN }))
  matchesText(await lineOf(listPods(open(context, { kubeconfig: file }, { kubernetesDeadlineMs: 200 }))))
})

test('get() names a server that does not speak TLS, and one that refuses the connection', async (context) => {
  const port = await tcpServer(context, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const file = join(freshFolder(context), 'config')
  const { ca } = await makeAuthority()
  writeFileSync(file, kubeconfigText(`https://127.0.0.1:${port}`, ca, { token: TOKEN }))
  assert.match(
    await lineOf(listPods(open(context, { kubeconfig: file }))),
    /127\.0\.0\.1:\d+ does not speak TLS as expected/,
  )

  const gone = createServer()
  gone.listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port: free } = gone.address() as AddressInfo
  gone.close()
  await once(gone, 'close')
  writeFileSync(file, kubeconfigText(`https://127.0.0.1:${free}`, ca, { token: TOKEN }))
  matchesText(await lineOf(listPods(open(context, { kubeconfig: file }))))
})

test('get() names a host that does not exist', async (context) => {
  const file = join(freshFolder(context), 'config')
  writeFileSync(file, kubeconfigText('https://cluster.invalid', (await makeAuthority()).ca, { token: TOKEN }))
  matchesText(await lineOf(listPods(open(context, { kubeconfig: file }, { kubernetesDeadlineMs: 20_000 }))))
})

// ---------------------------------------------------------------- ways in

test('a kubeconfig that cannot be used is one clear line', async (context) => {
  const folder = freshFolder(context)
  const file = join(folder, 'config')
  const good = kubeconfigText('https://127.0.0.1:1', 'ca', { token: TOKEN })
  const texts: [name: string, text: string][] = [
    ['cut', '{'],
    ['a text', 'hello'],
    ['cut after a token', `users: [{name: a, user: {token: ${TOKEN}`],
    ['http', good.replace('https:', 'http:')],
    ['a password in the URL', good.replace('https://', 'https://me:pw@')],
    ['no URL', good.replace('https://127.0.0.1:1', 'nonsense')],
    ['insecure', good.replace('"server":', '"insecure-skip-tls-verify": true, "server":')],
    ['a proxy', good.replace('"server":', '"proxy-url": "http://proxy", "server":')],
    ['no context', good.replace('"current-context": "replay"', '"current-context": ""')],
    ['an unknown context', good.replace('"current-context": "replay"', '"current-context": "gone"')],
    ['an unknown cluster', good.replace('"cluster": "replay"', '"cluster": "gone"')],
    ['an unknown user', good.replace('"user": "replay"', '"user": "gone"')],
    ['a certificate without a key', good.replace('"token"', '"client-certificate-data": "eA==", "x"')],
    ['a token file that is not there', good.replace('"token"', '"tokenFile": "gone", "x"')],
  ]
  const lines: [string, string][] = []
  const fails = async (name: string, cluster: Partial<Cluster>, options?: Partial<OpenOptions>): Promise<void> => {
    const failed = await failureOf(listPods(open(context, cluster, options)))
    assert.equal(failed.kind, 'configuration', name)
    lines.push([name, failed.message])
  }
  for (const [name, text] of texts) {
    writeFileSync(file, text)
    await fails(name, { kubeconfig: file })
  }
  await fails('a file that is not there', { kubeconfig: join(folder, 'no') })
  mkdirSync(join(folder, 'inside'))
  await fails('a folder', { kubeconfig: join(folder, 'inside') })
  await fails('none', {})
  await fails('none in the home', {}, { environment: { ...nothing, home: folder } })
  writeFileSync(file, good)
  await fails('a context with an escape', { kubeconfig: file, context: 'other\u001b[2J' })
  matchesGolden('collect/kubeconfig-errors.txt', linesOf(lines))
})

test('an expired token is one clear line that names the context', async (context) => {
  const { server, file } = await apiServer(context)
  server.writeKubeconfig(file, { user: { token: 'expired' } })
  matchesText(await lineOf(listPods(open(context, { kubeconfig: file, context: 'replay' }))))
})

test('credentials come from a client certificate, a token file, a plugin, a password or an OIDC token', async (context) => {
  const { server, file } = await apiServer(context)
  const folder = freshFolder(context)
  const data = (text: string): string => Buffer.from(text).toString('base64')
  const plugin = join(folder, 'plugin')
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const idToken = `${part({ alg: 'none' })}.${part({ exp: 4_000_000_000 })}.x`
  server.accept(`Bearer ${idToken}`)
  server.accept(`Basic ${data('auditor:hunter2')}`)
  const answer = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token: TOKEN } }
  writeFileSync(plugin, `#!/bin/sh\ntest -n "$KUBERNETES_EXEC_INFO" && echo '${JSON.stringify(answer)}'\n`)
  chmodSync(plugin, 0o755)
  writeFileSync(join(folder, 'token'), `${TOKEN}\n`)
  const users = [
    { 'client-certificate-data': data(server.client.cert), 'client-key-data': data(server.client.key) },
    { tokenFile: join(folder, 'token') },
    { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: plugin } },
    { username: 'auditor', password: 'hunter2' },
    { 'auth-provider': { name: 'oidc', config: { 'id-token': idToken } } },
  ]
  for (const user of users) {
    server.writeKubeconfig(file, { user })
    assert.deepEqual(
      await listPods(open(context, { kubeconfig: file })),
      { kind: 'PodList', items: [] },
      JSON.stringify(user).slice(0, 40),
    )
  }
})

test('a credential plugin that is missing, fails, hangs or says nothing is one clear line', async (context) => {
  const { server, file } = await apiServer(context)
  const start = performance.now()
  const exec = (command: string, ...args: string[]): Record<string, unknown> => ({
    exec: { apiVersion: 'v1', command, args },
  })
  // What answers may take as long as a busy machine needs.
  const cases: [user: Record<string, unknown>, line: RegExp, kubernetesDeadlineMs?: number][] = [
    [
      exec('ciphertrail-no-such-command'),
      /: the credential plugin "ciphertrail-no-such-command" of the kubeconfig is not installed$/,
    ],
    [
      exec('sh', '-c', 'echo "log in first, Bearer abc" >&2; exit 1'),
      /: the credential plugin "sh" of the kubeconfig failed: log in first, Bearer \[redacted\]$/,
    ],
    [exec('sh', '-c', 'echo {}'), /: the credential plugin "sh" of the kubeconfig failed: /],
    [
      exec('sh', '-c', 'echo "{\\"status\\":{}}"'),
      /: the credential plugin "sh" of the kubeconfig gave no credentials$/,
    ],
    [exec('sleep', '120'), /: no credentials for the API server within 0\.5 s/, 500],
  ]
  for (const [user, line, kubernetesDeadlineMs = 60_000] of cases) {
    server.writeKubeconfig(file, { user })
    assert.match(await lineOf(listPods(open(context, { kubeconfig: file }, { kubernetesDeadlineMs }))), line)
  }
  assert.equal(server.asked.length, 0)
  assert.ok(performance.now() - start < 110_000, 'the deadline did not end the wait for the plugin')
})

test('a credential plugin that hangs ends with the cluster', { timeout: 30_000 }, async (context) => {
  const { server, file } = await apiServer(context)
  const pipe = join(freshFolder(context), 'pipe')
  execFileSync('mkfifo', [pipe])
  const exec = { apiVersion: 'v1', command: 'sh', args: ['-c', `exec sleep 120 3>${pipe}`] }
  server.writeKubeconfig(file, { user: { exec } })
  const access = open(context, { kubeconfig: file })
  const failed = failureOf(listPods(access))
  // The pipe opens when the plugin runs, and ends when nobody has it open any more.
  const held = createReadStream(pipe)
  await once(held, 'open')
  await access.close()
  await once(held.resume(), 'end')
  assert.equal((await failed).kind, 'configuration')
})

test('neither a way that kubectl does not know nor an auth-provider reads a file or runs a command', async (context) => {
  const { server, file } = await apiServer(context)
  const folder = freshFolder(context)
  const [secret, ran] = [join(folder, 'secret'), join(folder, 'ran')]
  writeFileSync(secret, TOKEN)
  const exec = { command: 'sh', args: ['-c', `env > ${ran}`], env: [{ name: 'A', value: 'b' }] }
  const cases: Record<string, unknown>[] = [
    { 'token-file': secret },
    { 'auth-provider': { name: 'tokenFile', config: { tokenFile: secret } } },
    { 'auth-provider': { name: 'exec', config: { exec } } },
  ]
  for (const user of cases) {
    server.writeKubeconfig(file, { user })
    matchesText(await lineOf(listPods(open(context, { kubeconfig: file }))))
  }
  assert.ok(!existsSync(ran))
})

test('the command of an older auth-provider gives a token, with the environment that is named and no more', async (context) => {
  const { server, file } = await apiServer(context)
  const command = join(freshFolder(context), 'command')
  const answer = (token: string): string =>
    JSON.stringify({ credential: { access_token: token, token_expiry: '2099-01-01T00:00:00Z' } })
  writeFileSync(
    command,
    `#!/bin/sh\ntest "$GIVEN-$HOME" = yes- && echo '${answer(TOKEN)}' || echo '${answer('wrong')}'\n`,
  )
  chmodSync(command, 0o755)
  const config = {
    'cmd-path': command,
    'token-key': '{.credential.access_token}',
    'expiry-key': '{.credential.token_expiry}',
  }
  server.writeKubeconfig(file, { user: { 'auth-provider': { name: 'gcp', config } } })
  const environment = { ...nothing, pluginEnvironment: { GIVEN: 'yes' } }
  assert.deepEqual(await listPods(open(context, { kubeconfig: file }, { environment })), { kind: 'PodList', items: [] })
  writeFileSync(command, '#!/bin/sh\nexit 3\n')
  matchesText(await lineOf(listPods(open(context, { kubeconfig: file }, { environment }))))
})

test('a credential plugin is asked again only once its answer has expired', async (context) => {
  const { server, file } = await apiServer(context)
  const ran = join(freshFolder(context), 'ran')
  const runs = async (expirationTimestamp?: string): Promise<number> => {
    rmSync(ran, { force: true })
    const answer = JSON.stringify({ status: { token: TOKEN, expirationTimestamp } })
    const exec = { command: 'sh', args: ['-c', `echo >> "$RAN"; echo '${answer}'`], env: [{ name: 'RAN', value: ran }] }
    server.writeKubeconfig(file, { user: { exec } })
    const access = open(context, { kubeconfig: file })
    for (let i = 0; i < 2; i++) await listPods(access)
    return readFileSync(ran, 'utf8').length
  }
  assert.deepEqual([await runs(), await runs('2099-01-01T00:00:00Z'), await runs('2020-01-01T00:00:00Z')], [1, 1, 2])
})

test('without a registered kubeconfig the default one is used: of two files, the first that has the context', async (context) => {
  const { server, file } = await apiServer(context)
  const other = join(freshFolder(context), 'other')
  writeFileSync(other, JSON.stringify({ clusters: [], users: [], contexts: [], 'current-context': 'replay' }))
  const environment = { ...nothing, kubeconfig: `${other}:${file}` }
  await listPods(open(context, {}, { environment }))
  assert.equal(server.asked.length, 1)
})

test('an API server is not looked for at an address that is refused, by number or by name, also for a port-forward', async (context) => {
  const { server, file } = await apiServer(context)
  const environment = { ...nothing, allowedNetworks: '10.0.0.0/8' }
  const away =
    /[:,] the address 127\.0\.0\.1 is refused, it is outside CIPHERTRAIL_ALLOWED_NETWORKS; if it is meant, name its network/
  assert.match(await lineOf(listPods(open(context, { kubeconfig: file }, { environment }))), away)
  assert.match(await lineOf(askUp(open(context, { kubeconfig: file }, { environment }))), away)
  const { port } = new URL(server.url)
  writeFileSync(file, kubeconfigText(`https://localhost:${port}`, server.ca, { token: TOKEN }))
  matchesText(await lineOf(listPods(open(context, { kubeconfig: file }, { environment }))))
  writeFileSync(file, kubeconfigText('https://169.254.169.254', server.ca, { token: TOKEN }))
  matchesText(await lineOf(listPods(open(context, { kubeconfig: file }))))
  assert.deepEqual(server.asked, [])
})

test('inside a pod the ServiceAccount is used, unless a kubeconfig is registered', async (context) => {
  const { server, file } = await apiServer(context)
  const environment = { ...nothing, serviceHost: '127.0.0.1', servicePort: '1' }
  matchesText(await lineOf(listPods(open(context, {}, { environment }))))
  await listPods(open(context, { kubeconfig: file }, { environment }))
  assert.equal(server.asked.length, 1)
})

// ---------------------------------------------------------------- Prometheus

const empty = '{"status":"success","data":{"resultType":"vector","result":[]}}'
const parameters = new URLSearchParams({ query: 'up', time: '1' })
const askUp = (access: ClusterAccess): Promise<string> =>
  access.prometheus.ask('POST', '/api/v1/query', parameters, { what: 'query up of cluster "prod"' })

test('ask() keeps the base path of the address', async (context) => {
  const server = await startPrometheusServer(() => ({ status: 200, body: empty }), '/base/path')
  context.after(() => server.close())
  for (const prometheusUrl of [server.url, `${server.url}/`]) {
    const access = open(context, { prometheusUrl })
    assert.equal(await askUp(access), empty)
    assert.equal(await access.prometheus.ask('GET', '/api/v1/query', parameters, { what: 'query' }), empty)
  }
  assert.deepEqual(
    server.asked.map(({ method, path, parameters: sent }) => [method, path, sent.toString()]),
    ['POST', 'GET', 'POST', 'GET'].map((method) => [method, '/base/path/api/v1/query', 'query=up&time=1']),
  )
})

const prometheusFailures: [name: string, how: Misbehaviour][] = [
  ['422', { answer: failure(422, 'execution', 'too many samples') }],
  ['403', { answer: { status: 403, body: '' } }],
  ['503', { answer: failure(503, 'unavailable', 'starting') }],
  ['a login page', 'html'],
  ['a hung server', 'hang'],
  ['a reset', 'reset'],
]

for (const [name, how] of prometheusFailures) {
  test(`ask() ends with one clear line on ${name}`, async (context) => {
    const server = await startPrometheusServer(() => ({ status: 200, body: empty }))
    context.after(() => server.close())
    server.misbehave(() => how)
    const prometheusDeadlineMs = how === 'hang' ? 300 : 20_000
    matchesText(await lineOf(askUp(open(context, { prometheusUrl: server.url }, { prometheusDeadlineMs }))))
  })
}

test('ask() refuses an address that is none, or that holds a password', async (context) => {
  const cases: (string | undefined)[] = [undefined, 'prometheus', 'ftp://prometheus', 'http://me:hunter2@prometheus']
  for (const prometheusUrl of cases) {
    const access = open(context, prometheusUrl === undefined ? {} : { prometheusUrl })
    const said = await lineOf(askUp(access))
    matchesText(said)
    assert.ok(!said.includes('hunter2'))
  }
})

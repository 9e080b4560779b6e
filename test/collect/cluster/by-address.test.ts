import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { makeAuthority } from '../../../demo/replay-kubernetes.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import { expiryOf, cachedToken } from '../../../lib/net/cached-token.ts'
import type { ApiServerAddress } from '../../../lib/model/registry.ts'
import { run } from '../../support/process/command-line.ts'
import { TOKEN, startKubernetesServer } from '../../support/servers/kubernetes-server.ts'
import { startSecrets } from '../../support/servers/secrets-server.ts'
import { startPrometheusServer } from '../../support/servers/prometheus-server.ts'
import { freshFolder } from '../../support/recorder.ts'
import { SourceError } from '../../../lib/net/errors.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

const ARN = 'arn:aws:secretsmanager:eu-west-3:123456789012:secret:prod/token-AbCdEf'

/** A JSON web token that expires at a time, in seconds since the epoch. */
const jwt = (exp: number, name: string): string =>
  ['{"alg":"none"}', JSON.stringify({ exp, sub: name }), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')

async function startServer(context: TestContext) {
  const server = await startKubernetesServer(
    (url) => ({
      status: 200,
      body: url.startsWith('/version') ? '{"gitVersion":"v1.34.4"}' : '{"kind":"List","items":[]}',
    }),
    '2026-11-24T12:00:00Z',
  )
  context.after(() => server.close())
  return server
}

function open(context: TestContext, apiServer: ApiServerAddress) {
  const windows = [{ since: '2026-11-24T00:00:00Z', minutes: 60 as const }]
  const names = { linkerdNamespace: 'linkerd', vizNamespace: 'linkerd-viz' }
  const access = openCluster(
    { id: 'prod', registeredAt: '2026-11-24T00:00:00Z', apiServer, ...names, windows },
    {
      environment: { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined },
      retryDelayMs: 1,
    },
  )
  context.after(() => access.close())
  /** Whether the API server answers, or the one line that says why it does not. */
  const ask = async (): Promise<string> => {
    try {
      await access.kubernetes.get('/version', { what: 'ask' })
      return 'answered'
    } catch (error) {
      assert.ok(error instanceof SourceError, String(error))
      assert.match(error.message, /^Cannot ask: [^\n]*[^.\n]$/)
      return error.message
    }
  }
  return { access, ask }
}

describe('An API server that is registered by its address', () => {
  test('cluster add keeps its address, its authority and where the token is, and nothing secret', async (context) => {
    const server = await startServer(context)
    const folder = freshFolder(context)
    const file = (name: string, content: string): string => {
      writeFileSync(join(folder, name), content)
      return name
    }
    file('ca.pem', server.ca)
    file('token', `${TOKEN}\n`)
    const command = (...args: string[]) => run(args, { folder })
    const add = (...args: string[]) => command('cluster', 'add', 'prod', ...args)
    const added = await add('--api-server', `${server.url}/`, '--ca', 'ca.pem', '--token-file', 'token')
    assert.deepEqual([added.code, added.stderr.includes(TOKEN)], [0, false], added.stderr)
    const listed = await command('cluster', 'list', '--json')
    assert.deepEqual((JSON.parse(listed.stdout) as { apiServer: unknown }).apiServer, {
      url: server.url,
      ca: server.ca,
      tokenFile: join(folder, 'token'),
    })
    assert.ok((await command('cluster', 'list')).stdout.includes(server.url))
    assert.match((await command('cluster', 'check', 'prod')).stdout, /^√ the API server answers \(v1\.34\.4\)$/m)

    const way = ['--api-server', server.url, '--ca', 'ca.pem', '--token-file', 'token']
    const swapped = (name: string, value: string): string[] =>
      way.map((part, at) => (way[at - 1] === name ? value : part))
    const cases: (readonly string[])[] = [
      way.slice(0, 4),
      way.slice(2),
      swapped('--ca', 'absent.pem'),
      swapped('--api-server', 'https://169.254.169.254'),
    ]
    for (const args of cases) {
      const { code, stderr } = await add(...args)
      assert.equal(code, 2, args.join(' '))
      matchesText(stderr.trimEnd())
    }
  })

  test('it is asked only if its authority signed its certificate', async (context) => {
    const server = await startServer(context)
    const tokenFile = join(freshFolder(context), 'token')
    writeFileSync(tokenFile, TOKEN)
    const other = await makeAuthority()
    matchesText(await open(context, { url: server.url, ca: other.ca, tokenFile }).ask())
    assert.deepEqual(server.asked, [])
    assert.equal(await open(context, { url: server.url, ca: server.ca, tokenFile }).ask(), 'answered')
  })

  test('a token in a file that was renewed is used at once, and one that is refused is told', async (context) => {
    const server = await startServer(context)
    const tokenFile = join(freshFolder(context), 'token')
    const { ask } = open(context, { url: server.url, ca: server.ca, tokenFile })
    writeFileSync(tokenFile, 'old')
    matchesText(await ask())
    assert.equal(server.asked.length, 1)
    writeFileSync(tokenFile, TOKEN)
    assert.equal(await ask(), 'answered')
  })

  test('a token in AWS Secrets Manager is read once, before it expires, and again when it is refused', async (context) => {
    const server = await startServer(context)
    let current = jwt(4_102_444_800, 'first') // 2100
    server.accept((authorization) => authorization === `Bearer ${current}`)
    const asked = await startSecrets(context, () => ({ Name: 'x', SecretString: JSON.stringify({ token: current }) }))
    const { ask, access } = open(context, { url: server.url, ca: server.ca, tokenSecret: ARN })
    assert.deepEqual(await Promise.all([ask(), ask(), ask()]), ['answered', 'answered', 'answered'])
    // The region is that of the ARN.
    assert.deepEqual(asked, [`secretsmanager.GetSecretValue eu-west-3 ${ARN}`])

    current = jwt(4_102_444_800, 'second')
    assert.deepEqual(
      await Promise.all([ask(), ask(), ask(), ask()]),
      Array.from({ length: 4 }, () => 'answered'),
    )
    assert.equal(asked.length, 2)

    // Where it expires within minutes, it is read for each try.
    current = jwt(Date.now() / 1000 + 60, 'third')
    assert.equal(await ask(), 'answered')
    assert.equal(await ask(), 'answered')
    assert.equal(asked.length, 5)
    await access.close()
  })

  test('a token that is refused when a port-forward opens is read again, too', async (context) => {
    const server = await startServer(context)
    const prometheus = await startPrometheusServer(() => ({
      status: 200,
      body: '{"status":"success","data":{"resultType":"vector","result":[]}}',
    }))
    context.after(() => prometheus.close())
    const tokens = [jwt(4_102_444_800, 'first'), jwt(4_102_444_800, 'second')]
    let reads = 0
    await startSecrets(context, () => ({ SecretString: tokens[Math.min(reads++, 1)] }))
    const pod = {
      metadata: {
        name: 'prometheus-0',
        namespace: 'linkerd-viz',
        uid: 'u',
        labels: { component: 'prometheus', 'linkerd.io/extension': 'viz' },
      },
      spec: { containers: [] },
      status: { phase: 'Running', containerStatuses: [{ ready: true }] },
    }
    const own = await startKubernetesServer(
      (url) => ({
        status: 200,
        body: JSON.stringify(url.includes('/pods?') ? { items: [pod] } : { metadata: { name: 'linkerd-viz' } }),
      }),
      '2026-11-24T12:00:00Z',
    )
    context.after(() => own.close())
    own.accept((authorization) => {
      const isForward = own.asked.at(-1)?.includes('/portforward') === true
      return authorization === `Bearer ${isForward ? tokens[1] : tokens[0]}` || authorization === `Bearer ${tokens[1]}`
    })
    own.forward(() => ({ loopbackPort: Number(new URL(prometheus.url).port) }))
    const { access } = open(context, { url: own.url, ca: own.ca, tokenSecret: 'prod/token' })
    const parameters = new URLSearchParams({ query: 'up' })
    assert.match(await access.prometheus.ask('POST', '/api/v1/query', parameters, { what: 'query' }), /success/)
    assert.equal(reads, 2)
    assert.equal(own.asked.filter((url) => url.includes('/portforward')).length, 2)
    assert.equal(server.asked.length, 0)
  })

  test('a secret that cannot be read, or holds no token, is one line without what it holds', async (context) => {
    const server = await startServer(context)
    let answer: object = {}
    await startSecrets(context, () => answer)
    const { ask } = open(context, { url: server.url, ca: server.ca, tokenSecret: 'prod/token' })
    const cases: object[] = [
      { __type: 'ResourceNotFoundException', Message: 'Secrets Manager can’t find the specified secret.' },
      { __type: 'AccessDeniedException', Message: 'User: arn is not authorized' },
      { SecretString: '{"password":"hunter2"}' },
      { SecretString: '{"hunter2' },
      { SecretString: ' \n' },
      { SecretBinary: 'aHVudGVyMg==' },
      { SecretString: 'hunter2\nHost: x' },
      { SecretString: 'hunter2' },
    ]
    for (const given of cases) {
      answer = given
      const said = await ask()
      matchesText(said, TEXT, given)
      assert.ok(!said.includes('hunter2'), said)
    }
    assert.ok(server.asked.length > 0)
    answer = { SecretString: `${TOKEN}\n` }
    assert.equal(await ask(), 'answered')
  })

  test('cachedToken() keeps what holds, and reads again what is refused, has expired or could not be read', async () => {
    let now = 0
    let reads = 0
    const read = async (): Promise<string> => {
      reads++
      if (reads === 1) throw new Error('not yet')
      return reads < 4 ? jwt(now / 1000 + 3600, `${reads}`) : `opaque ${reads}`
    }
    const source = cachedToken(read, () => new Date(now))
    await assert.rejects(source(), /not yet/)
    const [one, two] = await Promise.all([source(), source()])
    assert.deepEqual([one, reads], [two, 2])
    now = 56 * 60_000
    assert.equal(await source(), one)
    now = 57 * 60_000
    const third = await source()
    assert.notEqual(third, one)
    assert.equal(await source(one), third)
    assert.deepEqual(await Promise.all([source(third), source(third)]), ['opaque 4', 'opaque 4'])
    now += 9 * 60_000
    assert.equal(await source(), 'opaque 4')
    now += 60_000
    assert.equal(await source(), 'opaque 5')
  })

  test('expiryOf() reads any text, and believes only a JSON web token', () => {
    assert.equal(expiryOf(jwt(1_800_000_000, 'a')), 1_800_000_000_000)
    for (const token of [
      '',
      'a.b.c',
      'a.e30.c',
      `a.${Buffer.from('{"exp":"1"}').toString('base64url')}.c`,
      'x.y.z.w',
      'a.bnVsbA.c',
    ])
      assert.equal(expiryOf(token), undefined, token)
    fc.assert(
      fc.property(fc.string(), (token) => {
        const expiry = expiryOf(token)
        assert.ok(expiry === undefined || Number.isFinite(expiry))
      }),
    )
  })
})

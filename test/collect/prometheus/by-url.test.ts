import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import type { Cluster, PrometheusAuth } from '../../../lib/model/registry.ts'
import { TOKEN, startKubernetesServer } from '../../support/servers/kubernetes-server.ts'
import type { KubernetesServer } from '../../support/servers/kubernetes-server.ts'
import { startPrometheusServer } from '../../support/servers/prometheus-server.ts'
import { freshFolder } from '../../support/recorder.ts'
import { SourceError } from '../../../lib/net/errors.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const BODY = '{"status":"success","data":{"resultType":"vector","result":[]}}'
const PASSWORD = 'hunter2: a password'

/** A Prometheus behind TLS that wants a token, a password or a client certificate, and files that hold each. */
async function startGuarded(
  context: TestContext,
): Promise<{ server: KubernetesServer; file: (name: string, text: string) => string }> {
  const server = await startKubernetesServer(() => ({ status: 200, body: BODY }), '2026-11-24T12:00:00Z')
  context.after(() => server.close())
  server.accept(`Basic ${Buffer.from(`auditor:${PASSWORD}`).toString('base64')}`)
  const folder = freshFolder(context)
  return {
    server,
    file: (name, text) => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    },
  }
}

function open(context: TestContext, prometheusUrl: string, prometheusAuth: PrometheusAuth, allowedNetworks?: string) {
  const cluster: Cluster = {
    id: 'prod',
    registeredAt: '2026-11-24T00:00:00Z',
    prometheusUrl,
    prometheusAuth,
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
  }
  const environment = {
    kubeconfig: undefined,
    home: undefined,
    serviceHost: undefined,
    servicePort: undefined,
    allowedNetworks,
  }
  const access = openCluster(cluster, { environment, retryDelayMs: 1, prometheusDeadlineMs: 20_000 })
  context.after(() => access.close())
  /** The answer, or the one line that says why there is none. */
  return async (): Promise<string> => {
    try {
      return await access.prometheus.ask('POST', '/api/v1/query', new URLSearchParams({ query: 'up' }), {
        what: 'query up',
      })
    } catch (error) {
      assert.ok(error instanceof SourceError, String(error))
      assert.match(error.message, /^Cannot query up: [^\n]*[^.\n]$/)
      for (const secret of [TOKEN, PASSWORD, Buffer.from(`auditor:${PASSWORD}`).toString('base64')])
        assert.ok(!error.message.includes(secret), error.message)
      return error.message
    }
  }
}

describe('Prometheus by URL', () => {
  test('ask() proves who asks by a token, a password or a client certificate that a file holds', async (context) => {
    const { server, file } = await startGuarded(context)
    const caFile = file('ca.pem', server.ca)
    const ways: PrometheusAuth[] = [
      { caFile, tokenFile: file('token', `${TOKEN}\n`) },
      { caFile, user: 'auditor', passwordFile: file('password', `${PASSWORD}\n`) },
      { caFile, certFile: file('cert.pem', server.client.cert), keyFile: file('key.pem', server.client.key) },
    ]
    for (const auth of ways) assert.equal(await open(context, server.url, auth)(), BODY, JSON.stringify(auth))
    matchesText(await open(context, server.url, { caFile })())
    matchesText(await open(context, server.url, {})())
  })

  test('ask() reads renewed files, without being opened again', async (context) => {
    const { server, file } = await startGuarded(context)
    const tokenFile = file('token', 'old')
    const ask = open(context, server.url, { caFile: file('ca.pem', server.ca), tokenFile })
    assert.match(await ask(), /401/)
    file('token', TOKEN)
    assert.equal(await ask(), BODY)

    const other = await startGuarded(context)
    const keyFile = file('key.pem', other.server.client.key)
    const certFile = file('cert.pem', other.server.client.cert)
    const byCertificate = open(context, server.url, { caFile: file('ca.pem', server.ca), certFile, keyFile })
    assert.match(await byCertificate(), /401/)
    file('key.pem', server.client.key)
    file('cert.pem', server.client.cert)
    assert.equal(await byCertificate(), BODY)
  })

  test('ask() ends with one clear line where a file is no credential', async (context) => {
    const { server, file } = await startGuarded(context)
    const cases: [auth: PrometheusAuth, line: RegExp][] = [
      [{ tokenFile: '/nowhere/token' }, /: the token file of Prometheus "\/nowhere\/token" does not exist$/],
      [{ tokenFile: file('empty', '\n') }, /: the token file of Prometheus ".*empty" is empty$/],
      [
        { tokenFile: file('lines', `${TOKEN}\nHost: x`) },
        /: the token file of Prometheus ".*lines" holds more than one line$/,
      ],
      [{ user: 'a', passwordFile: freshFolder(context) }, /: the password file of Prometheus ".*" is a folder$/],
      [{ caFile: '/nowhere/ca' }, /: the authority of Prometheus "\/nowhere\/ca" does not exist$/],
      [
        { caFile: file('ca', 'x'), certFile: file('c', PASSWORD), keyFile: file('k', PASSWORD) },
        /: the connection to Prometheus at .* failed|cannot be reached/,
      ],
    ]
    for (const [auth, line] of cases) assert.match(await open(context, server.url, auth)(), line)
    assert.deepEqual(server.asked, [])
  })

  test('ask() sends credentials over TLS or to this machine, and nowhere else', async (context) => {
    const { file } = await startGuarded(context)
    const auth = { tokenFile: file('token', TOKEN) }
    const plain = await startPrometheusServer(() => ({ status: 200, body: BODY }))
    context.after(() => plain.close())
    assert.equal(await open(context, plain.url, auth)(), BODY)
    for (const url of [
      'http://prometheus.invalid',
      'http://10.0.0.1:9090',
      'http://localhost.example',
      'http://127.0.0.1.example',
    ])
      assert.equal(
        await open(context, url, auth)(),
        'Cannot query up: credentials would go over plain HTTP: give an address of Prometheus that begins with https',
      )
  })

  test('neither Prometheus nor an API server is looked for at an address that is refused, by number or by name', async (context) => {
    const { server, file } = await startGuarded(context)
    matchesText(await open(context, 'http://169.254.169.254/base', {})())
    const caFile = file('ca.pem', server.ca)
    const byName = server.url.replace('127.0.0.1', 'localhost')
    matchesText(await open(context, byName, { caFile }, '10.0.0.0/8')())
    assert.match(await open(context, byName, { caFile }, '127.0.0.0/8 ::1')(), /401/)
    matchesText(await open(context, server.url, {}, 'nonsense')())
  })
})

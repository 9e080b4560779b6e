import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { makeAuthority } from '../../../demo/replay-kubernetes.ts'
import { keptKeys } from '../../../lib/net/aws.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import type { PrometheusAuth } from '../../../lib/model/registry.ts'
import { run } from '../../support/process/command-line.ts'
import { setEnvironment } from '../../support/process/environment.ts'
import { freshFolder } from '../../support/recorder.ts'
import { signatureProblem } from '../../support/servers/signature.ts'
import type { ReceivedRequest } from '../../support/servers/signature.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const REGION = 'eu-central-1'
const WORKSPACE = '/workspaces/ws-0123abcd-0123-abcd-0123-0123456789ab'
const OWN = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const ROLE = { accessKeyId: 'ASIAEXAMPLE', secretAccessKey: 'secret/of+the+role==', sessionToken: 'token/of+the=role' }

type Asked = ReceivedRequest & { readonly parameters: URLSearchParams }

/** Amazon Managed Prometheus as far as its door: it verifies signatures, and answers numbers. */
async function startManaged(context: TestContext, aheadMs = 0, refuses: readonly string[] = []) {
  const authority = await makeAuthority()
  const asked: Asked[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request
    const body = await text(request)
    const now = new Date(Date.now() + aheadMs)
    const keys = headers.authorization?.includes(ROLE.accessKeyId) === true ? ROLE : OWN
    const problem = refuses.includes(method)
      ? undefined
      : (signatureProblem({ method, url, headers, body }, { ...keys, region: REGION, service: 'aps' }, now) ??
        (keys === ROLE && headers['x-amz-security-token'] !== ROLE.sessionToken ? 'The token is invalid.' : null))
    asked.push({
      method,
      url,
      headers,
      body,
      parameters: new URLSearchParams(method === 'GET' ? url.split('?')[1] : body),
    })
    const value = [Math.floor(now.getTime() / 1000), String(now.getTime() / 1000)]
    const vector = { status: 'success', data: { resultType: 'vector', result: [{ metric: {}, value }] } }
    const [status, sent] =
      problem === undefined ? [405, {}] : problem === null ? [200, vector] : [403, { message: problem }]
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(sent))
  }
  const server = createServer(await authority.issue(), (request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  const { port, close } = await listenOnLoopback(server)
  context.after(close)
  const caFile = join(freshFolder(context), 'ca.pem')
  writeFileSync(caFile, authority.ca)
  return { url: `https://127.0.0.1:${port}${WORKSPACE}`, caFile, asked }
}

/** An STS that lets whoever signs for it assume a role. */
async function startSts(context: TestContext) {
  const asked: { readonly form: URLSearchParams; readonly problem: string | null }[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request)
    const { method = '', url = '', headers } = request
    const problem = signatureProblem(
      { method, url, headers, body },
      { ...OWN, region: REGION, service: 'sts' },
      new Date(),
    )
    asked.push({ form: new URLSearchParams(body), problem })
    const { accessKeyId, secretAccessKey, sessionToken } = ROLE
    response
      .writeHead(200, { 'content-type': 'text/xml' })
      .end(
        `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken>${sessionToken}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
      )
  }
  const server = createHttpServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  const { port, close } = await listenOnLoopback(server)
  context.after(close)
  return { asked, endpoint: `http://127.0.0.1:${port}` }
}

function open(context: TestContext, prometheusUrl: string, prometheusAuth: PrometheusAuth) {
  const windows = [{ since: '2026-11-24T00:00:00Z', minutes: 60 as const }]
  const names = { linkerdNamespace: 'linkerd', vizNamespace: 'linkerd-viz' }
  const access = openCluster(
    { id: 'prod', registeredAt: '2026-11-24T00:00:00Z', prometheusUrl, prometheusAuth, ...names, windows },
    {
      environment: { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined },
      retryDelayMs: 1,
    },
  )
  context.after(() => access.close())
  return (method: 'GET' | 'POST', query: string): Promise<string> =>
    access.prometheus.ask(method, '/api/v1/query', new URLSearchParams({ query, time: '1' }), { what: 'query up' })
}

const OWN_KEYS = {
  AWS_ACCESS_KEY_ID: OWN.accessKeyId,
  AWS_SECRET_ACCESS_KEY: OWN.secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
}

describe('Amazon Managed Prometheus', () => {
  test('ask() signs each request as it is sent, also what is no letter, by POST and by GET', async (context) => {
    setEnvironment(context, OWN_KEYS)
    const { url, caFile, asked } = await startManaged(context)
    const ask = open(context, url, { caFile, sigv4Region: REGION })
    const queries = ['up', 'count(up{job="a b+c&d=e", x!~"ü|%20|*\'()"}) / 2', '']
    for (const query of queries)
      for (const method of ['POST', 'GET'] as const) assert.match(await ask(method, query), /"status":"success"/)
    assert.deepEqual(
      asked.map(({ method, parameters }) => [method, parameters.get('query')]),
      queries.flatMap((query) => [
        ['POST', query],
        ['GET', query],
      ]),
    )
    assert.ok(asked.every((one) => one.url.startsWith(`${WORKSPACE}/api/v1/query`)))
  })

  test('what AWS refuses is one line with a hint and without a key', async (context) => {
    const refused = async (aheadMs: number, region = REGION): Promise<string> => {
      const { url, caFile } = await startManaged(context, aheadMs)
      const line = await open(context, url, { caFile, sigv4Region: region })('POST', 'up').then(
        () => assert.fail('was answered'),
        (error: unknown) => String(error),
      )
      assert.match(line, /^SourceError: Cannot query up: [^\n]*[^.\n]$/)
      assert.ok(!line.includes(OWN.secretAccessKey))
      return line
    }
    setEnvironment(context, OWN_KEYS)
    const hint = '; the clock of this machine is wrong by minutes, set it by NTP$'
    assert.match(
      await refused(6 * 60_000),
      new RegExp(`403 Forbidden from Prometheus, "Signature expired: .* is now earlier than .*"${hint}`),
    )
    assert.match(await refused(-6 * 60_000), new RegExp(`"Signature not yet current: .* is still later .*"${hint}`))
    matchesText(await refused(0, 'eu-west-1'))
    setEnvironment(context, { ...OWN_KEYS, AWS_SECRET_ACCESS_KEY: 'another' })
    matchesText(await refused(0))
  })

  test('keptKeys() asks once for as long as keys hold, and again after a failure', async () => {
    let now = 0
    let asked = 0
    const keys = keptKeys(
      async () => {
        if (asked++ === 0) throw new Error('not yet')
        return { ...OWN, accessKeyId: `KEY${asked}`, expiration: new Date(now + 3_600_000) }
      },
      () => new Date(now),
    )
    const names = async (minutes: number) => {
      now = minutes * 60_000
      return (await Promise.all([keys(), keys()])).map(({ accessKeyId }) => accessKeyId)
    }
    await assert.rejects(names(0), /not yet/)
    assert.deepEqual(await names(0), ['KEY2', 'KEY2'])
    assert.deepEqual(await names(56.9), ['KEY2', 'KEY2'])
    assert.deepEqual(await names(57), ['KEY3', 'KEY3'])
    assert.deepEqual(await names(100), ['KEY3', 'KEY3'])
  })

  test('a role is assumed first, and a registration holds its name and no key', async (context) => {
    const { url, caFile, asked } = await startManaged(context, 0, ['POST'])
    const sts = await startSts(context)
    const folder = freshFolder(context)
    const command = (...args: string[]) =>
      run(args, { folder, env: { ...OWN_KEYS, AWS_ENDPOINT_URL_STS: sts.endpoint } })
    const arn = 'arn:aws:iam::123456789012:role/auditor'
    const way = ['--prometheus-url', url, '--prometheus-ca-file', caFile, '--prometheus-sigv4', REGION]
    const added = await command('cluster', 'add', 'prod', ...way, '--prometheus-role', arn)
    assert.equal(added.code, 0, added.stderr)
    const listed = await command('cluster', 'list', '--json')
    assert.deepEqual((JSON.parse(listed.stdout) as { prometheusAuth: unknown }).prometheusAuth, {
      caFile,
      sigv4Region: REGION,
      sigv4RoleArn: arn,
    })
    const { stdout } = await command('cluster', 'check', 'prod')
    matchesText(stdout)
    // Where only GET passes, what was signed is the query in the address.
    assert.deepEqual(new Set(asked.map(({ method }) => method)), new Set(['POST', 'GET']))
    assert.deepEqual(
      sts.asked.map(({ form, problem }) => [form.get('Action'), form.get('RoleArn'), problem]),
      [['AssumeRole', arn, null]],
    )

    const without = await run(['cluster', 'check', 'prod'], { folder, env: { AWS_EC2_METADATA_DISABLED: 'true' } })
    matchesText(without.stdout)
  })
})

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { openConnections } from '../../../lib/net/connections.ts'
import { describeEks, describeHeaders, eksCredentials, eksToken } from '../../../lib/collect/cluster/by-eks.ts'
import type { AwsKeys } from '../../../lib/net/aws.ts'
import type { SentCredentials } from '../../../lib/net/credential-files.ts'
import type { EksCluster } from '../../../lib/model/registry.ts'
import { run } from '../../support/process/command-line.ts'
import { startKubernetesServer } from '../../support/servers/kubernetes-server.ts'
import { freshFolder } from '../../support/recorder.ts'
import { errorText, matchesText } from '../../support/texts/matches-text.ts'

const NOW = new Date('2026-11-24T12:34:56.789Z')
const PROD: EksCluster = { name: 'prod', region: 'eu-central-1' }
const KEYS: AwsKeys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const SESSION: AwsKeys = {
  accessKeyId: 'ASIAEXAMPLE',
  secretAccessKey: 'secret/with+signs==',
  sessionToken: 'session/token+with=signs&more',
}

/** The address in a token. */
const addressOf = (token: string): URL => {
  const [, encoded] = /^k8s-aws-v1\.([-\w]+)$/.exec(token) ?? []
  assert.ok(encoded, token)
  return new URL(Buffer.from(encoded, 'base64url').toString())
}

/** Which key signed a token that is sent. */
const keyIn = ({ headers }: SentCredentials): string | null =>
  addressOf(headers['authorization']?.replace(/^Bearer /, '') ?? '')
    .searchParams.get('X-Amz-Credential')
    ?.split('/')[0] ?? null

/** What botocore 1.43 signs for the same clusters, keys and time. */
const signed: [cluster: EksCluster, keys: AwsKeys, host: string, signature: string][] = [
  [PROD, KEYS, 'sts.eu-central-1.amazonaws.com', 'fbda9d8bec04b58c6326795627584326990fa995267d9f60ec997914c7ba873d'],
  [
    { name: 'a_B-9', region: 'us-east-1' },
    SESSION,
    'sts.us-east-1.amazonaws.com',
    '40c3dedee619343c8f5b3fc3648dcfa0355100358a47335c96fbba466f25273a',
  ],
  [
    { name: 'prod', region: 'cn-north-1' },
    KEYS,
    'sts.cn-north-1.amazonaws.com.cn',
    '4c891c79d2089d1b79a218baf0e9c9a7fbb5bc6613cfe00934093f070f78660c',
  ],
]

/** An EKS that answers as told, and what it was asked. */
async function startEks(context: TestContext, answer: () => { status: number; body: string }) {
  const asked: IncomingMessage[] = []
  const server = createServer((request, response) => {
    asked.push(request)
    const { status, body } = answer()
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  const { port, close } = await listenOnLoopback(server)
  context.after(close)
  return { asked, endpoint: `http://127.0.0.1:${port}` }
}

describe('The way into an EKS cluster', () => {
  test('eksToken() signs as AWS wants it, for the region, the cluster and the keys', () => {
    for (const [cluster, keys, host, signature] of signed) {
      const { protocol, host: asked, pathname, searchParams } = addressOf(eksToken(cluster, keys, NOW))
      assert.deepEqual([protocol, asked, pathname], ['https:', host, '/'])
      assert.deepEqual(Object.fromEntries(searchParams), {
        Action: 'GetCallerIdentity',
        Version: '2011-06-15',
        'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
        'X-Amz-Credential': `${keys.accessKeyId}/20261124/${cluster.region}/sts/aws4_request`,
        'X-Amz-Date': '20261124T123456Z',
        'X-Amz-Expires': '60',
        'X-Amz-SignedHeaders': 'host;x-k8s-aws-id',
        'X-Amz-Signature': signature,
        ...(keys.sessionToken === undefined ? {} : { 'X-Amz-Security-Token': keys.sessionToken }),
      })
    }
  })

  test('describeHeaders() signs as AWS wants it', () => {
    const signatures = [KEYS, SESSION].map((keys) => {
      const headers = describeHeaders({ name: 'a_B-9', region: 'eu-central-1' }, keys, NOW)
      return headers['authorization']?.replace(/^.*Signature=/, '')
    })
    assert.deepEqual(signatures, [
      '9fec115b866915d7aa0d84ef1a40a21dfe872ad64d15596ed802b569a602de53',
      'bf653db552311092b2a96d417fb099daa553533a4ee901e03834ca1bfeac0cc5',
    ])
  })

  test('eksCredentials() keeps a token for twelve minutes, then signs another, with the keys of that time', async () => {
    let minutes = 0
    let asked = 0
    const credentials = eksCredentials(PROD, {
      keys: async () => ({ ...KEYS, accessKeyId: `KEY${++asked}` }),
      now: () => new Date(NOW.getTime() + minutes * 60_000),
    })
    const keyAt = async (at: number): Promise<string | undefined> => {
      minutes = at
      const { headers, secrets } = await credentials()
      const token = headers['authorization']?.replace(/^Bearer /, '') ?? ''
      assert.deepEqual(secrets, [token])
      return addressOf(token).searchParams.get('X-Amz-Credential')?.split('/')[0]
    }
    assert.deepEqual([await keyAt(0), await keyAt(11), await keyAt(12)], ['KEY1', 'KEY1', 'KEY1'])
    assert.deepEqual([await keyAt(12.1), await keyAt(24), await keyAt(24.2)], ['KEY2', 'KEY2', 'KEY3'])
  })

  test('eksCredentials() signs anew where the keys of a token end, which is before it does', async () => {
    const at = (minutes: number): Date => new Date(NOW.getTime() + minutes * 60_000)
    let minutes = 0
    let asked = 0
    const credentials = eksCredentials(PROD, {
      keys: async () => ({ ...KEYS, accessKeyId: `KEY${++asked}`, expiration: at(minutes + 8) }),
      now: () => at(minutes),
    })
    const keys: (string | null)[] = []
    for (minutes of [0, 5, 5.1, 10.1, 10.2]) keys.push(keyIn(await credentials()))
    assert.deepEqual(keys, ['KEY1', 'KEY1', 'KEY2', 'KEY2', 'KEY3'])
  })

  test('eksCredentials() signs anew where a token was refused, once a minute and with keys that are asked for anew', async () => {
    let seconds = 0
    const sources: (string | undefined)[] = []
    const credentials = eksCredentials(PROD, {
      keys: async (refused) => {
        sources.push(refused?.accessKeyId)
        return { ...KEYS, accessKeyId: `KEY${sources.length}` }
      },
      now: () => new Date(NOW.getTime() + seconds * 1000),
    })
    const first = await credentials()
    const refuse = ({ headers }: typeof first): ReturnType<typeof credentials> => credentials(headers['authorization'])
    // Several requests are refused at once.
    const [second, besides] = await Promise.all([refuse(first), refuse(first)])
    assert.deepEqual([keyIn(first), keyIn(second), sources.slice(0, 2)], ['KEY1', 'KEY2', [undefined, 'KEY1']])
    assert.notEqual(keyIn(besides), 'KEY1')
    const known = await credentials()
    assert.deepEqual(await refuse(first), known)
    seconds = 59
    assert.deepEqual(await refuse(known), known)
    assert.deepEqual(await credentials(), known)
    const before = sources.length
    seconds = 61
    assert.equal(keyIn(await refuse(known)), `KEY${before + 1}`)
    assert.equal(sources.at(-1), keyIn(known))
  })

  test('keys that cannot be found are one line without a secret, and are looked for again', async () => {
    let tries = 0
    const credentials = eksCredentials(PROD, {
      keys: async () => {
        if (tries++ === 0) throw new Error('Could not load\ncredentials //user:pw@host')
        return KEYS
      },
      now: () => NOW,
    })
    await assert.rejects(credentials(), errorText({ name: 'SetupError' }))
    assert.ok((await credentials()).headers['authorization'])
  })

  test('describeEks() says what is wrong in one line', async (context) => {
    const connections = openConnections()
    context.after(() => connections.close())
    const limits = { deadlineMs: 20_000, maxBytes: 1_000_000, retryDelayMs: 1 }
    const cases: [status: number, body: string][] = [
      [403, `{"message":"not ${SESSION.secretAccessKey}"}`],
      [404, '{"message":"No cluster found"}'],
      [200, '{"cluster":{"status":"CREATING"}}'],
      [200, '{"cluster":{"endpoint":"http://plain","certificateAuthority":{"data":"eA=="}}}'],
      [200, '{'],
    ]
    for (const [status, body] of cases) {
      const { endpoint, asked } = await startEks(context, () => ({ status, body }))
      const deps = { endpoint, newPool: connections.newPool, limits, keys: async () => SESSION, now: () => NOW }
      await assert.rejects(describeEks(PROD, deps), errorText({ name: 'SetupError' }, body))
      assert.equal(asked[0]?.url, '/clusters/prod')
    }
  })

  test('a cluster that is registered by its name in EKS is found, trusted and asked with a token of its own', async (context) => {
    const kubernetes = await startKubernetesServer(
      (url) => ({
        status: 200,
        body: url.startsWith('/version') ? '{"gitVersion":"v1.34.4-eks"}' : '{"kind":"List","items":[]}',
      }),
      '2026-11-24T12:00:00Z',
    )
    context.after(() => kubernetes.close())
    const tokens: URL[] = []
    kubernetes.accept((authorization) => {
      if (!authorization.startsWith('Bearer k8s-aws-v1.')) return false
      tokens.push(addressOf(authorization.slice('Bearer '.length)))
      return true
    })
    const data = Buffer.from(kubernetes.ca).toString('base64')
    const described = { cluster: { endpoint: kubernetes.url, certificateAuthority: { data } } }
    const eks = await startEks(context, () => ({ status: 200, body: JSON.stringify(described) }))
    const options = {
      folder: freshFolder(context),
      env: {
        AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
        AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_ENDPOINT_URL_EKS: eks.endpoint,
      },
    }
    const command = (...args: string[]) => run(args, options)
    assert.equal((await command('cluster', 'add', 'prod', '--kubeconfig', 'old')).code, 0)
    assert.equal((await command('cluster', 'add', 'prod', '--eks', 'prod', '--eks-region', 'eu-central-1')).code, 0)
    assert.match((await command('cluster', 'list')).stdout, / EKS eu-central-1 prod +port-forward +off\n$/)
    const { stdout } = await command('cluster', 'check', 'prod')
    assert.match(stdout, /^√ the API server answers \(v1\.34\.4-eks\)$/m)
    assert.equal(eks.asked.length, 1)
    assert.match(
      eks.asked[0]?.headers.authorization ?? '',
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/eks\//,
    )
    assert.deepEqual([...new Set(tokens.map(({ host }) => host))], ['sts.eu-central-1.amazonaws.com'])

    const without = await run(['cluster', 'check', 'prod'], { ...options, env: { AWS_EC2_METADATA_DISABLED: 'true' } })
    matchesText(without.stdout)
  })

  test('a token that an EKS cluster refuses is replaced by one that is signed with the keys of that moment', async (context) => {
    const kubernetes = await startKubernetesServer(
      (url) => ({
        status: 200,
        body: url.startsWith('/version') ? '{"gitVersion":"v1.34.4-eks"}' : '{"kind":"List","items":[]}',
      }),
      '2026-11-24T12:00:00Z',
    )
    context.after(() => kubernetes.close())
    const tokens: string[] = []
    kubernetes.accept((authorization) => {
      tokens.push(authorization)
      return keyIn({ headers: { authorization }, secrets: [] }) !== 'REVOKED'
    })
    const data = Buffer.from(kubernetes.ca).toString('base64')
    const described = { cluster: { endpoint: kubernetes.url, certificateAuthority: { data } } }
    const eks = await startEks(context, () => ({ status: 200, body: JSON.stringify(described) }))
    // As a container gets its keys: these end in an hour, and other ones took their place.
    let given = 0
    const role = await startEks(context, () => ({
      status: 200,
      body: JSON.stringify({
        AccessKeyId: given++ === 0 ? 'REVOKED' : 'RENEWED',
        SecretAccessKey: SESSION.secretAccessKey,
        Token: SESSION.sessionToken,
        Expiration: '2100-01-01T00:00:00Z',
      }),
    }))
    const options = {
      folder: freshFolder(context),
      env: {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: role.endpoint,
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_ENDPOINT_URL_EKS: eks.endpoint,
      },
    }
    const added = await run(['cluster', 'add', 'prod', '--eks', 'prod', '--eks-region', 'eu-central-1'], options)
    assert.equal(added.code, 0, added.stderr)
    tokens.length = given = 0
    const { stdout } = await run(['cluster', 'check', 'prod'], options)
    assert.match(stdout, /^√ the API server answers \(v1\.34\.4-eks\)$/m)
    assert.equal(given, 2)
  })
})

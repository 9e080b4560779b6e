import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, readConfig } from '../lib/config.ts'
import { run } from './support/process/command-line.ts'
import { setEnvironment } from './support/process/environment.ts'
import { freshFolder } from './support/recorder.ts'
import { errorText, matchesText } from './support/texts/matches-text.ts'

const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/0d8a7c1e-0000-4000-8000-000000000001'

/** Each variable with a text that it may have. */
const GOOD = {
  CIPHERTRAIL_STORE: 's3://evidence?derived=derived',
  CIPHERTRAIL_KEY: 'log.key',
  AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9000',
  AWS_ENDPOINT_URL: 'https://aws.example.com',
  KUBECONFIG: 'a:b',
  HOME: '/home/ada',
  USERPROFILE: 'C:\\ada',
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  AWS_ENDPOINT_URL_EKS: 'https://eks.example.com',
  CIPHERTRAIL_URL: 'https://ct.example.com/',
  CIPHERTRAIL_MAIL: 'mail.json',
  CIPHERTRAIL_MAIL_FROM: 'ct@example.com',
  CIPHERTRAIL_MAIL_FROM_NAME: 'ct',
  CIPHERTRAIL_CONFIGURATION_SET: 'set',
  AWS_REGION: 'eu-central-1',
  CIPHERTRAIL_ALLOWED_NETWORKS: '10.0.0.0/8, fd00::/8',
  FORCE_COLOR: '1',
  CIPHERTRAIL_KMS_KEY: ARN,
  CIPHERTRAIL_LOG_NAME: 'example.com/log',
  CIPHERTRAIL_TIME_ZONE: 'Europe/Berlin',
  CIPHERTRAIL_COLLECT_QUEUE: 'https://sqs.eu-central-1.amazonaws.com/111122223333/collect',
  CIPHERTRAIL_DELIVER_QUEUE: 'http://127.0.0.1:9324/111122223333/deliver',
  CIPHERTRAIL_PACK_QUEUE: 'http://127.0.0.1:9324/111122223333/pack',
  CIPHERTRAIL_API_CLAIM: 'https://example.com/clusters',
  CIPHERTRAIL_API_ISSUER: 'https://login.example.com',
  CIPHERTRAIL_API_AUDIENCE: 'a,b',
  CIPHERTRAIL_SIGN_IN_KEY: 'sign-in-key',
  CIPHERTRAIL_SIGN_IN_CLIENT: 'pages',
  CIPHERTRAIL_SIGN_IN_SCOPE: 'openid clusters',
  CIPHERTRAIL_SIGN_IN_SECRET: 'sign-in-secret',
  PATH: '/bin',
  CIPHERTRAIL_LOG_HEAD: 'head',
  CIPHERTRAIL_TSA: 'http://tsa.example.com/tsr',
  CIPHERTRAIL_TSA_HTTP: 'allow',
  CIPHERTRAIL_TSA_POLICY: '1.2.840.113549.1.9.16.3.4',
  CIPHERTRAIL_TSA_CA: 'tsa.pem',
  CIPHERTRAIL_TRUST: 'trust',
  CIPHERTRAIL_TRUST_KEY: 'alias/trust',
  CIPHERTRAIL_CREDENTIALS: '/etc/ciphertrail',
  CIPHERTRAIL_BUDGET: 'series=80000 samples=2000000, depth=64',
  CIPHERTRAIL_SECRETS: 'ciphertrail/, arn:aws:secretsmanager:eu-central-1:111122223333:secret:token-AbCdEf',
} as const

test('readConfig() takes an empty variable for absent, and gives plugins what programs and clouds need', (context) => {
  const names = Object.keys(GOOD)
  setEnvironment(context, Object.fromEntries(names.map((name) => [name, ''])))
  const { pluginEnvironment: _, ...values } = readConfig()
  assert.deepEqual(new Set(Object.values(values)), new Set([undefined]))
  setEnvironment(context, GOOD)
  const { pluginEnvironment, ...told } = readConfig()
  // A plugin gets what programs and clouds need, and nothing of ours.
  assert.deepEqual([pluginEnvironment['HOME'], pluginEnvironment['AWS_REGION']], [GOOD.HOME, GOOD.AWS_REGION])
  assert.deepEqual(
    Object.keys(pluginEnvironment).filter((name) => name.startsWith('CIPHERTRAIL_')),
    [],
  )
  assert.deepEqual(told, {
    store: GOOD.CIPHERTRAIL_STORE,
    key: GOOD.CIPHERTRAIL_KEY,
    s3Endpoint: GOOD.AWS_ENDPOINT_URL_S3,
    kubeconfig: GOOD.KUBECONFIG,
    home: GOOD.HOME,
    serviceHost: GOOD.KUBERNETES_SERVICE_HOST,
    servicePort: GOOD.KUBERNETES_SERVICE_PORT,
    eksEndpoint: GOOD.AWS_ENDPOINT_URL_EKS,
    url: GOOD.CIPHERTRAIL_URL,
    mail: GOOD.CIPHERTRAIL_MAIL,
    mailFrom: GOOD.CIPHERTRAIL_MAIL_FROM,
    mailFromName: GOOD.CIPHERTRAIL_MAIL_FROM_NAME,
    configurationSet: GOOD.CIPHERTRAIL_CONFIGURATION_SET,
    region: GOOD.AWS_REGION,
    allowedNetworks: GOOD.CIPHERTRAIL_ALLOWED_NETWORKS,
    forceColor: GOOD.FORCE_COLOR,
    kmsKey: GOOD.CIPHERTRAIL_KMS_KEY,
    logName: GOOD.CIPHERTRAIL_LOG_NAME,
    timeZone: GOOD.CIPHERTRAIL_TIME_ZONE,
    collectQueue: GOOD.CIPHERTRAIL_COLLECT_QUEUE,
    deliverQueue: GOOD.CIPHERTRAIL_DELIVER_QUEUE,
    packQueue: GOOD.CIPHERTRAIL_PACK_QUEUE,
    apiClaim: GOOD.CIPHERTRAIL_API_CLAIM,
    apiIssuer: GOOD.CIPHERTRAIL_API_ISSUER,
    apiAudience: GOOD.CIPHERTRAIL_API_AUDIENCE,
    signInKey: GOOD.CIPHERTRAIL_SIGN_IN_KEY,
    signInClient: GOOD.CIPHERTRAIL_SIGN_IN_CLIENT,
    signInScope: GOOD.CIPHERTRAIL_SIGN_IN_SCOPE,
    signInSecret: GOOD.CIPHERTRAIL_SIGN_IN_SECRET,
    searchPath: GOOD.PATH,
    logHead: GOOD.CIPHERTRAIL_LOG_HEAD,
    tsa: GOOD.CIPHERTRAIL_TSA,
    tsaHttp: GOOD.CIPHERTRAIL_TSA_HTTP,
    tsaPolicy: GOOD.CIPHERTRAIL_TSA_POLICY,
    tsaCertificates: GOOD.CIPHERTRAIL_TSA_CA,
    trust: GOOD.CIPHERTRAIL_TRUST,
    trustKey: GOOD.CIPHERTRAIL_TRUST_KEY,
    credentials: GOOD.CIPHERTRAIL_CREDENTIALS,
    secrets: GOOD.CIPHERTRAIL_SECRETS,
    budget: GOOD.CIPHERTRAIL_BUDGET,
  })
})

/** What none of the variables may be. */
const WRONG: Readonly<Record<string, readonly string[]>> = {
  CIPHERTRAIL_STORE: ['s3:/evidence', 'https://evidence', 's3://evidence?lock=maybe', 's3://key:secret@evidence'],
  AWS_ENDPOINT_URL_S3: ['127.0.0.1:9000', 'ftp://s3.example.com', 'https://key:secret@s3.example.com'],
  AWS_ENDPOINT_URL: ['no url'],
  AWS_ENDPOINT_URL_EKS: ['eks.example.com'],
  KUBERNETES_SERVICE_HOST: ['https://10.96.0.1', 'a b', '-'],
  KUBERNETES_SERVICE_PORT: ['0', '65536', 'https', '44 3', 'tcp://10.96.0.1:443'],
  CIPHERTRAIL_URL: ['ct.example.com', 'https://ada:secret@ct.example.com', 'https://ct.example.com/?a=b'],
  AWS_REGION: ['eu central', 'eu-central-1\n'],
  CIPHERTRAIL_ALLOWED_NETWORKS: ['10.0.0.0/33', '10.0.0.0/8; fd00::/8', 'example.com', ','],
  CIPHERTRAIL_KMS_KEY: ['arn:aws:s3:::evidence', 'arn:aws:kms:eu-central-1:1111:key/a', 'alias/', 'a b'],
  CIPHERTRAIL_TRUST_KEY: ['arn:aws:kms:eu-central-1:111122223333:grant/a', 'trust/key'],
  CIPHERTRAIL_LOG_HEAD: ['arn:aws:ssm:eu-central-1:1111:parameter/a', 'arn:aws:s3:::head', 'arn:'],
  CIPHERTRAIL_TSA: ['tsa.example.com', 'ftp://tsa.example.com', 'https://ada:secret@tsa.example.com'],
  CIPHERTRAIL_TSA_HTTP: ['yes', 'true'],
  CIPHERTRAIL_TSA_POLICY: ['1', '3.1', '1.2.', 'sha256'],
  CIPHERTRAIL_LOG_NAME: ['https://example.com/log', 'example.com/', 'ex ample'],
  CIPHERTRAIL_TIME_ZONE: ['Europe/Brelin', 'here'],
  CIPHERTRAIL_COLLECT_QUEUE: [
    'arn:aws:sqs:eu-central-1:111122223333:collect',
    'https://sqs.eu-central-1.amazonaws.com',
  ],
  CIPHERTRAIL_DELIVER_QUEUE: ['deliver'],
  CIPHERTRAIL_PACK_QUEUE: ['pack'],
  CIPHERTRAIL_API_CLAIM: ['my clusters', 'cl\u00fcsters'],
  CIPHERTRAIL_SECRETS: ['ciphertrail/*', 'a;b'],
  CIPHERTRAIL_BUDGET: ['series', 'series=0', 'series=-1', 'series=1e9', 'toString=1', 'depth=1001', 'answer=600000000'],
}

test('readConfig() says in one line which variable cannot be used, what it is, what is wanted and what to do', (context) => {
  setEnvironment(context, GOOD)
  for (const [name, texts] of Object.entries(WRONG))
    for (const text of texts) {
      process.env[name] = text
      assert.throws(
        readConfig,
        (error) => {
          assert.ok(error instanceof ConfigError, text)
          assert.match(error.message, new RegExp(`^Cannot use ${name} "[^\\n]+": [^\\n]*wanted [^\\n]+$`))
          return !error.message.includes('secret@')
        },
        `${name} ${text}`,
      )
      process.env[name] = GOOD[name as keyof typeof GOOD]
    }
  readConfig()
  process.env['CIPHERTRAIL_TIME_ZONE'] = 'Europe/Brelin'
  assert.throws(readConfig, errorText())
})

test('a command does nothing where a variable cannot be used', async (context) => {
  const env = { CIPHERTRAIL_ALLOWED_NETWORKS: '10.0.0.0/33' }
  const ran = await run(['cluster', 'add', 'prod'], { folder: freshFolder(context), env })
  assert.deepEqual([ran.code, ran.stdout], [2, ''])
  matchesText(ran.stderr)
})

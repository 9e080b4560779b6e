/**
 * The roles of the template against the code: every handler runs under its own role, on servers that refuse what the role does not allow and note what
 * was asked. So each call is allowed, and what no call needs is found.
 */
import assert from 'node:assert/strict'
import { hash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, after, before, mock, test } from 'node:test'
import { SETTLE_SECONDS, toSeconds, toTime } from '../../lib/time/windows.ts'
import { claimDelivery, readDelivery, settleDelivery } from '../../lib/deliver/send/claims.ts'
import type { Snapshot } from '../../lib/model/snapshot.ts'
import type { Window } from '../../lib/model/time.ts'
import { listAttempts, readSnapshot, writeAttempt } from '../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { evidenceKey, recentKey } from '../../lib/store/keys.ts'
import { writeCapture } from '../../lib/store/evidence/captures.ts'
import { addChannel, readChannels } from '../../lib/deliver/channel/channels.ts'
import { listDownloads, makeDownload } from '../../lib/deliver/link/downloads.ts'
import { linkKey } from '../../lib/deliver/link/link-key.ts'
import { unsubscribePath } from '../../lib/deliver/link/unsubscribe-links.ts'
import { readSuppressions, suppress, suppressionOf } from '../../lib/deliver/channel/suppressions.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { openStore } from '../store/objects/open-s3.ts'
import { type Resource, grantsOf, packagedTemplate, resolved } from '../support/aws/cloudformation.ts'
import { WEEK, keepPdf } from '../support/deliver/kept-report.ts'
import { bounceEvent, enveloped } from '../support/deliver/ses-events.ts'
import { type DemoMesh, startDemoMesh } from '../support/mesh/demo-mesh.ts'
import { captureOf } from '../support/truth/captures.ts'
import { run } from '../support/process/command-line.ts'
import { batchOf, capturedLog, contextOf, requestOf } from '../support/aws/lambda.ts'
import { type RequestContext, covers, lockOf } from '../support/aws/iam-policy.ts'
import { KEY_ARN, type KmsServer, startKmsServer, TRUST_KEY_ARN } from '../support/servers/kms-server.ts'
import { HEAD_PARAMETER_ARN, type SsmServer, startSsmServer } from '../support/servers/ssm-server.ts'
import { snapshotOf } from '../support/stored/sealed-store.ts'
import { WINDOW } from '../support/mesh/synthetic-pods.ts'
import { type GatewayHandler, startApiGateway } from '../support/aws/api-gateway.ts'
import { CLIENT, startOidcServer } from '../support/sign-in/oidc-server.ts'
import { plainBrowser } from '../support/sign-in/plain-browser.ts'
import { setEnvironment } from '../support/process/environment.ts'
import { vouchFor } from '../support/stored/trusted-store.ts'
import { TOKEN } from '../support/servers/kubernetes-server.ts'
import { type S3Server, startS3Server } from '../support/servers/s3-server.ts'
import { linksKey } from '../../lib/store/delivery-keys.ts'
import { packKey } from '../../lib/store/report-keys.ts'
import { readPackState } from '../../lib/pack/pack-state.ts'

const STORE = 's3://evidencebucket?derived=derivedbucket'
const GIVEN = {
  EksClusters: 'arn:aws:eks:eu-central-1:111122223333:cluster/prod',
  ClusterRoles: 'arn:aws:iam::444455556666:role/reader',
  TokenSecrets: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:token-AbCdEf',
  PrometheusWorkspaces: 'arn:aws:aps:eu-central-1:111122223333:workspace/ws-1',
  VpcSubnets: 'subnet-1',
  MailFrom: 'ciphertrail@example.com',
  AlertTopics: 'arn:aws:sns:eu-central-1:111122223333:alerts',
  WebhookSecrets: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:hook-AbCdEf',
  ApiIssuer: 'https://login.example.com',
  SignInClient: CLIENT.id,
  SignInSecret: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:client-AbCdEf',
}

/** What the code asked for, by the function that did: actions and resources. */
type Call = { readonly action: string; readonly resource: string; readonly context?: RequestContext | undefined }

let template: Readonly<Record<string, Resource>>
let s3: S3Server
let kms: KmsServer
let ssm: SsmServer
let other: Awaited<ReturnType<typeof startOtherServices>>
let mesh: DemoMesh
let objects: Objects
/** Whether Prometheus of the mesh fails at everything. */
let isDown = false

before(async () => {
  template = resolved(await packagedTemplate(), GIVEN)
  ;[s3, kms, ssm, other, mesh] = await Promise.all([
    startS3Server(),
    startKmsServer(),
    startSsmServer(),
    startOtherServices(),
    startDemoMesh({ changeMetrics: (answer) => (isDown ? { status: 503, body: '' } : answer) }),
  ])
  setClock(toTime(toSeconds(mesh.windows.at(-1)?.end ?? '') + SETTLE_SECONDS))
  s3.makeBucket('evidencebucket')
  s3.makeBucket('derivedbucket', { hasLock: false })
  Object.assign(process.env, s3.env, {
    AWS_ENDPOINT_URL_KMS: kms.url,
    AWS_ENDPOINT_URL_SSM: ssm.url,
    AWS_ENDPOINT_URL_STS: other.url,
    AWS_ENDPOINT_URL_EKS: other.url,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: other.url,
    CIPHERTRAIL_STORE: STORE,
    CIPHERTRAIL_KMS_KEY: KEY_ARN,
    CIPHERTRAIL_LOG_NAME: 'example.com/log',
    CIPHERTRAIL_LOG_HEAD: HEAD_PARAMETER_ARN,
    CIPHERTRAIL_TRUST_KEY: TRUST_KEY_ARN,
    CIPHERTRAIL_SECRETS: GIVEN.TokenSecrets,
    // The SDK asks wherever the queue's URL leads.
    CIPHERTRAIL_COLLECT_QUEUE: `${other.url}/111122223333/CollectQueue`,
    CIPHERTRAIL_DELIVER_QUEUE: `${other.url}/111122223333/DeliverQueue`,
    CIPHERTRAIL_PACK_QUEUE: `${other.url}/111122223333/PackQueue`,
    AWS_ENDPOINT_URL_SESV2: other.url,
    AWS_ENDPOINT_URL_SNS: other.url,
    CIPHERTRAIL_MAIL_FROM: GIVEN.MailFrom,
    CIPHERTRAIL_CONFIGURATION_SET: 'MailConfiguration',
    CIPHERTRAIL_URL: 'https://ct.example.com',
    POWERTOOLS_METRICS_NAMESPACE: 'test',
  })
  objects = openStore(STORE)
})
after(() => Promise.all([s3, kms, ssm, other, mesh].map((server) => server.close())))

/** Handlers read the clock of their machine: here it stands still, in the week of the recording, until the next call. */
function setClock(time: string): void {
  mock.timers.reset()
  mock.timers.enable({ apis: ['Date'], now: Date.parse(time) })
  s3.setNow(new Date(time))
  mesh.kubernetes.setTime(time)
}

/** The other services of AWS that the code asks: notes what is asked, and answers as little as will do. */
async function startOtherServices() {
  const calls: Call[] = []
  const sent: string[] = []
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const {
        asked,
        answer,
        messages = [],
      } = answerTo(
        String(request.headers['x-amz-target']),
        request.url ?? '',
        request.headers.authorization ?? '',
        body,
      )
      calls.push(...asked)
      sent.push(...messages)
      response.writeHead(answer === undefined ? 403 : 200, { 'content-type': 'application/x-amz-json-1.0' })
      response.end(answer ?? '{"message":"not now"}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    sent,
    close: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

type Answered = { readonly asked: readonly Call[]; readonly answer?: string; readonly messages?: readonly string[] }

function answerTo(target: string, url: string, authorization: string, body: string): Answered {
  const [, service = 'unknown'] = /\/([a-z]+)\/aws4_request/.exec(authorization) ?? []
  const own = 'eu-central-1:111122223333'
  switch (service) {
    case 'sqs': {
      const {
        QueueUrl,
        MessageBody: only = '',
        Entries = [{ Id: 'm', MessageBody: only }],
      } = JSON.parse(body) as {
        QueueUrl: string
        MessageBody?: string
        Entries?: { Id: string; MessageBody: string }[]
      }
      // A batch wants the permission of one message.
      const action = target.replace('AmazonSQS.', 'sqs:').replace(/Batch$/, '')
      const Successful = Entries.map(({ Id, MessageBody }) => ({
        Id,
        MessageId: Id,
        MD5OfMessageBody: hash('md5', MessageBody),
      }))
      return {
        asked: [{ action, resource: `arn:aws:sqs:${own}:${QueueUrl.split('/').at(-1) ?? ''}` }],
        answer: JSON.stringify(
          target.endsWith('Batch')
            ? { Successful, Failed: [] }
            : { MessageId: 'm', MD5OfMessageBody: hash('md5', only) },
        ),
        messages: Entries.map(({ MessageBody }) => MessageBody),
      }
    }
    case 'secretsmanager': {
      const { SecretId } = JSON.parse(body) as { SecretId: string }
      return {
        asked: [{ action: target.replace('secretsmanager.', 'secretsmanager:'), resource: SecretId }],
        answer: JSON.stringify({ SecretString: TOKEN }),
      }
    }
    case 'ses': {
      const {
        FromEmailAddress: fromAddress,
        Destination: { ToAddresses: to },
        ConfigurationSetName: set,
      } = JSON.parse(body) as {
        FromEmailAddress: string
        Destination: { ToAddresses: readonly string[] }
        ConfigurationSetName: string
      }
      const domain = fromAddress.replace(/^.*@/, '')
      // Whichever of the sender's is verified, in SES' sandbox the recipient's, too; and a message in bytes wants the action of API version 1.
      const identities = [fromAddress, domain, ...to].map((name) => `identity/${name}`)
      const asked = [...identities, `configuration-set/${set}`].flatMap((name) =>
        ['ses:SendEmail', 'ses:SendRawEmail'].map((action) => ({
          action,
          resource: `arn:aws:ses:${own}:${name}`,
          context: { fromAddress },
        })),
      )
      return { asked, answer: JSON.stringify({ MessageId: 'm' }) }
    }
    case 'sns': {
      const form = new URLSearchParams(body)
      const answer =
        '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>'
      return { asked: [{ action: `sns:${form.get('Action') ?? ''}`, resource: form.get('TopicArn') ?? '' }], answer }
    }
    case 'sts': {
      const form = new URLSearchParams(body)
      const answer = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>y</SessionToken><Expiration>2199-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
      return { asked: [{ action: `sts:${form.get('Action') ?? ''}`, resource: form.get('RoleArn') ?? '' }], answer }
    }
    case 'eks':
      return {
        asked: [
          { action: 'eks:DescribeCluster', resource: `arn:aws:eks:${own}:cluster/${url.split('/').at(-1) ?? ''}` },
        ],
      }
    case 'aps':
      return {
        asked: [{ action: 'aps:QueryMetrics', resource: `arn:aws:aps:${own}:workspace/${url.split('/')[2] ?? ''}` }],
      }
    default:
      return { asked: [{ action: `${service}:${target}`, resource: url }] }
  }
}

/** What a call on S3 needs, as S3 judges it: a condition and a lock want permissions of their own, and encryption one on the key of the buckets. */
function neededFor({ action, step, bucket, key, headers }: S3Server['requests'][number]): Call[] {
  const place = `arn:aws:s3:::${bucket === 'evidencebucket' ? 'EvidenceBucket' : 'DerivedBucket'}`
  const dataKey = 'arn:aws:kms:eu-central-1:111122223333:key/DataKey'
  const object = `${place}/${key}`
  const lock = lockOf(headers, new Date())
  return [
    {
      action,
      resource: action === 's3:ListBucket' ? place : object,
      context:
        action === 's3:PutObject'
          ? {
              ifNoneMatch: headers['if-none-match'],
              ifMatch: headers['if-match'],
              isCreation: step === undefined || step === 'complete',
              ...lock,
            }
          : undefined,
    },
    ...(headers['if-match'] === undefined ? [] : [{ action: 's3:GetObject', resource: object }]),
    ...(headers['x-amz-object-lock-mode'] === undefined
      ? []
      : [{ action: 's3:PutObjectRetention', resource: object, context: lock }]),
    ...(action === 's3:GetObject' || action === 's3:GetObjectVersion'
      ? [{ action: 'kms:Decrypt', resource: dataKey }]
      : []),
    ...(action === 's3:PutObject' ? [{ action: 'kms:GenerateDataKey', resource: dataKey }] : []),
  ]
}

/** What Lambda itself does with a function's role, by what else the template says of that function. */
function usedByLambda(name: string): Call[] {
  const id = `${name}LambdaFunction`
  const properties = template[id]?.Properties ?? {}
  const calls: Call[] = ['CreateLogStream', 'PutLogEvents'].map((action) => ({
    action: `logs:${action}`,
    resource: `arn:aws:logs:eu-central-1:111122223333:log-group:${String(template[`${name}LogGroup`]?.Properties['LogGroupName'])}:log-stream:x`,
  }))
  if (properties['TracingConfig']?.Mode === 'Active')
    for (const action of ['PutTraceSegments', 'PutTelemetryRecords'])
      calls.push({ action: `xray:${action}`, resource: '*' })
  if (properties['VpcConfig'] !== undefined)
    for (const action of [
      'CreateNetworkInterface',
      'DescribeNetworkInterfaces',
      'DescribeSubnets',
      'DeleteNetworkInterface',
      'AssignPrivateIpAddresses',
      'UnassignPrivateIpAddresses',
    ])
      calls.push({ action: `ec2:${action}`, resource: '*' })
  for (const { Type, Properties } of Object.values(template)) {
    if (Type === 'AWS::Lambda::EventInvokeConfig' && Properties['FunctionName'] === id)
      calls.push({ action: 'sqs:SendMessage', resource: Properties['DestinationConfig'].OnFailure.Destination })
    if (Type === 'AWS::Lambda::EventSourceMapping' && Properties['FunctionName'].endsWith(`:${id}`))
      for (const action of ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'])
        calls.push({ action: `sqs:${action}`, resource: Properties['EventSourceArn'] })
  }
  return calls
}

/** Runs a function under its role: whatever that does not allow is refused. Gives each thing that the role allows and nobody needed. */
async function runAs(name: string, run: () => Promise<void>): Promise<void> {
  const grants = grantsOf(template).filter(({ role }) => role === `${name}Role`)
  const unused = new Set(
    grants.flatMap(({ action, resources }) => resources.map((resource) => `${action} on ${resource}`)),
  )
  const refused = new Set<string>()
  const need = ({ action, resource, context = {} }: Call): boolean => {
    const allowing = grants
      .filter((grant) => grant.action === action && grant.holds(context))
      .flatMap(({ resources }) => resources.filter((pattern) => covers(pattern, resource)))
    for (const pattern of allowing) unused.delete(`${action} on ${pattern}`)
    if (allowing.length === 0) refused.add(`${action} on ${resource}`)
    return allowing.length > 0
  }
  s3.forget()
  kms.asked.length = 0
  ssm.asked.length = 0
  other.calls.length = 0
  s3.permit((action, resource, context = {}) => {
    const named = resource.replace('evidencebucket', 'EvidenceBucket').replace('derivedbucket', 'DerivedBucket')
    return need({ action, resource: named, context })
  })
  try {
    await run()
  } finally {
    s3.permit(() => true)
  }
  for (const request of s3.requests) for (const call of neededFor(request)) need(call)
  for (const { action, members } of kms.asked) {
    const key = members['KeyId'] === TRUST_KEY_ARN ? 'TrustKey' : 'SigningKey'
    need({ action: `kms:${action}`, resource: `arn:aws:kms:eu-central-1:111122223333:key/${key}` })
  }
  for (const { action, members } of ssm.asked) {
    const [parameter = ''] = String(members['Name']).split(':')
    need({ action: `ssm:${action}`, resource: `arn:aws:ssm:eu-central-1:111122223333:parameter${parameter}` })
  }
  for (const call of other.calls) need(call)
  if (template[`${name}LambdaFunction`] !== undefined) for (const call of usedByLambda(name)) need(call)
  assert.deepEqual([...refused], [], `${name} needs what its role does not allow`)
  assert.deepEqual([...unused].toSorted(), [], `the role of ${name} allows what nobody needs`)
}

/** A snapshot of a cluster of ten hours before a window of five minutes. */
function longAgo(cluster: string, { start }: Window): Snapshot {
  return snapshotOf(cluster, Math.round((toSeconds(start) - toSeconds(WINDOW.start)) / 300) - 120)
}

const SCHEDULED = { time: '' }

test('who registers clusters is allowed that and to vouch for them, and nothing else', async () => {
  const operator = (...args: string[]) =>
    run(args, { folder: mesh.folder, now: new Date().toISOString(), env: { ...s3.env, ...OPERATOR } })
  const OPERATOR = { AWS_ENDPOINT_URL_KMS: kms.url, CIPHERTRAIL_STORE: STORE, CIPHERTRAIL_TRUST_KEY: TRUST_KEY_ARN }
  await runAs('Operator', async () => {
    for (const args of [
      ['cluster', 'add', 'registered', '--kubeconfig', mesh.kubeconfig],
      ['cluster', 'add', 'registered', '--window', '5m'],
      ['cluster', 'trust', 'registered'],
      ['cluster', 'remove', 'registered'],
      ['cluster', 'list'],
    ]) {
      const { code, stderr } = await operator(...args)
      assert.equal(code, 0, stderr)
    }
  })
})

test('collect is allowed what it asks of the store and of every way into a cluster, and nothing else', async (t) => {
  capturedLog(t)
  const [first] = mesh.windows
  assert.ok(first)
  const author = { now: new Date(first.start), by: 'tester' }
  await addCluster(
    { id: 'shop', kubeconfig: mesh.kubeconfig, prometheusUrl: mesh.prometheus.url, windowMinutes: 5 },
    author,
    { objects },
  )
  await addCluster(
    {
      id: 'prod',
      eks: { name: 'prod', region: 'eu-central-1', roleArn: GIVEN.ClusterRoles },
      prometheusUrl: `${other.url}/workspaces/ws-1`,
      prometheusAuth: { sigv4Region: 'eu-central-1' },
      windowMinutes: 5,
    },
    author,
    { objects },
  )
  await addCluster(
    {
      id: 'token',
      apiServer: { url: mesh.kubernetes.url, ca: mesh.kubernetes.ca, tokenSecret: GIVEN.TokenSecrets },
      windowMinutes: 5,
    },
    author,
    { objects },
  )
  await vouchFor(STORE, objects)
  // Evidence that is old enough for the months: whoever finds no state, as after an upgrade, makes these as well.
  await writeAttempt(longAgo('shop', first), { objects })
  const { handler } = await import('../../functions/collect.ts')
  await runAs('Collect', async () => {
    isDown = true
    const down = await handler(batchOf({ cluster: 'shop', window: first, attempt: 1 }), contextOf())
    isDown = false
    const rest = await handler(
      batchOf(
        ...mesh.windows.map((window) => ({ cluster: 'shop', window, attempt: 2 })),
        ...['prod', 'token'].map((cluster) => ({ cluster, window: first, attempt: 1 })),
      ),
      contextOf(),
    )
    assert.deepEqual([down, rest], [{ batchItemFailures: [] }, { batchItemFailures: [] }])
  })
  // For plan: one attempt that nobody derived from, and a cluster of which nothing is derived.
  const { key } = (await listAttempts(first, 'shop', { objects })).map((id) => ({ key: evidenceKey(id) }))[0] ?? {}
  const snapshot = await readSnapshot(key ?? '', objects)
  const last = mesh.windows.at(-1) ?? first
  await addCluster({ id: 'late', kubeconfig: mesh.kubeconfig, windowMinutes: 5 }, author, { objects })
  await writeAttempt({ ...snapshot, cluster: 'late', window: last }, { objects })
  await writeAttempt(longAgo('late', first), { objects })
  SCHEDULED.time = toTime(toSeconds(last.end) + 1200)
})

/** A channel whose mail is due at that time, and somebody who left another one. */
async function addOps(): Promise<void> {
  const author = { now: new Date('2026-11-20T00:00:00Z'), by: 'tester' }
  await addChannel(
    { id: 'ops', recipients: ['ada@example.com', 'bob@example.com'], hasDownloads: true, attachesPdf: true },
    author,
    objects,
  )
  await suppress({ recipient: `r${'0'.repeat(32)}`, channel: 'old', reason: 'unsubscribed' }, author.now, objects)
}

test('plan is allowed what it asks, and nothing else', async (t) => {
  capturedLog(t)
  const { handler } = await import('../../functions/plan.ts')
  await addOps()
  await runAs('Plan', async () => {
    await handler(SCHEDULED, contextOf())
  })
  assert.ok(other.sent.some((message) => message.includes('"late"')))
  assert.ok(other.sent.includes('{"channel":"ops","week":"2026-W47"}'))
})

test('seal is allowed what it asks, and nothing else', async (t) => {
  capturedLog(t)
  const { handler } = await import('../../functions/seal.ts')
  await runAs('Seal', async () => {
    await handler(SCHEDULED, contextOf())
    await handler(SCHEDULED, contextOf())
  })
})

test('compact is allowed what it asks, and nothing else', async (t) => {
  capturedLog(t)
  const { handler } = await import('../../functions/compact.ts')
  await runAs('Compact', async () => {
    await handler(SCHEDULED, contextOf())
  })
})

test('report is allowed what it asks, and nothing else', async (t) => {
  capturedLog(t)
  const { handler } = await import('../../functions/report.ts')
  const time = toTime(toSeconds(SCHEDULED.time) + 7 * 24 * 3600)
  // Of one that was just registered nothing is there, which S3 tells only to those who may list.
  const author = { now: new Date(SCHEDULED.time), by: 'tester' }
  await addCluster({ id: 'silent', kubeconfig: mesh.kubeconfig, windowMinutes: 5 }, author, { objects })
  // What a capture showed, whose addresses are named by the lists around it.
  for (const { id } of await readClusters({ objects }))
    await writeCapture(captureOf({ cluster: id, from: toTime(toSeconds(SCHEDULED.time) - 60) }), objects)
  // A collector may have died before it, or be of an earlier version: this step and all below then read months and results.
  for (const { id } of await readClusters({ objects })) await objects.remove(recentKey(id))
  await runAs('Report', async () => {
    await handler({ time }, contextOf())
    await handler({ time }, contextOf())
  })
})

test('deliver is allowed what it asks, and sends as nobody else than whom mail is from', async (t) => {
  capturedLog(t)
  // The week of the meshes, with the captures of the test of reports.
  setClock(toTime(toSeconds(SCHEDULED.time) + 7 * 24 * 3600))
  const { handler } = await import('../../functions/deliver.ts')
  await runAs('Deliver', async () => {
    const answer = await handler(batchOf({ channel: 'ops', week: '2026-W48' }), contextOf())
    assert.deepEqual(answer, { batchItemFailures: [] })
  })
  // Two mails, each judged for the sender, the domain, the recipient and the configuration set.
  assert.equal(other.calls.filter(({ action }) => action === 'ses:SendEmail').length, 2 * 4)
  assert.equal((await listDownloads(objects)).downloads.length, 2)
})

test('feedback is allowed what it asks, and nothing else: no address', async (t) => {
  const log = capturedLog(t)
  const { handler } = await import('../../functions/feedback.ts')
  const now = new Date(SCHEDULED.time)
  await addChannel({ id: 'pay', recipients: ['ada@example.com'] }, { now, by: 'tester' }, objects)
  const [channel] = await readChannels(objects)
  const tags = { kind: 'week', period: '2026-W47', channel: 'pay', recipient: channel?.recipients[0] ?? '' } as const
  const held = (await claimDelivery(tags, { now, mayRepeat: false }, objects)) ?? assert.fail()
  await settleDelivery(held, { status: 'sent', detail: 'ses-1' }, now, objects)
  const event = bounceEvent('Permanent', 'General', { tags, messageId: 'ses-1', to: 'ada@example.com' })
  const unknown = { ...event, mail: { ...event.mail, tags: { ...event.mail.tags, channel: ['other'] } } }
  await runAs('Feedback', async () => {
    assert.deepEqual(await handler(batchOf(enveloped(JSON.stringify(event)), event, unknown, 'no JSON'), contextOf()), {
      batchItemFailures: [],
    })
  })
  assert.equal((await readDelivery(tags, now, objects))?.status, 'bounced')
  assert.ok(!log.text().includes('ada@'))
})

test('alert is allowed what it asks, and nothing else', async (t) => {
  const log = capturedLog(t)
  setClock(SCHEDULED.time)
  const webhook = { url: 'https://127.0.0.1:1/hook', secret: GIVEN.WebhookSecrets }
  const author = { now: new Date('2026-11-20T00:00:00Z'), by: 'tester' }
  await addChannel({ id: 'ops', webhook, snsTopic: GIVEN.AlertTopics }, author, objects)
  // Of the week whose report was made above.
  await addChannel({ id: 'siem', webhook, webhookFormat: 'ocsf' }, author, objects)
  // Whoever is first makes the key of the links.
  await objects.remove(linksKey)
  const { handler } = await import('../../functions/alert.ts')
  await runAs('Alert', async () => {
    await handler(SCHEDULED, contextOf())
    await handler(SCHEDULED, contextOf())
  })
  assert.partialDeepStrictEqual(log.lines()[0], { problems: [], posted: 0, notPosted: 1 })
})

let packed: string

test('pack is allowed what it asks, and nothing else', async (t) => {
  capturedLog(t)
  const keys: string[] = []
  for await (const key of objects.list('reports/')) keys.push(key)
  packed = keys.at(-1) ?? assert.fail()
  // So much that it is uploaded in parts: evidence of a window of long ago.
  const [first = assert.fail()] = mesh.windows
  const { window } = longAgo('shop', { ...first, start: toTime(toSeconds(first.start) - 3600) })
  await objects.putOnce(evidenceKey({ window, cluster: 'shop', attempt: 1 }), randomBytes(9 * 1024 * 1024))
  const { handler: seal } = await import('../../functions/seal.ts')
  await seal({ time: toTime(toSeconds(SCHEDULED.time) + 7 * 24 * 3600 + 60) }, contextOf())
  const { handler } = await import('../../functions/pack.ts')
  await runAs('Pack', async () => {
    let parts = 0
    // All but the first: an answer that is late is not waited for, and the part is sent again.
    s3.misbehave(({ step }) => (step === 'part' && ++parts > 1 ? { status: 403, code: 'AccessDenied' } : undefined))
    const failed = await handler(batchOf({ report: packed }), contextOf())
    assert.deepEqual(failed, { batchItemFailures: [{ itemIdentifier: 'm0' }] })
    s3.misbehave(() => undefined)
    assert.equal(s3.unfinished('derivedbucket'), 0, 'nobody pays for what was not finished')
    for (let times = 0; times < 2; times++)
      assert.deepEqual(await handler(batchOf({ report: packed }), contextOf()), { batchItemFailures: [] })
  })
  const state = await readPackState(packed, objects)
  assert.equal(state.status, 'made', JSON.stringify(state))
})
/** Signs somebody in over API Gateway, and looks at each page. */
async function lookAtPages(t: TestContext): Promise<void> {
  const issuer = await startOidcServer(t, () => new Date())
  const gateway = await startApiGateway(t)
  const variables = template['QueryLambdaFunction']?.Properties['Environment'].Variables as Record<string, string>
  setEnvironment(t, {
    ...Object.fromEntries(Object.entries(variables).filter(([name]) => name.startsWith('CIPHERTRAIL_SIGN_IN_'))),
    CIPHERTRAIL_API_ISSUER: issuer.url,
    CIPHERTRAIL_URL: gateway.url,
  })
  const withPages = '../../functions/query.ts?pages'
  gateway.lead(((await import(withPages)) as { handler: GatewayHandler }).handler)
  const browser = plainBrowser()
  const visit = (path: string) => browser.visit(new URL(path, gateway.url))
  assert.equal((await visit('/sign-in')).status, 200)
  for (const path of [
    '/clusters',
    '/paths?class=all',
    '/workloads',
    '/flow',
    '/changes',
    '/reports',
    '/log',
    '/v1/reports',
  ]) {
    const { status, text: page } = await visit(path)
    assert.equal(status, 200, `${path}: ${page}`)
  }
  const [, line = ''] = /<a href="(\/paths\/[^"]+)"/.exec((await visit('/paths')).text) ?? []
  assert.equal((await visit(line)).status, 200, line)
}

test('query is allowed what it asks, and nothing else', async (t) => {
  const log = capturedLog(t)
  // No address expires, however slow this machine is: the clock stands still.
  setClock(SCHEDULED.time)
  const { handler } = await import('../../functions/query.ts')
  const { MAX_BODY_BYTES } = await import('../../functions/lambda.ts')
  const ask = async (address: string) => {
    const { statusCode = 0, body = '' } = await handler(requestOf(address), contextOf())
    assert.equal(statusCode, 200, `${address}: ${Buffer.from(body, 'base64').toString()}`)
    return Buffer.from(body, 'base64').toString()
  }
  const large = Buffer.alloc(MAX_BODY_BYTES + 1, '%PDF')
  const id = (await keepPdf(objects, WEEK, large)).replace(/^reports\/(.*)\.json$/, '$1')
  const attempt = evidenceKey({ window: mesh.windows[0] ?? assert.fail(), cluster: 'large', attempt: 1 })
  await objects.putOnce(attempt, large)
  await runAs('Query', async () => {
    for (const address of [
      '/',
      '/health',
      '/v1/clusters',
      '/v1/checkpoint',
      `/v1/paths?cluster=shop&from=${mesh.windows[0]?.start ?? ''}`,
      '/v1/edges?cluster=shop',
      '/v1/clusters/shop/coverage',
      '/v1/waivers',
    ])
      await ask(address)
    const paths = JSON.parse(await ask(`/v1/paths?cluster=shop&from=${mesh.windows[0]?.start ?? ''}`)) as {
      items: { evidence: string[] }[]
    }
    const evidence = `/v1/${paths.items.flatMap((row) => row.evidence)[0] ?? ''}`
    for (const address of [evidence, `${evidence}/proof`, evidence.replace(/\/[^/]*$/, '')]) await ask(address)
    const { items } = JSON.parse(await ask('/v1/reports')) as { items: { id: string }[] }
    assert.equal(items.length, 2)
    await ask(`/v1/reports/${items.find((one) => one.id !== id)?.id ?? ''}/html`)
    const press = async (path: string) => {
      const link = requestOf(path) as { requestContext: { http: object } }
      return handler({ ...link, requestContext: { ...link.requestContext, http: { method: 'POST' } } }, contextOf())
    }
    const path = unsubscribePath({ channel: 'ops', recipient: `r${'1'.repeat(32)}` }, await linkKey(objects))
    assert.equal((await press(path)).statusCode, 200)
    // Not of whom the test of what comes back silenced.
    const silenced = await readSuppressions(objects)
    const { downloads } = await listDownloads(objects)
    const { report, recipient } =
      downloads.find((one) => suppressionOf(silenced, one.recipient, 'ops') === undefined) ?? assert.fail()
    const made = new Date(SCHEDULED.time)
    const wanted = { report, channel: 'ops', recipient, expiresAt: '2199-01-01T00:00:00Z' }
    const token = await makeDownload(wanted, made, objects)
    assert.match(await ask(`/d/${token}`), /<button/)
    const { statusCode, headers } = await press(`/d/${token}`)
    assert.equal(statusCode, 303)
    const location = String(headers?.['location'])
    assert.match(await ask(`/d/${location}`), /^%PDF/)
    // More than Lambda hands over is given by S3 to whoever has the address, with the rights of the function.
    const sent = await handler(requestOf(`/v1/reports/${id}/pdf`), contextOf())
    assert.equal(sent.statusCode, 303)
    const given = await fetch(String(sent.headers?.['location']))
    assert.ok(given.status === 200 && large.equals(Buffer.from(await given.arrayBuffer())))
    const leads = await handler(requestOf(`/v1/${attempt}`), contextOf())
    const whole = await fetch(String(leads.headers?.['location']))
    assert.ok(whole.status === 200 && large.equals(Buffer.from(await whole.arrayBuffer())))
    const place = `/v1/reports/${packed.replace(/^reports\/(.*)\.json$/, '$1')}/pack`
    const pack = await handler(requestOf(place), contextOf())
    const zip = await fetch(String(pack.headers?.['location']))
    assert.match(Buffer.from(await zip.arrayBuffer()).toString('latin1'), /^PK/)
    // Where nothing is told of one, it is asked for.
    s3.meddle('derivedbucket', packKey(packed, 'outcome.json'), null)
    assert.equal((await press(place)).statusCode, 202)
    assert.deepEqual(other.sent.at(-1), JSON.stringify({ report: packed }))
    await lookAtPages(t)
    assert.ok(!log.text().includes('X-Amz-'), 'no log has an address')
    for (const secret of [path.split('/').at(-1), token, /\.([^./]{43})\//.exec(location)?.[1]])
      assert.ok(secret !== undefined && !log.text().includes(secret), 'no log has a link')
  })
})

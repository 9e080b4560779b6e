import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { functionNames } from '../../infra/package-functions.ts'
import { CLAIM_SECONDS } from '../../lib/deliver/send/claims.ts'
import { DOWNLOAD_SECONDS } from '../../lib/deliver/link/downloads.ts'
import { PAGE_SLACK_SECONDS } from '../../lib/observed/page-times.ts'
import { SETTLE_SECONDS } from '../../lib/time/windows.ts'
import { WINDOW_MINUTES } from '../../lib/model/time.ts'
import { recentKey, registryKey, trustKey } from '../../lib/store/keys.ts'
import { parseParameterArn } from '../../lib/seal/write/parameter-arn.ts'
import { compareText } from '../../lib/text/order.ts'
import { parseAddress, retainUntil } from '../../lib/store/objects/s3/address.ts'
import { type Resource, grantsOf, packagedTemplate, resolved } from '../support/aws/cloudformation.ts'
import { covers } from '../support/aws/iam-policy.ts'
import { downloadsPrefix, linksKey, recipientsKey } from '../../lib/store/delivery-keys.ts'
import { packsPrefix } from '../../lib/store/report-keys.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const template = await packagedTemplate()
const all = resolved(template)
const guide = readFileSync(join(import.meta.dirname, '../../docs/aws.md'), 'utf8')

function ofType(type: string, resources = all): (readonly [id: string, properties: Resource['Properties']])[] {
  return Object.entries(resources).flatMap(([id, { Type, Properties }]) =>
    Type === type ? [[id, Properties] as const] : [],
  )
}
const FROM = 'ciphertrail@example.com'

const logicalId = (name: string): string => `${name.charAt(0).toUpperCase()}${name.slice(1)}`

test('each function runs its own zip on arm64 with Node 24, under a role of its own, and its log is kept', () => {
  const functions = ofType('AWS::Lambda::Function')
  assert.deepEqual(
    functions.map(([id]) => id).toSorted(),
    functionNames()
      .map((name) => `${logicalId(name)}LambdaFunction`)
      .toSorted(),
  )
  for (const [id, properties] of functions) {
    const name = id.replace('LambdaFunction', '')
    assert.deepEqual([properties['Runtime'], properties['Architectures']], ['nodejs24.x', ['arm64']], id)
    assert.match(properties['Code'].S3Key, new RegExp(`/${name.toLowerCase()}\\.zip$`))
    assert.equal(properties['Role'], `arn:aws:iam::111122223333:role/${name}Role`)
    assert.equal(properties['TracingConfig'].Mode, 'Active')
    assert.equal(all[`${name}LogGroup`]?.Properties['RetentionInDays'], 400)
    assert.equal(properties['VpcConfig'], undefined)
  }
  const inVpc = resolved(template, { VpcSubnets: 'subnet-1,subnet-2', VpcSecurityGroups: 'sg-1' })
  for (const [id, properties] of ofType('AWS::Lambda::Function', inVpc))
    assert.deepEqual(properties['VpcConfig'], { SecurityGroupIds: ['sg-1'], SubnetIds: ['subnet-1', 'subnet-2'] }, id)
})

test('the store that functions get is the one that the template makes, locked as the bucket is', () => {
  for (const [given, mode, days] of [
    [{}, 'GOVERNANCE', 397],
    [{ Retention: '6-years' }, 'GOVERNANCE', 2192],
    [{ LockMode: 'compliance-that-nobody-can-end' }, 'COMPLIANCE', 397],
  ] as const) {
    const resources = resolved(template, given)
    for (const [, properties] of ofType('AWS::Lambda::Function', resources)) {
      const address = parseAddress(
        properties['Environment'].Variables.CIPHERTRAIL_STORE.replace('EvidenceBucket', 'evidence').replace(
          'DerivedBucket',
          'derived',
        ),
      )
      assert.deepEqual(
        [address?.evidence.bucket, address?.derived.bucket, address?.lock?.mode.toUpperCase()],
        ['evidence', 'derived', mode],
      )
      // Never shorter than what objects ask for themselves, whatever months they fall into.
      assert.ok(address?.lock)
      for (const now of ['2027-01-31T00:00:00Z', '2027-07-01T00:00:00Z', '2028-02-29T00:00:00Z']) {
        const asked = (retainUntil(address.lock.retention, new Date(now)).getTime() - Date.parse(now)) / 86_400_000
        assert.ok(asked <= days && days - asked < 3.5, `${asked} days`)
      }
    }
    assert.deepEqual(resources['EvidenceBucket']?.Properties['ObjectLockConfiguration'], {
      ObjectLockEnabled: 'Enabled',
      Rule: { DefaultRetention: { Mode: mode, Days: days } },
    })
  }
  assert.deepEqual((template.Parameters['LockMode'] as { AllowedValues?: unknown } | undefined)?.AllowedValues, [
    'governance',
    'compliance-that-nobody-can-end',
  ])
  matchesText(template.Parameters['LockMode']?.Description)
})

test('both buckets have versions and are encrypted, closed to the public and to requests without TLS, and outlive the stack', () => {
  for (const id of ['EvidenceBucket', 'DerivedBucket']) {
    const bucket = all[id]?.Properties ?? {}
    assert.equal(all[id]?.DeletionPolicy, 'Retain')
    assert.deepEqual(bucket['VersioningConfiguration'], { Status: 'Enabled' })
    assert.deepEqual(new Set(Object.values(bucket['PublicAccessBlockConfiguration'])), new Set([true]))
    assert.equal(Object.keys(bucket['PublicAccessBlockConfiguration']).length, 4)
    const [encryption] = bucket['BucketEncryption'].ServerSideEncryptionConfiguration
    assert.equal(encryption.ServerSideEncryptionByDefault.SSEAlgorithm, 'aws:kms')
    assert.match(encryption.ServerSideEncryptionByDefault.KMSMasterKeyID, /DataKey$/)
    const [tls] = all[`${id}Policy`]?.Properties['PolicyDocument'].Statement ?? []
    assert.deepEqual(tls, {
      Sid: 'OnlyByTls',
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:*',
      Resource: [`arn:aws:s3:::${id}`, `arn:aws:s3:::${id}/*`],
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    })
  }
  for (const id of ['SigningKey', 'DataKey']) assert.equal(all[id]?.DeletionPolicy, 'Retain')
  assert.deepEqual(
    [all['SigningKey']?.Properties['KeySpec'], all['SigningKey']?.Properties['KeyUsage']],
    ['ECC_NIST_EDWARDS25519', 'SIGN_VERIFY'],
  )
})

test('nothing that is locked is to expire before its lock ends, and the log never does', () => {
  for (const given of [{}, { EvidenceExpires: 'yes' }, { EvidenceExpires: 'yes', Retention: '6-years' }]) {
    const bucket = resolved(template, given)['EvidenceBucket']?.Properties ?? {}
    const locked = bucket['ObjectLockConfiguration'].Rule.DefaultRetention.Days as number
    for (const rule of bucket['LifecycleConfiguration'].Rules as Resource['Properties'][]) {
      if (rule['Status'] === 'Disabled' || rule['AbortIncompleteMultipartUpload'] !== undefined) continue
      assert.ok(rule['Prefix'] === 'log/checkpoint' || rule['Prefix'] === 'evidence/', JSON.stringify(rule))
      if (rule['Prefix'] === 'evidence/') assert.ok(rule['ExpirationInDays'] > locked && 'EvidenceExpires' in given)
      else
        assert.ok(rule['ExpirationInDays'] === undefined && rule['NoncurrentVersionExpiration'].NoncurrentDays > locked)
    }
  }
})

test('a link is removed once it was over for two months, a pack after days of choice, and nothing else of what is derived', () => {
  for (const [given, packDays] of [
    [{}, '30'],
    [{ PackDays: '400' }, '400'],
  ] as const) {
    const { DerivedBucket = assert.fail() } = resolved(template, given)
    const rules = DerivedBucket.Properties['LifecycleConfiguration'].Rules as Resource['Properties'][]
    const expiring = rules.filter((rule) => rule['ExpirationInDays'] !== undefined)
    assert.deepEqual(
      expiring.map((rule) => [rule['Prefix'], rule['Status'], rule['ExpirationInDays']]),
      [
        [downloadsPrefix, 'Enabled', DOWNLOAD_SECONDS / 86_400 + 60],
        [packsPrefix, 'Enabled', packDays],
      ],
    )
    // A window replaces the object before.
    const recent = rules.find((rule) => recentKey('prod').startsWith(String(rule['Prefix'] ?? 'none')))
    assert.deepEqual(recent?.['NoncurrentVersionExpiration'], { NoncurrentDays: 1 })
    // A removed pack costs until its version is gone.
    assert.deepEqual(expiring[1]?.['NoncurrentVersionExpiration'], { NoncurrentDays: 1 })
  }
})

/** The lock that the template asks for by default, when it begins. */
const LOCKED = { lockMode: 'GOVERNANCE', lockedDays: 395 }

test('a lock is asked for as the bucket locks, in its mode and for as long, by whoever writes evidence', () => {
  for (const [given, mode, days] of [
    [{}, 'GOVERNANCE', [393, 397]],
    [{ LockMode: 'compliance-that-nobody-can-end' }, 'COMPLIANCE', [393, 397]],
    [{ Retention: '6-years' }, 'GOVERNANCE', [2191, 2192]],
  ] as const) {
    const own = resolved(template, given)
    const { EvidenceBucket = assert.fail() } = own
    const { Days } = EvidenceBucket.Properties['ObjectLockConfiguration'].Rule.DefaultRetention as { Days: number }
    const locking = grantsOf(own).filter(({ action }) => action === 's3:PutObjectRetention')
    assert.deepEqual(locking.map(({ role }) => role).toSorted(compareText), [
      'CollectRole',
      'OperatorRole',
      'ReportRole',
      'SealRole',
    ])
    for (const { role, holds } of locking) {
      for (const lockedDays of [...days, Days]) assert.ok(holds({ lockMode: mode, lockedDays }), role)
      const other = mode === 'GOVERNANCE' ? 'COMPLIANCE' : 'GOVERNANCE'
      for (const context of [
        {},
        { lockMode: mode },
        { lockMode: other, lockedDays: Days },
        { lockMode: mode, lockedDays: 1 },
        { lockMode: mode, lockedDays: days[0] - 10 },
        { lockMode: mode, lockedDays: Days + 10 },
        { lockMode: mode, lockedDays: 36_500 },
      ])
        assert.ok(!holds(context), `${role}: ${JSON.stringify(context)}`)
    }
  }
  // What collects writes attempts at windows, and no captures of packets, which lie beside them.
  for (const { action, resources } of grantsOf(all).filter(({ role }) => role === 'CollectRole')) {
    if (!action.startsWith('s3:Put')) continue
    for (const key of ['evidence/packets/prod/20261124T120000Z-0123456789abcdef.json', 'evidence/x/prod/0001.json.gz'])
      assert.ok(!resources.some((pattern) => covers(pattern, `arn:aws:s3:::EvidenceBucket/${key}`)), `${action} ${key}`)
  }
})

type KeyStatement = {
  readonly Sid: string
  readonly Effect: string
  readonly Principal: { readonly AWS: string | readonly string[] }
  readonly Action: string | readonly string[]
  readonly Condition?: unknown
}

const ROOT = 'arn:aws:iam::111122223333:root'
const KEYS = ['SigningKey', 'TrustKey', 'DataKey'] as const

function keyStatements(key: (typeof KEYS)[number], resources = all): readonly KeyStatement[] {
  return resources[key]?.Properties['KeyPolicy'].Statement as readonly KeyStatement[]
}

test('the policy of each key names who uses it and who administers it, and hands nothing else to IAM', () => {
  const uses = {
    SigningKey: [['arn:aws:iam::111122223333:role/SealRole', ['kms:GetPublicKey', 'kms:Sign'], undefined]],
    TrustKey: [
      [ROOT, 'kms:GetPublicKey', undefined],
      ['arn:aws:iam::111122223333:role/OperatorRole', ['kms:GetPublicKey', 'kms:Sign'], undefined],
    ],
    DataKey: [
      [
        ROOT,
        ['kms:Decrypt', 'kms:GenerateDataKey'],
        { StringEquals: { 'kms:ViaService': 's3.eu-central-1.amazonaws.com' } },
      ],
    ],
  }
  const ada = 'arn:aws:iam::111122223333:role/ada'
  const given = resolved(template, { KeyAdministrators: `${ada},arn:aws:iam::111122223333:role/deploy` })
  for (const key of KEYS) {
    const [administer, nobody, ...others] = keyStatements(key)
    assert.deepEqual([administer?.Effect, administer?.Principal.AWS], ['Allow', ROOT])
    const administered = administer?.Action as string[]
    for (const action of [
      'kms:Sign',
      'kms:Decrypt',
      'kms:GenerateDataKey',
      'kms:ScheduleKeyDeletion',
      'kms:CreateGrant',
      'kms:ReplicateKey',
    ])
      assert.ok(!administered.some((pattern) => covers(pattern, action)), `${key} ${action}`)
    // KMS refuses a policy that nobody could change any more.
    assert.ok(administered.includes('kms:PutKeyPolicy'))
    assert.equal(nobody?.Effect, 'Deny')
    assert.deepEqual(
      others.map(({ Principal, Action, Condition }) => [Principal.AWS, Action, Condition]),
      uses[key],
    )
    assert.deepEqual(keyStatements(key, given)[0]?.Principal.AWS, [ada, 'arn:aws:iam::111122223333:role/deploy'])
  }
})

test('nobody schedules the deletion of a key, but a role that a parameter names', () => {
  const glass = 'arn:aws:iam::111122223333:role/break-glass'
  const given = resolved(template, { KeyDeletionRole: glass })
  for (const key of KEYS) {
    const deleting = (resources: typeof all) =>
      keyStatements(key, resources)
        .filter(({ Action }) => [Action].flat().some((pattern) => covers(pattern, 'kms:ScheduleKeyDeletion')))
        .map(({ Effect, Principal, Condition }) => [Effect, Principal.AWS, Condition])
    assert.deepEqual(deleting(all), [['Deny', '*', undefined]])
    assert.deepEqual(deleting(given), [
      ['Allow', glass, undefined],
      ['Deny', '*', { ArnNotEquals: { 'aws:PrincipalArn': glass } }],
    ])
  }
})

test('no policy of a key and no role wait for each other', () => {
  const named = (value: unknown): string[] => {
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([name, member]) =>
      name === 'Fn::GetAtt' ? [String((member as unknown[])[0])] : name === 'Ref' ? [String(member)] : named(member),
    )
  }
  for (const key of KEYS)
    for (const role of named(template.Resources[key]).filter((id) => id.endsWith('Role')))
      assert.ok(!named(template.Resources[role]).includes(key), `${key} and ${role}`)
})

test('seal alone reads and writes the parameter that remembers the head of the log, which stays and begins with none', () => {
  for (const [given, name] of [
    [{}, '/ciphertrail-prod/log-head'],
    [{ LogHeadParameter: '/audit/heads/log' }, '/audit/heads/log'],
  ] as const) {
    const own = resolved(template, given)
    const arn = `arn:aws:ssm:eu-central-1:111122223333:parameter${name}`
    assert.deepEqual(own['LogHead'], {
      Type: 'AWS::SSM::Parameter',
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: {
        Name: name,
        Description: 'Size and root of the log of ciphertrail that was signed last',
        Type: 'String',
        Tier: 'Standard',
        Value: 'none',
      },
    })
    assert.deepEqual(parseParameterArn(arn), { region: 'eu-central-1', name })
    assert.equal(own['SealLambdaFunction']?.Properties['Environment'].Variables.CIPHERTRAIL_LOG_HEAD, arn)
    assert.deepEqual(
      grantsOf(own)
        .filter(({ action }) => action.startsWith('ssm:'))
        .map(({ role, action, resources }) => [role, action, resources]),
      ['ssm:GetParameter', 'ssm:PutParameter'].map((action) => ['SealRole', action, [arn]]),
    )
  }
})

const MAY_DO_EVERYWHERE = new Set(['xray:PutTraceSegments', 'xray:PutTelemetryRecords'])

test('no role deletes evidence, ends or shortens a lock, or reaches beyond what the service has', () => {
  const given = {
    EksClusters: 'arn:aws:eks:eu-central-1:111122223333:cluster/prod',
    ClusterRoles: 'arn:aws:iam::444455556666:role/reader',
    TokenSecrets: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:token-AbCdEf',
    PrometheusWorkspaces: 'arn:aws:aps:eu-central-1:111122223333:workspace/ws-1',
    VpcSubnets: 'subnet-1',
  }
  // Of the functions; what operators may do is told below.
  const grants = grantsOf(resolved(template, { ...given, MailFrom: FROM })).filter(
    ({ role }) => role !== 'OperatorRole',
  )
  assert.ok(grants.length > 60)
  for (const { role, action, resources } of grants) {
    const what = `${role}: ${action} on ${resources.join(' ')}`
    assert.ok(!action.includes('*'), what)
    if (!MAY_DO_EVERYWHERE.has(action) && !action.startsWith('ec2:')) assert.ok(!resources.includes('*'), what)
    assert.doesNotMatch(
      action,
      /Bypass|LegalHold|PutBucket|DeleteBucket|DeleteObjectVersion|Policy|^iam:|ScheduleKey|kms:(Put|Create|Disable)/,
      what,
    )
    for (const resource of resources) {
      // Addresses of people and the key of their links lie beside the registry.
      if (action.startsWith('s3:'))
        for (const [key, roles] of [
          [recipientsKey, ['DeliverRole', 'AlertRole']],
          [linksKey, ['DeliverRole', 'AlertRole', 'QueryRole']],
        ] as const)
          assert.ok(roles.some((one) => one === role) || !covers(resource, `arn:aws:s3:::DerivedBucket/${key}`), what)
      if (action.startsWith('s3:Delete'))
        assert.match(resource, /^arn:aws:s3:::DerivedBucket\/(windows|timeline)\/\*$/, what)
      if (action === 's3:PutObject' || action === 's3:PutObjectRetention' || action === 's3:AbortMultipartUpload')
        assert.match(
          resource,
          /^arn:aws:s3:::(EvidenceBucket\/((log|reports)\/\*|log\/checkpoint|evidence\/\?{8}T\?{6}Z-\?{8}T\?{6}Z\/\*\/\?{4}\.json\.gz)|DerivedBucket\/([a-z-]+\/\*|packs\/\*\/(asked\.json|outcome\.json|pack\.zip)|claims\/(week|alert|report)\/\*|registry\/links.json))$/,
          what,
        )
    }
  }
  // What a function may write of the evidence is one prefix, once; and no two functions write the same one.
  const writers = new Set<string>()
  for (const { role, action, resources, holds } of grants) {
    const own = resources.filter((one) => one.includes('EvidenceBucket'))
    if (action !== 's3:PutObject' || own.length === 0) continue
    for (const one of own) writers.add(`${role} ${one.split('/')[1] ?? ''}`)
    const isHead = own.every((one) => one.endsWith('/log/checkpoint'))
    const once = { ifNoneMatch: '*' }
    assert.deepEqual(
      [{}, once, { ifMatch: '"x"' }, LOCKED, { ...once, ...LOCKED }].map(holds),
      isHead ? [false, holds(once), !holds(once), false, holds(once)] : [false, false, false, false, true],
      `${role} writes ${own.join(' ')}`,
    )
  }
  assert.deepEqual([...writers].toSorted(compareText), ['CollectRole evidence', 'ReportRole reports', 'SealRole log'])
  assert.deepEqual(
    new Set(grants.filter(({ action }) => action === 'kms:Sign').map(({ role }) => role)),
    new Set(['SealRole']),
  )
  const denied = all['EvidenceBucketPolicy']?.Properties['PolicyDocument'].Statement as Resource['Properties'][]
  assert.deepEqual(denied.find(({ Sid }) => Sid === 'NobodyDeletes')?.['Action'], [
    's3:DeleteObject',
    's3:DeleteObjectVersion',
    's3:BypassGovernanceRetention',
    's3:PutObjectLegalHold',
  ])
})

test('only operators vouch for clusters: their key signs for that role alone, whatever IAM says, and no function may sign', () => {
  const arn = 'arn:aws:kms:eu-central-1:111122223333:key/TrustKey'
  const { TrustKey = assert.fail() } = all
  assert.deepEqual(
    [TrustKey.DeletionPolicy, TrustKey.Properties['KeySpec'], TrustKey.Properties['KeyUsage']],
    ['Retain', 'ECC_NIST_EDWARDS25519', 'SIGN_VERIFY'],
  )
  const statements = TrustKey.Properties['KeyPolicy'].Statement as Resource['Properties'][]
  assert.deepEqual(
    statements.map(({ Sid, Effect, Principal }) => [Sid, Effect, Principal.AWS]),
    [
      ['AdministratorsLookAfterIt', 'Allow', ROOT],
      ['NobodyElseDeletesIt', 'Deny', '*'],
      ['TheAccountReadsItsPublicPart', 'Allow', ROOT],
      ['OperatorsSign', 'Allow', 'arn:aws:iam::111122223333:role/OperatorRole'],
    ],
  )
  assert.deepEqual(statements.at(-1)?.['Action'], ['kms:GetPublicKey', 'kms:Sign'])

  // The policy of the key alone lets operators sign: their role naming the key, too, would be a circle.
  const used = grantsOf(all).filter(({ resources }) => resources.includes(arn))
  assert.deepEqual(used.map(({ role, action }) => `${role} ${action}`).toSorted(compareText), [
    'CollectRole kms:GetPublicKey',
    'OperatorRole kms:GetPublicKey',
    'OperatorRole kms:Sign',
  ])
  const { CollectLambdaFunction = assert.fail() } = all
  assert.equal(CollectLambdaFunction.Properties['Environment'].Variables.CIPHERTRAIL_TRUST_KEY, arn)
  // Nor may any function write what is signed, or what is registered.
  for (const { role, action, resources } of grantsOf(all))
    if (role !== 'OperatorRole' && action === 's3:PutObject')
      for (const key of [
        'EvidenceBucket/changes/clusters/000001.json',
        `DerivedBucket/${registryKey}`,
        `DerivedBucket/${trustKey}`,
      ])
        assert.ok(!resources.some((pattern) => covers(pattern, `arn:aws:s3:::${key}`)), `${role} ${key}`)
  // Of the evidence operators write the changes, once, and they read neither evidence nor addresses.
  for (const { role, action, resources, holds } of grantsOf(all)) {
    if (role !== 'OperatorRole' || !action.startsWith('s3:') || action === 's3:ListBucket') continue
    for (const resource of resources)
      assert.match(
        resource,
        /^arn:aws:s3:::(EvidenceBucket\/changes\/\*|DerivedBucket\/registry\/(clusters|trust)\.json)$/,
      )
    if (action === 's3:PutObject' && resources.some((one) => one.includes('EvidenceBucket')))
      assert.deepEqual([{}, LOCKED, { ifNoneMatch: '*', ...LOCKED }].map(holds), [false, false, true])
  }
  const trusted = (resources: typeof all) =>
    resources['OperatorRole']?.Properties['AssumeRolePolicyDocument'].Statement[0].Principal.AWS as unknown
  assert.equal(trusted(all), '111122223333')
  const ada = 'arn:aws:iam::111122223333:role/ada'
  assert.deepEqual(trusted(resolved(template, { Operators: ada })), [ada])
})

test('every asynchronous edge ends in dead letters that somebody is told of', () => {
  const queues = new Map(ofType('AWS::SQS::Queue'))
  const isDead = (arn: string): boolean =>
    arn.endsWith('DeadLetters') && queues.get(arn.split(':').at(-1) ?? '')?.['MessageRetentionPeriod'] === 1_209_600
  for (const [id, properties] of queues) {
    assert.equal(properties['SqsManagedSseEnabled'], true, id)
    if (!id.endsWith('DeadLetters')) assert.ok(isDead(properties['RedrivePolicy'].deadLetterTargetArn), id)
    else assert.ok(all[`${id}NotEmpty`], `no alarm on ${id}`)
  }
  const scheduled = ofType('AWS::Scheduler::Schedule')
  assert.deepEqual(
    scheduled.map(([, { Target }]) => Target.Arn.split(':').at(-1)),
    ['Plan', 'Alert', 'Seal', 'Compact', 'Report'].map((name) => `${name}LambdaFunction`),
  )
  for (const [id, { Target, ScheduleExpressionTimezone }] of scheduled) {
    assert.ok(isDead(Target.DeadLetterConfig.Arn), id)
    assert.ok(Target.RetryPolicy.MaximumEventAgeInSeconds <= 21_600, id)
    assert.deepEqual(JSON.parse(Target.Input), { time: '<aws.scheduler.scheduled-time>' })
    assert.ok(typeof ScheduleExpressionTimezone === 'string')
    const started = ofType('AWS::Lambda::EventInvokeConfig').find(([, { FunctionName }]) =>
      Target.Arn.endsWith(`:${FunctionName}`),
    )
    assert.ok(isDead(started?.[1]['DestinationConfig'].OnFailure.Destination), id)
  }
  const berlin = resolved(template, { TimeZone: 'Europe/Berlin' })
  assert.equal(berlin['ReportScheduled']?.Properties['ScheduleExpressionTimezone'], 'Europe/Berlin')
  assert.equal(
    berlin['ReportLambdaFunction']?.Properties['Environment'].Variables.CIPHERTRAIL_TIME_ZONE,
    'Europe/Berlin',
  )
  for (const [id, mapping] of ofType('AWS::Lambda::EventSourceMapping')) {
    assert.deepEqual(mapping['FunctionResponseTypes'], ['ReportBatchItemFailures'], id)
    const queue = queues.get(mapping['EventSourceArn'].split(':').at(-1))
    const timeout = all[mapping['FunctionName'].split(':').at(-1)]?.Properties['Timeout'] as number
    assert.ok(queue?.['VisibilityTimeout'] >= 6 * timeout, id)
  }
})

test('bounces, complaints and what SES dropped go from SES of that configuration set to the topic, and to the queue from that topic alone', () => {
  const resources = resolved(template, { MailFrom: 'ciphertrail@example.com' })
  const topic = 'arn:aws:sns:eu-central-1:111122223333:Feedback'
  const [[, destination] = assert.fail()] = ofType('AWS::SES::ConfigurationSetEventDestination', resources)
  assert.deepEqual(destination['EventDestination'], {
    Name: 'feedback',
    Enabled: true,
    MatchingEventTypes: ['bounce', 'complaint', 'reject'],
    SnsDestination: { TopicARN: topic },
  })
  assert.deepEqual(ofType('AWS::SES::ConfigurationSetEventDestination'), [], 'none where no mail goes')
  const name = resources['MailConfiguration']?.Properties['Name'] as string
  assert.deepEqual(resources['FeedbackPolicy']?.Properties['PolicyDocument'].Statement, [
    {
      Sid: 'OurMailTells',
      Effect: 'Allow',
      Principal: { Service: 'ses.amazonaws.com' },
      Action: 'sns:Publish',
      Resource: topic,
      Condition: {
        StringEquals: {
          'aws:SourceAccount': '111122223333',
          'aws:SourceArn': `arn:aws:ses:eu-central-1:111122223333:configuration-set/${name}`,
        },
      },
    },
  ])
  const queue = 'arn:aws:sqs:eu-central-1:111122223333:FeedbackQueue'
  const subscription = resources['FeedbackToQueue']?.Properties ?? {}
  assert.deepEqual(
    [subscription['TopicArn'], subscription['Protocol'], subscription['Endpoint']],
    [topic, 'sqs', queue],
  )
  const policies = ofType('AWS::SQS::QueuePolicy', resources).filter(([, { Queues }]) =>
    (Queues as string[]).includes('FeedbackQueue'),
  )
  assert.equal(policies.length, 1, 'of two policies of a queue the later one wins')
  const statements = policies[0]?.[1]['PolicyDocument'].Statement as Resource['Properties'][]
  assert.deepEqual(
    statements.map(({ Sid, Effect, Principal, Action, Condition }) => [Sid, Effect, Principal, Action, Condition]),
    [
      ['OnlyByTls', 'Deny', '*', 'sqs:*', { Bool: { 'aws:SecureTransport': 'false' } }],
      [
        'TheTopicHandsOver',
        'Allow',
        { Service: 'sns.amazonaws.com' },
        'sqs:SendMessage',
        { ArnEquals: { 'aws:SourceArn': topic } },
      ],
    ],
  )
  const { VisibilityTimeout: pause, RedrivePolicy: given } = resources['FeedbackQueue']?.Properties ?? {}
  assert.ok(
    (given.maxReceiveCount - 1) * pause > CLAIM_SECONDS,
    'the last try comes after whoever sent it counts as dead',
  )
})

test('no route of the API is open but /health, what it is, the front page and the links in mails, whose paths no log has', () => {
  for (const [given, type] of [
    [{}, 'AWS_IAM'],
    [{ ApiIssuer: 'https://login.example', ApiAudience: 'ciphertrail' }, 'JWT'],
  ] as const) {
    const resources = resolved(template, given)
    const routes = ofType('AWS::ApiGatewayV2::Route', resources)
    assert.deepEqual(
      routes.map(([, { RouteKey, AuthorizationType, AuthorizerId }]) => [RouteKey, AuthorizationType, AuthorizerId]),
      [
        ['ANY /v1/{proxy+}', type, type === 'JWT' ? 'ApiAuthorizer' : undefined],
        ['GET /health', 'NONE', undefined],
        ['GET /openapi.json', 'NONE', undefined],
        ['GET /', 'NONE', undefined],
        ['ANY /unsubscribe/{proxy+}', 'NONE', undefined],
        ['ANY /d/{proxy+}', 'NONE', undefined],
      ],
    )
    assert.deepEqual(
      resources['ApiAuthorizer']?.Properties['JwtConfiguration'],
      type === 'JWT' ? { Issuer: 'https://login.example', Audience: ['ciphertrail'] } : undefined,
    )
    assert.equal(resources['ApiToQuery']?.Properties['PayloadFormatVersion'], '2.0')
    assert.ok(
      !resources['ApiStage']?.Properties['AccessLogSettings'].Format.match(
        /authorization|querystring|\$context\.authorizer\.token|\.path|proxy|requestOverride/i,
      ),
    )
  }
})

test('where people sign in, every route leads to the function, which looks at tokens and sessions with a key of its own', () => {
  const given = { ApiIssuer: 'https://login.example', ApiAudience: 'a,b', SignInClient: 'pages' }
  const secret = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:client-AbCdEf'
  const resources = resolved(template, { ...given, SignInSecret: secret })
  const routes = ofType('AWS::ApiGatewayV2::Route', resources)
  assert.deepEqual(
    routes.map(([, { RouteKey, AuthorizationType, AuthorizerId }]) => [RouteKey, AuthorizationType, AuthorizerId]),
    [
      'ANY /v1/{proxy+}',
      'GET /health',
      'GET /openapi.json',
      'GET /',
      'ANY /unsubscribe/{proxy+}',
      'ANY /d/{proxy+}',
      '$default',
    ].map((route) => [route, 'NONE', undefined]),
  )
  assert.equal(resources['ApiAuthorizer'], undefined)
  const key = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:SignInKey-AbCdEf'
  const variables = resources['QueryLambdaFunction']?.Properties['Environment'].Variables
  assert.partialDeepStrictEqual(variables, {
    CIPHERTRAIL_API_ISSUER: 'https://login.example',
    CIPHERTRAIL_API_AUDIENCE: 'a,b',
    CIPHERTRAIL_SIGN_IN_KEY: key,
    CIPHERTRAIL_SIGN_IN_CLIENT: 'pages',
    CIPHERTRAIL_SIGN_IN_SCOPE: 'openid',
    CIPHERTRAIL_SIGN_IN_SECRET: secret,
    CIPHERTRAIL_URL: 'Api.ApiEndpoint',
  })
  const { PasswordLength } = resources['SignInKey']?.Properties['GenerateSecretString'] ?? {}
  // Letters and digits, nearly six bits each.
  assert.ok(PasswordLength * 5.9 > 256)
  const read = (params: Readonly<Record<string, string>>) =>
    grantsOf(resolved(template, params)).flatMap(({ role, action, resources: on }) =>
      role === 'QueryRole' && action.startsWith('secretsmanager:') ? on : [],
    )
  assert.deepEqual(read({ ...given, SignInSecret: secret }), [key, secret])
  assert.deepEqual(read(given), [key])
  // Without an issuer a client signs nobody in, and nothing is opened.
  for (const less of [{}, { SignInClient: 'pages' }, { ApiIssuer: given.ApiIssuer }]) {
    assert.deepEqual(read(less), [])
    const without = resolved(template, less)
    assert.equal(without['QueryLambdaFunction']?.Properties['Environment'].Variables.CIPHERTRAIL_SIGN_IN_KEY, '')
    assert.notEqual(without['ApiRoute']?.Properties['AuthorizationType'], 'NONE')
    assert.equal(without['ApiPagesRoute'], undefined)
  }
})

test('each function has an alarm on its errors, each alarm tells the topic, and the guide says what to do', () => {
  const alarms = ofType('AWS::CloudWatch::Alarm')
  for (const name of functionNames()) assert.ok(all[`${logicalId(name)}Failed`], name)
  for (const [, { Target }] of ofType('AWS::Scheduler::Schedule')) {
    const name = Target.Arn.split(':').at(-1).replace('LambdaFunction', '')
    const absence = all[name === 'Seal' ? 'SealIsBehind' : `${name}DidNotStart`]?.Properties
    assert.deepEqual(
      [absence?.['TreatMissingData'], absence?.['ComparisonOperator']],
      ['breaching', 'LessThanThreshold'],
      name,
    )
  }
  for (const [id, properties] of alarms) {
    assert.deepEqual(properties['AlarmActions'], [all['Alarms'] && 'arn:aws:sns:eu-central-1:111122223333:Alarms'], id)
    assert.ok(guide.includes(`\`${id}\``), `docs/aws.md says nothing of alarm ${id}`)
    // CloudWatch refuses to look back further.
    assert.ok(properties['Period'] * properties['EvaluationPeriods'] <= 604_800, id)
  }
  const { DashboardBody } = all['Dashboard']?.Properties ?? {}
  const shown = (JSON.parse(DashboardBody) as { widgets: { properties: { alarms?: string[] } }[] }).widgets[0]
    ?.properties.alarms
  assert.deepEqual(
    shown?.map((arn) => arn.split(':').at(-1)),
    alarms.map(([id]) => id),
  )
})

test('what a function answers for itself, and is no error to Lambda, has an alarm, too', () => {
  // onQueue names the messages that failed, onRequest answers 500.
  const seen = ofType('AWS::CloudWatch::Alarm').map(([, { Namespace, MetricName, Dimensions, Threshold }]) =>
    [Namespace, MetricName, ...Dimensions.flatMap(Object.values), Threshold].join(' '),
  )
  const stack = all['MessagesFailed']?.Properties['Namespace'] as string
  assert.ok(seen.includes(`${stack} FailedMessages service ciphertrail 1`))
  assert.ok(seen.includes(`${stack} RefusedWindows service ciphertrail 1`))
  assert.ok(seen.includes('AWS/ApiGateway 5xx ApiId Api 1'), seen.join('\n'))
  // Windows that are asked for and that nobody collects: the queue forgets them without a word.
  const [, waiting] = ofType('AWS::CloudWatch::Alarm').find(([id]) => id === 'CollectIsBehind') ?? []
  assert.equal(waiting?.['MetricName'], 'ApproximateAgeOfOldestMessage')
  assert.ok(waiting['Threshold'] < all['CollectQueue']?.Properties['MessageRetentionPeriod'])
})

test('windows are asked for once they can be collected, while proxies read by name and viz still tell of them', () => {
  const given = String(template.Parameters['PlanSchedule']?.['Default'])
  const [, minute = '', every = ''] = /^cron\((\d+)\/(\d+) \* \* \* \? \*\)$/.exec(given) ?? []
  for (const minutes of WINDOW_MINUTES) assert.equal(minutes % Number(every), 0, given)
  const after = Number(minute) * 60
  assert.ok(after >= SETTLE_SECONDS, given)
  // A schedule, a queue and a function that begins anew take some seconds each, and reading takes some more.
  assert.ok(after + 60 <= PAGE_SLACK_SECONDS, given)
})

test('mail is sent with a configuration set that wants TLS of every server, by few functions, and as nobody else than whom it is from', () => {
  assert.deepEqual(ofType('AWS::SES::ConfigurationSet'), [])
  assert.ok(!grantsOf(all).some(({ action }) => action.startsWith('ses:')))
  assert.equal(all['DeliverLambdaFunction']?.Properties['Environment'].Variables.CIPHERTRAIL_MAIL_FROM, '')
  const resources = resolved(template, { MailFrom: FROM, PagesUrl: 'https://ct.example.com' })
  const [set] = ofType('AWS::SES::ConfigurationSet', resources)
  assert.deepEqual(set?.[1], { Name: 'ciphertrail-prod', DeliveryOptions: { TlsPolicy: 'REQUIRE' } })
  const grants = grantsOf(resources).filter(({ action }) => action.startsWith('ses:'))
  assert.deepEqual([...new Set(grants.map(({ role }) => role))], ['DeliverRole', 'AlertRole'])
  for (const { role, resources: on, holds } of grants) {
    assert.deepEqual(
      on.map((arn) => arn.replace('arn:aws:ses:eu-central-1:111122223333:', '')),
      ['identity/*', 'configuration-set/MailConfiguration'],
      role,
    )
    assert.deepEqual(
      [FROM, 'Ciphertrail@EXAMPLE.com', 'ceo@example.com', undefined].map((fromAddress) => holds({ fromAddress })),
      [true, true, false, false],
    )
  }
  const variables = resources['DeliverLambdaFunction']?.Properties['Environment'].Variables
  assert.equal(variables.CIPHERTRAIL_URL, 'https://ct.example.com')
  assert.equal(all['DeliverLambdaFunction'].Properties['Environment'].Variables.CIPHERTRAIL_URL, 'Api.ApiEndpoint')
})

test('what cannot wait is looked for at least once in the shortest window, some minutes after windows are asked for', () => {
  const [plan, alert] = ['PlanSchedule', 'AlertSchedule'].map((name) =>
    (/^cron\((\d+)\/(\d+) /.exec(String(template.Parameters[name]?.['Default'])) ?? []).slice(1).map(Number),
  )
  const [[asked = 0, every = 0] = [], [looked = 0, again = 0] = []] = [plan, alert]
  assert.deepEqual([every, again], [5, 5])
  assert.ok(again <= Math.min(...WINDOW_MINUTES))
  // Minutes for collecting; and what is collected later than that waits for the next look, not for longer.
  assert.ok(looked - asked >= 2 && looked < again, `${asked} ${looked}`)
})

test('every parameter is in the guide, and can be given to osls', async () => {
  for (const [name, { Description }] of Object.entries(template.Parameters)) {
    assert.ok(Description.length > 20, name)
    const option = name.replaceAll(/[A-Z]/g, (letter, index) => `${index === 0 ? '' : '-'}${letter.toLowerCase()}`)
    assert.ok(guide.includes(`\`${option}\``), `docs/aws.md says nothing of parameter ${option}`)
  }
  const given = await packagedTemplate({ 'log-name': 'example.com/log', retention: '6-years', 'api-audience': 'a,b' })
  assert.deepEqual(
    ['LogName', 'Retention', 'ApiAudience'].map((name) => given.Parameters[name]?.Default),
    ['example.com/log', '6-years', 'a,b'],
  )
})

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import fc from 'fast-check'
import { readSnapshot } from '../../../../lib/store/evidence/evidence.ts'
import {
  ConflictError,
  DeletedError,
  PreconditionFailedError,
  StoreError,
} from '../../../../lib/store/objects/objects.ts'
import type { Objects } from '../../../../lib/store/objects/objects.ts'
import { S3_ACCESS_KEY, S3_SECRET_KEY, startS3Server } from '../../../support/servers/s3-server.ts'
import type { S3Misbehaviour } from '../../../support/servers/s3-misbehave.ts'
import type { S3Request, S3Server } from '../../../support/servers/s3-server.ts'
import { numberedBody } from '../numbered-body.ts'
import { objectsConformance } from '../objects-conformance.ts'
import { openStore } from '../open-s3.ts'
import { errorText, textWith } from '../../../support/texts/matches-text.ts'

let server: S3Server
let stores = 0

before(async () => {
  server = await startS3Server()
  // The SDK reads it, also in the processes that the conformance suite starts. Of itself it checks nothing then.
  Object.assign(process.env, server.env, { AWS_RESPONSE_CHECKSUM_VALIDATION: 'when_required' })
})
after(() => server.close())
afterEach(() => server.misbehave(() => undefined))

/** The address of a fresh store in two buckets, with small pages. */
function freshAddress(): string {
  const number = stores++
  server.makeBucket(`evidence-${number}`, { pageSize: 7 })
  server.makeBucket(`derived-${number}`, { pageSize: 5, hasLock: false, hasVersions: true })
  return `s3://evidence-${number}/some/prefix?derived=derived-${number}/other`
}

function freshStore(query = ''): {
  readonly objects: Objects
  readonly evidence: string
  readonly derived: string
  readonly address: string
} {
  const address = freshAddress() + query
  const [, evidence = ''] = /^s3:\/\/([^/]+)/.exec(address) ?? []
  const limits = { attempts: 4, attemptMs: 5000, deadlineMs: 20_000 }
  return {
    objects: openStore(address, { limits }),
    evidence,
    derived: evidence.replace('evidence', 'derived'),
    address,
  }
}

async function listed(objects: Objects, prefix = '', startAfter?: string): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix, startAfter)) keys.push(key)
  return keys
}

async function textOf(objects: Objects, key: string): Promise<string | undefined> {
  const object = await objects.get(key)
  return object === undefined ? undefined : Buffer.from(object.body).toString()
}

/** The actions that a call needs, in order. */
async function requestsOf(call: () => Promise<unknown>): Promise<string[]> {
  server.forget()
  await call()
  return server.requests.map(({ action }) => action)
}

/** Lets the first requests go wrong in one way, and the others go well. */
function failFirst(count: number, how: S3Misbehaviour, isMeant: (request: S3Request) => boolean = () => true): void {
  let left = count
  server.misbehave((request) => (isMeant(request) && left-- > 0 ? how : undefined))
}

/** One line that says all, and holds no credential. */
function assertClear(error: unknown, says: RegExp): true {
  assert.ok(error instanceof StoreError, String(error))
  assert.match(error.message, says)
  assert.match(error.message, /^Cannot [^\n]+[^.\s]$/)
  assert.ok(!error.message.includes(S3_SECRET_KEY) && !error.message.includes(S3_ACCESS_KEY))
  return true
}

objectsConformance('s3', async () => {
  const argument = freshAddress()
  return { objects: openStore(argument), opener: { module: new URL('../open-s3.ts', import.meta.url).href, argument } }
})

// Who wins a race is S3's to decide, and does not depend on the bucket.
objectsConformance(
  's3 in one bucket without versions',
  async () => {
    const number = stores++
    server.makeBucket(`one-${number}`, { pageSize: 6, hasVersions: false, hasLock: false })
    const argument = `s3://one-${number}?lock=none`
    return {
      objects: openStore(argument),
      opener: { module: new URL('../open-s3.ts', import.meta.url).href, argument },
    }
  },
  { isRaced: false },
)

test('every member makes as few requests as it can', async () => {
  const { objects } = freshStore()
  const [put, get, list, remove] = ['s3:PutObject', 's3:GetObject', 's3:ListBucket', 's3:DeleteObject']
  const once = () => objects.putOnce('evidence/w/c/1', numberedBody(1))
  assert.deepEqual(await requestsOf(once), [put])
  assert.deepEqual(await requestsOf(once), [put, get])
  let etag: string | null = null
  const replace = async () => {
    etag = await objects.putIf('state/c', numberedBody(1), etag)
  }
  assert.deepEqual(await requestsOf(replace), [put])
  assert.deepEqual(await requestsOf(replace), [put])
  assert.deepEqual(await requestsOf(() => assert.rejects(objects.putIf('state/c', numberedBody(1), null))), [put])
  assert.deepEqual(await requestsOf(() => objects.get('state/c')), [get])
  assert.deepEqual(await requestsOf(() => objects.get('state/none')), [get])
  assert.deepEqual(await requestsOf(() => listed(objects, 'evidence/')), [list])
  assert.deepEqual(await requestsOf(() => listed(objects, 'state/')), [list])
  assert.deepEqual(await requestsOf(() => listed(objects)), [list, list])
  assert.deepEqual(await requestsOf(() => objects.remove('state/c')), [remove])
  for (let number = 2; number <= 8; number++) await objects.putOnce(`evidence/w/c/${number}`, numberedBody(number))
  // Pages have 7 keys here.
  assert.deepEqual(await requestsOf(() => listed(objects, 'evidence/')), [list, list])
})

test('what is written once and the head of the log go to the first place, all else to the second', async () => {
  const { objects, evidence, derived } = freshStore()
  for (const key of ['evidence/w/c/1', 'changes/scope/1', 'reports/r', 'log/batch/0'])
    await objects.putOnce(key, Buffer.from(key))
  for (const key of ['log/checkpoint', 'windows/c/w', 'state/c', 'timeline/t', 'registry/clusters.json'])
    await objects.putIf(key, Buffer.from(key), null)
  const keysIn = (bucket: string) => [...(server.buckets.get(bucket)?.keys() ?? [])].sort()
  assert.deepEqual(
    keysIn(evidence),
    ['changes/scope/1', 'evidence/w/c/1', 'log/batch/0', 'log/checkpoint', 'reports/r'].map(
      (key) => `some/prefix/${key}`,
    ),
  )
  assert.deepEqual(
    keysIn(derived),
    ['registry/clusters.json', 'state/c', 'timeline/t', 'windows/c/w'].map((key) => `other/${key}`),
  )
  // Both as one list, in text order, and what lies in the wrong one of them is none of the store.
  server.meddle(derived, 'other/evidence/w/c/2', Buffer.from('x'))
  server.meddle(evidence, 'some/prefix/state/d', Buffer.from('x'))
  assert.deepEqual(await listed(objects), [
    'changes/scope/1',
    'evidence/w/c/1',
    'log/batch/0',
    'log/checkpoint',
    'registry/clusters.json',
    'reports/r',
    'state/c',
    'timeline/t',
    'windows/c/w',
  ])
  assert.deepEqual(await listed(objects, 'evidence/'), ['evidence/w/c/1'])
  assert.deepEqual(await listed(objects, 're', 'registry/clusters.json'), ['reports/r'])
})

const LOCKS: readonly (readonly [query: string, mode: string | undefined, until: string | undefined])[] = [
  ['', 'GOVERNANCE', '2028-02-29T12:30:00Z'],
  ['&lock=governance&retention=6-years', 'GOVERNANCE', '2033-01-31T12:30:00Z'],
  ['&lock=compliance', 'COMPLIANCE', '2028-02-29T12:30:00Z'],
  ['&lock=compliance&retention=1-day', 'COMPLIANCE', '2027-02-01T12:30:00Z'],
  ['&retention=400-days', 'GOVERNANCE', '2028-03-06T12:30:00Z'],
  ['&lock=none', undefined, undefined],
]

for (const [query, mode, until] of LOCKS) {
  test(`"${query}" locks what is written once ${mode === undefined ? 'not at all' : `in ${mode} until ${until}`}, and nothing else`, async () => {
    const { address, evidence, derived } = freshStore(query)
    const objects = openStore(address, { now: () => new Date('2027-01-31T12:30:00Z') })
    await objects.putOnce('evidence/w/c/1', Buffer.from('x'))
    await objects.putIf('log/checkpoint', Buffer.from('x'), null)
    await objects.putOnce('state/c', Buffer.from('x'))
    const versions = [evidence, derived].flatMap((name) => [...(server.buckets.get(name) ?? [])])
    const locks = versions.map(([key, [version]]) => [key, version?.lock])
    const lock = mode === undefined ? undefined : { mode, until }
    assert.deepEqual(locks, [
      ['some/prefix/evidence/w/c/1', lock],
      ['some/prefix/log/checkpoint', undefined],
      ['other/state/c', undefined],
    ])
  })
}

test('SHA-256 goes with every body', async () => {
  const { objects, evidence, derived } = freshStore()
  await objects.putOnce('evidence/w/c/1', Buffer.from('x'))
  await objects.putIf('state/c', Buffer.alloc(0), null)
  const sha256 = [evidence, derived].flatMap((name) =>
    [...(server.buckets.get(name)?.values() ?? [])].map(([version]) => version?.sha256),
  )
  assert.deepEqual(sha256, [
    'LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=',
    '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
  ])
})

test('evidence that somebody wrote over or deleted is still read by its version, and its loss is told', async () => {
  const { objects, evidence } = freshStore()
  const key = 'evidence/20261124T123000Z-20261124T123500Z/shop/0001.json.gz'
  await objects.putOnce(key, Buffer.from('what was seen'))
  const sealed = await objects.get(key)
  assert.ok(sealed?.version)

  server.meddle(evidence, `some/prefix/${key}`, Buffer.from('something else'))
  assert.equal(await textOf(objects, key), 'something else')
  assert.deepEqual(await objects.get(key, sealed.version), sealed)
  await assert.rejects(objects.putOnce(key, Buffer.from('what was seen')), ConflictError)

  server.meddle(evidence, `some/prefix/${key}`, null)
  await assert.rejects(objects.get(key), (error) => {
    assert.ok(error instanceof DeletedError)
    return assertClear(
      error,
      /^Cannot read "evidence\/.*" from store "s3:\/\/evidence-\d+\/some\/prefix": it was deleted, take away its delete marker to have it back$/,
    )
  })
  await assert.rejects(readSnapshot(key, objects), errorText({ name: 'EvidenceError', message: textWith({ key }) }))
  assert.deepEqual(await objects.get(key, sealed.version), sealed)
  assert.deepEqual(await listed(objects, 'evidence/'), [])
})

const PASSING: readonly (readonly [how: S3Misbehaviour, times: number])[] = [
  ['reset', 3],
  [{ status: 500, code: 'InternalError' }, 3],
  [{ status: 502, code: 'BadGateway' }, 2],
  [{ status: 503, code: 'SlowDown', message: 'Please reduce your request rate.' }, 1],
  [{ status: 409, code: 'ConditionalRequestConflict' }, 2],
  [{ status: 409, code: 'OperationAborted' }, 1],
  ['lose-answer', 2],
]

for (const [how, times] of PASSING) {
  const title = typeof how === 'string' ? how : `${how.status} ${how.code}`
  test(`${title} that passes is no failure of any member, and changes nothing that it does`, async () => {
    const { objects } = freshStore()
    const at = async <T>(call: () => Promise<T>): Promise<T> => {
      failFirst(times, how)
      server.forget()
      const result = await call()
      assert.ok(server.requests.length > times, `${server.requests.length} requests`)
      return result
    }
    await at(() => objects.putOnce('evidence/w/c/1', numberedBody(1)))
    assert.deepEqual((await at(() => objects.get('evidence/w/c/1')))?.body, new Uint8Array(numberedBody(1)))
    const first = await at(() => objects.putIf('state/c', numberedBody(1), null))
    const second = await at(() => objects.putIf('state/c', numberedBody(2), first))
    assert.equal((await objects.get('state/c'))?.etag, second)
    assert.deepEqual(await at(() => listed(objects, 'state/')), ['state/c'])
    await at(() => objects.remove('state/c'))
    assert.equal(await objects.get('state/c'), undefined)
  })
}

test('a body that is cut, or does not end, is asked for again', async () => {
  const { address } = freshStore()
  const objects = openStore(address, { limits: { attempts: 10, attemptMs: 1000, deadlineMs: 20_000 } })
  await objects.putOnce('evidence/w/c/1', numberedBody(1))
  for (const how of ['cut-body', 'drip', 'hang'] as const) {
    failFirst(1, how)
    server.forget()
    assert.deepEqual((await objects.get('evidence/w/c/1'))?.body, new Uint8Array(numberedBody(1)), how)
    assert.ok(server.requests.length >= 2)
    failFirst(1, how)
    assert.deepEqual(await listed(objects, 'evidence/'), ['evidence/w/c/1'], how)
  }
})

test('bodies of any length are read whole, announced or not', async () => {
  const { objects, derived } = freshStore()
  for (const bytes of [0, 1, 65_536, 5_000_000]) {
    const body = Buffer.alloc(bytes, numberedBody(bytes))
    server.meddle(derived, 'other/state/c', body)
    for (const how of [undefined, 'no-length'] as const) {
      server.misbehave(() => how)
      assert.equal(Buffer.compare((await objects.get('state/c'))?.body ?? assert.fail(), body), 0, `${bytes} ${how}`)
      server.misbehave(({ headers }) => (headers.range === undefined ? undefined : how))
      const pieces: Uint8Array[] = []
      for await (const piece of (await objects.large?.open('state/c'))?.read() ?? []) pieces.push(piece)
      assert.equal(Buffer.compare(Buffer.concat(pieces), body), 0, `${bytes} ${how} in pieces`)
    }
  }
})

test('a server that never answers is given up, at a try and at a request', async () => {
  const { address } = freshStore()
  const tries = openStore(address, { limits: { attempts: 2, attemptMs: 100, deadlineMs: 20_000 } })
  const deadline = openStore(address, { limits: { attempts: 2, attemptMs: 20_000, deadlineMs: 200 } })
  for (const how of ['hang', 'drip'] as const) {
    server.misbehave(() => how)
    const calls = (objects: Objects) => [
      () => objects.get('state/c'),
      () => objects.putOnce('evidence/w/c/1', numberedBody(1)),
      () => objects.putIf('state/c', numberedBody(1), null),
      () => objects.remove('state/c'),
      () => listed(objects, 'state/'),
    ]
    for (const call of calls(tries))
      await assert.rejects(call, (error) =>
        assertClear(error, /no answer came in time at all 2 tries, check the network$/),
      )
    for (const call of calls(deadline))
      await assert.rejects(call, (error) => assertClear(error, /no answer came within 0\.2 s, check the network$/))
  }
})

test('putIf() whose answer is lost tells its own write from the same bytes of another writer', async () => {
  const { objects, derived } = freshStore()
  const etag = await objects.putIf('state/c', Buffer.from('1'), null)
  // The first try does not arrive, and meanwhile another one writes what this one would.
  let tries = 0
  server.misbehave(({ action }) => {
    if (action !== 's3:PutObject' || tries++ > 0) return undefined
    server.meddle(derived, 'other/state/c', Buffer.from('2'))
    return 'reset'
  })
  await assert.rejects(objects.putIf('state/c', Buffer.from('2'), etag), PreconditionFailedError)
  assert.equal(tries, 2)
})

test('remove() of what is absent is success, also where a server says that there is none', async () => {
  const { objects } = freshStore()
  server.misbehave(() => ({ status: 404, code: 'NoSuchKey' }))
  await objects.remove('state/c')
})

test('a race that S3 never decides is told as one, not as another writer', async () => {
  const { objects } = freshStore()
  server.misbehave(() => ({ status: 409, code: 'ConditionalRequestConflict' }))
  await assert.rejects(objects.putIf('state/c', Buffer.from('1'), null), (error) =>
    assertClear(
      error,
      /others wrote it at the same moment at all 4 tries, run it again \(ConditionalRequestConflict\)$/,
    ),
  )
})

test('any order of calls leaves what a map would have, whatever passes in between', async () => {
  const { objects } = freshStore()
  const key = fc.constantFrom('state/a', 'state/b')
  const call = fc.oneof(
    fc.record({ call: fc.constant('putOnce' as const), key, body: fc.constantFrom('1', '2') }),
    fc.record({ call: fc.constant('putIf' as const), key, body: fc.constantFrom('1', '2'), isNew: fc.boolean() }),
    fc.record({ call: fc.constant('remove' as const), key }),
  )
  const how = fc.constantFrom<(S3Misbehaviour | undefined)[]>(
    ...(['reset', 'lose-answer', 'cut-body', undefined, undefined, undefined, undefined] as const),
    { status: 500, code: 'InternalError' },
    { status: 409, code: 'ConditionalRequestConflict' },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 8 }), fc.array(how, { maxLength: 20 }), async (calls, faults) => {
      server.misbehave(() => undefined)
      for (const one of ['state/a', 'state/b']) await objects.remove(one)
      const model = new Map<string, string>()
      let next = 0
      let inRow = 0
      server.misbehave(() => {
        // Four tries are made, so three faults in a row pass.
        const fault = inRow < 3 ? faults[next++] : undefined
        inRow = fault === undefined ? 0 : inRow + 1
        return fault
      })
      for (const step of calls) {
        const had = model.get(step.key)
        if (step.call === 'remove') {
          await objects.remove(step.key)
          model.delete(step.key)
        } else if (step.call === 'putOnce') {
          const outcome = objects.putOnce(step.key, Buffer.from(step.body))
          await (had === undefined || had === step.body ? outcome : assert.rejects(outcome, ConflictError))
          model.set(step.key, had ?? step.body)
        } else {
          const etag = step.isNew ? null : ((await objects.get(step.key))?.etag ?? null)
          const outcome = objects.putIf(step.key, Buffer.from(step.body), etag)
          if (etag === null && had !== undefined) await assert.rejects(outcome, PreconditionFailedError)
          else {
            const written = await outcome
            model.set(step.key, step.body)
            assert.equal((await objects.get(step.key))?.etag, written)
          }
        }
      }
      assert.deepEqual(await listed(objects, 'state/'), [...model.keys()].sort())
      for (const [at, text] of model) assert.equal(await textOf(objects, at), text)
    }),
    { numRuns: 40 },
  )
})

const CUT_LISTS = [
  ['cut-xml', /is cut: it holds \d+ of \d+ keys|its answer cannot be read/],
  ['html', /does not say how many keys it has|its answer cannot be read/],
  ['empty', /does not say how many keys it has|its answer cannot be read/],
  ['no-key-count', /does not say how many keys it has/],
  ['lost-key', /is cut: it holds \d+ of \d+ keys/],
  ['no-token', /does not say where the next one begins/],
  ['disorder', /is not in text order/],
  ['other-prefix', /holds a key of another prefix/],
] as const

for (const [how, says] of CUT_LISTS) {
  test(`list() never ends early: "${how}" on any page is an error`, async () => {
    const { objects } = freshStore()
    const keys = Array.from({ length: 20 }, (_, index) => `evidence/w/c/${String(index).padStart(4, '0')}`)
    for (const key of keys) await objects.putOnce(key, Buffer.from('x'))
    for (const page of [0, 1, 2]) {
      let asked = 0
      server.misbehave(() => (asked++ === page ? how : undefined))
      const got: string[] = []
      const read = async () => {
        for await (const key of objects.list('evidence/')) got.push(key)
      }
      await assert.rejects(read, (error) => {
        assertClear(error, /^Cannot list store "s3:\/\/evidence-\d+\/some\/prefix": .*, run it again; if it stays so, /)
        return assertClear(error, says)
      })
      assert.deepEqual(got, keys.slice(0, 7 * page))
    }
  })
}

test('list() ends where a page names itself as the next one', async () => {
  const { objects } = freshStore()
  await objects.putOnce('evidence/w/c/1', Buffer.from('x'))
  server.misbehave(() => 'same-token')
  await assert.rejects(listed(objects, 'evidence/'), (error) =>
    assertClear(error, /names itself as the next one|order/),
  )
})

test('list() passes over names that are no keys', async () => {
  const { objects, evidence } = freshStore()
  await objects.putOnce('evidence/w/c/1', Buffer.from('x'))
  for (const name of ['evidence/', 'evidence/.DS_Store', 'evidence/lost+found/x', 'evidence/\u{1F600}', 'evidence//x'])
    server.meddle(evidence, `some/prefix/${name}`, Buffer.from('x'))
  assert.deepEqual(await listed(objects, 'evidence/'), ['evidence/w/c/1'])
})

test('a refusal that something else than S3 sends is not taken for one of S3', async () => {
  const { objects } = freshStore()
  await objects.putOnce('evidence/w/c/1', numberedBody(1))
  server.misbehave(({ action }) => (action === 's3:PutObject' ? 'html' : undefined))
  await assert.rejects(objects.putOnce('evidence/w/c/1', numberedBody(1)), (error) =>
    assertClear(error, /: its answer cannot be read, run it again; if it stays so, something else than S3 answers /),
  )
})

test('an object that is not what was stored is an error', async () => {
  const { objects } = freshStore()
  await objects.putOnce('evidence/w/c/1', numberedBody(1))
  for (const [how, says] of [
    ['changed-byte', /the bytes that came do not fit the checksum that is stored with them/],
    ['no-etag', /an object came without a tag/],
    ['html', /an object came without a tag/],
  ] as const) {
    server.misbehave(({ action }) => (action === 's3:GetObject' ? how : undefined))
    await assert.rejects(objects.get('evidence/w/c/1'), (error) => assertClear(error, says))
    await assert.rejects(objects.putOnce('evidence/w/c/1', numberedBody(1)), (error) => assertClear(error, says))
  }
})

test('a write that is confirmed by something else than S3 is an error', async () => {
  const { objects } = freshStore()
  for (const how of ['html', 'no-etag', 'empty'] as const) {
    server.misbehave(() => how)
    await assert.rejects(objects.putOnce(`evidence/w/c/${how}`, numberedBody(1)), (error) =>
      assertClear(error, /a write was confirmed without a tag, run it again/),
    )
  }
})

const ARN = 'arn:aws:sts::123456789012:assumed-role/x/y'

const REFUSED: readonly (readonly [how: Exclude<S3Misbehaviour, string>, says: RegExp])[] = [
  [
    { status: 404, code: 'NoSuchBucket' },
    /: there is no bucket "(evidence|derived)-\d+", make it or name another one \(NoSuchBucket\)$/,
  ],
  [
    { status: 403, code: 'AccessDenied', message: 'Access Denied' },
    /: access is denied, the credentials need s3:\w+( and s3:\w+)? on "arn:aws:s3:::(evidence|derived)-\d+(\/[a-z/]+\/\*)?" \(AccessDenied\)$/,
  ],
  [
    {
      status: 403,
      code: 'AccessDenied',
      message: `User: ${ARN} is not authorized to perform: kms:GenerateDataKey on the resource associated with this ciphertext`,
    },
    /the credentials need kms:GenerateDataKey on /,
  ],
  [
    { status: 301, code: 'PermanentRedirect', headers: { 'x-amz-bucket-region': 'eu-west-1' } },
    /the bucket is in region "eu-west-1", set AWS_REGION=eu-west-1 \(PermanentRedirect\)$/,
  ],
  [
    { status: 301, code: 'PermanentRedirect', headers: { 'x-amz-bucket-region': 'evil region' } },
    /the bucket is in another region, set AWS_REGION/,
  ],
  [
    {
      status: 400,
      code: 'AuthorizationHeaderMalformed',
      message: "the region 'us-east-1' is wrong; expecting 'eu-west-1'",
    },
    /set AWS_REGION=eu-west-1/,
  ],
  [
    { status: 400, code: 'ExpiredToken' },
    /the credentials have expired, renew them and run it again \(ExpiredToken\)$/,
  ],
  [{ status: 403, code: 'InvalidAccessKeyId' }, /S3 does not know the credentials/],
  [{ status: 403, code: 'SignatureDoesNotMatch' }, /the secret key does not fit the access key/],
  [{ status: 403, code: 'RequestTimeTooSkewed' }, /the clock of this machine is wrong by more than 15 minutes, set it/],
  [
    { status: 400, code: 'InvalidRequest', message: 'Bucket is missing Object Lock Configuration' },
    /the bucket has no Object Lock, .* "lock=none"/,
  ],
  [
    { status: 400, code: 'KMS.DisabledException', message: `Key\u001B[31m ${S3_SECRET_KEY}\nis disabled` },
    /: S3 answered 400, "Key \[31m \[redacted\] is disabled" \(KMS\.DisabledException\)$/,
  ],
  [{ status: 400, code: 'BadDigest' }, /the bytes that reached S3 are not those that were sent/],
  [{ status: 403, code: 'InvalidObjectState' }, /it lies in an archive class, restore it/],
  [{ status: 418, code: 'toString' }, /S3 answered 418, "toString"/],
  [
    { status: 500, code: 'InternalError' },
    /S3 was busy or failed at all 4 tries, run it again later \(InternalError\)$/,
  ],
]

for (const [how, says] of REFUSED) {
  test(`${how.status} ${how.code} "${(how.message ?? '').slice(0, 40)}" is told in one line by every member, with what to do`, async () => {
    const { objects } = freshStore()
    await objects.putOnce('evidence/w/c/1', Buffer.from('x'))
    server.misbehave(() => how)
    for (const [call, what] of [
      [() => objects.get('evidence/w/c/1'), 'read "evidence/w/c/1" from'],
      [() => objects.putOnce('evidence/w/c/1', Buffer.from('x')), 'write "evidence/w/c/1" to'],
      [() => objects.putIf('state/c', Buffer.from('x'), null), 'write "state/c" to'],
      [() => objects.putIf('state/c', Buffer.from('x'), '"tag"'), 'write "state/c" to'],
      [() => objects.remove('state/c'), 'remove "state/c" from'],
      [() => listed(objects, 'evidence/'), 'list'],
    ] as const) {
      await assert.rejects(call, (error) => {
        const place = what.includes('state') ? 's3://derived-\\d+/other' : 's3://evidence-\\d+/some/prefix'
        assertClear(error, new RegExp(`^Cannot ${what} store "${place}": `))
        return assertClear(error, says)
      })
    }
  })
}

test('the permission that lacks is named', async () => {
  const { objects } = freshStore()
  server.misbehave(() => ({ status: 403, code: 'AccessDenied', message: 'Access Denied' }))
  for (const [call, permission] of [
    [() => objects.get('evidence/w/c/1'), 's3:GetObject and s3:ListBucket on "arn:aws:s3:::evidence-N/some/prefix/*"'],
    [() => objects.get('state/c', 'v1'), 's3:GetObjectVersion and s3:ListBucket on "arn:aws:s3:::derived-N/other/*"'],
    [
      () => objects.putOnce('evidence/w/c/1', Buffer.from('x')),
      's3:PutObject and s3:PutObjectRetention on "arn:aws:s3:::evidence-N/some/prefix/*"',
    ],
    [() => objects.putIf('state/c', Buffer.from('x'), null), 's3:PutObject on "arn:aws:s3:::derived-N/other/*"'],
    [() => objects.remove('state/c'), 's3:DeleteObject on "arn:aws:s3:::derived-N/other/*"'],
    [() => listed(objects, 'evidence/'), 's3:ListBucket on "arn:aws:s3:::evidence-N"'],
  ] as const) {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof StoreError)
      assert.ok(error.message.replaceAll(/-\d+/g, '-N').includes(`need ${permission}`), error.message)
      return true
    })
  }
})

test('a server that closes every connection is told in one line', async () => {
  const { objects } = freshStore()
  server.misbehave(() => 'reset')
  await assert.rejects(objects.get('state/c'), (error) =>
    assertClear(error, /: the connection was closed at all 4 tries, run it again later$/),
  )
})

test('a server that is not there is told in one line', async () => {
  const { address } = freshStore()
  const objects = openStore(address, { limits: { attempts: 2, attemptMs: 5000, deadlineMs: 20_000 } })
  process.env['AWS_ENDPOINT_URL_S3'] = 'http://127.0.0.1:9'
  try {
    await assert.rejects(objects.get('state/c'), (error) =>
      assertClear(error, /the endpoint cannot be reached \(ECONNREFUSED\), check AWS_ENDPOINT_URL_S3 and the network$/),
    )
  } finally {
    process.env['AWS_ENDPOINT_URL_S3'] = server.url
  }
})

test('an address gives one version of an object to whoever has it, by one method, until its time is over', async (t) => {
  const { address } = freshStore()
  const signedAt = new Date('2026-11-23T07:00:00Z')
  const objects = openStore(address, { now: () => signedAt })
  t.after(() => server.setNow(new Date()))
  const key = 'documents/a=b/report.pdf'
  const etag = await objects.putIf(key, Buffer.from('first'), null)
  const { version } = (await objects.get(key)) ?? assert.fail()
  await objects.putIf(key, Buffer.from('second'), etag)
  assert.ok(version !== null && objects.link !== undefined)
  const how = { version, seconds: 60, type: 'text/html; charset=utf-8', disposition: 'inline; filename="a.html"' }
  const url = await objects.link(key, { ...how, method: 'GET' })
  assert.ok(!decodeURIComponent(url).includes(S3_SECRET_KEY))
  const at = (milliseconds: number) => server.setNow(new Date(signedAt.getTime() + milliseconds))

  at(59_999)
  const given = await fetch(url)
  assert.deepEqual([given.status, await given.text()], [200, 'first'])
  for (const [name, value] of [
    ['content-type', how.type],
    ['content-disposition', how.disposition],
    ['cache-control', 'no-store'],
    ['x-amz-version-id', version],
  ] as const)
    assert.equal(given.headers.get(name), value)
  const refused = async (other: string, init: RequestInit = {}) => {
    const { status } = await fetch(other, init)
    assert.ok(status === 403 || status === 400, `${status} for ${other}`)
  }
  await refused(url, { method: 'HEAD' })
  const head = await objects.link(key, { ...how, method: 'HEAD' })
  assert.equal((await fetch(head, { method: 'HEAD' })).headers.get('content-length'), '5')
  await refused(head)
  for (const method of ['PUT', 'DELETE']) await refused(url, { method })
  // Whatever of it is another one, or is not there.
  for (const name of new URL(url).searchParams.keys()) {
    const changed = new URL(url)
    changed.searchParams.set(name, `${changed.searchParams.get(name) ?? ''}1`)
    await refused(changed.href)
    changed.searchParams.delete(name)
    await refused(changed.href)
  }
  await refused(url.replace('report.pdf', 'report.html'))
  at(60_000)
  await refused(url)
  assert.equal(await textOf(objects, key), 'second')
})

test('an address without credentials to sign it is a line of ours', async () => {
  const { objects } = freshStore()
  const { AWS_ACCESS_KEY_ID: id } = process.env
  delete process.env['AWS_ACCESS_KEY_ID']
  try {
    const how = { version: 'v', seconds: 60, method: 'GET', type: 'application/pdf', disposition: 'inline' } as const
    await assert.rejects(async () => objects.link?.('documents/a/report.pdf', how), errorText({ name: 'StoreError' }))
  } finally {
    process.env['AWS_ACCESS_KEY_ID'] = id
  }
})

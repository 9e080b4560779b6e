import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import '../support/aws/function-environment.ts'
import { onQueue, onRequest, onSchedule, setting } from '../../functions/lambda.ts'
import { once } from '../../lib/once.ts'
import { batchOf, capturedLog, contextOf, requestOf } from '../support/aws/lambda.ts'
import { errorText } from '../support/texts/matches-text.ts'

const SECRET = 'do-not-log-this'
const TIME = '2026-11-24T13:00:00Z'

test('a schedule gives its own time, whenever the event comes, and one line says what came of it', async (t) => {
  const log = capturedLog(t)
  const times: Date[] = []
  const handler = onSchedule((now) => {
    times.push(now)
    return Promise.resolve({ logFields: { leaves: 3 }, counts: { SealedLeaves: 3 } })
  })
  await handler({ time: TIME }, contextOf())
  await handler({ time: TIME }, contextOf())
  assert.deepEqual(times, [new Date(TIME), new Date(TIME)])
  const [done, metric] = log.lines()
  assert.deepEqual(
    [done?.['message'], done?.['leaves'], done?.['function_request_id']],
    ['done', 3, contextOf().awsRequestId],
  )
  assert.equal(metric?.['SealedLeaves'], 3)
  assert.ok(JSON.stringify(metric?.['_aws']).includes('"Name":"SealedLeaves","Unit":"Count"'))
})

test('an event of another shape is refused in one line, without what was in it', async (t) => {
  const log = capturedLog(t)
  const handler = onSchedule(() => assert.fail('it must not run'))
  for (const event of [undefined, null, {}, { time: SECRET }, { time: 3 }, [], SECRET])
    await assert.rejects(handler(event, contextOf()), {
      name: 'SettingError',
      message: /^Cannot read the event: [^\n]*$/,
    })
  assert.equal(log.lines().length, 7)
  assert.ok(!log.text().includes(SECRET))
})

test('of a batch only what failed comes again, and a message that cannot be read fails alone', async (t) => {
  const log = capturedLog(t)
  const seen: number[] = []
  const handler = onQueue(z.object({ number: z.number() }), ({ number }) => {
    seen.push(number)
    if (number === 2) throw new Error('no')
    return Promise.resolve({ logFields: { number } })
  })
  const answer = await handler(
    batchOf({ number: 1 }, { number: 2 }, 'no JSON', { number: SECRET }, { number: 3 }),
    contextOf(),
  )
  assert.deepEqual(seen, [1, 2, 3])
  assert.deepEqual(answer, { batchItemFailures: ['m1', 'm2', 'm3'].map((itemIdentifier) => ({ itemIdentifier })) })
  assert.equal(log.lines().filter(({ level }) => level === 'ERROR').length, 3)
  assert.ok(!log.text().includes(SECRET))
})

test('what stopped an event fails it, and what was done before is told all the same', async (t) => {
  const log = capturedLog(t)
  const outcome = () =>
    Promise.resolve({ logFields: { sent: 3 }, counts: { Mails: 3 }, error: new Error('the store is away') })
  await assert.rejects(onSchedule(outcome)({ time: TIME }, contextOf()), { message: 'the store is away' })
  const handler = onQueue(z.string(), outcome)
  assert.deepEqual(await handler(batchOf('"a"'), contextOf()), { batchItemFailures: [{ itemIdentifier: 'm0' }] })
  assert.deepEqual(
    log.lines().flatMap(({ message, sent }) => (message === undefined ? [] : [[message, sent]])),
    [
      ['done', 3],
      ['the store is away', undefined],
      ['done', 3],
      ['the store is away', undefined],
    ],
  )
})

test('counts of an event that failed are its own, and not added to those of the next one', async (t) => {
  const log = capturedLog(t)
  const fails = onSchedule(() =>
    Promise.resolve({ logFields: {}, counts: { Reports: 2 }, error: new Error('the store is away') }),
  )
  const works = onSchedule(() => Promise.resolve({ logFields: {}, counts: { Reports: 1 } }))
  await assert.rejects(fails({ time: TIME }, contextOf()))
  await works({ time: TIME }, contextOf())
  assert.deepEqual(
    log.lines().flatMap((line) => ('Reports' in line ? [line['Reports']] : [])),
    [2, 1],
  )
})

test('an event that counts nothing, and one that fails before it counts, leave no line about that', async (t) => {
  const log = capturedLog(t)
  await onSchedule(() => Promise.resolve({ logFields: {} }))({ time: TIME }, contextOf())
  await assert.rejects(onSchedule(() => Promise.reject(new Error('no')))({ time: TIME }, contextOf()))
  assert.deepEqual(
    log
      .text()
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { message: unknown }).message),
    ['done', 'no'],
  )
})

test('what does not end in time ends in words before Lambda ends it without', async (t) => {
  const log = capturedLog(t)
  const never = (): Promise<never> => new Promise(() => {})
  const context = contextOf(2_050)
  await assert.rejects(onSchedule(never)({ time: TIME }, context), errorText({ name: 'SettingError' }))
  assert.ok(context.getRemainingTimeInMillis() > 1_000)
  const seen: string[] = []
  const handler = onQueue(z.string(), (message) => {
    seen.push(message)
    return message === 'slow' ? never() : Promise.resolve({ logFields: {} })
  })
  assert.deepEqual(await handler(batchOf('"quick"', '"slow"', '"waiting"'), contextOf(2_100)), {
    batchItemFailures: [{ itemIdentifier: 'm1' }, { itemIdentifier: 'm2' }],
  })
  // Timers leave out parts of a millisecond: over is over, whatever the context still says.
  const late = { ...contextOf(), getRemainingTimeInMillis: () => 2_050.9 }
  assert.deepEqual(await handler(batchOf('"slow"', '"waiting"'), late), {
    batchItemFailures: [{ itemIdentifier: 'm0' }, { itemIdentifier: 'm1' }],
  })
  assert.deepEqual(seen, ['quick', 'slow', 'slow'])
  assert.equal(log.lines().filter(({ level }) => level === 'ERROR').length, 5)
})

test('what an SDK hangs on its errors reaches neither the log nor Lambda', async (t) => {
  const log = capturedLog(t)
  const error = Object.assign(new Error('Cannot sign: access is denied', { cause: new Error(SECRET) }), {
    name: 'KmsError',
    $response: { headers: { authorization: SECRET } },
  })
  const failed: unknown = await onSchedule(() => Promise.reject(error))({ time: TIME }, contextOf()).catch(
    (reason: unknown) => reason,
  )
  assert.ok(failed instanceof Error)
  assert.deepEqual(
    [failed.name, failed.message, failed.stack],
    ['KmsError', 'Cannot sign: access is denied', undefined],
  )
  assert.deepEqual(Object.getOwnPropertyNames(failed).toSorted(), ['message', 'name'])
  const [line] = log.lines()
  assert.deepEqual([line?.['message'], line?.['failure'], line?.['stack']], [error.message, 'KmsError', undefined])
  assert.ok(!log.text().includes(SECRET))
})

test('an event is not logged, whatever the environment of the function says', async (t) => {
  const log = capturedLog(t)
  process.env['POWERTOOLS_LOGGER_LOG_EVENT'] = 'true'
  t.after(() => delete process.env['POWERTOOLS_LOGGER_LOG_EVENT'])
  // The logger reads the environment when it is made.
  const again = '../../functions/lambda.ts?made-again'
  const fresh = (await import(again)) as { onSchedule: typeof onSchedule }
  await fresh.onSchedule(() => Promise.resolve({ logFields: {} }))({ time: TIME, detail: SECRET }, contextOf())
  assert.equal(log.lines().length, 1)
  assert.ok(!log.text().includes(SECRET))
})

test('once() makes a thing once, and again only where it failed', async () => {
  let made = 0
  const thing = once(() => (++made === 1 ? Promise.reject(new Error('not yet')) : Promise.resolve(made)))
  await assert.rejects(thing(), /not yet/)
  assert.deepEqual([await thing(), await thing()], [2, 2])
})

test('setting() says which variable lacks', () => {
  assert.equal(setting('x', 'CIPHERTRAIL_STORE'), 'x')
  assert.throws(() => setting(undefined, 'CIPHERTRAIL_STORE'), /Cannot start: CIPHERTRAIL_STORE is not set/)
})

test('a path that would be read as another one than IAM and the log of API Gateway know leads nowhere', async (t) => {
  capturedLog(t)
  const handler = onRequest(() => assert.fail('it was asked'))
  for (const rawPath of [
    '/v1/checkpoint/%2e%2e/paths',
    '/v1/checkpoint/../paths',
    '/v1/./paths',
    '/v1/paths#x',
    '/v1\\paths',
  ]) {
    const answer = await handler({ ...(requestOf('/v1/paths') as object), rawPath }, contextOf())
    assert.equal(answer.statusCode, 404, rawPath)
  }
})

test('a request of API Gateway comes and goes as it is, with what the authoriser found beside it', async (t) => {
  capturedLog(t)
  const handler = onRequest(async (request, { event }) => {
    const { pathname, search } = new URL(request.url)
    const beside = JSON.stringify((event as { requestContext: { authorizer: unknown } }).requestContext.authorizer)
    return new Response(`${request.method} ${pathname}${search} ${beside} \u00e9`, {
      status: 201,
      headers: { etag: '"x"' },
    })
  })
  const answer = await handler(
    requestOf('/v1/paths?state=not-encrypted&cluster=a%20b', { iam: { userArn: 'ann' } }),
    contextOf(),
  )
  assert.deepEqual([answer.statusCode, answer.headers?.['etag'], answer.isBase64Encoded], [201, '"x"', true])
  assert.equal(
    Buffer.from(answer.body ?? '', 'base64').toString(),
    'GET /v1/paths?state=not-encrypted&cluster=a+b {"iam":{"userArn":"ann"}} \u00e9',
  )
})

test('what the API fails at, and what Lambda could not hand over, is a problem without the inside', async (t) => {
  const log = capturedLog(t)
  const fails = onRequest(() => {
    throw new Error(SECRET)
  })
  const large = onRequest(() => new Response(new Uint8Array(5_000_000)))
  for (const answer of [
    await fails(requestOf('/v1/x'), contextOf()),
    await large(requestOf('/v1/x'), contextOf()),
    await large({}, contextOf()),
  ]) {
    assert.equal(answer.statusCode, 500)
    assert.equal(answer.headers?.['content-type'], 'application/problem+json')
    assert.ok(!answer.body?.includes(SECRET))
  }
  assert.deepEqual(
    log.lines().map(({ level }) => level),
    ['ERROR', 'ERROR', 'ERROR'],
  )
})

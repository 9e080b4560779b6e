import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { SSMClient } from '@aws-sdk/client-ssm'
import { LogError } from '../../../lib/seal/write/head.ts'
import { parseParameterArn } from '../../../lib/seal/write/parameter-arn.ts'
import { HeadParameterError, parameterLastHead } from '../../../lib/seal/write/parameter-last-head.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { verifierOf } from '../../../lib/seal/tlog/note.ts'
import { checkpointKey } from '../../../lib/store/log-keys.ts'
import { HEAD_PARAMETER, HEAD_PARAMETER_ARN, startSsmServer } from '../../support/servers/ssm-server.ts'
import { checkSigned, newSigner, readLog } from '../../support/stored/memory-log.ts'
import { type Gate, memoryObjects } from '../../support/stored/memory-objects.ts'
import { errorText } from '../../support/texts/matches-text.ts'

const at = (hour: number) => new Date(Date.UTC(2026, 10, 24, hour))
const headOf = (size: number, fill = size) => ({ size, root: Buffer.alloc(32, fill) })

/** A store in memory, and a key that remembers in a parameter. */
async function world(t: TestContext) {
  const server = await startSsmServer()
  const client = new SSMClient({
    endpoint: server.url,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'tester', secretAccessKey: 'hunter2' },
    maxAttempts: 1,
  })
  t.after(async () => {
    client.destroy()
    await server.close()
  })
  const held = new Map<string, Uint8Array>()
  const signer = newSigner()
  const last = parameterLastHead(HEAD_PARAMETER_ARN, client)
  const run = (hour: number, gate?: Gate) =>
    seal({ now: at(hour) }, { objects: memoryObjects(held, gate), signer, last })
  const put = (name: string) => held.set(`reports/${name}`, Buffer.from(name))
  const back = (before: ReadonlyMap<string, Uint8Array>) => {
    held.clear()
    for (const [key, body] of before) held.set(key, body)
  }
  const sizes = () =>
    (server.values.get(HEAD_PARAMETER) ?? []).map((value) =>
      value === 'none' ? 0 : (JSON.parse(value) as { size: number }).size,
    )
  return { server, held, signer, last, run, put, back, sizes }
}

test('seal() with a parameter does not go on with a bucket that was put back, and signs nothing for it', async (t) => {
  const { held, signer, run, put, back, sizes } = await world(t)
  put('a')
  await run(12)
  const before = new Map(held)
  put('b')
  await run(13)
  const whole = new Map(held)
  const signed = signer.signed.length
  for (const spoil of [() => undefined, () => put('c'), () => held.delete(checkpointKey), () => held.clear()]) {
    back(before)
    spoil()
    await assert.rejects(run(14), (error) => {
      assert.ok(error instanceof LogError)
      assert.match(
        error.message,
        /^Cannot extend the log: when it was last sealed it had 2 leaves and root \S+ \("arn:aws:ssm:[^"]+"\), and the store has \d and does not lead there; it was put back to an earlier state or exchanged, put back what it held$/,
      )
      return true
    })
    assert.equal(signer.signed.length, signed)
  }
  back(whole)
  put('c')
  await run(15)
  assert.deepEqual(sizes(), [0, 1, 2, 3])
  checkSigned(signer.signed, held, verifierOf(signer.vkey))
})

test('seal() with a parameter writes it after the batch and before the checkpoint: a run that died anywhere between is finished', async (t) => {
  for (const died of ['before the parameter', 'before the checkpoint'] as const) {
    const { server, held, signer, run, put, sizes } = await world(t)
    put('a')
    await run(12)
    put('b')
    if (died === 'before the parameter')
      server.onRequest(({ action }) =>
        action === 'PutParameter' ? { status: 400, body: { __type: 'TooManyUpdates', message: 'later' } } : undefined,
      )
    const gate: Gate = (request, effect) => {
      if (request.member === 'putIf' && request.key === checkpointKey) throw new Error('power cut')
      return Promise.resolve().then(effect)
    }
    await assert.rejects(run(13, gate), died === 'before the parameter' ? /TooManyUpdates: later/ : /power cut/)
    assert.deepEqual(sizes(), died === 'before the parameter' ? [0, 1] : [0, 1, 2])
    server.onRequest(() => undefined)
    await run(14)
    assert.deepEqual(
      readLog(held, signer.vkey)
        .slice(0, 2)
        .map(({ key }) => key),
      ['reports/a', 'reports/b'],
    )
    checkSigned(signer.signed, held, verifierOf(signer.vkey))
  }
})

test('of runs that write the parameter at once the largest head stays, and of two logs the one that was there first', async (t) => {
  const { server, last, sizes } = await world(t)
  /** Lets somebody else write once, between what this run reads and what it writes. */
  const meanwhile = (value: string) => {
    let isDone = false
    server.onRequest(({ action }) => {
      if (action !== 'PutParameter' || isDone) return
      isDone = true
      server.values.get(HEAD_PARAMETER)?.push(value)
    })
  }
  const text = (size: number, fill = size) =>
    JSON.stringify({ format: 'ciphertrail/head/1', size, root: Buffer.alloc(32, fill).toString('base64') })
  await last.write(headOf(4))
  meanwhile(text(6))
  await last.write(headOf(5))
  assert.deepEqual(sizes(), [0, 4, 6, 5, 6])
  meanwhile(text(7))
  await last.write(headOf(8))
  assert.deepEqual(sizes().at(-1), 8)
  await last.write(headOf(3))
  assert.deepEqual(sizes().at(-1), 8)
  meanwhile(text(9))
  await last.write(headOf(9))
  meanwhile(text(10, 99))
  await assert.rejects(last.write(headOf(10)), errorText())
  assert.deepEqual(await last.read(), headOf(10, 99))
  await assert.rejects(last.write(headOf(10)), LogError)
  assert.deepEqual(await last.read(), headOf(10, 99))
})

test('a parameter that is absent, damaged, put back to none, forbidden or another thing is one line that says what to do', async (t) => {
  const { server, run, put, last } = await world(t)
  put('a')
  await run(12)
  const values = server.values.get(HEAD_PARAMETER) ?? []
  const refused = async (state: RegExp) =>
    assert.rejects(run(13), (error) => {
      assert.ok(error instanceof HeadParameterError)
      assert.doesNotMatch(error.message, /\n|hunter2/)
      assert.match(error.message, /^Cannot use parameter "arn:aws:ssm:\S+", which remembers the head of the log: /)
      assert.match(error.message, state)
      return true
    })
  for (const damage of ['?', '{}', '{"format":"ciphertrail/head/1","root":"!","size":1}']) {
    server.values.set(HEAD_PARAMETER, [...values, damage])
    await refused(/it is damaged; write back its last value, which "aws ssm get-parameter-history --name \/c/)
  }
  server.values.set(HEAD_PARAMETER, [...values, 'none'])
  await refused(/it was put back to "none"; find out who did, and write back/)
  server.values.delete(HEAD_PARAMETER)
  await refused(/there is none; create it as String with the value "none" if no log was sealed with it yet/)
  server.values.set(HEAD_PARAMETER, values)
  server.onRequest(() => ({ status: 400, body: { __type: 'AccessDeniedException', message: 'not\nallowed' } }))
  await refused(/it cannot be read \(AccessDeniedException: not allowed\)$/)
  server.onRequest(() => undefined)
  assert.equal((await last.read())?.size, 1)
  assert.throws(() => parameterLastHead('/var/head'), /wanted the ARN of a parameter/)
})

test('parseParameterArn() gives the region and the name, of several levels with a slash before it', () => {
  const of = (rest: string) => parseParameterArn(`arn:aws:ssm:eu-central-1:111122223333:${rest}`)
  assert.deepEqual(parseParameterArn(HEAD_PARAMETER_ARN), { region: 'eu-central-1', name: HEAD_PARAMETER })
  assert.equal(of('parameter/head')?.name, 'head')
  for (const rest of [
    'parameter/',
    'parameter/a//b',
    'parameter/a b',
    'parameter/a:1',
    'secret/a',
    `parameter/${'a'.repeat(1100)}`,
  ])
    assert.equal(of(rest), undefined, rest)
})

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { ApiAnswer } from '../../lib/query/answer.ts'
import { keepAnswers } from '../../lib/query/kept-answers.ts'
import { stateKey } from '../../lib/store/keys.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { startApi } from '../support/servers/local-api.ts'
import { collectLate, fillHistories, fillNorth } from '../support/stored/asked-store.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)

/** Answers with all that begins with a letter, after a name that may be there or not. */
async function summed(letter: string, objects: Objects): Promise<ApiAnswer> {
  const first = await objects.get(`registry/${letter}`)
  const parts = [first === undefined ? 'none' : Buffer.from(first.body).toString()]
  for await (const key of objects.list(`changes/${letter}`)) {
    parts.push(`${key}=${Buffer.from((await objects.get(key))?.body ?? []).toString()}`)
    // As who looks for the first few does.
    if (parts.length > 3) break
  }
  return { type: 'text/plain', body: parts.join(' ') }
}

type Step =
  | { readonly kind: 'ask'; readonly letter: string }
  | { readonly kind: 'replace'; readonly letter: string; readonly value: string }
  | { readonly kind: 'add'; readonly letter: string; readonly number: number }
  | { readonly kind: 'remove'; readonly letter: string }

const letter = fc.constantFrom('a', 'b')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('ask' as const), letter }) },
  fc.record({ kind: fc.constant('replace' as const), letter, value: fc.constantFrom('1', '2', '33') }),
  fc.record({ kind: fc.constant('add' as const), letter, number: fc.nat(5) }),
  fc.record({ kind: fc.constant('remove' as const), letter }),
)

async function take(one: Step, objects: Objects): Promise<void> {
  const key = `registry/${one.letter}`
  if (one.kind === 'replace')
    await objects.putIf(key, bytes(one.value), (await objects.get(key))?.etag ?? null).catch(() => undefined)
  if (one.kind === 'add') await objects.putOnce(`changes/${one.letter}${one.number}`, bytes('x'))
  if (one.kind === 'remove') await objects.remove(key)
}

test('a kept answer is the one that would be made now, whatever changed in the store', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ciphertrail-kept-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.boolean(), async (steps, isFolder) => {
      const objects = isFolder ? directoryObjects(join(folder, String(run++))) : memoryObjects()
      const answerOnce = keepAnswers(objects)
      for (const one of steps) {
        if (one.kind !== 'ask') await take(one, objects)
        else
          assert.equal(
            (await answerOnce({ question: one.letter, minute: 0 }, (seen) => summed(one.letter, seen))).body,
            (await summed(one.letter, objects)).body,
          )
      }
    }),
    { numRuns: 60 },
  )
})

test('a question is answered once for all who ask at the same time, and again only when something changed', async () => {
  const objects = memoryObjects()
  const answerOnce = keepAnswers(objects)
  let made = 0
  const ask = () =>
    answerOnce({ question: 'a', minute: 0 }, async (seen) => {
      made += 1
      return summed('a', seen)
    })
  await Promise.all([ask(), ask(), ask()])
  await ask()
  assert.equal(made, 1)
  await objects.putOnce('changes/a1', bytes('x'))
  const { etag } = await ask()
  assert.equal(made, 2)
  assert.equal((await ask()).etag, etag)
})

test('nothing that fails is kept, and no more bytes than may be', async () => {
  const answerOnce = keepAnswers(memoryObjects(), { bytes: 9000, bytesOfOne: 4500, answers: 10 })
  const counts = new Map<string, number>()
  const ask = (question: string, size: number) =>
    answerOnce({ question, minute: 0 }, async () => {
      counts.set(question, (counts.get(question) ?? 0) + 1)
      if (size === 0) throw new Error('no')
      return { type: 'text/plain', body: 'x'.repeat(size) }
    })
  for (let time = 0; time < 2; time++) {
    await assert.rejects(ask('fails', 0))
    await ask('large', 2000)
    await ask('one', 1000)
    await ask('two', 1000)
  }
  assert.deepEqual([counts.get('fails'), counts.get('large'), counts.get('one'), counts.get('two')], [2, 2, 1, 1])
  await ask('three', 1000)
  await ask('one', 1000)
  assert.equal(counts.get('one'), 2, 'the one that was asked for longest ago made room')
})

test('many small answers, what they were made from and past minutes fill no memory', async () => {
  const objects = memoryObjects()
  const limits = { bytes: 1_000_000, bytesOfOne: 500_000, answers: 3 }
  const asker = (answerOnce: ReturnType<typeof keepAnswers>) => {
    const made: string[] = []
    const ask = (question: string, minute = 0, reads = 0) =>
      answerOnce({ question, minute }, async (seen) => {
        made.push(`${minute} ${question}`)
        for (let read = 0; read < reads; read++) await seen.get(`registry/${question}${read}`)
        return { type: 'text/plain', body: question }
      })
    return { made, ask }
  }
  const few = asker(keepAnswers(objects, limits))
  for (const question of ['a', 'b', 'c', 'd', 'b', 'a']) await few.ask(question)
  assert.deepEqual(few.made, ['0 a', '0 b', '0 c', '0 d', '0 a'], 'three are kept, however small')

  const read = asker(keepAnswers(objects, { ...limits, bytes: 20_000 }))
  for (const question of ['a', 'b', 'a']) await read.ask(question, 0, 100)
  assert.deepEqual(read.made, ['0 a', '0 b', '0 a'], 'a hundred keys count')

  const later = asker(keepAnswers(objects, limits))
  for (const minute of [0, 1, 0]) await later.ask('a', minute)
  assert.deepEqual(later.made, ['0 a', '1 a', '0 a'], 'nothing of a past minute is kept')
})

/** Counts what is read of a store. */
function counting(objects: Objects): { readonly objects: Objects; readonly reads: string[] } {
  const reads: string[] = []
  const read: Objects['get'] = (key, version) => {
    reads.push(key)
    return objects.get(key, version)
  }
  return { objects: { ...objects, get: read }, reads }
}

test('the API reads nothing twice for one question, and sees at once what was collected late', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ciphertrail-kept-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const store = directoryObjects(folder)
  await fillHistories(store)
  const { objects, reads } = counting(store)
  const { ask } = await startApi(t, { objects })
  const question = '/v1/paths?cluster=east&from=2026-11-24T12:00:00Z'
  const first = await ask(question)
  const etag = first.headers.get('etag') ?? ''
  assert.ok(reads.includes(stateKey('east')))
  reads.length = 0
  assert.equal((await ask(question, { headers: { 'if-none-match': etag } })).status, 304)
  assert.equal((await ask(question)).headers.get('etag'), etag)
  assert.deepEqual(reads, [], 'a tag of the file is enough')
  await collectLate(store)
  const later = await ask(question, { headers: { 'if-none-match': etag } })
  assert.equal(later.status, 200)
  assert.match(await later.text(), /"collected":"all"/)
  // Whoever may see less is not answered with what is kept for others.
  assert.equal((await ask(question, { headers: { authorization: 'Bearer west' } })).status, 404)
  await fillNorth(store)
  assert.match(await (await ask('/v1/clusters')).text(), /"north"/)
})

test('an answer is compressed for who takes gzip, with a weak tag that is known again', async (t) => {
  const { url } = await startApi(t)
  const ask = (headers: Record<string, string>) =>
    new Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: Buffer }>(
      (resolve, reject) => {
        get(new URL('/v1/paths', url), { headers: { authorization: 'Bearer all', ...headers } }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
          )
        }).on('error', reject)
      },
    )
  const plain = await ask({})
  const packed = await ask({ 'accept-encoding': 'br, gzip;q=0.5' })
  assert.deepEqual([plain.headers['content-encoding'], packed.headers['content-encoding']], [undefined, 'gzip'])
  assert.deepEqual(gunzipSync(packed.body), plain.body)
  assert.ok(packed.body.length * 2 < plain.body.length)
  assert.equal(packed.headers['etag'], `W/${String(plain.headers['etag'])}`)
  const again = await ask({ 'accept-encoding': 'gzip', 'if-none-match': String(packed.headers['etag']) })
  assert.deepEqual([again.status, again.body.length], [304, 0])
  assert.equal((await ask({ 'accept-encoding': 'gzip;q=0' })).headers['content-encoding'], undefined)
})

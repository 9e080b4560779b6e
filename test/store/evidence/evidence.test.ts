import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import {
  decodeSnapshot,
  encodeSnapshot,
  EvidenceError,
  listAttempts,
  readSnapshot,
  writeAttempt,
} from '../../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { ConflictError } from '../../../lib/store/objects/objects.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { freshStore } from '../../support/stored/fresh-store.ts'
import { errorText, textWith } from '../../support/texts/matches-text.ts'

const window = { start: '2026-11-24T12:30:00Z', end: '2026-11-24T12:35:00Z' }
const key = evidenceKey({ window, cluster: 'shop', attempt: 1 })

function snapshotOf(change: Partial<Snapshot> = {}): Snapshot {
  return {
    format: 'ciphertrail/snapshot/1',
    cluster: 'shop',
    window,
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    collector: { name: 'ciphertrail', version: '0.1.0' },
    startedAt: '2026-11-24T12:36:00Z',
    endedAt: '2026-11-24T12:36:01.5Z',
    complete: true,
    metrics: {
      status: 'complete',
      errors: [],
      prometheusTime: '1795523760.123',
      answers: [{ name: 'scrapes', query: 'up', time: '1795523700', body: '{"status":"success"}\n' }],
    },
    kubernetes: {
      status: 'partial',
      errors: ['Cannot list pods: 403'],
      takenAt: '2026-11-24T12:36:00Z',
      lists: [
        { resource: 'pods', version: 'v1', items: [{ z: 1, a: ['<b>', null, 1e21, -0] }] },
        { resource: 'x', items: [] },
      ],
    },
    ...change,
  }
}

function withBody(body: string): Snapshot {
  const snapshot = snapshotOf()
  return { ...snapshot, metrics: { ...snapshot.metrics, answers: [{ name: 'n', query: 'q', time: '1', body }] } }
}

test('encodeSnapshot() gives gzip of canonical JSON without a time, and decodeSnapshot() gives it back', async () => {
  const snapshot = snapshotOf()
  const body = await encodeSnapshot(snapshot)
  assert.equal(gunzipSync(body).toString(), canonicalize(snapshot))
  assert.deepEqual([...body.subarray(0, 8)], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0])
  assert.deepEqual(await decodeSnapshot(key, body), JSON.parse(JSON.stringify(snapshot)))
  assert.equal(Buffer.compare(await encodeSnapshot(structuredClone(snapshot)), body), 0)
})

test('encodeSnapshot() gives canonical JSON of any text and items, whatever the order of members', async () => {
  const text = fc.string({ unit: 'binary' })
  const answer = fc.record({ name: text, query: text, time: text, body: text }, { noNullPrototype: true })
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { maxLength: 4 }),
      fc.array(fc.jsonValue()),
      text,
      async (answers, items, error) => {
        const { metrics, ...rest } = snapshotOf()
        const snapshot: Snapshot = {
          metrics: { answers, errors: [error], prometheusTime: null, status: metrics.status },
          ...rest,
          kubernetes: { ...rest.kubernetes, lists: [{ items, resource: error }] },
        }
        const body = await encodeSnapshot(snapshot)
        assert.equal(gunzipSync(body).toString(), canonicalize(snapshot))
        const decoded = await decodeSnapshot(key, body)
        assert.deepEqual(decoded.metrics, { ...snapshot.metrics })
        assert.equal(Buffer.compare(await encodeSnapshot(decoded), body), 0)
      },
    ),
  )
})

test('encodeSnapshot() of a long answer is the same wherever it is cut into pieces', async () => {
  const pair = '\u{1F512}'
  for (const body of [
    'x'.repeat((1 << 20) - 1) + pair + '"\\\n',
    pair.repeat(1 << 20),
    'x'.repeat(1 << 20),
    `x${pair.repeat(1 << 20)}`,
  ]) {
    const snapshot = withBody(body)
    assert.ok(gunzipSync(await encodeSnapshot(snapshot)).toString() === canonicalize(snapshot))
    assert.ok((await decodeSnapshot(key, await encodeSnapshot(snapshot))).metrics.answers[0]?.body === body)
  }
})

test('encodeSnapshot() refuses text that is not Unicode, wherever it is', async () => {
  const wording = { name: 'RangeError', message: 'Cannot store snapshot: it holds text that is not Unicode' }
  await assert.rejects(encodeSnapshot(withBody('half \uD83D')), wording)
  const { kubernetes } = snapshotOf()
  const lists = [{ resource: 'pods', items: [{ '\uDD12': 1 }] }]
  await assert.rejects(encodeSnapshot(snapshotOf({ kubernetes: { ...kubernetes, lists } })), wording)
})

test('decodeSnapshot() says in one line that names the key what is wrong with damaged evidence', async () => {
  const body = await encodeSnapshot(snapshotOf())
  const pack = (value: unknown) => gzipSync(JSON.stringify(value))
  const flipped = Buffer.from(body)
  flipped.writeUInt8(flipped.readUInt8(60) ^ 1, 60)
  const large = Buffer.from(body)
  large.writeUInt32LE(0xffffffff, large.length - 4)
  const { kubernetes, ...withoutLists } = snapshotOf()
  for (const [damaged, state] of [
    [Buffer.alloc(0), 'it is not whole gzip data'],
    [Buffer.from('{}'), 'it is not whole gzip data'],
    [body.subarray(0, -1), 'it is not whole gzip data'],
    [body.subarray(0, 100), 'it is not whole gzip data'],
    [flipped, /^it is not whole gzip data$/],
    [large, 'it is not whole gzip data'],
    [gzipSync(Buffer.from([0x22, 0xff, 0x22])), 'it is not UTF-8 text'],
    [gzipSync('{"format":'), 'it is not JSON'],
    [pack(null), 'it is not a snapshot, "" is absent or wrong'],
    [pack({ ...snapshotOf(), format: 'ciphertrail/snapshot/2' }), 'it is not a snapshot, "format" is absent or wrong'],
    [pack(withoutLists), 'it is not a snapshot, "kubernetes" is absent or wrong'],
    [pack(snapshotOf({ startedAt: 'today' })), 'it is not a snapshot, "startedAt" is absent or wrong'],
    [
      pack({ ...withoutLists, kubernetes: { ...kubernetes, lists: [{ resource: 'pods' }] } }),
      'it is not a snapshot, "kubernetes.lists.0.items" is absent or wrong',
    ],
    [pack(snapshotOf({ cluster: 'bank' })), 'it is the snapshot of another cluster or window'],
    [
      pack(snapshotOf({ window: { ...window, start: '2026-11-24T12:00:00Z' } })),
      'it is the snapshot of another cluster or window',
    ],
  ] as const) {
    await assert.rejects(decodeSnapshot(key, damaged), (error) => {
      assert.ok(error instanceof EvidenceError)
      assert.equal(error.key, key)
      const [, told = ''] = error.message.split(`Cannot read evidence "${key}": `)
      if (typeof state === 'string') assert.equal(told, state)
      else assert.match(told, state)
      return true
    })
  }
})

test('decodeSnapshot() of any bytes is a snapshot or one clear error', async () => {
  const body = Buffer.from(await encodeSnapshot(snapshotOf()))
  const changed = fc.tuple(fc.nat(body.length - 1), fc.nat(255)).map(([at, value]) => {
    const copy = Buffer.from(body)
    copy.writeUInt8(value, at)
    return copy
  })
  const anyJson = fc.jsonValue().map((value) => gzipSync(JSON.stringify(value)))
  await fc.assert(
    fc.asyncProperty(fc.oneof(changed, anyJson, fc.uint8Array()), async (bytes) => {
      try {
        assert.deepEqual(await decodeSnapshot(key, bytes), JSON.parse(JSON.stringify(snapshotOf())))
      } catch (error) {
        assert.ok(error instanceof EvidenceError, String(error))
        assert.match(error.message, /^Cannot read evidence "[^"\n]+": [^\n]+$/)
      }
    }),
    { numRuns: 300 },
  )
})

test('readSnapshot() reads what writeAttempt() wrote, and names the key where there is none', async (t) => {
  const objects = await freshStore(t)
  await assert.rejects(readSnapshot(key, objects), errorText({ name: 'EvidenceError', message: textWith({ key }) }))
  assert.equal(await writeAttempt(withBody('text'), { objects }), key)
  assert.deepEqual(await readSnapshot(key, objects), JSON.parse(JSON.stringify(withBody('text'))))
})

test('writeAttempt() takes the next free number, per window and cluster', async (t) => {
  const objects = await freshStore(t)
  const later = { start: window.end, end: '2026-11-24T12:40:00Z' }
  const keys = [
    await writeAttempt(snapshotOf(), { objects }),
    await writeAttempt(snapshotOf(), { objects }),
    await writeAttempt(snapshotOf({ cluster: 'bank' }), { objects }),
    await writeAttempt(snapshotOf({ window: later }), { objects }),
    await writeAttempt(snapshotOf({ complete: false }), { objects }),
  ]
  assert.deepEqual(keys, [
    evidenceKey({ window, cluster: 'shop', attempt: 1 }),
    evidenceKey({ window, cluster: 'shop', attempt: 2 }),
    evidenceKey({ window, cluster: 'bank', attempt: 1 }),
    evidenceKey({ window: later, cluster: 'shop', attempt: 1 }),
    evidenceKey({ window, cluster: 'shop', attempt: 3 }),
  ])
  await objects.putOnce(`${key}.old`, Buffer.from('not an attempt'))
  assert.deepEqual(
    await listAttempts(window, 'shop', { objects }),
    [1, 2, 3].map((attempt) => ({ window, cluster: 'shop', attempt })),
  )
  assert.deepEqual(await listAttempts(later, 'bank', { objects }), [])
})

test('writeAttempt() by collectors at once keeps every attempt, each under a number of its own', async (t) => {
  const objects = await freshStore(t)
  const bodies = Array.from({ length: 10 }, (_, index) => `answer ${index}`)
  const keys = await Promise.all(bodies.map((body) => writeAttempt(withBody(body), { objects })))
  assert.deepEqual(
    keys.toSorted((a, b) => (a < b ? -1 : 1)),
    bodies.map((_, index) => evidenceKey({ window, cluster: 'shop', attempt: index + 1 })),
  )
  for (const [index, body] of bodies.entries()) {
    assert.equal((await readSnapshot(keys[index] ?? '', objects)).metrics.answers[0]?.body, body)
  }
})

test('writeAttempt() says so when no number is left, and hands on what the store says', async (t) => {
  const objects = await freshStore(t)
  await objects.putOnce(evidenceKey({ window, cluster: 'shop', attempt: 9998 }), Buffer.from('an attempt'))
  const taken: Objects = {
    ...objects,
    async putOnce(taking) {
      throw new ConflictError(taking)
    },
  }
  await assert.rejects(writeAttempt(snapshotOf(), { objects: taken }), errorText({ name: 'RangeError' }))
  const failing: Objects = {
    ...objects,
    async putOnce() {
      throw new TypeError('out of order')
    },
  }
  await assert.rejects(writeAttempt(snapshotOf(), { objects: failing }), { message: 'out of order' })
})

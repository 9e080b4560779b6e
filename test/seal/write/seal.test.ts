import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NoteError } from '../../../lib/seal/tlog/note.ts'
import { LogError } from '../../../lib/seal/write/head.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { addCluster, removeCluster } from '../../../lib/store/registry/registry.ts'
import { type Gate, memoryObjects, type StoreRequest } from '../../support/stored/memory-objects.ts'
import { newSigner, readLog } from '../../support/stored/memory-log.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const HOUR = 60 * 60 * 1000
const NOON = new Date('2026-11-24T12:00:00Z')
const later = (hours: number) => new Date(NOON.getTime() + hours * HOUR)
const timeText = (date: Date) => date.toISOString().replace('.000Z', 'Z')

/** The window of an hour that begins so many hours after noon. */
const windowAt = (hours: number) => ({ start: timeText(later(hours)), end: timeText(later(hours + 1)) })
const attempt = (hours: number, number = 1, cluster = 'shop') =>
  evidenceKey({ window: windowAt(hours), cluster, attempt: number })

/** A store in memory, a key, and what can be done with them. */
function world() {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const signer = newSigner()
  return {
    held,
    objects,
    signer,
    put: (key: string, text = key) => objects.putOnce(key, Buffer.from(text)),
    add: (id: string, now = NOON) => addCluster({ id }, { now, by: 'tester' }, { objects }),
    run: (now: Date, options: { everything?: boolean } = {}) => seal({ now, ...options }, { objects, signer }),
    leaves: () => readLog(held, signer.vkey),
  }
}

test('seal() gives everything that is stored one leaf, and each run adds only what is new', async () => {
  const { put, run, leaves, held } = world()
  await put(attempt(0))
  await put(attempt(0, 2))
  await put('changes/clusters/000001.json')
  await put('changes/scope/000001.json')
  await put('changes/waivers/000001.json')
  await put('reports/2026-W47/report.pdf')
  for (const key of ['windows/shop/x.json', 'state/shop.json', 'timeline/x', 'changes/other/1']) await put(key)
  const first = await run(later(1))
  assert.deepEqual(first.leaves, {
    snapshot: 2,
    'registry-change': 1,
    'scope-change': 1,
    'waiver-change': 1,
    report: 1,
  })
  await put(attempt(1))
  await put('changes/waivers/000002.json')
  assert.deepEqual((await run(later(2))).leaves, { snapshot: 1, 'waiver-change': 1 })
  const logged = leaves()
  assert.deepEqual(
    logged.map(({ key }) => key),
    [
      attempt(0),
      attempt(0, 2),
      'changes/clusters/000001.json',
      'changes/scope/000001.json',
      'changes/waivers/000001.json',
      'reports/2026-W47/report.pdf',
      attempt(1),
      'changes/waivers/000002.json',
    ],
  )
  assert.deepEqual(logged[0]?.['window'], windowAt(0))
  assert.equal(held.has('log/tile/0/000.p/8') && held.has('log/tile/entries/000.p/6'), true)
})

test('seal() seals a heartbeat where there is nothing else', async () => {
  const { run, leaves } = world()
  assert.deepEqual((await run(later(1))).leaves, { heartbeat: 1 })
  assert.deepEqual((await run(later(2))).leaves, { heartbeat: 1 })
  assert.deepEqual(leaves(), [
    { kind: 'heartbeat', time: timeText(later(1)) },
    { kind: 'heartbeat', time: timeText(later(2)) },
  ])
})

test('a window that can no longer be filled becomes a gap once, and an attempt that comes later has a leaf as well', async () => {
  const { put, add, run, leaves } = world()
  await add('shop')
  await add('farm', later(2))
  await put(attempt(0))
  // Of the clusters, shop has missed the windows from 13:00 and 14:00, and farm the one that it was registered in and the next.
  assert.deepEqual((await run(later(7))).leaves, { snapshot: 1, 'registry-change': 2 })
  assert.deepEqual((await run(later(8.99))).leaves, { gap: 1 })
  assert.deepEqual((await run(later(10))).leaves, { gap: 4 })
  await put(attempt(1))
  assert.deepEqual((await run(later(10.5))).leaves, { snapshot: 1 })
  assert.deepEqual((await run(later(10.6), { everything: true })).leaves, { heartbeat: 1 })
  assert.deepEqual(
    leaves()
      .filter(({ kind }) => kind === 'gap')
      .map(({ cluster, window, reason }) => [cluster, window, reason]),
    [
      ['shop', windowAt(1), 'no-attempt'],
      ['farm', windowAt(2), 'no-attempt'],
      ['shop', windowAt(2), 'no-attempt'],
      ['farm', windowAt(3), 'no-attempt'],
      ['shop', windowAt(3), 'no-attempt'],
    ],
  )
})

test('what lies in the place of an attempt, and is none, fills no window and is sealed', async () => {
  const { put, add, run, leaves } = world()
  await add('shop')
  await put(attempt(0).replace('0001.json.gz', 'note.txt'))
  assert.deepEqual((await run(later(8))).leaves, { snapshot: 1, gap: 2, 'registry-change': 1 })
  assert.deepEqual(
    leaves().map(({ kind, cluster }) => [kind, cluster]),
    [
      ['snapshot', undefined],
      ['gap', 'shop'],
      ['gap', 'shop'],
      ['registry-change', undefined],
    ],
  )
})

test('a cluster that was taken out of the registry is expected up to then, and no more', async () => {
  const { put, add, objects, run, leaves } = world()
  const author = { by: 'tester' }
  await add('shop')
  await put(attempt(1))
  await removeCluster('shop', { ...author, now: later(3.5) }, { objects })
  await add('shop', later(5))
  await removeCluster('shop', { ...author, now: later(6) }, { objects })
  await run(later(8))
  assert.deepEqual((await run(later(48))).leaves, { gap: 2 })
  assert.deepEqual((await run(later(49), { everything: true })).leaves, { heartbeat: 1 })
  assert.deepEqual(
    leaves().flatMap(({ kind, window }) => (kind === 'gap' ? [window] : [])),
    [windowAt(0), windowAt(2), windowAt(5)],
  )
})

test('runs that were far apart leave no window out', async () => {
  const { put, add, run, leaves } = world()
  await add('shop')
  for (const hours of [0, 30, 70]) await put(attempt(hours))
  await run(later(3))
  await put(attempt(2))
  await run(later(40))
  await put(attempt(35))
  await run(later(100))
  const logged = leaves()
  assert.equal(logged.filter(({ kind }) => kind === 'snapshot').length, 5)
  // From noon to 94 hours later, less the five.
  assert.equal(logged.filter(({ kind }) => kind === 'gap').length, 94 - 5)
})

test('an attempt at a window that was long past is found by a run that looks at everything, and by the next one after a day', async () => {
  const { put, add, run } = world()
  await add('shop', later(-100))
  await put(attempt(-1))
  await run(NOON)
  await put(attempt(-90))
  assert.deepEqual((await run(later(1))).leaves, { gap: 1 })
  assert.deepEqual((await run(later(1), { everything: true })).leaves, { snapshot: 1 })
  await put(attempt(-91))
  assert.deepEqual((await run(later(25.5))).leaves.snapshot, 1)
  // The first collection of a new cluster reaches back as far as its Prometheus does.
  await put(attempt(-92, 1, 'farm'))
  await add('farm', later(26))
  assert.equal((await run(later(27))).leaves.snapshot, 1)
})

test('seal() with another key is refused, and adds nothing', async () => {
  const { put, run, objects, held, leaves } = world()
  await put(attempt(0))
  await run(later(1))
  await put(attempt(1))
  const before = new Map(held)
  const other = newSigner('example.com/other')
  await assert.rejects(seal({ now: later(2) }, { objects, signer: other }), (error) => {
    assert.ok(error instanceof LogError)
    matchesText(error.message)
    return true
  })
  assert.deepEqual(held, before)
  // Nor where the key that stood beside the log is gone.
  held.delete('log/vkey')
  await assert.rejects(seal({ now: later(2) }, { objects, signer: other }), NoteError)
  assert.equal(held.has('log/vkey'), false)
  await run(later(2))
  assert.equal(leaves().length, 2)
})

test('seal() signs nothing for a signer whose signature does not fit its key', async () => {
  const { objects, held } = world()
  const [mine, other] = [newSigner(), newSigner()]
  await assert.rejects(
    seal({ now: NOON }, { objects, signer: { vkey: mine.vkey, sign: (text) => other.sign(text) } }),
    NoteError,
  )
  assert.equal(held.has('log/checkpoint'), false)
})

test('seal() adds nothing to a log that contradicts itself', async () => {
  const spoilers: Record<string, (held: Map<string, Uint8Array>) => void> = {
    'the last batch is gone': (held) => held.delete('log/batch/0000000000000002'),
    'all batches are gone': (held) => {
      for (const key of held.keys()) if (key.startsWith('log/batch/')) held.delete(key)
    },
    'a batch is longer': (held) =>
      held.set('log/batch/0000000000000002', Buffer.concat([batchOf(held, 2), batchOf(held, 2)])),
    'a batch is damaged': (held) => held.set('log/batch/0000000000000002', batchOf(held, 2).subarray(1)),
    'a tile is gone': (held) => held.delete('log/tile/0/000.p/3'),
    'a tile has another hash': (held) => held.set('log/tile/0/000.p/3', Buffer.alloc(96)),
    'a tile is short': (held) => held.set('log/tile/0/000.p/3', Buffer.alloc(64)),
    'the entries are gone': (held) => held.delete('log/tile/entries/000.p/3'),
    'the entries are others': (held) => held.set('log/tile/entries/000.p/3', batchOf(held, 0)),
    'the entries are cut off': (held) =>
      held.set('log/tile/entries/000.p/3', (held.get('log/tile/entries/000.p/3') ?? Buffer.alloc(9)).subarray(0, -1)),
    'the checkpoint is of another key': (held) =>
      held.set('log/checkpoint', Buffer.from('example.com/log\n3\nAAAA\n\n— example.com/log AAAAAAAA\n')),
    'the checkpoint is no note': (held) => held.set('log/checkpoint', Buffer.from('?')),
    'the next tile has another content': (held) => held.set('log/tile/0/000.p/4', Buffer.alloc(128)),
  }
  const batchOf = (held: Map<string, Uint8Array>, number: number) =>
    Buffer.from(held.get(`log/batch/${String(number).padStart(16, '0')}`) ?? [])
  for (const [what, spoil] of Object.entries(spoilers)) {
    const { put, run, held, signer } = world()
    await put(attempt(0))
    await put(attempt(0, 2))
    await run(later(1))
    await put(attempt(1))
    await run(later(2))
    await put(attempt(2))
    const heads = () => signer.signed.filter((text) => text.startsWith('example.com/log\n')).length
    const signed = heads()
    spoil(held)
    const before = new Map(held)
    await assert.rejects(
      run(later(3)),
      (error) => {
        assert.ok(error instanceof Error && /^(Log|Note|Batch)Error$/.test(error.name), String(error))
        assert.match(error.message, /^Cannot .+$/, what)
        return true
      },
      what,
    )
    assert.equal(heads(), signed, what)
    // A tile that stands where the next one belongs is met only by a run that has claimed its leaves.
    if (!what.startsWith('the next tile')) assert.deepEqual(held, before, what)
  }
})

test('seal() reads nothing back of what it has sealed but entries of the last hours, and writes four objects, one for each level of tiles and one for each leaf', async () => {
  const { put, run, held, signer, leaves } = world()
  const registered = { now: later(-2000), by: 'tester' }
  await addCluster({ id: 'shop' }, registered, { objects: memoryObjects(held) })
  for (let hours = -300; hours < 0; hours++) await put(attempt(hours))
  await run(NOON)
  const requests: StoreRequest[] = []
  const gate: Gate = (request, effect) => {
    requests.push(request)
    return Promise.resolve().then(effect)
  }
  const objects = memoryObjects(held, gate)
  const asked = (member: string) => requests.filter((request) => request.member === member).map(({ key }) => key)
  const writes = () => [...asked('putOnce'), ...asked('putIf')].filter((key) => !key.startsWith('log/index/'))

  for (const hours of [0, 1, 2]) await put(attempt(hours))
  await seal({ now: later(3) }, { objects, signer })
  const size = leaves().length
  assert.deepEqual(writes(), [
    `log/batch/${String(size - 3).padStart(16, '0')}`,
    `log/tile/entries/${tileOf(size)}`,
    `log/tile/0/${tileOf(size)}`,
    'log/checkpoint',
    'sealing/progress.json',
  ])
  assert.equal(asked('putOnce').filter((key) => key.startsWith('log/index/')).length, 3)
  // Evidence, changes and reports, each beside its index, the index of gaps, and the last batch.
  assert.equal(asked('list').length, 8)
  assert.equal(asked('digest').length, 3)
  assert.ok(asked('get').length <= 12, asked('get').join(' '))

  requests.length = 0
  await seal({ now: later(3.5) }, { objects, signer })
  assert.equal(writes().length, 5)
  assert.equal(asked('putOnce').filter((key) => key.startsWith('log/index/')).length, 0)
  assert.equal(leaves().at(-1)?.kind, 'heartbeat')
})

/** The name of the partial tile of leaves at the end of a log, which is not a long one. */
function tileOf(size: number): string {
  return `${String(Math.floor(size / 256)).padStart(3, '0')}.p/${size % 256}`
}

test('a log that grew by many runs has the tiles of one that grew at once', async () => {
  const [slow, quick] = [world(), world()]
  for (const { put } of [slow, quick]) {
    for (let hours = 0; hours < 700; hours++) {
      await put(attempt(hours))
      await put(attempt(hours, 1, 'farm'))
    }
  }
  // Of the keys alone: in one order a log has one root, whatever its batches were.
  const sealed = await quick.run(later(700))
  assert.deepEqual([sealed.size, sealed.leaves], [1400, { snapshot: 1400 }])
  const evidence = [...slow.held].sort(([a], [b]) => (a < b ? -1 : 1))
  slow.held.clear()
  for (let at = 0; at < evidence.length; at += 37 + (at % 300)) {
    for (const [key, body] of evidence.slice(0, at)) slow.held.set(key, body)
    await seal({ now: later(700), everything: true }, slow)
  }
  for (const [key, body] of evidence) slow.held.set(key, body)
  await seal({ now: later(701), everything: true }, slow)
  const keysOf = (leaves: readonly { readonly key?: string }[]) => leaves.flatMap(({ key }) => key ?? [])
  assert.deepEqual(keysOf(slow.leaves()), keysOf(quick.leaves()))
})

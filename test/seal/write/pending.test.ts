import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toSeconds, toTime, windowsBetween } from '../../../lib/time/windows.ts'
import { expectedWindows } from '../../../lib/seal/write/expected.ts'
import { type Pending, pendingOf, type SealScope } from '../../../lib/seal/write/pending.ts'
import { attemptsPrefix, evidenceKey } from '../../../lib/store/keys.ts'
import { gapName, indexKey } from '../../../lib/store/log-keys.ts'
import type { WatchedCluster } from '../../../lib/store/registry/registry.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'

const BEGINNING = toSeconds('2026-11-24T20:00:00Z')
const HOUR = 60 * 60

// Ids that sort in another order with a slash after them than without.
const ids = ['a', 'a-b', 'a0', 'b']
const minutes = fc.constantFrom(5, 15, 30, 60) as fc.Arbitrary<5 | 15 | 30 | 60>
const hours = fc.integer({ min: -2, max: 10 }).map((hour) => BEGINNING + hour * HOUR)
const times = fc.integer({ min: -2 * HOUR, max: 10 * HOUR }).map((offset) => BEGINNING + offset)

const cluster = (id: string): fc.Arbitrary<WatchedCluster> =>
  fc.tuple(hours, minutes, minutes, fc.option(times)).map(([registeredAt, size, next, removedAt]) => ({
    id,
    registeredAt: toTime(registeredAt),
    ...(removedAt === null ? {} : { removedAt: toTime(removedAt) }),
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    windows: [
      { since: '1970-01-01T00:00:00Z', minutes: size },
      { since: '2026-11-25T00:00:00Z', minutes: next },
    ],
  }))
const clusters = fc
  .subarray(ids)
  .chain((chosen) => fc.tuple(...chosen.map(cluster)))
  .map((list): readonly WatchedCluster[] => list)
const scope: fc.Arbitrary<SealScope> = fc.record(
  { from: fc.option(times), clusters, lostUntil: times },
  { noNullPrototype: true },
)

/** What is pending, in one list. */
async function listed(asked: SealScope, held: Map<string, Uint8Array>): Promise<string[]> {
  const names: string[] = []
  const nameIn = (pending: Pending) =>
    'key' in pending ? pending.key : gapName(pending.gap.window, pending.gap.cluster)
  for await (const pending of pendingOf(asked, memoryObjects(held))) names.push(nameIn(pending))
  return names
}

test('expectedWindows() gives every window of every cluster once, in the order of the keys of evidence', () => {
  fc.assert(
    fc.property(scope, ({ from, clusters: registered, lostUntil }) => {
      const prefixes = [...expectedWindows(registered, from, lostUntil)].map(({ prefix }) => prefix)
      const naive = registered.flatMap(({ id, registeredAt, removedAt, windows }) =>
        windowsBetween(windows, toSeconds(registeredAt), lostUntil)
          .filter(({ start }) => from === null || toSeconds(start) >= from)
          .filter(({ end }) => removedAt === undefined || toSeconds(end) <= toSeconds(removedAt))
          .map((window) => attemptsPrefix(window, id)),
      )
      assert.deepEqual(prefixes, naive.sort())
    }),
  )
})

test('pendingOf() gives what is stored or missing and is in no index, each once', async () => {
  const windowOf = fc.tuple(fc.constantFrom(...ids), fc.integer({ min: -2, max: 10 * 12 })).map(([id, five]) => ({
    cluster: id,
    window: { start: toTime(BEGINNING + five * 300), end: toTime(BEGINNING + (five + 1) * 300) },
  }))
  const attempts = fc.array(fc.tuple(windowOf, fc.integer({ min: 1, max: 3 })), { maxLength: 30 })
  const strays = fc.subarray(['evidence/README', 'evidence/20261124T200000Z-20261124T200500Z/a/note', 'evidence/0'])
  const others = fc.subarray(['changes/clusters/000001.json', 'changes/other', 'reports/r', 'windows/a/x', 'log/vkey'])
  await fc.assert(
    fc.asyncProperty(
      scope,
      attempts,
      strays,
      others,
      fc.infiniteStream(fc.boolean()),
      async (asked, made, strayKeys, otherKeys, isSealed) => {
        const keys = made.map(([place, attempt]) => evidenceKey({ ...place, attempt }))
        const held = new Map([...keys, ...strayKeys, ...otherKeys].map((key) => [key, Buffer.from(key)]))
        const { from } = asked
        const basic = from === null ? '' : toTime(from).replaceAll(/[-:]/g, '')
        const evidence = [...held.keys()].filter((key) => key.startsWith('evidence/') && key > `evidence/${basic}`)
        const gaps = [...expectedWindows(asked.clusters, from, asked.lostUntil)]
          .filter(({ prefix }) => !keys.some((key) => key.startsWith(prefix)))
          .map(({ window, cluster: id }) => gapName(window, id))
        const rest = otherKeys.filter((key) => /^(changes\/clusters|reports)\//.test(key))
        const expected = [...evidence, ...gaps, ...rest].filter((name) => {
          const [sealed] = isSealed.take(1)
          if (sealed === true) held.set(indexKey(name), Buffer.from('7'))
          return sealed !== true
        })
        const pending = await listed(asked, held)
        assert.deepEqual(pending.toSorted(), expected.toSorted())
      },
    ),
  )
})

test('pendingOf() looks at nothing before its scope, and reads nothing', async () => {
  const window = (hour: number) => ({
    start: toTime(BEGINNING + hour * HOUR),
    end: toTime(BEGINNING + (hour + 1) * HOUR),
  })
  const held = new Map(
    [0, 1, 2].map((hour) => [evidenceKey({ window: window(hour), cluster: 'a', attempt: 1 }), Buffer.from('x')]),
  )
  const asked: string[] = []
  const objects = memoryObjects(held, (request, effect) => {
    asked.push(request.member)
    return Promise.resolve().then(effect)
  })
  const pending: Pending[] = []
  const from = BEGINNING + HOUR
  for await (const one of pendingOf({ from, clusters: [], lostUntil: from }, objects)) pending.push(one)
  assert.equal(pending.length, 2)
  assert.deepEqual(new Set(asked), new Set(['list']))
})

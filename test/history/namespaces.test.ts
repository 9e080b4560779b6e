import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type NamespaceSight, type NamespaceStatuses, nextStatuses, sightOf } from '../../lib/history/namespaces.ts'
import { coverageOf, halfDay, windowResult } from '../support/stored/window-results.ts'
import '../support/property-seed.ts'

const NAMES = ['bank', 'care', 'shop'] as const

const seconds = fc.constantFrom(
  { expected: 300, observed: 300 },
  { expected: 300, observed: 0 },
  { expected: 300, observed: 20 },
  { expected: 0, observed: 0 },
)

const anySight = fc
  .record({
    collected: fc.constantFrom(true, true, true, false),
    isListed: fc.constantFrom(true, true, false),
    seconds: fc.dictionary(fc.constantFrom(...NAMES), seconds).map((of) => new Map(Object.entries(of))),
  })
  .map(({ collected, isListed, seconds: of }) =>
    collected
      ? { collected, isListed, seconds: of }
      : { collected, isListed: false, seconds: new Map<string, never>() },
  )

/** What is to be said of a namespace in a window, from all windows up to it. */
function wanted(sights: readonly NamespaceSight[], name: string): boolean | null {
  // The last window that tells whether a pod was to be seen.
  const teller = sights.findLast(
    ({ collected, isListed, seconds: of }) => collected && (isListed || (of.get(name)?.expected ?? 0) > 0),
  )
  if ((teller?.seconds.get(name)?.expected ?? 0) === 0) return null
  return (sights.at(-1)?.seconds.get(name)?.observed ?? 0) > 0
}

test('nextStatuses() calls a namespace observed only where some of it was, and nothing to be seen only where a complete list says so', () => {
  let lost = 0
  fc.assert(
    fc.property(fc.array(anySight, { minLength: 1, maxLength: 12 }), (given) => {
      const sights = given.map((sight, index) => ({ ...sight, end: halfDay(index).end }))
      let standings: NamespaceStatuses = new Map()
      for (const [index, sight] of sights.entries()) {
        standings = nextStatuses(standings, sight)
        const upTo = sights.slice(0, index + 1)
        for (const name of NAMES) {
          const isKnown = upTo.some(({ seconds: of }) => (of.get(name)?.expected ?? 0) > 0)
          const standing = standings.get(name)
          assert.equal(standing !== undefined, isKnown)
          if (standing === undefined) continue
          const ends = upTo.map((_, at) => [sights[at]?.end, wanted(upTo.slice(0, at + 1), name)] as const)
          assert.deepEqual(
            standing.windows.map(({ end, isObserved }) => [end, isObserved]),
            ends.slice(-standing.windows.length),
          )
          const first = upTo.findIndex(({ seconds: of }) => (of.get(name)?.expected ?? 0) > 0)
          assert.equal(standing.windows.length, Math.min(2, upTo.length - first))
          assert.equal(standing.seenAt, ends.findLast(([, isObserved]) => isObserved === true)?.[0] ?? null)
          if (standing.windows.every(({ isObserved }) => isObserved === false)) lost++
        }
      }
    }),
    { numRuns: 400 },
  )
  assert.ok(lost > 300, `${lost} times a namespace was lost`)
})

test('sightOf() adds up the workloads of a namespace, and tells nothing of a window that was not collected', () => {
  const window = halfDay(0)
  const of = (namespace: string, observedSeconds: number) =>
    coverageOf(window, {
      workload: { kind: 'deployment', namespace, name: `x${observedSeconds}` },
      expectedSeconds: 100,
      observedSeconds,
    })
  const coverage = [of('bank', 0), of('bank', 40), of('shop', 0)]
  const result = windowResult(window, { coverage, existing: [] })
  assert.deepEqual(sightOf({ window, result }), {
    end: window.end,
    collected: true,
    isListed: true,
    seconds: new Map([
      ['bank', { expected: 200, observed: 40 }],
      ['shop', { expected: 100, observed: 0 }],
    ]),
  })
  const nothing = { end: window.end, collected: false, isListed: false, seconds: new Map() }
  assert.deepEqual(sightOf({ window, result: null }), nothing)
  assert.deepEqual(sightOf({ window, result: { ...result, collected: false } }), nothing)
  assert.equal(sightOf({ window, result: { ...result, existing: null } }).isListed, false)
})

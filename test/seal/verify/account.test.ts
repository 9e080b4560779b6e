import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toTime } from '../../../lib/time/windows.ts'
import { accountOf } from '../../../lib/seal/verify/account.ts'
import type { Leaf } from '../../../lib/seal/leaf.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'

/** The hour number `index`, as a window. */
const hour = (index: number) => ({ start: toTime(index * 3600), end: toTime((index + 1) * 3600) })

type Told = { readonly cluster: string; readonly index: number; readonly attempt: number; readonly reason: string }

/** Attempt 0 stands for a gap. */
const told: fc.Arbitrary<Told> = fc.record({
  cluster: fc.constantFrom('east', 'west'),
  index: fc.nat(11),
  attempt: fc.integer({ min: 0, max: 2 }),
  reason: fc.constantFrom('no-attempt', 'other'),
})

function leafOf({ cluster, index, attempt, reason }: Told): Leaf {
  const window = hour(index)
  if (attempt === 0) return { kind: 'gap', cluster, window, reason }
  const key = evidenceKey({ window, cluster, attempt })
  return { kind: 'snapshot', cluster, window, key, sha256: '0'.repeat(64), size: 1 }
}

test('accountOf() adds up what a list of all windows would, whatever the order of the leaves', () => {
  const leaves = fc.uniqueArray(told, {
    selector: ({ cluster, index, attempt }) => `${cluster} ${index} ${attempt}`,
    maxLength: 40,
  })
  fc.assert(
    fc.property(leaves, (picked) => {
      const account = accountOf()
      for (const one of picked) account.add(leafOf(one))
      const expected = ['east', 'west'].flatMap((cluster) => {
        const own = picked.filter((one) => one.cluster === cluster)
        if (own.length === 0) return []
        const hours = [...new Set(own.map(({ index }) => index))].sort((a, b) => a - b)
        const attempted = new Set(own.filter(({ attempt }) => attempt > 0).map(({ index }) => index))
        const gaps = own.filter(({ attempt }) => attempt === 0)
        const open = gaps.filter(({ index }) => !attempted.has(index))
        const byReason = ['no-attempt', 'other'].flatMap((reason) => {
          const number = open.filter((one) => one.reason === reason).length
          return number === 0 ? [] : [[reason, number] as const]
        })
        return [
          {
            cluster,
            from: hour(hours[0] ?? 0).start,
            to: hour(hours.at(-1) ?? 0).end,
            windows: attempted.size,
            attempts: own.length - gaps.length,
            gaps: Object.fromEntries(byReason),
            filledLater: gaps.length - open.length,
            untold: hours.flatMap((index, at) => {
              const next = hours[at + 1] ?? index + 1
              return next === index + 1 ? [] : [{ start: hour(index).end, end: hour(next).start }]
            }),
          },
        ]
      })
      assert.deepEqual(account.clusters(), expected)
    }),
  )
})

test('accountOf() keeps a year of windows as one stretch', () => {
  const account = accountOf()
  for (let index = 0; index < 8760; index++) account.add(leafOf({ cluster: 'east', index, attempt: 1, reason: '' }))
  const [east] = account.clusters()
  assert.deepEqual([east?.windows, east?.untold], [8760, []])
})

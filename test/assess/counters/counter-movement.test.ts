import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { assessed, linesOf } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, pod } from '../../support/mesh/synthetic-pods.ts'
import { NO_DISCOVERY, outbound, tcp } from '../../support/mesh/synthetic-prometheus.ts'

const legacy = pod('deployment/legacy', { meshed: false })

/** What is said where web calls legacy in the clear at some times; a restart of its proxy forgets what was before. */
function told(
  changes: Partial<Pod>,
  at: readonly number[],
): (readonly [line: string, opens: number, isUndated: boolean])[] {
  const web = pod('deployment/web', changes)
  const begun = (time: number) => [web.from, ...web.restarts].findLast((one) => one <= time) ?? web.from
  const counters = tcp(web, outbound(legacy, 8080, NO_DISCOVERY), { at: [0] }).map(({ name, ...counter }) => ({
    ...counter,
    name,
    value: (time: number) => {
      const since = at.filter((one) => one >= begun(time) && one <= time)
      if (since.length === 0) return undefined
      return name === 'tcp_open_connections' ? since.filter((one) => time < one + 5).length : since.length
    },
  }))
  const { paths } = assessed({ pods: [web, legacy], counters })
  return paths.map((path) => [linesOf([path])[0] ?? '', path.opens, path.sinceUnknown])
}

const CLEAR = 'deployment/web -> deployment/legacy:8080 no-mesh-tls (not_provided_by_service_discovery)'

describe('The clock of a node', () => {
  test('that is behind hides no restart', () => {
    // One call before the restart and one after it: the counter shows 1 both times, and the first was before the window.
    for (const clock of [0, -15, -120, 15, 120])
      assert.deepEqual(told({ clock, restarts: [-2] }, [-100, 4]), [[CLEAR, 1, true]], String(clock))
  })

  test('that is ahead makes no second connection of an old one', () => {
    for (const clock of [0, 30, 120, 250]) assert.deepEqual(told({ clock, from: -60 }, [-40]), [], String(clock))
  })

  test('that is wrong moves no call of a young pod out of its window', () => {
    for (const clock of [0, -120, 120]) {
      const [path] = told({ clock, from: 208 }, [240])
      assert.deepEqual(path, [CLEAR, 1, false], String(clock))
    }
  })

  test('that is wrong never loses a clear call, and makes none of nothing, whenever a proxy was restarted', () => {
    const time = fc.integer({ min: -60, max: 290 })
    fc.assert(
      fc.property(
        fc.integer({ min: -150, max: 150 }),
        fc.array(time, { maxLength: 2 }),
        fc.array(time, { maxLength: 4 }),
        (clock, restarts, at) => {
          const sorted = (all: readonly number[]) => all.toSorted((a, b) => a - b)
          // What a proxy did after its last scrape before a restart nobody can know.
          const calls = sorted(at).filter((call) => !restarts.some((one) => call < one && one - call <= 10))
          const isWithin = (call: number) => call > 0 && call <= 295
          const [right, skewed] = [0, clock].map((seconds) =>
            told({ clock: seconds, restarts: sorted(restarts) }, calls),
          )
          assert.ok(
            (skewed !== undefined && skewed.length > 0 === calls.some(isWithin)) ||
              calls.some((call) => Math.abs(call) <= 10),
          )
          assert.deepEqual(skewed, right)
        },
      ),
      { numRuns: 200 },
    )
  })
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DEMO_FIXTURE } from '../../../demo/fixture.ts'
import { type AssessInput, assessWindow } from '../../../lib/assess/window/window.ts'
import type { MetricsAnswer } from '../../../lib/model/snapshot.ts'
import type { WindowResult } from '../../../lib/model/window.ts'
import { encodeDerived } from '../../../lib/store/objects/derived-object.ts'
import { recordedEvidence } from '../../support/mesh/recorded-evidence.ts'
import { assessed, evidenceOf } from '../../support/mesh/synthetic-cluster.ts'
import { pod } from '../../support/mesh/synthetic-pods.ts'
import { mutual } from '../../support/mesh/synthetic-prometheus.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

/** Each assesses a whole recorded window; `npm run test:fuzz` has twenty times as many. */
const CASES = process.env['FUZZ_BYTES'] === undefined ? 10 : 200

const LIVES = join(import.meta.dirname, '../../fixtures/lives')

type Pair = [time: unknown, value: unknown]
type Told = { metric: Record<string, unknown>; value?: Pair; values?: Pair[] }
type Body = { data: { result: Told[] } }

/** What no counter, gauge or moment of a proxy can be. */
const IMPOSSIBLE = ['NaN', '+Inf', '-Inf', '1e308', '-1e308', '1e14', '1e400', '-1', '0.5', '', 'x', 5, null, {}, []]
const IMPOSSIBLE_TIMES = [1e308, -1e308, 1e14, 8.64e12, -1, 0, '5', null, {}]
const STRANGE = ['', '\u0000', '\ud800', '__proto__', 'constructor', '-1', '1e308', 'a'.repeat(70_000), 5, null, {}]
const TIMES = [
  '+275760-09-13T00:00:00Z',
  '-271821-04-20T00:00:00Z',
  '275760-09-13',
  '9999-12-31T23:59:59-14:00',
  '0000-01-01T00:00:00Z',
  'Tue, 24 Nov 2026 13:00:00 GMT',
  '',
  'x',
  1e308,
  null,
]

/** Changes one series of one answer; the same for the same numbers. */
function changedAnswer(
  answers: readonly MetricsAnswer[],
  { at, which, change }: { readonly at: number; readonly which: number; readonly change: (series: Told) => void },
): MetricsAnswer[] {
  const told = answers.filter(({ body }) => (JSON.parse(body) as Body).data.result.length > 0)
  const chosen = told[at % told.length]
  return answers.map((answer) => {
    if (answer !== chosen) return answer
    const body = JSON.parse(answer.body) as Body
    const series = body.data.result[which % body.data.result.length]
    if (series !== undefined) change(series)
    return { ...answer, body: JSON.stringify(body) }
  })
}

/** Changes one place of what Prometheus told, of the proxies or of cAdvisor. */
function changedMetrics(
  { snapshot, ...rest }: AssessInput,
  { isCadvisor, ...where }: Parameters<typeof changedAnswer>[1] & { readonly isCadvisor: boolean },
): AssessInput {
  const { metrics, cadvisor } = snapshot
  return {
    ...rest,
    snapshot:
      isCadvisor && cadvisor !== undefined
        ? { ...snapshot, cadvisor: { ...cadvisor, answers: changedAnswer(cadvisor.answers, where) } }
        : { ...snapshot, metrics: { ...metrics, answers: changedAnswer(metrics.answers, where) } },
  }
}

const pairOf = (series: Told, at: number): Pair | undefined =>
  series.value ?? series.values?.[at % series.values.length]

const anyPlace = {
  isCadvisor: fc.boolean(),
  at: fc.nat(),
  which: fc.nat(),
  sample: fc.nat(),
}

/** Neither throws nor makes what cannot be kept: nothing but JSON, and no number that JSON lacks. */
function assessedSafely(evidence: AssessInput): WindowResult {
  const result = assessWindow(evidence)
  const kept = JSON.parse(encodeDerived(result).toString()) as WindowResult
  for (const { opens, openAtScrape, bytes, clearBytes } of kept.paths)
    for (const count of [opens, openAtScrape, bytes, clearBytes]) assert.ok(Number.isFinite(count))
  if (!result.collected) assert.ok(result.errors.length > 0)
  return result
}

const mutualOf = ({ paths }: WindowResult) => paths.filter(({ state }) => state === 'mtls').map(({ pathId }) => pathId)

/** Every path that is `mtls` was so before, too. */
function assertNothingRaised(changed: WindowResult, before: WindowResult): void {
  const known = new Set(mutualOf(before))
  assert.deepEqual(
    mutualOf(changed).filter((pathId) => !known.has(pathId)),
    [],
  )
}

for (const [name, folder, index] of [
  ['demo', DEMO_FIXTURE, 2],
  ['lives', LIVES, 3],
] as const)
  describe(`Hostile values in the recorded evidence "${name}"`, async () => {
    const evidence = (await recordedEvidence(folder))[index]
    assert.ok(evidence !== undefined)
    const before = assessWindow(evidence)
    assert.ok(before.collected && mutualOf(before).length > 10)

    test('a sample that cannot be never makes a window throw, and nothing mtls', () => {
      fc.assert(
        fc.property(
          fc.record({
            ...anyPlace,
            put: fc.oneof(
              { weight: 3, arbitrary: fc.constantFrom(...IMPOSSIBLE).map((value) => ({ value })) },
              fc.constantFrom(...IMPOSSIBLE_TIMES).map((time) => ({ time })),
            ),
          }),
          ({ sample, put, ...where }) => {
            const change = (series: Told): void => {
              const pair = pairOf(series, sample)
              if (pair === undefined) return
              if ('value' in put) pair[1] = put.value
              else pair[0] = put.time
            }
            assertNothingRaised(assessedSafely(changedMetrics(evidence, { ...where, change })), before)
          },
        ),
        { numRuns: 3 * CASES },
      )
    })

    test('a label that is strange never makes a window throw', () => {
      fc.assert(
        fc.property(
          fc.record({ ...anyPlace, label: fc.nat(), text: fc.constantFrom(...STRANGE) }),
          ({ label, text, ...where }) => {
            const change = ({ metric }: Told): void => {
              const names = Object.keys(metric)
              const chosen = names[label % names.length]
              if (chosen !== undefined) metric[chosen] = text
            }
            assessedSafely(changedMetrics(evidence, { ...where, change }))
          },
        ),
        { numRuns: 2 * CASES },
      )
    })

    test('what is no time or number in an object of Kubernetes never makes a window throw, and nothing mtls', () => {
      fc.assert(
        fc.property(
          fc.record({
            isBefore: fc.boolean(),
            list: fc.nat(),
            item: fc.nat(),
            leaf: fc.nat(),
            time: fc.constantFrom(...TIMES),
            number: fc.constantFrom<unknown>(1e308, -1, 0.5, -1e308, '1', null, {}, []),
          }),
          ({ isBefore, list, item, leaf, time, number }) => {
            const side = isBefore ? 'before' : 'after'
            const listed = evidence[side]
            if (listed === null) return
            const lists = structuredClone(listed.lists)
            const full = lists.filter(({ items }) => items.length > 0)
            const { items } = full[list % full.length] ?? { items: [] }
            const leaves = leavesOf(items[item % items.length])
            const place = leaves[leaf % leaves.length]
            if (place === undefined) return
            place.holder[place.name] = typeof place.holder[place.name] === 'number' ? number : time
            assertNothingRaised(assessedSafely({ ...evidence, [side]: { ...listed, lists } }), before)
          },
        ),
        { numRuns: 3 * CASES },
      )
    })
  })

/** Every time and number somewhere in an object. */
function leavesOf(value: unknown): { readonly holder: Record<string, unknown>; readonly name: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const holder = value as Record<string, unknown>
  return Object.entries(holder).flatMap(([name, member]) =>
    typeof member === 'number' || (typeof member === 'string' && /^\d{4}-\d\d-\d\dT/.test(member))
      ? [{ holder, name }]
      : leavesOf(member),
  )
}

const web = pod('deployment/web')
const api = pod('deployment/api')
const MESH = { pods: [web, api], counters: mutual(web, api, 8080) }

/** The certificate of a proxy ends when it says so, as Prometheus tells it. */
function expiring(first: unknown, last: unknown): AssessInput {
  const evidence = evidenceOf(MESH)
  const told: Readonly<Record<string, unknown>> = {
    'crypto-certificate-first': first,
    'crypto-certificate-last': last,
    'crypto-certificate-count': '2',
  }
  const { metrics } = evidence.snapshot
  const answers = metrics.answers.filter(({ name }) => !(name in told))
  const made = Object.entries(told).map(([name, value]): MetricsAnswer => {
    const result = [{ metric: {}, value: [1_795_522_160, value] }]
    return {
      name,
      query: name,
      time: '1795522160',
      body: JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }),
    }
  })
  return { ...evidence, snapshot: { ...evidence.snapshot, metrics: { ...metrics, answers: [...answers, ...made] } } }
}

const GOOD = '1795612342'

for (const value of ['1e308', '1e14', '-1', '-1e308', 'NaN', '+Inf', '-Inf', '253402300800'])
  test(`a certificate that ends at ${value} is not known, is told, and harms nothing else`, () => {
    const { paths } = assessed(MESH)
    for (const evidence of [expiring(GOOD, value), expiring(value, GOOD)]) {
      const result = assessWindow(evidence)
      assert.equal(result.collected, true)
      assert.deepEqual(result.paths, paths)
      assert.equal(result.crypto.certificates, null)
      assert.deepEqual(
        result.errors.filter((line) => line.includes(`"${value}"`) || line.includes('certificate')).length,
        1,
      )
    }
    assert.equal(assessWindow(expiring(GOOD, GOOD)).crypto.certificates?.latestExpiry, '2026-11-25T13:12:22Z')
    assert.notEqual(assessWindow(expiring('1795612342.5', GOOD)).crypto.certificates, null)
  })

test('a window whose evidence cannot be assessed at all is one that was not collected, with one line that says why', () => {
  const evidence = evidenceOf(MESH)
  const broken = { ...evidence, after: { key: 'lists', takenAt: 'no time', lists: [] } }
  const { collected, paths, errors, inputs } = assessWindow(broken)
  assert.deepEqual({ collected, paths }, { collected: false, paths: [] })
  assert.equal(inputs.after, 'lists')
  assert.equal(errors.length, 1)
  matchesText(errors[0])
})

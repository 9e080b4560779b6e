import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { contentOf } from '../../lib/observed/answer-content.ts'
import { toSeconds } from '../../lib/time/windows.ts'
import type { MetricsAnswer } from '../../lib/model/snapshot.ts'
import { halfDay } from '../support/stored/window-results.ts'

const window = halfDay(0)
const end = toSeconds(window.end)

type Told = {
  readonly labels: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, number])[]
}

const series: fc.Arbitrary<Told> = fc.record({
  labels: fc.dictionary(fc.constantFrom('__name__', 'pod', 'tls', 'instance'), fc.constantFrom('a', 'b', 'true')),
  values: fc
    .uniqueArray(fc.tuple(fc.integer({ min: end - 300, max: end + 60 }), fc.nat(9)), {
      selector: ([time]) => time,
      minLength: 1,
      maxLength: 4,
    })
    .map((values) => values.toSorted(([a], [b]) => a - b)),
})

const anyAnswers = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('scrapes', 'clear-inbound'),
    time: fc.integer({ min: end - 600, max: end }),
    told: fc.uniqueArray(series, {
      selector: ({ labels }) => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))),
      maxLength: 4,
    }),
  }),
  { selector: ({ name, time }) => `${name} ${time}`, maxLength: 4 },
)

/** As Prometheus writes it; `isTurned`: the same in another order and form. */
function answersOf(
  all: readonly { readonly name: string; readonly time: number; readonly told: readonly Told[] }[],
  isTurned = false,
): MetricsAnswer[] {
  const turn = <T>(items: readonly T[]): T[] => (isTurned ? items.toReversed() : [...items])
  return turn(
    all.map(({ name, time, told }) => {
      const result = turn(told).map(({ labels, values }) => ({
        metric: Object.fromEntries(turn(Object.entries(labels))),
        values: values.map(([at, value]) => [at, isTurned ? value.toFixed(1) : String(value)]),
      }))
      const body = { status: 'success', data: { resultType: 'matrix', result } }
      return {
        name,
        query: `${name}[1h]`,
        time: isTurned ? time.toFixed(1) : String(time),
        body: isTurned ? JSON.stringify({ stats: {}, ...body }, null, 2) : JSON.stringify(body),
      }
    }),
  )
}

test('contentOf() is the same for the same samples, in whatever order and form they come', () => {
  fc.assert(
    fc.property(anyAnswers, (all) => {
      assert.equal(contentOf(answersOf(all, true), window), contentOf(answersOf(all), window))
    }),
  )
})

test('contentOf() is another for one sample more, less or of another value, but for scrapes after the end of the window', () => {
  let [others, alike] = [0, 0]
  fc.assert(
    fc.property(anyAnswers, fc.nat(), fc.constantFrom('dropped', 'changed'), (all, pick, how) => {
      const samples = all.flatMap(({ told }, answer) =>
        told.flatMap(({ values }, one) => values.map((_, index) => ({ answer, one, index }))),
      )
      const at = samples[pick % Math.max(1, samples.length)]
      if (at === undefined) return
      const changed = all.map((answer, index) =>
        index !== at.answer
          ? answer
          : {
              ...answer,
              told: answer.told.flatMap((one, place) => {
                if (place !== at.one) return [one]
                const values = one.values.flatMap(([time, value], sample): [number, number][] =>
                  sample !== at.index ? [[time, value]] : how === 'dropped' ? [] : [[time, value + 1]],
                )
                return values.length === 0 ? [] : [{ ...one, values }]
              }),
            },
      )
      const time = all[at.answer]?.told[at.one]?.values[at.index]?.[0] ?? 0
      const isLeftOut = all[at.answer]?.name === 'scrapes' && time > end
      const isSame = contentOf(answersOf(changed), window) === contentOf(answersOf(all), window)
      assert.equal(isSame, isLeftOut)
      if (isLeftOut) alike++
      else others++
    }),
    { numRuns: 300 },
  )
  assert.ok(others > 50 && alike > 5, `${others} ${alike}`)
})

test('contentOf() is another for an answer that is missing, or is none', () => {
  const [answer] = answersOf([{ name: 'clear-inbound', time: end, told: [] }])
  assert.ok(answer)
  const failed = { ...answer, body: '{"status":"error","error":"too many samples"}' }
  assert.equal(new Set([[], [answer], [failed]].map((answers) => contentOf(answers, window))).size, 3)
})

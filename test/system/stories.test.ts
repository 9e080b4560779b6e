import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cadvisorQueriesOf } from '../../lib/observed/cadvisor-queries.ts'
import { queriesOf } from '../../lib/observed/prometheus-queries.ts'
import type { Seconds } from '../../lib/model/time.ts'
import { type Finding, askSimulated, judge, toldOf, windowsOf } from '../support/mesh/mesh-judge.ts'
import { anyStory, meshOf } from '../support/mesh/mesh-stories.ts'
import { startWrittenPrometheus } from '../support/servers/remote-write.ts'
import { scrape } from '../support/mesh/simulated-scrapes.ts'

const STORIES = 50

/** Stories follow each other, further apart than any query looks back. */
const FIRST: Seconds = 1_795_521_600
const APART: Seconds = 3 * 3600

type Body = {
  readonly data: {
    readonly resultType: string
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>
      readonly value?: readonly [number, string]
      readonly values?: readonly (readonly [number, string])[]
    }[]
  }
}

/** An answer with its series, and the labels of each, in one order. */
function ordered(body: string): unknown {
  const { data } = JSON.parse(body) as Body
  return [
    data.resultType,
    data.result
      .map(({ metric, value, values }) => ({
        metric: JSON.stringify(Object.entries(metric).toSorted(([a], [b]) => (a < b ? -1 : 1))),
        values: (values ?? [value ?? [0, '']]).map(([time, text]) => [time, Number(text)]),
      }))
      .toSorted((a, b) => (a.metric < b.metric ? -1 : 1)),
  ]
}

test('a real Prometheus answers as the simulated one, and random stories told by it are right', async (context) => {
  const prometheus = await startWrittenPrometheus(context)
  // Samples that come late have no place in a Prometheus that is asked after all were written.
  const stories = fc
    .sample(anyStory(), { numRuns: STORIES, seed: fc.readConfigureGlobal().seed ?? 0 })
    .map((story, index) => ({ ...story, late: [], startsAt: FIRST + index * APART }))
  const wrong: (Finding & { readonly story: number })[] = []
  let answers = 0
  for (const [index, story] of stories.entries()) {
    const mesh = meshOf(story)
    const scraped = scrape(mesh)
    await prometheus.write(scraped.series)
    const told = new Map<string, string>()
    const simulated = askSimulated(scraped)(Infinity)
    for (const window of windowsOf(story))
      await Promise.all(
        [...queriesOf(window), ...cadvisorQueriesOf(window)].map(async ({ query, time }) => {
          const body = await prometheus.ask(query, time)
          told.set(`${time} ${query}`, body)
          assert.deepEqual(ordered(simulated(query, time)), ordered(body), `story ${index}: ${query} at ${time}`)
          answers += 1
        }),
      )
    const askAt = () => (query: string, time: Seconds) => told.get(`${time} ${query}`) ?? ''
    const { findings } = judge(story, { mesh, scraped, told: toldOf(story, mesh, { askAt }) })
    for (const finding of findings)
      if (finding.kind === 'false' || finding.kind === 'missed' || finding.kind === 'false-alarm')
        wrong.push({ ...finding, story: index })
  }
  assert.deepEqual(wrong, [])
  context.diagnostic(`${stories.length} stories, ${answers} answers alike`)
})

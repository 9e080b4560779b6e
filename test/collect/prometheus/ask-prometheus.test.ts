import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { failure, startPrometheusReplay, writeRecords } from '../../../demo/replay-prometheus.ts'
import { AnswerError, parseAnswer } from '../../../lib/observed/answers.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import { queryInstant, queryRange } from '../../../lib/collect/prometheus/ask-prometheus.ts'
import { startPrometheusServer } from '../../support/servers/prometheus-server.ts'
import { freshFolder } from '../../support/recorder.ts'
import type { PrometheusApi } from '../../../lib/collect/cluster/apis.ts'
import { errorText } from '../../support/texts/matches-text.ts'

const nothing = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }

function open(context: TestContext, prometheusUrl: string): PrometheusApi {
  const access = openCluster(
    {
      id: 'prod',
      registeredAt: '2026-11-24T00:00:00Z',
      prometheusUrl,
      linkerdNamespace: 'linkerd',
      vizNamespace: 'linkerd-viz',
      windows: [],
    },
    { environment: nothing, retryDelayMs: 1 },
  )
  context.after(() => access.close())
  return access.prometheus
}

const answer = (resultType: string, result: unknown, more: object = {}): string =>
  JSON.stringify({ status: 'success', data: { resultType, result }, ...more })

const vector = answer('vector', [{ metric: { __name__: 'up', pod: 'web' }, value: [1795522160.25, '1'] }])
const matrix = answer('matrix', [
  {
    metric: {},
    values: [
      [1, '0'],
      [2.5, '1e+06'],
      [3, '0.5'],
    ],
  },
])

test('parseAnswer() reads vectors, matrices and scalars', () => {
  assert.deepEqual(parseAnswer(vector), [
    { labels: { __name__: 'up', pod: 'web' }, samples: [{ time: 1795522160.25, value: 1 }] },
  ])
  assert.deepEqual(parseAnswer(matrix), [
    {
      labels: {},
      samples: [
        { time: 1, value: 0 },
        { time: 2.5, value: 1e6 },
        { time: 3, value: 0.5 },
      ],
    },
  ])
  assert.deepEqual(parseAnswer(answer('scalar', [7, '1795522160.5'])), [
    { labels: {}, samples: [{ time: 7, value: 1795522160.5 }] },
  ])
  assert.deepEqual(parseAnswer(answer('vector', [], { warnings: [], infos: ['metric might not be a counter'] })), [])
})

test('parseAnswer() takes a difference below 0, and any moment that a proxy states: of none it is NaN', () => {
  const told = (value: string) => answer('vector', [{ metric: {}, value: [1, value] }])
  const read = (value: string, isStated: boolean) => parseAnswer(told(value), isStated)[0]?.samples[0]?.value
  assert.equal(read('-0.5', false), -0.5)
  assert.deepEqual(
    ['-1', '1e308', 'NaN', '+Inf', 'x'].map((value) => read(value, true)),
    [-1, 1e308, NaN, NaN, NaN],
  )
})

const badAnswers: [name: string, body: string][] = [
  ['an empty body', ''],
  ['a cut body', vector.slice(0, -3)],
  ['a list', '[]'],
  ['null', 'null'],
  ['an error', '{"status":"error","errorType":"execution","error":"query\\ntimed out"}'],
  ['no status', '{"data":{"resultType":"vector","result":[]}}'],
  ['a warning', answer('vector', [], { warnings: ['a store did not answer'] })],
  ['no data', '{"status":"success"}'],
  ['no result', '{"status":"success","data":{"resultType":"vector"}}'],
  ['another type', answer('string', [1, 'x'])],
  ['NaN', answer('vector', [{ metric: {}, value: [1, 'NaN'] }])],
  ['infinity', answer('vector', [{ metric: {}, value: [1, '+Inf'] }])],
  ['a number too large', answer('vector', [{ metric: {}, value: [1, '1e999'] }])],
  [
    'more than a counter shows, and says whose it is',
    answer('vector', [{ metric: { namespace: 'shop', pod: 'web' }, value: [1, '1e308'] }]),
  ],
  ['a raw sample below 0', answer('matrix', [{ metric: { instance: '10.0.0.7:4191' }, values: [[1, '-1']] }])],
  ['a time in the year 33658', answer('vector', [{ metric: {}, value: [1e12, '1'] }])],
  ['an empty value', answer('vector', [{ metric: {}, value: [1, ''] }])],
  ['a hexadecimal value', answer('vector', [{ metric: {}, value: [1, '0x10'] }])],
  ['a value that is no text', answer('vector', [{ metric: {}, value: [1, 1] }])],
  ['a time that is no number', answer('vector', [{ metric: {}, value: ['1', '1'] }])],
  ['half a sample', answer('vector', [{ metric: {}, value: [1] }])],
  ['a histogram', answer('vector', [{ metric: {}, histogram: [1, {}] }])],
  ['no metric', answer('vector', [{ value: [1, '1'] }])],
  ['a label that is no text', answer('vector', [{ metric: { pod: 1 }, value: [1, '1'] }])],
  ['a series of nothing', answer('matrix', [{ metric: {}, values: [] }])],
  [
    'samples out of order',
    answer('matrix', [
      {
        metric: {},
        values: [
          [2, '1'],
          [1, '1'],
        ],
      },
    ]),
  ],
  [
    'a sample twice',
    answer('matrix', [
      {
        metric: {},
        values: [
          [2, '1'],
          [2, '1'],
        ],
      },
    ]),
  ],
]

for (const [name, body] of badAnswers) {
  test(`parseAnswer() refuses ${name}`, () => {
    assert.throws(() => parseAnswer(body), errorText({ name: 'AnswerError' }))
  })
}

test('parseAnswer() gives series or one clear error for any text', () => {
  /** Answers with one place changed: cut, doubled or replaced. */
  const damaged = fc
    .tuple(
      fc.constantFrom(vector, matrix),
      fc.nat(),
      fc.nat(12),
      fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('null', '[]', '""', '{}', '1e999')),
    )
    .map(([text, at, length, inserted]) => {
      const from = at % text.length
      return text.slice(0, from) + inserted + text.slice(from + length)
    })
  const deep = fc
    .nat(20_000)
    .map((depth) => answer('vector', [], {}).replace('[]', '['.repeat(depth) + ']'.repeat(depth)))
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), damaged, deep), (text) => {
      try {
        for (const { labels, samples } of parseAnswer(text)) {
          assert.ok(samples.length > 0)
          assert.ok(samples.every(({ time, value }) => Number.isFinite(time) && Number.isFinite(value)))
          assert.ok(Object.values(labels).every((value) => typeof value === 'string'))
        }
      } catch (error) {
        assert.ok(error instanceof AnswerError, String(error))
        assert.match(error.message, /^[^\n]+$/)
      }
    }),
    { numRuns: 3000 },
  )
})

test('queryInstant() sends a form and gives the text as received with its series', async (context) => {
  const server = await startPrometheusServer(() => ({ status: 200, body: ` ${vector}\n` }))
  context.after(() => server.close())
  const query = 'sum by (pod) (tcp_open_total{tls!="true"}[5m]) + 1 & 2'
  const read = await queryInstant(open(context, server.url), { what: 'query up', query, time: '1795522160.5' })
  assert.equal(read.body, ` ${vector}\n`)
  assert.equal(read.series.length, 1)
  assert.deepEqual(
    server.asked.map(({ method, path, parameters }) => [method, path, Object.fromEntries(parameters)]),
    [['POST', '/api/v1/query', { query, time: '1795522160.5' }]],
  )
})

test('queryRange() asks by GET where POST is not let through', async (context) => {
  for (const code of [404, 405]) {
    const server = await startPrometheusServer(() => ({ status: 200, body: matrix }))
    context.after(() => server.close())
    server.misbehave(({ method }) => (method === 'POST' ? { answer: { status: code, body: '' } } : undefined))
    const range = { query: 'up', start: '1', end: '3', step: '1' }
    assert.equal((await queryRange(open(context, server.url), { what: 'query up', ...range })).body, matrix)
    assert.deepEqual(
      server.asked.map(({ method, path, parameters }) => [method, path, Object.fromEntries(parameters)]),
      ['POST', 'GET'].map((method) => [method, '/api/v1/query_range', range]),
    )
  }
})

test('queryInstant() ends with one clear line where the address is wrong or the answer is cut', async (context) => {
  const server = await startPrometheusServer((path) =>
    path === '/api/v1/query' ? { status: 200, body: vector } : failure(404, 'not_found', 'no such path'),
  )
  context.after(() => server.close())
  const what = 'query up of cluster "prod"'
  await assert.rejects(
    queryInstant(open(context, `${server.url}/wrong`), { what, query: 'up', time: '1' }),
    errorText({ name: 'SourceError' }),
  )
  server.misbehave(() => 'cut-json')
  await assert.rejects(
    queryInstant(open(context, server.url), { what, query: 'up', time: '1' }),
    errorText({ name: 'SourceError', kind: 'malformed' }),
  )
})

test('the replay answers what was recorded, and says so of anything else', async (context) => {
  const file = join(freshFolder(context), 'answers.ndjson.gz')
  await writeRecords(file, [
    { query: 'up', time: '1795522160', body: vector },
    { query: 'up', start: '1', end: '3', step: '1', body: matrix },
  ])
  const replay = await startPrometheusReplay([file], '2026-11-24T13:06:00Z')
  context.after(() => replay.close())
  const api = open(context, replay.url)
  const what = 'query up'
  assert.equal((await queryInstant(api, { what, query: 'up', time: '1795522160.000' })).body, vector)
  assert.equal((await queryRange(api, { what, query: 'up', start: '1', end: '3', step: '1' })).body, matrix)
  await assert.rejects(queryInstant(api, { what, query: 'up', time: '1795522161' }), errorText())
})

test("the replay's own clock is the simulated time", async (context) => {
  const replay = await startPrometheusReplay([], '2026-11-24T13:06:00Z')
  context.after(() => replay.close())
  const api = open(context, replay.url)
  const clock = async (): Promise<number | undefined> =>
    (await queryInstant(api, { what: 'query the time', query: 'time()', time: undefined })).series[0]?.samples[0]?.value
  assert.equal(await clock(), Date.parse('2026-11-24T13:06:00Z') / 1000)
  replay.setTime('2026-11-24T13:11:00Z')
  assert.equal(await clock(), Date.parse('2026-11-24T13:11:00Z') / 1000)
})

import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { isEncrypted } from '../../lib/assess/window/episode-lifecycle.ts'
import { factsOf } from '../../lib/assess/pods/facts.ts'
import { pageReadings, podPages } from '../../lib/assess/counters/page-readings.ts'
import { PageError, parsePage, reducePage } from '../../lib/observed/metrics-page.ts'
import { toSeconds } from '../../lib/time/windows.ts'
import { pageAt } from '../support/mesh/synthetic-pages.ts'
import { WINDOW, pod, timeAt } from '../support/mesh/synthetic-pods.ts'
import { NO_TLS, clearHttp, inbound, mutual, outboundTo, tcp } from '../support/mesh/synthetic-prometheus.ts'
import { errorText } from '../support/texts/matches-text.ts'

const FOLDER = join(import.meta.dirname, '../recordings/demo/metrics')

/** Pages of proxies of a real mesh, by the path of their file. */
const recorded = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.txt.gz'))
  .map((file) => [file, gunzipSync(readFileSync(join(FOLDER, file))).toString()] as const)

const START = 'process_start_time_seconds 1764000000\n'

describe('The metrics page of a proxy', () => {
  test('reducePage() keeps lines of recorded pages as they are, and all that is read of them', () => {
    assert.ok(recorded.length >= 5)
    for (const [file, page] of recorded) {
      const reduced = reducePage(page)
      const lines = new Set(page.split('\n'))
      assert.ok(
        reduced.split('\n').every((line) => lines.has(line)),
        file,
      )
      assert.equal(reducePage(reduced), reduced)
      assert.deepEqual(parsePage(reduced), parsePage(page))
      assert.ok(reduced.length < page.length / 2, `${file}: ${reduced.length} of ${page.length}`)
      const { series, processStart } = parsePage(page)
      assert.ok(series.some(({ labels }) => labels['__name__'] === 'tcp_open_total' && labels['tls'] === 'true'))
      assert.equal(new Date(processStart * 1000).getUTCFullYear(), 2026)
    }
  })

  test('parsePage() reads labels as they were written, whatever is in them', () => {
    const { series } = parsePage(
      `${START}tcp_open_total{tls="a\\"b\\\\c\\nd",__proto__="x",empty="",peer="src"} 1.5e3\nother_metric{ 7\n# tcp_open_total{\n`,
    )
    assert.deepEqual(
      series.map(({ labels, value }) => [Object.entries(labels), value]),
      [
        [[['__name__', 'process_start_time_seconds']], 1764000000],
        [
          [
            ['__name__', 'tcp_open_total'],
            ['tls', 'a"b\\c\nd'],
            ['__proto__', 'x'],
            ['peer', 'src'],
          ],
          1500,
        ],
      ],
    )
  })

  test('parsePage() takes any moment that a proxy states, so that one that can be none harms nothing else', () => {
    const end = 'control_identity_cert_expiration_timestamp_seconds 1e308'
    const { series, processStart } = parsePage(
      `process_start_time_seconds 1e300\n${end}\ntcp_open_total{tls="true"} 1\n`,
    )
    assert.deepEqual(
      series.map(({ value }) => value),
      [1e300, 1e308, 1],
    )
    assert.equal(processStart, 1e300)
  })

  test('parsePage() refuses a page of which one line cannot be read, in one line', () => {
    const lines = [
      'tcp_open_total{tls="true"',
      'tcp_open_total{tls="true"}',
      'tcp_open_total{tls="true"} ',
      'tcp_open_total{tls="true"}  1',
      'tcp_open_total{tls="true"} 1 1764000000',
      'tcp_open_total{tls="true"} 1 # {a="b"} 1',
      'tcp_open_total{tls="true"} -1',
      'tcp_open_total{tls="true"} NaN',
      'tcp_open_total{tls="true"} +Inf',
      'tcp_open_total{tls="true"} 1e999',
      'tcp_open_total{tls="true"} 1e308',
      'tcp_open_total{tls="true"} 0x1',
      'tcp_open_total{tls="no_identity",tls="true"} 1',
      'tcp_open_total{tls="true",__name__="up"} 1',
      'tcp_open_total{tls=true} 1',
      "tcp_open_total{tls='true'} 1",
      'tcp_open_total{tls="tr\\ue"} 1',
      'tcp_open_total{tls="true" peer="src"} 1',
      'tcp_open_total{,tls="true"} 1',
      'tcp_open_total {tls="true"} 1',
      'tcp_open_total{tls="true"} 1\ntcp_open_total{tls="true"} 2',
      `tcp_open_total{tls="${'x'.repeat(40_000)}"} 1`,
    ]
    for (const line of lines)
      assert.throws(() => parsePage(`${START}${line}\n`), {
        name: 'PageError',
        message: /^has (a line that cannot be read:|the series) [^\n]{0,240}$/,
      })
    assert.throws(() => parsePage('tcp_open_total{tls="true"} 1\n'), /^PageError: has no process_start_time_seconds/)
    assert.throws(() => parsePage('<html>'), errorText({ name: 'PageError' }))
    const many = Array.from({ length: 100_001 }, (_, number) => `tcp_open_total{a="${number}"} 1\n`)
    assert.throws(() => parsePage(START + many.join('')), errorText({ name: 'PageError' }))
  })
})

const client = pod('deployment/web')
const server = pod('deployment/api')
const clear = [
  ...clearHttp(server, 80, [100]),
  ...tcp(server, inbound(server, 81, NO_TLS), { at: [100], lasts: Infinity }),
  ...tcp(server, outboundTo('203.0.113.7', 443, { authority: 'true:443' }), { at: [100] }),
]
const page = pageAt(server, clear, 360)
const before = pageAt(server, clear, 60)

/** Damages a page: bytes replaced, cut, doubled or moved, among them those that end and begin labels. */
const damage = fc.array(
  fc.record({
    at: fc.nat(page.length),
    remove: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 40 })),
    insert: fc.oneof(
      fc.constantFrom(
        '"',
        ',',
        '{',
        '}',
        '\n',
        '\\',
        ' ',
        '=',
        '1',
        'tls="',
        '"} 1\n',
        '\u0000',
        '\ud800',
        '😀',
        '__proto__="',
      ),
      fc.nat(page.length - 50).map((from) => page.slice(from, from + 50)),
    ),
  }),
  { minLength: 1, maxLength: 4 },
)

/** `npm run test:fuzz` has as many cases as the record asks for. */
const CASES = process.env['FUZZ_BYTES'] === undefined ? 10_000 : 100_000

test('a damaged page is read or refused, and nothing clear in it is called encrypted', () => {
  let [read, told] = [0, 0]
  const facts = factsOf(null, null, { start: 0, end: 1 }, 'linkerd')
  const [start, end] = [toSeconds(WINDOW.start), toSeconds(WINDOW.end)]
  const pageOf = (body: string, time: number) => [
    { namespace: 'shop', pod: server.name, uid: server.uid, address: server.ip, readAt: timeAt(time), body },
  ]
  const sizes = process.memoryUsage().heapUsed
  fc.assert(
    fc.property(damage, (wounds) => {
      let damaged = page
      for (const { at, remove, insert } of wounds) damaged = damaged.slice(0, at) + insert + damaged.slice(at + remove)
      const reduced = reducePage(damaged)
      assert.ok(reduced.length <= damaged.length + 1)
      try {
        parsePage(damaged)
        read++
      } catch (error) {
        assert.ok(error instanceof PageError, String(error))
        assert.match(error.message, /^has [^\n]{1,300}$/)
      }
      const pages = podPages(
        { end: timeAt(0), pages: pageOf(before, 60) },
        { end: timeAt(300), pages: pageOf(reduced, 360) },
      )
      const readings = pageReadings(pages, { start, end, facts })
      told += readings.length
      assert.ok(readings.every(({ verdict }) => !isEncrypted(verdict.state)))
    }),
    { numRuns: CASES },
  )
  assert.ok(read > CASES / 20 && told > CASES / 20, `only ${read} were read, and ${told} connections told`)
  assert.ok(process.memoryUsage().heapUsed - sizes < 200e6)
})

test('what was encrypted is told of an undamaged page', () => {
  const counters = mutual(client, server, 80, { at: [100] })
  const pageOf = (time: number) => [
    {
      namespace: 'shop',
      pod: server.name,
      uid: server.uid,
      address: server.ip,
      readAt: timeAt(time),
      body: pageAt(server, counters, time),
    },
  ]
  const pages = podPages({ end: timeAt(0), pages: pageOf(60) }, { end: timeAt(300), pages: pageOf(360) })
  const facts = factsOf(null, null, { start: 0, end: 1 }, 'linkerd')
  const [reading] = pageReadings(pages, { start: toSeconds(WINDOW.start), end: toSeconds(WINDOW.end), facts })
  assert.equal(reading?.verdict.state, 'mtls')
})

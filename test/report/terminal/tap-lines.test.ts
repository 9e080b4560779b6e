import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readTap } from '../../../lib/assess/window/tap-reading.ts'
import { decodeTapEvent } from '../../../lib/observed/tap-events.ts'
import type { TapEvent } from '../../../lib/observed/tap-events.ts'
import { tapLine, tapSentence } from '../../../lib/report/terminal/tap-lines.ts'
import { framesOf, tapRecordings } from '../../support/truth/tap-recordings.ts'
import { matchesText, textWith } from '../../support/texts/matches-text.ts'

/** A line without what differs from one second to the next: ids, ports of clients and times. */
function timeless(line: string): string {
  return line
    .replace(/ id=\S+/, ' id=#')
    .replace(/ src=(\S+):\d+/, ' src=$1:#')
    .replaceAll(/=\d+µs/g, '=#µs')
}

function lines(event: TapEvent, isWide: boolean): string {
  return tapLine(event, readTap(event), { isWide })
}

test('tapLine() prints what linkerd viz tap printed of the same traffic', () => {
  for (const { bytes, text, wide } of tapRecordings()) {
    const events = framesOf(bytes).map((frame) => decodeTapEvent(frame, { withPaths: true }))
    const ours = (isWide: boolean) => new Set(events.map((event) => timeless(lines(event, isWide))))
    const theirs = (recorded: readonly string[]) => new Set(recorded.map(timeless))
    // They listened one after the other: what is rare was heard by one of them.
    for (const [mine, linkerds] of [
      [ours(false), theirs(text)],
      [ours(true), theirs(wide)],
    ] as const) {
      const same = [...mine].filter((line) => linkerds.has(line))
      assert.ok(same.length >= 9, `only ${same.length} lines are the same`)
      const others = [...mine].filter((line) => !linkerds.has(line))
      assert.deepEqual(
        others.filter((line) => !/ src=10\.244\.0\.(1|253):/.test(line)),
        [],
      )
    }
  }
})

const end = (address: string, labels: Readonly<Record<string, string>> = {}): TapEvent['source'] => ({
  address,
  port: 80,
  labels: new Map(Object.entries(labels)),
})

const bare: TapEvent = {
  proxy: 'in',
  source: end('10.0.0.1', { tls: 'no_tls_from_remote' }),
  destination: end('fd00::1', { tls: 'loopback' }),
  route: new Map([['route', 'x']]),
  http: { kind: 'request', id: '1:2', method: 'GET', scheme: 'HTTP', authority: null, path: null },
}

test('tapLine() leaves out what was not asked for, and writes each kind of event', () => {
  const flow = 'proxy=in  src=10.0.0.1:80 dst=[fd00::1]:80 tls=no_tls_from_remote'
  assert.equal(lines(bare, false), `req id=1:2 ${flow} :method=GET`)
  assert.equal(
    lines(bare, true),
    `req id=1:2 ${flow} :method=GET src_tls=no_tls_from_remote dst_tls=loopback rt_route=x`,
  )
  const ending = { kind: 'end', id: '1:2', sinceRequestMicros: 9, sinceResponseMicros: 5, bytes: 7n } as const
  const line = (http: TapEvent['http']) => lines({ ...bare, http }, false).replace(flow, 'FLOW')
  assert.equal(
    line({ kind: 'response', id: '1:2', status: 200, sinceRequestMicros: 12 }),
    'rsp id=1:2 FLOW :status=200 latency=12µs',
  )
  assert.equal(
    line({ ...ending, grpcStatus: null, resetError: null }),
    'end id=1:2 FLOW duration=5µs response-length=7B',
  )
  assert.equal(
    line({ ...ending, grpcStatus: 16, resetError: null }),
    'end id=1:2 FLOW grpc-status=Unauthenticated duration=5µs response-length=7B',
  )
  assert.equal(
    line({ ...ending, grpcStatus: 666, resetError: null }),
    'end id=1:2 FLOW grpc-status=Code(666) duration=5µs response-length=7B',
  )
  assert.equal(
    line({ ...ending, grpcStatus: null, resetError: 8 }),
    'end id=1:2 FLOW reset-error=8 duration=5µs response-length=7B',
  )
  assert.equal(line(null), 'unknown FLOW')
})

test('tapLine() lets no client write a further field or a control character into a line', () => {
  const hostile = fc.oneof(
    fc.constantFrom('x tls=true', 'x\ttls=true', '\u001b[2J', '\n req', '\u202e', ' ', '\u00a0tls=true'),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(hostile, hostile, hostile, (authority, path, label) => {
      const event: TapEvent = {
        ...bare,
        source: end('10.0.0.1', { tls: 'no_tls_from_remote', [label]: label }),
        http: { kind: 'request', id: '1:2', method: label, scheme: '', authority, path },
      }
      const line = lines(event, true)
      assert.doesNotMatch(line, /[\p{C}\p{Zl}\p{Zp}]/u)
      const fields = line.split(/\s/).filter(Boolean)
      assert.deepEqual(
        fields.map((field) => field.split('=')[0]?.replace(/^src_.*/, 'src_')),
        [
          'req',
          'id',
          'proxy',
          'src',
          'dst',
          'tls',
          ':method',
          ':authority',
          ':path',
          'src_',
          'src_',
          'dst_tls',
          'rt_route',
        ].slice(0, label === 'tls' ? 12 : 13),
      )
    }),
  )
})

test('tapSentence() counts requests by what they were, worst first, and says what tap cannot see', () => {
  const limits = 'Only HTTP is tapped, at most 100 requests a second.'
  matchesText(tapSentence([], 10, 100), textWith({ limits }))
  assert.equal(
    tapSentence(
      [
        { state: 'mtls', isOnProbePath: false },
        { state: 'plaintext', isOnProbePath: true },
        { state: 'plaintext', isOnProbePath: false },
      ],
      10,
      100,
    ),
    `3 requests were seen in 10 s: 2 plaintext (1 on a probe path), 1 mtls. ${limits}`,
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FLOW_VERDICTS, type ReadFlow } from '../../../lib/assess/packets/flow-verdict.ts'
import { type NamedFlow, flowRows, flowSentence } from '../../../lib/report/terminal/packet-flows.ts'
import { captureNames, captureRows, flowsOf } from '../../support/truth/captures.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const unnamed = (flows: readonly ReadFlow[]): NamedFlow[] =>
  flows.map((flow) => ({ ...flow, clientWorkload: null, serverWorkload: null }))

const recorded = unnamed(captureNames().flatMap((name) => flowsOf(captureRows(name))))

test('flowRows() groups flows of a client and a port that read the same, worst first, and loses none', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(recorded), (flows) => {
      const rows = flowRows(flows)
      const sum = (count: (row: (typeof rows)[number]) => number): number =>
        rows.reduce((total, row) => total + count(row), 0)
      assert.equal(
        sum((row) => row.flows),
        flows.length,
      )
      assert.equal(
        sum((row) => row.packets),
        flows.reduce((total, { packets }) => total + packets, 0),
      )
      const ranks = rows.map(({ flow }) => FLOW_VERDICTS.indexOf(flow.verdict))
      assert.deepEqual(
        ranks,
        ranks.toSorted((a, b) => a - b),
      )
      const texts = (all: typeof rows) => all.map(({ flow, ...row }) => row)
      assert.deepEqual(texts(flowRows(flows.toReversed())), texts(rows))
    }),
  )
})

test('flowRows() says of each flow what was seen, and never that it was mutual TLS of the mesh', () => {
  const rows = flowRows(recorded)
  assert.ok(
    rows.every(({ verdict, detail }) => !`${verdict} ${detail}`.includes('●') && !/undefined|null/.test(detail)),
  )
  assert.deepEqual(
    new Set(rows.map(({ verdict }) => verdict)),
    new Set(['▲ clear', '? unknown', '○ TLS 1.3', '· no payload']),
  )
  assert.ok(
    rows.some(
      ({ detail }) =>
        detail === "Linkerd backend.shop, ALPN transport.l5d.io/v1, client certificate not visible, to Linkerd's proxy",
    ),
  )
})

test('flowRows() names ends by their workload, and writes IPv6 addresses as URLs do', () => {
  const [flow] = recorded
  assert.ok(flow)
  const workload = (kind: string) => ({ kind, namespace: 'shop', name: 'web' })
  const row = (changes: Partial<NamedFlow>) => {
    const [{ client, server } = { client: '', server: '' }] = flowRows([{ ...flow, ...changes }])
    return [client, server]
  }
  assert.deepEqual(
    row({
      clientWorkload: workload('deployment'),
      serverWorkload: workload('service'),
      server: { address: '10.96.0.1', port: 80 },
    }),
    ['shop/web', 'service shop/web:80'],
  )
  assert.deepEqual(row({ client: { address: 'fd00::1', port: 9 }, server: { address: 'fd00::2', port: 80 } }), [
    'fd00::1',
    '[fd00::2]:80',
  ])
})

test('flowSentence() counts what went between hosts by TCP, and nothing else', () => {
  const sentence = (name: string): string => flowSentence(flowsOf(captureRows(name)))
  matchesText(sentence('raw-backend'))
  matchesText(sentence('public-udp-client'))
})

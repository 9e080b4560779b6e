import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { FLOW_VERDICTS } from '../../../lib/assess/packets/flow-verdict.ts'
import { flowTable } from '../../../lib/assess/packets/flows.ts'
import type { PacketRow } from '../../../lib/observed/packet-rows.ts'
import { captureNames, captureRows, flowsOf } from '../../support/truth/captures.ts'
import {
  type Piece,
  type Write,
  anyCapture,
  clearConversation,
  clearPiece,
  packet,
  rowsOf,
  tlsConversation,
  tlsRow,
  wholeCapture,
} from '../../support/servers/wire.ts'

function verdictOf(rows: readonly PacketRow[]): string {
  const [flow, ...others] = flowsOf(rows)
  assert.equal(others.length, 0)
  return `${flow?.verdict} ${flow?.reason}`.trim()
}

const kindOf = (rows: readonly PacketRow[]): string => verdictOf(rows).split(' ')[0] ?? ''

describe('readFlows() of any capture', () => {
  test('calls a whole TLS connection TLS, however it was cut into packets', () => {
    fc.assert(
      fc.property(tlsConversation, wholeCapture, (writes, capture) => {
        assert.equal(verdictOf(rowsOf(writes, capture)), 'tls')
      }),
    )
  })

  test('calls a connection TLS once its handshake was seen, whatever is lost or forgotten of the rest', () => {
    const later = fc
      .uniqueArray(fc.integer({ min: 2, max: 30 }), { maxLength: 6 })
      .map((numbers): ReadonlySet<number> => new Set(numbers))
    fc.assert(
      fc.property(
        tlsConversation,
        later,
        later,
        later,
        fc.array(fc.integer({ min: 2476, max: 9000 }), { minLength: 1 }),
        (writes, lost, cut, forgotten, lengths) => {
          const capture = { hasOpening: true, lengths, lost, cut, twice: new Set<number>(), forgotten }
          assert.equal(verdictOf(rowsOf(writes, capture)), 'tls')
        },
      ),
    )
  })

  test('calls a TLS connection TLS or unknown, whatever is lost of it, and never clear', () => {
    fc.assert(
      fc.property(tlsConversation, anyCapture, (writes, capture) => {
        const rows = rowsOf(writes, capture)
        if (rows.length > 0) assert.match(verdictOf(rows), /^(tls|unknown .+|no-payload)$/)
      }),
    )
  })

  test('never says that a connection had no payload if some was captured or acknowledged', () => {
    const conversation = fc.oneof(tlsConversation, clearConversation)
    fc.assert(
      fc.property(conversation, anyCapture, fc.integer({ min: 0, max: 30 }), (writes, capture, from) => {
        const rows = rowsOf(writes, capture).slice(from)
        if (rows.some(({ payload }) => payload > 0)) assert.notEqual(kindOf(rows), 'no-payload')
      }),
    )
  })

  test('calls a whole connection without TLS clear', () => {
    fc.assert(
      fc.property(clearConversation, wholeCapture, (writes, capture) => {
        const rows = rowsOf(writes, { ...capture, lengths: capture.lengths.map((length) => Math.max(6, length)) })
        assert.match(verdictOf(rows), /^clear (text|begins-without-tls)$/)
      }),
    )
  })

  test('never calls a connection without TLS anything but clear or unknown, whatever is lost of it', () => {
    fc.assert(
      fc.property(clearConversation, anyCapture, (writes, capture) => {
        const rows = rowsOf(writes, capture)
        if (rows.some(({ payload }) => payload > 0)) assert.match(verdictOf(rows), /^(clear|unknown) .+$/)
      }),
    )
  })

  test('never calls a whole connection TLS in which anything but TLS was sent', () => {
    fc.assert(
      fc.property(
        tlsConversation,
        clearPiece,
        fc.nat(),
        fc.nat(),
        wholeCapture,
        (writes, piece, at, within, capture) => {
          const index = at % writes.length
          const mixed = writes.map((write, position): Write => {
            if (position !== index) return write
            const pieces: Piece[] = [...write.pieces]
            pieces.splice(within % (pieces.length + 1), 0, piece)
            return { ...write, pieces }
          })
          // A write whose packets begin with what is clear; within a packet tshark would stop to see records.
          const split = mixed.flatMap(({ by, pieces }) => pieces.map((one): Write => ({ by, pieces: [one] })))
          const lengths = capture.lengths.map((length) => Math.max(6, length))
          assert.match(verdictOf(rowsOf(split, { ...capture, lengths })), /^(clear|unknown) .+$/)
        },
      ),
    )
  })

  test('never calls a connection TLS in which a packet was text, whatever is lost of it', () => {
    fc.assert(
      fc.property(tlsConversation, anyCapture, fc.nat(), (writes, capture, at) => {
        const rows = rowsOf(writes, capture)
        if (rows.length === 0) return
        const text = packet({ payload: 30, beginning: 'other', isText: true })
        // What comes before the opening belongs to another connection.
        assert.equal(kindOf(rows.toSpliced(1 + (at % rows.length), 0, text)), 'clear')
      }),
    )
  })

  test('does not care whether a packet is in the capture twice', () => {
    fc.assert(
      fc.property(fc.oneof(tlsConversation, clearConversation), anyCapture, (writes, capture) => {
        const once = rowsOf(writes, { ...capture, twice: new Set() })
        if (once.length === 0) return
        assert.equal(verdictOf(once.flatMap((row) => [row, row])), verdictOf(once))
      }),
    )
  })

  test('needs a whole hello of each side, from rows of any content, before it says TLS', () => {
    const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '127.0.0.1', 'fd00::1')
    const end = fc.record({ address, port: fc.constantFrom(4143, 40000, 40001) })
    const tls = fc.oneof(
      fc.constant(null),
      fc.record({
        records: fc.array(fc.constantFrom(5, 150, 20_000, NaN)),
        handshakes: fc.array(
          fc.record({ type: fc.constantFrom(1, 2, 11), length: fc.constantFrom(0, 100, 9000, NaN) }),
        ),
        randoms: fc.array(fc.constantFrom('ab', 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c')),
        versions: fc.array(fc.constantFrom(0x0303, 0x0304, 0x1234)),
        supportedVersions: fc.array(fc.constantFrom(0x0304, 0x0a0a)),
        cipherSuites: fc.array(fc.constantFrom(0x1301, 0x003b, 0)),
        serverNames: fc.array(fc.string()),
        protocols: fc.array(fc.string()),
        certificates: fc.array(fc.nat()),
        isAlert: fc.boolean(),
      }),
    )
    const row: fc.Arbitrary<PacketRow> = fc.record({
      session: fc.nat({ max: 2 }),
      protocol: fc.constantFrom('tcp' as const, 'tcp' as const, 'udp' as const),
      time: fc.nat(),
      source: end,
      destination: end,
      isWhole: fc.boolean(),
      payload: fc.constantFrom(0, 1, 150, 70_000),
      beginning: fc.constantFrom('tls' as const, 'ssh' as const, 'maybe' as const, 'other' as const, 'none' as const),
      isText: fc.boolean(),
      tcp: fc.record({
        flags: fc.integer({ min: 0, max: 0x1ff }),
        seq: fc.constantFrom(0, 1, 150, 151, 2 ** 32 - 1),
        ack: fc.constantFrom(0, 1, 151, 2 ** 32 - 1),
      }),
      tls,
    })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 30 }), (rows) => {
        for (const flow of flowsOf(
          rows.map((one) => (one.protocol === 'udp' ? { ...one, tcp: null, tls: null } : one)),
        )) {
          assert.ok(FLOW_VERDICTS.includes(flow.verdict))
          if (flow.verdict !== 'tls') continue
          const sentBy = (from: typeof flow.client, type: number): boolean =>
            rows.some(
              ({ source, isWhole, tls: part }) =>
                source.address === from.address &&
                source.port === from.port &&
                isWhole &&
                part?.handshakes.some((message) => message.type === type && message.length > 0) === true,
            )
          assert.ok(sentBy(flow.client, 1) && sentBy(flow.server, 2))
          assert.ok(!flow.sent.client.hasText && !flow.sent.server.hasText)
        }
      }),
    )
  })
})

describe('readFlows()', () => {
  const whole = {
    hasOpening: true,
    lengths: [9000],
    lost: new Set<number>(),
    cut: new Set<number>(),
    twice: new Set<number>(),
  }
  const record = (hello?: 'client' | 'server'): Piece => ({
    kind: 'record',
    length: 1000,
    ...(hello === undefined ? {} : { hello }),
  })
  const handshake: Write[] = [
    { by: 'client', pieces: [record('client')] },
    { by: 'server', pieces: [record('server')] },
  ]

  test('says why a connection is neither TLS nor clear', () => {
    const reasons: [string, Write[]][] = [
      ['unknown handshake-unfinished', [{ by: 'client', pieces: [record('client')] }]],
      ['unknown handshake-not-captured', [{ by: 'client', pieces: [record(), record()] }]],
      [
        'unknown hello-in-wrong-direction',
        [
          { by: 'server', pieces: [record('client')] },
          { by: 'client', pieces: [record('server')] },
        ],
      ],
      ['unknown leaves-tls', [...handshake, { by: 'client', pieces: [{ kind: 'binary', length: 100 }] }]],
      [
        'unknown leaves-tls',
        [
          { by: 'client', pieces: [record()] },
          { by: 'client', pieces: [{ kind: 'binary', length: 9 }] },
        ],
      ],
    ]
    for (const [expected, writes] of reasons) assert.equal(verdictOf(rowsOf(writes, whole)), expected)
    const after = (length: number): Write[] => [
      ...handshake,
      { by: 'client', pieces: [record(), { kind: 'binary', length }] },
    ]
    assert.equal(verdictOf(rowsOf(after(30_000), whole)), 'unknown leaves-tls')
    const late = rowsOf([{ by: 'client', pieces: [{ kind: 'binary', length: 100 }] }], { ...whole, hasOpening: false })
    assert.equal(verdictOf(late), 'unknown beginning-not-captured')
    const cut = rowsOf(handshake, whole).map((row) => ({ ...row, isWhole: row.tls === null }))
    assert.equal(verdictOf(cut), 'unknown hello-broken')
    const longer = rowsOf(handshake, whole).map((row) =>
      row.tls === null
        ? row
        : { ...row, tls: { ...row.tls, handshakes: row.tls.handshakes.map((one) => ({ ...one, length: 992 })) } },
    )
    assert.equal(verdictOf(longer), 'unknown hello-broken')
  })

  test('knows whether all that a side sent is in the capture', () => {
    const wholeness = (lost: number[], hasOpening = true): boolean[] => {
      const writes: Write[] = [
        ...handshake,
        { by: 'client', pieces: [record(), record()] },
        { by: 'server', pieces: [record()] },
      ]
      const [flow] = flowsOf(rowsOf(writes, { ...whole, lengths: [1000], hasOpening, lost: new Set(lost) }))
      return flow === undefined ? [] : [flow.sent.client.isWhole, flow.sent.server.isWhole]
    }
    assert.deepEqual(wholeness([]), [true, true])
    assert.deepEqual(wholeness([0]), [false, true])
    assert.deepEqual(wholeness([2]), [false, true])
    assert.deepEqual(wholeness([3]), [false, true])
    assert.deepEqual(wholeness([1]), [true, false])
    assert.deepEqual(wholeness([], false), [false, false])
  })

  test('doubts a connection that ends within a TLS record', () => {
    const rows = rowsOf([...handshake, { by: 'client', pieces: [record()] }], whole)
    const last = rows.at(-1)
    assert.ok(last)
    const ending = (payload: number) =>
      verdictOf([...rows.slice(0, -1), { ...last, payload, tcp: { flags: 0x11, seq: last.tcp?.seq ?? 0, ack: 0 } }])
    assert.deepEqual([ending(1000), ending(1100)], ['tls', 'unknown leaves-tls'])
  })

  test('knows clear bytes before TLS, after it and instead of it', () => {
    const clear = (kind: 'binary' | 'text'): Write => ({ by: 'client', pieces: [{ kind, length: 100 }] })
    assert.equal(verdictOf(rowsOf([clear('binary'), ...handshake], whole)), 'clear clear-then-tls')
    assert.equal(verdictOf(rowsOf([...handshake, clear('text')], whole)), 'clear clear-then-tls')
    assert.equal(verdictOf(rowsOf([clear('binary')], whole)), 'clear begins-without-tls')
    assert.equal(verdictOf(rowsOf([clear('text')], { ...whole, hasOpening: false })), 'clear text')
  })

  test('calls a cipher suite that encrypts nothing clear, and a version that it does not know unknown', () => {
    const change = (changes: Partial<NonNullable<PacketRow['tls']>>): PacketRow[] =>
      rowsOf(handshake, whole).map((row) =>
        row.tls?.handshakes[0]?.type === 2 ? { ...row, tls: { ...row.tls, ...changes } } : row,
      )
    assert.equal(verdictOf(change({ cipherSuites: [0x003b] })), 'clear null-cipher')
    assert.equal(verdictOf(change({ cipherSuites: [0xc0b5] })), 'clear null-cipher')
    assert.equal(verdictOf(change({ supportedVersions: [0x7f1c] })), 'unknown tls-version-unknown')
  })

  test('does not call SSH clear, and does not take its word for what else was sent', () => {
    const clear = (length: number): Write => ({ by: 'client', pieces: [{ kind: 'binary', length }] })
    const ssh = rowsOf([clear(30), clear(900)], whole).map((row) =>
      row.payload === 30 ? { ...row, beginning: 'ssh' as const } : row,
    )
    assert.equal(verdictOf(ssh), 'unknown ssh')
    assert.equal(verdictOf([...ssh, packet({ payload: 30, beginning: 'other', isText: true })]), 'clear text')
    const later = rowsOf([...handshake, clear(30)], whole).map((row) =>
      row.payload === 30 ? { ...row, beginning: 'ssh' as const } : row,
    )
    assert.equal(verdictOf(later), 'unknown leaves-tls')
  })

  test('does not take the request for another ClientHello for a ServerHello', () => {
    const retry = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c'
    const rows = rowsOf(handshake, whole).map((row) =>
      row.tls?.handshakes[0]?.type === 2 ? { ...row, tls: { ...row.tls, randoms: [retry] } } : row,
    )
    assert.equal(verdictOf(rows), 'unknown handshake-unfinished')
  })

  test('tells version, server name, protocols and identity as the hellos have them', () => {
    const identity = 'web.shop.serviceaccount.identity.linkerd.cluster.local'
    const named = (names: string[]) =>
      flowsOf(
        rowsOf(handshake, whole).map((row) =>
          row.tls?.handshakes[0]?.type === 1
            ? { ...row, tls: { ...row.tls, serverNames: names, protocols: ['transport.l5d.io/v1'] } }
            : row,
        ),
      )[0]?.tls
    assert.deepEqual(named([identity]), {
      version: 'TLS 1.3',
      serverName: identity,
      offered: ['transport.l5d.io/v1'],
      chosen: null,
      clientCertificate: 'not-visible',
      identity: { serviceAccount: 'web', namespace: 'shop', issuer: 'linkerd.cluster.local' },
    })
    assert.equal(named(['shop.example'])?.identity, null)
    assert.equal(named([identity, 'shop.example'])?.identity, null)
  })

  test('sees a client certificate before TLS 1.3 only, and none in a resumed session', () => {
    const certificates = (client: number | null, server: number | null) => {
      const rows = rowsOf(
        [...handshake, { by: 'server', pieces: [record()] }, { by: 'client', pieces: [record()] }],
        whole,
      )
      const old = rows.map((row, index): PacketRow => {
        if (row.tls === null) return row
        if (row.tls.handshakes[0]?.type === 2) return { ...row, tls: { ...row.tls, supportedVersions: [] } }
        const bytes = index === rows.length - 1 ? client : index === rows.length - 2 ? server : null
        return bytes === null
          ? row
          : {
              ...row,
              tls: tlsRow(row.tls.records, undefined, {
                handshakes: [{ type: 11, length: bytes }],
                certificates: [bytes],
              }),
            }
      })
      const [flow] = flowsOf(old)
      assert.equal(flow?.tls?.version, 'TLS 1.2')
      return flow.tls.clientCertificate
    }
    assert.equal(certificates(900, 900), 'seen')
    assert.equal(certificates(0, 900), 'not-seen')
    assert.equal(certificates(null, 900), 'not-seen')
    assert.equal(certificates(null, null), 'not-visible')
  })

  test('calls a connection without payload so only if none can have been missed', () => {
    const opened = rowsOf([], whole)
    assert.equal(verdictOf(opened), 'no-payload')
    assert.equal(verdictOf(opened.slice(0, 1)), 'no-payload')
    const acknowledged = packet({ tcp: { flags: 0x10, seq: 4_294_967_001, ack: 178 } })
    assert.equal(verdictOf([...opened, acknowledged]), 'unknown payload-not-captured')
    assert.equal(verdictOf([packet(), packet()]), 'unknown one-side-captured')
  })

  test('takes a connection between the same ports for another one once it is opened again', () => {
    const first = rowsOf(handshake, whole)
    const second = rowsOf([{ by: 'client', pieces: [{ kind: 'text', length: 100 }] }], whole).map((row) => ({
      ...row,
      tcp: row.tcp === null ? null : { ...row.tcp, seq: row.tcp.seq + 1000 },
    }))
    assert.deepEqual(
      flowsOf([...first, ...second]).map(({ verdict }) => verdict),
      ['tls', 'clear'],
    )
  })

  test('keeps apart what stays in a pod, also where the answers bear the address that was asked', () => {
    const ends = (source: string, from: number, destination: string, to: number) => ({
      source: { address: source, port: from },
      destination: { address: destination, port: to },
    })
    const flows = flowsOf([
      packet(ends('10.0.0.1', 40000, '127.0.0.1', 4140)),
      packet(ends('10.96.0.9', 8080, '10.0.0.1', 40000)),
      packet(ends('10.0.0.1', 40001, '10.0.0.1', 8080)),
      packet(ends('10.96.0.9', 8080, '10.0.0.1', 40002)),
      packet(ends('10.0.0.1', 40000, '10.0.0.3', 8080)),
      packet(ends('::1', 1, '::1', 2)),
    ])
    assert.deepEqual(
      flows.map(({ isLoopback }) => isLoopback),
      [true, true, true, false, false, true],
    )
  })

  test('lists UDP, clear where it is text and unknown where it is not', () => {
    const udp = (isText: boolean, payload = 30) => verdictOf([packet({ protocol: 'udp', tcp: null, payload, isText })])
    assert.deepEqual([udp(true), udp(false), udp(false, 0)], ['clear text', 'unknown udp', 'no-payload'])
  })

  test('counts packets for which there was no room', () => {
    const table = flowTable(2)
    for (let port = 1; port <= 5; port++) table.add(packet({ source: { address: '10.0.0.1', port } }))
    table.add(packet({ source: { address: '10.0.0.1', port: 1 } }))
    assert.equal(table.flows().length, 2)
    assert.equal(table.omitted(), 3)
  })

  test('reads recorded captures the same with half of their TLS records told in another session', () => {
    for (const name of captureNames()) {
      const rows = captureRows(name)
      const verdicts = (changed: readonly PacketRow[]) => flowsOf(changed).map(({ verdict }) => verdict)
      assert.deepEqual(
        verdicts(rows.map((row, index) => ({ ...row, session: index < rows.length / 2 ? 0 : 1 }))),
        verdicts(rows),
        name,
      )
    }
  })
})

import fc from 'fast-check'
import type { PacketRow, TlsRow } from '../../../lib/observed/packet-rows.ts'

/**
 * Conversations on a wire, and what tshark would say of a capture of them. It knows nothing of how flows are read: a record is told in the
 * packet in which it ends, if all of it was captured in order and it began where a packet or another record began.
 */

/** A stretch of what an end sends. */
export type Piece =
  | { readonly kind: 'record'; readonly length: number; readonly hello?: 'client' | 'server' }
  | { readonly kind: 'binary' | 'text'; readonly length: number }

export type Write = { readonly by: 'client' | 'server'; readonly pieces: readonly Piece[] }

export type Capture = {
  /** Whether the opening of the connection is in the capture. */
  readonly hasOpening: boolean
  /** Lengths of the packets, used again from the beginning when they are over. */
  readonly lengths: readonly number[]
  /** Packets with payload, by their number, that are not in the capture. */
  readonly lost: ReadonlySet<number>
  /** Packets that are cut after their first bytes. */
  readonly cut: ReadonlySet<number>
  /** Packets that are in it twice. */
  readonly twice: ReadonlySet<number>
  /** The packets before which tshark forgets all connections. */
  readonly forgotten?: ReadonlySet<number>
}

const CLIENT = { address: '10.0.0.1', port: 40000 }
const SERVER = { address: '10.0.0.2', port: 8080 }
const [SYN, ACK] = [0x02, 0x10]
const TEXT_BYTES = 24

const NO_HELLO = {
  handshakes: [],
  randoms: [],
  versions: [],
  supportedVersions: [],
  cipherSuites: [],
  serverNames: [],
  protocols: [],
  certificates: [],
  isAlert: false,
} satisfies Omit<TlsRow, 'records'>

const HELLO_BODY = 100

/** A packet, by default one of a client without payload. */
export function packet(changes: Partial<PacketRow> = {}): PacketRow {
  return {
    session: 0,
    protocol: 'tcp',
    time: 1,
    source: CLIENT,
    destination: SERVER,
    isWhole: true,
    payload: 0,
    beginning: 'none',
    isText: false,
    tcp: { flags: ACK, seq: 0, ack: 0 },
    tls: null,
    ...changes,
  }
}

/** The TLS part of a packet with records of some lengths, the first of them a hello where one is wanted. */
export function tlsRow(records: readonly number[], hello?: 'client' | 'server', changes: Partial<TlsRow> = {}): TlsRow {
  return {
    ...NO_HELLO,
    records,
    ...(hello === undefined
      ? {}
      : {
          handshakes: [{ type: hello === 'client' ? 1 : 2, length: HELLO_BODY }],
          randoms: ['ab'.repeat(32)],
          versions: [0x0303],
          supportedVersions: [0x0304],
          cipherSuites: [0x1301],
        }),
    ...changes,
  }
}

/** The rows of a capture of a conversation. */
export function rowsOf(writes: readonly Write[], capture: Capture): PacketRow[] {
  const rows: PacketRow[] = []
  const next = { client: 4_294_967_000, server: 77 }
  const send = (by: Write['by'], changes: Partial<PacketRow>, flags: number): void => {
    const isClient = by === 'client'
    rows.push(
      packet({
        time: rows.length,
        source: isClient ? CLIENT : SERVER,
        destination: isClient ? SERVER : CLIENT,
        ...changes,
        tcp: { flags, seq: next[by], ack: next[isClient ? 'server' : 'client'] },
      }),
    )
  }
  const advance = (by: Write['by'], bytes: number): void => {
    next[by] = (next[by] + bytes) >>> 0
  }
  send('client', {}, SYN)
  advance('client', 1)
  send('server', {}, SYN | ACK)
  advance('server', 1)
  send('client', {}, ACK)
  if (!capture.hasOpening) rows.length = 0

  let number = 0
  let session = 0
  const reading = { client: new RecordReader(), server: new RecordReader() }
  for (const { by, pieces } of writes) {
    const total = pieces.reduce((sum, { length }) => sum + length, 0)
    for (let from = 0; from < total;) {
      const length = Math.min(capture.lengths[number % capture.lengths.length] ?? total, total - from)
      if (capture.forgotten?.has(number) === true) {
        session++
        reading.client.forget()
        reading.server.forget()
      }
      const isLost = capture.lost.has(number)
      const isCut = capture.cut.has(number)
      const seen = reading[by].read(pieces, from, length, isLost || isCut)
      if (!isLost) {
        const row = { session, payload: length, isWhole: !isCut, ...seen }
        send(by, row, ACK)
        if (capture.twice.has(number)) send(by, row, ACK)
      }
      advance(by, length)
      from += length
      number++
    }
  }
  return rows
}

/** What a TLS dissector makes of the packets of one end. */
class RecordReader {
  #isContiguous = true

  forget(): void {
    this.#isContiguous = false
  }

  read(
    pieces: readonly Piece[],
    from: number,
    length: number,
    isBroken: boolean,
  ): Pick<PacketRow, 'beginning' | 'isText' | 'tls'> {
    const records: Piece[] = []
    let beginning: PacketRow['beginning'] = 'other'
    let isText = false
    let offset = 0
    for (const piece of pieces) {
      const end = offset + piece.length
      if (offset === from) {
        this.#isContiguous ||= !isBroken
        if (piece.kind === 'record') beginning = length >= 5 ? 'tls' : 'maybe'
      }
      if (offset <= from && from < end && piece.kind === 'text') isText = Math.min(end - from, length) >= TEXT_BYTES
      if (piece.kind === 'record' && end > from && end <= from + length && this.#isContiguous && !isBroken)
        records.push(piece)
      offset = end
    }
    if (isBroken) this.#isContiguous = false
    const hello = records.flatMap((piece) => (piece.kind === 'record' && piece.hello ? [piece.hello] : []))[0]
    return {
      beginning,
      isText,
      tls:
        records.length === 0
          ? null
          : tlsRow(
              records.map((piece) => piece.length),
              hello,
            ),
    }
  }
}

/** A conversation in TLS, with its handshake. */
export const tlsConversation: fc.Arbitrary<Write[]> = fc
  .array(
    fc.record({
      by: fc.constantFrom('client' as const, 'server' as const),
      pieces: fc.array(
        fc.integer({ min: 23, max: 16_401 }).map((length): Piece => ({ kind: 'record', length })),
        { minLength: 1, maxLength: 3 },
      ),
    }),
    { maxLength: 6 },
  )
  .map((writes): Write[] => [
    { by: 'client', pieces: [{ kind: 'record', length: 1509, hello: 'client' }] },
    {
      by: 'server',
      pieces: [
        { kind: 'record', length: 1215, hello: 'server' },
        { kind: 'record', length: 1261 },
      ],
    },
    ...writes,
  ])

/** What is not TLS. Long enough for a packet that says so. */
export const clearPiece: fc.Arbitrary<Piece> = fc.record({
  kind: fc.constantFrom('binary' as const, 'text' as const),
  length: fc.integer({ min: 6, max: 3000 }),
})

/** A conversation without any TLS, and not empty. */
export const clearConversation: fc.Arbitrary<Write[]> = fc.array(
  fc.record({
    by: fc.constantFrom('client' as const, 'server' as const),
    pieces: fc.array(clearPiece, { minLength: 1, maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 6 },
)

const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 20 }), { maxLength: 4 }).map((all) => new Set(all))
const none: fc.Arbitrary<ReadonlySet<number>> = fc.constant(new Set<number>())
const lengths = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 })

/** A capture that holds all of a connection, perhaps some packets twice. */
export const wholeCapture: fc.Arbitrary<Capture> = fc.record({
  hasOpening: fc.constant(true),
  lengths,
  lost: none,
  cut: none,
  twice: numbers,
})

/** A capture that may have begun late, and lacks packets and parts of packets. */
export const anyCapture: fc.Arbitrary<Capture> = fc.record({
  hasOpening: fc.boolean(),
  lengths,
  lost: numbers,
  cut: numbers,
  twice: numbers,
})

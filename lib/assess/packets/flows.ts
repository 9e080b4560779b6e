import { MAX_RECORD_LENGTH, type PacketEnd, type PacketRow, type TlsRow } from '../../observed/packet-rows.ts'
import type { Seconds } from '../../model/time.ts'

/** A connection, or a UDP exchange between two ports, in a capture. */
export type Flow = {
  readonly protocol: PacketRow['protocol']
  readonly client: PacketEnd
  readonly server: PacketEnd
  /** False: the capture does not show who opened it, so the direction is a guess from the ports. */
  readonly isDirectionSeen: boolean
  /** First and last packet. */
  readonly from: Seconds
  readonly to: Seconds
  readonly packets: number
  readonly sent: { readonly client: Sent; readonly server: Sent }
}

/** Data that one end sent. */
export type Sent = {
  readonly packets: number
  /** Payload bytes on the wire, without retransmissions. */
  readonly bytes: number
  /** The capture has every byte from the connection's first one. */
  readonly isWhole: boolean
  /** The other end acknowledged bytes that are not in the capture, or a packet between two others is missing. */
  readonly isMissing: boolean
  /** Some payload was text, outside TLS or in something that only looks like TLS. */
  readonly hasText: boolean
  /** The first payload of the connection cannot be TLS. */
  readonly beginsClear: boolean
  /** The first payload of the connection is an SSH greeting, which is followed by encryption. */
  readonly beginsSsh: boolean
  /** Something other than a TLS record followed whole TLS records. */
  readonly leavesTls: boolean
  /** Number of whole TLS records. */
  readonly records: number
  readonly clientHello: Hello | null
  readonly serverHello: Hello | null
  /** A hello is truncated, damaged or not the only one. */
  readonly hasBrokenHello: boolean
  readonly hasAlert: boolean
  /** Whether it sent a readable Certificate message (before TLS 1.3), with certificates or empty. */
  readonly certificate: 'sent' | 'empty' | null
  /** It sent more than packets that open and close a connection. */
  readonly hasSpoken: boolean
}

/** A whole ClientHello or ServerHello. */
export type Hello = Pick<TlsRow, 'versions' | 'supportedVersions' | 'cipherSuites' | 'serverNames' | 'protocols'>

/** Gathers packets into flows. Add them in the order of the capture. */
export type FlowTable = {
  readonly add: (row: PacketRow) => void
  /** The flows so far, in the order in which they began. */
  readonly flows: () => Flow[]
  /** Number of packets of flows that did not fit in the table. */
  readonly omitted: () => number
}

/** About 100 MB of memory. */
const MAX_FLOWS = 100_000

const [FIN, SYN, RST, ACK] = [0x01, 0x02, 0x04, 0x10]
const [CLIENT_HELLO, SERVER_HELLO, CERTIFICATE] = [1, 2, 11]

/** Random value of a HelloRetryRequest (RFC 8446, 4.1.3). */
const RETRY_RANDOM = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c'

/** The header of a TLS record, and of a handshake message. */
const [RECORD_HEADER, HANDSHAKE_HEADER] = [5, 4]

/** First ephemeral port on Linux. */
const FIRST_CLIENT_PORT = 32768

type Side = {
  -readonly [Member in keyof Omit<Sent, 'isWhole' | 'isMissing'>]: Sent[Member]
} & {
  /** Sequence number of its SYN; null if it was not seen. */
  syn: number | null
  /** Next expected sequence number; null before the first packet. */
  next: number | null
  /** The highest number that the other end acknowledged. */
  acknowledged: number | null
  /** The first captured payload was the first of the connection. */
  beginsWhole: boolean
  hasGap: boolean
  /** Bytes after the last whole TLS record; null if record boundaries are unknown. */
  pending: number | null
  /** The tshark session that saw its last packet. */
  session: number
}

type Entry = {
  readonly protocol: PacketRow['protocol']
  readonly ends: readonly [PacketEnd, PacketEnd]
  readonly sides: readonly [Side, Side]
  readonly from: Seconds
  to: Seconds
  /** Index of the end that opened it; null if the capture does not show it. */
  opener: 0 | 1 | null
}

/** Returns an empty table. Beyond `mostFlows`, packets of new flows are only counted, to limit memory. */
export function flowTable(mostFlows = MAX_FLOWS): FlowTable {
  const entries: Entry[] = []
  const current = new Map<string, Entry>()
  let omitted = 0

  const entryOf = (row: PacketRow, key: string, isReversed: boolean): Entry | undefined => {
    const known = current.get(key)
    if (known !== undefined && !isReopened(known, row, isReversed ? 1 : 0)) return known
    if (entries.length >= mostFlows) return undefined
    const ends = isReversed ? ([row.destination, row.source] as const) : ([row.source, row.destination] as const)
    const entry: Entry = {
      protocol: row.protocol,
      ends,
      sides: [newSide(), newSide()],
      from: row.time,
      to: row.time,
      opener: null,
    }
    entries.push(entry)
    current.set(key, entry)
    return entry
  }

  return {
    add(row) {
      const [source, destination] = [endText(row.source), endText(row.destination)]
      const isReversed = source > destination
      const key = `${row.protocol} ${isReversed ? `${destination} ${source}` : `${source} ${destination}`}`
      const entry = entryOf(row, key, isReversed)
      if (entry === undefined) {
        omitted++
        return
      }
      entry.to = row.time
      const index = isReversed ? 1 : 0
      const [side, other] = index === 0 ? entry.sides : ([entry.sides[1], entry.sides[0]] as const)
      side.packets++
      if (row.tcp === null) {
        entry.opener ??= index
        side.bytes += row.payload
        side.hasText ||= row.isText
        return
      }
      const { flags, seq, ack } = row.tcp
      if ((flags & SYN) !== 0) {
        entry.opener = (flags & ACK) === 0 ? index : index === 0 ? 1 : 0
        side.syn = seq
        side.next ??= add32(seq, 1)
      }
      if ((flags & (SYN | RST | FIN)) === 0) side.hasSpoken = true
      if ((flags & ACK) !== 0 && (other.acknowledged === null || distance(ack, other.acknowledged) > 0))
        other.acknowledged = ack
      receive(side, row, seq)
      if ((flags & FIN) !== 0 && side.next !== null && distance(add32(seq, row.payload), side.next) >= 0) {
        // The stream ends inside what should be a record.
        if (side.pending !== null && side.pending > 0) side.leavesTls = true
        side.next = add32(seq, row.payload + 1)
      }
    },
    flows: () => entries.map(flowOf),
    omitted: () => omitted,
  }
}

/** Whether a packet opens a new connection between ports that had one before. */
function isReopened(entry: Entry, { tcp }: PacketRow, index: 0 | 1): boolean {
  if (tcp === null || (tcp.flags & SYN) === 0) return false
  const side = entry.sides[index]
  // A retransmitted SYN has the same number, and a SYN-ACK belongs to the last SYN.
  if (side.syn !== null) return side.syn !== tcp.seq
  return side.packets > 0 && (tcp.flags & ACK) === 0
}

function newSide(): Side {
  return {
    packets: 0,
    bytes: 0,
    hasText: false,
    beginsClear: false,
    beginsSsh: false,
    leavesTls: false,
    records: 0,
    clientHello: null,
    serverHello: null,
    hasBrokenHello: false,
    hasAlert: false,
    certificate: null,
    hasSpoken: false,
    syn: null,
    next: null,
    acknowledged: null,
    beginsWhole: false,
    hasGap: false,
    pending: null,
    session: 0,
  }
}

/** Adds the payload of a packet, except retransmitted bytes. */
function receive(side: Side, row: PacketRow, seq: number): void {
  // Retransmitted bytes count once, but any text on the wire counts.
  side.hasText ||= row.isText
  const isFirst = side.bytes === 0
  if (side.next === null) side.next = seq
  const ahead = distance(seq, side.next)
  const fresh = ahead >= 0 ? row.payload : row.payload + ahead
  if (ahead > 0) side.hasGap = true
  if (fresh <= 0) return
  if (row.session !== side.session) side.pending = null
  side.session = row.session
  if (ahead !== 0) side.pending = null
  else if (isFirst && side.syn !== null && !side.hasGap) {
    side.beginsWhole = true
    side.pending = 0
  }
  side.next = add32(seq, row.payload)
  readTls(side, row)
  align(side, row, isFirst)
  side.bytes += fresh
}

function readTls(side: Side, { tls, isWhole }: PacketRow): void {
  if (tls === null) return
  side.records += tls.records.length
  side.hasAlert ||= tls.isAlert
  const hellos = tls.handshakes.filter(({ type }) => type === CLIENT_HELLO || type === SERVER_HELLO)
  const [hello] = hellos
  if (hello !== undefined) {
    const fits = tls.records.some((length) => length - RECORD_HEADER >= hello.length + HANDSHAKE_HEADER)
    if (!isWhole || !fits || hellos.length > 1 || tls.randoms.length !== 1 || tls.versions.length !== 1)
      side.hasBrokenHello = true
    else if (hello.type === CLIENT_HELLO) side.clientHello ??= helloOf(tls)
    else if (tls.randoms[0] !== RETRY_RANDOM) side.serverHello ??= helloOf(tls)
  }
  const certificates = tls.handshakes.filter(({ type }) => type === CERTIFICATE)
  if (certificates.length > 0 && side.certificate !== 'sent')
    side.certificate = tls.certificates.some((length) => length > 0) ? 'sent' : 'empty'
}

function helloOf({ versions, supportedVersions, cipherSuites, serverNames, protocols }: TlsRow): Hello {
  return { versions, supportedVersions, cipherSuites, serverNames, protocols }
}

/**
 * Tracks the boundaries of TLS records, to detect anything else between them. Record lengths add up even if captured packets are truncated. If a packet is
 * missing, tracking resumes at the next packet that contains only whole records.
 */
function align(side: Side, row: PacketRow, isFirst: boolean): void {
  const ended = (row.tls?.records ?? []).reduce((sum, length) => sum + length, 0)
  if (side.pending === null) {
    if (row.beginning === 'tls' && ended === row.payload) side.pending = 0
    return
  }
  if (side.pending === 0) {
    if (row.beginning === 'none') {
      side.pending = null
      return
    }
    if (row.beginning === 'other' || row.beginning === 'ssh') {
      if (!isFirst) side.leavesTls = true
      else if (row.beginning === 'ssh') side.beginsSsh = true
      else side.beginsClear = true
      side.pending = null
      return
    }
  }
  const pending = side.pending + row.payload - ended
  // For a truncated packet, tshark omits a record that began earlier and ends in it.
  side.pending = pending < 0 || (pending > 0 && !row.isWhole) ? null : pending
  if (side.pending === null || side.pending <= RECORD_HEADER + MAX_RECORD_LENGTH) return
  side.leavesTls = true
  side.pending = null
}

function flowOf({ protocol, ends, sides, from, to, opener }: Entry): Flow {
  const [a, b] = sides
  const asked = opener ?? (a.clientHello !== null ? 0 : b.clientHello !== null ? 1 : null)
  const isFirstClient = asked === null ? isLikelyClient(ends[0], ends[1]) : asked === 0
  const [client, server] = isFirstClient ? [a, b] : [b, a]
  return {
    protocol,
    client: isFirstClient ? ends[0] : ends[1],
    server: isFirstClient ? ends[1] : ends[0],
    isDirectionSeen: asked !== null,
    from,
    to,
    packets: a.packets + b.packets,
    sent: { client: sentOf(client, protocol), server: sentOf(server, protocol) },
  }
}

function sentOf(side: Side, protocol: PacketRow['protocol']): Sent {
  const { syn, next, acknowledged, beginsWhole, hasGap, pending, session, ...sent } = side
  const isMissing = hasGap || (acknowledged !== null && next !== null && distance(acknowledged, next) > 0)
  const isWhole = protocol === 'tcp' && syn !== null && !isMissing && (beginsWhole || sent.bytes === 0)
  return { ...sent, isWhole, isMissing }
}

/** Whether the first end is the likely client: only its port is ephemeral, or else its port is not the lower one. */
function isLikelyClient(first: PacketEnd, second: PacketEnd): boolean {
  const [a, b] = [first.port >= FIRST_CLIENT_PORT, second.port >= FIRST_CLIENT_PORT]
  return a === b ? first.port >= second.port : a
}

function endText({ address, port }: PacketEnd): string {
  return `${address} ${port}`
}

/** Distance from sequence number `b` to `a`, modulo 2^32. */
function distance(a: number, b: number): number {
  return (a - b) | 0
}

function add32(number: number, more: number): number {
  return (number + more) >>> 0
}

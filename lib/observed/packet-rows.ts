import type { Seconds } from '../model/time.ts'

/** One packet as tshark described it. Of its payload only the length, whether it starts like a TLS record, and whether it is text are kept. */
export type PacketRow = {
  /** Number of times that tshark had reset its connection state before this packet (lib/collect/packets/tshark.ts). */
  readonly session: number
  readonly protocol: 'tcp' | 'udp'
  readonly time: Seconds
  readonly source: PacketEnd
  readonly destination: PacketEnd
  /** All bytes of the packet are in the capture; false if it was truncated (`-s`) or tshark could not dissect it. */
  readonly isWhole: boolean
  /** Payload bytes on the wire, even if they were not captured. */
  readonly payload: number
  readonly beginning: Beginning
  /** The payload, or the content of its first TLS record, starts with {@link TEXT_BYTES} printable characters. */
  readonly isText: boolean
  /** Null for UDP. */
  readonly tcp: { readonly flags: number; readonly seq: number; readonly ack: number } | null
  /** Null if no TLS record ends in this packet. */
  readonly tls: TlsRow | null
}

/** One end of a packet. */
export type PacketEnd = { readonly address: string; readonly port: number }

/**
 * How a payload starts. `tls`: a whole TLS record header. `ssh`: an SSH greeting. `maybe`: too short to decide. `other`: no TLS record can start like this.
 * `none`: nothing was captured.
 */
type Beginning = 'tls' | 'ssh' | 'maybe' | 'other' | 'none'

/** Content of the TLS records that end in a packet, from tshark. */
export type TlsRow = {
  /** Bytes of each record on the wire, its header included. */
  readonly records: readonly number[]
  /** Type (1 ClientHello, 2 ServerHello, 11 Certificate, ...) and length of each unencrypted handshake message. */
  readonly handshakes: readonly { readonly type: number; readonly length: number }[]
  /** Random values of hellos, in hex; empty if there are none. */
  readonly randoms: readonly string[]
  /** The legacy version of each hello. */
  readonly versions: readonly number[]
  /** Versions in the supported_versions extension; in a ServerHello, the selected one. */
  readonly supportedVersions: readonly number[]
  readonly cipherSuites: readonly number[]
  /** Requested server names; at most {@link MAX_NAME_LENGTH} characters each. */
  readonly serverNames: readonly string[]
  /** Application protocols offered, or chosen by the server. */
  readonly protocols: readonly string[]
  /** Bytes of certificates in each Certificate message. */
  readonly certificates: readonly number[]
  readonly isAlert: boolean
}

/**
 * Number of printable characters that show text. Encrypted bytes have 99 printable values of 256, so this happens by chance once in 10^10. It is the length
 * of the HTTP/2 preface, the shortest greeting of a protocol that continues in binary.
 */
export const TEXT_BYTES = 24

/** The longest host name has 253 characters. */
const MAX_NAME_LENGTH = 255

/** More than any client offers. */
const MAX_NAMES = 16

/** The header of a TLS record: type, version, length. */
const HEADER_BYTES = 5

/** The longest TLS record without its header; tshark's own bound. */
export const MAX_RECORD_LENGTH = 16384 + 2048

/** Fields that tshark prints, in this order. The payload is last, since it may be long. */
export const PACKET_FIELDS = [
  'frame.number',
  'frame.time_epoch',
  'frame.len',
  'frame.cap_len',
  'frame.protocols',
  'ip.src',
  'ip.dst',
  'ipv6.src',
  'ipv6.dst',
  'tcp.srcport',
  'tcp.dstport',
  'tcp.flags',
  'tcp.seq_raw',
  'tcp.ack_raw',
  'tcp.len',
  'udp.srcport',
  'udp.dstport',
  'udp.length',
  'tls.record.length',
  'tls.handshake.type',
  'tls.handshake.length',
  'tls.handshake.random',
  'tls.handshake.version',
  'tls.handshake.extensions.supported_version',
  'tls.handshake.ciphersuite',
  'tls.handshake.extensions_server_name',
  'tls.handshake.extensions_alpn_str',
  'tls.handshake.certificates_length',
  'tls.alert_message',
  'tcp.payload',
  'udp.payload',
] as const
type PacketField = (typeof PACKET_FIELDS)[number]

const COLUMN = Object.fromEntries(PACKET_FIELDS.map((name, index) => [name, index])) as Record<PacketField, number>

/** Separates repeated values of a field; no name can contain it unescaped. */
export const AGGREGATOR = '\u001e'

const UDP_HEADER_BYTES = 8

/**
 * Parses one line of tshark (`-T fields`, {@link PACKET_FIELDS} separated by tabs) in one of its sessions. Undefined for a packet that is neither TCP nor
 * UDP, and for an incomplete line, such as the last one of a killed process.
 */
export function parsePacketRow(line: Buffer, session: number): PacketRow | undefined {
  const columns = columnsOf(line)
  if (columns === undefined) return undefined
  const field = (name: PacketField): string => columns[COLUMN[name]] ?? ''
  const all = (name: PacketField): string[] => {
    const text = field(name)
    return text === '' ? [] : text.split(AGGREGATOR)
  }
  // In a tunnel the innermost packet counts; it is the last one.
  const last = (name: PacketField): string => all(name).at(-1) ?? ''

  const layers = field('frame.protocols').split(':')
  const protocol = layers.findLast((layer) => layer === 'tcp' || layer === 'udp')
  if (protocol !== 'tcp' && protocol !== 'udp') return undefined
  const network = layers.findLast((layer) => layer === 'ip' || layer === 'ipv6')
  if (network !== 'ip' && network !== 'ipv6') return undefined
  const source = endOf(last(`${network}.src`), last(`${protocol}.srcport`))
  const destination = endOf(last(`${network}.dst`), last(`${protocol}.dstport`))
  const time = Number(field('frame.time_epoch'))
  const payload = protocol === 'tcp' ? numberOf(last('tcp.len')) : numberOf(last('udp.length')) - UDP_HEADER_BYTES
  if (source === undefined || destination === undefined || !Number.isFinite(time) || !(payload >= 0)) return undefined

  const bytes = Buffer.from(last(`${protocol}.payload`), 'hex')
  const tcp =
    protocol === 'udp'
      ? null
      : { flags: numberOf(last('tcp.flags')), seq: numberOf(last('tcp.seq_raw')), ack: numberOf(last('tcp.ack_raw')) }
  if (tcp !== null && Number.isNaN(tcp.flags + tcp.seq)) return undefined
  const beginning = beginningOf(bytes)
  return {
    session,
    protocol,
    time,
    source,
    destination,
    isWhole:
      field('frame.len') === field('frame.cap_len') && !layers.some((layer) => /^_ws\.(short|malformed)/.test(layer)),
    payload,
    beginning,
    isText: beginning !== 'ssh' && isText(beginning === 'tls' ? bytes.subarray(HEADER_BYTES) : bytes),
    tcp: tcp === null ? null : { ...tcp, ack: Number.isNaN(tcp.ack) ? 0 : tcp.ack },
    tls: protocol === 'tcp' ? tlsOf(all) : null,
  }
}

/** Returns the packet number of a line, which restarts with each tshark session. */
export function packetNumber(line: Buffer): number {
  return numberOf(line.toString('latin1', 0, Math.max(0, line.indexOf(TAB))))
}

const TAB = 0x09

/** Splits a line into columns. Only the start of the payload is decoded, because it may be 256 KB long. */
function columnsOf(line: Buffer): string[] | undefined {
  const columns: string[] = []
  let from = 0
  for (const name of PACKET_FIELDS) {
    const tab = line.indexOf(TAB, from)
    const isLast = columns.length === PACKET_FIELDS.length - 1
    if (isLast !== tab < 0) return undefined
    const column = line.subarray(from, isLast ? line.length : tab)
    columns.push((name.endsWith('.payload') ? beginningOfLast(column) : column).toString('utf8'))
    from = tab + 1
  }
  return columns
}

function beginningOfLast(payloads: Buffer): Buffer {
  const from = payloads.lastIndexOf(AGGREGATOR) + 1
  return payloads.subarray(from, from + 2 * (HEADER_BYTES + TEXT_BYTES))
}

function endOf(address: string, port: string): PacketEnd | undefined {
  const number = numberOf(port)
  return address === '' || Number.isNaN(number) ? undefined : { address, port: number }
}

/** Parses a number; NaN if it is not one. */
function numberOf(text: string): number {
  return /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : NaN
}

function tlsOf(all: (name: PacketField) => string[]): TlsRow | null {
  const numbers = (name: PacketField): number[] => all(name).map(numberOf)
  const records = numbers('tls.record.length')
  if (records.length === 0) return null
  const lengths = numbers('tls.handshake.length')
  const names = (name: PacketField): string[] =>
    all(name)
      .slice(0, MAX_NAMES)
      .map((text) => text.slice(0, MAX_NAME_LENGTH))
  return {
    records: records.map((length) => length + HEADER_BYTES),
    handshakes: numbers('tls.handshake.type').map((type, index) => ({ type, length: lengths[index] ?? NaN })),
    randoms: all('tls.handshake.random').map((text) => text.replaceAll(':', '').toLowerCase()),
    versions: numbers('tls.handshake.version'),
    supportedVersions: numbers('tls.handshake.extensions.supported_version'),
    cipherSuites: numbers('tls.handshake.ciphersuite'),
    serverNames: names('tls.handshake.extensions_server_name'),
    protocols: names('tls.handshake.extensions_alpn_str'),
    certificates: numbers('tls.handshake.certificates_length'),
    isAlert: all('tls.alert_message').length > 0,
  }
}

/** Start of an SSH greeting (RFC 4253, 4.2). */
const SSH = 'SSH-'

function beginningOf(bytes: Buffer): Beginning {
  const [type, major, minor, high, low] = bytes
  if (type === undefined) return 'none'
  if (bytes.toString('latin1', 0, SSH.length) === SSH) return 'ssh'
  // An SSL 2 hello, in which old clients offered TLS.
  if (type >= 0x80 && (bytes.length < 3 || minor === 1)) return 'maybe'
  if (type < 20 || type > 24 || (major !== undefined && major !== 3) || (minor !== undefined && minor > 4))
    return 'other'
  if (high === undefined || low === undefined) return 'maybe'
  return high * 256 + low <= MAX_RECORD_LENGTH ? 'tls' : 'other'
}

function isText(bytes: Buffer): boolean {
  if (bytes.length < TEXT_BYTES) return false
  return bytes
    .subarray(0, TEXT_BYTES)
    .every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d)
}

import { isIPv6 } from 'node:net'
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/**
 * Encodes and decodes Linkerd's tap API: each frame is a four-byte length and a protobuf message. Only the needed fields of
 * `linkerd2.tap.TapByResourceRequest` and `TapEvent` (viz/tap/proto/viz_tap.proto) are read; all others are skipped, including all request headers.
 */

/** One event of one HTTP request, as a proxy saw it. */
export type TapEvent = {
  /** Which proxy saw it: the server's (`in`) or the client's (`out`). */
  readonly proxy: 'in' | 'out' | 'unknown'
  readonly source: TapEnd
  readonly destination: TapEnd
  /** Labels of the route. */
  readonly route: TapLabels
  /** `null` for an unknown kind of event. */
  readonly http: TapRequest | TapResponse | TapEnding | null
}

/** Sorted by name. */
export type TapLabels = ReadonlyMap<string, string>

/** One end of a tapped request. */
export type TapEnd = {
  /** Empty if the proxy did not report it. */
  readonly address: string
  readonly port: number
  readonly labels: TapLabels
}

type TapStream = {
  /** `base:stream`, which identifies the request. */
  readonly id: string
}

/** A request began. */
export type TapRequest = TapStream & {
  readonly kind: 'request'
  readonly method: string
  readonly scheme: string
  /** Null if it was not requested. */
  readonly authority: string | null
  readonly path: string | null
}

/** The answer to a request began; times in microseconds. */
export type TapResponse = TapStream & {
  readonly kind: 'response'
  readonly status: number
  readonly sinceRequestMicros: number
}

/** A request ended; times in microseconds. A code is null if the proxy did not report it. */
export type TapEnding = TapStream & {
  readonly kind: 'end'
  readonly sinceRequestMicros: number
  readonly sinceResponseMicros: number
  readonly bytes: bigint
  readonly grpcStatus: number | null
  readonly resetError: number | null
}

/** Bytes that are not a valid tap answer. The message continues "Cannot ...: ". */
export class TapFormatError extends Error {
  override readonly name = 'TapFormatError'
}

/** The resource to tap. */
export type TapTarget = {
  /** A lower-case singular Kubernetes kind. */
  readonly kind: string
  /** Empty for a namespace. */
  readonly namespace: string
  readonly name: string
  /** Requests a second, over all pods. */
  readonly maxRps: number
}

/** Encodes a request for all events of the target's proxies, without headers. */
export function encodeTapRequest({ kind, namespace, name, maxRps }: TapTarget): Uint8Array {
  const writer = new BinaryWriter()
  writer.tag(1, WireType.LengthDelimited).fork() // target
  writer.tag(1, WireType.LengthDelimited).fork() // its resource
  if (namespace !== '') writer.tag(1, WireType.LengthDelimited).string(namespace)
  writer.tag(2, WireType.LengthDelimited).string(kind)
  writer.tag(3, WireType.LengthDelimited).string(name)
  writer.join().join()
  writer.tag(2, WireType.LengthDelimited).fork() // match
  writer.tag(1, WireType.LengthDelimited).fork().join() // all
  writer.join()
  writer.tag(3, WireType.Bit32).float(maxRps)
  return writer.finish()
}

/** No event is longer: servers refuse paths of 64 KB, and headers are not requested. */
const MAX_FRAME_LENGTH = 1024 * 1024

const LENGTH_BYTES = 4

const MAX_CHUNKS = 1000

/**
 * Yields the messages in a byte stream, whatever its chunks. Buffers at most one message.
 *
 * @throws TapFormatError if a message is longer than any event, or the stream ends inside one
 */
export async function* tapFrames(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = []
  let held = 0
  let wanted = LENGTH_BYTES
  for await (const chunk of bytes) {
    chunks.push(chunk)
    held += chunk.length
    if (held < wanted) {
      // One-byte chunks would take a hundred times the memory of their content.
      if (chunks.length > MAX_CHUNKS) chunks.splice(0, chunks.length, Buffer.concat(chunks, held))
      continue
    }
    let rest = Buffer.concat(chunks, held)
    for (;;) {
      wanted = rest.length < LENGTH_BYTES ? LENGTH_BYTES : LENGTH_BYTES + rest.readUInt32LE(0)
      if (wanted > LENGTH_BYTES + MAX_FRAME_LENGTH)
        throw new TapFormatError(
          `an event of ${wanted - LENGTH_BYTES} bytes is announced, wanted at most ${MAX_FRAME_LENGTH}`,
        )
      if (rest.length < wanted || rest.length < LENGTH_BYTES) break
      yield rest.subarray(LENGTH_BYTES, wanted)
      rest = rest.subarray(wanted)
    }
    chunks.length = 0
    if (rest.length > 0) chunks.push(rest)
    held = rest.length
  }
  if (held > 0) throw new TapFormatError('the answer ends within an event')
}

/** Options for reading events. */
export type TapReading = {
  /** Also read paths and authorities, which are skipped otherwise. */
  readonly withPaths: boolean
}

/**
 * Decodes one event. Unknown fields are skipped; a truncated message or invalid UTF-8 is refused.
 *
 * @throws TapFormatError
 */
export function decodeTapEvent(bytes: Uint8Array, { withPaths }: TapReading): TapEvent {
  let proxy: TapEvent['proxy'] = 'unknown'
  let source: Address = NOWHERE
  let destination: Address = NOWHERE
  let sourceLabels: TapLabels = new Map()
  let destinationLabels: TapLabels = new Map()
  let route: TapLabels = new Map()
  let http: TapEvent['http'] = null
  readMessage(bytes, {
    1: (field) => (source = readAddress(field.message())),
    2: (field) => (destination = readAddress(field.message())),
    3: (field) => (http = readHttp(field.message(), withPaths)),
    4: (field) => (destinationLabels = readLabels(field.message())),
    5: (field) => (sourceLabels = readLabels(field.message())),
    6: (field) => (proxy = DIRECTIONS[field.uint()] ?? 'unknown'),
    7: (field) => (route = readLabels(field.message())),
  })
  return {
    proxy,
    source: { ...source, labels: sourceLabels },
    destination: { ...destination, labels: destinationLabels },
    route,
    http,
  }
}

/** Returns the text of a tap API error (`ApiError`). Throws {@link TapFormatError} for any other bytes. */
export function decodeTapError(bytes: Uint8Array): string {
  let text = ''
  readMessage(bytes, { 1: (field) => (text = field.text()) })
  return text
}

const DIRECTIONS: readonly TapEvent['proxy'][] = ['unknown', 'in', 'out']

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'CONNECT', 'HEAD', 'TRACE']
const SCHEMES = ['HTTP', 'HTTPS']

/** Readers of a field's value. Each throws if the value has another type. */
type Field = {
  readonly message: () => Uint8Array
  readonly text: () => string
  readonly uint: () => number
  readonly ulong: () => bigint
  readonly fixed32: () => number
  readonly fixed64: () => bigint
}

type Address = { readonly address: string; readonly port: number }

const NOWHERE: Address = { address: '', port: 0 }

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Calls the reader of each present field, in message order; a later value of a field replaces an earlier one. */
function readMessage(bytes: Uint8Array, readers: Readonly<Record<number, (field: Field) => void>>): void {
  try {
    const reader = new BinaryReader(bytes, (text) => utf8.decode(text))
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag()
      const read = readers[number]
      if (read === undefined) {
        reader.skip(wireType, number)
        continue
      }
      const as = <T>(wanted: WireType, value: () => T): T => {
        if (wireType !== wanted) throw new TapFormatError(`field ${number} of an event has wire type ${wireType}`)
        return value()
      }
      read({
        message: () => as(WireType.LengthDelimited, () => reader.bytes()),
        text: () => as(WireType.LengthDelimited, () => reader.string()),
        uint: () => as(WireType.Varint, () => reader.uint32()),
        ulong: () => as(WireType.Varint, () => BigInt(reader.uint64())),
        fixed32: () => as(WireType.Bit32, () => reader.fixed32()),
        fixed64: () => as(WireType.Bit64, () => BigInt(reader.fixed64())),
      })
    }
  } catch (error) {
    if (error instanceof TapFormatError) throw error
    throw new TapFormatError('an event is cut or damaged', { cause: error })
  }
}

function readAddress(bytes: Uint8Array): Address {
  let address = ''
  let port = 0
  readMessage(bytes, {
    1: (field) => (address = readIp(field.message())),
    2: (field) => (port = field.uint()),
  })
  return { address, port }
}

function readIp(bytes: Uint8Array): string {
  let address = ''
  readMessage(bytes, {
    1: (field) => (address = ipv4Text(field.fixed32())),
    2: (field) => {
      let [first, last] = [0n, 0n]
      readMessage(field.message(), {
        1: (part) => (first = part.fixed64()),
        2: (part) => (last = part.fixed64()),
      })
      address = ipv6Text((first << 64n) | last)
    },
  })
  return address
}

function ipv4Text(bits: number): string {
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.')
}

/** Formats an IPv6 address as in RFC 5952, which URLs use. */
function ipv6Text(bits: bigint): string {
  const digits = bits.toString(16).padStart(32, '0')
  const long = (digits.match(/.{4}/g) ?? []).join(':')
  const short = new URL(`http://[${long}]/`).hostname.slice(1, -1)
  return isIPv6(short) ? short : long
}

function readLabels(bytes: Uint8Array): TapLabels {
  const labels: [string, string][] = []
  readMessage(bytes, {
    1: (field) => {
      let [name, value] = ['', '']
      readMessage(field.message(), {
        1: (part) => (name = part.text()),
        2: (part) => (value = part.text()),
      })
      labels.push([name, value])
    },
  })
  return new Map(labels.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function readHttp(bytes: Uint8Array, withPaths: boolean): TapEvent['http'] {
  let http: TapEvent['http'] = null
  readMessage(bytes, {
    1: (field) => (http = readRequest(field.message(), withPaths)),
    2: (field) => (http = readResponse(field.message())),
    3: (field) => (http = readEnding(field.message())),
  })
  return http
}

function readRequest(bytes: Uint8Array, withPaths: boolean): TapRequest {
  let id = NO_STREAM
  let method = ''
  let scheme = ''
  let authority = ''
  let path = ''
  readMessage(bytes, {
    1: (field) => (id = readStream(field.message())),
    2: (field) => (method = readRegistered(field.message(), METHODS)),
    3: (field) => (scheme = readRegistered(field.message(), SCHEMES)),
    ...(withPaths
      ? { 4: (field: Field) => (authority = field.text()), 5: (field: Field) => (path = field.text()) }
      : {}),
  })
  return {
    kind: 'request',
    id,
    method,
    scheme,
    authority: withPaths ? authority : null,
    path: withPaths ? path : null,
  }
}

function readResponse(bytes: Uint8Array): TapResponse {
  let id = NO_STREAM
  let status = 0
  let sinceRequestMicros = 0
  readMessage(bytes, {
    1: (field) => (id = readStream(field.message())),
    2: (field) => (sinceRequestMicros = readMicros(field.message())),
    3: (field) => (status = field.uint()),
  })
  return { kind: 'response', id, status, sinceRequestMicros }
}

function readEnding(bytes: Uint8Array): TapEnding {
  let id = NO_STREAM
  let sinceRequestMicros = 0
  let sinceResponseMicros = 0
  let sent = 0n
  let grpcStatus: number | null = null
  let resetError: number | null = null
  readMessage(bytes, {
    1: (field) => (id = readStream(field.message())),
    2: (field) => (sinceRequestMicros = readMicros(field.message())),
    3: (field) => (sinceResponseMicros = readMicros(field.message())),
    4: (field) => (sent = field.ulong()),
    5: (field) => {
      readMessage(field.message(), {
        1: (part) => (grpcStatus = part.uint()),
        2: (part) => (resetError = part.uint()),
      })
    },
  })
  return { kind: 'end', id, sinceRequestMicros, sinceResponseMicros, bytes: sent, grpcStatus, resetError }
}

const NO_STREAM = '0:0'

function readStream(bytes: Uint8Array): string {
  let base = 0
  let stream = 0n
  readMessage(bytes, {
    1: (field) => (base = field.uint()),
    2: (field) => (stream = field.ulong()),
  })
  return `${base}:${stream}`
}

/** Reads a registered word, given as its number or as text. */
function readRegistered(bytes: Uint8Array, known: readonly string[]): string {
  let word = ''
  readMessage(bytes, {
    1: (field) => {
      const number = field.uint()
      word = known[number] ?? String(number)
    },
    2: (field) => (word = field.text()),
  })
  return word
}

/** Reads a `google.protobuf.Duration` in whole microseconds. */
function readMicros(bytes: Uint8Array): number {
  let seconds = 0n
  let nanos = 0
  readMessage(bytes, {
    1: (field) => (seconds = BigInt.asIntN(64, field.ulong())),
    2: (field) => (nanos = field.uint()),
  })
  return Number(seconds * 1_000_000n) + Math.trunc((nanos | 0) / 1000)
}

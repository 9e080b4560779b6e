import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { readTap } from '../../lib/assess/window/tap-reading.ts'
import {
  TapFormatError,
  type TapEvent,
  decodeTapError,
  decodeTapEvent,
  encodeTapRequest,
  tapFrames,
} from '../../lib/observed/tap-events.ts'
import { type Decoded, frameOf, framesOf, tapRecordings } from '../support/truth/tap-recordings.ts'
import { errorText, matchesText } from '../support/texts/matches-text.ts'

const recordings = tapRecordings()
const frames = recordings.flatMap(({ bytes }) => framesOf(bytes))

async function* chunksOf(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let from = 0, index = 0; from < bytes.length; index++) {
    const to = from + (sizes[index % sizes.length] ?? bytes.length)
    yield bytes.subarray(from, to)
    from = to
  }
}

/** The frames that came, and the error that ended them. */
async function collect(bytes: AsyncIterable<Uint8Array>): Promise<{ got: string[]; error: unknown }> {
  const got: string[] = []
  try {
    for await (const frame of tapFrames(bytes)) got.push(Buffer.from(frame).toString('hex'))
    return { got, error: null }
  } catch (error) {
    return { got, error }
  }
}

const micros = (duration: string): number => Math.trunc(Number(duration.slice(0, -1)) * 1e6)
const idOf = ({ id }: { id: { base?: number; stream?: string } }): string => `${id.base ?? 0}:${id.stream ?? 0}`

/** What Linkerd's own decoder says, in our words. */
function expected({ source, sourceMeta, destination, destinationMeta, proxyDirection, http }: Decoded): TapEvent {
  const end = ({ ip, port }: Decoded['source'], { labels = {} }: Decoded['sourceMeta']): TapEvent['source'] => ({
    address: [24, 16, 8, 0].map((shift) => (ip.ipv4 >>> shift) & 255).join('.'),
    port,
    labels: new Map(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  })
  const { requestInit, responseInit, responseEnd } = http
  return {
    proxy: proxyDirection === 'INBOUND' ? 'in' : 'out',
    source: end(source, sourceMeta),
    destination: end(destination, destinationMeta),
    route: new Map(),
    http:
      requestInit !== undefined
        ? {
            kind: 'request',
            id: idOf(requestInit),
            method: requestInit.method.registered,
            scheme: 'HTTP',
            authority: requestInit.authority,
            path: requestInit.path,
          }
        : responseInit !== undefined
          ? {
              kind: 'response',
              id: idOf(responseInit),
              status: responseInit.httpStatus,
              sinceRequestMicros: micros(responseInit.sinceRequestInit),
            }
          : responseEnd === undefined
            ? null
            : {
                kind: 'end',
                id: idOf(responseEnd),
                sinceRequestMicros: micros(responseEnd.sinceRequestInit),
                sinceResponseMicros: micros(responseEnd.sinceResponseInit),
                bytes: 0n,
                grpcStatus: null,
                resetError: null,
              },
  }
}

describe('tapFrames()', () => {
  test('gives the same frames whatever the chunks', async () => {
    const [{ bytes } = { bytes: Buffer.alloc(0) }] = recordings
    const whole = framesOf(bytes).map((frame) => frame.toString('hex'))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 10 }), async (sizes) => {
        assert.deepEqual(await collect(chunksOf(bytes, sizes)), { got: whole, error: null })
      }),
      { numRuns: 60 },
    )
  })

  test('gives the whole frames of an answer that is cut anywhere, and then says that it is cut', async () => {
    const bytes = recordings[0]?.bytes.subarray(0, 3000) ?? Buffer.alloc(0)
    for (let length = 0; length <= bytes.length; length++) {
      const cut = bytes.subarray(0, length)
      const { got, error } = await collect(chunksOf(cut, [700]))
      const sum = got.reduce((total, frame) => total + 4 + frame.length / 2, 0)
      assert.ok(
        bytes
          .toString('hex')
          .startsWith(got.map((frame) => frameOf(Buffer.from(frame, 'hex')).toString('hex')).join('')),
      )
      if (sum === length) assert.equal(error, null)
      else assert.match(String(error), /^TapFormatError: the answer ends within an event$/)
    }
  })

  test('refuses an event that is announced to be longer than any, before it comes', async () => {
    const announced = Buffer.from('ffffffff', 'hex')
    const endless = (async function* () {
      yield frameOf(Buffer.from('ok'))
      yield announced
      for (;;) yield Buffer.alloc(65536)
    })()
    const { got, error } = await collect(endless)
    assert.deepEqual(got, [Buffer.from('ok').toString('hex')])
    matchesText(String(error))
  })
})

describe('decodeTapEvent()', () => {
  test('reads recorded events as Linkerd’s own decoder does', () => {
    for (const { bytes, decoded } of recordings) {
      const events = framesOf(bytes).map((frame) => decodeTapEvent(frame, { withPaths: true }))
      assert.deepEqual(events, decoded.map(expected))
    }
  })

  test('leaves authorities and paths out unless they are asked for', () => {
    for (const frame of frames) {
      const { http } = decodeTapEvent(frame, { withPaths: false })
      if (http?.kind === 'request') assert.deepEqual([http.authority, http.path], [null, null])
    }
  })

  test('skips fields that it does not know, headers among them', () => {
    const [frame] = frames
    assert.ok(frame)
    const event = decodeTapEvent(frame, { withPaths: true })
    assert.equal(event.http?.kind, 'request')
    const headers = new BinaryWriter()
    headers.tag(3, WireType.LengthDelimited).fork() // http
    headers.tag(1, WireType.LengthDelimited).fork() // request
    headers.tag(6, WireType.LengthDelimited).bytes(Buffer.from('authorization: Bearer SECRET'))
    headers.tag(5, WireType.LengthDelimited).string('/path').join().join()
    headers.tag(99, WireType.Varint).uint32(7)
    headers.tag(100, WireType.StartGroup).tag(1, WireType.Bit64).fixed64(1n).tag(100, WireType.EndGroup)
    const read = decodeTapEvent(headers.finish(), { withPaths: true })
    assert.equal(read.http?.kind === 'request' && read.http.path, '/path')
    const text = JSON.stringify(read, (_, value: unknown) => (value instanceof Map ? [...value] : value))
    assert.ok(!text.includes('SECRET'))
  })

  test('reads addresses of both kinds, long times and words that are not registered', () => {
    const writer = new BinaryWriter()
    writer.tag(1, WireType.LengthDelimited).fork() // source
    writer.tag(1, WireType.LengthDelimited).fork() // its address
    writer.tag(2, WireType.LengthDelimited).fork() // IPv6
    writer.tag(1, WireType.Bit64).fixed64('0xfd00000000000000').tag(2, WireType.Bit64).fixed64(1n)
    writer.join().join().tag(2, WireType.Varint).uint32(65535).join()
    writer.tag(6, WireType.Varint).uint32(1)
    writer.tag(3, WireType.LengthDelimited).fork().tag(3, WireType.LengthDelimited).fork()
    writer.tag(1, WireType.LengthDelimited).fork().tag(2, WireType.Varint).uint64('18446744073709551615').join()
    writer
      .tag(3, WireType.LengthDelimited)
      .fork()
      .tag(1, WireType.Varint)
      .int64(3)
      .tag(2, WireType.Varint)
      .int32(999)
      .join()
    writer.tag(4, WireType.Varint).uint64('9007199254740993')
    writer.tag(5, WireType.LengthDelimited).fork().tag(1, WireType.Varint).uint32(7).join()
    writer.join().join()
    const { source, http } = decodeTapEvent(writer.finish(), { withPaths: false })
    assert.deepEqual([source.address, source.port], ['fd00::1', 65535])
    assert.deepEqual(http, {
      kind: 'end',
      id: '0:18446744073709551615',
      sinceRequestMicros: 0,
      sinceResponseMicros: 3_000_000,
      bytes: 9_007_199_254_740_993n,
      grpcStatus: 7,
      resetError: null,
    })
  })

  test('refuses an event that is cut, has a field of another type, or text that is no UTF-8', () => {
    for (const frame of frames.slice(0, 6))
      for (let length = 1; length < frame.length; length++) {
        try {
          decodeTapEvent(frame.subarray(0, length), { withPaths: true })
        } catch (error) {
          assert.ok(error instanceof TapFormatError, String(error))
        }
      }
    assert.throws(() => decodeTapEvent(Buffer.from('08', 'hex'), { withPaths: true }), TapFormatError)
    assert.throws(() => decodeTapEvent(Buffer.from('0801', 'hex'), { withPaths: true }), errorText())
    assert.throws(() => decodeTapError(Buffer.from('0a02c328', 'hex')), TapFormatError)
  })

  test('survives 100,000 damaged events, and reads none of the clear ones as encrypted', () => {
    const clear = frames.filter((frame) => readTap(decodeTapEvent(frame, { withPaths: false })).state === 'plaintext')
    assert.ok(clear.length > 10)
    const change = fc.tuple(fc.nat(), fc.nat({ max: 255 }), fc.constantFrom('set', 'insert', 'remove'))
    const damaged = fc
      .tuple(fc.constantFrom(...clear), fc.array(change, { minLength: 1, maxLength: 8 }))
      .map(([frame, changes]) => {
        const bytes = [...frame]
        for (const [at, value, how] of changes) {
          const index = at % Math.max(1, bytes.length)
          if (how === 'set') bytes[index] = value
          else bytes.splice(index, how === 'remove' ? 1 : 0, ...(how === 'insert' ? [value] : []))
        }
        return Uint8Array.from(bytes)
      })
    let read = 0
    const check = (bytes: Uint8Array): void => {
      try {
        const event = decodeTapEvent(bytes, { withPaths: true })
        read++
        assert.ok(!['mtls', 'tls-anonymous', 'app-tls'].includes(readTap(event).state))
      } catch (error) {
        if (!(error instanceof TapFormatError)) throw error
      }
    }
    // `npm run test:fuzz` has as many cases as the record asks for.
    const cases = process.env['FUZZ_BYTES'] === undefined ? 20_000 : 100_000
    fc.assert(fc.property(damaged, check), { numRuns: 0.7 * cases })
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), check), { numRuns: 0.3 * cases })
    assert.ok(read > 1000, `only ${read} could be read`)
  })
})

test('encodeTapRequest() asks what linkerd viz tap asks, but for headers', () => {
  for (const { request, namespace, workload } of recordings) {
    const body = encodeTapRequest({ kind: 'deployment', namespace, name: workload, maxRps: 100 })
    // The recorded one goes on with an empty "extract".
    assert.equal(Buffer.from(body).toString('hex'), request.toString('hex').replace(/2200$/, ''))
  }
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }),
      fc.integer({ min: 1 }),
      (namespace, name, maxRps) => {
        const body = encodeTapRequest({
          kind: 'pod',
          namespace: namespace.toWellFormed(),
          name: name.toWellFormed(),
          maxRps,
        })
        assert.ok(!Buffer.from(body).toString('latin1').endsWith('"\0'))
      },
    ),
  )
})

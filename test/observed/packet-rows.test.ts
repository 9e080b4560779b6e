import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AGGREGATOR, PACKET_FIELDS, TEXT_BYTES, packetNumber, parsePacketRow } from '../../lib/observed/packet-rows.ts'
import { CaptureError, packetRows } from '../../lib/collect/packets/tshark.ts'
import { matchesText } from '../support/texts/matches-text.ts'

type Fields = Partial<Record<(typeof PACKET_FIELDS)[number], string>>

const tcp: Fields = {
  'frame.number': '7',
  'frame.time_epoch': '1795522134.301342000',
  'frame.len': '120',
  'frame.cap_len': '120',
  'frame.protocols': 'eth:ethertype:ip:tcp',
  'ip.src': '10.0.0.1',
  'ip.dst': '10.0.0.2',
  'tcp.srcport': '40000',
  'tcp.dstport': '8080',
  'tcp.flags': '0x0018',
  'tcp.seq_raw': '4294967295',
  'tcp.ack_raw': '9',
  'tcp.len': '66',
}

function lineOf(fields: Fields): string {
  return PACKET_FIELDS.map((name) => fields[name] ?? '').join('\t')
}

const parse = (fields: Fields) => parsePacketRow(Buffer.from(lineOf({ ...tcp, ...fields })), 3)

const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex')

/** The rows of packetRows(), and the error that ended them. */
async function collect(chunks: readonly Uint8Array[]) {
  const rows = []
  const bytes = (async function* () {
    yield* chunks
  })()
  for await (const row of packetRows(bytes, '"x.pcap"')) rows.push(row)
  return rows
}

test('parsePacketRow() reads a TCP packet', () => {
  assert.deepEqual(parse({}), {
    session: 3,
    protocol: 'tcp',
    time: 1795522134.301342,
    source: { address: '10.0.0.1', port: 40000 },
    destination: { address: '10.0.0.2', port: 8080 },
    isWhole: true,
    payload: 66,
    beginning: 'none',
    isText: false,
    tcp: { flags: 0x18, seq: 4294967295, ack: 9 },
    tls: null,
  })
  assert.equal(parse({ 'frame.cap_len': '119' })?.isWhole, false)
  assert.equal(parse({ 'frame.protocols': 'eth:ethertype:ip:tcp:tls:_ws.malformed' })?.isWhole, false)
})

test('parsePacketRow() reads a UDP packet, and one of IPv6', () => {
  const row = parse({
    'frame.protocols': 'eth:ethertype:ipv6:udp:data',
    'ip.src': '',
    'ip.dst': '',
    'ipv6.src': 'fd00::1',
    'ipv6.dst': 'fd00::2',
    'udp.srcport': '5353',
    'udp.dstport': '53',
    'udp.length': '38',
  })
  assert.deepEqual(
    [row?.protocol, row?.source, row?.payload, row?.tcp],
    ['udp', { address: 'fd00::1', port: 5353 }, 30, null],
  )
})

test('parsePacketRow() takes the innermost packet of a tunnel', () => {
  const both = (outer: string, inner: string): string => `${outer}${AGGREGATOR}${inner}`
  const row = parse({
    'frame.protocols': 'eth:ethertype:ip:udp:vxlan:eth:ethertype:ip:udp:data',
    'ip.src': both('192.0.2.1', '10.0.0.1'),
    'ip.dst': both('192.0.2.2', '10.0.0.2'),
    'udp.srcport': both('50000', '5300'),
    'udp.dstport': both('4789', '5301'),
    'udp.length': both('108', '58'),
    'udp.payload': both('00'.repeat(100), hex('x'.repeat(50))),
  })
  assert.deepEqual(
    [row?.source, row?.destination, row?.payload, row?.isText],
    [{ address: '10.0.0.1', port: 5300 }, { address: '10.0.0.2', port: 5301 }, 50, true],
  )
})

test('parsePacketRow() keeps of hellos what names them', () => {
  const row = parse({
    'frame.protocols': 'eth:ethertype:ip:tcp:tls',
    'tls.record.length': ['1210', '1', '1256'].join(AGGREGATOR),
    'tls.handshake.type': '2',
    'tls.handshake.length': '1206',
    'tls.handshake.random': 'AB:CD',
    'tls.handshake.version': '0x0303',
    'tls.handshake.extensions.supported_version': '0x0304',
    'tls.handshake.ciphersuite': '0x1301',
    'tls.handshake.extensions_server_name': 'n'.repeat(70_000),
    'tls.handshake.extensions_alpn_str': Array.from({ length: 500 }, () => 'h2').join(AGGREGATOR),
    'tls.alert_message': 'Alert Message',
  })
  assert.deepEqual(row?.tls, {
    records: [1215, 6, 1261],
    handshakes: [{ type: 2, length: 1206 }],
    randoms: ['abcd'],
    versions: [0x0303],
    supportedVersions: [0x0304],
    cipherSuites: [0x1301],
    serverNames: ['n'.repeat(255)],
    protocols: Array.from({ length: 16 }, () => 'h2'),
    certificates: [],
    isAlert: true,
  })
})

test('parsePacketRow() tells how a payload begins', () => {
  const beginning = (payload: string) => parse({ 'tcp.payload': payload })?.beginning
  assert.equal(beginning(''), 'none')
  assert.equal(beginning('1603010200'), 'tls')
  assert.equal(beginning('1703034800'), 'tls')
  assert.equal(beginning(hex('SSH-2.0-OpenSSH_9.2p1 Debian-2')), 'ssh')
  for (const short of ['16', '1603', '160301', '16030102', '80', '802e01'])
    assert.equal(beginning(short), 'maybe', short)
  for (const other of ['00', '13030100', '1903', '1602', '160305', '1603034801', '802e02'])
    assert.equal(beginning(other), 'other', other)
})

test('parsePacketRow() calls text what no encryption makes, also inside what looks like a TLS record', () => {
  const isText = (payload: string) => parse({ 'tcp.payload': payload })?.isText
  assert.equal(isText(hex('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')), true)
  assert.equal(isText(hex('GET /a/long/path HTTP/1.1\r\nhost: shop\r\n')), true)
  assert.equal(isText(hex('SSH-2.0-OpenSSH_9.2p1 Debian-2')), false)
  assert.equal(isText(hex('x'.repeat(TEXT_BYTES - 1))), false)
  assert.equal(isText(hex(`${'x'.repeat(TEXT_BYTES - 1)}\u0000`)), false)
  assert.equal(isText(`1703030040${hex('x'.repeat(TEXT_BYTES))}`), true)
})

test('parsePacketRow() keeps nothing of a payload', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 200 }), (payload) => {
      const digits = Buffer.from(payload).toString('hex')
      const text = JSON.stringify(parse({ 'tcp.payload': digits }))
      for (let from = 0; from + 16 <= digits.length; from += 2) assert.ok(!text.includes(digits.slice(from, from + 16)))
      assert.ok(!text.includes(Buffer.from(payload).toString('latin1')))
    }),
  )
})

test('parsePacketRow() gives undefined for what is neither TCP nor UDP, and for any other line', () => {
  assert.equal(parse({ 'frame.protocols': 'eth:ethertype:arp' }), undefined)
  assert.equal(parse({ 'frame.protocols': 'eth:tcp' }), undefined)
  assert.equal(parse({ 'ip.src': '' }), undefined)
  for (const name of ['frame.time_epoch', 'tcp.srcport', 'tcp.flags', 'tcp.seq_raw', 'tcp.len'] as const)
    assert.equal(parse({ [name]: 'x' }), undefined, name)
  const line = lineOf(tcp)
  for (let length = 0; length < line.length - 20; length++)
    assert.equal(parsePacketRow(Buffer.from(line.slice(0, length)), 0), undefined)
  assert.equal(parsePacketRow(Buffer.from(`${line}\t`), 0), undefined)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(parsePacketRow(Buffer.from(bytes), 0), undefined)
      packetNumber(Buffer.from(bytes))
    }),
  )
})

test('packetRows() reads the same whatever the chunks, and counts sessions', async () => {
  const numbers = [1, 2, 5, 1, 3, 2]
  const text = Buffer.from(numbers.map((number) => `${lineOf({ ...tcp, 'frame.number': String(number) })}\n`).join(''))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), async (sizes) => {
      const chunks: Buffer[] = []
      for (let from = 0, index = 0; from < text.length; index++) {
        const to = from + (sizes[index % sizes.length] ?? 1)
        chunks.push(text.subarray(from, to))
        from = to
      }
      assert.deepEqual(
        (await collect(chunks)).map(({ session }) => session),
        [0, 0, 0, 1, 1, 2],
      )
    }),
  )
})

test('packetRows() ends where a packet has a time that can be none, so that it does not read as absent', async () => {
  for (const time of ['1000000000000.5', '1e308', '-1'])
    await assert.rejects(collect([Buffer.from(`${lineOf({ ...tcp, 'frame.time_epoch': time })}\n`)]), {
      name: 'CaptureError',
      message: /^Cannot read all of "x\.pcap": a packet has a time that is in no year from 1970 to 9999; what is shown/,
    })
})

test('packetRows() refuses a line that never ends', async () => {
  const chunk = Buffer.alloc(300_000, 'a')
  await assert.rejects(collect([chunk, chunk, chunk, chunk]), (error: unknown) => {
    assert.ok(error instanceof CaptureError)
    matchesText(error.message)
    return true
  })
})

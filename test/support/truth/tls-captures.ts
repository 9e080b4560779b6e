import { once } from 'node:events'
import { createServer, connect as connectTcp } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer as createTlsServer, connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TlsOptions } from 'node:tls'

/** What one end of a connection sent, in the order in which it came by. */
export type Sent = { readonly by: 'client' | 'server'; readonly bytes: Buffer }

/** A payload that nothing may tell. */
export const MARKER = 'MARKER-of-a-payload-that-must-not-be-told'

/** Lets a real TLS client speak to a real TLS server through a relay, and gives what they sent. */
export async function recordTls(server: TlsOptions, client: ConnectionOptions): Promise<Sent[]> {
  const sent: Sent[] = []
  const back = createTlsServer(server, (socket) => socket.on('error', () => undefined).pipe(socket))
  back.on('tlsClientError', () => undefined)
  const backPort = await listen(back)
  const relay = createServer((socket) => {
    const onward = connectTcp(backPort, '127.0.0.1')
    pass(socket, onward, (bytes) => sent.push({ by: 'client', bytes }))
    pass(onward, socket, (bytes) => sent.push({ by: 'server', bytes }))
  })
  const socket = connectTls({ port: await listen(relay), host: '127.0.0.1', rejectUnauthorized: false, ...client })
  try {
    await once(socket, 'secureConnect')
    socket.write(MARKER)
    await once(socket, 'data')
  } catch {
    // A handshake that was refused is a recording, too.
  } finally {
    socket.destroy()
    back.close()
    relay.close()
  }
  return sent
}

function pass(from: Socket, to: Socket, keep: (bytes: Buffer) => void): void {
  from.on('data', (bytes) => {
    keep(bytes)
    to.write(bytes)
  })
  from.on('error', () => to.destroy())
  from.on('close', () => to.end())
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

export type PcapConnection = {
  readonly sent: readonly Sent[]
  readonly clientPort: number
  readonly serverPort: number
  /** Without it, the capture begins after the connection was opened. */
  readonly hasOpening?: boolean
  /** Longest payload of a packet. */
  readonly segment?: number
}

const [SYN, ACK] = [0x02, 0x10]

/** A pcap file (IP without a link layer) of TCP connections, one after the other. */
export function pcapOf(connections: readonly PcapConnection[]): Buffer {
  const header = Buffer.alloc(24)
  for (const [offset, value] of [
    [0, 0xa1b2c3d4],
    [16, 65535],
    [20, 101],
  ] as const)
    header.writeUInt32LE(value, offset)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  const packets: Buffer[] = []
  for (const { sent, clientPort, serverPort, hasOpening = true, segment = 1400 } of connections) {
    const next = { client: 4_294_967_290, server: 1_000 }
    const send = (by: Sent['by'], flags: number, payload: Buffer, advance = payload.length): void => {
      const [from, to] = by === 'client' ? [clientPort, serverPort] : [serverPort, clientPort]
      const [seq, ack] = by === 'client' ? [next.client, next.server] : [next.server, next.client]
      const [source, destination] = by === 'client' ? ['10.0.0.1', '10.0.0.2'] : ['10.0.0.2', '10.0.0.1']
      packets.push(ipPacket(source ?? '', destination ?? '', tcpSegment(from, to, seq, ack, flags, payload)))
      next[by] = (next[by] + advance) >>> 0
    }
    const opening = packets.length
    send('client', SYN, Buffer.alloc(0), 1)
    send('server', SYN | ACK, Buffer.alloc(0), 1)
    send('client', ACK, Buffer.alloc(0))
    if (!hasOpening) packets.length = opening
    for (const { by, bytes } of sent)
      for (let from = 0; from < bytes.length; from += segment) send(by, ACK, bytes.subarray(from, from + segment))
  }
  return Buffer.concat([
    header,
    ...packets.flatMap((packet, index) => {
      const record = Buffer.alloc(16)
      record.writeUInt32LE(1_795_522_134 + Math.floor(index / 1000), 0)
      record.writeUInt32LE((index % 1000) * 1000, 4)
      record.writeUInt32LE(packet.length, 8)
      record.writeUInt32LE(packet.length, 12)
      return [record, packet]
    }),
  ])
}

function tcpSegment(from: number, to: number, seq: number, ack: number, flags: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt16BE(from, 0)
  header.writeUInt16BE(to, 2)
  header.writeUInt32BE(seq, 4)
  header.writeUInt32BE(ack, 8)
  header.writeUInt8(5 << 4, 12)
  header.writeUInt8(flags, 13)
  header.writeUInt16BE(0xffff, 14)
  return Buffer.concat([header, payload])
}

function ipPacket(source: string, destination: string, payload: Buffer): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt8(0x45, 0)
  header.writeUInt16BE(20 + payload.length, 2)
  header.writeUInt8(64, 8)
  header.writeUInt8(6, 9)
  for (const [address, offset] of [
    [source, 12],
    [destination, 16],
  ] as const)
    for (const [index, part] of address.split('.').entries()) header.writeUInt8(Number(part), offset + index)
  return Buffer.concat([header, payload])
}

import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

/** When a connection is cut, counted in bytes to the client, and how: by a reset, by a plain end, or by silence. */
export type Cut = { readonly after: number; readonly how: 'reset' | 'end' | 'silence' }

export type CuttingProxy = {
  readonly port: number
  /** Connections that clients opened, and those that they still hold. */
  readonly opened: () => number
  readonly held: () => number
  /** Bytes that went to clients, all in all. */
  readonly carried: () => number
  readonly close: () => Promise<void>
}

/**
 * Starts a TCP server on loopback in front of another one, which cuts connections at any point that is asked for: in the middle of a TLS
 * handshake, of an upgrade, of a frame.
 *
 * @param cutOf is asked for each connection, by its number from 0; undefined: it is carried to its end
 */
export async function startCuttingProxy(
  port: number,
  cutOf: (connection: number) => Cut | undefined,
): Promise<CuttingProxy> {
  let opened = 0
  let carried = 0
  const clients = new Set<Socket>()
  const server = createServer({ noDelay: true }, (client) => {
    clients.add(client)
    const cut = cutOf(opened++)
    const inside = connect({ host: '127.0.0.1', port, noDelay: true })
    let sent = 0
    const end = (): void => {
      inside.destroy()
      if (cut?.how === 'reset') client.resetAndDestroy()
      else if (cut?.how === 'end') client.end()
    }
    inside.on('data', (bytes: Buffer) => {
      const left = cut === undefined ? bytes.length : Math.max(0, cut.after - sent)
      sent += bytes.length
      carried += Math.min(left, bytes.length)
      client.write(bytes.subarray(0, left))
      if (left < bytes.length || (cut !== undefined && sent >= cut.after)) end()
    })
    client.on('data', (bytes) => inside.write(bytes))
    inside.on('end', () => {
      if (cut?.how !== 'silence') client.end()
    })
    client.on('close', () => {
      clients.delete(client)
      inside.destroy()
    })
    inside.on('error', () => client.destroy())
    client.on('error', () => inside.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    opened: () => opened,
    held: () => clients.size,
    carried: () => carried,
    close: async () => {
      for (const client of clients) client.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

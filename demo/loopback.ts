import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** Opens a server on a free port of the loopback interface. `close` cuts its connections and returns when it is closed. */
export async function listenOnLoopback(
  server: Server,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  // Of an HTTP server's own accounts, a connection that was upgraded is none.
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

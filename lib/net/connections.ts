import { Socket } from 'node:net'
import type { Pool, buildConnector } from 'undici'

/** Requests to one server at the same time; lib/collect/kubernetes/list-objects.ts lists with the same number. */
export const CONNECTIONS = 4

/** How to connect to a server: options of Node's `tls.connect` or `net.connect`, or a function that returns an open stream. */
export type Connector = buildConnector.BuildOptions | buildConnector.connector

/** The connections to the servers of one cluster. */
export type Connections = {
  /** A pool of at most {@link CONNECTIONS} connections to an origin: otherwise each request would begin with a new TLS handshake. */
  readonly newPool: (origin: string, connector: Connector) => Promise<Pool>
  /** Aborted by `close`, for everything else that is being opened. */
  readonly closing: AbortSignal
  /** Closes all of them at once, including those still being opened. */
  readonly close: () => Promise<void>
}

/** Makes pools that close together. */
export function openConnections(): Connections {
  const pools: Pool[] = []
  const closing = new AbortController()
  return {
    newPool: async (origin, connector) => {
      const { Pool, buildConnector } = await import('undici') // a tenth of a second that commands on stored data need not spend
      const connect =
        typeof connector === 'function'
          ? connector
          : endedBy(buildConnector({ ...connector, allowH2: false }), closing.signal)
      const pool = new Pool(origin, { connections: CONNECTIONS, connect })
      pools.push(pool)
      return pool
    },
    closing: closing.signal,
    close: async () => {
      closing.abort()
      await Promise.all(pools.map((pool) => pool.destroy()))
    },
  }
}

/** undici forgets a connection that hangs in its handshake; its socket would keep the process alive until its timeout. */
function endedBy(connector: buildConnector.connector, closing: AbortSignal): buildConnector.connector {
  return (options, callback) => {
    let socket: unknown
    const end = (): void => {
      if (socket instanceof Socket) socket.destroy(new Error('The cluster was closed'))
    }
    socket = connector(options, (...came) => {
      closing.removeEventListener('abort', end)
      callback(...came)
    })
    closing.addEventListener('abort', end)
  }
}

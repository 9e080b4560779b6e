import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { callbackify } from 'node:util'
import type { Pool } from 'undici'
import type { KubernetesApi } from './cluster.ts'
import type { Connections } from './connections.ts'
import { UnreachableError } from './http.ts'
import type { Connection, Limits } from './http.ts'
import type { ApiServerWay } from './port-forward.ts'
import type { ReadyPod } from './ready-pod.ts'

export type ForwardDeps = {
  readonly api: Pick<KubernetesApi, 'get'>
  readonly apiServer: () => Promise<ApiServerWay>
  readonly newPool: Connections['newPool']
  readonly limits: Limits
  /** Ends port-forwards that are being opened. */
  readonly closing: AbortSignal
}

/** Connects to a pod, and tells to which pods it did: each change of them one more, in words that name them. */
export type ForwardedPod = { readonly connect: () => Promise<Connection>; readonly servers: () => readonly string[] }

/** A port-forward that does not open in this part of the deadline leaves time to try another one. */
const OPENING_PART = 1 / 2

/**
 * The way by port-forward through the API server, to the pod that `find` gives. The pod is kept as long as connections to it open and hold;
 * after a failure it is looked for again, since it may have been replaced.
 */
export function podByForward(
  find: () => Promise<ReadyPod & { readonly prefix?: string }>,
  { apiServer, newPool, limits, closing }: Omit<ForwardDeps, 'api'>,
): ForwardedPod {
  let found: ReturnType<typeof find> | undefined
  const pools = new Map<string, Promise<Pool>>()
  const servers: string[] = []

  const lookAgain = (): void => {
    found = undefined
  }
  const open = async (pod: ReadyPod): Promise<Duplex> => {
    // Its library is loaded only where it is used: most commands ask no cluster.
    const { openForward } = await import('./port-forward.ts')
    const options = { timeoutMs: limits.deadlineMs * OPENING_PART, signal: closing }
    const way = await apiServer()
    try {
      return await openForward(way, pod, options)
    } catch (error) {
      const isRenewed = error instanceof UnreachableError && error.kind === 'unauthorized' && (await way.renewed?.())
      if (isRenewed !== true) throw error
      return openForward(await apiServer(), pod, options)
    }
  }
  const poolOf = (pod: ReadyPod): Promise<Pool> => {
    const known = pools.get(pod.uid)
    if (known !== undefined) return known
    const made = newPool(originOf(pod), (_, callback) => {
      callbackify(open)(pod, (error, stream) => {
        if (error !== null) {
          lookAgain()
          return callback(error, null)
        }
        stream.once('error', (broke) => {
          if (broke instanceof UnreachableError) lookAgain()
        })
        callback(null, stream as unknown as Socket) // undici asks no more of it than a stream has
      })
    })
    pools.set(pod.uid, made)
    return made
  }

  return {
    servers: () => [...servers],
    connect: async (): Promise<Connection> => {
      found ??= find()
      const looked = found
      try {
        const pod = await looked
        const server = `pod "${pod.namespace}/${pod.pod}" (${pod.uid})`
        if (servers.at(-1) !== server) servers.push(server)
        return {
          dispatcher: await poolOf(pod),
          base: new URL(`${originOf(pod)}${pod.prefix ?? ''}`),
          headers: { host: `localhost:${pod.port}` }, // as of any client of a port-forward
          secrets: [],
        }
      } catch (error) {
        if (found === looked) found = undefined
        throw error
      }
    },
  }
}

function originOf({ namespace, pod, port }: ReadyPod): string {
  return `http://${pod}.${namespace}:${port}`
}

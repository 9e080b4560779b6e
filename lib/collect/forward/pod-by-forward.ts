import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { callbackify } from 'node:util'
import type { Pool } from 'undici'
import type { Connections } from '../../net/connections.ts'
import { forwardTo } from './forward-to.ts'
import type { ForwardToDeps } from './forward-to.ts'
import type { ReadyPod } from '../kubernetes/ready-pod.ts'
import type { KubernetesApi } from '../cluster/apis.ts'
import { UnreachableError } from '../../net/errors.ts'
import type { Connection } from '../../net/http-attempt.ts'

/** What finding and reaching a pod needs. */
export type ForwardDeps = ForwardToDeps & {
  readonly api: Pick<KubernetesApi, 'get'>
  readonly newPool: Connections['newPool']
}

/** Connects to a pod. `servers` describes the pods connected to so far, one more after each change. */
export type ForwardedPod = { readonly connect: () => Promise<Connection>; readonly servers: () => readonly string[] }

/**
 * Connects by port-forward through the API server to the pod that `find` returns. Keeps the pod while connections to it work; after a failure it is looked for
 * again, since it may have been replaced.
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
  const open = (pod: ReadyPod): Promise<Duplex> => forwardTo(pod, { apiServer, limits, closing })
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
        callback(null, stream as unknown as Socket) // undici needs no more of it than a stream has
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
          headers: { host: `localhost:${pod.port}` }, // as every client of a port-forward sends
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

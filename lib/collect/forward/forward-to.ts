import type { Duplex } from 'node:stream'
import type { ApiServerConnection } from '../cluster/api-websocket.ts'
import type { PodPort } from './port-forward.ts'
import type { Limits } from '../../net/http-attempt.ts'

/** The API server of a port-forward, and its abort signal. */
export type ForwardToDeps = {
  readonly apiServer: () => Promise<ApiServerConnection>
  readonly limits: Limits
  /** Aborts port-forwards that are being opened. */
  readonly closing: AbortSignal
}

/** If a port-forward does not open in this fraction of the deadline, there is time to try another one. */
const OPENING_PART = 1 / 2

/** Opens a port-forward; retries once with renewed credentials after a refusal. Throws UnreachableError, SetupError. */
export async function forwardTo(pod: PodPort, { apiServer, limits, closing }: ForwardToDeps): Promise<Duplex> {
  // Its library is loaded on demand: most commands contact no cluster.
  const [{ openRenewed }, { openForward }] = await Promise.all([
    import('../cluster/api-websocket.ts'),
    import('./port-forward.ts'),
  ])
  const options = { timeoutMs: limits.deadlineMs * OPENING_PART, signal: closing }
  return openRenewed(apiServer, (way) => openForward(way, pod, options))
}

import type { Duplex } from 'node:stream'
import type { ApiServerConnection } from '../cluster/api-websocket.ts'
import type { PodPort } from './port-forward.ts'
import type { Limits } from '../../net/http-attempt.ts'

/** The API server that a port-forward goes through, and what ends it. */
export type ForwardToDeps = {
  readonly apiServer: () => Promise<ApiServerConnection>
  readonly limits: Limits
  /** Ends port-forwards that are being opened. */
  readonly closing: AbortSignal
}

/** A port-forward that does not open in this part of the deadline leaves time to try another one. */
const OPENING_PART = 1 / 2

/** Opens a port-forward; retries once with renewed credentials after a refusal. Throws UnreachableError, SetupError. */
export async function forwardTo(pod: PodPort, { apiServer, limits, closing }: ForwardToDeps): Promise<Duplex> {
  // Its library is loaded only where it is used: most commands ask no cluster.
  const [{ openRenewed }, { openForward }] = await Promise.all([
    import('../cluster/api-websocket.ts'),
    import('./port-forward.ts'),
  ])
  const options = { timeoutMs: limits.deadlineMs * OPENING_PART, signal: closing }
  return openRenewed(apiServer, (way) => openForward(way, pod, options))
}

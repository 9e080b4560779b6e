import type { Hints } from '../../net/errors.ts'
import type { Server } from '../../net/http-attempt.ts'

/** A transport to Prometheus. */
export type PrometheusTransport = Server & {
  /** The remedy for each kind of failure. */
  readonly hints: Hints
  /** The servers queried so far, one more after each change, in words that name them; empty if the transport cannot tell them apart. */
  readonly servers: () => readonly string[]
}

/** Remedies for failures that are the same for each transport. */
export const COMMON_HINTS: Hints = {
  timeout: 'is it reachable from here, and not overloaded?',
  'rate-limited': 'it is busy, collect again later',
  server: 'it is broken or overloaded, collect again later',
}

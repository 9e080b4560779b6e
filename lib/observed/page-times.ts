import type { Seconds } from '../model/time.ts'

/**
 * Maximum delay of a page after its window's end, because the page also counts what happened in between. It equals the maximum delay of a list that counts as
 * before a window, so that the pages of one attempt start the next window.
 */
export const PAGE_SLACK_SECONDS: Seconds = 2 * 60

/** Idle time after which Linkerd drops a series without an open connection (measured; linkerd2-proxy, DEFAULT_METRICS_RETAIN_IDLE). */
export const RETAIN_IDLE_SECONDS: Seconds = 10 * 60

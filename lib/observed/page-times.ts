import type { Seconds } from '../model/time.ts'

/**
 * A page tells of its window only if it was read at most so long after the window's end: what happened in between is told by it, too. As long as
 * a list may be taken after a window's start and still be one before it, so that the pages of one attempt begin the next window.
 */
export const PAGE_SLACK_SECONDS: Seconds = 2 * 60

/** After so long without use and without an open connection, Linkerd drops a series (measured; linkerd2-proxy, DEFAULT_METRICS_RETAIN_IDLE). */
export const RETAIN_IDLE_SECONDS: Seconds = 10 * 60

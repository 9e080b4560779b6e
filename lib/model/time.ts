/** Windows and times. Times are RFC 3339 text in UTC in stored data (`2026-11-24T12:30:00Z`), and seconds since the epoch (`Seconds`) in calculations,
 * since Prometheus counts in seconds. */

/** Seconds since the epoch, with a fraction where the source has one. */
export type Seconds = number

/** The window sizes that tile a UTC day, in minutes. */
export const WINDOW_MINUTES = [5, 15, 30, 60] as const

/** How long a window may be, in minutes. */
export type WindowMinutes = (typeof WINDOW_MINUTES)[number]

/** A window `(start, end]` in UTC: a sample at `start` belongs to the window before. */
export type Window = { readonly start: string; readonly end: string }

/** A window size and since when it is in force: a change takes effect at the next UTC midnight. */
export type WindowSetting = { readonly since: string; readonly minutes: WindowMinutes }

/** The share of observed pod time that every output shows: for a period, the one before, and the trend. */
import type { TimelineMonth } from '../../model/history.ts'
import { lengthOf } from '../../time/windows.ts'

type Windows = TimelineMonth['windows']

/** How much pod time was observed, in pod seconds. */
export type ObservedTime = {
  /** A window that was not collected adds the average expected time of the others, and no observed time. */
  readonly expectedSeconds: number
  readonly observedSeconds: number
  /** Collected windows whose expected time is unknown, or in which no meshed pod lived. */
  readonly unmeasured: number
  /** Null if unknown. */
  readonly share: number | null
}

/** Adds up the windows of one cluster. */
export function observedTime(windows: Windows): ObservedTime {
  const collected = windows.filter((window) => window.collected)
  const measured = collected.filter(({ expectedSeconds }) => expectedSeconds > 0)
  const expected = measured.reduce((sum, window) => sum + window.expectedSeconds, 0)
  const observedSeconds = measured.reduce((sum, window) => sum + window.observedSeconds, 0)
  const length = measured.reduce((sum, window) => sum + lengthOf(window), 0)
  const usual = length === 0 ? 0 : expected / length
  const lost = windows
    .filter((window) => !window.collected)
    .reduce((sum, window) => sum + (window.expectedSeconds || lengthOf(window) * usual), 0)
  const expectedSeconds = expected + lost
  return {
    expectedSeconds,
    observedSeconds,
    unmeasured: collected.length - measured.length,
    share: expectedSeconds === 0 ? null : observedSeconds / expectedSeconds,
  }
}

/** Returns the share over the clusters whose own share is known; null if there are none. */
export function shareOfAll(clusters: readonly ObservedTime[]): number | null {
  const measured = clusters.filter(({ share }) => share !== null)
  const expected = measured.reduce((sum, { expectedSeconds }) => sum + expectedSeconds, 0)
  const observed = measured.reduce((sum, { observedSeconds }) => sum + observedSeconds, 0)
  return expected === 0 ? null : observed / expected
}

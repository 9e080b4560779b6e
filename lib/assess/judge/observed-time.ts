/** The one share of observed pod time that every surface shows: of a period, of the one before, of the trend. */
import type { TimelineMonth } from '../../model/history.ts'
import { lengthOf } from '../../time/windows.ts'

type Windows = TimelineMonth['windows']

/** How much of the pods' time was seen, in pod seconds. */
export type ObservedTime = {
  /** A window that was not collected counts as expected like the average of the others, and as not observed. */
  readonly expectedSeconds: number
  readonly observedSeconds: number
  /** Collected, but how much should have been seen is not known, or no meshed pod lived. */
  readonly unmeasured: number
  /** Null where nothing can be said: stronger than a good number elsewhere. */
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

/** The share over several clusters: of those whose own is known; null where that is none. */
export function shareOfAll(clusters: readonly ObservedTime[]): number | null {
  const measured = clusters.filter(({ share }) => share !== null)
  const expected = measured.reduce((sum, { expectedSeconds }) => sum + expectedSeconds, 0)
  const observed = measured.reduce((sum, { observedSeconds }) => sum + observedSeconds, 0)
  return expected === 0 ? null : observed / expected
}

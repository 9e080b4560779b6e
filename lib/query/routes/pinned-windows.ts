/** Which window of each cluster a list is made of, as a cursor keeps it: later pages are of the same windows, whatever is collected meanwhile. */
import { isInYears, toSeconds, toTime } from '../../time/windows.ts'
import { shortDigest } from '../page.ts'

/** The clusters, and for each how many seconds before the end of what was looked at its window begins; nothing for one without a window. */
const PINS = /^[0-9a-f]{16}(\.[0-9a-z]{0,6})+$/

/**
 * The windows of clusters as text.
 *
 * @param until RFC 3339: no window begins later
 */
export function encodePins(
  windows: readonly { readonly id: string; readonly start: string | null }[],
  until: string,
): string {
  const behind = windows.map(({ start }) => (start === null ? '' : (toSeconds(until) - toSeconds(start)).toString(36)))
  return [shortDigest(windows.map(({ id }) => id)), ...behind].join('.')
}

/** When the window of each cluster begins, RFC 3339, null for one without; undefined for a text that {@link encodePins} did not make of these clusters. */
export function pinnedStarts(
  text: string,
  ids: readonly string[],
  until: string,
): readonly (string | null)[] | undefined {
  const [digest, ...behind] = text.split('.')
  if (!PINS.test(text) || digest !== shortDigest(ids) || behind.length !== ids.length) return undefined
  const starts = behind.map((part) => (part === '' ? null : toTime(toSeconds(until) - Number.parseInt(part, 36))))
  return starts.every((start) => start === null || isInYears(start)) ? starts : undefined
}

/** How a mail becomes small enough for every program that shows mail. Pure. */

/** Gmail cuts a page of more than 102 KB, and with its end the way to unsubscribe (facts of mail programs, measured by many senders). */
const SHOWN_BYTES = 80_000

/** Longer links are none that we make. */
const LONGEST_LINK = 'https://'.padEnd(2000, 'x')

/**
 * The first view whose page has less than `maxBytes`, by default what every program shows; the last if none has.
 *
 * @param steps how many entries a list may show, the most first
 * @param htmlOf the page of a view, with one link in place of each of the recipient's own
 */
export function fittingView<T>(
  [most, ...fewer]: readonly [number, ...number[]],
  viewOf: (most: number) => T,
  htmlOf: (view: T, link: string) => string,
  maxBytes: number = SHOWN_BYTES,
): T {
  const view = viewOf(most)
  const [next, ...rest] = fewer
  if (next === undefined || Buffer.byteLength(htmlOf(view, LONGEST_LINK)) < maxBytes) return view
  return fittingView([next, ...rest], viewOf, htmlOf, maxBytes)
}

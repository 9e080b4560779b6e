/** Sums of a report. A ratio without a whole is null, never a number. */

/** Adds up a number of each item. */
export function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0)
}

/** A part of a whole, 0 to 1; null where there is no whole. */
export function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null
}

/** The first of each key, in order. */
export function distinct<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.toReversed().map((item) => [keyOf(item), item])).values()].toReversed()
}

/** The middle of numbers, the lower one of two; null for none. */
export function median(numbers: readonly number[]): number | null {
  return numbers.toSorted((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)] ?? null
}

/** Whether a time (RFC 3339) is before another. */
export const isBefore = (a: string, b: string): boolean => Date.parse(a) < Date.parse(b)

/** Orders text by code units: the same order on every machine, whatever its locale. Negative, zero or positive, as `sort` wants it. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

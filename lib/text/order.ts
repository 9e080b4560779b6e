/** Orders text by code units: the same on every machine, whatever its locale. Negative, zero or positive, as for `sort`. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** How many items, from the first on, hold: of items of which none holds after one that does not, such as times in order. */
export function partitionPoint<T extends number | object>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    const item = items[middle]
    if (item !== undefined && holds(item)) low = middle + 1
    else high = middle
  }
  return low
}

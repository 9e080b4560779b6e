/** Folds lines that repeat: whoever can store objects could otherwise make a log, a terminal or a mail unreadable. */

/** Most kinds of lines: an attempt of a cluster that refuses everything has some 60. */
const MAX_KINDS = 100

/** So many of a kind are shown each. */
const SHOWN = 3

/** Items of one kind. */
export type FoldedItems<T> = {
  /** The first few, in their order. */
  readonly shown: readonly T[]
  readonly last: T
  readonly count: number
}

/**
 * Groups items by the kind of their line: its text without numbers, and without parts of quoted keys that have a time or number in them. The cluster in a key
 * stays, so lines of two clusters are of two kinds. Kinds are in the order of their first items; `rest` counts items of all kinds after the first `most`.
 */
export function foldItems<T>(
  items: Iterable<T>,
  lineOf: (item: T) => string,
  most: number,
): { readonly folds: readonly FoldedItems<T>[]; readonly rest: number } {
  const folds = new Map<string, { shown: T[]; last: T; count: number }>()
  let rest = 0
  for (const item of items) {
    const kind = kindOf(lineOf(item))
    const fold = folds.get(kind)
    if (fold !== undefined) {
      fold.count++
      fold.last = item
      if (fold.count <= SHOWN) fold.shown.push(item)
    } else if (folds.size < most) folds.set(kind, { shown: [item], last: item, count: 1 })
    else rest++
  }
  return { folds: [...folds.values()], rest }
}

/** The same as lines: of each kind the first ones, then how many more there are and the last one. Lines that are few, or differ, are unchanged. */
export function foldLines(lines: Iterable<string>, most = MAX_KINDS): string[] {
  const { folds, rest } = foldItems(lines, (line) => line, most)
  return [
    ...folds.flatMap((fold) => [...fold.shown, ...moreLines(fold, (line) => line)]),
    ...(rest === 0 ? [] : [`and ${rest} more lines`]),
  ]
}

/** The line for the items of a kind that are not shown; none if all are. */
export function moreLines<T>({ shown, last, count }: FoldedItems<T>, lineOf: (item: T) => string): string[] {
  const more = count - shown.length
  if (more === 0) return []
  return [more === 1 ? lineOf(last) : `and ${more} more of this kind, the last: ${lineOf(last)}`]
}

function kindOf(line: string): string {
  const isNumber = (segment: string): boolean => /\d{4}/.test(segment)
  const keyKind = (key: string): string =>
    key
      .split('/')
      .map((segment) => (isNumber(segment) ? '#' : segment))
      .join('/')
  return line
    .split('"')
    .map((part, at) => (at % 2 === 1 ? keyKind(part) : part.replaceAll(/\d+/g, '0')))
    .join('"')
}

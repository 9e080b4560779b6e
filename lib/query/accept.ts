/**
 * The form that fits an `Accept` header best (RFC 9110, section 12.5.1): the one with the highest quality, the earlier one of equals; the first where
 * nothing is said, undefined where none is acceptable.
 *
 * @param types what there is, preferred first: `application/json`
 */
export function acceptedType(header: string | null, types: readonly string[]): string | undefined {
  if (header === null || header.trim() === '') return types[0]
  const ranges = header.split(',').map(rangeOf)
  const best = types
    .map((type) => ({ type, quality: qualityOf(type, ranges) }))
    .filter(({ quality }) => quality > 0)
    .toSorted((a, b) => b.quality - a.quality)
  return best[0]?.type
}

type Range = { readonly type: string; readonly quality: number }

function rangeOf(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
  if (quality === undefined) return { type, quality: 1 }
  // What is no quality wants nothing.
  return { type, quality: /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(quality) ? Number(quality) : 0 }
}

/** The most specific range decides. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  const [kind = ''] = type.split('/')
  for (const wanted of [type, `${kind}/*`, '*/*']) {
    const range = ranges.find((one) => one.type === wanted)
    if (range !== undefined) return range.quality
  }
  return 0
}

/** The legend of strips and bars: how each mark looks, and what it is called. */
import type { PathSummary } from '../summary/path-summary.ts'
import { LOOKS, MARKS } from './state-looks.ts'
import type { Mark } from './state-looks.ts'
import { swatch } from './strip-drawing.ts'
import type { StripView } from './strip-drawing.ts'

/** How a mark looks in a strip or a bar, and its shape and words. */
export type LegendView = { readonly swatch: StripView; readonly word: string }

/** How each mark is called in words. */
export const MARK_WORDS: Readonly<Record<Mark, string>> = {
  plaintext: 'plaintext',
  unknown: 'unknown',
  'no-mesh-tls': 'no mesh TLS',
  mtls: 'mutual TLS',
  'tls-anonymous': 'TLS without client identity',
  'app-tls': 'application’s TLS',
  exempt: 'exempt',
  'not-observed': 'no traffic seen',
  'not-collected': 'not collected',
  refused: 'refused by policy',
}

/** The marks in the strips of some paths, worst first. */
export function legendOf(paths: readonly Pick<PathSummary, 'windows'>[]): readonly LegendView[] {
  const seen = new Set(paths.flatMap(({ windows }) => MARKS.filter((mark) => windows[mark] > 0)))
  return MARKS.filter((mark) => seen.has(mark)).map((mark) => ({
    swatch: swatch(mark),
    word: `${LOOKS[mark].shape} ${MARK_WORDS[mark]}`,
  }))
}

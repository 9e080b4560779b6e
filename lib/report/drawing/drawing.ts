/** A drawing that the page and the PDF make alike: what stands where, in units of its width. */
import type { Mark } from './state-looks.ts'

type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }

/** A curve of cubic pieces: where it begins, and two control points and an end for each piece. */
export type Curve = {
  readonly start: readonly [number, number]
  readonly pieces: readonly (readonly [number, number, number, number, number, number])[]
}

/** What is drawn together; later layers lie on earlier ones. */
type Layer = {
  readonly boxes: readonly (Box & { readonly paint: Paint })[]
  /** `d` is the curve as SVG writes it. */
  readonly lines: readonly (Curve & { readonly d: string; readonly paint: Paint })[]
  /** Filled: the heads of arrows. */
  readonly heads: readonly {
    readonly points: readonly (readonly [number, number])[]
    readonly d: string
    readonly paint: Paint
  }[]
  /** `y` is the base line. */
  readonly labels: readonly {
    readonly x: number
    readonly y: number
    readonly text: string
    readonly anchor: 'start' | 'middle' | 'end'
    readonly size: number
    readonly paint: Paint
  }[]
}

/** A name of a colour and a stroke that both templates know: a mark or one of their own. */
export type Paint = (typeof PAINTS)[number] | Mark

/** What is drawn that is no state. */
const PAINTS = ['ink', 'quiet', 'rule', 'ground', 'group', 'accent', 'gone', 'unseen', 'same'] as const

/** A drawing as the page and the PDF place it. */
export type DrawingView = {
  readonly width: number
  readonly height: number
  /** What it shows, in words, for those who do not see it. */
  readonly words: string
  readonly caption: string
  readonly layers: readonly Layer[]
}

/** A layer with some of its parts. */
export function layer(parts: Partial<Layer>): Layer {
  return { boxes: [], lines: [], heads: [], labels: [], ...parts }
}

/** A curve as SVG writes it. */
export function curvePath({ start, pieces }: Curve): string {
  return `M${start.join(' ')}${pieces.map((piece) => `C${piece.join(' ')}`).join('')}`
}

/** A closed outline as SVG writes it. */
export function outlinePath(points: readonly (readonly [number, number])[]): string {
  return `M${points.map((point) => point.join(' ')).join('L')}Z`
}

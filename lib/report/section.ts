/** What a section of the report is made of. Each has a file of its own in sections/. */
import type { DrawingView } from './drawing/drawing.ts'
import type { LegendView } from './drawing/legend.ts'
import type { TableView } from './table-cells.ts'
import type { FixStep } from './words/split-fix.ts'
import type { TitlePart } from './words/action-titles.ts'

/** An action, or another reason to stand together, with the paths that it is about. */
export type GroupView = {
  readonly id: string
  /** The action's number; empty where there is none. */
  readonly number: string
  readonly title: readonly TitlePart[]
  readonly facts: string
  /** The change, its commands to be copied. */
  readonly fix: readonly FixStep[]
  readonly table: TableView
}

/** Its parts come in this order. */
export type SectionView = {
  readonly id: string
  readonly title: string
  /** On paper it has pages of its own, which lie on their side where a drawing is wide. */
  readonly isOnNewPage: boolean
  readonly isLandscape: boolean
  readonly paragraphs: readonly string[]
  /** What the marks in its strips mean. */
  readonly legend: readonly LegendView[]
  readonly drawings: readonly DrawingView[]
  readonly groups: readonly GroupView[]
  readonly tables: readonly TableView[]
  readonly points: readonly string[]
  /** What is to be copied: keys, commands, signed text. */
  readonly code: readonly { readonly caption: string; readonly lines: readonly string[] }[]
}

/** A section with some of its parts. */
export function section(id: string, title: string, parts: Partial<Omit<SectionView, 'id' | 'title'>>): SectionView {
  return {
    id,
    title,
    isOnNewPage: false,
    isLandscape: false,
    paragraphs: [],
    legend: [],
    drawings: [],
    groups: [],
    tables: [],
    points: [],
    code: [],
    ...parts,
  }
}

/** What a section of the report is made of. Each has a file of its own in sections/. */
import type { DrawingView } from './drawing/drawing.ts'
import type { StripView } from './drawing/strip-view.ts'
import type { NameView, StateView, TableView } from './table-cells.ts'

/** A path that was not encrypted. */
export type FindingView = {
  readonly id: string
  readonly state: StateView
  readonly source: NameView
  readonly destination: NameView
  /** Names the cluster where there is more than one. */
  readonly cluster: string | null
  readonly headline: string
  readonly strip: StripView
  readonly facts: readonly { readonly term: string; readonly lines: readonly string[]; readonly isCode: boolean }[]
}

/** Its parts come in this order. */
export type SectionView = {
  readonly id: string
  readonly title: string
  /** On paper it begins a page. */
  readonly isOnNewPage: boolean
  readonly paragraphs: readonly string[]
  readonly drawings: readonly DrawingView[]
  readonly entries: readonly FindingView[]
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
    paragraphs: [],
    drawings: [],
    entries: [],
    tables: [],
    points: [],
    code: [],
    ...parts,
  }
}

/** A fact about a path. */
export const fact = (term: string, lines: readonly string[]): FindingView['facts'][number] => ({
  term,
  lines,
  isCode: false,
})

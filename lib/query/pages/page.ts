/** What the pages are made of: what a page is asked, what it needs, and what it answers. */
import type { Objects } from '../../store/objects/objects.ts'
import type { Grant } from '../access/access.ts'
import type { SiteQuery } from './page-query.ts'
import type { HistoryReader } from './read-history.ts'

/** What a page is asked. */
export type PageRequest = {
  readonly query: SiteQuery
  readonly grant: Grant
  /** What stands at the free places of its path. */
  readonly names: Readonly<Record<string, string>>
}

/** What a page reads from. */
export type PageDeps = {
  readonly objects: Objects
  readonly history: HistoryReader
  readonly now: () => Date
  /** A job here makes audit packs for whoever asks. */
  readonly makesPacks: boolean
  readonly version: string
}

/** A page without its frame. */
export type PageContent = {
  readonly title: string
  /** The file in templates/ that places the view, without its ending. */
  readonly template: string
  readonly view: object
  /** Shown on top where the data is a replay or synthetic. */
  readonly replay: string | null
  /** How far the data goes, in a few words; beside the navigation. */
  readonly standing: string
}

/** Makes a page. Throws a `ProblemError` where there is none. */
export type MakePage = (asked: PageRequest, deps: PageDeps) => Promise<PageContent>

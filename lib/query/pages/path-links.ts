/** How a path is named and linked to, on every page. */
import type { Mark } from '../../report/drawing/state-looks.ts'
import { type NameView, type StateView, destinationName, endpointName, stateView } from '../../report/table-cells.ts'
import type { Action } from '../../report/summary/actions.ts'
import type { PathSummary } from '../../report/summary/path-summary.ts'
import { plural } from '../../report/words/vocabulary.ts'
import { hrefOf } from './page-query.ts'

/** A link to a path's life line, by its two ends. */
export type PathLink = {
  readonly href: string
  readonly source: NameView
  readonly destination: NameView
  readonly state: StateView
}

type Linked = Pick<PathSummary, 'cluster' | 'pathId' | 'source' | 'destination' | 'port'>

/** Links to the life line of a path; a page of a past time leads to the same time. */
export function pathLink(path: Linked, mark: Mark, past: string | null): PathLink {
  return {
    href: lifeLineHref(path, past),
    source: endpointName(path.source),
    destination: destinationName(path),
    state: stateView(mark),
  }
}

/** Where the life line of a path stands. */
export function lifeLineHref({ cluster, pathId }: Pick<Linked, 'cluster' | 'pathId'>, past: string | null): string {
  return hrefOf(`/paths/${encodeURIComponent(cluster)}/${encodeURIComponent(pathId)}`, { at: past })
}

/** What was seen of a path last: its latest window with a mark; `not-observed` where there is none. */
export function latestMark({ cells }: Pick<PathSummary, 'cells'>): Mark {
  return cells.findLast((cell) => cell !== null) ?? 'not-observed'
}

/** So many paths stand beside an action. */
const MAX_PATHS = 5

/** The first paths that an action ends, and how many more there are. */
export function actionPaths(
  { paths }: Pick<Action, 'paths'>,
  past: string | null,
): { readonly paths: readonly PathLink[]; readonly more: string } {
  const left = paths.length - MAX_PATHS
  return {
    paths: paths.slice(0, MAX_PATHS).map((path) => pathLink(path, path.mark, past)),
    more: left > 0 ? `and ${plural(left, 'more path')}, under Paths` : '',
  }
}

import type { PathChange } from '../../report/summary/change-summary.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { Grant } from '../access/access.ts'
import { type Diff, changeJson, readDiff } from '../diff.ts'
import { type Page, checkCursor, pageOf } from '../page.ts'
import type { DiffQuery } from '../parameters.ts'
import { requestedClusters, throwIfUnread } from './asked-clusters.ts'

/** A page of what changed from one period to a later one, and what must be known to read it. */
export type DiffAnswer = Page<PathChange> & Diff

/**
 * Answers what changed from one period to a later one, and what stays open: by kind, then name. Throws a `ProblemError` for a cluster that must not be seen, and
 * where not one of them can be read.
 */
export async function answerDiff(
  { clusters: ids, change, before, period, until, limit, cursor }: DiffQuery,
  grant: Grant,
  { objects, now }: { readonly objects: Objects; readonly now: Date },
): Promise<DiffAnswer> {
  const question = ['diff', { ids, change, before, period }, grant.clusters]
  checkCursor({ cursor, question })
  const clusters = await requestedClusters(ids, grant, objects)
  const diff = await readDiff(clusters, { before, period }, { objects, now })
  throwIfUnread(diff.clusters.map(({ problem }) => problem))
  const items = diff.changes.all.filter(({ kind }) => change === undefined || kind === change)
  return {
    ...diff,
    ...pageOf(items, { limit, cursor, question, until }, ({ cluster, pathId, kind, identity, episode }) => [
      cluster,
      pathId,
      kind,
      identity?.end,
      episode?.id,
    ]),
  }
}

/** The answer as JSON: counts and ages first, then the page. */
export function diffJson({
  before,
  period,
  collected,
  clusters,
  changes: { counts, firstSeen, noLonger, unseen },
  timeToFix: { episodes, sinceUnknown, median, longest, isAtLeast },
  open,
  items,
  next,
}: DiffAnswer): Readonly<Record<string, unknown>> {
  return {
    before,
    period,
    collected,
    clusters,
    counts,
    firstSeen,
    noLonger,
    unseen,
    timeToFix: { episodes, sinceUnknown, medianSeconds: median, longestSeconds: longest, isAtLeast },
    open,
    items: items.map(changeJson),
    next,
  }
}

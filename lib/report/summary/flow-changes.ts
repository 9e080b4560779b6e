/** How what was seen of paths up to one time differs from what was seen up to another: the same code for the page of data flow and `/v1/flow`. */
import type { Outcome, PathClass, Source, State } from '../../model/path.ts'
import type { PathRow, TimelineMonth } from '../../model/history.ts'
import { MARKS } from '../drawing/state-looks.ts'
import { seenAs } from '../../assess/judge/seen-as.ts'
import { byName, namedOf, rowsByPath } from './path-summary.ts'
import type { Named } from './path-summary.ts'

/**
 * How a path differs, what asks for attention first. `gone`: an end of it is gone, by lists that were collected. `not-seen`: it is known still, and nothing
 * was seen of it: it may be there. `seen-again`: it was known at the earlier time, and nothing was seen of it then.
 */
export const FLOW_CHANGE_KINDS = ['new', 'changed', 'gone', 'not-seen', 'seen-again', 'same'] as const

/** One of {@link FLOW_CHANGE_KINDS}. */
export type FlowChangeKind = (typeof FLOW_CHANGE_KINDS)[number]

/** How a path was when it was seen last. */
export type SeenState = { readonly state: State; readonly outcome: Outcome }

/** A path, and how it was seen last up to either time. */
export type FlowChange = Named & {
  readonly kind: FlowChangeKind
  readonly class: PathClass
  /** Which workloads its source may be, where it has no name. */
  readonly candidates: readonly Source[]
  /** Null where nothing was seen of it. */
  readonly before: SeenState | null
  readonly after: SeenState | null
  /** Of a new one: some windows up to the earlier time were not collected, so that it may have been there unseen. */
  readonly mayBeEarlier: boolean
  /** Of one that was not seen: whether all windows up to the later time were collected and had no traffic of it, some were, or none; null for the others. */
  readonly notSeen: 'no-traffic' | 'partly-collected' | 'not-collected' | null
}

/** What is kept of a cluster up to one time: the expected windows, oldest first, and the rows of all paths, clipped to them. */
export type FlowSpan = { readonly windows: TimelineMonth['windows']; readonly rows: readonly PathRow[] }

/** How the paths of a cluster differ, in no order. Where nothing was collected up to the earlier time, nothing is compared. Exempt traffic is left out. */
export function flowChanges(cluster: string, before: FlowSpan, after: FlowSpan): readonly FlowChange[] {
  if (!before.windows.some(({ collected }) => collected)) return []
  const [earlier, later] = [before, after].map(({ rows }) => rowsByPath([{ id: cluster, rows }]))
  const isWhole = before.windows.every(({ collected }) => collected)
  return [...new Set([...(earlier?.keys() ?? []), ...(later?.keys() ?? [])])]
    .flatMap((key): readonly FlowChange[] => {
      const [own, now] = [earlier?.get(key) ?? [], later?.get(key) ?? []]
      const latest = now.at(-1) ?? own.at(-1)
      const [was, is] = [lastSeen(own), lastSeen(now)]
      if (latest === undefined || (was === null && is === null)) return []
      const [isKnownBefore, isKnown] = [isKnownAt(own, before), isKnownAt(now, after)]
      // It was gone at either time, whenever it was seen.
      if (!isKnown && !isKnownBefore) return []
      const kind = kindOf({ was, is, isKnownBefore, isKnown })
      return [
        {
          ...namedOf(cluster, latest),
          kind,
          class: latest.class,
          candidates: [...now, ...own].find(({ candidates }) => candidates.length > 0)?.candidates ?? [],
          before: was,
          after: is,
          mayBeEarlier: kind === 'new' && !isWhole,
          notSeen: kind === 'not-seen' ? whyNotSeen(now) : null,
        },
      ]
    })
    .filter(({ before: was, after: is }) => [was, is].some((seen) => seen !== null && seen.state !== 'exempt'))
}

/** The order of differences: by kind, worst state, then name. */
export function byFlowChange(a: FlowChange, b: FlowChange): number {
  return (
    FLOW_CHANGE_KINDS.indexOf(a.kind) - FLOW_CHANGE_KINDS.indexOf(b.kind) ||
    MARKS.indexOf(shownMark(a)) - MARKS.indexOf(shownMark(b)) ||
    byName(a, b)
  )
}

/** The mark of how a path is, or was where nothing was seen of it since. */
export function shownMark({ before, after }: Pick<FlowChange, 'before' | 'after'>): ReturnType<typeof seenAs> {
  const seen = after ?? before
  return seen === null ? 'not-observed' : seenAs(seen)
}

/** A row of silence tells nothing of how a path is. */
function lastSeen(rows: readonly PathRow[]): SeenState | null {
  const seen = rows.findLast(({ state }) => state !== 'not-observed' && state !== 'not-collected')
  return seen === undefined ? null : { state: seen.state, outcome: seen.outcome }
}

/** A path that is known has a row up to the last window, whatever was collected. Without a window nothing is known to be gone. */
function isKnownAt(rows: readonly PathRow[], { windows }: FlowSpan): boolean {
  const last = windows.at(-1)?.end
  return last === undefined || rows.some(({ to }) => to === last)
}

/** Where no row tells that it was quiet, nothing of it was collected. */
function whyNotSeen(rows: readonly PathRow[]): FlowChange['notSeen'] {
  if (rows.length > 0 && rows.every(({ state }) => state === 'not-observed')) return 'no-traffic'
  return rows.some(({ state }) => state === 'not-observed') ? 'partly-collected' : 'not-collected'
}

function kindOf({
  was,
  is,
  isKnownBefore,
  isKnown,
}: {
  readonly was: SeenState | null
  readonly is: SeenState | null
  readonly isKnownBefore: boolean
  readonly isKnown: boolean
}): FlowChangeKind {
  // Seen up to the later time, and gone by then: what counts is how it is at that time.
  if (!isKnown) return 'gone'
  if (is === null) return 'not-seen'
  // What was gone by the earlier time and came back is new again, however it was before.
  if (!isKnownBefore) return 'new'
  if (was === null) return 'seen-again'
  return seenAs(was) === seenAs(is) ? 'same' : 'changed'
}

/** How things stand on clusters: what `ciphertrail status` shows of a summary. A fleet is summarised cluster by cluster, and joined here. */
import { PATH_CLASSES, type PathClass } from '../../model/path.ts'
import { replayNote } from '../words/replay-note.ts'
import { type Action, orderActions } from './actions.ts'
import type { ClusterSummary } from './coverage-summary.ts'
import { type Figures, joinFigures } from './figures.ts'
import type { Summary } from './summary.ts'
import { sum } from './sums.ts'

/** What is shown of a summary, or of those of several clusters together. */
export type Standing = Pick<
  Summary,
  | 'period'
  | 'replay'
  | 'checkpoint'
  | 'removed'
  | 'settings'
  | 'expectedWindows'
  | 'collectedWindows'
  | 'figures'
  | 'actions'
> & {
  readonly wantedShare: number
  readonly clusters: readonly Pick<ClusterSummary, 'id' | 'windows' | 'collected' | 'collectedUntil' | 'share'>[]
  /** The classes that are not judged, each with the number of its known paths. */
  readonly others: readonly { readonly class: PathClass; readonly known: number; readonly figures: Figures }[]
}

/** Returns what is shown of a summary. */
export function standingOf(summary: Summary): Standing {
  const { period, replay, checkpoint, removed, settings, expectedWindows, collectedWindows, figures, actions } = summary
  return {
    period,
    replay,
    checkpoint,
    removed,
    settings,
    expectedWindows,
    collectedWindows,
    figures,
    actions,
    wantedShare: summary.judgement.wantedShare,
    clusters: summary.clusters.map(({ id, windows, collected, collectedUntil, share }) => ({
      id,
      windows,
      collected,
      collectedUntil,
      share,
    })),
    others: summary.others.map(({ class: of, paths, figures: own }) => ({
      class: of,
      known: paths.length,
      figures: own,
    })),
  }
}

/**
 * Joins what is shown of clusters that were summarised one at a time, each over the same period: gives what is shown of the summary of all of them.
 *
 * @param checkpoint the signed head, with the attempts of all of them
 */
export function joinStandings(parts: readonly Standing[], checkpoint: Standing['checkpoint']): Standing {
  const [first] = parts
  if (first === undefined) throw new Error('Cannot join how things stand: there is nothing to join')
  const figures = joinFigures(parts.map((part) => part.figures))
  const { openUnknownOn } = figures
  return {
    ...first,
    replay: replayNote(parts),
    checkpoint,
    expectedWindows: sum(parts, ({ expectedWindows }) => expectedWindows),
    collectedWindows: sum(parts, ({ collectedWindows }) => collectedWindows),
    figures,
    actions: orderActions(parts.flatMap(({ actions }): readonly Omit<Action, 'number'>[] => actions)),
    clusters: parts.flatMap(({ clusters }) => clusters),
    others: PATH_CLASSES.flatMap((of) => {
      const own = parts.flatMap(({ others }) => others.filter((one) => one.class === of))
      if (own.length === 0) return []
      return [
        {
          class: of,
          known: sum(own, ({ known }) => known),
          // A cluster that cannot be read shows no path of any class, and may have some of each.
          figures: { ...joinFigures(own.map((one) => one.figures)), ...(openUnknownOn && { openUnknownOn }) },
        },
      ]
    }),
  }
}

/** What could not be looked at: windows that were not collected, and what could not be read in others. Never a finding. */
import { stableUuid } from '../stable-uuid.ts'
import type { Summary } from '../summary/summary.ts'
import { plural } from '../words/vocabulary.ts'
import { markup, prop } from './oscal-text.ts'

/** Entries for stretches without collection, then for errors, cluster by cluster. */
export function logEntries({ clusters, period }: Pick<Summary, 'clusters' | 'period'>): readonly object[] {
  return clusters.flatMap(({ id, missingRuns, errors }) => [
    ...missingRuns.map(({ from, to, windows, isAttempted }) => ({
      uuid: stableUuid('gap', id, from, to),
      title: `Not collected: cluster ${markup(id)}`,
      description: isAttempted
        ? `An attempt stands for ${plural(windows, 'window')}, but metrics could not be read.`
        : `No attempt stands for ${plural(windows, 'window')}.`,
      start: from,
      end: to,
      props: [
        ...prop('cluster', id),
        ...prop('windows', windows),
        ...prop('kind', isAttempted ? 'unreadable' : 'missing'),
      ],
    })),
    ...errors.map(({ line, windows, first, last }) => ({
      uuid: stableUuid('error', period.from, period.to, id, line),
      title: `Not read: cluster ${markup(id)}`,
      description: markup(`In ${plural(windows, 'window')}: ${line}`),
      start: first,
      end: last,
      props: [...prop('cluster', id), ...prop('windows', windows), ...prop('kind', 'error')],
    })),
  ])
}

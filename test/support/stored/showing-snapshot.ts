import type { Cluster } from '../../../lib/model/registry.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import type { Window } from '../../../lib/model/time.ts'
import { toSeconds, toTime } from '../../../lib/time/windows.ts'

/** The cluster of these snapshots, in windows of an hour. */
export const demoCluster: Cluster = {
  id: 'demo',
  registeredAt: '2026-11-01T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-01T00:00:00Z', minutes: 60 }],
}

/** Its hour number `index` from 2026-11-30T20:00Z on: the month ends after the fourth. */
export function demoHour(index: number): Window {
  const start = Date.UTC(2026, 10, 30, 20) / 1000 + index * 3600
  return { start: toTime(start), end: toTime(start + 3600) }
}

/**
 * A snapshot that says by itself what its window shows, for a stand-in of the classifier that asks {@link shownBy}.
 *
 * @param shown any JSON value
 * @param options.listsAfter seconds after the window's end; null: the lists could not be read
 */
export function showingSnapshot(
  window: Window,
  shown: unknown,
  { complete = true, listsAfter = 0 }: { readonly complete?: boolean; readonly listsAfter?: number | null } = {},
): Snapshot {
  const { id, linkerdNamespace, vizNamespace } = demoCluster
  return {
    format: 'ciphertrail/snapshot/1',
    cluster: id,
    window,
    linkerdNamespace,
    vizNamespace,
    collector: { name: 'ciphertrail', version: '0.1.0' },
    startedAt: window.end,
    endedAt: window.end,
    complete,
    metrics: {
      status: 'complete',
      errors: [],
      prometheusTime: null,
      answers: [{ name: 'shown', query: 'shown', time: '0', body: JSON.stringify(shown) }],
    },
    kubernetes: {
      status: listsAfter === null ? 'failed' : 'complete',
      errors: [],
      takenAt: listsAfter === null ? null : toTime(toSeconds(window.end) + listsAfter),
      lists: [],
    },
  }
}

/** What a {@link showingSnapshot} shows. */
export function shownBy({ metrics }: Snapshot): unknown {
  return JSON.parse(metrics.answers[0]?.body ?? '')
}

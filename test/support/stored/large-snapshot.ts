import type { Snapshot } from '../../../lib/model/snapshot.ts'

/** A snapshot with an answer of so many bytes beside the others: it keeps to the budget up to 160 million, and takes twice as much memory or more to be read. */
export function largeSnapshot(snapshot: Snapshot, bytes: number): Snapshot {
  const answer = { name: 'nothing', query: 'nothing', time: '0', body: JSON.stringify('x'.repeat(bytes)) }
  const { metrics } = snapshot
  return { ...snapshot, metrics: { ...metrics, answers: [...metrics.answers, answer] } }
}

import type { Snapshot } from '../model/snapshot.ts'
import { budget, exceeds } from '../observed/budget.ts'

/** Most characters that one character needs as JSON. */
const MAX_ESCAPE = 6

/** Sources from one server each, which an attempt can omit. */
const SOURCES = ['metrics', 'cadvisor', 'viz', 'proxies'] as const

/**
 * Makes an attempt readable: if all sources together exceed the budget of stored evidence, the largest of them fail, each with a line, so that the others are
 * kept. Kubernetes lists are bounded as they are read.
 */
export function withinBudget(snapshot: Snapshot): Snapshot {
  const most = budget().evidence
  let total = 0
  for (const name of SOURCES) for (const body of bodiesOf(snapshot, name)) total += body.length
  const lists = Buffer.byteLength(JSON.stringify(snapshot.kubernetes.lists))
  if (total * MAX_ESCAPE + lists <= most) return snapshot
  const sizes = new Map(SOURCES.map((name) => [name, sizeOf(bodiesOf(snapshot, name))]))
  let size = lists + [...sizes.values()].reduce((a, b) => a + b, 0)
  let kept = snapshot
  for (const [name, own] of [...sizes].toSorted(([, a], [, b]) => b - a)) {
    if (size <= most) break
    const line = `Cannot keep what was collected of ${name} of cluster "${snapshot.cluster}": the attempt has ${exceeds('evidence', { atLeast: size })}`
    kept = without(kept, name, line)
    size -= own
  }
  return kept
}

function bodiesOf(snapshot: Snapshot, name: (typeof SOURCES)[number]): string[] {
  if (name === 'proxies') return (snapshot.proxies?.pages ?? []).map(({ body }) => body)
  return (snapshot[name]?.answers ?? []).map(({ body }) => body)
}

/** Size in bytes as stored. */
function sizeOf(bodies: readonly string[]): number {
  return bodies.reduce((sum, body) => sum + Buffer.byteLength(JSON.stringify(body)), 0)
}

function without(snapshot: Snapshot, name: (typeof SOURCES)[number], line: string): Snapshot {
  const failed = { status: 'failed' as const }
  const { metrics, cadvisor, viz, proxies } = snapshot
  if (name === 'metrics')
    return {
      ...snapshot,
      complete: false,
      metrics: { ...metrics, ...failed, errors: [...metrics.errors, line], answers: [] },
    }
  if (name === 'cadvisor' && cadvisor !== undefined)
    return { ...snapshot, cadvisor: { ...cadvisor, ...failed, errors: [...cadvisor.errors, line], answers: [] } }
  if (name === 'viz' && viz !== undefined)
    return { ...snapshot, viz: { ...viz, ...failed, errors: [...viz.errors, line], answers: [] } }
  if (name === 'proxies' && proxies !== undefined)
    // If no Prometheus is queried, they were the only source.
    return {
      ...snapshot,
      complete: snapshot.complete && metrics.answers.length > 0,
      proxies: { ...proxies, ...failed, errors: [...proxies.errors, line], pages: [] },
    }
  return snapshot
}

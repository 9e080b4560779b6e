/** Whether anything of each namespace was observed, window by window, folded so that little is kept of each. Pure. */
import type { WindowResult } from '../model/window.ts'
import type { ExpectedWindow } from './timeline-schema.ts'

/** How much of a namespace was seen in a window. */
export type NamespaceWindow = {
  readonly end: string
  /** Null: no pod with a proxy was to be seen in it, as the last complete list says. That is no loss. */
  readonly isObserved: boolean | null
  /** How much of what was to be seen was; null where that is not known. */
  readonly share: number | null
}

/** A namespace as it stands at the end of a window. */
export type NamespaceStanding = {
  /** The last two windows, oldest first; one where the namespace is known since the last one. */
  readonly windows: readonly NamespaceWindow[]
  /** End of the last window in which something of it was observed; null where there is none of those that were folded. */
  readonly seenAt: string | null
  /** Whether a pod with a proxy was to be seen in it, by the last window that could tell. */
  readonly isExpected: boolean
}

/** By name; of every namespace in which a pod with a proxy was to be seen in one of the windows. */
export type NamespaceStandings = ReadonlyMap<string, NamespaceStanding>

/** What a window tells of namespaces. */
export type NamespaceSight = {
  readonly end: string
  /** Metrics were read. */
  readonly collected: boolean
  /** A complete list tells what there was to see: a namespace without a pod in it has none. */
  readonly isListed: boolean
  /** Sums over the workloads of a namespace. */
  readonly seconds: ReadonlyMap<string, { readonly expected: number; readonly observed: number }>
}

/** What a window tells of namespaces; nothing where it was not collected. */
export function sightOf({ window: { end }, result }: ExpectedWindow): NamespaceSight {
  if (result?.collected !== true) return { end, collected: false, isListed: false, seconds: new Map() }
  return { end, collected: true, isListed: result.existing !== null, seconds: secondsBy(result.coverage) }
}

function secondsBy(coverage: WindowResult['coverage']): NamespaceSight['seconds'] {
  const sums = new Map<string, { expected: number; observed: number }>()
  for (const { workload, expectedSeconds, observedSeconds } of coverage) {
    const sum = sums.get(workload.namespace) ?? { expected: 0, observed: 0 }
    sums.set(workload.namespace, {
      expected: sum.expected + expectedSeconds,
      observed: sum.observed + observedSeconds,
    })
  }
  return sums
}

/**
 * Adds a window, which must be the next one. What was expected stays so until a complete list says otherwise: where nobody could read what there is, or nothing was
 * collected, a namespace was not observed.
 */
export function nextStandings(before: NamespaceStandings, sight: NamespaceSight): NamespaceStandings {
  const { end, collected, isListed, seconds } = sight
  const expectedNow = [...seconds].flatMap(([name, { expected }]) => (expected > 0 && name !== '' ? [name] : []))
  const after = new Map<string, NamespaceStanding>()
  for (const name of new Set([...before.keys(), ...expectedNow])) {
    const known = before.get(name)
    const { expected, observed } = seconds.get(name) ?? { expected: 0, observed: 0 }
    const isSeenToBe = collected && expected > 0
    const isExpected = isSeenToBe || (!isListed && known?.isExpected === true)
    const isObserved = isExpected ? collected && observed > 0 : null
    after.set(name, {
      windows: [
        ...(known?.windows ?? []).slice(-1),
        { end, isObserved, share: isSeenToBe ? observed / expected : null },
      ],
      seenAt: isObserved === true ? end : (known?.seenAt ?? null),
      isExpected,
    })
  }
  return after
}

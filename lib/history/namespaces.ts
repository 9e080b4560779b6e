/** Tracks whether anything in each namespace was observed, window by window. */
import type { WindowResult } from '../model/window.ts'
import type { ExpectedWindow } from './fold-state.ts'

/** How much of a namespace was observed in a window. */
export type NamespaceWindow = {
  readonly end: string
  /** Null if the last complete list shows no pod with a proxy, which is no loss. */
  readonly isObserved: boolean | null
  /** Observed share of the expected time; null if unknown. */
  readonly share: number | null
}

/** Status of a namespace at the end of a window. */
export type NamespaceStatus = {
  /** The last two windows, oldest first; only one if the namespace appeared in the last window. */
  readonly windows: readonly NamespaceWindow[]
  /** End of the last window in which something of it was observed; null if there is none among the folded ones. */
  readonly seenAt: string | null
  /** Whether a pod with a proxy was expected in it, according to the last window with evidence. */
  readonly isExpected: boolean
}

/** Status by name, of every namespace in which a pod with a proxy was expected in one of the windows. */
export type NamespaceStatuses = ReadonlyMap<string, NamespaceStatus>

/** Facts about namespaces in a window. */
export type NamespaceSight = {
  readonly end: string
  /** Metrics were read. */
  readonly collected: boolean
  /** There is a complete list: a namespace without a pod in it has none. */
  readonly isListed: boolean
  /** Sums over the workloads of a namespace. */
  readonly seconds: ReadonlyMap<string, { readonly expected: number; readonly observed: number }>
}

/** Reads the facts about namespaces from a window; empty if it was not collected. */
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

/** Adds the next window. A namespace stays expected until a complete list shows otherwise: without a list or a collected window, it was not observed. */
export function nextStatuses(before: NamespaceStatuses, sight: NamespaceSight): NamespaceStatuses {
  const { end, collected, isListed, seconds } = sight
  const expectedNow = [...seconds].flatMap(([name, { expected }]) => (expected > 0 && name !== '' ? [name] : []))
  const after = new Map<string, NamespaceStatus>()
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

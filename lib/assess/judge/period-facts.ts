import type { BlindSpot, WindowResult, Workload } from '../../model/window.ts'
import type { Endpoint } from '../../model/path.ts'
import type { PathIdentity, PeriodFacts, WorkloadHistory } from '../../model/period.ts'
import { compareText } from '../../text/order.ts'
import { workloadKey } from '../pods/facts.ts'
import { observedPeriod } from './workload-observed-share.ts'

/** Blind spots by which traffic bypasses a proxy. */
const BYPASSES: ReadonlySet<BlindSpot['kind']> = new Set(['skip-inbound', 'skip-outbound', 'skip-subnet'])

/**
 * Combines the facts about workloads, identities and cryptography from the windows of a period.
 *
 * @param results of one cluster, oldest first
 */
export function periodFacts(results: readonly WindowResult[]): PeriodFacts {
  const listed = results.filter(({ workloads }) => workloads.length > 0)
  return {
    listedWindows: listed.length,
    observed: observedPeriod(results),
    workloads: workloadHistories(listed),
    identities: identitiesOf(results),
    crypto: results
      .filter(({ collected }) => collected)
      .map(({ window, crypto }) => ({ start: window.start, end: window.end, crypto })),
  }
}

type Draft = {
  readonly end: Endpoint
  lastLabels: Workload['labels']
  windows: number
  readonly meshed: Record<Workload['meshed'], number>
  readonly reasons: Set<NonNullable<Workload['reason']>>
  readonly serviceAccounts: Set<string>
  withoutServiceAccount: number
  readonly sharedWith: Set<string>
  readonly bypasses: Map<string, BlindSpot>
  readonly labels: Map<string, Readonly<Record<string, string>>>
  readonly overriding: Set<string>
  withoutProxy: Workload['withoutProxy']
  aroundProxy: Workload['aroundProxy']
}

function workloadHistories(results: readonly WindowResult[]): WorkloadHistory[] {
  const drafts = new Map<string, Draft>()
  for (const { workloads } of results) {
    // A workload without pods in a window neither sends nor receives in it.
    const present = workloads
      .filter(({ pods }) => pods > 0)
      .map((workload) => ({ key: workloadKey(workload), workload }))
    const sharers = Map.groupBy(
      present.filter(({ workload: { serviceAccount, meshed } }) => serviceAccount !== null && meshed !== 'no'),
      ({ workload: { namespace, serviceAccount } }) => `${namespace}/${serviceAccount}`,
    )
    for (const { key, workload } of present) {
      const draft = drafts.get(key) ?? newDraft(workload)
      drafts.set(key, draft)
      addWorkload(draft, workload)
    }
    for (const sharing of sharers.values()) {
      if (sharing.length === 1) continue
      // The first two are enough to find the first other than the workload itself.
      const [first, second] = sharing.map(({ key }) => key).sort(compareText)
      for (const { key } of sharing) drafts.get(key)?.sharedWith.add((key === first ? second : first) ?? '')
    }
  }
  return [...drafts.values()]
    .map(({ end: { kind, namespace, name }, ...draft }): WorkloadHistory => {
      const [sharedWith = null] = [...draft.sharedWith].sort(compareText)
      return {
        kind,
        namespace,
        name,
        windows: draft.windows,
        meshed: draft.meshed,
        reasons: [...draft.reasons].sort(compareText),
        serviceAccounts: [...draft.serviceAccounts].sort(compareText),
        withoutServiceAccount: draft.withoutServiceAccount,
        sharedWith,
        bypasses: byKey(draft.bypasses),
        labels: byKey(draft.labels),
        overriding: [...draft.overriding].sort(compareText),
        ...(draft.withoutProxy === undefined ? {} : { withoutProxy: draft.withoutProxy }),
        ...(draft.aroundProxy === undefined ? {} : { aroundProxy: draft.aroundProxy }),
      }
    })
    .toSorted(
      (a, b) => compareText(a.kind, b.kind) || compareText(a.namespace, b.namespace) || compareText(a.name, b.name),
    )
}

function newDraft(workload: Workload): Draft {
  return {
    end: workload,
    lastLabels: undefined,
    windows: 0,
    meshed: { yes: 0, no: 0, partly: 0, unknown: 0 },
    reasons: new Set(),
    serviceAccounts: new Set(),
    withoutServiceAccount: 0,
    sharedWith: new Set(),
    bypasses: new Map(),
    labels: new Map(),
    overriding: new Set(),
    withoutProxy: undefined,
    aroundProxy: undefined,
  }
}

function addWorkload(draft: Draft, workload: Workload): void {
  const { meshed, reason, serviceAccount, blindSpots, labels, overriding } = workload
  draft.windows += 1
  draft.meshed[meshed] += 1
  if (reason !== null) draft.reasons.add(reason)
  if (serviceAccount === null) draft.withoutServiceAccount += 1
  else draft.serviceAccounts.add(serviceAccount)
  for (const spot of blindSpots)
    if (BYPASSES.has(spot.kind)) draft.bypasses.set(`${spot.kind} ${spot.port ?? ''} ${spot.detail}`, spot)
  if (labels !== undefined && !isSame(draft.lastLabels, labels))
    draft.labels.set(JSON.stringify(Object.entries(labels).sort(byName)), labels)
  draft.lastLabels = labels
  for (const name of overriding ?? []) draft.overriding.add(name)
  const { withoutProxy, aroundProxy } = workload
  if (withoutProxy !== undefined)
    draft.withoutProxy = {
      sentBytes: (draft.withoutProxy?.sentBytes ?? 0) + withoutProxy.sentBytes,
      receivedBytes: (draft.withoutProxy?.receivedBytes ?? 0) + withoutProxy.receivedBytes,
    }
  if (aroundProxy !== undefined)
    draft.aroundProxy = { maxBytes: (draft.aroundProxy?.maxBytes ?? 0) + aroundProxy.maxBytes }
}

/** Most workloads keep their labels, and comparing them is faster than making a key. */
function isSame(a: Workload['labels'], b: Readonly<Record<string, string>>): boolean {
  if (a === undefined) return false
  const names = Object.keys(b)
  return names.length === Object.keys(a).length && names.every((name) => Object.hasOwn(a, name) && a[name] === b[name])
}

/** Returns the identities of each path. A path rarely changes them, so they are compared instead of keyed: there may be a million. */
function identitiesOf(results: readonly WindowResult[]): PathIdentity[] {
  const byPath = new Map<string, { -readonly [Key in keyof PathIdentity]: PathIdentity[Key] }[]>()
  for (const { paths, collected } of results) {
    if (!collected) continue
    for (const { pathId, state, clientId, serverId, source, destination, corroborated } of paths) {
      if (state !== 'mtls') continue
      const known = byPath.get(pathId) ?? []
      const same = known.find(
        (one) =>
          one.clientId === clientId &&
          one.serverId === serverId &&
          one.source === source.serviceAccount &&
          one.destination === destination.serviceAccount &&
          one.corroborated === corroborated,
      )
      if (same !== undefined) {
        same.windows += 1
        continue
      }
      known.push({
        pathId,
        clientId,
        serverId,
        source: source.serviceAccount,
        destination: destination.serviceAccount,
        corroborated,
        windows: 1,
      })
      byPath.set(pathId, known)
    }
  }
  const keyOf = ({ pathId, clientId, serverId, source, destination, corroborated }: PathIdentity) =>
    JSON.stringify([pathId, clientId, serverId, source, destination, corroborated])
  return byKey(new Map([...byPath.values()].flat().map((identity) => [keyOf(identity), identity])))
}

function byKey<T>(map: ReadonlyMap<string, T>): T[] {
  return [...map].toSorted(([a], [b]) => compareText(a, b)).map(([, value]) => value)
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return compareText(a, b)
}

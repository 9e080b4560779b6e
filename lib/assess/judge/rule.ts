import { partitionPoint } from '../../partition-point.ts'
import type { ClusterPeriod, PeriodFacts } from '../../model/period.ts'
import type { Endpoint, State } from '../../model/path.ts'
import type { Finding, Seen, Subject, Verdict } from '../../model/judgement.ts'
import type { PathRow } from '../../model/history.ts'
import { compareText } from '../../text/order.ts'
import { API_SERVER_REASON } from '../ends/api-server.ts'
import { isNotEncrypted } from '../window/episode-lifecycle.ts'
import { workloadKey } from '../pods/facts.ts'
import {
  type JudgedPeriod,
  NO_WORKLOAD,
  type SeenWindows,
  isOutage,
  seenOfPath,
  seenOfPort,
  seenWindows,
} from './seen.ts'
import { type SeenAs, noneSeen, seenAs } from './seen-as.ts'

/**
 * A test of a period. A rule reports what was observed, and for what share of the subject's life. Below the wanted share, neither a pass nor `not-applicable`
 * holds.
 */
export type Rule = {
  /** The name of its file. */
  readonly id: string
  /** The property that the rule tests; the same for every verdict. */
  readonly title: string
  readonly why: string
  /** The evidence it uses, and what counts as seen. */
  readonly needs: string
  /** It judges the workloads in Kubernetes lists, so it knows none without a list. Default false. */
  readonly readsLists?: boolean
  readonly check: (period: RulePeriod) => readonly RuleFinding[]
}

/**
 * A rule's finding about a subject, before the wanted share is applied: below it, `pass` and `not-applicable` become `not-enough-evidence`.
 * lib/assess/judge/judge.ts adds the rule and the waiver.
 */
export type RuleFinding = Pick<Finding, 'subject' | 'verdict' | 'detail' | 'seen'> & {
  /** Why the state of some traffic is unknown; empty if it is known. */
  readonly untold?: string
  /** It is about the whole cluster, of which not every subject may be known. Where enough was seen, it is no finding. */
  readonly isWhole?: true
}

/** A path in all windows of a period. */
export type PathHistory = Pick<PathRow, 'cluster' | 'pathId' | 'source' | 'destination' | 'port'> & {
  /** In time order. */
  readonly rows: readonly PathRow[]
  /** Number of windows by state. Windows before it was first seen, and after an end of it was gone, are not counted. */
  readonly windows: Readonly<Record<SeenAs, number>>
  /** How much of its life was seen at either end, and at both. */
  readonly seen: Seen
  readonly seenAtBothEnds: Seen
  /** Windows with judged traffic, by whether the policy's effect is known. */
  readonly policy: { readonly known: number; readonly unknown: number }
}

/** A port of a workload of the cluster, and the paths that lead to it. */
export type PortHistory = {
  readonly cluster: string
  readonly workload: Endpoint
  readonly port: number
  readonly paths: readonly PathHistory[]
  /** Share of its life that its own proxies saw. */
  readonly seen: Seen
}

/** A period of one cluster as rules read it, prepared once for all rules. The order of the input does not matter. */
export type RulePeriod = {
  readonly cluster: ClusterPeriod
  /** By path id. */
  readonly paths: readonly PathHistory[]
  /** By workload, then port. */
  readonly ports: readonly PortHistory[]
  readonly facts: PeriodFacts | null
  /** The wanted share of the whole report. */
  readonly wantedShare: number
  readonly windows: SeenWindows
  /** Windows that were expected and not collected. */
  readonly uncollected: number
  /** Windows for which no Kubernetes list was read. */
  readonly unlisted: number
  /** Coverage of workloads' proxies, by `kind/namespace/name`. */
  readonly coverage: ReadonlyMap<string, CoverageHistory>
}

/** Expected and observed time of a workload over a period. */
export type CoverageHistory = {
  readonly workload: Endpoint
  readonly expectedSeconds: number
  readonly observedSeconds: number
}

/** Prepares a period for rules. */
export function rulePeriod(cluster: ClusterPeriod, period: JudgedPeriod, wantedShare: number): RulePeriod {
  const windows = seenWindows(cluster, period)
  const paths = pathHistories(cluster, windows)
  return {
    cluster,
    paths,
    ports: portHistories(paths, windows),
    facts: cluster.facts ?? null,
    wantedShare,
    windows,
    uncollected: cluster.windows.filter(({ collected }) => !collected).length,
    unlisted: cluster.windows.length - Math.min(cluster.windows.length, cluster.facts?.listedWindows ?? 0),
    coverage: coverageHistories(cluster),
  }
}

function pathHistories({ rows, strips, windows }: ClusterPeriod, period: SeenWindows): PathHistory[] {
  const byPath = Map.groupBy(rows, ({ pathId }) => pathId)
  return [...byPath]
    .toSorted(([a], [b]) => compareText(a, b))
    .flatMap(([pathId, own]) => {
      const sorted = own.toSorted((a, b) => compareText(a.from, b.from) || compareText(a.state, b.state))
      const last = sorted.at(-1)
      if (last === undefined) return []
      const counts = noneSeen()
      const policy = { known: 0, unknown: 0 }
      let outages = 0
      const strip = Object.hasOwn(strips, pathId) ? strips[pathId] : undefined
      for (const row of sorted) {
        const begin = partitionPoint(windows, ({ start }) => start < row.from)
        const end = partitionPoint(windows, ({ start }) => start < row.to)
        for (let index = begin; index < end; index++) {
          const state = strip?.[index] ?? row.state
          counts[state === row.state ? seenAs(row) : state] += 1
          if (state === 'unknown' && row.reason === 'destination-not-seen' && isOutage(row, index, period)) outages += 1
          if (!QUIET.has(state)) policy[row.enforcement === 'unknown' ? 'unknown' : 'known'] += 1
        }
      }
      const { cluster, source, destination, port } = last
      const told = toldShare(counts, outages)
      const seenBy = (ends: 'either-end' | 'both-ends') => ({
        ...seenOfPath({ source, destination, port, strip: strip ?? [] }, ends, period),
        told,
      })
      const seen = seenBy('either-end')
      const seenAtBothEnds = seenBy('both-ends')
      return [
        { cluster, pathId, source, destination, port, rows: sorted, windows: counts, seen, seenAtBothEnds, policy },
      ]
    })
}

/** States of a window without judged traffic. */
const QUIET: ReadonlySet<State> = new Set(['not-observed', 'not-collected', 'exempt'])

/**
 * Returns the share of windows with traffic whose state is known; null without traffic.
 *
 * @param outages those of its unknown windows that nobody could read, which the share of its life counts as unseen. They do not replace a known window.
 */
function toldShare(windows: PathHistory['windows'], outages: number): number | null {
  const told =
    windows.plaintext +
    windows['no-mesh-tls'] +
    windows['tls-anonymous'] +
    windows['app-tls'] +
    windows.mtls +
    windows.refused
  if (told === 0) return windows.unknown === 0 ? null : 0
  // What policy refused is no traffic: beside it alone, an outage hides whether there was any.
  return told / (told + windows.unknown - (told > windows.refused ? outages : 0))
}

function portHistories(paths: readonly PathHistory[], period: SeenWindows): PortHistory[] {
  const own = paths.filter(({ destination: { kind, cluster } }) => cluster === null && !NO_WORKLOAD.has(kind))
  const byPort = Map.groupBy(own, ({ destination, port }) => JSON.stringify([workloadKey(destination), port]))
  return [...byPort.values()]
    .flatMap((leading): PortHistory[] => {
      const [first] = leading
      if (first === undefined) return []
      const { kind, namespace, name } = first.destination
      const workload = { kind, namespace, name }
      const told = leading.flatMap(({ seen }) => (seen.told === null ? [] : [seen.told]))
      const seen = {
        ...seenOfPort({ workload, port: first.port }, period),
        told: told.length === 0 ? null : Math.min(...told),
      }
      return [{ cluster: first.cluster, workload, port: first.port, paths: leading, seen }]
    })
    .toSorted((a, b) => compareText(workloadKey(a.workload), workloadKey(b.workload)) || a.port - b.port)
}

function coverageHistories({ coverage }: ClusterPeriod): Map<string, CoverageHistory> {
  type Draft = { -readonly [Key in keyof CoverageHistory]: CoverageHistory[Key] }
  const histories = new Map<string, Draft>()
  // A period has a row for each workload and window. Nested maps avoid making a key of each, which takes longer than all rules.
  const byName = new Map<string, Map<string, Map<string, Draft>>>()
  for (const { workload, expectedSeconds, observedSeconds } of coverage) {
    const { kind, namespace, name } = workload
    const ofName = byName.get(name) ?? new Map<string, Map<string, Draft>>()
    const ofNamespace = ofName.get(namespace) ?? new Map<string, Draft>()
    let history = ofNamespace.get(kind)
    if (history === undefined) {
      history = {
        workload: { kind, namespace, name },
        expectedSeconds: 0,
        observedSeconds: 0,
      }
      byName.set(name, ofName.set(namespace, ofNamespace.set(kind, history)))
      histories.set(workloadKey(workload), history)
    }
    history.expectedSeconds += expectedSeconds
    history.observedSeconds += observedSeconds
  }
  return histories
}

/** Returns every workload that any source shows in a period, each once. */
export function workloadsSeen({ cluster, facts, coverage }: RulePeriod): Endpoint[] {
  const seen = [
    ...cluster.workloads,
    ...(facts?.workloads ?? []),
    ...[...coverage.values()].map(({ workload }) => workload),
  ]
  return [...new Map(seen.map((workload) => [workloadKey(workload), workload])).values()]
}

/** Reasons, without their part in brackets, that exempt a path by where it leads. */
const EXEMPT_ENDS: ReadonlySet<string> = new Set(['admin-port', API_SERVER_REASON])

/**
 * Whether a path is exempt, also over windows that were not read: probes, which are part of the path's identity, the proxy's own ports, and TLS to the
 * Kubernetes API.
 */
export function isExempt({ source, rows }: PathHistory): boolean {
  const seen = rows.filter(({ state }) => state !== 'not-observed' && state !== 'not-collected')
  if (seen.some(({ state }) => state !== 'exempt')) return false
  return (
    source.kind === 'probe' || (seen.length > 0 && seen.every(({ reason }) => EXEMPT_ENDS.has(withoutBrackets(reason))))
  )
}

/** Whether an end of a path cannot have a mesh identity. Clients without an identity, and ends outside the cluster, have separate paths. */
export function hasNamelessEnd({ source, destination }: PathHistory): boolean {
  return source.kind === 'unmeshed' || source.kind === 'probe' || destination.kind === 'external'
}

/** Number of windows in which a path was allowed without mesh encryption. */
export function clearWindows({ windows }: PathHistory): number {
  return windows.plaintext + windows['no-mesh-tls']
}

/** Number of windows in which a path was encrypted, by the mesh or by the application. */
export function encryptedWindows({ windows }: PathHistory): number {
  return windows.mtls + windows['tls-anonymous'] + windows['app-tls']
}

/** Reasons, without their part in brackets, of unknown windows that may hide plaintext: with one of them no share is enough to pass. */
const DOUBTS: ReadonlySet<string> = new Set([
  'labels-overridden',
  'instance-not-confirmed',
  'source-partly-unmeshed',
  'ipv6-not-proxied',
])

/** `admin-port` of `admin-port (mtls)`. */
const withoutBrackets = (reason: string): string => reason.replace(/ \(.*$/u, '')

/** Returns the reason of the first window in which a path is in doubt; null if there is none. */
export function doubtOf({ rows }: PathHistory): string | null {
  return rows.find(({ state, reason }) => state === 'unknown' && DOUBTS.has(withoutBrackets(reason)))?.reason ?? null
}

/**
 * Describes the windows in which a path was allowed unencrypted: `not encrypted in 2 windows, first in the one from ..., no_tls_from_remote`. Empty if there
 * are none.
 */
export function clearWords(path: PathHistory): string {
  const first = path.rows.find(isNotEncrypted)
  if (first === undefined) return ''
  const reason = first.reason === '' ? '' : `: ${first.reason}`
  return `not encrypted in ${windowCount(Math.max(1, clearWindows(path)))}, the first at ${first.from}${reason}`
}

/** Describes the windows in which a path's state is unknown; empty if there are none. */
export function unknownWindowsWords({ rows, windows: { unknown } }: PathHistory): string {
  if (unknown === 0) return ''
  const reason = rows.find((row) => row.state === 'unknown')?.reason ?? ''
  return `State unknown in ${windowCount(unknown)}${reason === '' ? '' : ` (${reason})`}`
}

/** `1 window`, `2 windows`. */
export function windowCount(count: number): string {
  return count === 1 ? '1 window' : `${count} windows`
}

/** `the only window`, `all 7 windows`. */
export function allOf(count: number): string {
  return count === 1 ? 'the only window' : `all ${count} windows`
}

/** Capitalises the first letter of a sentence. */
export function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

/** Makes a finding about a path. With `seen`, it is based on what was seen of the path. */
export function pathFinding(
  path: PathHistory,
  verdict: Verdict,
  detail: string,
  seen: Seen | null = null,
): RuleFinding & { readonly subject: Extract<Subject, { kind: 'path' }> } {
  const { cluster, pathId, source, destination, port } = path
  const subject = { kind: 'path', cluster, pathId, source, destination, port } as const
  return { subject, verdict, detail, seen, untold: unknownWindowsWords(path) }
}

/** Makes a finding about a workload's port. */
export function ofPort(
  { cluster, workload, port, paths }: PortHistory,
  verdict: Verdict,
  detail: string,
  seen: Seen | null = null,
): RuleFinding {
  const untold = paths.map(unknownWindowsWords).find((words) => words !== '') ?? ''
  return { subject: { kind: 'port', cluster, workload, port }, verdict, detail, seen, untold }
}

/** Makes a finding about a workload. */
export function ofWorkload(
  cluster: string,
  { kind, namespace, name }: Endpoint,
  verdict: Verdict,
  detail: string,
  seen: Seen | null = null,
): RuleFinding & { readonly subject: Extract<Subject, { kind: 'workload' }> } {
  return { subject: { kind: 'workload', cluster, workload: { kind, namespace, name } }, verdict, detail, seen }
}

/** Makes a finding about a cluster of which the rule may not know every subject. */
export function wholeFinding(cluster: string, verdict: Verdict, detail: string, seen: Seen | null = null): RuleFinding {
  return { ...clusterFinding(cluster, verdict, detail, seen), isWhole: true }
}

/** Makes a finding about a whole cluster. */
export function clusterFinding(
  cluster: string,
  verdict: Verdict,
  detail: string,
  seen: Seen | null = null,
): RuleFinding {
  return { subject: { kind: 'cluster', cluster }, verdict, detail, seen }
}

/** Returns the key that identifies a subject and sorts the findings of one rule. */
export function subjectKey(subject: Subject): string {
  switch (subject.kind) {
    case 'path':
      return JSON.stringify([
        subject.cluster,
        'path',
        workloadKey(subject.destination),
        String(subject.port).padStart(5, '0'),
        workloadKey(subject.source),
        subject.pathId,
      ])
    case 'port':
      return JSON.stringify([
        subject.cluster,
        'port',
        workloadKey(subject.workload),
        String(subject.port).padStart(5, '0'),
      ])
    case 'workload':
      return JSON.stringify([subject.cluster, 'workload', workloadKey(subject.workload)])
    case 'cluster':
      return JSON.stringify([subject.cluster, 'cluster'])
  }
}

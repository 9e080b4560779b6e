import { partitionPoint } from '../../partition-point.ts'
import type { ClusterPeriod, PeriodFacts } from '../../model/period.ts'
import type { Endpoint, State } from '../../model/path.ts'
import type { Finding, Seen, Subject, Verdict } from '../../model/judgement.ts'
import type { PathRow } from '../../model/history.ts'
import { compareText } from '../../text/order.ts'
import { isNotEncrypted } from '../window/episode-lifecycle.ts'
import { workloadKey } from '../pods/facts.ts'
import { type JudgedPeriod, NO_WORKLOAD, type SeenWindows, seenOfPath, seenOfPort, seenWindows } from './seen.ts'

/**
 * One thing that a period is judged by. A rule says what was seen, and how much of the subject's life that is: where less than the wanted share was
 * seen, neither a pass nor `not-applicable` stands.
 */
export type Rule = {
  /** The name of its file. */
  readonly id: string
  /** The property that the rule tests; the same for every verdict. */
  readonly title: string
  readonly why: string
  /** What it is judged on, and what counts as seen. */
  readonly needs: string
  /** It judges the workloads that Kubernetes lists name, so that without any list it knows of none. Default false. */
  readonly readsLists?: boolean
  readonly check: (period: RulePeriod) => readonly RuleFinding[]
}

/**
 * What a rule says of a subject, before it is held against the wanted share: a pass, or nothing to judge, of which less was seen is not enough
 * evidence. Which rule it was, and who accepted it, is added by lib/assess/judge/judge.ts.
 */
export type RuleFinding = Pick<Finding, 'subject' | 'verdict' | 'detail' | 'seen'> & {
  /** Why the state of some traffic is not told; empty where it is. */
  readonly untold?: string
  /** It stands for the whole cluster, and is no finding where enough was seen. */
  readonly isWhole?: true
}

/** What a path was in a window: its state, or `refused` where that was clear and policy stopped it. */
export type SeenAs = State | 'refused'

/** A path over all windows of a period. */
export type PathHistory = Pick<PathRow, 'cluster' | 'pathId' | 'source' | 'destination' | 'port'> & {
  /** In time order. */
  readonly rows: readonly PathRow[]
  /** Windows by what it was in them; those before it was first seen, and after an end of it was gone, are in none. */
  readonly windows: Readonly<Record<SeenAs, number>>
  /** How much of its life was seen from either end, and from both. */
  readonly seen: Seen
  readonly seenAtBothEnds: Seen
  /** Windows with judged traffic, by whether what policy does was worked out. */
  readonly policy: { readonly known: number; readonly unknown: number }
}

/** A port of a workload of the cluster, and the paths that lead to it. */
export type PortHistory = {
  readonly cluster: string
  readonly workload: Endpoint
  readonly port: number
  readonly paths: readonly PathHistory[]
  /** How much of its life its own proxies saw. */
  readonly seen: Seen
}

/** A period of one cluster as rules read it: made once for all of them, and the same for every order of its input. */
export type RulePeriod = {
  readonly cluster: ClusterPeriod
  /** By path id. */
  readonly paths: readonly PathHistory[]
  /** By workload, then port. */
  readonly ports: readonly PortHistory[]
  readonly facts: PeriodFacts | null
  /** The share that is wanted of the whole report. */
  readonly wantedShare: number
  readonly windows: SeenWindows
  /** Windows that were expected and not collected. */
  readonly uncollected: number
  /** Windows for which no Kubernetes list was read. */
  readonly unlisted: number
  /** What was seen of the proxies of workloads, by `kind/namespace/name`. */
  readonly coverage: ReadonlyMap<string, CoverageHistory>
}

/** What should have been seen of a workload over a period, and what was. */
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
      const counts = noWindows()
      const policy = { known: 0, unknown: 0 }
      const strip = Object.hasOwn(strips, pathId) ? strips[pathId] : undefined
      for (const row of sorted) {
        const begin = partitionPoint(windows, ({ start }) => start < row.from)
        const end = partitionPoint(windows, ({ start }) => start < row.to)
        for (let index = begin; index < end; index++) {
          const state = strip?.[index] ?? row.state
          counts[state === row.state ? seenAs(row) : state] += 1
          if (!QUIET.has(state)) policy[row.enforcement === 'unknown' ? 'unknown' : 'known'] += 1
        }
      }
      const { cluster, source, destination, port } = last
      const told = toldShare(counts)
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

/** States of a window without traffic that is judged. */
const QUIET: ReadonlySet<State> = new Set(['not-observed', 'not-collected', 'exempt'])

/** Windows with traffic of which it is told what it was, over all of them; null without traffic. */
function toldShare(windows: PathHistory['windows']): number | null {
  const told =
    windows.plaintext +
    windows['no-mesh-tls'] +
    windows['tls-anonymous'] +
    windows['app-tls'] +
    windows.mtls +
    windows.refused
  return told + windows.unknown === 0 ? null : told / (told + windows.unknown)
}

/** Nobody knows what was refused of what is not known. */
function seenAs({ state, outcome }: PathRow): SeenAs {
  return outcome === 'refused' && state !== 'unknown' ? 'refused' : state
}

function noWindows(): Record<SeenAs, number> {
  return {
    plaintext: 0,
    'no-mesh-tls': 0,
    unknown: 0,
    'tls-anonymous': 0,
    'app-tls': 0,
    mtls: 0,
    refused: 0,
    exempt: 0,
    'not-observed': 0,
    'not-collected': 0,
  }
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
  // A period has a row for each workload and window: names are looked up as they are, since making a key of each takes longer than all rules.
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

/** Every workload that was seen in a period, by whatever source, each once. */
export function workloadsSeen({ cluster, facts, coverage }: RulePeriod): Endpoint[] {
  const seen = [
    ...cluster.workloads,
    ...(facts?.workloads ?? []),
    ...[...coverage.values()].map(({ workload }) => workload),
  ]
  return [...new Map(seen.map((workload) => [workloadKey(workload), workload])).values()]
}

/**
 * Whether a path is exempt whatever its windows that nobody read would have shown: probes, whose identity is in the path, and the ports of the
 * proxy itself.
 */
export function isExempt({ source, rows }: PathHistory): boolean {
  const seen = rows.filter(({ state }) => state !== 'not-observed' && state !== 'not-collected')
  if (seen.some(({ state }) => state !== 'exempt')) return false
  return source.kind === 'probe' || (seen.length > 0 && seen.every(({ reason }) => reason.startsWith('admin-port')))
}

/** Whether an end of a path can have no identity of the mesh: who shows none has a path of its own, and so has who is outside the cluster. */
export function hasNamelessEnd({ source, destination }: PathHistory): boolean {
  return source.kind === 'unmeshed' || source.kind === 'probe' || destination.kind === 'external'
}

/** Windows in which a path was let through without encryption by the mesh. */
export function clearWindows({ windows }: PathHistory): number {
  return windows.plaintext + windows['no-mesh-tls']
}

/** Windows in which a path was encrypted, by the mesh or by the application. */
export function encryptedWindows({ windows }: PathHistory): number {
  return windows.mtls + windows['tls-anonymous'] + windows['app-tls']
}

/** Reasons of an unknown window that may hide traffic in the clear, without what stands in brackets: no share is enough to pass beside one. */
const DOUBTS: ReadonlySet<string> = new Set([
  'labels-overridden',
  'instance-not-confirmed',
  'source-partly-unmeshed',
  'ipv6-not-proxied',
])

/** The reason of the first window in which what was seen of a path is in doubt; null where none is. */
export function doubtOf({ rows }: PathHistory): string | null {
  return (
    rows.find(({ state, reason }) => state === 'unknown' && DOUBTS.has(reason.replace(/ \(.*$/u, '')))?.reason ?? null
  )
}

/** What of a path was let through in the clear: `not encrypted in 2 windows, first in the one from ..., no_tls_from_remote`. Empty where nothing was. */
export function clearWords(path: PathHistory): string {
  const first = path.rows.find(isNotEncrypted)
  if (first === undefined) return ''
  const reason = first.reason === '' ? '' : `: ${first.reason}`
  return `not encrypted in ${windowCount(Math.max(1, clearWindows(path)))}, first from ${first.from}${reason}`
}

/** Why it is not told what the traffic of a path was in some windows; empty where it is. */
export function untoldWords({ rows, windows: { unknown } }: PathHistory): string {
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

/** The first letter of a sentence, upper case. */
export function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

/** A finding about a path. It rests on what was seen of it where `seen` is given. */
export function pathFinding(
  path: PathHistory,
  verdict: Verdict,
  detail: string,
  seen: Seen | null = null,
): RuleFinding & { readonly subject: Extract<Subject, { kind: 'path' }> } {
  const { cluster, pathId, source, destination, port } = path
  const subject = { kind: 'path', cluster, pathId, source, destination, port } as const
  return { subject, verdict, detail, seen, untold: untoldWords(path) }
}

/** A finding about a workload's port. */
export function ofPort(
  { cluster, workload, port, paths }: PortHistory,
  verdict: Verdict,
  detail: string,
  seen: Seen | null = null,
): RuleFinding {
  const untold = paths.map(untoldWords).find((words) => words !== '') ?? ''
  return { subject: { kind: 'port', cluster, workload, port }, verdict, detail, seen, untold }
}

/** A finding about a workload. */
export function ofWorkload(
  cluster: string,
  { kind, namespace, name }: Endpoint,
  verdict: Verdict,
  detail: string,
  seen: Seen | null = null,
): RuleFinding & { readonly subject: Extract<Subject, { kind: 'workload' }> } {
  return { subject: { kind: 'workload', cluster, workload: { kind, namespace, name } }, verdict, detail, seen }
}

/** A finding about a whole cluster. */
export function clusterFinding(
  cluster: string,
  verdict: Verdict,
  detail: string,
  seen: Seen | null = null,
): RuleFinding {
  return { subject: { kind: 'cluster', cluster }, verdict, detail, seen }
}

/** The text by which findings of one rule are sorted, and by which a subject is told from others. */
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

import { countLeading } from '../binary-search.ts'
import type { ClusterPeriod, Endpoint, Finding, PathRow, PeriodFacts, State, Subject, Verdict } from '../model.ts'
import { compareText } from '../text-order.ts'
import { isNotEncrypted } from './episodes.ts'
import { workloadKey } from './facts.ts'

/**
 * One thing that a period is judged by. A rule fails closed: what could not be read is `unknown`, and where nothing is there to judge it is
 * `not-applicable`; neither is a pass. A pass is said of a whole period, so each window of it must have been read.
 */
export type Rule = {
  /** The name of its file. */
  readonly id: string
  /** What holds where it passes, and what does not where it fails. */
  readonly title: string
  readonly failTitle: string
  readonly why: string
  /** What it is judged on, and what makes it unknown. */
  readonly needs: string
  readonly check: (period: RulePeriod) => readonly RuleFinding[]
}

/** What a rule says of a subject; which rule it was, and who accepted it, is added by lib/assess/judge.ts. */
export type RuleFinding = Pick<Finding, 'subject' | 'verdict' | 'detail'>

/** What a path was in a window: its state, or `refused` where that was clear and policy stopped it. */
export type Seen = State | 'refused'

/** A path over all windows of a period. */
export type PathHistory = Pick<PathRow, 'cluster' | 'pathId' | 'source' | 'destination' | 'port'> & {
  /** In time order. */
  readonly rows: readonly PathRow[]
  /** Windows by what it was in them; those before it was first seen, and after an end of it was gone, are in none. */
  readonly windows: Readonly<Record<Seen, number>>
}

/** A port of a workload of the cluster, and the paths that lead to it. */
export type PortHistory = {
  readonly cluster: string
  readonly workload: Endpoint
  readonly port: number
  readonly paths: readonly PathHistory[]
}

/** A period of one cluster as rules read it: made once for all of them, and the same for every order of its input. */
export type RulePeriod = {
  readonly cluster: ClusterPeriod
  /** By path id. */
  readonly paths: readonly PathHistory[]
  /** By workload, then port. */
  readonly ports: readonly PortHistory[]
  readonly facts: PeriodFacts | null
  /** Windows that were expected and not collected. */
  readonly uncollected: number
  /** Windows for which no Kubernetes list was read. */
  readonly unlisted: number
  /** Workloads (`kind/namespace/name`) and in how many windows some proxy of theirs was not seen for a time. */
  readonly gaps: ReadonlyMap<string, number>
}

/** Kinds of a destination that are no workload of this cluster: nobody's port, or nobody knows whose. */
const NO_WORKLOAD: ReadonlySet<string> = new Set(['external', 'service', 'serviceaccount', 'unmeshed', 'probe'])

/** Prepares a period for rules. */
export function rulePeriod(cluster: ClusterPeriod): RulePeriod {
  const paths = pathHistories(cluster)
  return {
    cluster,
    paths,
    ports: portHistories(paths),
    facts: cluster.facts ?? null,
    uncollected: cluster.windows.filter(({ collected }) => !collected).length,
    unlisted: cluster.windows.length - Math.min(cluster.windows.length, cluster.facts?.listedWindows ?? 0),
    gaps: gapsOf(cluster),
  }
}

function pathHistories({ rows, strips, windows }: ClusterPeriod): PathHistory[] {
  const byPath = Map.groupBy(rows, ({ pathId }) => pathId)
  return [...byPath]
    .toSorted(([a], [b]) => compareText(a, b))
    .flatMap(([pathId, own]) => {
      const sorted = own.toSorted((a, b) => compareText(a.from, b.from) || compareText(a.state, b.state))
      const last = sorted.at(-1)
      if (last === undefined) return []
      const counts = noWindows()
      const strip = Object.hasOwn(strips, pathId) ? strips[pathId] : undefined
      for (const row of sorted) {
        const begin = countLeading(windows, ({ start }) => start < row.from)
        const end = countLeading(windows, ({ start }) => start < row.to)
        for (let index = begin; index < end; index++) {
          const state = strip?.[index] ?? row.state
          counts[state === row.state ? seenAs(row) : state] += 1
        }
      }
      const { cluster, source, destination, port } = last
      return [{ cluster, pathId, source, destination, port, rows: sorted, windows: counts }]
    })
}

/** Nobody knows what was refused of what is not known. */
function seenAs({ state, outcome }: PathRow): Seen {
  return outcome === 'refused' && state !== 'unknown' ? 'refused' : state
}

function noWindows(): Record<Seen, number> {
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

function portHistories(paths: readonly PathHistory[]): PortHistory[] {
  const own = paths.filter(({ destination: { kind, cluster } }) => cluster === null && !NO_WORKLOAD.has(kind))
  const byPort = Map.groupBy(own, ({ destination, port }) => JSON.stringify([workloadKey(destination), port]))
  return [...byPort.values()]
    .flatMap((leading): PortHistory[] => {
      const [first] = leading
      if (first === undefined) return []
      const { kind, namespace, name } = first.destination
      return [{ cluster: first.cluster, workload: { kind, namespace, name }, port: first.port, paths: leading }]
    })
    .toSorted((a, b) => compareText(workloadKey(a.workload), workloadKey(b.workload)) || a.port - b.port)
}

/** Windows in which a proxy of a workload was not seen for a time, or a pod of it had none. */
function gapsOf({ coverage }: ClusterPeriod): Map<string, number> {
  const gaps = new Map<string, number>()
  for (const { workload, gaps: stretches, pods } of coverage)
    if (stretches.length > 0 || pods.scraped < pods.total) {
      const key = workloadKey(workload)
      gaps.set(key, (gaps.get(key) ?? 0) + 1)
    }
  return gaps
}

/** Windows in which a path was let through without encryption by the mesh. */
export function clearWindows({ windows }: PathHistory): number {
  return windows.plaintext + windows['no-mesh-tls']
}

/** Windows in which a path was encrypted, by the mesh or by the application. */
export function encryptedWindows({ windows }: PathHistory): number {
  return windows.mtls + windows['tls-anonymous'] + windows['app-tls']
}

/** Windows in which what a path was is not known, since it could not be told or nobody could look. */
export function untoldWindows({ windows }: PathHistory): number {
  return windows.unknown + windows['not-collected']
}

/** What of a path was let through in the clear: `not encrypted in 2 windows, first in the one from ..., no_tls_from_remote`. Empty where nothing was. */
export function clearWords(path: PathHistory): string {
  const first = path.rows.find(isNotEncrypted)
  if (first === undefined) return ''
  const reason = first.reason === '' ? '' : `: ${first.reason}`
  return `not encrypted in ${windowCount(Math.max(1, clearWindows(path)))}, first from ${first.from}${reason}`
}

/** Why it is not known what a path was in some windows; empty where it is known. */
export function untoldWords(path: PathHistory): string {
  const { unknown, 'not-collected': missing } = path.windows
  const [first] = path.rows.filter(({ state }) => state === 'unknown')
  const reason = first === undefined || first.reason === '' ? '' : ` (${first.reason})`
  return [
    ...(unknown > 0 ? [`unknown in ${windowCount(unknown)}${reason}`] : []),
    ...(missing > 0 ? [`not collected in ${windowCount(missing)}`] : []),
  ].join(', ')
}

/** `1 window`, `2 windows`. */
export function windowCount(count: number): string {
  return count === 1 ? '1 window' : `${count} windows`
}

/** The first letter of a sentence, upper case. */
export function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

/** A finding about a path. */
export function ofPath({ cluster, pathId, source, destination, port }: PathHistory, verdict: Verdict, detail: string) {
  return { subject: { kind: 'path', cluster, pathId, source, destination, port } as const, verdict, detail }
}

/** A finding about a workload's port. */
export function ofPort({ cluster, workload, port }: PortHistory, verdict: Verdict, detail: string) {
  return { subject: { kind: 'port', cluster, workload, port } as const, verdict, detail }
}

/** A finding about a workload. */
export function ofWorkload(cluster: string, { kind, namespace, name }: Endpoint, verdict: Verdict, detail: string) {
  const subject = { kind: 'workload', cluster, workload: { kind, namespace, name } } as const
  return { subject, verdict, detail }
}

/** A finding about a whole cluster. */
export function ofCluster(cluster: string, verdict: Verdict, detail: string) {
  return { subject: { kind: 'cluster', cluster } as const, verdict, detail }
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

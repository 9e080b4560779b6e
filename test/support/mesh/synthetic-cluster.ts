import { type ListsOfSnapshot, assessWindow } from '../../../lib/assess/window/window.ts'
import type { Resource } from '../../../lib/observed/kubernetes-fields.ts'
import type { KubernetesList, Snapshot } from '../../../lib/model/snapshot.ts'
import type { PathWindow, WindowResult } from '../../../lib/model/window.ts'
import { reducedLists } from './reduced-lists.ts'
import { type Pod, WINDOW, ownersOf, podObject, timeAt } from './synthetic-pods.ts'
import { type SyntheticKubelet, cadvisorOf } from './synthetic-cadvisor.ts'
import { type Counter, answersOf } from './synthetic-prometheus.ts'

/** A synthetic cluster: what it is, what its proxies counted, and when its lists were taken. */
export type SyntheticCluster = {
  readonly pods: readonly Pod[]
  readonly counters?: readonly Counter[]
  /** Seconds at which the lists around the window were taken; null: there is none. */
  readonly before?: number | null
  readonly after?: number | null
  /** Further objects of the lists, by resource; a function of the time of the list. */
  readonly objects?: (time: number) => Partial<Record<Resource, readonly unknown[]>>
  /** Pods that no list holds: too short, or gone. */
  readonly unlisted?: readonly Pod[]
  readonly metrics?: Partial<Snapshot['metrics']>
  /** What cAdvisor shows of all pods. Absent: Prometheus does not scrape it. */
  readonly kubelet?: SyntheticKubelet
}

/** The snapshot of a synthetic cluster, and the lists around its window. */
export function evidenceOf(cluster: SyntheticCluster): Parameters<typeof assessWindow>[0] {
  const { before = 60, after = 360, metrics } = cluster
  const all = [...cluster.pods, ...(cluster.unlisted ?? [])]
  const listedAt = (time: number | null): ListsOfSnapshot | null =>
    time === null ? null : { key: `lists at ${time}`, takenAt: timeAt(time), lists: listsOf(cluster, time) }
  return {
    key: 'evidence',
    before: listedAt(before),
    after: listedAt(after),
    snapshot: {
      format: 'ciphertrail/snapshot/1',
      cluster: 'synthetic',
      window: WINDOW,
      linkerdNamespace: 'linkerd',
      vizNamespace: 'linkerd-viz',
      collector: { name: 'ciphertrail', version: '0.0.0' },
      startedAt: timeAt(360),
      endedAt: timeAt(361),
      complete: true,
      metrics: {
        status: 'complete',
        errors: [],
        prometheusTime: timeAt(360),
        answers: answersOf(WINDOW, all, cluster.counters ?? []),
        ...metrics,
      },
      ...(cluster.kubelet === undefined ? {} : { cadvisor: cadvisorOf(WINDOW, all, cluster.kubelet) }),
      kubernetes: { status: 'complete', errors: [], takenAt: timeAt(360), lists: listsOf(cluster, after ?? 360) },
    },
  }
}

export function assessed(cluster: SyntheticCluster): WindowResult {
  return assessWindow(evidenceOf(cluster))
}

/** Each path of a window as one line: `deployment/web -> deployment/api:8080 mtls`, with outcome and reason where they say something. */
export function pathLines(cluster: SyntheticCluster): string[] {
  return linesOf(assessed(cluster).paths)
}

export function linesOf(paths: readonly PathWindow[]): string[] {
  return paths
    .map(({ source, destination, port, state, outcome, reason }) => {
      const end = ({ kind, name }: PathWindow['source']) => (name === '' ? kind : `${kind}/${name}`)
      const target = destination.cluster === null ? end(destination) : `${destination.cluster}:${end(destination)}`
      const refused = outcome === 'refused' ? ' refused' : ''
      return `${end(source)} -> ${target}:${port} ${state}${refused}${reason === '' ? '' : ` (${reason})`}`
    })
    .sort()
}

function listsOf({ pods: listed, objects }: SyntheticCluster, time: number): KubernetesList[] {
  const there = listed.filter(({ from, to }) => from <= time && to > time)
  const more = objects?.(time) ?? {}
  const owners = ownersOf(listed)
  return reducedLists(
    listed.map(({ namespace }) => namespace),
    { ...owners, ...more, pods: [...there.map((one) => podObject(one, time)), ...(more.pods ?? [])] },
  )
}

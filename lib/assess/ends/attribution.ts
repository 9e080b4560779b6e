import { relabelled } from '../../observed/pod-labels.ts'
import type { Endpoint } from '../../model/path.ts'
import type { Facts } from '../pods/facts.ts'
import type { ProxyScrapes } from '../counters/metrics.ts'
import { type PodFacts, isDoubted } from '../pods/pods.ts'
import { type Labels, hostOf, labelOf, overrideOf, ownLabels } from '../counters/labels.ts'

/**
 * Whose series it is. The workload comes from the API server by the scraped address, since viz's labels can be
 * set by any pod (measured).
 */
export type Attribution = {
  /** The proxy's own labels. */
  readonly labels: Labels
  /** The scraped address, which tells proxies apart. */
  readonly instance: string
  readonly workload: Endpoint
  /** Null where no list holds the pod. */
  readonly pod: PodFacts | null
  /**
   * `confirmed`: the API server gives this address to this pod. `pod-not-listed`: neither list holds such a pod (short jobs, rolled
   * pods), so its labels name it. `impostor`: it names a pod that the API server knows at another address.
   */
  readonly standing: 'confirmed' | 'pod-not-listed' | 'impostor'
  /** A label that the decision uses was open to the pod's own say. */
  readonly overridden: boolean
  /** Of a pod in no list: cAdvisor shows such a pod with a proxy, and nobody else names itself so. Absent: not so. */
  readonly isWitnessed?: true
}

/**
 * Finds pods by address and by name, for many series of one window.
 *
 * @param scrapes of each proxy by the scraped address: they tell a life that no list holds from a second instance of a pod
 * @param witnessed scraped addresses of pods that no list holds and cAdvisor shows
 */
export function attributor(
  facts: Facts,
  scrapes: ReadonlyMap<string, ProxyScrapes> = new Map(),
  witnessed: ReadonlySet<string> = new Set(),
): (series: Labels) => Attribution {
  const byAddress = Map.groupBy(
    facts.pods.flatMap((pod) => pod.addresses.map((address) => ({ address, pod }))),
    ({ address }) => address,
  )
  const byName = Map.groupBy(facts.pods, ({ namespace, name }) => `${namespace}/${name}`)

  const overrides = new Map(
    facts.pods.map((pod) => [pod, overrideOf(pod.labels, { namespace: pod.namespace, pod: pod.name })] as const),
  )

  // Such a pod may speak under another's address, too: then the samples of both are one series, and no address tells them apart.
  const claimed = new Set(
    facts.pods.flatMap(({ labels }) =>
      relabelled(labels).flatMap(([name, value]) => (name === 'instance' ? value : [])),
    ),
  )

  const scrapesAt = Map.groupBy(scrapes, ([instance]) => hostOf(instance))
  /**
   * Whether a pod at an address that no listed pod of its name has lived before or after each of them, as a pod of a StatefulSet does that was moved twice
   * between two lists: of one name there is only one pod at a time. Whoever answers while a listed one lives is no such pod.
   */
  const isLifeBetween = (instance: string, namesakes: readonly PodFacts[]): boolean => {
    const own = scrapes.get(instance)
    const [first, last] = [own?.times[0], own?.times.at(-1)]
    if (own === undefined || first === undefined || last === undefined) return false
    return namesakes.every(({ life, isGone, addresses }) => {
      if (life.from >= last) return true
      const seen = addresses.flatMap((address) => scrapesAt.get(address) ?? []).flatMap(([, { times }]) => times)
      // A deletion is announced with its grace period, which need not pass.
      const to = life.isOver ? life.to : isGone && seen.length > 0 ? Math.max(...seen) : null
      return to !== null && to <= first
    })
  }

  return (series) => {
    const instance = labelOf(series, 'instance')
    const atAddress = (byAddress.get(hostOf(instance)) ?? []).map(({ pod }) => pod)
    const named = (labels: Labels) => (pod: PodFacts) =>
      pod.name === labelOf(labels, 'pod') && pod.namespace === labelOf(labels, 'namespace')
    // A pod that names itself otherwise than the API server does is still the one at that address.
    const pod =
      atAddress.find(named(series)) ?? atAddress.find((candidate) => takesName(candidate, ['pod', 'namespace']))
    const known = ownLabels(series, pod === undefined ? undefined : overrides.get(pod))
    const own = {
      ...known,
      overridden: known.overridden || (pod !== undefined && isDoubted(pod)) || claimed.has(instance),
    }
    if (pod !== undefined) return { ...own, instance, workload: pod.workload, pod, standing: 'confirmed' }

    const namesakes = byName.get(`${labelOf(own.labels, 'namespace')}/${labelOf(own.labels, 'pod')}`) ?? []
    const [namesake] = namesakes
    const isElsewhere =
      namesake !== undefined &&
      namesakes.every(({ addresses }) => addresses.length > 0) &&
      !isLifeBetween(instance, namesakes)
    return {
      ...own,
      instance,
      workload: isElsewhere ? namesake.workload : workloadByLabels(own.labels, facts),
      pod: null,
      standing: isElsewhere ? 'impostor' : 'pod-not-listed',
      ...(!isElsewhere && !own.overridden && witnessed.has(instance) ? { isWitnessed: true } : {}),
    }
  }
}

/** Whether a label of a pod takes one of these names from what Prometheus says of its target. */
export function takesName({ labels }: PodFacts, names: readonly string[]): boolean {
  return relabelled(labels).some(([name]) => names.includes(name))
}

/** The labels that viz's relabelling makes of the injector's `linkerd.io/proxy-*`, and the kinds they stand for. */
const OWNER_LABELS = {
  deployment: 'deployment',
  statefulset: 'statefulset',
  daemonset: 'daemonset',
  cronjob: 'cronjob',
  k8s_job: 'job',
  replicaset: 'replicaset',
  replicationcontroller: 'replicationcontroller',
} as const

/** The workload that a pod in no list says it belongs to. Pods of a CronJob carry no workload label at all (measured). */
function workloadByLabels(labels: Labels, facts: Facts): Endpoint {
  const namespace = labelOf(labels, 'namespace')
  const name = labelOf(labels, 'pod')
  const byName = facts.ownerByName(namespace, name)
  if (byName !== null) return byName
  const owner = ownerLabel(labels, '', namespace)
  if (owner !== null) return facts.rollUp(owner)
  const job = labelOf(labels, 'batch_kubernetes_io_job_name') || labelOf(labels, 'job_name')
  return facts.rollUp(job === '' ? { kind: 'pod', namespace, name } : { kind: 'job', namespace, name: job })
}

/** The owner that `deployment`, `statefulset`, ... (or with a prefix `dst_deployment`, ...) name; null where none does. */
export function ownerLabel(labels: Labels, prefix: '' | 'dst_', namespace: string): Endpoint | null {
  for (const [label, kind] of Object.entries(OWNER_LABELS)) {
    const name = labelOf(labels, `${prefix}${label}`)
    if (name !== '') return { kind, namespace, name }
  }
  return null
}

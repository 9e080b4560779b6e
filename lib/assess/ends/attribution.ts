import { relabelled } from '../../observed/pod-labels.ts'
import type { Endpoint } from '../../model/path.ts'
import type { Facts } from '../pods/facts.ts'
import type { ProxyScrapes } from '../counters/counter-movement.ts'
import { type PodFacts, isDoubted } from '../pods/pods.ts'
import { type Labels, hostOf, labelOf, overrideOf, ownLabels } from '../counters/labels.ts'

/** Owner of a series. The workload comes from the API server by the scraped address, since any pod can set viz's labels (measured). */
export type Attribution = {
  /** The proxy's own labels. */
  readonly labels: Labels
  /** The scraped address, which identifies the proxy. */
  readonly instance: string
  readonly workload: Endpoint
  /** Null if the pod is unlisted. */
  readonly pod: PodFacts | null
  /**
   * `confirmed`: the API server gives this address to this pod. `pod-not-listed`: neither list contains such a pod (short jobs, rolled pods), so its labels
   * name it. `impostor`: it names a pod that has another address in the API server.
   */
  readonly standing: 'confirmed' | 'pod-not-listed' | 'impostor'
  /** The pod could override a label that decides. */
  readonly overridden: boolean
  /** True: the pod is unlisted, cAdvisor shows it with a proxy, and no other target has its name. Absent if not. */
  readonly isWitnessed?: true
}

/**
 * Finds pods by address and by name, for many series of one window.
 *
 * @param scrapes of each proxy by the scraped address: they distinguish an unlisted life from a second instance of a pod
 * @param witnessed scraped addresses of unlisted pods that cAdvisor shows
 */
export function attributor(
  facts: Facts,
  scrapes: ReadonlyMap<string, ProxyScrapes>,
  witnessed: ReadonlySet<string>,
): (series: Labels) => Attribution {
  const byAddress = Map.groupBy(
    facts.pods.flatMap((pod) => pod.addresses.map((address) => ({ address, pod }))),
    ({ address }) => address,
  )
  const byName = Map.groupBy(facts.pods, ({ namespace, name }) => `${namespace}/${name}`)

  const overrides = new Map(
    facts.pods.map((pod) => [pod, overrideOf(pod.labels, { namespace: pod.namespace, pod: pod.name })] as const),
  )

  // A pod may override `instance` with another pod's address, which merges the samples of both into one series.
  const claimed = new Set(
    facts.pods.flatMap(({ labels }) =>
      relabelled(labels).flatMap(([name, value]) => (name === 'instance' ? value : [])),
    ),
  )

  const scrapesAt = Map.groupBy(scrapes, ([instance]) => hostOf(instance))
  /**
   * Whether a pod at an unlisted address lived before or after each listed pod of its name, as a StatefulSet's pod does that was moved twice between two
   * lists. Only one pod has a name at a time, so a target scraped during a listed pod's life is not such a pod.
   */
  const isLifeBetween = (instance: string, namesakes: readonly PodFacts[]): boolean => {
    const own = scrapes.get(instance)
    const [first, last] = [own?.times[0], own?.times.at(-1)]
    if (own === undefined || first === undefined || last === undefined) return false
    return namesakes.every(({ life, isGone, addresses }) => {
      if (life.from >= last) return true
      const seen = addresses.flatMap((address) => scrapesAt.get(address) ?? []).flatMap(([, { times }]) => times)
      // A deletion time includes the grace period, which the pod may not use up.
      const to = life.isOver ? life.to : isGone && seen.length > 0 ? Math.max(...seen) : null
      return to !== null && to <= first
    })
  }

  return (series) => {
    const instance = labelOf(series, 'instance')
    const atAddress = (byAddress.get(hostOf(instance)) ?? []).map(({ pod }) => pod)
    const named = (labels: Labels) => (pod: PodFacts) =>
      pod.name === labelOf(labels, 'pod') && pod.namespace === labelOf(labels, 'namespace')
    // A pod whose labels give it another name is still the pod at that address.
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

/** Whether a label of a pod overrides one of these target labels. */
export function takesName({ labels }: PodFacts, names: readonly string[]): boolean {
  return relabelled(labels).some(([name]) => names.includes(name))
}

/** Labels that viz's relabelling makes from the injector's `linkerd.io/proxy-*`, and their kinds. */
const OWNER_LABELS = {
  deployment: 'deployment',
  statefulset: 'statefulset',
  daemonset: 'daemonset',
  cronjob: 'cronjob',
  k8s_job: 'job',
  replicaset: 'replicaset',
  replicationcontroller: 'replicationcontroller',
} as const

/** Returns the workload that an unlisted pod's labels name. Pods of a CronJob have no workload label (measured). */
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

/** Returns the owner in the labels `deployment`, `statefulset`, ... (or, with a prefix, `dst_deployment`, ...); null if there is none. */
export function ownerLabel(labels: Labels, prefix: '' | 'dst_', namespace: string): Endpoint | null {
  for (const [label, kind] of Object.entries(OWNER_LABELS)) {
    const name = labelOf(labels, `${prefix}${label}`)
    if (name !== '') return { kind, namespace, name }
  }
  return null
}

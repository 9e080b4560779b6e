import type { Endpoint, Seconds } from '../model.ts'
import type { Listed } from './lists.ts'
import { type PodFacts, controllerOf, joinPods, podFacts } from './pods.ts'
import { compareText } from '../text-order.ts'

/** What is known of a workload for a window: `changed` where the lists before and after it do not agree. */
export type Fact<T> =
  | { readonly known: true; readonly value: T }
  | { readonly known: false; readonly why: 'changed' | 'no list' }

/**
 * What the Kubernetes API said around a window. Facts hold for a window only if the lists around it agree; what
 * serves to find a pod's workload (addresses, owners) is taken from either list.
 */
export type Facts = {
  readonly before: Listed | null
  readonly after: Listed | null
  /** Pods that lived in the window, each once, sorted by namespace and name. */
  readonly pods: readonly PodFacts[]
  readonly podsOf: ReadonlyMap<string, readonly PodFacts[]>
  /** Every listed workload, with and without pods. */
  readonly workloads: ReadonlyMap<string, Endpoint>
  /** A fact of a workload's pods, where both lists agree on it. */
  readonly fact: <T>(workload: string, read: (pod: PodFacts) => T) => Fact<readonly T[]>
  /** The owner of a pod that no list holds, by the name of its ReplicaSet, Job, StatefulSet or DaemonSet. */
  readonly ownerByName: (namespace: string, podName: string) => Endpoint | null
  /** The ServiceAccount of a workload's pods; null where they have several or none is listed. */
  readonly serviceAccountOf: (workload: Endpoint) => string | null
  /** The ServiceAccount that a workload's pod template names; null where the workload is in no list. */
  readonly templateServiceAccount: (workload: Endpoint) => string | null
  /** A workload's owner, rolled up: ReplicaSet to Deployment, Job to CronJob. */
  readonly rollUp: (workload: Endpoint) => Endpoint
}

/** The text by which a workload, or an end of a path, is found in maps, and by which `existing` and `overridden` of a window name it: `kind/namespace/name`. */
export function workloadKey({ kind, namespace, name }: Endpoint): string {
  return `${kind}/${namespace}/${name}`
}

/** Merges the lists before and after a window `(start, end]` into what held in it. */
export function factsOf(
  before: Listed | null,
  after: Listed | null,
  window: { readonly start: Seconds; readonly end: Seconds },
  linkerdNamespace: string,
): Facts {
  const taken = [before, after].filter((listed) => listed !== null)
  const rollUp = rollUpBy(taken)
  const isIPv6Disabled = taken
    .flatMap(({ configmaps }) => configmaps)
    .find(({ values }) => values?.disableIPv6 !== undefined)?.values?.disableIPv6
  const read = (listed: Listed | null, isGone: (uid: string) => boolean) =>
    new Map(
      (listed?.pods ?? []).map((pod) => {
        const uid = pod.metadata.uid ?? `${pod.metadata.namespace}/${pod.metadata.name}`
        const { takenAt } = listed ?? { takenAt: 0 }
        const context = { rollUp, linkerdNamespace, isIPv6Disabled, takenAt, isGone: isGone(uid) }
        return [uid, podFacts(pod, context)] as const
      }),
    )
  const later = read(after, () => false)
  const earlier = read(before, (uid) => after !== null && !later.has(uid))
  const pods = [...new Map([...earlier, ...later])]
    .map(([uid, pod]) => joinPods(earlier.get(uid) ?? null, pod))
    .filter(
      (pod): pod is PodFacts => pod !== null && pod.life.from <= window.end && (pod.life.to ?? Infinity) > window.start,
    )
    .sort((a, b) => (a.namespace === b.namespace ? compareText(a.name, b.name) : compareText(a.namespace, b.namespace)))
  const podsOf = Map.groupBy(pods, (pod) => workloadKey(pod.workload))

  const present = (all: Map<string, PodFacts | null>) =>
    Map.groupBy(
      [...all.values()].filter((pod) => pod !== null),
      (pod) => workloadKey(pod.workload),
    )
  const [earlierOf, laterOf] = [present(earlier), present(later)]
  return {
    before,
    after,
    pods,
    podsOf,
    workloads: listedWorkloads(taken, pods, rollUp),
    rollUp,
    ownerByName: ownerByName(taken, rollUp),
    templateServiceAccount: templateServiceAccount(taken),
    serviceAccountOf: serviceAccountsOf(podsOf),
    fact(workload, value) {
      if (before === null || after === null) return { known: false, why: 'no list' }
      const values = (of: readonly PodFacts[] | undefined) =>
        [...new Map((of ?? []).map((pod) => [JSON.stringify(value(pod)), value(pod)] as const))].sort(([a], [b]) =>
          compareText(a, b),
        )
      const [was, is] = [values(earlierOf.get(workload)), values(laterOf.get(workload))]
      const agree = was.length === 0 || is.length === 0 || JSON.stringify(was) === JSON.stringify(is)
      if (!agree) return { known: false, why: 'changed' }
      return { known: true, value: (is.length === 0 ? was : is).map(([, one]) => one) }
    },
  }
}

function rollUpBy(taken: readonly Listed[]): (workload: Endpoint) => Endpoint {
  const owners = new Map<string, Endpoint>()
  for (const { replicasets, jobs } of taken) {
    for (const [kind, objects] of [
      ['replicaset', replicasets],
      ['job', jobs],
    ] as const) {
      for (const { metadata } of objects) {
        const namespace = metadata.namespace ?? ''
        const owner = controllerOf(metadata.ownerReferences, namespace)
        if (owner !== null) owners.set(workloadKey({ kind, namespace, name: metadata.name }), owner)
      }
    }
  }
  const cronJobs = new Set(
    taken.flatMap(({ cronjobs }) => cronjobs.map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`)),
  )
  return (workload) => {
    const owner = owners.get(workloadKey(workload))
    if (owner !== undefined) return owner
    // A finished Job may be gone already; the CronJob controller names its Jobs by their minute.
    const cronJob = workload.kind === 'job' ? workload.name.replace(/-\d+$/, '') : workload.name
    const isCronJobs = cronJob !== workload.name && cronJobs.has(`${workload.namespace}/${cronJob}`)
    return isCronJobs ? { ...workload, kind: 'cronjob', name: cronJob } : workload
  }
}

function ownerByName(taken: readonly Listed[], rollUp: (workload: Endpoint) => Endpoint): Facts['ownerByName'] {
  const owners = new Map(taken.flatMap(ownersOf).map((owner) => [`${owner.namespace}/${owner.name}`, owner] as const))
  return (namespace, podName) => {
    const owner = owners.get(`${namespace}/${podName.replace(/-([a-z0-9]{5}|\d+)$/, '')}`)
    return owner === undefined ? null : rollUp(owner)
  }
}

function listedWorkloads(
  taken: readonly Listed[],
  pods: readonly PodFacts[],
  rollUp: (workload: Endpoint) => Endpoint,
): Map<string, Endpoint> {
  const workloads = [...taken.flatMap(ownersOf).map(rollUp), ...pods.map(({ workload }) => workload)]
  return new Map(
    workloads.map((workload) => [workloadKey(workload), workload] as const).sort(([a], [b]) => compareText(a, b)),
  )
}

function serviceAccountsOf(podsOf: ReadonlyMap<string, readonly PodFacts[]>): Facts['serviceAccountOf'] {
  const only = new Map(
    [...podsOf].map(([key, pods]) => {
      const [name, ...others] = new Set(pods.map(({ serviceAccount }) => serviceAccount))
      return [key, name === undefined || others.length > 0 ? null : name] as const
    }),
  )
  return (workload) => only.get(workloadKey(workload)) ?? null
}

function templateServiceAccount(taken: readonly Listed[]): Facts['templateServiceAccount'] {
  const templates = taken.flatMap(({ cronjobs, daemonsets, deployments, jobs, replicasets, statefulsets }) => [
    ...cronjobs.map(({ metadata, spec }) => ({ kind: 'cronjob', metadata, template: spec.jobTemplate.spec?.template })),
    ...Object.entries({
      daemonset: daemonsets,
      deployment: deployments,
      job: jobs,
      replicaset: replicasets,
      statefulset: statefulsets,
    }).flatMap(([kind, objects]) => objects.map(({ metadata, spec }) => ({ kind, metadata, template: spec.template }))),
  ])
  const names = new Map(
    templates.map(
      ({ kind, metadata, template }) =>
        [
          workloadKey({ kind, namespace: metadata.namespace ?? '', name: metadata.name }),
          template?.spec?.serviceAccountName ?? 'default',
        ] as const,
    ),
  )
  return (workload) => names.get(workloadKey(workload)) ?? null
}

/** Everything in a snapshot's lists that owns pods. ReplicaSets without an owner are workloads of their own. */
function ownersOf(listed: Listed): Endpoint[] {
  const kinds = [
    ['cronjob', listed.cronjobs],
    ['daemonset', listed.daemonsets],
    ['deployment', listed.deployments],
    ['job', listed.jobs],
    ['replicaset', listed.replicasets],
    ['statefulset', listed.statefulsets],
  ] as const
  return kinds.flatMap(([kind, objects]) =>
    objects.map(({ metadata }) => ({ kind, namespace: metadata.namespace ?? '', name: metadata.name })),
  )
}

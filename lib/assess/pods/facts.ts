import type { Endpoint } from '../../model/path.ts'
import type { Seconds } from '../../model/time.ts'
import { END_SECONDS, type SeenPods, type Traffic, findSeen } from './seen-pods.ts'
import type { KubernetesLists } from './lists.ts'
import { templatesOf } from './pod-templates.ts'
import { type PodFacts, controllerOf, joinPods, podFacts } from './pods.ts'
import { type UnknownPod, unlistedPods } from './unlisted.ts'
import { compareText } from '../../text/order.ts'

/** A fact about a workload in a window, or why it is unknown: `changed` if the lists before and after differ. */
export type Fact<T> =
  | { readonly known: true; readonly value: T }
  | { readonly known: false; readonly why: 'changed' | 'no list' }

/**
 * Kubernetes facts of a window. A fact holds only if the lists around the window agree. Data that finds a pod's workload (addresses, owners) comes from
 * either list.
 */
export type Facts = {
  readonly before: KubernetesLists | null
  readonly after: KubernetesLists | null
  /**
   * True: the pods of the window and their specs are known. Either the lists on both sides agree, or the list after the window contains every pod that
   * cAdvisor showed on every node, since a pod's spec does not change while it lives. Labels and policies can change, so they need both lists.
   */
  readonly isSettled: boolean
  /** cAdvisor showed every node all the time, so no pod can have come and gone unseen between the lists. */
  readonly isEverybodySeen: boolean
  /** Pods that lived in the window, each once, sorted by namespace and name, including those that only cAdvisor showed. */
  readonly pods: readonly PodFacts[]
  /** Pods that lived in the window and about which nothing else is known, in order of time. */
  readonly unknownPods: readonly UnknownPod[]
  readonly podsOf: ReadonlyMap<string, readonly PodFacts[]>
  /** Every listed workload, with and without pods. */
  readonly workloads: ReadonlyMap<string, Endpoint>
  /** Traffic of a pod's network interfaces in the window, with all headers; null if unknown. */
  readonly trafficOf: (pod: PodFacts) => Traffic | null
  /** Reads a fact about a workload's pods, if both lists agree on it. */
  readonly fact: <T>(workload: string, read: (pod: PodFacts) => T) => Fact<readonly T[]>
  /** Finds the owner of an unlisted pod: the listed controller with the longest name that is a prefix of the pod's; null if there is none. */
  readonly ownerByName: (namespace: string, podName: string) => Endpoint | null
  /** Finds the listed controller whose name, plus one more part, is the pod's, as controllers name their pods; null if there is none. */
  readonly controllerByName: (namespace: string, podName: string) => Endpoint | null
  /** Returns the ServiceAccount of a workload's pods; null if they have several or none is listed. */
  readonly serviceAccountOf: (workload: Endpoint) => string | null
  /** Returns the ServiceAccount in a workload's pod template; null if the workload is unlisted. */
  readonly templateServiceAccount: (workload: Endpoint) => string | null
  /** Returns a workload's top owner: ReplicaSet to Deployment, Job to CronJob. */
  readonly rollUp: (workload: Endpoint) => Endpoint
}

/** Returns the key of a workload or an end of a path, `kind/namespace/name`, as used in maps and in `existing` and `overridden` of a window. */
export function workloadKey({ kind, namespace, name }: Endpoint): string {
  return `${kind}/${namespace}/${name}`
}

/** Other sources about the pods that lived in a window. */
export type Witnesses = {
  /** Pods that cAdvisor showed; null if it showed nothing. */
  readonly seen: SeenPods | null
  /** Returns when a pod that is in no later list was gone according to its scrapes; null if they do not show it. */
  readonly vanishedAt: (pod: PodFacts) => Seconds | null
}

const NO_WITNESSES: Witnesses = { seen: null, vanishedAt: () => null }

/** Merges the lists before and after a window `(start, end]`, and other sources, into the facts of the window. */
export function factsOf(
  before: KubernetesLists | null,
  after: KubernetesLists | null,
  window: { readonly start: Seconds; readonly end: Seconds },
  linkerdNamespace: string,
  witnesses: Witnesses = NO_WITNESSES,
): Facts {
  const taken = [before, after].filter((listed) => listed !== null)
  const rollUp = rollUpBy(taken)
  const isIPv6Disabled = taken
    .flatMap(({ configmaps }) => configmaps)
    .find(({ values }) => values?.disableIPv6 !== undefined)?.values?.disableIPv6
  const read = (listed: KubernetesLists | null, isGone: (uid: string) => boolean) =>
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
  const listed = [...new Map([...earlier, ...later])]
    .map(([uid, pod]) => joinPods(earlier.get(uid) ?? null, pod))
    .filter((pod) => pod !== null)
    .map((pod) => ended(pod, window, witnesses))
    .filter((pod) => pod.life.from <= window.end && (pod.life.to ?? Infinity) > window.start)
  const { ownerByName: ownerOf, controllerByName } = ownersByName(taken, rollUp)
  const serviceAccountOf = templateServiceAccount(taken)
  const unlisted = unlistedPods({ ...window, before, after, listed, seen: witnesses.seen, ownerOf, serviceAccountOf })
  const pods = [...listed, ...unlisted.pods].sort((a, b) =>
    a.namespace === b.namespace ? compareText(a.name, b.name) : compareText(a.namespace, b.namespace),
  )
  const podsOf = Map.groupBy(pods, (pod) => workloadKey(pod.workload))

  const present = (all: Map<string, PodFacts | null>) =>
    Map.groupBy(
      [...all.values()].filter((pod) => pod !== null),
      (pod) => workloadKey(pod.workload),
    )
  const [earlierOf, laterOf] = [present(earlier), present(later)]
  const isSettled = after !== null && (before !== null || isAllSeen(listed, window, witnesses.seen))
  return {
    before,
    after,
    isSettled,
    isEverybodySeen: witnesses.seen?.isWhole === true,
    pods,
    podsOf,
    unknownPods: unlisted.unknown,
    workloads: listedWorkloads(taken, [...pods, ...unlisted.unknown], rollUp),
    rollUp,
    trafficOf: (pod) => (witnesses.seen === null ? null : (findSeen(witnesses.seen, pod)?.traffic ?? null)),
    ownerByName: ownerOf,
    controllerByName,
    templateServiceAccount: serviceAccountOf,
    serviceAccountOf: serviceAccountsOf(podsOf),
    fact(workload, value) {
      const inWindow = podsOf.get(workload) ?? []
      // Without a list before the window, only the specs of its pods are evidence.
      if (after !== null && before === null && isSettled && inWindow.length > 0)
        return { known: true, value: valuesOf(inWindow, value) }
      if (before === null || after === null) return { known: false, why: 'no list' }
      const [was, is] = [valuesOf(earlierOf.get(workload) ?? [], value), valuesOf(laterOf.get(workload) ?? [], value)]
      const agree = was.length === 0 || is.length === 0 || JSON.stringify(was) === JSON.stringify(is)
      if (!agree) return { known: false, why: 'changed' }
      const between = inWindow.filter(({ unlisted: by }) => by !== undefined)
      const ofLists = is.length === 0 ? (earlierOf.get(workload) ?? []) : (laterOf.get(workload) ?? [])
      return { known: true, value: valuesOf([...ofLists, ...between], value) }
    },
  }
}

/** Returns distinct values, sorted by their JSON. */
function valuesOf<T>(pods: readonly PodFacts[], value: (pod: PodFacts) => T): T[] {
  return [...new Map(pods.map((pod) => [JSON.stringify(value(pod)), value(pod)] as const))]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, one]) => one)
}

/**
 * Sets the end of a pod that is in no later list, from cAdvisor or its scrapes. If cAdvisor saw every node but not the pod, the pod was gone before the
 * window.
 */
function ended(
  pod: PodFacts,
  { start, end }: { readonly start: Seconds; readonly end: Seconds },
  { seen, vanishedAt }: Witnesses,
): PodFacts {
  if (!pod.isGone || pod.life.to !== null) return pod
  const own = seen === null ? undefined : findSeen(seen, pod)
  const byScrapes = vanishedAt(pod) ?? Infinity
  const to =
    seen?.isWhole !== true
      ? byScrapes
      : own === undefined
        ? start
        : own.last + END_SECONDS > end
          ? Infinity
          : // Its target may have disappeared before the pod did.
            Math.max(own.last, Math.min(byScrapes, own.last + END_SECONDS))
  return to === Infinity ? pod : { ...pod, life: { ...pod.life, to } }
}

/** A pod with a shorter life may have no sample. */
const SAMPLED_WITHIN: Seconds = 60

/** Whether cAdvisor saw every node and every listed pod on them: then it also saw the unlisted pods. */
function isAllSeen(
  listed: readonly PodFacts[],
  { start, end }: { readonly start: Seconds; readonly end: Seconds },
  seen: SeenPods | null,
): boolean {
  if (seen?.isWhole !== true) return false
  return listed.every((pod) => {
    const lived = Math.min(end, pod.life.to ?? end) - Math.max(start, pod.life.from)
    return lived < SAMPLED_WITHIN || findSeen(seen, pod) !== undefined
  })
}

function rollUpBy(taken: readonly KubernetesLists[]): (workload: Endpoint) => Endpoint {
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
    // A finished Job may already be deleted; the CronJob controller names its Jobs after their minute.
    const cronJob = workload.kind === 'job' ? workload.name.replace(/-\d+$/, '') : workload.name
    const isCronJobs = cronJob !== workload.name && cronJobs.has(`${workload.namespace}/${cronJob}`)
    return isCronJobs ? { ...workload, kind: 'cronjob', name: cronJob } : workload
  }
}

/** Finds controllers by a pod's name. The controller with the longest matching prefix is a guess, which may only lower a reading. */
function ownersByName(
  taken: readonly KubernetesLists[],
  rollUp: (workload: Endpoint) => Endpoint,
): Pick<Facts, 'ownerByName' | 'controllerByName'> {
  const owners = new Map(taken.flatMap(ownersOf).map((owner) => [`${owner.namespace}/${owner.name}`, owner] as const))
  const named = (namespace: string, name: string) => {
    const owner = owners.get(`${namespace}/${name}`)
    return owner === undefined ? null : rollUp(owner)
  }
  return {
    ownerByName(namespace, podName) {
      for (let length = podName.lastIndexOf('-'); length > 0; length = podName.lastIndexOf('-', length - 1)) {
        const owner = named(namespace, podName.slice(0, length))
        if (owner !== null) return owner
      }
      return null
    },
    controllerByName: (namespace, podName) => named(namespace, podName.replace(/-([a-z0-9]{5}|\d+)$/, '')),
  }
}

function listedWorkloads(
  taken: readonly KubernetesLists[],
  pods: readonly Pick<PodFacts, 'workload'>[],
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

function templateServiceAccount(taken: readonly KubernetesLists[]): Facts['templateServiceAccount'] {
  const names = new Map(
    taken
      .flatMap(templatesOf)
      .map(
        ({ workload, template }) => [workloadKey(workload), template?.spec?.serviceAccountName ?? 'default'] as const,
      ),
  )
  return (workload) => names.get(workloadKey(workload)) ?? null
}

/** Returns everything in a snapshot's lists that owns pods. ReplicaSets without an owner are workloads, too. */
function ownersOf(listed: KubernetesLists): Endpoint[] {
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

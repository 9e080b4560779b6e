import type { Endpoint } from '../../model/path.ts'
import type { Seconds } from '../../model/time.ts'
import { END_SECONDS, type SeenPods, type Traffic, findSeen } from './seen-pods.ts'
import { type Listed, templatesOf } from './lists.ts'
import { type PodFacts, controllerOf, joinPods, podFacts } from './pods.ts'
import { type UnknownPod, unlistedPods } from './unlisted.ts'
import { compareText } from '../../text/order.ts'

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
  /**
   * Who lived in the window is known, with what its spec says: two lists hold its ends and agree, or a list after it tells of everybody whom
   * cAdvisor showed on every node, since the spec of a pod does not change while it lives. What can change (labels, policies) needs both lists.
   */
  readonly isSettled: boolean
  /** cAdvisor showed every node all the time, so that no pod can have come and gone between the lists unseen. */
  readonly isEverybodySeen: boolean
  /** Pods that lived in the window, each once, sorted by namespace and name; those that only cAdvisor showed are among them. */
  readonly pods: readonly PodFacts[]
  /** Pods that lived in the window, of which nothing else is known. In order of time. */
  readonly unknownPods: readonly UnknownPod[]
  readonly podsOf: ReadonlyMap<string, readonly PodFacts[]>
  /** Every listed workload, with and without pods. */
  readonly workloads: ReadonlyMap<string, Endpoint>
  /** What a pod's network interfaces carried in the window, with all headers; null where nothing tells it. */
  readonly trafficOf: (pod: PodFacts) => Traffic | null
  /** A fact of a workload's pods, where both lists agree on it. */
  readonly fact: <T>(workload: string, read: (pod: PodFacts) => T) => Fact<readonly T[]>
  /** The owner of a pod that no list holds: the listed controller with the longest name that begins the pod's; null where there is none. */
  readonly ownerByName: (namespace: string, podName: string) => Endpoint | null
  /** The owner of a pod whose name is that of a listed controller and one part more, as controllers name their pods; null where none is. */
  readonly controllerByName: (namespace: string, podName: string) => Endpoint | null
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

/** What other sources say of who lived in a window. */
export type Witnesses = {
  /** What cAdvisor showed; null where nothing. */
  readonly seen: SeenPods | null
  /** When a pod that no later list holds was gone, as its scrapes tell; null where they do not. */
  readonly vanishedAt: (pod: PodFacts) => Seconds | null
}

const NO_WITNESSES: Witnesses = { seen: null, vanishedAt: () => null }

/** Merges the lists before and after a window `(start, end]`, and what other sources saw in it, into what held in it. */
export function factsOf(
  before: Listed | null,
  after: Listed | null,
  window: { readonly start: Seconds; readonly end: Seconds },
  linkerdNamespace: string,
  witnesses: Witnesses = NO_WITNESSES,
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
      // Without a list before the window, only the specs of pods that lived in it say anything of it.
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

/** Each value once, in the order of their texts. */
function valuesOf<T>(pods: readonly PodFacts[], value: (pod: PodFacts) => T): T[] {
  return [...new Map(pods.map((pod) => [JSON.stringify(value(pod)), value(pod)] as const))]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, one]) => one)
}

/**
 * A pod that no later list holds, with the end that cAdvisor or its scrapes tell. Where cAdvisor saw every node and did not see it, it was gone before the window.
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
          : // Its target may have gone before it did.
            Math.max(own.last, Math.min(byScrapes, own.last + END_SECONDS))
  return to === Infinity ? pod : { ...pod, life: { ...pod.life, to } }
}

/** A pod that lived for less may have had no sample. */
const SAMPLED_WITHIN: Seconds = 60

/** Whether cAdvisor saw every node, and on them every listed pod: then whom no list holds it saw, too. */
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

/** Finds controllers by the name of a pod. The longest name that begins the pod's is a guess, which only ever lowers what is said of it. */
function ownersByName(
  taken: readonly Listed[],
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
  taken: readonly Listed[],
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

function templateServiceAccount(taken: readonly Listed[]): Facts['templateServiceAccount'] {
  const names = new Map(
    taken
      .flatMap(templatesOf)
      .map(
        ({ workload, template }) => [workloadKey(workload), template?.spec?.serviceAccountName ?? 'default'] as const,
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

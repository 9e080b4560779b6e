import type { CadvisorQueryName } from '../../observed/cadvisor-queries.ts'
import { type Series, parseAnswer } from '../../observed/answers.ts'
import type { Seconds } from '../../model/time.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import { isMoment } from '../../time/windows.ts'
import { labelOf } from '../counters/labels.ts'
import { compareText } from '../../text/order.ts'

/** A pod as the kubelet's cAdvisor showed it around a window. A pod cannot forge it: the kubelet's data comes from the API server. */
export type SeenPod = {
  readonly namespace: string
  readonly name: string
  /** The API server's uid; null if the pod's cgroup path does not contain it. A static pod's uid differs from the one in the lists. */
  readonly uid: string | null
  /** Names of its containers, sorted. Empty if only its sandbox was sampled, as for a pod of a few seconds, so that its containers are unknown. */
  readonly containers: readonly string[]
  /** Times of its first and last sample, by the kubelet's clock. A start is precise to 20 s, an end to {@link END_SECONDS}. */
  readonly first: Seconds
  readonly last: Seconds
  /** Traffic of its network interfaces in the window; null if unknown, as for a pod on the host's network. */
  readonly traffic: Traffic | null
}

/** Bytes and packets of a pod's network interfaces in a window, with all headers. */
export type Traffic = {
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly packets: number
}

/** Pods that cAdvisor showed in a window. */
export type SeenPods = {
  /** Sorted by namespace, name and first sample. */
  readonly pods: readonly SeenPod[]
  /** The same pods, by `namespace/name`. */
  readonly byName: ReadonlyMap<string, readonly SeenPod[]>
  /** The samples of every node were fresh all the time, so `pods` contains every pod that ran for more than a few seconds. */
  readonly isWhole: boolean
}

/** How long a container may run after its last sample (measured: 2.5 to 30 s). */
export const END_SECONDS: Seconds = 30

/** A node whose newest sample is this old was not observed. The kubelet's samples are up to 30 s apart, scrapes up to a minute. */
const STALE_SECONDS: Seconds = 90

/**
 * Reads the pods that cAdvisor showed in a window `(start, end]`; null if there is no data, as with a Prometheus that does not scrape it. Throws AnswerError.
 */
export function seenPods({ cadvisor }: Snapshot, window: { start: Seconds; end: Seconds }): SeenPods | null {
  const { start, end } = window
  if (cadvisor === undefined) return null
  const answers = (name: CadvisorQueryName): readonly Series[] =>
    cadvisor.answers.flatMap((answer) => (answer.name === name ? parseAnswer(answer.body) : []))
  const pods = new Map<string, SeenPod>()
  const traffic = trafficOf(answers)
  for (const [name, isFirst] of [
    ['containers-first', true],
    ['containers-last', false],
  ] as const)
    for (const { labels, samples } of answers(name)) {
      const said = samples[0]?.value ?? 0
      // An impossible time shows that the pod existed but not when, so assume the whole window.
      const time = isMoment(said) ? said : isFirst ? start : end
      const key = keyOf(labels)
      const known = pods.get(key)
      const container = labelOf(labels, 'container')
      pods.set(key, {
        namespace: labelOf(labels, 'namespace'),
        name: labelOf(labels, 'pod'),
        uid: uidOf(labels),
        // Docker's shim reports the sandbox as a container named `POD`.
        containers: [
          ...new Set([...(known?.containers ?? []), ...(['', 'POD'].includes(container) ? [] : [container])]),
        ].sort(compareText),
        first: isFirst ? Math.min(known?.first ?? Infinity, time) : (known?.first ?? time),
        last: Math.max(known?.last ?? -Infinity, time),
        traffic: traffic.get(key) ?? null,
      })
    }
  if (pods.size === 0) return null
  const sorted = [...pods.values()].sort(
    (a, b) => compareText(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`) || a.first - b.first,
  )
  return {
    pods: sorted,
    byName: Map.groupBy(sorted, ({ namespace, name }) => `${namespace}/${name}`),
    isWhole: cadvisor.status === 'complete' && isFresh(answers('nodes'), window),
  }
}

/**
 * Finds a listed pod in cAdvisor's data; undefined if it is not there. Compares uids, since a StatefulSet's next pod has the same name. A static pod has one
 * uid in the lists and another at the kubelet.
 */
export function findSeen({ byName }: SeenPods, pod: ListedPod): SeenPod | undefined {
  return byName.get(`${pod.namespace}/${pod.name}`)?.find((seen) => isSameUid(seen, pod))
}

/** The fields that distinguish a listed pod from others of its name. */
export type ListedPod = {
  readonly namespace: string
  readonly name: string
  readonly uid: string | null
  /** It is a static pod. */
  readonly isStatic: boolean
}

/** Whether a listed pod and a cAdvisor pod of the same name are the same pod. */
export function isSameUid(seen: SeenPod, { uid, isStatic }: ListedPod): boolean {
  return isStatic || seen.uid === null || uid === null || seen.uid === uid
}

function keyOf(labels: Series['labels']): string {
  return JSON.stringify([labelOf(labels, 'namespace'), labelOf(labels, 'pod'), labelOf(labels, 'uid')])
}

/** systemd writes the uid's dashes as underscores. */
function uidOf(labels: Series['labels']): string | null {
  return labelOf(labels, 'uid').replaceAll('_', '-') || null
}

function trafficOf(answers: (name: CadvisorQueryName) => readonly Series[]): ReadonlyMap<string, Traffic> {
  const all = new Map<string, Traffic>()
  const add = (name: CadvisorQueryName, field: keyof Traffic) => {
    for (const { labels, samples } of answers(name)) {
      const key = keyOf(labels)
      const known = all.get(key) ?? { sentBytes: 0, receivedBytes: 0, packets: 0 }
      all.set(key, { ...known, [field]: known[field] + Math.max(0, samples[0]?.value ?? 0) })
    }
  }
  add('sent-bytes', 'sentBytes')
  add('received-bytes', 'receivedBytes')
  add('sent-packets', 'packets')
  add('received-packets', 'packets')
  return all
}

/**
 * Whether each node's newest sample advanced all the time, up to the end of the window. A node that appears in the window is new; one that disappears is a
 * gap, since its pods may still run.
 */
function isFresh(nodes: readonly Series[], { start, end }: { start: Seconds; end: Seconds }): boolean {
  return (
    nodes.length > 0 &&
    nodes.every(({ samples }) => {
      const times = samples.map(({ value }) => value)
      return times.every((time, index) => {
        const next = times[index + 1] ?? Infinity
        // The last query may run before the window's last samples arrive.
        const until = next === Infinity ? end + STALE_SECONDS / 3 : next
        return until - time <= STALE_SECONDS || until <= start || time >= end
      })
    })
  )
}

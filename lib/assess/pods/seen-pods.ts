import type { CadvisorQueryName } from '../../observed/cadvisor-queries.ts'
import { type Series, parseAnswer } from '../../observed/answers.ts'
import type { Seconds } from '../../model/time.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import { isMoment } from '../../time/windows.ts'
import { labelOf } from '../counters/labels.ts'
import { compareText } from '../../text/order.ts'

/** A pod as the kubelet's cAdvisor showed it around a window. A pod cannot change what it says: the kubelet takes it from the API server. */
export type SeenPod = {
  readonly namespace: string
  readonly name: string
  /** As the API server has it; null where the path of its control group does not tell it. A static pod's is not the one in the lists. */
  readonly uid: string | null
  /** Names of its containers, sorted. Empty: only its sandbox was sampled, as of a pod of some seconds, so that its containers are unknown. */
  readonly containers: readonly string[]
  /** When any of it was first and last sampled, by the kubelet's clock. A start is known to 20 s, an end to {@link END_SECONDS}. */
  readonly first: Seconds
  readonly last: Seconds
  /** What its network interfaces carried in the window; null where it was not told, as of a pod on the host's network. */
  readonly traffic: Traffic | null
}

/** Bytes and packets of a pod's network interfaces in a window, with all headers. */
export type Traffic = {
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly packets: number
}

/** What cAdvisor showed of a window. */
export type SeenPods = {
  /** Sorted by namespace, name and first sample. */
  readonly pods: readonly SeenPod[]
  /** The same, by `namespace/name`. */
  readonly byName: ReadonlyMap<string, readonly SeenPod[]>
  /** The samples of every node that it showed were fresh all the time: whoever ran for more than some seconds is among `pods`. */
  readonly isWhole: boolean
}

/** How long a container may go on after its last sample (measured: 2.5 to 30 s). */
export const END_SECONDS: Seconds = 30

/** A node whose newest sample does not move for so long was not seen. The kubelet's samples are up to 30 s apart, scrapes up to a minute. */
const STALE_SECONDS: Seconds = 90

/**
 * Reads what cAdvisor showed of a window `(start, end]`; null where nothing did, as with a Prometheus that does not scrape it. Throws AnswerError.
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
      // A time that can be none tells that the pod was there and not when: then it was, all the time.
      const time = isMoment(said) ? said : isFirst ? start : end
      const key = keyOf(labels)
      const known = pods.get(key)
      const container = labelOf(labels, 'container')
      pods.set(key, {
        namespace: labelOf(labels, 'namespace'),
        name: labelOf(labels, 'pod'),
        uid: uidOf(labels),
        // Docker's shim calls the sandbox a container of this name.
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
 * What cAdvisor showed of a listed pod; undefined where nothing. By uid, since a StatefulSet's next pod has the same name. A static pod has one uid
 * in the lists and another at the kubelet.
 */
export function findSeen({ byName }: SeenPods, pod: ListedPod): SeenPod | undefined {
  return byName.get(`${pod.namespace}/${pod.name}`)?.find((seen) => isSameUid(seen, pod))
}

/** A listed pod as far as it takes to tell it from others of its name. */
export type ListedPod = {
  readonly namespace: string
  readonly name: string
  readonly uid: string | null
  /** It belongs to its node. */
  readonly isStatic: boolean
}

/** Whether a pod of a list and one that cAdvisor showed, of the same name, are the same. */
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
 * Whether each node's newest sample moved on all the time, up to the end of the window. A node that appears in it is new; one that goes is a
 * gap, since its pods may run on.
 */
function isFresh(nodes: readonly Series[], { start, end }: { start: Seconds; end: Seconds }): boolean {
  return (
    nodes.length > 0 &&
    nodes.every(({ samples }) => {
      const times = samples.map(({ value }) => value)
      return times.every((time, index) => {
        const next = times[index + 1] ?? Infinity
        // The last look may come before the window's last samples do.
        const until = next === Infinity ? end + STALE_SECONDS / 3 : next
        return until - time <= STALE_SECONDS || until <= start || time >= end
      })
    })
  )
}

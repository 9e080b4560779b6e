import { cadvisorQueriesOf } from '../../../lib/observed/cadvisor-queries.ts'
import { SETTLE_SECONDS, toSeconds } from '../../../lib/time/windows.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import type { Window } from '../../../lib/model/time.ts'
import type { Pod } from './synthetic-pods.ts'

/** What a kubelet shows of the pods of a cluster. Times are seconds after the window's start. */
export type SyntheticKubelet = {
  /** When Prometheus, or the node, was away: no sample is of that time. */
  readonly away?: readonly { readonly from: number; readonly to: number }[]
  /** Seconds between two samples of a container. */
  readonly period?: number
  /** Pods of which only the sandbox is sampled. */
  readonly sandboxOnly?: readonly Pod[]
  /** What the interface of a pod carried in the window; absent: 1,000 bytes in ten packets each way. */
  readonly traffic?: (pod: Pod) => { readonly sent: number; readonly received: number; readonly packets: number }
  readonly node?: string
}

const CONTAINERS = { meshed: ['', 'app', 'linkerd-proxy'], unmeshed: ['', 'app'], sandbox: [''] } as const

/** The answers to the queries for cAdvisor of a window, as Prometheus reduces them. */
export function cadvisorOf(
  window: Window,
  pods: readonly Pod[],
  kubelet: SyntheticKubelet = {},
): NonNullable<Snapshot['cadvisor']> {
  const { away = [], period = 15, sandboxOnly = [], traffic, node = 'node-1' } = kubelet
  const start = toSeconds(window.start)
  const length = toSeconds(window.end) - start
  const isAway = (time: number) => away.some(({ from, to }) => time > from && time < to)
  const samples = (pod: Pod, until: number) => {
    const times: number[] = []
    for (let time = Math.max(pod.from, -300); time < Math.min(pod.to, until); time += period)
      if (!isAway(time)) times.push(time)
    return times
  }
  const lives = pods.flatMap((pod) => {
    // A look reaches five minutes back, and a minute past the window's end.
    const times = samples(pod, length + SETTLE_SECONDS)
    const of = sandboxOnly.includes(pod) ? 'sandbox' : pod.meshed ? 'meshed' : 'unmeshed'
    return times.length === 0 ? [] : CONTAINERS[of].map((container) => ({ pod, container, times }))
  })
  const looks = Array.from({ length: Math.floor((length + SETTLE_SECONDS) / 30) + 1 }, (_, index) => index * 30)
  const nodeTimes = looks.flatMap((look) => {
    const fresh = [...Array(300).keys()].map((back) => look - back).find((time) => !isAway(time))
    return fresh === undefined ? [] : [[start + look, String(start + fresh)]]
  })
  const labels = ({ namespace, name, uid }: Pod) => ({ namespace, pod: name, uid: uid.replaceAll('-', '_') })
  const vector = (entries: readonly { readonly metric: object; readonly value: number }[], time: number) => ({
    resultType: 'vector',
    result: entries.map(({ metric, value }) => ({ metric, value: [time, String(value)] })),
  })
  const carried = (read: (own: { sent: number; received: number; packets: number }) => number, time: number) =>
    vector(
      pods
        .filter((pod) => !pod.hostNetwork && samples(pod, length).some((at) => at > 0))
        .map((pod) => ({
          metric: labels(pod),
          value: read(traffic?.(pod) ?? { sent: 1000, received: 1000, packets: 20 }),
        })),
      time,
    )
  return {
    status: 'complete',
    errors: [],
    answers: cadvisorQueriesOf(window).map(({ name, query, time }) => {
      const sampled = (pick: (...times: number[]) => number) =>
        vector(
          lives.map(({ pod, container, times }) => ({
            metric: { ...labels(pod), ...(container === '' ? {} : { container }) },
            value: start + pick(...times),
          })),
          time,
        )
      const data =
        name === 'containers-first'
          ? sampled(Math.min)
          : name === 'containers-last'
            ? sampled(Math.max)
            : name === 'nodes'
              ? {
                  resultType: 'matrix',
                  result: lives.length === 0 ? [] : [{ metric: { instance: node }, values: nodeTimes }],
                }
              : carried(
                  ({ sent, received, packets }) =>
                    name === 'sent-bytes' ? sent : name === 'received-bytes' ? received : packets / 2,
                  time,
                )
      return { name, query, time: String(time), body: JSON.stringify({ status: 'success', data }) }
    }),
  }
}

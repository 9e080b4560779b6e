import { DEMO_FIXTURE, openFixture } from '../../../demo/fixture.ts'
import { kubernetesReplay } from '../../../demo/replay-kubernetes.ts'
import { prometheusReplay } from '../../../demo/replay-prometheus.ts'
import { SETTLE_SECONDS, toSeconds } from '../../../lib/time/windows.ts'
import { movedLists, movedMetrics, scalar } from './demo-mesh.ts'
import { type KubernetesServer, startKubernetesServer } from '../servers/kubernetes-server.ts'
import { type PrometheusServer, startPrometheusServer } from '../servers/prometheus-server.ts'

/** The recorded mesh of the demo, which goes on for ever: what was recorded begins again whenever it is over. */
export type LoopedMesh = {
  readonly kubernetes: KubernetesServer
  readonly prometheus: PrometheusServer
  /** From now on nobody answers, or everybody again. */
  readonly setDown: (isDown: boolean) => void
  readonly close: () => Promise<void>
}

/** Starts one, whose clock is that of this process. */
export async function startLoopedMesh(): Promise<LoopedMesh> {
  const fixture = openFixture(DEMO_FIXTURE)
  const first = toSeconds(fixture.windows[0]?.start ?? '')
  const length = toSeconds(fixture.windows.at(-1)?.end ?? '') - first
  /** By how much the recording is moved for the window that a time ends. */
  const shiftAt = (time: number): number => (Math.ceil((time - first) / length) - 1) * length

  const lists = kubernetesReplay(fixture.kubernetes)
  const kubernetes = await startKubernetesServer((url) => {
    const now = Date.now()
    const shift = shiftAt(now / 1000 - SETTLE_SECONDS)
    // Before the first lists of a round, those of the one before hold.
    const answers = [shift, shift - length].map((by) => movedLists(lists, by)(url, new Date(now)))
    return answers.find(({ status }) => status === 200) ?? answers[0] ?? { status: 500, body: '' }
  }, new Date().toISOString())
  const metrics = await prometheusReplay(fixture.prometheus)
  const prometheus = await startPrometheusServer((path, parameters) => {
    if (parameters.get('query') === 'time()') return scalar(Date.now() / 1000)
    const time = Number(parameters.get('time'))
    // What is asked about the begin or the time after the end of a window was recorded with that window.
    const answers = [time, time + 300, time - SETTLE_SECONDS].map((at) =>
      movedMetrics(metrics, shiftAt(at))(path, parameters),
    )
    return answers.find(({ status }) => status === 200) ?? answers[0] ?? { status: 500, body: '' }
  })
  return {
    kubernetes,
    prometheus,
    setDown: (isDown) => {
      const refuse = isDown ? () => ({ answer: { status: 403, body: '{}' } }) : undefined
      prometheus.misbehave(refuse)
      kubernetes.misbehave(refuse)
    },
    close: async () => {
      await Promise.all([kubernetes.close(), prometheus.close()])
    },
  }
}

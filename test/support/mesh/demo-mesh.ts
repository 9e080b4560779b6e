import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEMO_FIXTURE, openFixture } from '../../../demo/fixture.ts'
import { kubernetesReplay } from '../../../demo/replay-kubernetes.ts'
import type { KubernetesReplay } from '../../../demo/replay-kubernetes.ts'
import { prometheusReplay } from '../../../demo/replay-prometheus.ts'
import type { PrometheusReplay } from '../../../demo/replay-prometheus.ts'
import { CADVISOR_PODS_QUERY } from '../../../lib/observed/cadvisor-queries.ts'
import { SETTLE_SECONDS, toSeconds, toTime } from '../../../lib/time/windows.ts'
import type { Seconds, Window } from '../../../lib/model/time.ts'
import { run } from '../process/command-line.ts'
import type { Ran } from '../process/command-line.ts'
import { startKubernetesServer } from '../servers/kubernetes-server.ts'
import type { KubernetesServer } from '../servers/kubernetes-server.ts'
import { startPrometheusServer } from '../servers/prometheus-server.ts'
import type { PrometheusServer } from '../servers/prometheus-server.ts'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'

/** The recorded mesh of the demo behind real servers, with a folder in which the command line knows it as cluster `shop`. */
export type DemoMesh = {
  readonly folder: string
  readonly kubeconfig: string
  /** Seven windows of five minutes that join, oldest first. */
  readonly windows: readonly Window[]
  readonly kubernetes: KubernetesServer
  readonly prometheus: PrometheusServer
  /** What commands here take for the present, RFC 3339: just after the recording; undefined in a mesh that is live: the clock of the machine. */
  readonly now: string | undefined
  /** What Prometheus' own clock is ahead of ours; only looked at without `--now`. */
  readonly setSkew: (seconds: Seconds) => void
  /** Moves the simulated time to when a window can first be collected, and gives the options that collect it then. */
  readonly optionsAt: (window: Window) => string[]
  /** Runs a command in the folder. */
  readonly run: (...args: string[]) => Promise<Ran>
  readonly close: () => Promise<void>
}

export type DemoMeshOptions = {
  /** As if it had been recorded until just now, so that clocks and retention can be judged. Default: when it was recorded. */
  readonly isLive?: boolean
  /** Changes an answer of Prometheus before it is sent. */
  readonly changeMetrics?: (answer: ReplayAnswer, parameters: URLSearchParams) => ReplayAnswer
  /** Changes an answer of the Kubernetes API before it is sent. */
  readonly changeLists?: (answer: ReplayAnswer, url: string) => ReplayAnswer
}

/** Starts the demo's mesh and registers it. */
export async function startDemoMesh({
  isLive = false,
  changeMetrics = (answer) => answer,
  changeLists = (answer) => answer,
}: DemoMeshOptions = {}): Promise<DemoMesh> {
  const fixture = openFixture(DEMO_FIXTURE)
  const recordedEnd = toSeconds(fixture.windows.at(-1)?.end ?? '')
  // A whole number of windows, so that windows stay windows.
  const shift = isLive ? Math.floor((Date.now() / 1000 - SETTLE_SECONDS - recordedEnd) / 300) * 300 : 0
  const windows = fixture.windows.map(({ start, end }) => ({ start: moved(start, shift), end: moved(end, shift) }))
  const oldest = windows[0]?.start ?? ''
  const latest = windows.at(-1)?.end ?? ''
  const settled = toTime(recordedEnd + SETTLE_SECONDS)
  const clock = (): Seconds => (isLive ? Date.now() / 1000 : toSeconds(settled))
  let skew = 0

  const lists = movedLists(kubernetesReplay(fixture.kubernetes), shift)
  const kubernetes = await startKubernetesServer((url, time) => changeLists(lists(url, time), url), latest)
  const metrics = movedMetrics(await prometheusReplay(fixture.prometheus), shift)
  const prometheus = await startPrometheusServer((path, parameters) => {
    const query = parameters.get('query') ?? ''
    if (query === 'time()') return scalar(clock() + skew)
    if (path === '/api/v1/query_range') return scrapedRange(parameters, toSeconds(oldest), toSeconds(latest))
    const counted = COUNTED.get(query)
    const answer = counted === undefined ? metrics(path, parameters) : vector(clock(), counted)
    return changeMetrics(answer, parameters)
  })

  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-cli-'))
  const kubeconfig = join(folder, 'kubeconfig')
  kubernetes.writeKubeconfig(kubeconfig)
  const now = isLive ? undefined : settled
  const runHere = (...args: string[]): Promise<Ran> => run(args, { folder, now })
  const mesh: DemoMesh = {
    folder,
    kubeconfig,
    windows,
    kubernetes,
    prometheus,
    now,
    setSkew: (seconds) => {
      skew = seconds
    },
    optionsAt: ({ end }) => {
      const at = toTime(toSeconds(end) + SETTLE_SECONDS)
      kubernetes.setTime(at)
      return ['--at', end, '--now', at]
    },
    run: runHere,
    close: async () => {
      await Promise.all([kubernetes.close(), prometheus.close()])
      rmSync(folder, { recursive: true, force: true })
    },
  }
  const added = await runHere(...addArguments(mesh))
  if (added.code !== 0) {
    await mesh.close()
    throw new Error(`Cannot register the demo's mesh: ${added.stderr}`)
  }
  return mesh
}

/** The arguments that register a mesh, as `shop`. */
export function addArguments({ kubeconfig, prometheus }: Pick<DemoMesh, 'kubeconfig' | 'prometheus'>): string[] {
  return ['cluster', 'add', 'shop', '--kubeconfig', kubeconfig, '--prometheus-url', prometheus.url, '--window', '5m']
}

function moved(time: string, shift: Seconds): string {
  return toTime(toSeconds(time) + shift)
}

/** Recorded lists as if they had been made so much later. */
export function movedLists(replay: KubernetesReplay, shift: Seconds): KubernetesReplay {
  if (shift === 0) return replay
  return (url, time) => {
    const { status, body } = replay(url, new Date(time.getTime() - shift * 1000))
    return { status, body: body.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, (text) => moved(text, shift)) }
  }
}

/** What `cluster check` counts, which no recording holds. */
const COUNTED: ReadonlyMap<string, number> = new Map([
  ['count(up{job="linkerd-proxy"} == 1)', 30],
  ['count(tcp_open_total{job="linkerd-proxy"})', 1000],
  [CADVISOR_PODS_QUERY, 22],
])

function vector(at: Seconds, count: number): ReplayAnswer {
  return success({ resultType: 'vector', result: [{ metric: {}, value: [at, String(count)] }] })
}

type Vector = { readonly value: [Seconds, string] }
type Matrix = { readonly values: readonly [Seconds, string][] }

/** Recorded answers as if they had been given so much later. */
export function movedMetrics(replay: PrometheusReplay, shift: Seconds): PrometheusReplay {
  if (shift === 0) return replay
  return (path, parameters) => {
    const asked = new URLSearchParams(parameters)
    asked.set('time', String(Number(parameters.get('time')) - shift))
    const { status, body } = replay(path, asked)
    if (status !== 200) return { status, body }
    const isTime = (parameters.get('query') ?? '').startsWith('process_start_time_seconds')
    const sample = ([time, value]: readonly [Seconds, string]): [Seconds, string] => [
      Math.round((time + shift) * 1000) / 1000,
      isTime ? String(Number(value) + shift) : value,
    ]
    const answer = JSON.parse(body) as { data: { result: (Vector | Matrix)[] } }
    const result = answer.data.result.map((series) =>
      'values' in series
        ? { ...series, values: series.values.map(sample) }
        : { ...series, value: sample(series.value) },
    )
    return { status, body: JSON.stringify({ ...answer, data: { ...answer.data, result } }) }
  }
}

/** The answer to a question for one number. */
export function scalar(seconds: Seconds): ReplayAnswer {
  return success({ resultType: 'scalar', result: [seconds, String(seconds)] })
}

/** How many proxies were scraped, at each step of the asked range that lies in the recording. */
function scrapedRange(parameters: URLSearchParams, oldest: Seconds, latest: Seconds): ReplayAnswer {
  const [start, end, step] = ['start', 'end', 'step'].map((name) => Number(parameters.get(name)))
  const values: [Seconds, string][] = []
  for (let time = start ?? 0; time <= (end ?? 0); time += step ?? 1)
    if (time > oldest && time <= latest) values.push([time, '30'])
  return success({ resultType: 'matrix', result: values.length === 0 ? [] : [{ metric: {}, values }] })
}

function success(data: unknown): ReplayAnswer {
  return { status: 200, body: JSON.stringify({ status: 'success', data }) }
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cadvisorQueriesOf } from '../lib/observed/cadvisor-queries.ts'
import { queriesOf } from '../lib/observed/prometheus-queries.ts'
import { toSeconds } from '../lib/time/windows.ts'
import { startKubernetesReplay } from '../demo/replay-kubernetes.ts'
import { answersOf, podsOf, replicaSetsOf, serveAnswers } from './large-cluster.ts'
import { type Cost, measured, median, run } from './processes.ts'

/**
 * Measures the collector (what is asked, checked and stored) and the whole `collect` command (which also derives) against curl fetching the same
 * answers from the same server, in the same run: what they cost beyond the transfer; and how long `look` takes for the same minutes.
 * Prints one line of JSON for each run and the medians. `npm run bench -- collecting --series 20000 --runs 3`
 */
export async function benchCollecting(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      series: { type: 'string', default: '20000' },
      'clear-share': { type: 'string', default: '0.05' },
      pods: { type: 'string', default: '500' },
      minutes: { type: 'string', default: '5' },
      runs: { type: 'string', default: '3' },
    },
  })
  const size = { series: Number(values.series), clearShare: Number(values['clear-share']), pods: Number(values.pods) }
  const end = '2026-11-24T13:00:00Z'
  const window = {
    start: new Date(Date.parse(end) - Number(values.minutes) * 60_000).toISOString().replace('.000Z', 'Z'),
    end,
  }
  const now = '2026-11-24T13:01:00Z'
  const created = '2026-11-20T00:00:00Z'

  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-bench-'))
  const answers = answersOf(window, size)
  const lists = join(folder, 'k8s', '20261124T120000Z')
  mkdirSync(lists, { recursive: true })
  const list = (name: string, kind: string, apiVersion: string, items: readonly unknown[]) =>
    writeFileSync(join(lists, `${name}.json`), JSON.stringify({ kind: `${kind}List`, apiVersion, metadata: {}, items }))
  list('pods', 'Pod', 'v1', podsOf(size.pods, created))
  list('replicasets', 'ReplicaSet', 'apps/v1', replicaSetsOf(size.pods))
  for (const [name, kind, apiVersion] of [
    ['namespaces', 'Namespace', 'v1'],
    ['services', 'Service', 'v1'],
    ['serviceaccounts', 'ServiceAccount', 'v1'],
    ['deployments', 'Deployment', 'apps/v1'],
    ['statefulsets', 'StatefulSet', 'apps/v1'],
    ['daemonsets', 'DaemonSet', 'apps/v1'],
    ['jobs', 'Job', 'batch/v1'],
    ['cronjobs', 'CronJob', 'batch/v1'],
  ] as const)
    list(name, kind, apiVersion, [])

  const prometheus = await serveAnswers(answers, toSeconds(now))
  const kubernetes = await startKubernetesReplay(join(folder, 'k8s'), now, join(folder, 'kubeconfig'))

  try {
    const bytes = [...answers.values()].reduce((sum, body) => sum + body.length, 0)
    const config = join(folder, 'curl.txt')
    writeFileSync(
      config,
      [...queriesOf(window), ...cadvisorQueriesOf(window)]
        .map(
          ({ query, time }) =>
            `url = "${prometheus.url}/api/v1/query"\ndata-urlencode = ${JSON.stringify(`query=${query}`)}\ndata-urlencode = "time=${time}"\noutput = "/dev/null"\nsilent\n`,
        )
        .join('next\n'),
    )
    const runs: { collector: Cost; command: Cost; look: Cost; lookSeconds: number; curlSeconds: number }[] = []
    for (let run = 0; run < Number(values.runs); run++) {
      const [store, alone] = [join(folder, `store-${run}`), join(folder, `collector-${run}`)]
      for (const each of [store, alone])
        await measured('measured.ts', [
          '--store',
          each,
          'cluster',
          'add',
          'bench',
          '--kubeconfig',
          join(folder, 'kubeconfig'),
          '--prometheus-url',
          prometheus.url,
          '--window',
          `${values.minutes}m`,
        ])
      const collector = await measured('collector.ts', [alone, window.start, window.end, now])
      const command = await measured('measured.ts', ['--store', store, 'collect', '--at', end, '--now', now])
      const asked = ['--store', store, 'look', '--last', `${values.minutes}m`, '--now', now]
      const begun = performance.now()
      const look = await measured('measured.ts', asked)
      const lookSeconds = Math.round(performance.now() - begun) / 1000
      const curlSeconds = await curl(config)
      runs.push({ collector, command, look, lookSeconds, curlSeconds })
      console.log(JSON.stringify({ run, collector, command, look, lookSeconds, curlCpuSeconds: curlSeconds }))
    }
    const figures = (which: 'collector' | 'command') => ({
      beyondCurlSeconds: Math.round(median(runs.map((one) => one[which].cpuSeconds - one.curlSeconds)) * 100) / 100,
      peakMegabytes: Math.round(median(runs.map((one) => one[which].peakMegabytes))),
    })
    console.log(
      JSON.stringify({
        ...size,
        windowMinutes: Number(values.minutes),
        answerMegabytes: Math.round(bytes / 1e5) / 10,
        medianCollector: figures('collector'),
        medianCommand: figures('command'),
        medianLook: {
          seconds: median(runs.map(({ lookSeconds }) => lookSeconds)),
          cpuSeconds: Math.round(median(runs.map(({ look }) => look.cpuSeconds)) * 100) / 100,
          peakMegabytes: Math.round(median(runs.map(({ look }) => look.peakMegabytes))),
        },
        wanted: { beyondCurlSeconds: 1.5, peakMegabytes: 300, lookSeconds: 5 },
      }),
    )
  } finally {
    await prometheus.close()
    await kubernetes.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The CPU seconds of curl fetching every answer. */
async function curl(config: string): Promise<number> {
  const { code, stderr } = await run('bash', ['-c', `TIMEFORMAT='%U %S'; time curl --config ${JSON.stringify(config)}`])
  if (code !== 0) throw new Error(`Cannot run curl: it ended with ${code}: ${stderr}`)
  const [user = 0, system = 0] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number)
  return user + system
}

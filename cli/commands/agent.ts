import type { Command } from 'commander'
import { openCluster } from '../../lib/collect/cluster/open-cluster.ts'
import { SETTLE_SECONDS, toTime } from '../../lib/time/windows.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { collectAsAgent } from '../../lib/jobs/collect-as-agent.ts'
import { ClusterOptionError, newRegistration } from '../../lib/store/registry/registration.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { openStore } from '../open-store.ts'
import { TIMEOUT_HELP, parseProxies, readTime, readTimeout, readWindowMinutes } from '../option-values.ts'

/** The options of `agent`. */
type AgentOptions = {
  readonly cluster: string
  readonly window?: string
  readonly kubeconfig?: string
  readonly prometheusUrl?: string
  /** False: `--no-prometheus` was given. */
  readonly prometheus?: boolean
  readonly proxies?: string
  readonly linkerdNamespace?: string
  readonly vizNamespace?: string
  readonly timeout?: string
  readonly now?: string
  readonly json?: boolean
  readonly store?: string
}

/** Adds `ciphertrail agent`. */
export function addAgent(program: Command, console: Console): void {
  program
    .command('agent')
    .summary('collect from inside a cluster whose API server nobody outside can reach')
    .description(
      'Collects the due windows of the one cluster that it runs in, stores the attempts and ends. It reads and writes nothing of the store but the attempts of this cluster: what they come to is derived by whoever collects from the other clusters. The cluster is registered there with "cluster add ID --agent" and the same window size. infra/agent has the manifests.',
    )
    .requiredOption('--cluster <id>', 'as it is registered')
    .option('--window <size>', '5m, 15m, 30m or 60m, as it is registered (default 60m)')
    .option('--kubeconfig <file>', 'default: the ServiceAccount of the pod this runs in')
    .option(
      '--prometheus-url <url>',
      'Prometheus with the scrape job of linkerd-viz; default: viz’s own, by port-forward',
    )
    .option('--no-prometheus', 'there is no Prometheus: proxies are read by the names of their pods, and nothing else')
    .option('--proxies <which>', 'auto, all or off, as of "cluster add" (default off)')
    .option('--linkerd-namespace <ns>', 'namespace of the control plane (default linkerd)')
    .option('--viz-namespace <ns>', 'namespace of the viz extension (default linkerd-viz)')
    .option('--timeout <seconds>', TIMEOUT_HELP)
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object for each window')
    .addHelpText(
      'after',
      '\nExample:\n  ciphertrail agent --cluster prod --store s3://acme-evidence/ciphertrail \\\n      --prometheus-url http://prometheus.linkerd-viz.svc.cluster.local:9090\n\nExit code 1 if any window that was due has no complete attempt.',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<AgentOptions>()
      const deadlines = readTimeout(options.timeout)
      const replayed = options.now === undefined ? undefined : new Date(readTime('--now', options.now))
      const now = replayed === undefined ? console.now : () => replayed
      const cluster = clusterOf(options, now())
      const objects = openStore(options, console)
      const access = openCluster(cluster, { environment: console.config, ...deadlines })
      const input = {
        collector: { name: 'ciphertrail', version: console.version },
        now,
        isReplay: replayed !== undefined,
      }
      let isComplete = true
      let isAny = false
      const said = new Set<string>()
      try {
        for await (const { window, key, complete, errors } of collectAsAgent(cluster, input, { objects, access })) {
          isAny = true
          isComplete &&= complete
          for (const line of errors) if (!said.has(line)) console.err(line)
          for (const line of errors) said.add(line)
          if (options.json === true)
            console.out(toJson({ cluster: cluster.id, window, attempt: key, complete, errors }))
          else
            console.out(
              `${cluster.id} ${window.start} to ${window.end}: ${complete ? 'complete' : 'incomplete'}, stored as ${key}`,
            )
        }
      } finally {
        await access.close()
      }
      if (!isAny && options.json !== true)
        console.out(
          `${cluster.id}: nothing is due before ${toTime(Math.floor(now().getTime() / 1000) - SETTLE_SECONDS)}`,
        )
      if (!isComplete) throw new FailedError()
    })
}

/** The cluster that this runs in, as its options say it: the agent does not read the registry. */
function clusterOf(options: AgentOptions, now: Date): Cluster {
  const {
    cluster: id,
    window,
    kubeconfig,
    prometheusUrl,
    prometheus,
    proxies,
    linkerdNamespace,
    vizNamespace,
  } = options
  if (prometheus === false && (prometheusUrl !== undefined || proxies === 'off'))
    throw new UsageError('Cannot use --no-prometheus together with --prometheus-url or --proxies off')
  try {
    return newRegistration(
      {
        id,
        ...(kubeconfig === undefined ? {} : { kubeconfig }),
        ...(prometheusUrl === undefined ? {} : { prometheusUrl }),
        ...(prometheus === false ? { noPrometheus: true } : {}),
        ...(proxies === undefined ? {} : { proxies: parseProxies(proxies) }),
        ...(linkerdNamespace === undefined ? {} : { linkerdNamespace }),
        ...(vizNamespace === undefined ? {} : { vizNamespace }),
        ...(window === undefined ? {} : { windowMinutes: readWindowMinutes(window) }),
      },
      now,
    )
  } catch (error) {
    if (!(error instanceof ClusterOptionError)) throw error
    throw new UsageError(error.message.replace('Cannot add cluster', `Cannot collect as agent of cluster`))
  }
}

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { checkCluster } from '../lib/collect/check.ts'
import { openCluster } from '../lib/collect/cluster.ts'
import { printable } from '../lib/report/printable.ts'
import { ClusterOptionError, addCluster, readClusters, removeCluster } from '../lib/store/registry.ts'
import { type Console, FailedError, UsageError } from './console.ts'
import { toJson } from './json.ts'
import { chosenClusters, openStore, storeWarnings } from './store.ts'
import { tableLines } from './table.ts'
import { TIMEOUT_HELP, readTimeout, readWindowMinutes } from './values.ts'

/** The options of `cluster add`. */
type AddOptions = {
  readonly kubeconfig?: string
  readonly context?: string
  readonly prometheusUrl?: string
  readonly linkerdNamespace?: string
  readonly vizNamespace?: string
  readonly window?: string
  readonly json?: boolean
  readonly store?: string
}

/** Adds `ciphertrail cluster add|list|remove|check`. */
export function addClusterCommands(program: Command, console: Console): void {
  const cluster = program
    .command('cluster')
    .summary('register clusters and check the ways into them')
    .description('Registers clusters. A registration holds ways in, never credentials: those stay in the kubeconfig.')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail cluster add prod --prometheus-url http://127.0.0.1:9090\n  ciphertrail cluster check prod',
    )

  cluster
    .command('add')
    .summary('register a cluster, or change a registration')
    .description(
      'Registers a cluster, or changes what is given of one that is registered. Another window size takes effect at the next UTC midnight.',
    )
    .argument('<id>', '1 to 63 of a-z, 0-9 and "-"')
    .option('--kubeconfig <file>', 'default: KUBECONFIG, ~/.kube/config, or the ServiceAccount of the pod this runs in')
    .option('--context <name>', 'context of the kubeconfig; default its current one')
    .option('--prometheus-url <url>', 'Prometheus of linkerd-viz, or one that has its scrape job')
    .option('--linkerd-namespace <ns>', 'namespace of the control plane (default linkerd)')
    .option('--viz-namespace <ns>', 'namespace of the viz extension (default linkerd-viz)')
    .option('--window <size>', '5m, 15m, 30m or 60m (default 60m)')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  kubectl -n linkerd-viz port-forward deploy/prometheus 9090 &\n  ciphertrail cluster add prod --context prod --prometheus-url http://127.0.0.1:9090',
    )
    .action(async (id: string, _: unknown, command: Command) => {
      const { kubeconfig, context, prometheusUrl, linkerdNamespace, vizNamespace, window, json, store } =
        command.optsWithGlobals<AddOptions>()
      const objects = openStore({ store }, console)
      const given = {
        id,
        ...(kubeconfig === undefined ? {} : { kubeconfig: resolve(kubeconfig) }),
        ...(context === undefined ? {} : { context }),
        ...(prometheusUrl === undefined ? {} : { prometheusUrl }),
        ...(linkerdNamespace === undefined ? {} : { linkerdNamespace }),
        ...(vizNamespace === undefined ? {} : { vizNamespace }),
        ...(window === undefined ? {} : { windowMinutes: readWindowMinutes(window) }),
      }
      // Every store begins with a cluster, so this is where its first user can still turn back.
      for (const line of storeWarnings({ store }, console)) console.err(line)
      try {
        const outcome = await addCluster(given, { now: console.now(), by: console.user }, { objects })
        if (json === true) console.out(toJson({ cluster: id, outcome }))
        else console.out(`Cluster "${id}" ${outcome}. Next: ciphertrail cluster check ${id}`)
        const registered = (await readClusters({ objects })).find((one) => one.id === id)
        if (registered !== undefined && registered.prometheusUrl === undefined)
          console.err(
            `Cluster "${id}" has no address of Prometheus, so nothing can be collected: add it with "ciphertrail cluster add ${id} --prometheus-url URL"`,
          )
      } catch (error) {
        throw error instanceof ClusterOptionError ? new UsageError(error.message) : error
      }
    })

  cluster
    .command('list')
    .summary('list the registered clusters')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample:\n  ciphertrail cluster list --json')
    .action(async (_: unknown, command: Command) => {
      const { json, store } = command.optsWithGlobals<{ readonly json?: boolean; readonly store?: string }>()
      const clusters = await readClusters({ objects: openStore({ store }, console) })
      if (json === true) for (const one of clusters) console.out(toJson(one))
      else if (clusters.length === 0) console.err('No clusters are registered.')
      else
        for (const line of tableLines(clusters, [
          { heading: 'ID', text: ({ id }) => id },
          { heading: 'REGISTERED', text: ({ registeredAt }) => registeredAt },
          {
            heading: 'WINDOW',
            text: ({ windows }) =>
              windows
                .map(({ since, minutes }, index) => (index === 0 ? `${minutes}m` : `${minutes}m from ${since}`))
                .join(', '),
          },
          { heading: 'CONTEXT', text: ({ context }) => context ?? '-' },
          { heading: 'KUBECONFIG', text: ({ kubeconfig }) => kubeconfig ?? '-' },
          { heading: 'PROMETHEUS', text: ({ prometheusUrl }) => prometheusUrl ?? '-' },
        ]))
          console.out(line)
    })

  cluster
    .command('remove')
    .summary('take a cluster out of the registry; its evidence stays')
    .argument('<id>', 'a registered cluster')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  ciphertrail cluster remove prod')
    .action(async (id: string, _: unknown, command: Command) => {
      const { json, store } = command.optsWithGlobals<{ readonly json?: boolean; readonly store?: string }>()
      const wasThere = await removeCluster(
        id,
        { now: console.now(), by: console.user },
        { objects: openStore({ store }, console) },
      )
      if (!wasThere) throw new UsageError(`Cannot remove cluster "${printable(id)}": it is not registered`)
      if (json === true) console.out(toJson({ cluster: id, outcome: 'removed' }))
      else console.out(`Cluster "${id}" removed. Its evidence and history stay in the store`)
    })

  cluster
    .command('check')
    .summary('check every way into a cluster, with a hint for each failure')
    .description(
      'Checks that the API server can be reached, that each list is allowed, and that Prometheus answers and has series of proxies.',
    )
    .argument('<id>', 'a registered cluster')
    .option('--timeout <seconds>', TIMEOUT_HELP)
    .option('--json', 'one JSON object for each check')
    .addHelpText('after', '\nExample:\n  ciphertrail cluster check prod\n\nExit code 1 if any check failed.')
    .action(async (id: string, _: unknown, command: Command) => {
      const { json, store, timeout } = command.optsWithGlobals<{
        readonly json?: boolean
        readonly store?: string
        readonly timeout?: string
      }>()
      const deadlines = readTimeout(timeout)
      const [registered] = await chosenClusters(openStore({ store }, console), [id])
      if (registered === undefined)
        throw new UsageError(`Cannot check cluster "${printable(id)}": it is not registered`)
      const access = openCluster(registered, { environment: console.config, ...deadlines })
      try {
        console.progress(`Checking ${id}`)
        const checks = await checkCluster(registered, { access, now: console.now })
        for (const { title, problem } of checks) {
          if (json === true) console.out(toJson({ cluster: id, check: title, ok: problem === null, problem }))
          else
            console.out(
              problem === null
                ? `${console.colors.green('√')} ${title}`
                : `${console.colors.red('×')} ${title}\n    ${problem}`,
            )
        }
        if (checks.some(({ problem }) => problem !== null)) throw new FailedError()
      } finally {
        await access.close()
      }
    })
}

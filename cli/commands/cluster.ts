import { resolve } from 'node:path'
import type { Command } from 'commander'
import { checkCluster } from '../../lib/collect/cluster/check-cluster.ts'
import type { ClusterCheck } from '../../lib/collect/cluster/check-cluster.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { printable } from '../../lib/text/printable.ts'
import { type Trust, connectionHash } from '../../lib/store/registry/trust.ts'
import { ClusterOptionError } from '../../lib/store/registry/registration.ts'
import { addCluster, type DecidedCluster, readClusters, removeCluster } from '../../lib/store/registry/registry.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { utcTime } from '../../lib/time/dates.ts'
import { chosenClusters, openStore, storeWarnings } from '../open-store.ts'
import { tableLines } from '../terminal-table.ts'
import { openRegistered, openTrust, refusePlaces } from '../operator-trust.ts'
import { TIMEOUT_HELP, parseProxies, readTimeout, readWindowMinutes } from '../option-values.ts'
import type { AddClusterOptions } from './cluster-options.ts'
import { connectionText, parseTap, eksOf, refuseAddresses, apiServerOf, authOf } from './cluster-options.ts'

/** Adds `ciphertrail cluster add|list|remove|check`. */
export function addClusterCommands(program: Command, console: Console): void {
  const cluster = program
    .command('cluster')
    .summary('register clusters and check access to them')
    .description('Registers clusters. A registration holds ways in, never credentials: those stay in the kubeconfig.')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail cluster add prod --context prod\n  ciphertrail cluster check prod',
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
    .option('--eks <name>', 'cluster of Amazon EKS, instead of a kubeconfig; needs eks:DescribeCluster')
    .option('--eks-region <region>', '... and its region')
    .option('--eks-role <arn>', '... and a role to assume first')
    .option('--api-server <url>', 'address of the API server, instead of a kubeconfig')
    .option('--ca <file>', '... and the certificate of its authority, which is kept')
    .option('--token-file <file>', '... and the file with the token of a ServiceAccount')
    .option('--token-secret <name>', '... or the name or ARN of a secret of AWS that holds the token')
    .option('--agent', 'it is collected from inside, by "ciphertrail agent", since nobody outside can reach it')
    .option(
      '--prometheus-url <url>',
      'Prometheus with the scrape job of linkerd-viz; default: viz’s own, by port-forward through the API server',
    )
    .option('--prometheus-token-file <file>', 'file with the bearer token for --prometheus-url')
    .option('--prometheus-user <name>', 'user for --prometheus-url')
    .option('--prometheus-password-file <file>', '... and the file with its password')
    .option('--prometheus-cert-file <file>', 'client certificate for --prometheus-url')
    .option('--prometheus-key-file <file>', '... and its key')
    .option('--prometheus-ca-file <file>', 'authorities to trust for --prometheus-url')
    .option('--prometheus-sigv4 <region>', 'sign requests to --prometheus-url: Amazon Managed Prometheus')
    .option('--prometheus-role <arn>', '... and a role to assume first')
    .option('--port-forward', 'reach Prometheus by port-forward again, and forget --prometheus-url')
    .option(
      '--tap <time>',
      'in each collection, tap workloads for so long (10s) to see who sends what arrives without mesh TLS; "off" ends it',
    )
    .option('--no-prometheus', 'there is no Prometheus: proxies are read by the names of their pods, and nothing else')
    .option(
      '--proxies <which>',
      'read proxies by the names of their pods, by port-forward: auto (those that Prometheus does not read, or whose labels could lie), all, or off (default off)',
    )
    .option('--linkerd-namespace <ns>', 'namespace of the control plane (default linkerd)')
    .option('--viz-namespace <ns>', 'namespace of the viz extension (default linkerd-viz)')
    .option('--window <size>', '5m, 15m, 30m or 60m (default 60m)')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail cluster add prod --context prod\n  ciphertrail cluster add prod --eks prod --eks-region eu-central-1\n  ciphertrail cluster add prod --api-server https://api.prod.example:6443 \\\n      --ca ca.pem --token-file token\n  ciphertrail cluster add prod --context prod \\\n      --prometheus-url https://prometheus.example/prod',
    )
    .action(async (id: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<AddClusterOptions>()
      const { kubeconfig, context, prometheusUrl, portForward, linkerdNamespace, vizNamespace, window, json, store } =
        options
      const prometheusAuth = authOf(options)
      const eks = eksOf(options)
      const apiServer = await apiServerOf(options)
      if (options.prometheus === false && (portForward === true || options.proxies === 'off'))
        throw new UsageError(
          'Cannot use --no-prometheus together with --port-forward or --proxies off: proxies are then all there is to read',
        )
      if (portForward === true && (prometheusUrl !== undefined || prometheusAuth !== undefined))
        throw new UsageError(
          'Cannot use --port-forward together with --prometheus-url or its credentials: give one way to Prometheus',
        )
      refuseAddresses(id, [apiServer?.url, prometheusUrl], console)
      await refusePlaces(
        id,
        [
          [kubeconfig, 'the kubeconfig'],
          [apiServer?.tokenFile, 'the token file'],
          [prometheusAuth?.tokenFile, 'the token file of Prometheus'],
          [prometheusAuth?.passwordFile, 'the password file of Prometheus'],
          [prometheusAuth?.certFile, 'the client certificate for Prometheus'],
          [prometheusAuth?.keyFile, 'the client key for Prometheus'],
          [prometheusAuth?.caFile, 'the authority of Prometheus'],
        ],
        { store },
        console,
      )
      const objects = openStore({ store }, console)
      const trust = openTrust({ store }, console)
      const given = {
        id,
        ...(kubeconfig === undefined ? {} : { kubeconfig: resolve(kubeconfig) }),
        ...(context === undefined ? {} : { context }),
        ...(eks === undefined ? {} : { eks }),
        ...(apiServer === undefined ? {} : { apiServer }),
        ...(options.agent === true ? { agent: true } : {}),
        ...(prometheusUrl === undefined ? {} : { prometheusUrl }),
        ...(portForward === true ? { prometheusUrl: null } : {}),
        ...(options.prometheus === false ? { noPrometheus: true } : {}),
        ...(options.proxies === undefined ? {} : { proxies: parseProxies(options.proxies) }),
        ...(prometheusAuth === undefined ? {} : { prometheusAuth }),
        ...(options.tap === undefined ? {} : { tapSeconds: parseTap(options.tap) }),
        ...(linkerdNamespace === undefined ? {} : { linkerdNamespace }),
        ...(vizNamespace === undefined ? {} : { vizNamespace }),
        ...(window === undefined ? {} : { windowMinutes: readWindowMinutes(window) }),
      }
      // Every store begins with a cluster, so this is where its first user can still turn back.
      for (const line of storeWarnings({ store }, console)) console.err(line)
      try {
        // What is vouched for is what is given here, on top of what was vouched for: else it would be whatever somebody wrote to the store.
        const registered = (await readClusters({ objects })).find((one) => one.id === id)
        if (registered !== undefined) await trust.check(registered)
        let decided: DecidedCluster | undefined
        const onDecided = (one: DecidedCluster): void => void (decided = one)
        const outcome = await addCluster(given, { now: console.now(), by: console.user }, { objects, onDecided })
        await vouchDecided(decided, registered, trust)
        if (json === true) console.out(toJson({ cluster: id, outcome }))
        else
          console.out(
            `Cluster "${id}" ${outcome}. ${options.agent === true ? 'Next: install its agent, see infra/agent' : `Next: ciphertrail cluster check ${id}, then ciphertrail look ${id}`}`,
          )
      } catch (error) {
        throw error instanceof ClusterOptionError ? new UsageError(error.message) : error
      }
    })

  cluster
    .command('trust')
    .summary('vouch for how clusters are reached, as they are registered')
    .description(
      'Vouches for registrations that "cluster add" on this machine did not write: those of a store from elsewhere, or of a version that vouched for none. Look at each before ("cluster list --json"): a registration says where credentials are sent, and which kubeconfig, with its commands, is obeyed.',
    )
    .argument('<id...>', 'registered clusters')
    .option('--json', 'one JSON object for each cluster')
    .addHelpText(
      'after',
      '\nExample:\n  ciphertrail cluster trust prod\n\nWhat vouches is a file outside the store, <store>.trust (or CIPHERTRAIL_TRUST),\nor with CIPHERTRAIL_TRUST_KEY a signature by a key in AWS KMS.',
    )
    .action(async (ids: string[], _: unknown, command: Command) => {
      const { json, store } = command.optsWithGlobals<{ readonly json?: boolean; readonly store?: string }>()
      const clusters = await chosenClusters(openStore({ store }, console), ids)
      await openTrust({ store }, console).vouch(clusters)
      for (const one of clusters)
        if (json === true) console.out(toJson({ cluster: one.id, outcome: 'trusted' }))
        else console.out(`Cluster "${one.id}" trusted: ${connectionText(one)}`)
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
          { heading: 'REGISTERED (UTC)', text: ({ registeredAt }) => utcTime(registeredAt) },
          {
            heading: 'WINDOW',
            text: ({ windows }) =>
              windows
                .map(({ since, minutes }, index) =>
                  index === 0 ? `${minutes}m` : `${minutes}m from ${utcTime(since)}`,
                )
                .join(', '),
          },
          { heading: 'CONTEXT', text: ({ context }) => context ?? '-' },
          {
            heading: 'REACHED BY',
            text: ({ kubeconfig, eks, apiServer, agent }) =>
              kubeconfig ??
              (agent === true ? 'its agent' : undefined) ??
              apiServer?.url ??
              (eks === undefined ? '-' : `EKS ${eks.region} ${eks.name}`),
          },
          {
            heading: 'PROMETHEUS',
            text: ({ prometheusUrl, noPrometheus }) =>
              noPrometheus === true ? 'none' : (prometheusUrl ?? 'port-forward'),
          },
          {
            heading: 'PROXIES',
            text: ({ proxies, noPrometheus }) => (noPrometheus === true ? 'all' : (proxies ?? 'off')),
          },
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
      await openTrust({ store }, console).forget(id)
      if (json === true) console.out(toJson({ cluster: id, outcome: 'removed' }))
      else console.out(`Cluster "${id}" removed. Its evidence and history stay in the store`)
    })

  cluster
    .command('check')
    .summary('check every way into a cluster, with a hint for each failure')
    .description(
      'Asks the API server for each right that is needed, then tries each source as collecting does. What fails has a hint (×); what works but should be looked at has one, too (‼).',
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
      if (registered.agent === true)
        throw new UsageError(
          `Cannot check cluster "${printable(id)}" from here: it is collected by its agent, look at what that one prints`,
        )
      const access = await openRegistered(registered, { store }, console, deadlines)
      try {
        console.progress(`Checking ${id}`)
        const checks = await checkCluster(registered, { access, now: console.now })
        if (json === true)
          for (const { section, title, problem, warning } of checks)
            console.out(toJson({ cluster: id, section, check: title, ok: problem === null, problem, warning }))
        else for (const line of checkLines(checks, console)) console.out(line)
        if (checks.some(({ problem }) => problem !== null)) throw new FailedError()
      } finally {
        await access.close()
      }
    })
}

/** Vouches for what was registered, unless what it was made from is not what was looked at before. Throws as `Trust` does. */
async function vouchDecided(
  decided: DecidedCluster | undefined,
  checked: Cluster | undefined,
  trust: Trust,
): Promise<void> {
  if (decided === undefined) return
  // Somebody may have changed it since.
  const isThat =
    decided.before === undefined ||
    (checked !== undefined && connectionHash(decided.before) === connectionHash(checked))
  if (!isThat) await trust.check(decided.cluster)
  await trust.vouch([decided.cluster])
}

/** The checks as `linkerd check` shows them: a heading for each section, a mark for each line, the hint below it. */
function checkLines(checks: readonly ClusterCheck[], { colors }: Console): string[] {
  return [...Map.groupBy(checks, ({ section }) => section)].flatMap(([section, all], index) => [
    ...(index === 0 ? [] : ['']),
    section,
    '-'.repeat(section.length),
    ...all.flatMap(({ title, problem, warning }) => {
      if (problem !== null) return [`${colors.red('×')} ${title}`, `    ${problem}`]
      if (warning !== null) return [`${colors.yellow('‼')} ${title}`, `    ${warning}`]
      return [`${colors.green('√')} ${title}`]
    }),
  ])
}

import type { Endpoint, Setting } from '../../model/path.ts'
import type { PathRow } from '../../model/history.ts'
import {
  TEMPLATES,
  inject,
  ROLLED,
  annotate,
  restart,
  withoutPort,
  safe,
  pasted,
  annotationsOf,
  explained,
  onlyIf,
  INJECT,
  SKIP_INBOUND,
  SKIP_OUTBOUND,
  shown,
} from './fix-commands.ts'

/** The fields of a path row that decide its fix. */
type Fixable = Pick<PathRow, 'cause' | 'state' | 'outcome' | 'source' | 'destination' | 'port'> &
  Partial<Pick<PathRow, 'candidates' | 'settings' | 'cluster'>>

/**
 * Returns the change that fixes a row or, if that is unknown, what to look at: a sentence, then shell lines. A line is a command to paste, or begins with
 * `#`: it explains the line below it, or is a command that depends on such an explanation. Null if there is nothing to fix or to find out.
 */
export function fixOf(row: Fixable): string | null {
  const { state, outcome } = row
  const cause = possible(row)
  const isOpen = state === 'plaintext' || state === 'no-mesh-tls' || state === 'app-tls' || state === 'unknown'
  if (cause === null || outcome === 'refused' || !isOpen) return null
  const [sentence = '', ...lines] = linesOf({ ...row, cause })
  // A command with a placeholder cannot be pasted, so it is left out with its explanation.
  const isKept = (line: string | undefined) => line !== undefined && !PLACEHOLDER.test(line)
  return [
    sentence,
    ...lines.filter((line, index) => isKept(line) && (!isExplanation(line) || isKept(lines[index + 1]))),
  ].join('\n')
}

/** Placeholder for a name that is unknown or that Kubernetes does not allow. */
const PLACEHOLDER = /\b(CLUSTER|KIND|NAME|NAMESPACE)\b/

const isExplanation = (line: string): boolean => line.startsWith('# ') && line.endsWith(':')

/** Returns a cause with a fix that is possible: a destination that cannot be meshed gets another cause. */
function possible({ cause, destination }: Fixable): PathRow['cause'] {
  if ((cause !== 'destination-not-meshed' && cause !== 'destination-not-injected') || isInjectable(destination))
    return cause
  return destination.namespace === '' ? 'outside-cluster' : 'destination-not-injectable'
}

function linesOf(row: Fixable & { readonly cause: NonNullable<PathRow['cause']> }): readonly string[] {
  const { source, destination, port, settings = [] } = row
  const to = pasted(destination)
  const from = pasted(source)
  const end = destination.namespace === '' ? `${to.label}, port ${port}` : `port ${port} of ${to.label}`
  const [setting] = settings
  if (isLinkerds(row)) return linesOfLinkerds(row, end)
  switch (row.cause) {
    case 'destination-not-meshed':
      return [
        `Add ${to.label} to the mesh: ${setting === undefined ? 'pods of it had no proxy' : injectWords(setting)}`,
        ...inject(destination),
        ...(setting === undefined && ROLLED.has(destination.kind)
          ? explained('If all pods have a proxy now, see which revision had none', [
              `kubectl rollout history ${to.resource} -n ${to.namespace}`,
            ])
          : []),
      ]
    case 'destination-not-injected':
      return [
        `Restart ${to.label}: ${injectWords(setting)}. Its pods have no proxy because they are older than the annotation, or because the injector skipped them`,
        ...restart(destination),
        ...explained('If the pods still have no proxy, see why the injector skipped them', [
          `kubectl get events -n ${to.namespace} --field-selector reason=InjectionSkipped`,
        ]),
      ]
    case 'destination-not-injectable':
      return [
        `Use TLS in the application on ${end}, or accept the path in waivers.yaml: Linkerd’s injector skips its namespace, which should stay out of the mesh`,
      ]
    case 'destination-in-other-mesh':
      return [
        `Move ${to.label} into this mesh, or accept the path in waivers.yaml: its proxy belongs to the control plane in ${safe(setting?.value ?? '', 'another namespace')}, whose pods have no identity in this mesh`,
        ...explained('See which control plane each pod belongs to', [
          `kubectl get pods -n ${to.namespace} -L linkerd.io/control-plane-ns`,
        ]),
      ]
    case 'destination-on-host-network':
      return [
        `Use TLS in the application on ${end}, or accept the path in waivers.yaml: it uses the host network, where Linkerd injects no proxy`,
      ]
    case 'destination-skips-port':
      return [
        `Remove ${port} from the ports that bypass the proxy of ${to.label}${valueWords(setting)}. If its server speaks first, also add the port to config.linkerd.io/opaque-ports`,
        ...withoutPort(setting, destination, SKIP_INBOUND),
      ]
    case 'destination-not-listed':
      return [
        `Find out what was at ${end}: no Kubernetes snapshot around the window has such a pod. It had ended, or it existed only between two snapshots, and Linkerd knows no identity for its address. A client that keeps old addresses must resolve names again`,
        '# See what has this address or name now:',
        destination.kind === 'pod' && destination.namespace === ''
          ? `kubectl get pods,endpointslices -A -o wide | grep -wF ${to.label}`
          : `kubectl get pods,endpointslices -n ${to.namespace} -o wide`,
      ]
    case 'source-skips-port':
      return [
        `Remove the port that leads to ${end} from the ports that bypass the proxy of ${from.label}${valueWords(setting, port)}`,
        ...withoutPort(setting, source, SKIP_OUTBOUND),
      ]
    case 'source-not-meshed':
      return [
        `Add the client of ${end} to the mesh: its connections had no mesh TLS, and no pod of the mesh bypasses its proxy for this port${clientWords(row)}`,
        ...clientLines(row),
        ...refuse(row),
      ]
    case 'source-not-proxied':
      return [
        `Route the client of ${end} through a proxy: its connections had no mesh TLS. The client has no proxy, or bypasses its own proxy${suspectWords(settings, port)}${clientWords(row)}`,
        ...clientLines(row),
        ...settings.flatMap((one) =>
          one.name === SKIP_OUTBOUND
            ? onlyIf(`If the client is ${pasted(one.workload).label}`, withoutPort(one, one.workload, SKIP_OUTBOUND))
            : [],
        ),
        ...refuse(row),
      ]
    case 'opaque-port-unmeshed-client':
      return [
        `Route the client of ${end}, an opaque port, through a proxy: clients in the mesh reach such a port through port 4143, and this client did not. The client has no proxy, or bypasses its own proxy${suspectWords(settings, port)}${clientWords(row)}`,
        ...clientLines(row),
      ]
    case 'init-container':
      return [
        `Find the client of ${end}: pods that started in this window run init containers before their proxy${suspectWords(settings, port)}. If one of them is the client, start its proxy first, or move that work into a container of the application. If the client has no proxy, add it to the mesh`,
        ...distinct(
          settings.flatMap(({ name, workload }) =>
            name === 'initContainers'
              ? onlyIf(
                  `If the client is ${pasted(workload).label}`,
                  annotate(workload, 'config.beta.linkerd.io/proxy-enable-native-sidecar', 'true'),
                )
              : [],
          ),
        ),
        ...clientLines(row),
      ]
    case 'identity-disabled':
      return [
        `Enable the identity of the proxies of ${destination.namespace === '' ? from.label : to.label}: they report it as disabled. Remove the annotation config.linkerd.io/disable-identity or upgrade the old control plane that disables it`,
        ...explained('Then restart the pods', restart(source.name === '' ? destination : source)),
      ]
    case 'linkerd-webhook':
      return linesOfLinkerds(row, end)
    case 'kubernetes-api':
      return [
        `Let the client ${source.name === '' ? '' : `${from.label} `}of ${end} use https with the certificate authority of its ServiceAccount: no TLS was observed, and the API server cannot be added to the mesh`,
      ]
    case 'outside-cluster':
      return destination.cluster === null
        ? [
            `Use TLS in the application or an egress gateway with TLS for ${end}, or accept the path in waivers.yaml: Linkerd does not encrypt traffic that leaves the cluster${row.state === 'no-mesh-tls' ? ', and does not see whether the application did' : ''}`,
          ]
        : [
            `Find out why ${end} of cluster ${safe(destination.cluster, 'CLUSTER')} has no identity here: check the link, its credentials and the gateway`,
            'linkerd multicluster check',
          ]
    case 'application-tls':
      return [
        `Keep the certificate check of the application on ${end} as evidence, or add its client to the mesh: the mesh passed TLS of the application through and checked no identity. The API server calls webhooks this way and cannot be added to the mesh`,
      ]
    case 'no-kubernetes-list':
      return [
        `Nothing to change yet: no Kubernetes snapshot from before this window shows whether every pod of ${from.label} had a proxy, and ${end} let in unencrypted traffic from a client without a name. The window after the first snapshot can show it. If a later window has no snapshot, find out what the API server refused`,
        ...explained('Check what ciphertrail may read', [
          `ciphertrail cluster check ${safe(row.cluster ?? '', 'CLUSTER')}`,
        ]),
        ...annotationsOf(from.namespace),
      ]
    case 'source-partly-meshed':
      return [
        `Check that every pod of ${from.label} is in the mesh: some had no proxy, bypassed it or were not read while ${end} let in unencrypted traffic from a client without a name${suspectWords(settings, port)}`,
        ...annotationsOf(from.namespace),
      ]
    case 'destination-not-seen':
      return [
        `Find out why the proxies of ${to.label} were not read all the time: Prometheus did not scrape them (a deny policy needs linkerd viz allow-scrapes), or no Kubernetes snapshot has the pod. Until then, traffic that ${from.label} sent around its proxy may be missing`,
        'linkerd viz check --proxy',
        `kubectl get pods -n ${to.namespace} -o wide`,
      ]
    case 'labels-overridden':
      return [
        `Remove pod labels of ${from.label} and ${to.label} that have the names of labels of Prometheus or of the proxies (ciphertrail workloads lists them): with such a label, a pod can overwrite what its proxy reports`,
        ...distinct(
          [from, to]
            .filter(({ isNamed }) => isNamed)
            .map(({ namespace }) => `kubectl get pods -n ${namespace} --show-labels`),
        ),
      ]
    case 'pod-not-listed':
      return [
        `Nothing to change: a pod of ${from.isNamed ? from.label : to.label} existed only between two Kubernetes snapshots, so nothing confirms what its proxy reported. Shorter windows, or cAdvisor in the same Prometheus, show more of such pods`,
        `ciphertrail workloads --cluster ${safe(row.cluster ?? '', 'CLUSTER')}`,
      ]
    case 'perhaps-probes':
      return [
        `Find out who else calls ${end}: the traffic without mesh TLS is the kubelet’s probes, or more than these. The kubelet cannot be added to the mesh`,
        ...listen(row, destination),
      ]
    case 'counted-before':
      return [
        `Nothing to change yet: the proxy of ${to.label} had already counted traffic on port ${port} when it was first read. That traffic came in this window or before it. If the next windows show more, find out who sends it`,
        ...listen(row, destination),
      ]
    case 'metrics-incomplete':
      return [
        `Check what the proxies of ${from.isNamed ? from.label : to.label} count on ${end}: Prometheus did not have all of it for this window, or old proxies do not count it`,
        'linkerd viz check --proxy',
      ]
    case 'ipv6-not-proxied':
      return [
        `Let Linkerd proxy IPv6, or give ${to.label} only IPv4 addresses: both ends have IPv6 addresses, and IPv6 connections bypass both proxies`,
        '# Enable IPv6 for the whole mesh:',
        'linkerd upgrade --set disableIPv6=false | kubectl apply -f -',
      ]
    case 'unknown':
      return unknownLines(row)
  }
}

function unknownLines(row: Fixable): readonly string[] {
  const { source, destination, port } = row
  const [from, to] = [pasted(source), pasted(destination)]
  return [
    `The cause is unknown: in this window neither the proxies nor the Kubernetes snapshots show why port ${port} of ${to.label} got no mesh TLS${from.isNamed ? ` from ${from.label}` : ''}. Compare the settings of both ends, and see who connects now`,
    ...distinct([to, from].filter(({ isNamed }) => isNamed).flatMap(({ namespace }) => annotationsOf(namespace))),
    ...listen(row, from.isNamed ? source : destination),
  ]
}

const PROXY = 'linkerd-proxy'

/** Whether the destination belongs to Linkerd's control plane or an extension, which should stay as installed. */
function isLinkerds({ source, destination, settings = [] }: Fixable): boolean {
  return (
    source.kind === 'unmeshed' &&
    settings.some(({ name, workload }) => LINKERDS.has(name) && pasted(workload).label === pasted(destination).label)
  )
}

const LINKERDS: ReadonlySet<string> = new Set(['linkerd.io/is-control-plane', 'linkerd.io/extension'])

function linesOfLinkerds({ cause, destination, candidates = [] }: Fixable, end: string): readonly string[] {
  const to = pasted(destination)
  const seen = candidates.length === 0 ? '' : clientWords({ candidates })
  return [
    cause === 'linkerd-webhook'
      ? `Nothing to add to the mesh: ${end} is a webhook or API of Linkerd, and the API server calls it with TLS of its own. Only a packet capture shows any other client${seen}`
      : `Leave ${to.label} as it was installed: it belongs to Linkerd. The kubelet and the API server call it and cannot be added to the mesh. Any other client of ${end}, such as an ingress, should be in the mesh${seen}`,
    ...explained('See the addresses of the API server', [
      'kubectl get endpointslices -n default -l kubernetes.io/service-name=kubernetes',
    ]),
    ...explained('See the addresses of the pods that are called', [`kubectl get pods -n ${to.namespace} -o wide`]),
  ]
}

/** Describes the annotation that decides whether a workload is injected. */
function injectWords(setting: Setting | undefined): string {
  if (setting?.name !== INJECT || setting.value === null)
    return 'neither it nor its namespace has the annotation linkerd.io/inject'
  const says = `linkerd.io/inject: ${shown(setting.value)}`
  return setting.by === 'namespace' ? `its namespace has ${says}` : `it has ${says}`
}

/** Current value of an annotation, as the rest of a sentence. */
function valueWords(setting: Setting | undefined, port?: number): string {
  if (setting === undefined) return ''
  const { name, value, by } = setting
  if (value === null) return by === 'control-plane' ? ', which Linkerd sets for every proxy' : ''
  return ` (${name}: ${shown(value)}${by === 'namespace' ? ', set on its namespace' : ''}${leadsWords(setting, port)})`
}

/** Explains why a skipped port matters: clients skip the port of a Service, which may lead to another port of the pod. */
function leadsWords({ port: dialled }: Setting, port: number | undefined): string {
  return dialled === undefined || port === undefined || dialled === port
    ? ''
    : `; port ${dialled} of a Service leads to port ${port}`
}

/** Workloads that may bypass their proxies, as the rest of a sentence. */
function suspectWords(settings: readonly Setting[], port: number): string {
  const words = settings.flatMap((one) =>
    one.name === PROXY || one.name === INJECT
      ? []
      : `${pasted(one.workload).label} has ${one.name}: ${shown(one.value)}${leadsWords(one, port)}`,
  )
  return words.length === 0 ? '' : ` (${distinct(words).join('; ')})`
}

/** Clients that tap saw, or else possible clients, as further sentences. */
function clientWords({ candidates = [], settings = [] }: Pick<Fixable, 'candidates' | 'settings'>): string {
  if (candidates.length > 0) {
    const names = candidates.map((one) =>
      one.kind === 'probe' ? 'the kubelet, which cannot be added to the mesh' : pasted(one).label,
    )
    return `. Tap saw ${distinct(names).join(', ')}`
  }
  const unmeshed = settings.filter(({ name }) => name === PROXY).map(({ workload }) => pasted(workload).label)
  return unmeshed.length === 0 ? '' : `. Pods of ${distinct(unmeshed).join(', ')} had no proxy in this window`
}

/** Commands that add the clients that tap saw to the mesh. If tap saw none, the commands first show the clients. */
function clientLines(row: Fixable): readonly string[] {
  const { candidates = [], settings = [] } = row
  if (candidates.length === 0)
    return [
      ...listen(row, row.destination),
      ...settings
        .filter(({ name, workload }) => name === PROXY && isInjectable(workload))
        .flatMap(({ workload }) => onlyIf(`If the client is ${pasted(workload).label}`, annotate(workload, INJECT))),
    ]
  const labels = (isProxy: boolean) =>
    new Set(settings.filter(({ name }) => (name === PROXY) === isProxy).map(({ workload }) => pasted(workload).label))
  const [unmeshed, around] = [labels(true), labels(false)]
  return candidates.filter(isInjectable).flatMap((one) => {
    const { label } = pasted(one)
    if (unmeshed.has(label)) return annotate(one, INJECT)
    return around.has(label) ? [] : onlyIf(`If ${label} has no proxy`, annotate(one, INJECT))
  })
}

/** Kinds that can be tapped and whose pods can run a command. */
const TAPPED: ReadonlySet<string> = new Set([...TEMPLATES.keys(), 'job', 'pod'])

/** Commands that show the clients. Tap shows only HTTP; everything else needs a packet capture. */
function listen({ state, port }: Fixable, end: Endpoint): readonly string[] {
  const { isNamed, resource, namespace } = pasted(end)
  if (!isNamed || !TAPPED.has(end.kind)) return []
  if (state !== 'no-mesh-tls')
    return explained('See who connects', [`linkerd viz tap ${resource} -n ${namespace} -o wide`])
  return [
    ...explained(
      'Tap shows only HTTP. To see packets, add a container with tshark, which restarts the pods',
      annotate(end, 'config.linkerd.io/enable-debug-sidecar', 'true'),
    ),
    ...(ROLLED.has(end.kind) ? [`kubectl rollout status ${resource} -n ${namespace}`] : []),
    ...(end.kind === 'cronjob'
      ? []
      : explained('Then see who connects', [
          `kubectl exec ${resource} -n ${namespace} -c linkerd-debug -- tshark -n -i any -f 'tcp port ${port}'`,
        ])),
  ]
}

/** Command that refuses clients without an identity. It is commented out, so that pasting the fix does not run it. */
function refuse({ destination }: Fixable): readonly string[] {
  if (!isInjectable(destination)) return []
  return onlyIf(
    'To refuse every client without a mesh identity until then',
    annotate(destination, 'config.linkerd.io/default-inbound-policy', 'all-authenticated'),
  )
}

/** Kinds of ends without pods of their own to inject. */
const WITHOUT_PODS: ReadonlySet<string> = new Set([
  'external',
  'externalworkload',
  'node',
  'probe',
  'service',
  'serviceaccount',
  'unmeshed',
])

/** Whether the injector can inject pods of this end: it must be a workload in a namespace that the injector does not skip. */
function isInjectable({ kind, namespace }: Endpoint): boolean {
  return !WITHOUT_PODS.has(kind) && namespace !== '' && namespace !== 'kube-system'
}

function distinct(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)]
}

import type { Endpoint, Setting } from '../../model/path.ts'
import type { PathRow } from '../../model/history.ts'
import {
  TEMPLATES,
  ROLLED,
  annotate,
  restart,
  withoutPort,
  safe,
  pasted,
  annotationsOf,
  INJECT,
  SKIP_INBOUND,
  SKIP_OUTBOUND,
  shown,
} from './fix-commands.ts'

/** What a fix is made of. */
type Fixable = Pick<PathRow, 'cause' | 'state' | 'outcome' | 'source' | 'destination' | 'port'> &
  Partial<Pick<PathRow, 'candidates' | 'settings' | 'cluster'>>

/**
 * The change that would fix a row, or, where that is not known, what to look at: a sentence, then one line for each command, to be pasted. Null where
 * there is nothing to fix or to find out.
 */
export function fixOf(row: Fixable): string | null {
  const { state, outcome } = row
  const cause = possible(row)
  const isOpen = state === 'plaintext' || state === 'no-mesh-tls' || state === 'app-tls' || state === 'unknown'
  if (cause === null || outcome === 'refused' || !isOpen) return null
  const [sentence = '', ...commands] = linesOf({ ...row, cause })
  // A command with a hole in it is none that can be pasted.
  return [sentence, ...commands.filter((line) => !HOLE.test(line))].join('\n')
}

/** What stands where a name is none that Kubernetes would allow, or is not known. */
const HOLE = /\b(CLUSTER|KIND|NAME|NAMESPACE)\b/

/** Some causes have a fix that is none for whoever cannot be meshed. */
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
        `Mesh ${to.label}: ${setting === undefined ? 'pods of it had no proxy (where all have one now, the rollouts show which left it out)' : injectWords(setting)}. In the pod template it counts whatever the namespace says, and restarts the pods`,
        ...annotate(destination, INJECT),
        ...(setting === undefined && ROLLED.has(destination.kind)
          ? [`kubectl rollout history ${to.resource} -n ${to.namespace}`]
          : []),
      ]
    case 'destination-not-injected':
      return [
        `Make the pods of ${to.label} again: ${injectWords(setting)}, and they have no proxy, since they are older than that or the injector left them out. If they have none after that, the event says why`,
        ...restart(destination),
        `kubectl get events -n ${to.namespace} --field-selector reason=InjectionSkipped`,
      ]
    case 'destination-not-injectable':
      return [
        `Use TLS in the application on ${end}, or accept it in waivers.yaml: Linkerd’s injector leaves its namespace out, so that it is not to be meshed`,
      ]
    case 'destination-in-other-mesh':
      return [
        `Bring ${to.label} into this mesh, or accept it in waivers.yaml: its proxy is of the control plane in ${safe(setting?.value ?? '', 'another namespace')}, to whose pods this one gives no identity. Which injector its namespace goes to says it`,
        `kubectl get pods -n ${to.namespace} -L linkerd.io/control-plane-ns`,
      ]
    case 'destination-on-host-network':
      return [
        `Use TLS in the application on ${end}, or accept it in waivers.yaml: it is on the host’s network, where Linkerd injects no proxy, so that it cannot be meshed`,
      ]
    case 'destination-skips-port':
      return [
        `Take ${port} out of the ports that go around the proxy of ${to.label}${valueWords(setting)}; if its server speaks first, mark the port in config.linkerd.io/opaque-ports as well`,
        ...withoutPort(setting, destination, SKIP_INBOUND),
      ]
    case 'destination-not-listed':
      return [
        `See what was at ${end}: no Kubernetes list around the window has such a pod, so that it had ended or came and went in between, and Linkerd knows no identity for its address. A client that keeps old addresses has to look names up again`,
        destination.kind === 'pod' && destination.namespace === ''
          ? `kubectl get pods,endpointslices -A -o wide | grep -wF ${to.label}`
          : `kubectl get pods,endpointslices -n ${to.namespace} -o wide`,
      ]
    case 'source-skips-port':
      return [
        `Take the port that leads to ${end} out of the ports that go around the proxy of ${from.label}${valueWords(setting)}`,
        ...withoutPort(setting, source, SKIP_OUTBOUND),
      ]
    case 'source-not-meshed':
      return [
        `Mesh the client of ${end}: its connections came without mesh TLS, and no pod of the mesh goes around its proxy there. ${clientWords(row)}`,
        ...clientLines(row),
        ...refuse(row),
      ]
    case 'source-not-proxied':
      return [
        `Lead the client of ${end} through a proxy: its connections came without mesh TLS, from a client without a proxy or around its own${suspectWords(settings)}. ${clientWords(row)}`,
        ...clientLines(row),
        ...settings.flatMap((one) =>
          one.name === SKIP_OUTBOUND
            ? onlyIf(`it is ${pasted(one.workload).label}`, withoutPort(one, one.workload, SKIP_OUTBOUND))
            : [],
        ),
        ...refuse(row),
      ]
    case 'opaque-port-unmeshed-client':
      return [
        `Mesh the client of ${end}, an opaque port: clients of the mesh reach such a port through port 4143, and this one did not, as it has no proxy or goes around it${suspectWords(settings)}. ${clientWords(row)}`,
        ...clientLines(row),
      ]
    case 'init-container':
      return [
        `Find the client of ${end}: pods that began in this window run init containers before their proxy${suspectWords(settings)}. Start the proxy first there, or move that work into a container of the application. A client without a proxy: mesh it`,
        ...distinct(
          settings.flatMap(({ name, workload }) =>
            name === 'initContainers'
              ? onlyIf(
                  `it is ${pasted(workload).label}`,
                  annotate(workload, 'config.beta.linkerd.io/proxy-enable-native-sidecar', 'true'),
                )
              : [],
          ),
        ),
        ...clientLines(row),
      ]
    case 'identity-disabled':
      return [
        `Give the proxies of ${destination.namespace === '' ? from.label : to.label} an identity: they say that it is disabled, as config.linkerd.io/disable-identity or an old control plane does. Take that out, then restart the pods`,
        ...restart(source.name === '' ? destination : source),
      ]
    case 'linkerd-webhook':
      return linesOfLinkerds(row, end)
    case 'kubernetes-api':
      return [
        `Let the client ${source.name === '' ? '' : `${from.label} `}of ${end} use https with the authority of its ServiceAccount: the API server cannot be meshed, and no TLS was seen`,
      ]
    case 'outside-cluster':
      return destination.cluster === null
        ? [
            `Use TLS in the application for ${end}, or lead it through an egress gateway that does, or accept it in waivers.yaml: it leaves the cluster, where Linkerd does not encrypt`,
          ]
        : [
            `See why ${end} of cluster ${safe(destination.cluster, 'CLUSTER')} has no identity here: the link, its credentials and the gateway`,
            'linkerd multicluster check',
          ]
    case 'application-tls':
      return [
        `Keep the certificate check of the application on ${end} as the evidence, or mesh its client, which is not the API server (that calls webhooks so, and cannot be meshed): TLS of the application was passed through, and the mesh checked no identity`,
      ]
    case 'no-kubernetes-list':
      return [
        `Nothing is to be changed: no Kubernetes list from before this window tells whether every pod of ${from.label} had a proxy, and ${end} let in clear traffic without a name. The window after the first list tells it; where a later one lacks it, see what the API server refused`,
        `ciphertrail cluster check ${safe(row.cluster ?? '', 'CLUSTER')}`,
        annotationsOf(from.namespace),
      ]
    case 'source-partly-meshed':
      return [
        `Bring every pod of ${from.label} into the mesh: some had no proxy, went around it or were not read while ${end} let in clear traffic without a name${suspectWords(settings)}`,
        annotationsOf(from.namespace),
      ]
    case 'destination-not-seen':
      return [
        `See why the proxies of ${to.label} were not read all the time: Prometheus did not scrape them (a policy of deny wants linkerd viz allow-scrapes), or a pod is in no list. Until then what ${from.label} sent around its proxy may be missing`,
        'linkerd viz check --proxy',
        `kubectl get pods -n ${to.namespace} -o wide`,
      ]
    case 'labels-overridden':
      return [
        `Take the labels off the pods of ${from.label} and ${to.label} that have the names of Prometheus’ or the proxies’ own (ciphertrail workloads lists them): with them a pod can say anything in the place of its proxy`,
        ...distinct(
          [from, to]
            .filter(({ isNamed }) => isNamed)
            .map(({ namespace }) => `kubectl get pods -n ${namespace} --show-labels`),
        ),
      ]
    case 'pod-not-listed':
      return [
        `Nothing is to be changed: a pod of ${from.isNamed ? from.label : to.label} came and went between two Kubernetes lists, so that nobody vouches for what its proxy said. Smaller windows, or cAdvisor in the same Prometheus, tell more of such pods`,
        `ciphertrail workloads --cluster ${safe(row.cluster ?? '', 'CLUSTER')}`,
      ]
    case 'perhaps-probes':
      return [
        `See who else calls ${end}: what came without mesh TLS is the kubelet’s probes, or more than them. The kubelet is not to be meshed`,
        ...listen(row, destination),
      ]
    case 'counted-before':
      return [
        `Nothing is to be changed yet: the proxy of ${to.label} had counted something on port ${port} when it was first read, in the window or before it. If the next windows show more, see who it is`,
        ...listen(row, destination),
      ]
    case 'metrics-incomplete':
      return [
        `See what the proxies of ${from.isNamed ? from.label : to.label} count on ${end}: not all of it was in Prometheus for this window, or old proxies do not count it`,
        'linkerd viz check --proxy',
      ]
    case 'ipv6-not-proxied':
      return [
        `Let Linkerd proxy IPv6, or give ${to.label} IPv4 addresses alone: both ends have IPv6 addresses, and connections by them go around both proxies`,
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
    `The cause is not known from this window: neither the proxies nor the Kubernetes lists tell why port ${port} of ${to.label} got no mesh TLS${from.isNamed ? ` from ${from.label}` : ''}. Compare what both ends are told to do, and who connects now`,
    ...distinct([to, from].filter(({ isNamed }) => isNamed).map(({ namespace }) => annotationsOf(namespace))),
    ...listen(row, from.isNamed ? source : destination),
  ]
}

const PROXY = 'linkerd-proxy'

/** Whether the destination is of Linkerd's control plane or its extensions, which are to be left as they were installed. */
function isLinkerds({ source, destination, settings = [] }: Fixable): boolean {
  return (
    source.kind === 'unmeshed' &&
    settings.some(({ name, workload }) => LINKERDS.has(name) && pasted(workload).label === pasted(destination).label)
  )
}

const LINKERDS: ReadonlySet<string> = new Set(['linkerd.io/is-control-plane', 'linkerd.io/extension'])

function linesOfLinkerds({ cause, destination, candidates = [] }: Fixable, end: string): readonly string[] {
  const to = pasted(destination)
  const seen = candidates.length === 0 ? '' : `. ${clientWords({ candidates })}`
  return [
    cause === 'linkerd-webhook'
      ? `Nothing is to be meshed: ${end} is a webhook or API of Linkerd’s own, which the API server calls by TLS of its own. These are its addresses; whoever else connects there is to be found by packets${seen}`
      : `Leave ${to.label} as it was installed: it is Linkerd’s own. The kubelet and the API server call it and cannot be meshed; any other client of ${end}, such as an ingress, is to be meshed${seen}`,
    'kubectl get endpointslices -n default -l kubernetes.io/service-name=kubernetes',
    `kubectl get pods -n ${to.namespace} -o wide`,
  ]
}

/** What says of a workload whether it is injected. */
function injectWords(setting: Setting | undefined): string {
  if (setting?.name !== INJECT || setting.value === null) return 'neither it nor its namespace has linkerd.io/inject'
  const says = `linkerd.io/inject: ${shown(setting.value)}`
  return setting.by === 'namespace' ? `its namespace has ${says}` : `it has ${says}`
}

/** What an annotation is now, as the rest of a sentence. */
function valueWords(setting: Setting | undefined): string {
  if (setting === undefined) return ''
  const { name, value, by } = setting
  if (value === null) return by === 'control-plane' ? ', as Linkerd has it for every proxy' : ''
  return ` (${name}: ${shown(value)}${by === 'namespace' ? ', of its namespace' : ''})`
}

/** Who goes around its proxy, as the rest of a sentence. */
function suspectWords(settings: readonly Setting[]): string {
  const words = settings.flatMap(({ workload, name, value }) =>
    name === PROXY || name === INJECT ? [] : `${pasted(workload).label} has ${name}: ${shown(value)}`,
  )
  return words.length === 0 ? '' : ` (${distinct(words).join('; ')})`
}

/** Who was seen to be the client; else who it may be. */
function clientWords({ candidates = [], settings = [] }: Pick<Fixable, 'candidates' | 'settings'>): string {
  if (candidates.length > 0) {
    const names = candidates.map((one) =>
      one.kind === 'probe' ? 'the kubelet, which is not to be meshed' : pasted(one).label,
    )
    return `Tap saw ${distinct(names).join(', ')}`
  }
  const unmeshed = settings.filter(({ name }) => name === PROXY).map(({ workload }) => pasted(workload).label)
  const who = unmeshed.length === 0 ? '' : `Without a proxy then were pods of ${distinct(unmeshed).join(', ')}. `
  return `${who}This shows who connects`
}

/** The commands that mesh the clients that tap saw; where it saw none, those that show who connects, and then mesh it. */
function clientLines(row: Fixable): readonly string[] {
  const { candidates = [], settings = [] } = row
  if (candidates.length === 0)
    return [
      ...listen(row, row.destination),
      ...settings
        .filter(({ name, workload }) => name === PROXY && isInjectable(workload))
        .flatMap(({ workload }) => onlyIf(`it is ${pasted(workload).label}`, annotate(workload, INJECT))),
    ]
  const labels = (isProxy: boolean) =>
    new Set(settings.filter(({ name }) => (name === PROXY) === isProxy).map(({ workload }) => pasted(workload).label))
  const [unmeshed, around] = [labels(true), labels(false)]
  return candidates.filter(isInjectable).flatMap((one) => {
    const { label } = pasted(one)
    if (unmeshed.has(label)) return annotate(one, INJECT)
    return around.has(label) ? [] : onlyIf(`${label} has no proxy`, annotate(one, INJECT))
  })
}

/** Lines that do nothing where they are pasted with the others. */
function onlyIf(condition: string, lines: readonly string[]): readonly string[] {
  return lines.map((line) => (line.startsWith('#') ? line : `# if ${condition}: ${line}`))
}

/** Kinds whose proxies can be tapped, and in whose pods a command can be run. */
const TAPPED: ReadonlySet<string> = new Set([...TEMPLATES.keys(), 'job', 'pod'])

/** The commands that show who connects: tap shows HTTP alone, and whatever is none takes packets. */
function listen({ state, port }: Fixable, end: Endpoint): readonly string[] {
  const { isNamed, resource, namespace } = pasted(end)
  if (!isNamed || !TAPPED.has(end.kind)) return []
  if (state !== 'no-mesh-tls') return [`linkerd viz tap ${resource} -n ${namespace} -o wide`]
  return [
    ...annotate(end, 'config.linkerd.io/enable-debug-sidecar', 'true'),
    '# restarts its pods, with tshark beside them, since tap shows HTTP alone',
    ...(end.kind === 'cronjob'
      ? []
      : [`kubectl exec ${resource} -n ${namespace} -c linkerd-debug -- tshark -n -i any -f 'tcp port ${port}'`]),
  ]
}

/** A line that nobody runs by pasting it: it stops whoever has no identity. */
function refuse({ destination }: Fixable): readonly string[] {
  if (!isInjectable(destination)) return []
  return onlyIf(
    'it is to be refused until then',
    annotate(destination, 'config.linkerd.io/default-inbound-policy', 'all-authenticated'),
  )
}

/** Kinds of ends that have no pods of their own to inject into. */
const WITHOUT_PODS: ReadonlySet<string> = new Set([
  'external',
  'externalworkload',
  'node',
  'probe',
  'service',
  'serviceaccount',
  'unmeshed',
])

/** Whether the injector takes pods of this end at all: what is no workload, or is in a namespace that it leaves out, it does not. */
function isInjectable({ kind, namespace }: Endpoint): boolean {
  return !WITHOUT_PODS.has(kind) && namespace !== '' && namespace !== 'kube-system'
}

function distinct(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)]
}

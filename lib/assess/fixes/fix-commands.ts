/** Shell lines of a fix, ready to paste. */
import type { Endpoint, Setting, Source, Destination } from '../../model/path.ts'
import { printPorts, parsePorts } from '../pods/ports.ts'

/** Path to the pod template's annotations in each kind of workload. */
export const TEMPLATES: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ...['deployment', 'statefulset', 'daemonset', 'replicaset', 'replicationcontroller'].map(
    (kind): [string, readonly string[]] => [kind, ['spec', 'template', 'metadata', 'annotations']],
  ),
  ['cronjob', ['spec', 'jobTemplate', 'spec', 'template', 'metadata', 'annotations']],
])

/** Kinds whose pods are replaced when the template changes. */
export const ROLLED: ReadonlySet<string> = new Set(['deployment', 'statefulset', 'daemonset'])

/** Commands that set an annotation in the pod template of a workload, where nothing overrides it. Null removes it. */
export function annotate(end: Endpoint, name: string, value: string | null = 'enabled'): readonly string[] {
  const { resource, namespace, label } = pasted(end)
  const template = TEMPLATES.get(end.kind)
  if (template !== undefined) {
    const patch = template.reduceRight<unknown>((inner, key) => ({ [key]: inner }), { [name]: value })
    return [
      `kubectl patch ${resource} -n ${namespace} --type merge -p '${JSON.stringify(patch)}'`,
      ...(ROLLED.has(end.kind) || end.kind === 'cronjob'
        ? []
        : [`# Then delete the pods of ${label}, so that they are created again.`]),
    ]
  }
  if (end.kind === 'pod' && name === INJECT)
    return [`kubectl get ${resource} -n ${namespace} -o yaml | linkerd inject - | kubectl replace --force -f -`]
  return [
    value === null
      ? `# Remove ${name} from the pod template of ${label}.`
      : `# Set in the pod template of ${label}: ${name}: "${value}"`,
  ]
}

/** Commands that add a proxy to the pods of a workload. */
export function inject(end: Endpoint): readonly string[] {
  const where = 'Enable injection in the pod template, which overrides the namespace'
  if (end.kind === 'pod') return explained('Replace the pod by one with a proxy', annotate(end, INJECT))
  return explained(ROLLED.has(end.kind) ? `${where}. This restarts the pods` : where, annotate(end, INJECT))
}

/** Commands that replace the pods of a workload, so that they use its changed template. */
export function restart(end: Endpoint): readonly string[] {
  const { resource, namespace, label } = pasted(end)
  return ROLLED.has(end.kind)
    ? [`kubectl rollout restart ${resource} -n ${namespace}`]
    : [`# Delete the pods of ${label}, so that they are created again.`]
}

/** Commands that remove a port from a list of skipped ports, in the object that sets the list. */
export function withoutPort(setting: Setting | undefined, end: Endpoint, name: string): readonly string[] {
  if (setting === undefined) return annotationsOf(pasted(end).namespace)
  const { value, port, by } = setting
  if (by === 'control-plane' || value === null)
    return [
      `# Change proxyInit.${name === SKIP_INBOUND ? 'ignoreInboundPorts' : 'ignoreOutboundPorts'} in Linkerd’s own values.`,
    ]
  const rest = port === undefined ? undefined : portsWithout(value, port)
  if (rest === undefined) return [`# Edit ${name} on ${pasted(end).label}. It is now "${shown(value)}".`]
  if (by !== 'namespace') return annotate(end, name, rest === '' ? null : rest)
  const { namespace } = pasted(end)
  return [
    `kubectl annotate namespace ${namespace} ${rest === '' ? `${name}-` : `${name}=${rest} --overwrite`}`,
    ...restart(end),
  ]
}

/** Returns a list of ports without one of them; undefined if it contains anything but numbers and ranges. */
function portsWithout(value: string, port: number): string | undefined {
  const parts = value.split(',').map((part) => part.trim())
  if (!parts.every((part) => /^\d{1,5}(-\d{1,5})?$/.test(part))) return undefined
  return printPorts(
    parsePorts(value).flatMap(({ from, to }) =>
      port < from || port > to
        ? [{ from, to }]
        : [
            { from, to: port - 1 },
            { from: port + 1, to },
          ].filter((range) => range.from <= range.to),
    ),
  ).join(',')
}

/** Lines under a comment that states their purpose; empty if there are no lines. */
export function explained(purpose: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`# ${purpose}:`, ...lines]
}

/** Commands commented out with `#`, to remove only if `when` holds. */
export function onlyIf(when: string, lines: readonly string[]): readonly string[] {
  const commands = lines.filter((line) => !line.startsWith('#')).length
  if (commands === 0) return explained(when, lines)
  return explained(
    `${when}, run the next ${commands === 1 ? 'line' : 'lines'} without the #`,
    lines.map((line) => (line.startsWith('#') ? line : `# ${line}`)),
  )
}

/** Returns a name if it needs no quoting in a shell, or else another word. */
export function safe(text: string, otherwise: string): string {
  return /^[A-Za-z0-9]([-A-Za-z0-9.:]{0,251}[A-Za-z0-9])?$/.test(text) ? text : otherwise
}

/** Names an end of a path for a sentence and for a shell. Only names that Kubernetes allows are used, because people paste commands. */
export function pasted({ kind, namespace, name }: Endpoint | Source | Destination): {
  readonly label: string
  readonly resource: string
  readonly namespace: string
  /** True: it is a named object in the cluster. */
  readonly isNamed: boolean
} {
  const resource = `${safe(kind, 'KIND')}/${safe(name, 'NAME')}`
  return {
    label:
      namespace === ''
        ? safe(name, name === '' ? 'the client without a name' : 'the other end')
        : `${resource} in ${safe(namespace, 'NAMESPACE')}`,
    resource,
    namespace: safe(namespace, 'NAMESPACE'),
    isNamed: namespace !== '' && name !== '',
  }
}

/** Command that shows the pods of a namespace with Linkerd's annotations and proxies. */
export function annotationsOf(namespace: string): readonly string[] {
  const columns = [
    'POD:.metadata.name',
    'SINCE:.metadata.creationTimestamp',
    'HOST:.spec.hostNetwork',
    ...[
      ['PROXY', 'linkerd.io/proxy-version'],
      ['INJECT', INJECT],
      ['SKIP_IN', SKIP_INBOUND],
      ['SKIP_OUT', SKIP_OUTBOUND],
    ].map(([column, name = '']) => `${column}:.metadata.annotations.${name.replaceAll('.', '\\.')}`),
  ]
  return explained('See the Linkerd annotations of the pods', [
    `kubectl get pods -n ${namespace} -o custom-columns='${columns.join(',')}'`,
  ])
}

/** Whether Linkerd's injector adds a proxy. */
export const INJECT = 'linkerd.io/inject'

/** Ports on which inbound connections bypass the proxy. */
export const SKIP_INBOUND = 'config.linkerd.io/skip-inbound-ports'

/** Ports to which outbound connections bypass the proxy. */
export const SKIP_OUTBOUND = 'config.linkerd.io/skip-outbound-ports'

/** Returns an annotation's value if Linkerd could accept it, or else a placeholder. */
export function shown(value: string | null): string {
  return value !== null && /^[-\w,.:/ ]{1,253}$/.test(value) ? value : '(something else)'
}

import { COUNTED_BEFORE, MAYBE_PROBES } from '../counters/classify.ts'
import type { Cause, Destination, Setting, State } from '../../model/path.ts'
import { ranEarlyInit } from '../pods/around-proxy.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import { templatesOf } from '../pods/pod-templates.ts'
import type { PodFacts } from '../pods/pods.ts'
import { includesPort } from '../pods/ports.ts'
import { compareText } from '../../text/order.ts'
import type { ReadEdge } from './path-edges.ts'
import { unmeshedReason } from './window-workloads.ts'

/** Cause of a path's state, and the workload settings it is based on, sorted. */
export type PathCause = { readonly cause: Cause | null; readonly settings: readonly Setting[] }

/** State of a path, and the edges that decided it. */
type Decided = {
  readonly state: State
  readonly reason: string
  readonly destination: Destination
  readonly port: number
  /** At least one. */
  readonly edges: readonly ReadEdge[]
  /** True: a proxy reported unexplained plaintext to this port, so its workload may be the unnamed client. */
  readonly isSentByProxy: boolean
}

/** Settings are stored with each path, so their number is limited. */
const MAX_SETTINGS = 5

const SKIP_INBOUND = 'config.linkerd.io/skip-inbound-ports'
const SKIP_OUTBOUND = 'config.linkerd.io/skip-outbound-ports'
const SKIP_SUBNETS = 'config.linkerd.io/skip-subnets'
const INJECT = 'linkerd.io/inject'
const PROXY = 'linkerd-proxy'

/** Namespaces that Linkerd's injector skips by default (its chart's `namespaceSelector`). */
const NEVER_INJECTED: ReadonlySet<string> = new Set(['kube-system', 'cert-manager'])

const NOTHING: PathCause = { cause: null, settings: [] }
const UNKNOWN: PathCause = { cause: 'unknown', settings: [] }

/** Cause of an unknown state, by its reason, with or without the part in brackets. */
const UNKNOWN_BECAUSE: ReadonlyMap<string, Cause> = new Map([
  ['source-partly-unmeshed (no list)', 'no-kubernetes-list'],
  ['source-partly-unmeshed (pod-not-listed)', 'pod-not-listed'],
  ['source-partly-unmeshed', 'source-partly-meshed'],
  ['destination-not-seen', 'destination-not-seen'],
  ['labels-overridden', 'labels-overridden'],
  ['pod-not-listed', 'pod-not-listed'],
  ['instance-not-confirmed', 'pod-not-listed'],
  [MAYBE_PROBES, 'perhaps-probes'],
  ['probe path, probes not known', 'perhaps-probes'],
  [COUNTED_BEFORE, 'counted-before'],
  ['metrics-partly-read', 'metrics-incomplete'],
  ['no byte counters', 'metrics-incomplete'],
  ['no authorization counter moved', 'metrics-incomplete'],
  ['no-port', 'metrics-incomplete'],
  ['ipv6-not-proxied', 'ipv6-not-proxied'],
])

/**
 * Finds the cause of a path's state from proxy metrics and the Kubernetes facts of the window. The cause is `unknown` if they do not show it. A merely
 * possible cause is named as a setting, never as the cause.
 */
export function causesOf(facts: Facts): (path: Decided) => PathCause {
  const settingOf = settingsReader(facts)
  return (path) => {
    const { state, reason, edges } = path
    if (state === 'exempt')
      return edges.some(({ reached }) => reached === 'api-server') ? { cause: 'kubernetes-api', settings: [] } : NOTHING
    if (state === 'mtls' || state === 'tls-anonymous') return NOTHING
    const own = linkerdsOwn(path.destination, facts)
    const isUnnamed = edges[0]?.source.kind === 'unmeshed'
    if (state === 'unknown') {
      const { cause, settings } = causeOfUnknown(path, facts, settingOf)
      return { cause, settings: isUnnamed ? [...settings, ...own] : settings }
    }
    if (reason === 'disabled') return { cause: 'identity-disabled', settings: [] }
    return edges[0]?.side === 'outbound'
      ? worst(edges.map((edge) => causeOfOutbound(edge, facts, settingOf)))
      : own.length === 0
        ? causeOfInbound(path, facts, settingOf)
        : {
            cause: isWebhook(path, facts) ? 'linkerd-webhook' : causeOfInbound(path, facts, settingOf).cause,
            settings: own,
          }
  }
}

/** Port names in Linkerd's charts that the Kubernetes API server calls: admission webhooks and the tap API. */
const WEBHOOK_PORTS: ReadonlySet<string> = new Set([
  'apiserver',
  'jaeger-injector',
  'policy-https',
  'proxy-injector',
  'sp-validator',
  'tap-injector',
])

function isWebhook({ destination, port }: Decided, facts: Facts): boolean {
  const pods = facts.podsOf.get(workloadKey(destination)) ?? []
  return (
    pods.length > 0 &&
    pods.every(({ ports }) => ports.some((one) => one.port === port && WEBHOOK_PORTS.has(one.name ?? '')))
  )
}

/** Whether Linkerd's injector skips a namespace. */
function isLeftOut(namespace: string, facts: Facts): boolean {
  return (
    NEVER_INJECTED.has(namespace) ||
    labelsOfNamespace(namespace, facts)?.['config.linkerd.io/admission-webhooks'] === 'disabled'
  )
}

function labelsOfNamespace(namespace: string, { before, after }: Facts): Readonly<Record<string, string>> | undefined {
  return (after ?? before)?.namespaces.find(({ metadata }) => metadata.name === namespace)?.metadata.labels
}

/** Namespace labels that show a workload to be Linkerd's own; no pod can set them. Empty if it is not. */
function linkerdsOwn(workload: Destination, facts: Facts): readonly Setting[] {
  const labels = labelsOfNamespace(workload.namespace, facts)
  const { kind, namespace, name } = workload
  return LINKERDS.flatMap((label): Setting[] => {
    const value = labels?.[label]
    return value === undefined
      ? []
      : [{ workload: { kind, namespace, name }, name: label, value: told(value), by: 'namespace' }]
  })
}

const LINKERDS = ['linkerd.io/is-control-plane', 'linkerd.io/extension']

/** Returns the first known cause in text order. Edges without a known cause do not hide it. */
function worst(causes: readonly PathCause[]): PathCause {
  const [first] = causes.toSorted(
    (a, b) =>
      Number(a.cause === 'unknown') - Number(b.cause === 'unknown') ||
      compareText(JSON.stringify(a), JSON.stringify(b)),
  )
  return first ?? UNKNOWN
}

function causeOfUnknown({ reason, edges }: Decided, facts: Facts, settingOf: SettingOf): PathCause {
  const cause = UNKNOWN_BECAUSE.get(reason) ?? UNKNOWN_BECAUSE.get(reason.replace(/ \(.*$/s, '')) ?? 'unknown'
  const source = edges[0]?.source
  if (cause !== 'source-partly-meshed' || source === undefined) return { cause, settings: [] }
  // The settings show which pods have no proxy and why.
  const pods = (facts.podsOf.get(workloadKey(source)) ?? []).filter(({ unlisted }) => unlisted === undefined)
  return {
    cause,
    settings: some([
      ...pods.filter(({ meshed, hostNetwork }) => !meshed && !hostNetwork).map((pod) => settingOf(pod, INJECT)),
      ...pods.filter((pod) => ranEarlyInit(pod, facts)).map(initSetting),
    ]),
  }
}

/**
 * Finds the cause of a plaintext outbound connection from the pod that was reached, since a pod's spec does not change while it lives. If that pod is in no
 * list, all pods of its workload decide, provided that the lists around the window agree.
 */
function causeOfOutbound(edge: ReadEdge, facts: Facts, settingOf: SettingOf): PathCause {
  const { destination, port, reached } = edge
  if (reached === 'api-server') return { cause: 'kubernetes-api', settings: [] }
  if (reached === 'node') return { cause: 'destination-on-host-network', settings: [] }
  if (reached === 'other-cluster' || destination.cluster !== null || OUTSIDE_KINDS.has(destination.kind))
    return { cause: 'outside-cluster', settings: [] }
  if (reached === 'unlisted') return { cause: 'destination-not-listed', settings: [] }
  const key = workloadKey(destination)
  const exact = edge.reachedPods.pods.filter((pod) => workloadKey(pod.workload) === key)
  const byPod = exact.map((pod) => causeOfPod(pod, port, facts, settingOf))
  const [only] = byPod
  if (only !== undefined && byPod.every(({ cause }) => cause === only.cause)) return only

  const pods = facts.podsOf.get(key) ?? []
  if (pods.length === 0)
    return { cause: destination.kind === 'service' ? 'unknown' : 'destination-not-listed', settings: [] }
  const explained = pods
    .map((pod) => causeOfPod(pod, port, facts, settingOf))
    .filter(({ cause }) => cause !== 'unknown')
  const agreed = facts.fact(key, ({ meshed, hostNetwork, skipInbound }) => [meshed, hostNetwork, skipInbound])
  if (agreed.known && explained.length > 0) return worst(explained)
  return edge.reachedPods.isPodUnknown ? { cause: 'destination-not-listed', settings: [] } : UNKNOWN
}

/** Kinds of ends that are not pods of the cluster. */
const OUTSIDE_KINDS: ReadonlySet<string> = new Set(['external', 'externalworkload'])

/** Finds why a pod's port gets no mesh TLS; `unknown` if nothing prevents it. */
function causeOfPod(pod: PodFacts, port: number, facts: Facts, settingOf: SettingOf): PathCause {
  if (pod.hostNetwork) return { cause: 'destination-on-host-network', settings: [] }
  if (pod.otherControlPlane) {
    const value = pod.labels['linkerd.io/control-plane-ns'] ?? null
    const name = 'linkerd.io/control-plane-ns'
    return {
      cause: 'destination-in-other-mesh',
      settings: [{ workload: pod.workload, name, value: told(value), by: 'pod' }],
    }
  }
  if (!pod.meshed) return causeOfUnmeshed(pod, facts, settingOf)
  if (includesPort(pod.skipInbound, port))
    return { cause: 'destination-skips-port', settings: [{ ...settingOf(pod, SKIP_INBOUND), port }] }
  return UNKNOWN
}

function causeOfUnmeshed(pod: PodFacts, facts: Facts, settingOf: SettingOf): PathCause {
  const settings = [settingOf(pod, INJECT)]
  if (isLeftOut(pod.namespace, facts)) return { cause: 'destination-not-injectable', settings: [] }
  // cAdvisor shows a pod's containers but not its annotations.
  if (pod.unlisted !== undefined) return { cause: 'destination-not-meshed', settings: [] }
  const reason = unmeshedReason(pod, facts)
  return reason === 'created-before-injection' || reason === 'injection-skipped' || reason === 'automount-disabled'
    ? { cause: 'destination-not-injected', settings }
    : { cause: 'destination-not-meshed', settings }
}

/**
 * Finds the cause for an unnamed client. The server's proxy saw that its connections used no mesh proxy. The client is known to have no proxy only if both
 * lists show that no meshed pod bypasses its proxy on this port.
 */
function causeOfInbound(path: Decided, facts: Facts, settingOf: SettingOf): PathCause {
  const { reason, destination, port, isSentByProxy } = path
  if (reason === 'application-tls') return { cause: 'application-tls', settings: [] }
  const isClear = reason === 'no_tls_from_remote' || reason.startsWith('probe path')
  if ((!isClear && reason !== 'port_skipped') || isSentByProxy) return UNKNOWN
  const dialled = dialledPorts(destination, port, facts)
  const around: Setting[] = []
  for (const pod of facts.pods) {
    if (!pod.meshed) continue
    const skipped = dialled.find((one) => includesPort(pod.skipOutbound, one))
    if (skipped !== undefined) around.push({ ...settingOf(pod, SKIP_OUTBOUND), port: skipped })
    if (pod.skipSubnets.length > 0) around.push(settingOf(pod, SKIP_SUBNETS))
  }
  const early = facts.pods.filter((pod) => ranEarlyInit(pod, facts)).map(initSetting)
  // Nobody should change what Linkerd sets for all proxies or for its own.
  const settings = some([
    ...around.filter(({ value }) => value !== null),
    ...early,
    ...unmeshedWorkloads(destination, facts),
  ])
  if (reason === 'port_skipped') return { cause: 'opaque-port-unmeshed-client', settings }
  if (facts.before === null || facts.after === null || around.length > 0)
    return { cause: 'source-not-proxied', settings }
  return { cause: early.length > 0 ? 'init-container' : 'source-not-meshed', settings }
}

/** Other workloads with pods that have no proxy but could have one; empty if there are too many to help. */
function unmeshedWorkloads(destination: Destination, facts: Facts): readonly Setting[] {
  const all = new Map(
    facts.pods
      .filter(
        ({ meshed, otherControlPlane, hostNetwork, namespace }) =>
          !meshed && !otherControlPlane && !hostNetwork && !isLeftOut(namespace, facts),
      )
      .map(({ workload }) => [workloadKey(workload), workload] as const),
  )
  all.delete(workloadKey(destination))
  return all.size > MAX_SETTINGS
    ? []
    : [...all.values()].map((workload) => ({ workload, name: PROXY, value: null, by: 'pod' }))
}

/** Whether a pod's connections to any of these dialled ports bypass its proxy. */
export function skipsAny({ skipOutbound }: PodFacts, dialled: readonly number[]): boolean {
  return dialled.some((port) => includesPort(skipOutbound, port))
}

/** A workload's port and the Service ports that lead to it, because a client's proxy decides by the port it dialled. */
export function dialledPorts(destination: Destination, port: number, facts: Facts): number[] {
  return [port, ...servicePorts(destination, port, facts)]
}

function servicePorts(destination: Destination, port: number, facts: Facts): number[] {
  const pods = facts.podsOf.get(workloadKey(destination)) ?? []
  return (facts.after?.services ?? []).flatMap(({ metadata, spec }) => {
    const selector = Object.entries(spec.selector ?? {})
    const selected = pods.filter(
      (pod) =>
        pod.namespace === metadata.namespace &&
        selector.length > 0 &&
        selector.every(([name, value]) => pod.labels[name] === value),
    )
    if (selected.length === 0) return []
    return (spec.ports ?? [])
      .filter(
        ({ port: own, targetPort = own }) =>
          targetPort === port ||
          selected.some((pod) => pod.ports.some((one) => one.name === targetPort && one.port === port)),
      )
      .map(({ port: own }) => own)
  })
}

type SettingOf = (pod: PodFacts, annotation: string) => Setting

/** Reads an annotation of a pod and finds who set it, because the injector copies the namespace's annotations to each pod. */
function settingsReader(facts: Facts): SettingOf {
  const listed = facts.after ?? facts.before
  const templates = new Map(
    listed === null ? [] : templatesOf(listed).map(({ workload, template }) => [workloadKey(workload), template]),
  )
  const namespaces = new Map(listed?.namespaces.map(({ metadata }) => [metadata.name, metadata.annotations]))
  return (pod, name) => {
    const { workload, annotations, namespace } = pod
    const inherited = namespaces.get(namespace)?.[name]
    const value = annotations[name] ?? inherited
    if (value === undefined) return { workload, name, value: null, by: 'control-plane' }
    const own = workload.kind === 'pod' ? annotations : templates.get(workloadKey(workload))?.metadata?.annotations
    const by = own?.[name] === value ? 'workload' : inherited === value ? 'namespace' : 'pod'
    return { workload, name, value: told(value), by }
  }
}

function initSetting({ workload, earlyInit }: PodFacts): Setting {
  return { workload, name: 'initContainers', value: told(earlyInit.join(',')), by: 'pod' }
}

/** Returns an annotation's value if it looks like a list of ports, networks or names, or else null, because it may hold anything. */
function told(value: string | null): string | null {
  return value !== null && /^[-\w,.:/ ]{1,253}$/.test(value) ? value : null
}

/** Returns distinct settings by name and workload, sorted, at most {@link MAX_SETTINGS}. */
function some(settings: readonly Setting[]): readonly Setting[] {
  const once = new Map(
    settings.map((setting) => [`${setting.name}\n${workloadKey(setting.workload)}`, setting] as const),
  )
  return [...once]
    .toSorted(([a], [b]) => compareText(a, b))
    .slice(0, MAX_SETTINGS)
    .map(([, setting]) => setting)
}

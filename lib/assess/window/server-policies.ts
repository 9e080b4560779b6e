import * as z from 'zod'
import type { LinkerdResource } from '../../observed/kubernetes-fields.ts'
import type { Endpoint, Enforcement } from '../../model/path.ts'
import { type Facts, workloadKey } from '../pods/facts.ts'
import type { PodFacts } from '../pods/pods.ts'
import type { Policies } from '../pods/lists.ts'
import { includesPort } from '../pods/ports.ts'

const matchExpression = z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() })
const selector = z.object({
  matchLabels: z.record(z.string(), z.string()).optional(),
  matchExpressions: z.array(matchExpression).optional(),
})
const server = z.object({
  podSelector: selector.optional(),
  port: z.union([z.string(), z.number()]),
  accessPolicy: z.string().optional(),
})
const reference = z.object({ kind: z.string(), name: z.string(), namespace: z.string().optional() })
const authorization = z.object({ targetRef: reference, requiredAuthenticationRefs: z.array(reference).optional() })
const serverAuthorization = z.object({
  server: z.object({ name: z.string().optional(), selector: selector.optional() }),
  client: z.object({ unauthenticated: z.boolean().optional(), meshTLS: z.unknown().optional() }),
})
const route = z.object({ parentRefs: z.array(z.object({ kind: z.string().optional(), name: z.string() })).optional() })

type PolicyDecision = 'refused' | 'allowed' | 'audited' | 'unknown'

/** A Map, because any other name may be that of an object's built-in property. */
const DEFAULT_POLICIES: ReadonlyMap<string, PolicyDecision> = new Map([
  ['all-unauthenticated', 'allowed'],
  ['cluster-unauthenticated', 'allowed'],
  ['all-authenticated', 'refused'],
  ['cluster-authenticated', 'refused'],
  ['all-tls-unauthenticated', 'refused'],
  ['all-mtls-unauthenticated', 'refused'],
  ['deny', 'refused'],
  ['audit', 'audited'],
])

/**
 * Whether policy refuses plaintext on a workload's port, from Linkerd's default inbound policy, Servers, AuthorizationPolicies and ServerAuthorizations. It
 * is `unknown` if something is not understood or changed around the window. If pods differ, the weakest answer counts. NetworkPolicies are ignored.
 */
export function enforcementOf(destination: Endpoint, port: number, facts: Facts): Enforcement {
  const key = workloadKey(destination)
  const pods = facts.podsOf.get(key) ?? []
  if (pods.length === 0) return 'unknown'
  const before = facts.before?.policies
  const after = facts.after?.policies
  if (before === undefined || before === null || after === undefined || after === null) return 'unknown'
  const agreed = facts.fact(key, ({ meshed, defaultPolicy, skipInbound, requiresIdentity }) => ({
    meshed,
    defaultPolicy,
    skipInbound,
    requiresIdentity,
  }))
  if (!agreed.known) return 'unknown'
  const decisions = (policies: Policies) => new Set(pods.map((pod) => decisionFor(pod, port, policies)))
  const [was, is] = [decisions(before), decisions(after)]
  if (was.size !== is.size || [...was].some((decision) => !is.has(decision))) return 'unknown'
  if (is.has('unknown')) return 'unknown'
  if (is.has('allowed')) return 'plaintext-allowed'
  return is.has('audited') ? 'audited' : 'plaintext-refused'
}

function decisionFor(pod: PodFacts, port: number, policies: Policies): PolicyDecision {
  // Only a proxy can refuse.
  if (!pod.meshed || includesPort(pod.skipInbound, port)) return 'allowed'
  if (includesPort(pod.requiresIdentity, port)) return 'refused'
  const selecting = policies.servers
    .filter(({ metadata }) => metadata.namespace === pod.namespace)
    .map((resource) => ({ resource, spec: server.safeParse(resource.spec) }))
  if (selecting.some(({ spec }) => !spec.success)) return 'unknown'
  const decisions = new Set(
    selecting.flatMap(({ resource, spec }) =>
      spec.success && selectsPod(spec.data, pod) && isPort(spec.data.port, port, pod)
        ? [decisionOfServer(resource, spec.data, policies)]
        : [],
    ),
  )
  const [decision, ...others] = decisions
  if (decision === undefined) return DEFAULT_POLICIES.get(pod.defaultPolicy ?? '') ?? 'unknown'
  // Linkerd uses one of several Servers for a port and does not document which.
  return others.length === 0 ? decision : 'unknown'
}

function decisionOfServer(
  resource: LinkerdResource,
  { accessPolicy }: z.infer<typeof server>,
  policies: Policies,
): PolicyDecision {
  const byAuthorization = authorizationsOf(resource, policies)
  if (byAuthorization !== 'refused') return byAuthorization
  // Since Server v1beta3 a Server's own policy counts in addition to its authorizations; before, it was deny.
  return DEFAULT_POLICIES.get(accessPolicy ?? 'deny') ?? 'unknown'
}

/** A Server without a pod selector is for external workloads. */
function selectsPod({ podSelector }: z.infer<typeof server>, { labels }: PodFacts): boolean {
  return podSelector !== undefined && selects(podSelector, labels)
}

function isPort(wanted: string | number, port: number, pod: PodFacts): boolean {
  return wanted === port || pod.ports.some((one) => one.name === wanted && one.port === port)
}

/** Whether any authorization of a Server, its routes or its namespace lets plaintext in. */
function authorizationsOf(target: LinkerdResource, policies: Policies): 'allowed' | 'refused' | 'unknown' {
  const { name, namespace = '', labels } = target.metadata
  const routes = policies.httpRoutes.filter(({ metadata }) => metadata.namespace === namespace)
  const isOwnRoute = ({ spec }: LinkerdResource) =>
    (route.safeParse(spec).data?.parentRefs ?? []).some((parent) => parent.name === name)
  const answers: ('allowed' | 'refused' | 'unknown')[] = []
  for (const { metadata, spec } of policies.authorizationPolicies) {
    if (metadata.namespace !== namespace) continue
    const parsed = authorization.safeParse(spec)
    if (!parsed.success) {
      answers.push('unknown')
      continue
    }
    const { kind, name: targetName } = parsed.data.targetRef
    const isRefused = requiresMeshTls(parsed.data.requiredAuthenticationRefs ?? [])
    if (kind === 'Server' || kind === 'Namespace') {
      if (targetName === (kind === 'Server' ? name : namespace)) answers.push(isRefused ? 'refused' : 'allowed')
      continue
    }
    const listed = kind === 'HTTPRoute' ? routes.filter(({ metadata: own }) => own.name === targetName) : []
    if (listed.some(isOwnRoute)) answers.push(isRefused ? 'refused' : 'allowed')
    // An unlisted route (Gateway API, gRPC) may belong to this Server.
    else if (listed.length === 0 && !isRefused) answers.push('unknown')
  }
  for (const { metadata, spec } of policies.serverAuthorizations) {
    if (metadata.namespace !== namespace) continue
    const parsed = serverAuthorization.safeParse(spec)
    if (!parsed.success) answers.push('unknown')
    else if (
      parsed.data.server.name === name ||
      (parsed.data.server.selector !== undefined && selects(parsed.data.server.selector, labels ?? {}))
    ) {
      answers.push(
        parsed.data.client.meshTLS === undefined || parsed.data.client.unauthenticated === true ? 'allowed' : 'refused',
      )
    }
  }
  return answers.includes('allowed') ? 'allowed' : answers.includes('unknown') ? 'unknown' : 'refused'
}

/** Whether an authentication requires mesh TLS. A NetworkAuthentication alone restricts only addresses. */
function requiresMeshTls(references: readonly { readonly kind: string }[]): boolean {
  return references.some(({ kind }) => kind === 'MeshTLSAuthentication' || kind === 'ServiceAccount')
}

/** Evaluates a Kubernetes label selector. An unknown operator selects, so that its policy is not overlooked. */
function selects(wanted: z.infer<typeof selector> | undefined, labels: Readonly<Record<string, string>>): boolean {
  const byLabels = Object.entries(wanted?.matchLabels ?? {}).every(([name, value]) => labels[name] === value)
  return (
    byLabels &&
    (wanted?.matchExpressions ?? []).every(({ key, operator, values }) => {
      const value = Object.hasOwn(labels, key) ? labels[key] : undefined
      if (operator === 'In') return value !== undefined && (values ?? []).includes(value)
      if (operator === 'NotIn') return value === undefined || !(values ?? []).includes(value)
      if (operator === 'Exists') return value !== undefined
      if (operator === 'DoesNotExist') return value === undefined
      return true
    })
  )
}

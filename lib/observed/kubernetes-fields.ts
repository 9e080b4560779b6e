import { load } from 'js-yaml'
import * as z from 'zod'
import { oneLine } from '../text/redact.ts'
import { isMoment } from '../time/windows.ts'

/**
 * Which fields of Kubernetes' objects are kept, in Kubernetes' own shape and names. Whatever is not named here is dropped before
 * anything is stored (`reduce-objects.ts`): other environment values, other annotations, managedFields, images, volumes, data of
 * ConfigMaps. Secrets are never asked for.
 */

/** Kubernetes writes null for what is absent (`"endpoints": null`), so null and absent are the same here. */
function fields<Shape extends z.ZodRawShape>(shape: Shape) {
  const names = Object.keys(shape)
  return z.preprocess((value) => {
    if (typeof value !== 'object' || value === null) return value
    const object = value as Readonly<Record<string, unknown>>
    if (!names.some((name) => object[name] === null)) return value
    return Object.fromEntries(Object.entries(object).filter(([, field]) => field !== null))
  }, z.object(shape))
}

/** A map of strings, as labels and selectors are. */
const strings = z.record(z.string(), z.string())

/** Annotations that say what Linkerd does to a pod. Others may hold anything, even credentials. */
const KEPT_ANNOTATIONS =
  /^(linkerd\.io|config\.linkerd\.io|config\.alpha\.linkerd\.io|viz\.linkerd\.io|mirror\.linkerd\.io|multicluster\.linkerd\.io)\//

const annotations = strings.transform((all) =>
  Object.fromEntries(Object.entries(all).filter(([key]) => KEPT_ANNOTATIONS.test(key))),
)

/** As Kubernetes writes them: other forms, and years of more than four digits, are not in the order of their texts. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/

const time = z
  .string()
  .refine((text) => TIME.test(text) && isMoment(Date.parse(text) / 1000), 'wanted a time such as 2026-11-24T12:30:00Z')

/** Kubernetes has no other numbers than 32-bit integers in what is read here. */
const count = z
  .int()
  .min(0)
  .max(2 ** 31 - 1)
const portNumber = z.int().min(0).max(65_535)

const ownerReference = fields({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
})

const metadata = fields({
  name: z.string(),
  /** Absent on what belongs to no namespace. */
  namespace: z.string().optional(),
  uid: z.string().optional(),
  creationTimestamp: time.optional(),
  /** Present while the object is being deleted. */
  deletionTimestamp: time.optional(),
  labels: strings.optional(),
  annotations: annotations.optional(),
  ownerReferences: z.array(ownerReference).optional(),
})

const portNumberOrName = z.union([portNumber, z.string()])

const probe = fields({
  httpGet: fields({ port: portNumberOrName, scheme: z.string().optional() }).optional(),
  tcpSocket: fields({ port: portNumberOrName }).optional(),
  grpc: fields({ port: portNumberOrName }).optional(),
  periodSeconds: count.optional(),
  initialDelaySeconds: count.optional(),
  failureThreshold: count.optional(),
})

const ports = z
  .array(fields({ name: z.string().optional(), containerPort: portNumber, protocol: z.string().optional() }))
  .optional()

const probes = {
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  startupProbe: probe.optional(),
}

/** The only environment values that are stored, and only where they are literal. */
const KEPT_ENVIRONMENT: ReadonlySet<string> = new Set([
  'LINKERD2_PROXY_INBOUND_DEFAULT_POLICY',
  'LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION',
  'LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY',
  'LINKERD2_PROXY_IDENTITY_LOCAL_NAME',
  'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS',
])

const container = fields({
  name: z.string(),
  /** `Always` on an init container: a native sidecar. */
  restartPolicy: z.string().optional(),
  ports,
  /** Only of `linkerd-init`: the ports and subnets it leaves alone. */
  args: z.array(z.string()).optional(),
  /** Only of `linkerd-proxy`. */
  env: z.array(fields({ name: z.string(), value: z.string().optional() })).optional(),
  ...probes,
}).transform(({ args, env, ...kept }) => {
  const keptEnvironment =
    kept.name !== 'linkerd-proxy'
      ? []
      : (env ?? []).flatMap(({ name, value }) =>
          KEPT_ENVIRONMENT.has(name) && value !== undefined ? [{ name, value: publicValue(name, value) }] : [],
        )
  return {
    ...kept,
    ...(args !== undefined && kept.name === 'linkerd-init' ? { args } : {}),
    ...(keptEnvironment.length > 0 ? { env: keptEnvironment } : {}),
  }
})

const running = fields({ startedAt: time.optional() })
const terminated = fields({ startedAt: time.optional(), finishedAt: time.optional() })
const containerState = fields({ running: running.optional(), terminated: terminated.optional() })

const containerStatus = fields({
  name: z.string(),
  ready: z.boolean().optional(),
  /** Its startup probe has succeeded, or it has none. */
  started: z.boolean().optional(),
  restartCount: count.optional(),
  state: containerState.optional(),
  lastState: containerState.optional(),
})

/** Conditions that are kept of a pod: since when it is ready, or is not. */
const KEPT_CONDITIONS: ReadonlySet<string> = new Set(['Ready'])

const conditions = z
  .array(fields({ type: z.string(), status: z.string().optional(), lastTransitionTime: time.optional() }))
  .transform((all) => all.filter(({ type }) => KEPT_CONDITIONS.has(type)))

const pod = fields({
  metadata,
  spec: fields({
    serviceAccountName: z.string().optional(),
    hostNetwork: z.boolean().optional(),
    automountServiceAccountToken: z.boolean().optional(),
    containers: z.array(container),
    initContainers: z.array(container).optional(),
  }),
  status: fields({
    phase: z.string().optional(),
    reason: z.string().optional(),
    podIP: z.string().optional(),
    podIPs: z.array(fields({ ip: z.string() })).optional(),
    hostIP: z.string().optional(),
    startTime: time.optional(),
    conditions: conditions.optional(),
    containerStatuses: z.array(containerStatus).optional(),
    initContainerStatuses: z.array(containerStatus).optional(),
  }),
})

/** A container of a template: only what says which probes the pods made from it have. */
const templateContainer = fields({ name: z.string(), restartPolicy: z.string().optional(), ports, ...probes })

const template = fields({
  metadata: fields({ labels: strings.optional(), annotations: annotations.optional() }).optional(),
  spec: fields({
    serviceAccountName: z.string().optional(),
    hostNetwork: z.boolean().optional(),
    automountServiceAccountToken: z.boolean().optional(),
    containers: z.array(templateContainer).optional(),
    initContainers: z.array(templateContainer).optional(),
  }).optional(),
})

const selector = fields({
  matchLabels: strings.optional(),
  matchExpressions: z
    .array(fields({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() }))
    .optional(),
})

/** Deployment, ReplicaSet, StatefulSet, DaemonSet and Job: what owns pods and has a template for them. */
const owner = fields({
  metadata,
  spec: fields({ replicas: count.optional(), selector: selector.optional(), template: template.optional() }),
})

const cronJob = fields({
  metadata,
  spec: fields({ jobTemplate: fields({ spec: fields({ template: template.optional() }).optional() }) }),
})

const service = fields({
  metadata,
  spec: fields({
    selector: strings.optional(),
    ports: z
      .array(
        fields({
          name: z.string().optional(),
          port: portNumber,
          targetPort: portNumberOrName.optional(),
          protocol: z.string().optional(),
        }),
      )
      .optional(),
    clusterIP: z.string().optional(),
    clusterIPs: z.array(z.string()).optional(),
    /** `IPv4`, `IPv6` or both: of a headless Service, too, whose name then leads to such addresses alone. */
    ipFamilies: z.array(z.string()).optional(),
    type: z.string().optional(),
    externalName: z.string().optional(),
  }),
})

const serviceAccount = fields({ metadata, automountServiceAccountToken: z.boolean().optional() })

const namespace = fields({ metadata })

const endpointSlice = fields({
  metadata,
  addressType: z.string(),
  endpoints: z
    .array(
      fields({
        addresses: z.array(z.string()),
        targetRef: fields({
          kind: z.string().optional(),
          namespace: z.string().optional(),
          name: z.string().optional(),
        }).optional(),
      }),
    )
    .optional(),
  ports: z
    .array(fields({ name: z.string().optional(), port: portNumber.optional(), protocol: z.string().optional() }))
    .optional(),
})

/** Linkerd's own resources hold no secret, and a policy is only understood whole: the spec is kept as it is. */
const linkerdResource = fields({ metadata, spec: z.record(z.string(), z.unknown()) })

const event = fields({
  metadata,
  reason: z.string().optional(),
  involvedObject: fields({
    kind: z.string().optional(),
    namespace: z.string().optional(),
    name: z.string().optional(),
    uid: z.string().optional(),
  }),
  lastTimestamp: time.optional(),
  message: z.string().transform(oneLine).optional(),
})

/** Helm values may be numbers where a list of ports has only one. */
const helmText = z.union([z.string(), z.number()]).transform(String)

/** The settings of the control plane that say what a proxy does without an annotation (ConfigMap linkerd-config). */
const linkerdValues = fields({
  clusterDomain: z.string().optional(),
  identityTrustDomain: z.string().optional(),
  linkerdVersion: helmText.optional(),
  cniEnabled: z.boolean().optional(),
  /** True, as Linkerd has it unless it is told otherwise: connections by IPv6 are not led to the proxy. */
  disableIPv6: z.boolean().optional(),
  identity: fields({
    /** False: the injector refuses pods that do not mount a ServiceAccount token. */
    serviceAccountTokenProjection: z.boolean().optional(),
    issuer: fields({
      scheme: z.string().optional(),
      issuanceLifetime: helmText.optional(),
      clockSkewAllowance: helmText.optional(),
    }).optional(),
  }).optional(),
  proxy: fields({ defaultInboundPolicy: z.string().optional(), opaquePorts: helmText.optional() }).optional(),
  proxyInit: fields({
    ignoreInboundPorts: helmText.optional(),
    ignoreOutboundPorts: helmText.optional(),
    skipSubnets: helmText.optional(),
  }).optional(),
})

const configMap = z.preprocess(
  withParsedValues,
  fields({
    metadata,
    data: fields({ 'ca-bundle.crt': z.string().transform(onlyCertificates).optional() }).optional(),
    /** Parsed from `data.values` of linkerd-config; absent on other ConfigMaps. */
    values: linkerdValues.optional(),
  }),
)

/** Schemas by resource, as in `KubernetesList`: the plural with its group. */
export const RESOURCE_SCHEMAS = {
  pods: pod,
  namespaces: namespace,
  services: service,
  serviceaccounts: serviceAccount,
  configmaps: configMap,
  events: event,
  'deployments.apps': owner,
  'replicasets.apps': owner,
  'statefulsets.apps': owner,
  'daemonsets.apps': owner,
  'jobs.batch': owner,
  'cronjobs.batch': cronJob,
  'endpointslices.discovery.k8s.io': endpointSlice,
  'servers.policy.linkerd.io': linkerdResource,
  'authorizationpolicies.policy.linkerd.io': linkerdResource,
  'meshtlsauthentications.policy.linkerd.io': linkerdResource,
  'networkauthentications.policy.linkerd.io': linkerdResource,
  'egressnetworks.policy.linkerd.io': linkerdResource,
  'httplocalratelimitpolicies.policy.linkerd.io': linkerdResource,
  'serverauthorizations.policy.linkerd.io': linkerdResource,
  'httproutes.policy.linkerd.io': linkerdResource,
  'externalworkloads.workload.linkerd.io': linkerdResource,
} as const

/** A resource that is read: the plural with its group. */
export type Resource = keyof typeof RESOURCE_SCHEMAS

/** A reduced object of a resource. */
export type Item<R extends Resource> = z.infer<(typeof RESOURCE_SCHEMAS)[R]>

/** Who made an object. */
export type OwnerReference = z.infer<typeof ownerReference>

/** A pod, with what is read of it. */
export type Pod = z.infer<typeof pod>

/** A container as a pod's spec has it. */
export type PodContainerSpec = z.infer<typeof container>

/** The template of which a workload's pods are made. */
export type Template = z.infer<typeof template>
/** Deployment, ReplicaSet, StatefulSet, DaemonSet or Job. */
export type Owner = z.infer<typeof owner>

/** A CronJob, with the template of its jobs' pods. */
export type CronJob = z.infer<typeof cronJob>

/** A Service, with its ports. */
export type Service = z.infer<typeof service>

/** The addresses behind a Service. */
export type EndpointSlice = z.infer<typeof endpointSlice>

/** A namespace, with its annotations. */
export type Namespace = z.infer<typeof namespace>
/** Server, AuthorizationPolicy and the like: `spec` as the API gave it. */
export type LinkerdResource = z.infer<typeof linkerdResource>

/** An event, of the reasons that are listed. */
export type Event = z.infer<typeof event>

/** A ConfigMap, of those that are listed. */
export type ConfigMap = z.infer<typeof configMap>

/** Puts the parsed `data.values` of linkerd-config beside `data`, where the reducer picks the few settings it keeps. */
function withParsedValues(item: unknown): unknown {
  const found = z.object({ data: z.object({ values: z.string() }) }).safeParse(item)
  if (!found.success || typeof item !== 'object') return item
  try {
    return { ...item, values: load(found.data.data.values) }
  } catch {
    return { ...item, values: 'not YAML' } // the schema then says that an object was wanted
  }
}

/** Trust anchors are certificates; should anything else ever stand beside them (a key), it is not kept. */
function onlyCertificates(pem: string): string {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => `${block}\n`).join('')
}

function publicValue(name: string, value: string): string {
  return name === 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS' ? onlyCertificates(value) : value
}

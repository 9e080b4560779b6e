import { load } from 'js-yaml'
import * as z from 'zod'
import { oneLine } from '../text/redact.ts'
import { isMoment } from '../time/windows.ts'

/**
 * The fields of Kubernetes objects that are stored, in Kubernetes' own shape and names. Everything else is dropped before storing (`reduce-objects.ts`):
 * other environment values, other annotations, managedFields, images, volumes, data of ConfigMaps. Secrets are never requested.
 */

/** Kubernetes writes null for absent fields (`"endpoints": null`), so null and absent are equal here. */
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

/** Annotations that configure Linkerd. Others may contain anything, even credentials. */
const KEPT_ANNOTATIONS =
  /^(linkerd\.io|config\.linkerd\.io|config\.alpha\.linkerd\.io|viz\.linkerd\.io|mirror\.linkerd\.io|multicluster\.linkerd\.io)\//

const annotations = strings.transform((all) =>
  Object.fromEntries(Object.entries(all).filter(([key]) => KEPT_ANNOTATIONS.test(key))),
)

/** Kubernetes' time format. Other forms, and years with more than four digits, do not sort as text. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/

const time = z
  .string()
  .refine((text) => TIME.test(text) && isMoment(Date.parse(text) / 1000), 'wanted a time such as 2026-11-24T12:30:00Z')

/** All numbers in the stored fields are 32-bit integers. */
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
  /** Absent for cluster-scoped objects. */
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

/** The only environment values that are stored, and only if they are literal. */
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
  /** Only for `linkerd-init`: the ports and subnets that it skips. */
  args: z.array(z.string()).optional(),
  /** Only for `linkerd-proxy`. */
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

/** Stored conditions of a pod: since when it is ready or not. */
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

/** A container of a template: only the fields that define the probes of its pods. */
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

/** Deployment, ReplicaSet, StatefulSet, DaemonSet and Job: owners of pods with a pod template. */
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
    /** `IPv4`, `IPv6` or both. A headless Service's name also resolves only to these families. */
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

/** Linkerd's own resources contain no secrets, and a policy needs its whole spec, so the spec is stored unchanged. */
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

/** Helm values may be numbers if a list of ports has only one. */
const helmText = z.union([z.string(), z.number()]).transform(String)

/** Settings of the control plane that apply to a proxy without annotations (ConfigMap linkerd-config). */
const linkerdValues = fields({
  clusterDomain: z.string().optional(),
  identityTrustDomain: z.string().optional(),
  linkerdVersion: helmText.optional(),
  cniEnabled: z.boolean().optional(),
  /** True, Linkerd's default: IPv6 connections are not redirected to the proxy. */
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

/** Name of a stored resource: the plural with its group. */
export type Resource = keyof typeof RESOURCE_SCHEMAS

/** A reduced object of a resource. */
export type Item<R extends Resource> = z.infer<(typeof RESOURCE_SCHEMAS)[R]>

/** Owner of an object. */
export type OwnerReference = z.infer<typeof ownerReference>

/** A pod, with its stored fields. */
export type Pod = z.infer<typeof pod>

/** A container in a pod's spec. */
export type PodContainerSpec = z.infer<typeof container>

/** A workload's pod template. */
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
/** Server, AuthorizationPolicy and the like, with an unchanged `spec`. */
export type LinkerdResource = z.infer<typeof linkerdResource>

/** An event with one of the listed reasons. */
export type Event = z.infer<typeof event>

/** One of the listed ConfigMaps. */
export type ConfigMap = z.infer<typeof configMap>

/** Adds the parsed `data.values` of linkerd-config next to `data`, so that the reducer can keep a few settings. */
function withParsedValues(item: unknown): unknown {
  const found = z.object({ data: z.object({ values: z.string() }) }).safeParse(item)
  if (!found.success || typeof item !== 'object') return item
  try {
    return { ...item, values: load(found.data.data.values) }
  } catch {
    return { ...item, values: 'not YAML' } // the schema then says that an object was wanted
  }
}

/** Keeps only certificates of trust anchors, in case something else, such as a key, is stored with them. */
function onlyCertificates(pem: string): string {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => `${block}\n`).join('')
}

function publicValue(name: string, value: string): string {
  return name === 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS' ? onlyCertificates(value) : value
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ReduceError, itemsOf, reduceItems } from '../../lib/observed/reduce-objects.ts'
import type { Resource } from '../../lib/observed/kubernetes-fields.ts'
import { recordedPod } from '../support/recorder.ts'
import { errorText } from '../support/texts/matches-text.ts'

const RESOURCES: readonly Resource[] = [
  'pods',
  'namespaces',
  'services',
  'serviceaccounts',
  'configmaps',
  'events',
  'deployments.apps',
  'cronjobs.batch',
  'endpointslices.discovery.k8s.io',
  'servers.policy.linkerd.io',
]

test('reduceItems() keeps the named fields of a pod and nothing else', () => {
  assert.deepEqual(reduceItems('pods', [recordedPod('web')], 'pods'), [
    {
      metadata: {
        name: 'web',
        namespace: 'shop',
        uid: 'uid-web',
        creationTimestamp: '2026-11-24T12:00:00Z',
        labels: { app: 'web', tls: 'true' },
        annotations: { 'linkerd.io/inject': 'enabled' },
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u', controller: true }],
      },
      spec: {
        serviceAccountName: 'web',
        initContainers: [
          { name: 'linkerd-init', args: ['--inbound-ports-to-ignore', '4190,4191'] },
          {
            name: 'linkerd-proxy',
            restartPolicy: 'Always',
            env: [{ name: 'LINKERD2_PROXY_INBOUND_DEFAULT_POLICY', value: 'deny' }],
          },
        ],
        containers: [
          {
            name: 'app',
            ports: [{ containerPort: 8080, protocol: 'TCP' }],
            readinessProbe: { httpGet: { port: 8080, scheme: 'HTTP' }, periodSeconds: 5 },
          },
        ],
      },
      status: {
        phase: 'Running',
        podIP: '10.0.0.1',
        podIPs: [{ ip: '10.0.0.1' }],
        containerStatuses: [
          {
            name: 'app',
            ready: true,
            restartCount: 1,
            state: { running: { startedAt: '2026-11-24T12:00:09Z' } },
            lastState: { terminated: { startedAt: '2026-11-24T12:00:01Z', finishedAt: '2026-11-24T12:00:08Z' } },
          },
        ],
      },
    },
  ])
})

test('reduceItems() keeps of a template what says how its pods are probed, and nothing else of its containers', () => {
  const probe = {
    httpGet: {
      port: 'http',
      path: '/SECRET',
      scheme: 'HTTPS',
      httpHeaders: [{ name: 'authorization', value: 'SECRET' }],
    },
    periodSeconds: 5,
    initialDelaySeconds: 30,
    failureThreshold: 7,
    timeoutSeconds: 2,
  }
  const container = {
    name: 'app',
    image: 'SECRET',
    args: ['SECRET'],
    env: [{ name: 'LINKERD2_PROXY_INBOUND_DEFAULT_POLICY', value: 'SECRET' }],
    ports: [{ name: 'http', containerPort: 8443, hostPort: 1 }],
    livenessProbe: probe,
    startupProbe: { exec: { command: ['SECRET'] } },
  }
  const template = { spec: { containers: [container], initContainers: [{ name: 'linkerd-init', args: ['SECRET'] }] } }
  const kept = {
    httpGet: { port: 'http', scheme: 'HTTPS' },
    periodSeconds: 5,
    initialDelaySeconds: 30,
    failureThreshold: 7,
  }
  assert.deepEqual(
    reduceItems('deployments.apps', [{ metadata: { name: 'web' }, spec: { template } }], 'deployments'),
    [
      {
        metadata: { name: 'web' },
        spec: {
          template: {
            spec: {
              containers: [
                { name: 'app', ports: [{ name: 'http', containerPort: 8443 }], livenessProbe: kept, startupProbe: {} },
              ],
              initContainers: [{ name: 'linkerd-init' }],
            },
          },
        },
      },
    ],
  )
})

test('reduceItems() keeps since when a pod is ready, and no other condition', () => {
  const pod = recordedPod('web')
  const lastTransitionTime = '2026-11-24T12:00:12Z'
  const conditions = [
    { type: 'Ready', status: 'True', lastTransitionTime, lastProbeTime: null, message: 'SECRET' },
    { type: 'example.com/gate', status: 'True', lastTransitionTime },
  ]
  const [reduced] = reduceItems('pods', [{ ...pod, status: { conditions } }], 'pods')
  assert.deepEqual(reduced?.status.conditions, [{ type: 'Ready', status: 'True', lastTransitionTime }])
})

test('reduceItems() names the item that does not fit, and why', () => {
  const pod = recordedPod('web')
  const cases: [item: unknown, line: RegExp][] = [
    [null, /^Cannot read pods of cluster "x": item 2 does not fit, Invalid input: expected object, received null$/],
    [
      { ...pod, spec: {} },
      /: item 2 \(shop\/web\) does not fit, spec\.containers: Invalid input: expected array, received undefined$/,
    ],
    [
      { ...pod, metadata: { name: 'a\u001b[2Jb', labels: { app: 1 } } },
      /: item 2 \(a \[2Jb\) does not fit, metadata\.labels\.app: /,
    ],
    [
      { ...pod, metadata: { name: 'a', creationTimestamp: 'yesterday' } },
      /metadata\.creationTimestamp: wanted a time such as/,
    ],
    ...['+275760-09-13T00:00:00Z', 'Tue, 24 Nov 2026 13:00:00 GMT', '2026', '0000-01-01T00:00:00Z'].map(
      (creationTimestamp): [unknown, RegExp] => [
        { ...pod, metadata: { name: 'a', creationTimestamp } },
        /metadata\.creationTimestamp: wanted a time such as/,
      ],
    ),
    ...[-1, 0.5, 1e308, 70_000].map((containerPort): [unknown, RegExp] => [
      { ...pod, spec: { containers: [{ name: 'app', ports: [{ containerPort }] }] } },
      /spec\.containers\.0\.ports\.0\.containerPort: /,
    ]),
  ]
  for (const [item, line] of cases)
    assert.throws(() => reduceItems('pods', [pod, item], 'pods of cluster "x"'), { name: 'ReduceError', message: line })
})

test('reduceItems() takes null for absent, as Kubernetes writes it', () => {
  const slice = { metadata: { name: 'a', labels: null }, addressType: 'IPv4', endpoints: null, ports: null }
  assert.deepEqual(reduceItems('endpointslices.discovery.k8s.io', [slice], 'endpointslices'), [
    { metadata: { name: 'a' }, addressType: 'IPv4' },
  ])
})

const certificate = '-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n'
const key = '-----BEGIN EC PRIVATE KEY-----\nSECRET\n-----END EC PRIVATE KEY-----\n'

test('reduceItems() keeps the anchors and the few settings of the ConfigMaps, and no key', () => {
  const values = `
clusterDomain: cluster.local
identityTrustDomain: trust.example
identityTrustAnchorsPEM: SECRET
identity:
  serviceAccountTokenProjection: false
  issuer:
    scheme: kubernetes.io/tls
    issuanceLifetime: 24h0m0s
    tls: {crtPEM: SECRET, keyPEM: SECRET}
proxy: {defaultInboundPolicy: deny, opaquePorts: 25, resources: SECRET}
proxyInit: {ignoreInboundPorts: "4567,4568", ignoreOutboundPorts: null}
policyValidator: {keyPEM: SECRET}
`
  assert.deepEqual(
    reduceItems(
      'configmaps',
      [
        { metadata: { name: 'linkerd-config' }, data: { values, other: 'SECRET' } },
        {
          metadata: { name: 'linkerd-identity-trust-roots' },
          data: { 'ca-bundle.crt': certificate + key + certificate },
        },
      ],
      'configmaps',
    ),
    [
      {
        metadata: { name: 'linkerd-config' },
        data: {},
        values: {
          clusterDomain: 'cluster.local',
          identityTrustDomain: 'trust.example',
          identity: {
            serviceAccountTokenProjection: false,
            issuer: { scheme: 'kubernetes.io/tls', issuanceLifetime: '24h0m0s' },
          },
          proxy: { defaultInboundPolicy: 'deny', opaquePorts: '25' },
          proxyInit: { ignoreInboundPorts: '4567,4568' },
        },
      },
      { metadata: { name: 'linkerd-identity-trust-roots' }, data: { 'ca-bundle.crt': certificate + certificate } },
    ],
  )
  assert.throws(
    () => reduceItems('configmaps', [{ metadata: { name: 'c' }, data: { values: '[: {' } }], 'configmaps'),
    errorText(),
  )
})

const KEYS = (
  'metadata name namespace labels annotations linkerd.io/inject vault/password spec status containers initContainers env ' +
  'args value valueFrom ports containerPort port template jobTemplate data values ca-bundle.crt tls.key selector addressType ' +
  'endpoints addresses involvedObject message state running constructor __proto__'
).split(' ')

/** JSON that is often near to what Kubernetes sends: its keys, with values of any kind. */
const kubernetesLike = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 7 },
    fc.constantFrom<unknown>(
      'SECRET',
      'linkerd-proxy',
      'linkerd-init',
      'web',
      null,
      8080,
      true,
      '2026-11-24T12:00:00Z',
      certificate + key,
    ),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 6 }),
  ),
})).value

test('reduceItems() gives items or one clear error for any JSON, and reducing twice changes nothing', () => {
  const any = fc.oneof(
    fc.jsonValue(),
    kubernetesLike,
    fc.array(fc.oneof(kubernetesLike, fc.constant(recordedPod('web')))),
  )
  fc.assert(
    fc.property(fc.constantFrom(...RESOURCES), any, (resource, json) => {
      const items: unknown[] = Array.isArray(json) ? json : [json]
      // As it comes from the wire, so that "__proto__" is a key like any other.
      const received = JSON.parse(JSON.stringify(items)) as unknown[]
      let reduced: unknown[]
      try {
        reduced = reduceItems(resource, received, `${resource} of cluster "x"`)
      } catch (error) {
        assert.ok(error instanceof ReduceError, String(error))
        assert.match(error.message, /^Cannot read [^\n]+$/)
        return
      }
      assert.equal(reduced.length, items.length, 'an item was dropped')
      const stored = JSON.stringify(reduced)
      const again = itemsOf([{ resource, version: 'v1', items: JSON.parse(stored) as unknown[] }], resource)
      assert.equal(JSON.stringify(again), stored)
    }),
    { numRuns: 2000 },
  )
})

/** Puts a field that is not named beside every field of an object. */
function salted(value: unknown, salt: string): unknown {
  if (Array.isArray(value)) return value.map((item) => salted(item, salt))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, field]: [string, unknown]): [string, unknown] => {
    if (name === 'labels') return [name, field] // kept whole: spoofed ones must be seen
    if (name === 'annotations') return [name, { ...(field as object), [salt]: 'SALT' }]
    return [name, salted(field, salt)]
  })
  return Object.fromEntries([...entries, [salt, 'SALT'], [`${salt}s`, { token: 'SALT' }]])
}

test('nothing outside the named fields survives, wherever it stands in a pod', () => {
  const clean = reduceItems('pods', [recordedPod('web')], 'pods')
  fc.assert(
    fc.property(fc.stringMatching(/^x[a-z./]{0,12}$/), (salt) => {
      assert.deepEqual(reduceItems('pods', [salted(recordedPod('web'), salt)], 'pods'), clean)
    }),
  )
})

test('itemsOf() tells a list that was not read from one that is not served', () => {
  assert.equal(itemsOf([], 'pods'), undefined)
  assert.deepEqual(itemsOf([{ resource: 'pods', items: [] }], 'pods'), [])
})

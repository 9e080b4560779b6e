import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PathWindow } from '../../../lib/model/window.ts'
import { type SyntheticCluster, assessed } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, pod } from '../../support/mesh/synthetic-pods.ts'
import {
  NO_DISCOVERY,
  NO_TLS,
  authorized,
  clearHttp,
  inbound,
  mutual,
  outbound,
  outboundTo,
  tcp,
} from '../../support/mesh/synthetic-prometheus.ts'

function only(cluster: SyntheticCluster): PathWindow {
  const [path, ...others] = assessed(cluster).paths
  assert.ok(path !== undefined && others.length === 0)
  return path
}

/** The cause of the only path of a cluster. */
function cause(cluster: SyntheticCluster): string | null {
  return only(cluster).cause
}

/** The settings of the only path of a cluster, each as `kind/name: setting=value (who set it)`. */
function settings(cluster: SyntheticCluster): string[] {
  return (only(cluster).settings ?? []).map(
    ({ workload: { kind, name }, name: setting, value, port, by }) =>
      `${kind}/${name}: ${setting}=${value ?? 'none'}${port === undefined ? '' : ` for ${port}`} (${by})`,
  )
}

const web = pod('deployment/web')
const dialled = (server: Pod, more: Partial<SyntheticCluster> = {}): SyntheticCluster => ({
  pods: [web, server],
  counters: tcp(web, outbound(server, 9000, NO_DISCOVERY)),
  ...more,
})
const dials = (server: Pod, more: Partial<SyntheticCluster> = {}) => cause(dialled(server, more))

/** The namespace `shop` of the lists, with these labels and annotations. */
const shop = (metadata: object) => () => ({ namespaces: [{ metadata: { name: 'shop', ...metadata } }] })

describe('The cause of a clear outbound connection', () => {
  const notInjected = () => ({ objects: shop({}) })

  test('is what the API server says of the pod that it reached', () => {
    const bare = pod('deployment/api', { meshed: false })
    assert.equal(dials(bare, notInjected()), 'destination-not-meshed')
    assert.equal(dials(bare), 'destination-not-injected')
    assert.equal(
      dials(pod('deployment/api', { meshed: false, annotations: { 'linkerd.io/inject': 'disabled' } })),
      'destination-not-meshed',
    )
    assert.equal(dials(pod('deployment/api', { skipInbound: '4190,4191,8999-9001' })), 'destination-skips-port')
    assert.equal(dials(pod('deployment/api', { skipInbound: '4190,4191,8080' })), 'unknown')
    assert.equal(
      dials(pod('deployment/api', { controlPlane: 'linkerd-two', scrape: () => 'none' })),
      'destination-in-other-mesh',
    )
    assert.equal(dials(pod('deployment/api', { meshed: false, hostNetwork: true })), 'destination-on-host-network')
    assert.equal(cause({ pods: [web], counters: tcp(web, outboundTo('203.0.113.7', 443)) }), 'outside-cluster')
    assert.equal(
      cause({
        pods: [web],
        counters: tcp(web, outboundTo('203.0.113.7', 443, { dst_service: 'x', dst_namespace: 'y' })),
      }),
      'unknown',
    )
  })

  test('is a namespace that the injector leaves out', () => {
    const bare = pod('deployment/api', { meshed: false })
    const labels = { 'config.linkerd.io/admission-webhooks': 'disabled' }
    assert.equal(dials(bare, { objects: shop({ labels }) }), 'destination-not-injectable')
    for (const namespace of ['kube-system', 'cert-manager'])
      assert.equal(dials(pod('deployment/dns', { meshed: false, namespace })), 'destination-not-injectable')
  })

  test('needs no two lists where one has the pod, since what a pod is made of does not change', () => {
    const bare = pod('deployment/api', { meshed: false })
    for (const missing of [{ before: null }, { after: null }])
      assert.equal(dials(bare, { ...notInjected(), ...missing }), 'destination-not-meshed')
    const [old, young] = [pod('deployment/api', { meshed: false, to: 100 }), pod('deployment/api', { from: 100 })]
    const reached = (server: Pod) =>
      cause({ pods: [web, old, young], counters: tcp(web, outbound(server, 9000, NO_DISCOVERY)), ...notInjected() })
    assert.equal(reached(old), 'destination-not-meshed')
    assert.equal(reached(young), 'unknown')
  })

  test('is not known of a workload whose lists do not agree, or that no list before the window has', () => {
    const [old, young] = [pod('deployment/api', { meshed: false, to: 100 }), pod('deployment/api', { from: 100 })]
    const unnamed = { ...outbound(old, 9000, NO_DISCOVERY), dst_pod: '', target_ip: '10.1.200.1', target_addr: '' }
    assert.equal(cause({ pods: [web, old, young], counters: tcp(web, unnamed) }), 'unknown')
    const bare = pod('deployment/api', { meshed: false })
    const byAddress = outboundTo(bare.ip, 9000)
    const both = { pods: [web, bare], counters: tcp(web, byAddress), ...notInjected() }
    assert.equal(cause(both), 'destination-not-meshed')
    // Who had the address before is not known.
    assert.equal(cause({ ...both, before: null }), 'unknown')
  })

  test('is that no list has the pod that was reached', () => {
    const [listed, unlisted] = [pod('deployment/api'), pod('deployment/api')]
    const counters = tcp(web, outbound(unlisted, 9000, NO_DISCOVERY))
    assert.equal(cause({ pods: [web, listed], counters }), 'destination-not-listed')
  })

  test('names the setting that it rests on, and who set it', () => {
    const skipping = (annotations: Readonly<Record<string, string>>, objects?: SyntheticCluster['objects']) =>
      settings(
        dialled(pod('deployment/api', { skipInbound: '4190,4191,9000', annotations }), {
          objects: objects ?? (() => ({})),
        }),
      )
    const name = 'config.linkerd.io/skip-inbound-ports'
    assert.deepEqual(skipping({ [name]: '9000' }), [`deployment/api: ${name}=9000 for 9000 (pod)`])
    assert.deepEqual(skipping({ [name]: '9000' }, shop({ annotations: { [name]: '9000' } })), [
      `deployment/api: ${name}=9000 for 9000 (namespace)`,
    ])
    assert.deepEqual(skipping({}), [`deployment/api: ${name}=none for 9000 (control-plane)`])
    assert.deepEqual(skipping({ [name]: '9000; rm -rf /' }), [`deployment/api: ${name}=none for 9000 (pod)`])
    const template = { metadata: { annotations: { [name]: '9000' } } }
    const deployments = [{ metadata: { name: 'api', namespace: 'shop' }, spec: { template } }]
    assert.deepEqual(
      skipping({ [name]: '9000' }, () => ({ 'deployments.apps': deployments })),
      [`deployment/api: ${name}=9000 for 9000 (workload)`],
    )
  })
})

describe('The cause of a clear inbound connection', () => {
  const api = pod('deployment/api', { labels: { app: 'api' }, ports: [{ name: 'http', containerPort: 8080 }] })
  const calling = (more: readonly Pod[] = [], rest: Partial<SyntheticCluster> = {}): SyntheticCluster => ({
    pods: [api, ...more],
    counters: clearHttp(api, 8080),
    ...rest,
  })
  const called = (more: readonly Pod[] = [], rest: Partial<SyntheticCluster> = {}) => cause(calling(more, rest))

  test('is a client without a proxy, unless a meshed pod goes around its own on the way there', () => {
    assert.equal(called([pod('deployment/job', { meshed: false, skipOutbound: '8080' })]), 'source-not-meshed')
    assert.equal(called([web]), 'source-not-meshed')
    assert.equal(called([pod('deployment/skipper', { skipOutbound: '8080' })]), 'source-not-proxied')
    assert.equal(called([pod('deployment/skipper', { skipSubnets: '10.0.0.0/8' })]), 'source-not-proxied')
    const service = (targetPort: unknown) => () => ({
      services: [
        {
          metadata: { name: 'api', namespace: 'shop' },
          spec: { selector: { app: 'api' }, ports: [{ port: 80, targetPort }] },
        },
      ],
    })
    const skipper = pod('deployment/skipper', { skipOutbound: '80' })
    for (const targetPort of [8080, 'http'])
      assert.equal(called([skipper], { objects: service(targetPort) }), 'source-not-proxied')
    assert.equal(called([skipper], { objects: service(9999) }), 'source-not-meshed')
  })

  test('is no more than a client around the mesh without the lists of both sides of the window', () => {
    assert.equal(called([], { before: null }), 'source-not-proxied')
    assert.equal(called([], { after: null }), 'source-not-proxied')
  })

  test('is not known where a proxy says that it sent it, and nothing explains that', () => {
    const { paths } = assessed({
      pods: [web, api],
      counters: [...tcp(web, outbound(api, 8080, NO_DISCOVERY)), ...clearHttp(api, 8080)],
    })
    assert.deepEqual(
      paths.map((path) => path.cause),
      ['unknown', 'unknown'],
    )
  })

  test('names who goes around a proxy there, and who has none', () => {
    const name = 'config.linkerd.io/skip-outbound-ports'
    const skipper = pod('deployment/skipper', { skipOutbound: '8080', annotations: { [name]: '8080' } })
    const bare = pod('deployment/old', { meshed: false })
    const outside = [
      pod('daemonset/agent', { meshed: false, hostNetwork: true }),
      pod('deployment/dns', { meshed: false, namespace: 'kube-system' }),
    ]
    assert.deepEqual(settings(calling([skipper, bare, ...outside])), [
      `deployment/skipper: ${name}=8080 for 8080 (pod)`,
      'deployment/old: linkerd-proxy=none (pod)',
    ])
    const many = Array.from({ length: 6 }, (_, index) => pod(`deployment/old-${index}`, { meshed: false }))
    assert.deepEqual(settings(calling(many)), [])
    // What Linkerd has set for all proxies is nobody's to change, and still leaves the client open.
    const usual = pod('deployment/usual', { skipOutbound: '8080' })
    assert.deepEqual(settings(calling([usual])), [])
    assert.equal(called([usual]), 'source-not-proxied')
  })

  test('is the port, the application, or not known, by what the proxy says', () => {
    const says = (tls: Readonly<Record<string, string>>) => {
      const decided = authorized(api, 8080, 'tcp_authz_allow', [60], { no_tls_reason: '', ...tls })
      return cause({ pods: [api], counters: [...tcp(api, inbound(api, 8080, tls)), decided] })
    }
    assert.equal(says({ tls: 'no_identity', no_tls_reason: 'port_skipped' }), 'opaque-port-unmeshed-client')
    assert.equal(says({ tls: 'opaque', sni: 'x' }), 'application-tls')
    assert.equal(says({ tls: 'disabled' }), 'identity-disabled')
    assert.equal(says({ tls: 'maybe' }), 'unknown')
    assert.equal(says(NO_TLS), 'source-not-meshed')
  })

  test('is the API server at a webhook of Linkerd’s own, which a label of its namespace tells', () => {
    const injector = pod('deployment/injector', { ports: [{ name: 'proxy-injector', containerPort: 8443 }] })
    const counters = [
      ...tcp(injector, inbound(injector, 8443, NO_TLS)),
      authorized(injector, 8443, 'tcp_authz_allow', [60]),
    ]
    const told = (labels: object) => only({ pods: [injector], counters, objects: shop({ labels }) })
    const own = { 'linkerd.io/extension': 'viz' }
    assert.equal(told(own).cause, 'linkerd-webhook')
    assert.deepEqual(
      told(own).settings?.map(({ name, value, by }) => [name, value, by]),
      [['linkerd.io/extension', 'viz', 'namespace']],
    )
    assert.equal(told({}).cause, 'source-not-meshed')
  })

  test('is none of what is encrypted or exempt', () => {
    assert.equal(cause({ pods: [web, api], counters: mutual(web, api, 8080) }), null)
    assert.equal(cause({ pods: [api], counters: tcp(api, inbound(api, 8080, { tls: 'true' })) }), null)
    assert.equal(cause({ pods: [api], counters: clearHttp(api, 4191) }), null)
  })
})

describe('The cause of a path of which it is not known whether it was encrypted', () => {
  const api = pod('deployment/api')
  const causes = (cluster: SyntheticCluster, state = 'unknown') =>
    assessed(cluster).paths.flatMap((path) => (path.state === state ? [`${path.reason}: ${path.cause}`] : []))

  test('is what is missing', () => {
    const clear = [...mutual(web, api, 8080), ...clearHttp(api, 8080)]
    assert.deepEqual(causes({ pods: [web, api], counters: clear, before: null }), [
      'source-partly-unmeshed (no list): no-kubernetes-list',
    ])
    const bare = pod('deployment/web', { meshed: false })
    assert.deepEqual(causes({ pods: [web, bare, api], counters: clear }), [
      'source-partly-unmeshed (1 of 2): source-partly-meshed',
    ])
    assert.deepEqual(
      causes({ pods: [web, { ...api, scrape: () => 'none' }], counters: mutual(web, api, 8080), before: null }),
      ['destination-not-seen: destination-not-seen'],
    )
    const liar = pod('deployment/liar', { labels: { tls: 'true' } })
    for (const told of causes({ pods: [liar, api], counters: mutual(liar, api, 8080) }))
      assert.match(told, /^labels-overridden.*: labels-overridden$/)
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fixOf } from '../../../lib/assess/window/causes-and-fixes.ts'
import { CAUSES, STATES } from '../../../lib/model/path.ts'
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

/** The cause of the only path of a cluster. */
function cause(cluster: SyntheticCluster): string | null | undefined {
  const { paths } = assessed(cluster)
  assert.equal(paths.length, 1)
  return paths[0]?.cause
}

const web = pod('deployment/web')
const dials = (server: Pod, more: Partial<SyntheticCluster> = {}) =>
  cause({ pods: [web, server], counters: tcp(web, outbound(server, 9000, NO_DISCOVERY)), ...more })

describe('The cause of a clear outbound connection', () => {
  test('is what the API server says of its destination', () => {
    assert.equal(dials(pod('deployment/api', { meshed: false })), 'destination-not-meshed')
    assert.equal(dials(pod('deployment/api', { skipInbound: '4190,4191,8999-9001' })), 'destination-skips-port')
    assert.equal(dials(pod('deployment/api', { skipInbound: '4190,4191,8080' })), 'unknown')
    assert.equal(
      dials(pod('deployment/api', { controlPlane: 'linkerd-two', scrape: () => 'none' })),
      'destination-not-meshed',
    )
    assert.equal(cause({ pods: [web], counters: tcp(web, outboundTo('203.0.113.7', 443)) }), 'outside-cluster')
    assert.equal(
      cause({
        pods: [web],
        counters: tcp(web, outboundTo('203.0.113.7', 443, { dst_service: 'x', dst_namespace: 'y' })),
      }),
      'unknown',
    )
  })

  test('is not known where the lists do not agree or are missing', () => {
    const bare = pod('deployment/api', { meshed: false })
    assert.equal(dials(bare, { before: null }), 'unknown')
    assert.equal(dials(bare, { after: null }), 'unknown')
    const [old, young] = [pod('deployment/api', { meshed: false, to: 100 }), pod('deployment/api', { from: 100 })]
    assert.equal(cause({ pods: [web, old, young], counters: tcp(web, outbound(old, 9000, NO_DISCOVERY)) }), 'unknown')
  })
})

describe('The cause of a clear inbound connection', () => {
  const api = pod('deployment/api', { labels: { app: 'api' }, ports: [{ name: 'http', containerPort: 8080 }] })
  const called = (more: readonly Pod[] = [], rest: Partial<SyntheticCluster> = {}) =>
    cause({ pods: [api, ...more], counters: clearHttp(api, 8080), ...rest })

  test('is a client without a proxy, unless a meshed pod goes around its own on the way there', () => {
    assert.equal(called([pod('deployment/job', { meshed: false, skipOutbound: '8080' })]), 'source-not-meshed')
    assert.equal(called([web]), 'source-not-meshed')
    assert.equal(called([pod('deployment/skipper', { skipOutbound: '8080' })]), 'unknown')
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
      assert.equal(called([skipper], { objects: service(targetPort) }), 'unknown')
    assert.equal(called([skipper], { objects: service(9999) }), 'source-not-meshed')
  })

  test('is not known without the lists of both sides of the window', () => {
    assert.equal(called([], { before: null }), 'unknown')
    assert.equal(called([], { after: null }), 'unknown')
  })

  test('is the port, the application, or not known, by what the proxy says', () => {
    const says = (tls: Readonly<Record<string, string>>) => {
      const decided = authorized(api, 8080, 'tcp_authz_allow', [60], { no_tls_reason: '', ...tls })
      return cause({ pods: [api], counters: [...tcp(api, inbound(api, 8080, tls)), decided] })
    }
    assert.equal(says({ tls: 'no_identity', no_tls_reason: 'port_skipped' }), 'opaque-port-unmeshed-client')
    assert.equal(says({ tls: 'opaque', sni: 'x' }), 'application-tls')
    assert.equal(says({ tls: 'disabled' }), 'unknown')
    assert.equal(says({ tls: 'maybe' }), 'unknown')
    assert.equal(says(NO_TLS), 'source-not-meshed')
  })

  test('is none of what is encrypted or exempt', () => {
    assert.equal(cause({ pods: [web, api], counters: mutual(web, api, 8080) }), null)
    assert.equal(cause({ pods: [api], counters: tcp(api, inbound(api, 8080, { tls: 'true' })) }), null)
    assert.equal(cause({ pods: [api], counters: clearHttp(api, 4191) }), null)
  })
})

describe('fixOf()', () => {
  const end = { kind: 'deployment', namespace: 'shop', name: 'api', serviceAccount: null, cluster: null }
  const row = { state: 'plaintext', outcome: 'allowed', source: end, destination: end, port: 80 } as const

  test('has one text for each cause, and none where nothing is to be fixed', () => {
    const texts = CAUSES.map((one) => fixOf({ ...row, cause: one }))
    assert.equal(new Set(texts).size, CAUSES.length)
    for (const text of texts) assert.match(text ?? '', /^[A-Z].{40,}[^.]$/)
    assert.equal(fixOf({ ...row, cause: null }), null)
    assert.equal(fixOf({ ...row, cause: 'unknown', outcome: 'refused' }), null)
    for (const state of STATES) {
      const isFixable = ['plaintext', 'no-mesh-tls', 'app-tls'].includes(state)
      assert.equal(fixOf({ ...row, cause: 'source-not-meshed', state }) !== null, isFixable, state)
    }
  })

  test('pastes no name into a shell that Kubernetes would not allow', () => {
    for (const name of ['a;rm -rf /', '$(id)', '`id`', 'a b', "a'b", 'a\nb', '', '-x', 'a'.repeat(254)])
      for (const hostile of [
        { ...end, name },
        { ...end, namespace: name },
        { ...end, kind: name },
      ])
        for (const one of CAUSES) {
          const text = fixOf({ ...row, cause: one, source: hostile, destination: hostile }) ?? ''
          assert.ok(name === '' || !text.includes(name), text)
          assert.doesNotMatch(text, /[`$\n]|; ?rm/)
        }
  })
})

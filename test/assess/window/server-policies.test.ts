import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Resource } from '../../../lib/observed/kubernetes-fields.ts'
import type { Enforcement } from '../../../lib/model/path.ts'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { assessed, evidenceOf } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, pod } from '../../support/mesh/synthetic-pods.ts'
import { clearHttp } from '../../support/mesh/synthetic-prometheus.ts'

type Policies = Partial<Record<Resource, readonly unknown[]>>

/** What policy says of port 8080 of pods; the policies may differ before and after the window. */
function enforcement(
  pods: readonly Pod[],
  policies: Policies | ((time: number) => Policies) = {},
): Enforcement | undefined {
  const objects = typeof policies === 'function' ? policies : () => policies
  const [server] = pods
  assert.ok(server !== undefined)
  return assessed({ pods, objects, counters: clearHttp(server, 8080) }).paths.find(({ port }) => port === 8080)
    ?.enforcement
}

const one = (changes: Partial<Pod> = {}) =>
  pod('deployment/api', { ports: [{ name: 'http', containerPort: 8080 }], ...changes })
const named = (name: string, spec: object, namespace = 'shop') => ({
  metadata: { name, namespace, labels: { tier: 'a' } },
  spec,
})
const SELECTOR = { podSelector: { matchLabels: { app: 'api' } }, port: 8080 }
const servers = (...specs: object[]) => ({
  'servers.policy.linkerd.io': specs.map((spec, index) => named(`s${index}`, spec)),
})
const TLS = { kind: 'MeshTLSAuthentication', name: 'mesh', group: 'policy.linkerd.io' }
const NETWORK = { kind: 'NetworkAuthentication', name: 'net', group: 'policy.linkerd.io' }
const ACCOUNT = { kind: 'ServiceAccount', name: 'web' }
const server = (name: string) => ({ kind: 'Server', name })
const policy = (targetRef: object, ...requiredAuthenticationRefs: object[]) => ({
  'authorizationpolicies.policy.linkerd.io': [named('p', { targetRef, requiredAuthenticationRefs })],
})

describe('Whether plain text is refused', () => {
  test('follows the default policy where no Server selects the port', () => {
    const said: readonly [name: string, Enforcement][] = [
      ['all-unauthenticated', 'plaintext-allowed'],
      ['cluster-unauthenticated', 'plaintext-allowed'],
      ['all-authenticated', 'plaintext-refused'],
      ['cluster-authenticated', 'plaintext-refused'],
      ['deny', 'plaintext-refused'],
      ['audit', 'audited'],
      ['all-of-it', 'unknown'],
      ['constructor', 'unknown'],
      ['', 'unknown'],
    ]
    for (const [name, wanted] of said) assert.equal(enforcement([one({ policy: name })]), wanted, name)
  })

  test('follows a Server, whose own policy is deny unless it says otherwise', () => {
    assert.equal(enforcement([one()], servers(SELECTOR)), 'plaintext-refused')
    const said: readonly [accessPolicy: string, Enforcement][] = [
      ['deny', 'plaintext-refused'],
      ['audit', 'audited'],
      ['all-unauthenticated', 'plaintext-allowed'],
      ['all-authenticated', 'plaintext-refused'],
      ['constructor', 'unknown'],
    ]
    for (const [accessPolicy, wanted] of said)
      assert.equal(enforcement([one({ policy: 'deny' })], servers({ ...SELECTOR, accessPolicy })), wanted, accessPolicy)
  })

  test('does not follow a Server of other pods, ports, namespaces or of external workloads', () => {
    const others = [
      { ...SELECTOR, port: 9090 },
      { ...SELECTOR, port: 'grpc' },
      { ...SELECTOR, podSelector: { matchLabels: { app: 'web' } } },
      { ...SELECTOR, podSelector: { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['api'] }] } },
      // Every object of JavaScript has that one, and no pod has it as a label.
      { ...SELECTOR, podSelector: { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] } },
      { externalWorkloadSelector: {}, port: 8080 },
    ]
    for (const spec of others)
      assert.equal(enforcement([one()], servers(spec)), 'plaintext-allowed', JSON.stringify(spec))
    const elsewhere = { 'servers.policy.linkerd.io': [named('s', SELECTOR, 'bank')] }
    assert.equal(enforcement([one()], elsewhere), 'plaintext-allowed')
  })

  test('finds a Server by any selector of Kubernetes and by the name of a port', () => {
    const selecting = [
      {},
      { matchExpressions: [{ key: 'app', operator: 'In', values: ['api', 'web'] }] },
      { matchExpressions: [{ key: 'app', operator: 'Exists' }] },
      { matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] },
      { matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['x'] }] },
    ]
    for (const podSelector of selecting)
      assert.equal(enforcement([one()], servers({ podSelector, port: 'http' })), 'plaintext-refused')
  })

  test('does not choose between Servers that differ', () => {
    const open = { ...SELECTOR, accessPolicy: 'all-unauthenticated' }
    assert.equal(enforcement([one()], servers(SELECTOR, open)), 'unknown')
    assert.equal(enforcement([one()], servers(open, SELECTOR)), 'unknown')
    assert.equal(enforcement([one()], servers(SELECTOR, SELECTOR)), 'plaintext-refused')
  })

  test('is allowed by an authorisation that asks for no mesh identity', () => {
    const said: readonly [refs: object[], Enforcement][] = [
      [[TLS], 'plaintext-refused'],
      [[ACCOUNT], 'plaintext-refused'],
      [[TLS, NETWORK], 'plaintext-refused'],
      [[NETWORK], 'plaintext-allowed'],
      [[], 'plaintext-allowed'],
    ]
    for (const [refs, wanted] of said)
      for (const target of [server('s0'), { kind: 'Namespace', name: 'shop' }])
        assert.equal(
          enforcement([one()], { ...servers(SELECTOR), ...policy(target, ...refs) }),
          wanted,
          JSON.stringify([target, refs]),
        )
    assert.equal(
      enforcement([one()], { ...servers(SELECTOR), ...policy(server('other'), NETWORK) }),
      'plaintext-refused',
    )
  })

  test('is allowed by an authorisation of a route of the Server, and unknown of a route that no list holds', () => {
    const route = (parent: string) => ({
      'httproutes.policy.linkerd.io': [named('r', { parentRefs: [{ kind: 'Server', name: parent }] })],
    })
    const target = { kind: 'HTTPRoute', name: 'r' }
    const said = (routes: Policies, kind = target, ref = NETWORK) =>
      enforcement([one()], { ...servers(SELECTOR), ...policy(kind, ref), ...routes })
    assert.equal(said(route('s0')), 'plaintext-allowed')
    assert.equal(said(route('other')), 'plaintext-refused')
    assert.equal(said(route('s0'), target, TLS), 'plaintext-refused')
    assert.equal(said({}), 'unknown')
    assert.equal(said(route('s0'), { kind: 'GRPCRoute', name: 'r' }), 'unknown')
    assert.equal(said({}, target, TLS), 'plaintext-refused')
  })

  test('follows ServerAuthorizations, by name and by selector', () => {
    const said = (client: object, selected: object = { name: 's0' }) =>
      enforcement([one()], {
        ...servers(SELECTOR),
        'serverauthorizations.policy.linkerd.io': [named('a', { server: selected, client })],
      })
    assert.equal(said({ meshTLS: { identities: ['*'] } }), 'plaintext-refused')
    assert.equal(said({ unauthenticated: true }), 'plaintext-allowed')
    assert.equal(said({ networks: [{ cidr: '10.0.0.0/8' }] }), 'plaintext-allowed')
    assert.equal(said({ unauthenticated: true }, { selector: { matchLabels: { tier: 'a' } } }), 'plaintext-allowed')
    assert.equal(said({ unauthenticated: true }, { selector: { matchLabels: { tier: 'b' } } }), 'plaintext-refused')
  })

  test('is unknown of a policy that cannot be read', () => {
    assert.equal(enforcement([one()], servers({ podSelector: {}, port: { a: 1 } })), 'unknown')
    const broken = { 'authorizationpolicies.policy.linkerd.io': [named('p', { targetRef: 'x' })] }
    assert.equal(enforcement([one()], { ...servers(SELECTOR), ...broken }), 'unknown')
    const old = { 'serverauthorizations.policy.linkerd.io': [named('a', { server: 'x' })] }
    assert.equal(enforcement([one()], { ...servers(SELECTOR), ...old }), 'unknown')
  })

  test('is no matter of policy where no proxy is in the way, and one of the proxy where it asks for identity', () => {
    assert.equal(enforcement([one({ policy: 'deny', skipInbound: '4190,4191,8080' })]), 'plaintext-allowed')
    assert.equal(enforcement([one({ policy: 'deny' }), one({ meshed: false })]), 'plaintext-allowed')
    assert.equal(enforcement([one({ requireIdentity: '8080' })]), 'plaintext-refused')
    assert.equal(enforcement([one({ requireIdentity: '8081' })]), 'plaintext-allowed')
  })

  test('is what the weakest pod does', () => {
    assert.equal(enforcement([one({ policy: 'deny' }), one()]), 'plaintext-allowed')
    assert.equal(enforcement([one({ policy: 'deny' }), one({ policy: 'audit' })]), 'audited')
    assert.equal(enforcement([one({ policy: 'deny' }), one({ policy: '?' })]), 'unknown')
  })

  test('is unknown where it changed in the window, or a list is missing', () => {
    const later = (time: number) => (time > 300 ? servers(SELECTOR) : {})
    assert.equal(enforcement([one()], later), 'unknown')
    assert.equal(enforcement([one({ to: 100 }), one({ from: 100, policy: 'deny' })]), 'unknown')
    const [server1] = [one()]
    for (const missing of [{ before: null }, { after: null }]) {
      const [path] = assessed({ pods: [server1], counters: clearHttp(server1, 8080), ...missing }).paths
      assert.equal(path?.enforcement, 'unknown')
    }
  })

  test('is unknown where a list that says it was not read, before or after; authentications say nothing of it', () => {
    const [server1] = [one({ policy: 'deny' })]
    const evidence = evidenceOf({ pods: [server1], counters: clearHttp(server1, 8080) })
    const enforcementWithout = (resource: Resource, which: 'before' | 'after') => {
      const around = evidence[which]
      assert.ok(around !== null)
      const lists = around.lists.filter((list) => list.resource !== resource)
      assert.equal(lists.length, around.lists.length - 1, resource)
      return assessWindow({ ...evidence, [which]: { ...around, lists } }).paths[0]?.enforcement
    }
    const said: readonly [plural: string, Enforcement][] = [
      ['servers', 'unknown'],
      ['authorizationpolicies', 'unknown'],
      ['serverauthorizations', 'unknown'],
      ['httproutes', 'unknown'],
      ['meshtlsauthentications', 'plaintext-refused'],
      ['networkauthentications', 'plaintext-refused'],
    ]
    for (const which of ['before', 'after'] as const)
      for (const [plural, wanted] of said)
        assert.equal(enforcementWithout(`${plural}.policy.linkerd.io` as Resource, which), wanted, `${plural} ${which}`)
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { classNamespaces, endClass, pathClass } from '../../../lib/assess/ends/path-class.ts'
import { PATH_CLASSES } from '../../../lib/model/path.ts'
import type { ClassNamespaces, Destination, Source } from '../../../lib/model/path.ts'
import type { LabelledNamespaces } from '../../../lib/model/window.ts'

const NAMESPACES: ClassNamespaces = { meshNamespaces: ['linkerd', 'linkerd-viz'], platformNamespaces: ['ops-*'] }

/** `deployment/shop/web`; `external//` has no namespace and no name. */
function end(text: string): Source {
  const [kind = '', namespace = '', name = ''] = text.split('/')
  return { kind, namespace, name, serviceAccount: null }
}

function classOf(source: string, destination: string, cluster: string | null = null): string {
  return pathClass({ source: end(source), destination: { ...end(destination), cluster } }, NAMESPACES)
}

describe('The class of a path', () => {
  test('is that of its destination', () => {
    assert.deepEqual(
      ['shop/web', 'linkerd/linkerd-identity', 'linkerd-viz/tap', 'kube-system/coredns', 'ops-logs/loki'].map((name) =>
        classOf('deployment/shop/cart', `deployment/${name}`),
      ),
      ['application', 'mesh', 'mesh', 'platform', 'platform'],
    )
    assert.equal(classOf('deployment/linkerd-viz/prometheus', 'deployment/shop/web'), 'application')
    assert.equal(classOf('unmeshed//', 'deployment/linkerd/linkerd-identity'), 'mesh')
    assert.equal(classOf('probe//', 'deployment/shop/web'), 'application')
  })

  test('is that of its source where the destination is outside', () => {
    for (const [source, expected] of [
      ['deployment/shop/web', 'application'],
      ['deployment/linkerd-viz/prometheus', 'mesh'],
      ['daemonset/kube-system/agent', 'platform'],
      ['unmeshed//', 'application'],
    ] as const)
      for (const destination of ['external//example.org', 'pod//10.0.0.7'])
        assert.equal(classOf(source, destination), expected)
  })

  test('is platform for the Kubernetes API, and for nothing that only has its name', () => {
    assert.equal(classOf('deployment/shop/web', 'service/default/kubernetes'), 'platform')
    for (const other of ['service/shop/kubernetes', 'deployment/default/kubernetes', 'external//kubernetes'])
      assert.equal(classOf('deployment/shop/web', other), 'application', other)
  })

  test('is application where another cluster has the destination: the lists of this one say nothing of its namespaces', () => {
    for (const name of ['linkerd/identity', 'kube-system/dns', 'default/kubernetes'])
      assert.equal(classOf('deployment/linkerd/web', `service/${name}`, 'west'), 'application')
  })

  test('is application without any list, whatever a namespace is called', () => {
    const none = classNamespaces([null, null], [])
    assert.deepEqual(none, { meshNamespaces: [], platformNamespaces: [] })
    for (const namespace of ['linkerd', 'linkerd-viz', 'shop'])
      assert.equal(endClass(end(`deployment/${namespace}/web`), none), 'application')
    assert.equal(endClass(end('deployment/kube-system/coredns'), none), 'platform')
  })
})

const names = fc.uniqueArray(fc.constantFrom('linkerd', 'linkerd-viz', 'shop', 'bank', 'kube-system', 'default'))
const anyList: fc.Arbitrary<LabelledNamespaces | null> = fc.option(fc.record({ mesh: names, others: names }))
const shuffledLists = fc
  .array(anyList)
  .chain((lists) =>
    fc.tuple(fc.constant(lists), fc.shuffledSubarray(lists, { minLength: lists.length }), fc.shuffledSubarray(lists)),
  )
const anyEnd: fc.Arbitrary<Source> = fc.record({
  kind: fc.constantFrom('deployment', 'service', 'external', 'unmeshed', 'probe', 'serviceaccount'),
  namespace: fc.constantFrom('', 'linkerd', 'shop', 'kube-system', 'default', '__proto__'),
  name: fc.constantFrom('', 'kubernetes', 'web'),
  serviceAccount: fc.constant(null),
})
const anyDestination: fc.Arbitrary<Destination> = fc
  .tuple(anyEnd, fc.constantFrom(null, null, 'west'))
  .map(([destination, cluster]) => ({ ...destination, cluster }))

describe('Classes', () => {
  test('part all paths: each has one, application unless a namespace of it is the mesh or the platform', () => {
    fc.assert(
      fc.property(anyEnd, anyDestination, fc.array(anyList), names, (source, destination, lists, platform) => {
        const namespaces = classNamespaces(lists, platform)
        const found = pathClass({ source, destination }, namespaces)
        assert.ok(PATH_CLASSES.includes(found))
        const own = new Set([source.namespace, destination.namespace])
        if (found === 'mesh') assert.ok(namespaces.meshNamespaces.some((name) => own.has(name)))
        const isApi = destination.name === 'kubernetes' || source.name === 'kubernetes'
        if (found === 'platform' && !isApi) assert.ok(['kube-system', ...platform].some((name) => own.has(name)))
      }),
    )
  })

  test('do not depend on the order of lists, nor on how often each was read', () => {
    fc.assert(
      fc.property(shuffledLists, ([lists, mixed, again]) => {
        assert.deepEqual(classNamespaces([...mixed, ...again], []), classNamespaces(lists, []))
      }),
    )
  })

  test('take nothing out by a label that was missing once: one more list only ever adds applications of those that were listed', () => {
    fc.assert(
      fc.property(fc.array(anyList), anyList, (lists, more) => {
        const before = classNamespaces(lists, []).meshNamespaces
        const after = classNamespaces([...lists, more], []).meshNamespaces
        const listed = new Set(lists.flatMap((list) => (list === null ? [] : [...list.mesh, ...list.others])))
        for (const name of after) assert.ok(before.includes(name) || !listed.has(name), name)
        for (const list of [...lists, more])
          for (const name of list?.others ?? []) assert.ok(!after.includes(name), name)
      }),
    )
  })
})

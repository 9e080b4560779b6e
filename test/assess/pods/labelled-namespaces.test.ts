import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { endClass, classNamespaces } from '../../../lib/assess/ends/path-class.ts'
import { type SyntheticCluster, assessed } from '../../support/mesh/synthetic-cluster.ts'
import { pod } from '../../support/mesh/synthetic-pods.ts'

type Labels = Readonly<Record<string, string>>

const CONTROL_PLANE = { 'linkerd.io/is-control-plane': 'true' }
const EXTENSION = { 'linkerd.io/extension': 'viz' }

/** A cluster whose lists show these namespaces with these labels. */
function listing(namespaces: Readonly<Record<string, Labels>>) {
  return { namespaces: Object.entries(namespaces).map(([name, labels]) => ({ metadata: { name, labels } })) }
}

function labelledIn(more: Partial<SyntheticCluster>) {
  return assessed({ pods: [pod('deployment/web')], ...more }).namespaces
}

describe('The namespaces of a window', () => {
  test("are Linkerd's own by the labels that Linkerd gives to them, and by no name", () => {
    const objects = () =>
      listing({ ours: CONTROL_PLANE, linkerd: {}, viz: EXTENSION, shop: { ...EXTENSION, 'linkerd.io/extension': '' } })
    assert.deepEqual(labelledIn({ objects }), { mesh: ['ours', 'viz'], others: ['linkerd', 'shop'] })
    const not = () => listing({ shop: { 'linkerd.io/is-control-plane': 'false' } })
    assert.deepEqual(labelledIn({ objects: not }), { mesh: [], others: ['shop'] })
  })

  test('are in both where the lists before and after the window do not agree', () => {
    const objects = (time: number) => listing({ linkerd: CONTROL_PLANE, shop: time < 100 ? CONTROL_PLANE : {} })
    assert.deepEqual(labelledIn({ objects }), { mesh: ['linkerd', 'shop'], others: ['shop'] })
    assert.deepEqual(labelledIn({ objects, after: null }), { mesh: ['linkerd', 'shop'], others: [] })
    assert.deepEqual(labelledIn({ objects, before: null }), { mesh: ['linkerd'], others: ['shop'] })
  })

  test('are not known without a list', () => {
    assert.equal(labelledIn({ before: null, after: null }), null)
    assert.equal(labelledIn({ objects: () => listing({}) }), null)
  })

  test('take nothing from the labels of pods and workloads', () => {
    const labels = { ...CONTROL_PLANE, ...EXTENSION, 'linkerd.io/control-plane-ns': 'linkerd' }
    const honest = { pods: [pod('deployment/web')], objects: () => listing({ linkerd: CONTROL_PLANE, shop: {} }) }
    const { namespaces } = assessed({ ...honest, pods: [pod('deployment/web', { labels })] })
    assert.deepEqual(namespaces, assessed(honest).namespaces)
    const web = { kind: 'deployment', namespace: 'shop', name: 'web' }
    assert.equal(endClass(web, classNamespaces([namespaces], [])), 'application')
  })
})

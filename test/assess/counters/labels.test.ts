import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addressOf,
  hostOf,
  type Labels,
  labelOf,
  overrideOf,
  ownLabels,
  portOf,
  seriesKey,
} from '../../../lib/assess/counters/labels.ts'
import { parseIdentity, shortIdentity } from '../../../lib/assess/ends/identity.ts'
import { includesPort, parsePorts, printPorts } from '../../../lib/assess/pods/ports.ts'

/** What the proxy wrote, read from a series of a pod with these labels. */
function own(series: Labels, podLabels: Labels): { labels: Labels; overridden: boolean } {
  return ownLabels(series, overrideOf(podLabels, { namespace: 'shop', pod: 'api-1' }))
}

test('ownLabels() gives the labels of a pod that carries none of the deciding names as they are', () => {
  const series = { tls: 'true', client_id: 'web.shop', deployment: 'api', app: 'api' }
  const read = own(series, { app: 'api', deployment: 'payroll', 'linkerd.io/proxy-deployment': 'api' })
  assert.deepEqual(read, { labels: series, overridden: false })
})

test('ownLabels() finds what the proxy wrote behind the twin of any deciding label', () => {
  const names = ['tls', 'no_tls_reason', 'server_id', 'client_id', 'direction', 'peer', 'target_port', 'authz_name']
  for (const name of [...names, 'dst_deployment', 'srv_name', 'sni', 'authority']) {
    const { labels, overridden } = own({ [name]: 'fake', [`exported_${name}`]: 'true one' }, { [name]: 'fake' })
    assert.equal(labelOf(labels, name), 'true one', name)
    assert.ok(overridden, name)
  }
})

test("ownLabels() knows that viz drops linkerd.io/ and linkerd.io/proxy- from a pod label's name, also after sanitising", () => {
  for (const name of ['linkerd.io/tls', 'linkerd.io/proxy-tls', 'linkerd-io-tls', 'linkerd_io_proxy_tls']) {
    const read = own({ tls: 'true', exported_tls: 'no_identity' }, { [name]: 'true' })
    assert.equal(labelOf(read.labels, 'tls'), 'no_identity', name)
    assert.ok(read.overridden, name)
  }
  assert.ok(!own({ k8s_job: 'once' }, { 'linkerd.io/proxy-job': 'once' }).overridden, 'every Job has this label')
})

test('ownLabels() is not taken in by a pod label that looks like a twin', () => {
  assert.deepEqual(own({ tls: 'no_identity', exported_tls: 'true' }, { exported_tls: 'true' }), {
    labels: { tls: 'no_identity', exported_tls: 'true' },
    overridden: true,
  })
  const both = { tls: 'true', exported_tls: 'true', exported_exported_tls: 'no_identity' }
  assert.equal(labelOf(own(both, { tls: 'true', exported_tls: 'true' }).labels, 'tls'), 'no_identity')
  // The proxy wrote no client identity at all, so what stands there is the pod's.
  const unwritten = { tls: 'true', client_id: 'a', exported_client_id: 'b' }
  assert.equal(labelOf(own(unwritten, { client_id: 'a', exported_client_id: 'b' }).labels, 'client_id'), '')
})

test('ownLabels() takes away a deciding label that only the pod wrote', () => {
  const podLabels = { target_port: '4191', dst_deployment: 'ledger', app: 'api' }
  const { labels } = own({ tls: 'no_identity', target_addr: '10.0.0.9:8080', ...podLabels }, podLabels)
  assert.equal(portOf(labels), 8080)
  assert.equal(labelOf(labels, 'dst_deployment'), '')
  assert.equal(labelOf(labels, 'app'), 'api')
})

test('ownLabels() does not call a pod overridden whose labels repeat what is true', () => {
  assert.ok(!own({ tls: 'true' }, { namespace: 'shop', pod: 'api-1' }).overridden)
  for (const lie of [{ namespace: 'hr' }, { pod: 'other' }, { instance: 'x' }, { job: 'x' }, { exported_peer: 'x' }])
    assert.ok(own({ tls: 'true' }, lie).overridden, JSON.stringify(lie))
})

test('ownLabels() of a pod in no list goes by the longest chain of twins, and trusts nothing', () => {
  const read = ownLabels({ tls: 'true', exported_tls: 'true', exported_exported_tls: 'no_identity' }, undefined)
  assert.equal(labelOf(read.labels, 'tls'), 'no_identity')
  assert.ok(read.overridden)
  assert.deepEqual(ownLabels({ tls: 'true' }, undefined), { labels: { tls: 'true' }, overridden: false })
})

test('portOf() and addressOf() read target_port and target_ip, or the address of older proxies, in both families', () => {
  const said: readonly [Labels, port: number | null, address: string][] = [
    [{ target_port: '8080', target_ip: '10.0.0.1', target_addr: '10.0.0.2:9' }, 8080, '10.0.0.1'],
    [{ target_addr: '10.0.0.2:9000' }, 9000, '10.0.0.2'],
    [{ target_addr: '[fd00::2]:9000' }, 9000, 'fd00::2'],
    [{ srv_port: '80' }, null, ''],
    [{ target_port: '0' }, null, ''],
    [{ target_port: '65536' }, null, ''],
    [{ target_port: '80x', target_addr: '10.0.0.2:9000' }, null, '10.0.0.2'],
    [{ target_port: '1e3' }, null, ''],
  ]
  for (const [labels, port, address] of said) {
    assert.equal(portOf(labels), port, JSON.stringify(labels))
    assert.equal(addressOf(labels), address, JSON.stringify(labels))
  }
  const hosts = { 'a.b:1': 'a.b', 'a.b': 'a.b', '[fd00::1]:4191': 'fd00::1', 'fd00::1': 'fd00::1', '': '' }
  for (const [endpoint, host] of Object.entries(hosts)) assert.equal(hostOf(endpoint), host)
})

test('seriesKey() is equal exactly for equal labels, in any order and whatever they hold', () => {
  const labels = fc.dictionary(fc.string({ maxLength: 3 }), fc.string({ maxLength: 3 }), { maxKeys: 4 })
  const plain = (all: Labels) => JSON.stringify(Object.entries(all).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  fc.assert(
    fc.property(labels, labels, (a, b) => {
      assert.equal(seriesKey(a) === seriesKey(b), plain(a) === plain(b))
      assert.equal(seriesKey(Object.fromEntries(Object.entries(a).toReversed())), seriesKey(a))
    }),
  )
  assert.equal(seriesKey({ __name__: 'up', a: '1', b: '2' }, new Set(['b'])), seriesKey({ a: '1' }))
})

test('parseIdentity() knows a ServiceAccount with dots from its namespace, and no identity of another kind', () => {
  const identity = 'web.v2.shop.serviceaccount.identity.linkerd.cluster.local'
  assert.deepEqual(parseIdentity(identity), {
    serviceAccount: 'web.v2',
    namespace: 'shop',
    issuer: 'linkerd.cluster.local',
  })
  assert.equal(shortIdentity(identity), 'web.v2.shop')
  for (const other of ['spiffe://root/vm', 'serviceaccount.identity.linkerd', 'web.serviceaccount.identity.x', ''])
    assert.equal(parseIdentity(other), null, other)
  assert.equal(shortIdentity('spiffe://root/vm'), 'spiffe://root/vm')
  assert.equal(shortIdentity(''), null)
})

test('parsePorts() reads ports and ranges, and leaves out what is neither', () => {
  const ranges = parsePorts('80, 8000-9000,http,,-1')
  assert.deepEqual(printPorts(ranges), ['80', '8000-9000'])
  for (const port of [80, 8000, 8500, 9000]) assert.ok(includesPort(ranges, port))
  for (const port of [79, 81, 7999, 9001]) assert.ok(!includesPort(ranges, port))
})

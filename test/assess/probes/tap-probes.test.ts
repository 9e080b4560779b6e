import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { STATES } from '../../../lib/model/path.ts'
import type { TapSighting } from '../../../lib/model/snapshot.ts'
import { evidenceOf, linesOf } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, pod, timeAt } from '../../support/mesh/synthetic-pods.ts'
import {
  type Counter,
  NO_TLS,
  PROBE,
  authorized,
  every,
  inbound,
  tcp,
} from '../../support/mesh/synthetic-prometheus.ts'

const api = pod('deployment/api', { probes: [{ port: 8080, periodSeconds: 10 }] })
const rpc = pod('deployment/rpc', { probes: [{ port: 8080, periodSeconds: 10, kind: 'grpc' }] })
const monitor = pod('deployment/monitor', { meshed: false })
const agent = pod('daemonset/agent', { meshed: false, hostNetwork: true, ip: '10.0.0.5' })
const probed = (server: Pod, labels: Readonly<Record<string, string>> = {}): Counter[] => [
  ...tcp(server, inbound(server, 8080, NO_TLS), { at: every(10) }),
  authorized(server, 8080, 'http_authz_allow', every(10), labels),
]
const MESH = { pods: [api, rpc, monitor, agent], counters: [...probed(api, PROBE), ...probed(rpc)] }

const onPath = (source: Pod, changes: Partial<TapSighting> = {}): TapSighting => ({
  source: source.ip,
  destination: api.ip,
  port: 8080,
  tls: 'no_tls_from_remote',
  isOnProbePath: true,
  requests: 1,
  ...changes,
})

function assessedWith(sightings: readonly TapSighting[]) {
  const evidence = evidenceOf(MESH)
  const tap = {
    status: 'complete' as const,
    errors: [],
    takenAt: timeAt(361),
    seconds: 10,
    tapped: [],
    left: 0,
    requests: 1,
    sightings,
  }
  return assessWindow({ ...evidence, snapshot: { ...evidence.snapshot, tap } }).paths
}

const API = 'probe -> deployment/api:8080 exempt (probe path)'
const RPC = 'probe -> deployment/rpc:8080 exempt (probe, by its rate)'
const CALLED = (name: string) => `unmeshed -> deployment/${name}:8080 plaintext (probe path called by a pod)`

test('a pod that tap saw on a probe path is no kubelet', () => {
  assert.deepEqual(linesOf(assessedWith([])), [API, RPC])
  const paths = assessedWith([onPath(monitor)])
  assert.deepEqual(linesOf(paths), [RPC, CALLED('api')])
  const [called] = paths.filter(({ source }) => source.kind === 'unmeshed')
  assert.deepEqual(
    called?.candidates.map(({ kind, name }) => `${kind}/${name}`),
    ['deployment/monitor'],
  )
  assert.deepEqual([called?.sinceUnknown, called?.cause], [true, 'source-not-meshed'])
})

test('what a pod sends makes plain text only of what has nothing but its rate, unless it is on the probe path', () => {
  assert.deepEqual(linesOf(assessedWith([onPath(monitor, { isOnProbePath: false })])), [API, RPC])
  const other = onPath(monitor, { isOnProbePath: false, destination: rpc.ip })
  assert.deepEqual(linesOf(assessedWith([other])), [API, CALLED('rpc')])
  assert.deepEqual(linesOf(assessedWith([onPath(monitor, { port: 9000 })])), [API, RPC])
})

test('an address of a node may be the kubelet', () => {
  assert.deepEqual(linesOf(assessedWith([onPath(agent)])), [API, RPC])
  assert.deepEqual(linesOf(assessedWith([onPath(agent, { source: '10.244.0.1' })])), [API, RPC])
})

test('tap makes no path better', () => {
  const address = fc.constantFrom(api.ip, rpc.ip, monitor.ip, agent.ip, '10.244.0.1', 'nonsense', '')
  const anySighting = fc.record({
    source: address,
    destination: address,
    port: fc.constantFrom(8080, 9000, 0),
    tls: fc.string(),
    isOnProbePath: fc.boolean(),
    requests: fc.nat(),
  })
  const worst = (sightings: readonly TapSighting[], name: string) =>
    Math.min(
      ...assessedWith(sightings)
        .filter(({ destination }) => destination.name === name)
        .map(({ state }) => STATES.indexOf(state)),
    )
  fc.assert(
    fc.property(fc.array(anySighting, { maxLength: 5 }), (sightings) => {
      for (const name of ['api', 'rpc']) assert.ok(worst(sightings, name) <= worst([], name))
      assert.deepEqual(assessedWith(sightings.toReversed()), assessedWith(sightings))
    }),
    { numRuns: 50 },
  )
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assessed, linesOf, pathLines } from '../../support/mesh/synthetic-cluster.ts'
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

const CLEAR = 'unmeshed -> deployment/api:8080 plaintext (no_tls_from_remote)'

/** A server with these labels that an unmeshed client calls in the clear, by TCP that was let in. */
function clearTcp(labels: Record<string, string>, changes: Partial<Pod> = {}) {
  const api = pod('deployment/api', { labels, ...changes })
  return { api, counters: [...tcp(api, inbound(api, 7000, NO_TLS)), authorized(api, 7000, 'tcp_authz_allow')] }
}

describe('Labels that a pod overrides', () => {
  test('whatever name a pod label takes, a clear connection stays what it is', () => {
    const names = ['tls', 'direction', 'peer', 'no_tls_reason', 'target_port', 'target_ip', 'authz_name', 'job']
    const values: Record<string, string> = {
      tls: 'true',
      no_tls_reason: 'none',
      target_port: '4191',
      authz_name: 'probe',
    }
    for (const prefix of ['', 'linkerd.io/', 'linkerd.io/proxy-', 'exported_', 'exported_exported_'])
      for (const name of [...names, 'namespace', 'pod', 'srv_name', 'dst_pod'])
        // The injector's own label: it becomes k8s_job.
        if (`${prefix}${name}` !== 'linkerd.io/proxy-job') {
          const { api, counters } = clearTcp({ [`${prefix}${name}`]: values[name] ?? 'sideways' })
          const lines = pathLines({ pods: [api], counters })
          assert.deepEqual(lines, ['unmeshed -> deployment/api:7000 no-mesh-tls (no_tls_from_remote)'], prefix + name)
        }
  })

  test('all of them at once hide nothing either', () => {
    const all = { tls: 'true', client_id: 'web.shop', direction: 'outbound', peer: 'dst', target_port: '4191' }
    const { api, counters } = clearTcp({
      ...all,
      exported_tls: 'true',
      exported_direction: 'outbound',
      namespace: 'hr',
    })
    const lines = pathLines({ pods: [api], counters })
    assert.deepEqual(lines, ['unmeshed -> deployment/api:7000 no-mesh-tls (no_tls_from_remote)'])
  })

  test('an encrypted reading of such a pod is unknown, whichever side it is on', () => {
    for (const label of ['tls', 'server_id', 'linkerd.io/server_id', 'exported_tls', 'dst_pod', 'instance_', 'pod']) {
      const web = pod('deployment/web', { labels: { [label]: 'true' } })
      const api = pod('deployment/api')
      const state = label === 'instance_' ? 'mtls' : 'unknown (labels-overridden)'
      const lines = pathLines({ pods: [web, api], counters: mutual(web, api, 8080) })
      assert.deepEqual(lines, [`deployment/web -> deployment/api:8080 ${state}`], label)
    }
  })

  test('a destination that only a pod label names is not where the connection went', () => {
    const web = pod('deployment/web', { labels: { dst_deployment: 'ledger', dst_namespace: 'bank' } })
    const lines = pathLines({ pods: [web], counters: tcp(web, outboundTo('203.0.113.7', 443)) })
    assert.deepEqual(lines, [
      'deployment/web -> external/203.0.113.7:443 no-mesh-tls (not_provided_by_service_discovery)',
    ])
  })

  test('a pod whose label hides its address makes the known paths of its workload unknown, seen or not', () => {
    for (const label of ['instance', 'linkerd.io/instance']) {
      const [web, hidden, api] = [
        pod('deployment/web'),
        pod('deployment/web', { labels: { [label]: 'nowhere' } }),
        pod('deployment/api'),
      ]
      const result = assessed({ pods: [web, hidden, api], counters: mutual(web, api, 8080) })
      assert.deepEqual(result.overridden, ['deployment/shop/web'])
      assert.deepEqual(linesOf(result.paths), ['deployment/web -> deployment/api:8080 unknown (labels-overridden)'])
    }
  })

  test('what such a workload was seen to send in the clear stays clear', () => {
    const [web, hidden] = [pod('deployment/web'), pod('deployment/web', { labels: { instance: 'nowhere' } })]
    const counters = tcp(web, outboundTo('203.0.113.7', 443))
    const [line] = pathLines({ pods: [web, hidden], counters })
    assert.match(line ?? '', /no-mesh-tls/)
  })

  test('a pod that moves its job is still read', () => {
    const api = pod('deployment/api', { labels: { job: 'mine' } })
    const result = assessed({ pods: [api], counters: clearHttp(api, 8080) })
    assert.equal(result.overridden, undefined)
    assert.deepEqual(linesOf(result.paths), [CLEAR])
    assert.equal(result.coverage[0]?.ratio, 1)
  })
})

describe('A pod that poses as another', () => {
  const web = pod('deployment/web')
  const api = pod('deployment/api')
  const dressed = (labels: Record<string, string>) =>
    pod('deployment/fake', { namespace: 'evil', labels: { namespace: web.namespace, pod: web.name, ...labels } })

  test('never improves what the real pod did, and speaks for its own workload at most as unknown', () => {
    const fake = dressed({})
    const counters = [...tcp(web, outbound(api, 8080, NO_DISCOVERY)), ...mutual(fake, api, 8080).slice(0, 4)]
    const result = assessed({ pods: [web, api, fake], counters })
    assert.deepEqual(linesOf(result.paths), [
      'deployment/fake -> deployment/api:8080 unknown (labels-overridden)',
      'deployment/web -> deployment/api:8080 no-mesh-tls (not_provided_by_service_discovery)',
    ])
  })

  test('never worsens the real pod below unknown', () => {
    const fake = pod('deployment/fake', { labels: { pod: web.name } })
    const counters = [...mutual(web, api, 8080), ...tcp(fake, outbound(api, 8080, NO_DISCOVERY))]
    const lines = pathLines({ pods: [web, api], unlisted: [fake], counters })
    assert.deepEqual(lines, ['deployment/web -> deployment/api:8080 unknown (instance-not-confirmed)'])
  })

  test('puts in doubt what comes from an address that it claims by a label', () => {
    const fake = dressed({ instance: `${web.ip}:4191` })
    const lines = pathLines({ pods: [web, api, fake], counters: mutual(web, api, 8080) })
    assert.deepEqual(lines, ['deployment/web -> deployment/api:8080 unknown (labels-overridden)'])
  })
})

describe('A pod that is in neither list', () => {
  test('stands with what it sent or got in the clear', () => {
    const once = pod('job/once', { from: 100, to: 130 })
    const counters = [...clearHttp(once, 8080, [105]), ...tcp(once, outboundTo('203.0.113.7', 443), { at: [110] })]
    assert.deepEqual(pathLines({ pods: [], unlisted: [once], counters }), [
      'job/once -> external/203.0.113.7:443 no-mesh-tls (not_provided_by_service_discovery)',
      'unmeshed -> job/once:8080 plaintext (no_tls_from_remote)',
    ])
  })

  test('stands with mTLS only where a listed server saw its identity', () => {
    const api = pod('deployment/api')
    const once = pod('job/once', { from: 100, to: 130 })
    const owner = () => ({
      'jobs.batch': [
        { metadata: { name: 'once', namespace: 'shop' }, spec: { template: { spec: { serviceAccountName: 'once' } } } },
      ],
    })
    const both = mutual(once, api, 8080, { at: [110] })
    const lines = (counters: typeof both) => pathLines({ pods: [api], unlisted: [once], counters, objects: owner })
    assert.deepEqual(lines(both), ['job/once -> deployment/api:8080 mtls'])
    assert.deepEqual(lines(both.slice(0, 4)), ['job/once -> deployment/api:8080 unknown (pod-not-listed)'])
  })

  test('does not stand with any other encrypted reading', () => {
    const once = pod('job/once', { from: 100, to: 130 })
    for (const tls of [{ tls: 'true' }, { tls: 'true', client_id: 'a.b.serviceaccount.identity.c' }]) {
      const [line] = pathLines({
        pods: [],
        unlisted: [once],
        counters: tcp(once, inbound(once, 80, tls), { at: [110] }),
      })
      assert.match(line ?? '', /unknown \(pod-not-listed\)$/, JSON.stringify(tls))
    }
  })

  test('cannot put its connections out of sight by labels either', () => {
    const lies = [
      { exported_target_port: '4191' },
      { direction: 'outbound' },
      { exported_direction: 'outbound' },
      { exported_peer: 'dst' },
    ]
    for (const labels of [
      ...lies,
      { exported_direction: 'outbound', exported_peer: 'dst' },
      { exported_tls: 'true' },
    ]) {
      const { api, counters } = clearTcp(labels, { from: 100, to: 290 })
      // Without the counters of authorisation, which have no direction.
      const lines = pathLines({ pods: [], unlisted: [api], counters: counters.slice(0, 4) })
      assert.match(lines.join(), / (no-mesh-tls|unknown) \(/, JSON.stringify(labels))
    }
  })

  test('is known by its owner where the lists have that one', () => {
    const [old, young] = [pod('cronjob/tick'), pod('cronjob/tick', { from: 100, to: 130 })]
    const lines = pathLines({ pods: [old], unlisted: [young], counters: clearHttp(young, 8080, [105]) })
    assert.deepEqual(lines, ['unmeshed -> cronjob/tick:8080 plaintext (no_tls_from_remote)'])
  })
})

describe('A pod that lived between two listed ones of its name', () => {
  const legacy = pod('deployment/legacy', { meshed: false })
  const [first, between, last] = [
    pod('statefulset/db', { to: 90 }),
    pod('statefulset/db', { from: 92, to: 235 }),
    pod('statefulset/db', { from: 237 }),
  ]
  const clear = (of: Pod, at = [100, 200]) => tcp(of, outbound(legacy, 8080, NO_DISCOVERY), { at })
  const CALLED = 'statefulset/db -> deployment/legacy:8080 no-mesh-tls (not_provided_by_service_discovery)'
  const DOUBTED = 'statefulset/db -> deployment/legacy:8080 unknown (instance-not-confirmed)'

  test('stands with what it sent in the clear', () => {
    const lines = pathLines({ pods: [first, last, legacy], unlisted: [between], counters: clear(between) })
    assert.deepEqual(lines, [CALLED])
  })

  test('also where no list after the window holds one of its name, or none before it does', () => {
    for (const listed of [[first], [last]])
      assert.deepEqual(pathLines({ pods: [...listed, legacy], unlisted: [between], counters: clear(between) }), [
        CALLED,
      ])
  })

  test('stands with mTLS only where a listed server saw its identity', () => {
    const api = pod('deployment/api')
    const both = mutual(between, api, 80, { at: [120] })
    const lines = (counters: typeof both) => pathLines({ pods: [first, last, api], unlisted: [between], counters })
    assert.deepEqual(lines(both), ['statefulset/db -> deployment/api:80 mtls'])
    assert.deepEqual(lines(both.slice(0, 4)), ['statefulset/db -> deployment/api:80 unknown (pod-not-listed)'])
  })

  test('is a second instance where it answers while a listed one of its name does', () => {
    for (const [pods, poser] of [
      [[pod('statefulset/db')], between],
      [[first, last], pod('statefulset/db', { from: 60, to: 235 })],
      [[first, last], pod('statefulset/db', { from: 92, to: 270 })],
      [[pod('statefulset/db', { to: 90, scrape: () => 'none' })], between],
    ] as const)
      assert.deepEqual(pathLines({ pods: [...pods, legacy], unlisted: [poser], counters: clear(poser, [120]) }), [
        DOUBTED,
      ])
  })
})

describe('A pod and its addresses', () => {
  test('a StatefulSet pod that came back under another address is itself at both', () => {
    const first = pod('statefulset/db', { to: 150 })
    const second = pod('statefulset/db', { from: 155 })
    assert.equal(first.name, second.name)
    const counters = [...clearHttp(first, 5000, [60]), ...clearHttp(second, 5000, [200])]
    const { paths } = assessed({ pods: [first, second], counters })
    assert.deepEqual(linesOf(paths), ['unmeshed -> statefulset/db:5000 plaintext (no_tls_from_remote)'])
    assert.equal(paths[0]?.opens, 2)
  })

  test('a pod whose sandbox was made again under another address is itself at both', () => {
    const web = pod('deployment/web', { ip: '10.9.9.1' })
    const moved = { ...web, ip: '10.9.9.2' }
    const pods = [
      { ...web, to: 200 },
      { ...moved, from: 200 },
    ]
    const api = pod('deployment/api')
    const [first = web, second = web] = pods
    const clear = tcp(first, outbound(api, 80, NO_DISCOVERY), { at: [60] })
    const counters = [...clear, ...mutual(second, api, 80, { at: [250] })]
    assert.deepEqual(pathLines({ pods: [...pods, api], counters }), [
      'deployment/web -> deployment/api:80 no-mesh-tls (not_provided_by_service_discovery)',
    ])
  })

  test('an address that went from one pod to another in the window speaks for each in its time', () => {
    const once = pod('job/once', { ip: '10.9.9.3', to: 150 })
    const web = pod('deployment/web', { ip: '10.9.9.3', from: 160 })
    const counters = [...clearHttp(once, 80, [60]), ...clearHttp(web, 81, [200])]
    assert.deepEqual(pathLines({ pods: [once, web], counters }), [
      'unmeshed -> deployment/web:81 plaintext (no_tls_from_remote)',
      'unmeshed -> job/once:80 plaintext (no_tls_from_remote)',
    ])
  })

  test('a pod is found by its IPv6 address, and by each of two', () => {
    for (const changes of [{ ip: 'fd00::17' }, { ip: '10.9.9.4', moreIps: ['fd00::18'] }]) {
      const [web, api] = [pod('deployment/web'), pod('deployment/api', changes)]
      const counters = [...mutual(web, api, 8080), ...tcp(web, outboundTo(changes.moreIps?.[0] ?? changes.ip, 9000))]
      assert.deepEqual(pathLines({ pods: [web, api], counters }), [
        'deployment/web -> deployment/api:8080 mtls',
        'deployment/web -> deployment/api:9000 no-mesh-tls (not_provided_by_service_discovery)',
      ])
    }
  })

  test('a proxy with another admin port is read like any other', () => {
    const [web, api] = [pod('deployment/web'), pod('deployment/api', { adminPort: 9991 })]
    const result = assessed({ pods: [web, api], counters: mutual(web, api, 8080) })
    assert.deepEqual(linesOf(result.paths), ['deployment/web -> deployment/api:8080 mtls'])
    assert.deepEqual(
      result.coverage.map(({ ratio }) => ratio),
      [1, 1],
    )
  })
})

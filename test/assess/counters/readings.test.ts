import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { movedWithin } from '../../../lib/assess/counters/counter-movement.ts'
import { assessed, linesOf, pathLines } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, identityOf, pod, podObject, timeAt } from '../../support/mesh/synthetic-pods.ts'
import {
  type Counter,
  NO_TLS,
  PROBE,
  authorized,
  clearHttp,
  counts,
  every,
  inbound,
  mutual,
  outbound,
  outboundTo,
  tcp,
} from '../../support/mesh/synthetic-prometheus.ts'

const api = pod('deployment/api', { probes: [{ port: 8080, periodSeconds: 10 }] })
const web = pod('deployment/web')

/** Clear TCP series of a port, and what authorisation said. */
function clear(port: number, decided: Counter[], connections: Parameters<typeof tcp>[2] = {}): Counter[] {
  return [...tcp(api, inbound(api, port, NO_TLS), connections), ...decided]
}

/** What the paths of the server's port are said to be, without their ends. */
function said(counters: readonly Counter[], server: Pod = api): string[] {
  return pathLines({ pods: [server], counters }).map((line) => line.replace(/^(\w+) -> \S+ /, '$1 '))
}

const CLEAR_HTTP = 'unmeshed plaintext (no_tls_from_remote)'
const CLEAR_TCP = 'unmeshed no-mesh-tls (no_tls_from_remote)'
const PROBED = 'probe exempt (probe path)'
const TOO_OFTEN = 'unmeshed plaintext (probe path called too often)'
const probes = (at: readonly number[], port = 8080) => authorized(api, port, 'http_authz_allow', at, PROBE)

/** Contracts: section 5, row by row. */
const TABLE: Readonly<Record<string, readonly [counters: Counter[], rows: string[]]>> = {
  'HTTP that was allowed is plaintext': [clear(80, [authorized(api, 80, 'http_authz_allow')]), [CLEAR_HTTP]],
  'TCP that was allowed, with payload, is without mesh TLS': [
    clear(80, [authorized(api, 80, 'tcp_authz_allow')]),
    [CLEAR_TCP],
  ],
  'TCP whose authorisation was taken back counts as allowed': [
    clear(80, [authorized(api, 80, 'tcp_authz_terminate')]),
    [CLEAR_TCP],
  ],
  'HTTP allowed by a policy that is named probe is no probe': [
    clear(8080, [
      authorized(api, 8080, 'http_authz_allow', [60], { authz_kind: 'authorizationpolicy', authz_name: 'probe' }),
    ]),
    [CLEAR_HTTP],
  ],
  'HTTP that was denied is refused': [
    clear(80, [authorized(api, 80, 'http_authz_deny')]),
    ['unmeshed plaintext refused (no_tls_from_remote)'],
  ],
  'HTTP without a route is refused': [
    clear(80, [authorized(api, 80, 'http_route_not_found')]),
    ['unmeshed plaintext refused (no_tls_from_remote)'],
  ],
  'HTTP over its rate limit is refused': [
    clear(80, [authorized(api, 80, 'http_local_ratelimit')]),
    ['unmeshed plaintext refused (no_tls_from_remote)'],
  ],
  'TCP that was denied is refused, though it opens no connection': [
    [authorized(api, 80, 'tcp_authz_deny')],
    ['unmeshed no-mesh-tls refused (no_tls_from_remote)'],
  ],
  'what was allowed beside what was refused is allowed': [
    clear(80, [authorized(api, 80, 'http_authz_deny'), authorized(api, 80, 'http_authz_allow')]),
    [CLEAR_HTTP],
  ],
  'probes as often as the pod makes them are exempt': [clear(8080, [probes(every(10))], { at: every(10) }), [PROBED]],
  'one more for each probe is allowed': [clear(8080, [probes([...every(10), 100])]), [PROBED]],
  'two more are somebody else': [clear(8080, [probes([...every(10), 100, 101])]), [TOO_OFTEN]],
  'the probe path of a port without a probe is somebody else': [clear(9000, [probes([60], 9000)]), [TOO_OFTEN]],
  'a client beside the probes is seen by its own requests': [
    clear(8080, [probes(every(10)), authorized(api, 8080, 'http_authz_allow')]),
    [PROBED, CLEAR_HTTP],
  ],
  'a refused client beside the probes is refused': [
    clear(8080, [probes(every(10)), authorized(api, 8080, 'http_authz_deny')]),
    [PROBED, 'unmeshed plaintext refused (no_tls_from_remote)'],
  ],
  'a connection without a byte is exempt': [
    clear(80, [authorized(api, 80, 'tcp_authz_allow')], { bytes: 0 }),
    ['unmeshed exempt (no payload)'],
  ],
  'bytes that no counter of authorisation explains are unknown': [
    clear(80, []),
    ['unmeshed unknown (no authorization counter moved)'],
  ],
  'an idle clear HTTP connection that stays open is present': [
    clear(80, [authorized(api, 80, 'http_authz_allow', [-2000])], { at: [-2000], lasts: Infinity }),
    [CLEAR_HTTP],
  ],
  'an idle clear TCP connection that stays open is present': [
    clear(80, [authorized(api, 80, 'tcp_authz_allow', [-2000])], { at: [-2000], lasts: Infinity }),
    [CLEAR_TCP],
  ],
  'an idle clear connection is present beside probes': [
    clear(8080, [authorized(api, 8080, 'http_authz_allow', [-2000]), probes(every(10))], {
      at: [-2000],
      lasts: Infinity,
    }),
    [PROBED, CLEAR_HTTP],
  ],
  'a probe that a scrape finds open is no client of before that stayed': [
    clear(8080, [authorized(api, 8080, 'http_authz_allow', [-290]), probes(every(10))], { at: [-290, 104], lasts: 2 }),
    [PROBED],
  ],
  'an idle connection that no counter of authorisation ever explained is unknown': [
    clear(80, [], { at: [-2000], lasts: Infinity }),
    ['unmeshed unknown (no authorization counter moved)'],
  ],
  'a connection of an earlier window that is closed is not seen': [
    clear(80, [authorized(api, 80, 'http_authz_allow', [-290])], { at: [-290] }),
    [],
  ],
  'TLS of the application is that, and refused where it was': [
    [
      ...tcp(api, inbound(api, 80, { tls: 'opaque', sni: 'db.example' })),
      ...tcp(api, inbound(api, 81, { tls: 'opaque', sni: 'db.example' }), { bytes: 0 }),
      authorized(api, 81, 'tcp_authz_deny', [60], { tls: 'opaque', no_tls_reason: '', sni: 'db.example' }),
    ],
    ['unmeshed app-tls (application-tls)', 'unmeshed app-tls refused (application-tls)'],
  ],
  'TLS of the application that was let in beside what was not is allowed': [
    [
      ...tcp(api, inbound(api, 80, { tls: 'opaque', sni: 'db.example' })),
      authorized(api, 80, 'tcp_authz_deny', [60], { tls: 'opaque', no_tls_reason: '', sni: 'db.example' }),
      authorized(api, 80, 'tcp_authz_allow', [60], { tls: 'opaque', no_tls_reason: '', sni: 'db.example' }),
    ],
    ['unmeshed app-tls (application-tls)'],
  ],
  'TLS without a name is not known to be any': [
    [
      ...tcp(api, inbound(api, 80, { tls: 'opaque' })),
      authorized(api, 80, 'tcp_authz_allow', [60], { tls: 'opaque', no_tls_reason: '' }),
    ],
    ['unmeshed unknown (tls=opaque)'],
  ],
  'a proxy before 2.12 names its port in the address': [
    clear(80, [authorized(api, 80, 'tcp_authz_allow')]).map(withoutPort),
    [CLEAR_TCP],
  ],
  'a port that no label names is unknown': [
    tcp(api, { ...inbound(api, 80, NO_TLS), target_port: '', target_addr: '', target_ip: '' }),
    ['unmeshed unknown (no-port)'],
  ],
}

function withoutPort(counter: Counter): Counter {
  return { ...counter, labels: { ...counter.labels, target_port: '', target_ip: '', srv_port: '' } }
}

describe('Clear inbound traffic', () => {
  for (const [name, [counters, rows]] of Object.entries(TABLE))
    test(name, () => assert.deepEqual(said(counters), rows.toSorted()))

  test('without byte counters it is not known that nothing flowed: missing is not zero', () => {
    for (const missing of ['tcp_read_bytes_total', 'tcp_write_bytes_total']) {
      const counters = clear(80, [authorized(api, 80, 'tcp_authz_allow')], { bytes: 0 })
      assert.deepEqual(said(counters.filter(({ name }) => name !== missing)), ['unmeshed unknown (no byte counters)'])
    }
  })

  test('what was refused is kept as an edge of its own beside what was allowed', () => {
    const counters = clear(80, [authorized(api, 80, 'http_authz_deny'), authorized(api, 80, 'http_authz_allow')])
    const { edges, paths } = assessed({ pods: [api], counters })
    assert.deepEqual(
      edges.map(({ state, outcome, opens, bytes }) => [state, outcome, opens, bytes]),
      [['plaintext', 'refused', 0, 0]],
    )
    assert.deepEqual(
      paths.map(({ outcome, opens, bytes }) => [outcome, opens, bytes]),
      [['allowed', 1, 200]],
    )
  })

  test('an opaque port says that TLS was not looked for', () => {
    const skipped = { tls: 'no_identity', no_tls_reason: 'port_skipped' }
    const counters = [...tcp(api, inbound(api, 6379, skipped)), authorized(api, 6379, 'tcp_authz_allow', [60], skipped)]
    const { paths } = assessed({ pods: [api], counters })
    assert.deepEqual(linesOf(paths), ['unmeshed -> deployment/api:6379 no-mesh-tls (port_skipped)'])
    assert.equal(paths[0]?.cause, 'opaque-port-unmeshed-client')
  })

  test('connections and bytes are counted in the window that holds their first scrape', () => {
    const { paths } = assessed({ pods: [api], counters: clearHttp(api, 80, [-20, 60, 70, 296]) })
    assert.deepEqual(
      paths.map(({ opens, bytes, clearBytes, sinceUnknown }) => [opens, bytes, clearBytes, sinceUnknown]),
      [[2, 400, 400, true]],
    )
  })

  test('is said to begin in a window only where it was seen to', () => {
    const since = (counters: readonly Counter[], server: Pod = api) =>
      assessed({ pods: [server], counters }).paths.map(({ state, opens, sinceUnknown }) => [state, opens, sinceUnknown])
    assert.deepEqual(since(clearHttp(api, 80, [60])), [['plaintext', 1, false]])
    // A call of hours ago left its counter, and begins nothing.
    assert.deepEqual(since(clearHttp(api, 80, [-5000, 60])), [['plaintext', 1, false]])
    assert.deepEqual(since(clearHttp(api, 80, [-250, 60])), [['plaintext', 1, true]])
    const open = clear(80, [authorized(api, 80, 'tcp_authz_allow', [-2000])], { at: [-2000], lasts: Infinity })
    assert.deepEqual(since(open), [['no-mesh-tls', 0, true]])
    const late = pod('deployment/api', { scrape: (time) => (time > 100 ? 'success' : 'none') })
    assert.deepEqual(since(clearHttp(late, 80, [90, 150]), late), [['plaintext', 1, true]])
  })
})

describe('What was authorised at an unknown time', () => {
  const late = (changes: Partial<Pod> = {}) =>
    pod('deployment/api', {
      probes: [{ port: 8080, periodSeconds: 10 }],
      scrape: (time) => (time > 60 ? 'success' : 'none'),
      ...changes,
    })
  const UNSURE = 'unmeshed unknown (counted before the first scrape)'

  test('never makes a window plaintext, and is unknown where it may be of the window', () => {
    const server = late()
    const counters = [
      ...tcp(server, inbound(server, 8080, NO_TLS), { at: every(10, -3600) }),
      authorized(server, 8080, 'http_authz_allow', every(10, -3600), PROBE),
      authorized(server, 8080, 'http_authz_allow', [-3000]),
    ]
    assert.deepEqual(said(counters, server), [PROBED, UNSURE])
    const opens = assessed({ pods: [server], counters }).paths.map(({ source, opens: count }) => [source.kind, count])
    assert.deepEqual(
      new Map(opens as [string, number][]),
      new Map([
        ['probe', 23],
        ['unmeshed', 0],
      ]),
    )
    for (const name of ['http_authz_deny', 'tcp_authz_deny'] as const) {
      const refused = [...counters.slice(0, -1), authorized(server, 8080, name, [-3000])]
      assert.deepEqual(said(refused, server), [PROBED, 'unmeshed unknown refused (counted before the first scrape)'])
    }
  })

  test('is a probe by its rate where the life of the pod has room for it', () => {
    const server = late({ probes: [{ port: 8080, periodSeconds: 10, kind: 'grpc' }] })
    const counters = (period: number) => [
      ...tcp(server, inbound(server, 8080, NO_TLS), { at: every(period, -3600) }),
      authorized(server, 8080, 'http_authz_allow', every(period, -3600)),
    ]
    assert.deepEqual(said(counters(10), server), ['probe exempt (probe, by its rate)'])
    const once = { ...server, scrape: (time: number) => (time > 290 ? ('success' as const) : ('none' as const)) }
    assert.deepEqual(
      said(
        counters(10).map((counter) => ({ ...counter, on: once })),
        once,
      ),
      ['probe exempt (probe, by its rate)'],
    )
    assert.deepEqual(said(counters(7), server), [CLEAR_HTTP])
  })

  test('is of before where no series of a connection stands beside it', () => {
    const server = late()
    for (const name of ['http_authz_allow', 'tcp_authz_allow', 'http_authz_deny'] as const)
      assert.deepEqual(said([authorized(server, 80, name, [-3000])], server), [])
    // In a window that is longer than Linkerd keeps an idle series, it may have come and gone.
    const quarter = late({ scrape: (time) => (time > 290 ? 'success' : 'none') })
    assert.deepEqual(said(clearHttp(quarter, 80, [200]), quarter), [UNSURE])
  })

  test('is told where an earlier scrape lacked it: what is never dropped began since', () => {
    const away = pod('deployment/api', { scrape: (time) => (time < -60 || time > 30 ? 'success' : 'none') })
    assert.deepEqual(said(clearHttp(away, 80, [20]), away), [CLEAR_HTTP])
    assert.deepEqual(said([authorized(away, 80, 'tcp_authz_deny', [20])], away), [
      'unmeshed no-mesh-tls refused (no_tls_from_remote)',
    ])
    const old = [authorized(away, 80, 'http_authz_allow', [-3000])]
    assert.deepEqual(said(old, away), [])
  })
})

describe('Probes', () => {
  test('without dates are measured by the life of the pod, and are so many', () => {
    const late = pod('deployment/api', {
      probes: [{ port: 8080, periodSeconds: 10 }],
      scrape: (time) => (time > 0 ? 'success' : 'none'),
    })
    const at = (period: number) => [
      ...tcp(late, inbound(late, 8080, NO_TLS), { at: every(period, -3600) }),
      authorized(late, 8080, 'http_authz_allow', every(period, -3600), PROBE),
    ]
    assert.deepEqual(said(at(10), late), [PROBED])
    assert.deepEqual(said(at(9), late), [TOO_OFTEN])
  })

  test('of a young pod are all in its first page, also those of before the window', () => {
    const young = pod('deployment/api', {
      from: -25,
      probes: [{ port: 8080, periodSeconds: 10, kind: 'grpc' }],
      scrape: (time) => (time % 30 === 5 && time > 0 ? 'success' : 'none'),
    })
    const counters = (period: number) => [
      ...tcp(young, inbound(young, 8080, NO_TLS), { at: every(period, -24) }),
      authorized(young, 8080, 'http_authz_allow', every(period, -24)),
    ]
    assert.deepEqual(said(counters(10), young), ['probe exempt (probe, by its rate)'])
    assert.deepEqual(said(counters(9), young), [CLEAR_HTTP])
  })

  test('that Linkerd does not tell apart are exempt by their rate, and others are not', () => {
    const BY_RATE = 'probe exempt (probe, by its rate)'
    const UNSURE = 'unmeshed unknown (probes, or more than probes)'
    const kinds = [
      ['grpc', 'http_authz_allow', CLEAR_HTTP, NO_TLS],
      ['http', 'http_authz_allow', CLEAR_HTTP, NO_TLS],
      ['https', 'tcp_authz_allow', CLEAR_TCP, NO_TLS],
      ['tcp', 'tcp_authz_allow', 'unmeshed no-mesh-tls (port_skipped)', { ...NO_TLS, no_tls_reason: 'port_skipped' }],
    ] as const
    for (const [kind, name, told, tls] of kinds) {
      const server = pod('deployment/api', { probes: [{ port: 8080, periodSeconds: 10, kind }] })
      const saidOf = (at: readonly number[], more: readonly Counter[] = []) =>
        said(
          [...tcp(server, inbound(server, 8080, tls), { at }), authorized(server, 8080, name, at, tls), ...more],
          server,
        )
      assert.deepEqual(saidOf(every(10)), [BY_RATE], kind)
      assert.deepEqual(saidOf(every(9)), [told], kind)
      assert.deepEqual(saidOf([...every(10), 100, 101]), [told], kind)
      // A few are no kubelet's, which sends its own all the time.
      assert.deepEqual(saidOf([60]), [told], kind)
      assert.deepEqual(saidOf(every(15)), [UNSURE], kind)
      const elsewhere = pod('deployment/api', { probes: [{ port: 9000, periodSeconds: 10, kind }] })
      const counters = [
        ...tcp(elsewhere, inbound(elsewhere, 8080, tls), { at: every(10) }),
        authorized(elsewhere, 8080, name, every(10), tls),
      ]
      assert.deepEqual(said(counters, elsewhere), [told], kind)
    }
    // Where a probe has a route of its own, no other request is one.
    assert.deepEqual(
      said(clear(8080, [probes(every(10)), authorized(api, 8080, 'http_authz_allow', every(10))], { at: every(5) })),
      [PROBED, CLEAR_HTTP],
    )
    // Nor is a connection that stays open.
    const rpc = pod('deployment/api', { probes: [{ port: 8080, periodSeconds: 30, kind: 'grpc' }] })
    const kept = [
      ...tcp(rpc, inbound(rpc, 8080, NO_TLS), { at: [-2000], lasts: Infinity }),
      authorized(rpc, 8080, 'http_authz_allow', every(30)),
    ]
    assert.deepEqual(said(kept, rpc), [CLEAR_HTTP])
  })

  test('once too often in each window are in doubt once the look back shows it', () => {
    const monitored = [...every(10), -800, -500, -200, 100]
    assert.deepEqual(said(clear(8080, [probes(monitored)], { at: monitored })), [
      'unmeshed unknown (probes, or more than probes)',
    ])
    const once = [...every(10), 100]
    assert.deepEqual(said(clear(8080, [probes(once)], { at: once })), [PROBED])
  })

  test('of a pod that is not ready have room for what the kubelet sends besides', () => {
    const server = (conditions: readonly object[]) =>
      pod('deployment/api', { probes: [{ port: 8080, periodSeconds: 10 }], status: { conditions } })
    const extra = [20, 85, 150, 215, 280]
    const saidOf = (conditions: readonly object[]) => {
      const at = [...every(10), ...extra]
      const one = server(conditions)
      return said(
        [...tcp(one, inbound(one, 8080, NO_TLS), { at }), authorized(one, 8080, 'http_authz_allow', at, PROBE)],
        one,
      )
    }
    const since = (status: string, time: number) => [{ type: 'Ready', status, lastTransitionTime: timeAt(time) }]
    assert.deepEqual(saidOf(since('True', -3600)), [TOO_OFTEN])
    assert.deepEqual(saidOf(since('True', 290)), [PROBED])
    assert.deepEqual(saidOf([]), ['unmeshed unknown (probes, or more than probes)'])
  })

  test('that are slow and in phase with the scrapes hold no connection of before open', () => {
    const old = authorized(api, 8080, 'http_authz_allow', [-2000])
    const slow = { at: every(10, -1004), lasts: 9.5 }
    const path = probes(every(10, -1004))
    assert.deepEqual(said(clear(8080, [old, path], slow)), [PROBED])
    // A client of minutes ago may have stayed, and a stream has bytes of its own.
    assert.deepEqual(said(clear(8080, [authorized(api, 8080, 'http_authz_allow', [-600]), path], slow)), [
      PROBED,
      CLEAR_HTTP,
    ])
    const stream = clear(8080, [old, path], slow).map((counter) => ({
      ...counter,
      value: (time: number) => {
        const value = counter.value(time)
        return value === undefined || !counter.name.endsWith('bytes_total')
          ? value
          : value + Math.floor((time + 2100) / 70) * 900
      },
    }))
    assert.deepEqual(said(stream), [PROBED, CLEAR_HTTP])
    const tcpClient = authorized(api, 8080, 'tcp_authz_allow', [-2000])
    assert.deepEqual(said(clear(8080, [tcpClient, path], slow)), [PROBED, CLEAR_TCP])
  })

  test('of a pod in no list are those of its template, else of its siblings', () => {
    const short = pod('deployment/api', { from: 20, to: 290, probes: [{ port: 8080, periodSeconds: 10 }] })
    const counters = (period: number) => [
      ...tcp(short, inbound(short, 8080, NO_TLS), { at: every(period, 20, 290) }),
      authorized(short, 8080, 'http_authz_allow', every(period, 20, 290), PROBE),
    ]
    const lines = (listed: readonly Pod[], period = 10) =>
      pathLines({ pods: listed, unlisted: [short], counters: counters(period) })
    assert.deepEqual(lines([api]), ['probe -> deployment/api:8080 exempt (probe path)'])
    assert.deepEqual(lines([api], 3), ['unmeshed -> deployment/api:8080 plaintext (probe path called too often)'])
    const withoutTemplates = () => ({
      'replicasets.apps': [
        {
          metadata: {
            name: 'api-6f5d8c7b9',
            namespace: 'shop',
            ownerReferences: [{ apiVersion: 'v1', kind: 'Deployment', name: 'api', uid: 'u', controller: true }],
          },
          spec: {},
        },
      ],
      'deployments.apps': [{ metadata: { name: 'api', namespace: 'shop' }, spec: {} }],
    })
    const saidBy = (pods: readonly Pod[]) =>
      pathLines({ pods, unlisted: [short], counters: counters(10), objects: withoutTemplates })
    assert.deepEqual(saidBy([api]), ['probe -> deployment/api:8080 exempt (probe path)'])
    assert.deepEqual(saidBy([]), ['unmeshed -> deployment/api:8080 unknown (probe path, probes not known)'])
  })

  test('of a pod in no list are not known', () => {
    const once = pod('job/once', { from: 100, to: 200, probes: [{ port: 8080, periodSeconds: 10 }] })
    const counters = [
      ...tcp(once, inbound(once, 8080, NO_TLS), { at: [110] }),
      authorized(once, 8080, 'http_authz_allow', [110], PROBE),
    ]
    const lines = pathLines({ pods: [], unlisted: [once], counters })
    assert.deepEqual(lines, ['unmeshed -> job/once:8080 unknown (probe path, probes not known)'])
  })

  test('that end with the start of a container leave no allowance to others', () => {
    const startup = { port: 8080, periodSeconds: 1, isStartup: true }
    const counters = (server: Pod) => [
      ...tcp(server, inbound(server, 8080, NO_TLS), { at: every(5, server.from) }),
      authorized(server, 8080, 'http_authz_allow', every(5, server.from), PROBE),
    ]
    const old = pod('deployment/api', { probes: [startup] })
    assert.deepEqual(said(counters(old), old), [TOO_OFTEN])
    const setUp = { name: 'setup', ready: true, state: { terminated: { finishedAt: timeAt(-3590) } } }
    const proxy = { name: 'linkerd-proxy', ready: true, state: { running: { startedAt: timeAt(-3600) } } }
    const ready = { ...old, status: { initContainerStatuses: [setUp, proxy] } }
    assert.deepEqual(said(counters(ready), ready), [TOO_OFTEN])
    const young = pod('deployment/api', { probes: [startup], from: 10 })
    assert.deepEqual(said(counters(young), young), [PROBED])
    const state = { running: { startedAt: timeAt(-3600) } }
    const starting = pod('deployment/api', {
      probes: [startup],
      status: { containerStatuses: [{ name: 'app', ready: false, restartCount: 0, state }] },
    })
    assert.deepEqual(said(counters(starting), starting), [TOO_OFTEN])
    const slow = { ...starting, probes: [{ ...startup, failureThreshold: 5000 }] }
    assert.deepEqual(said(counters(slow), slow), [PROBED])
  })

  test('by a name of a port are those of their own container', () => {
    const container = (name: string, containerPort: number) => ({
      name,
      ports: [{ name: 'http', containerPort }],
      readinessProbe: { httpGet: { port: 'http' }, periodSeconds: 10 },
    })
    const two = pod('deployment/api')
    const objects = (time: number) => {
      const { metadata, spec, status } = podObject(two, time)
      return {
        pods: [{ metadata, spec: { ...spec, containers: [container('app', 8080), container('side', 9090)] }, status }],
      }
    }
    const counters = [8080, 9090].flatMap((port) => [
      ...tcp(two, inbound(two, port, NO_TLS), { at: every(10) }),
      authorized(two, port, 'http_authz_allow', every(10), PROBE),
    ])
    assert.deepEqual(
      pathLines({ pods: [], unlisted: [two], counters, objects }),
      [`probe -> pod/${two.name}:8080 exempt (probe path)`, `probe -> pod/${two.name}:9090 exempt (probe path)`].map(
        (line) => line.replace(`pod/${two.name}`, 'replicaset/api-6f5d8c7b9'),
      ),
    )
  })

  test('by a name of a port are those of its number', () => {
    const named = pod('deployment/api', {
      ports: [{ name: 'web', containerPort: 8080 }],
      probes: [{ port: 8080, periodSeconds: 10 }],
    })
    const counters = [
      ...tcp(named, inbound(named, 8080, NO_TLS), { at: every(10) }),
      authorized(named, 8080, 'http_authz_allow', every(10), PROBE),
    ]
    assert.deepEqual(said(counters, named), [PROBED])
  })
})

test('whoever sends more than the kubelet is told, and the kubelet alone never is', () => {
  const story = fc.record({
    kind: fc.constantFrom('http' as const, 'grpc' as const, 'https' as const),
    period: fc.constantFrom(5, 7, 10, 15, 30, 60),
    phase: fc.integer({ min: 1, max: 999 }),
    isOnPath: fc.boolean(),
    client: fc.uniqueArray(fc.integer({ min: 6, max: 284 }), { maxLength: 8 }),
  })
  fc.assert(
    fc.property(story, ({ kind, period, phase, isOnPath, client }) => {
      const server = pod('deployment/api', { probes: [{ port: 8080, periodSeconds: period, kind }] })
      const kubelet = every(period, -3600 + (period * phase) / 1000)
      const name = kind === 'https' ? 'tcp_authz_allow' : 'http_authz_allow'
      const isApart = kind === 'http' && !isOnPath
      const beside = isApart ? kubelet : [...kubelet, ...client]
      const counters = [
        ...tcp(server, inbound(server, 8080, NO_TLS), { at: [...kubelet, ...client], lasts: 0 }),
        authorized(server, 8080, name, beside, kind === 'http' ? PROBE : {}),
        ...(isApart && client.length > 0 ? [authorized(server, 8080, name, client)] : []),
      ]
      const unmeshed = said(counters, server).filter((line) => line.startsWith('unmeshed'))
      if (client.length === 0) assert.deepEqual(unmeshed, [])
      else if (isApart) assert.deepEqual(unmeshed, [CLEAR_HTTP])
      else {
        // Of a span that is no whole number of periods, the phase hides one more.
        const hidden = 300 % period === 0 ? 1 : 2
        if (client.length > hidden) assert.equal(unmeshed.length, 1)
        if (client.length > hidden + 1) assert.match(unmeshed[0] ?? '', /^unmeshed (plaintext|no-mesh-tls) /)
      }
    }),
    { numRuns: 300 },
  )
})

describe("The proxy's own ports", () => {
  test('keep what they are as a reason, and are not scored', () => {
    const prometheus = pod('deployment/prometheus', { namespace: 'linkerd-viz' })
    const counters = [
      ...tcp(api, inbound(api, 4191, NO_TLS)),
      authorized(api, 4191, 'http_authz_allow', [60], PROBE),
      ...tcp(api, inbound(api, 4190, NO_TLS)),
      ...mutual(prometheus, api, 4191),
    ]
    assert.deepEqual(pathLines({ pods: [api, prometheus], counters }), [
      'deployment/prometheus -> deployment/api:4191 exempt (admin-port (mtls))',
      'unmeshed -> deployment/api:4190 exempt (admin-port (no-mesh-tls))',
      'unmeshed -> deployment/api:4191 exempt (admin-port (plaintext))',
    ])
  })

  test('keep also what is not known of them', () => {
    const maybe = { tls: 'maybe', no_tls_reason: '' }
    const counters = [...tcp(api, inbound(api, 4191, maybe)), authorized(api, 4191, 'http_authz_allow', [60], maybe)]
    assert.deepEqual(said(counters), ['unmeshed exempt (admin-port (unknown))'])
  })

  test('keep the TLS of an application as a reason, too', () => {
    const own = { tls: 'opaque', no_tls_reason: '', sni: 'api.example' }
    assert.deepEqual(said(tcp(api, inbound(api, 4191, own))), ['unmeshed exempt (admin-port (app-tls))'])
  })

  test('are none where an application has the number', () => {
    // A proxy before 2.12 names the port in the address only, so that the selectors do not know it.
    const old = { target_port: '', target_ip: '', target_addr: '203.0.113.7:4191' }
    assert.deepEqual(pathLines({ pods: [web], counters: tcp(web, outboundTo('', 1, old)) }), [
      'deployment/web -> external/203.0.113.7:4191 no-mesh-tls (not_provided_by_service_discovery)',
    ])
    const bare = pod('deployment/bare', { meshed: false, ip: '203.0.113.7' })
    const [line] = pathLines({ pods: [web, bare], counters: tcp(web, outboundTo('', 1, old)) })
    assert.match(line ?? '', /no-mesh-tls/)
    const moved = pod('deployment/moved', { adminPort: 9991 })
    assert.deepEqual(said(clearHttp(moved, 4191), moved), [CLEAR_HTTP])
  })

  test('are not a place to hide for who claims another pod', () => {
    const fake = pod('deployment/fake', { labels: { pod: web.name } })
    const lines = pathLines({ pods: [web], unlisted: [fake], counters: clearHttp(fake, 4191) })
    assert.deepEqual(lines, ['unmeshed -> deployment/web:4191 unknown (instance-not-confirmed)'])
  })
})

describe('Clear outbound traffic', () => {
  const requests = (on: Pod, labels: Readonly<Record<string, string>>, at = [60]) => {
    const { peer: _peer, ...rest } = labels
    return counts(on, 'request_total', rest, at)
  }
  const external = outboundTo('203.0.113.7', 80)
  const lines = (counters: Counter[]) => pathLines({ pods: [web], counters })
  const NAME = 'deployment/web -> external/203.0.113.7:80'

  test('is plaintext exactly where the proxy parsed HTTP with the same labels', () => {
    const reason = '(not_provided_by_service_discovery)'
    assert.deepEqual(lines([...tcp(web, external), requests(web, external)]), [`${NAME} plaintext ${reason}`])
    assert.deepEqual(lines(tcp(web, external)), [`${NAME} no-mesh-tls ${reason}`])
    const elsewhere = requests(web, outboundTo('203.0.113.8', 80))
    assert.deepEqual(lines([...tcp(web, external), elsewhere]), [`${NAME} no-mesh-tls ${reason}`])
    const old = { at: [-800], lasts: Infinity }
    assert.deepEqual(lines([...tcp(web, external, old), requests(web, external, [-800])]), [
      `${NAME} plaintext ${reason}`,
    ])
  })

  test('is present while it stays open, and not when it is over', () => {
    const [open] = lines(tcp(web, external, { at: [-2000], lasts: Infinity }))
    assert.equal(open, `${NAME} no-mesh-tls (not_provided_by_service_discovery)`)
    assert.deepEqual(lines(tcp(web, external, { at: [-290] })), [])
  })

  test('leaves out the legs between an application and its own proxy', () => {
    const loopback = { tls: 'no_identity', no_tls_reason: 'loopback' }
    const legs = [
      ...tcp(web, { ...outboundTo('10.96.0.1', 80), peer: 'src', ...loopback }),
      ...tcp(web, { ...inbound(web, 80, loopback), peer: 'dst' }),
    ]
    assert.deepEqual(lines(legs), [])
    assert.deepEqual(lines(tcp(web, { ...external, ...loopback })), [`${NAME} exempt (loopback)`])
  })

  test('that appears after a time without scrapes is told, and was not opened in the window', () => {
    const late = pod('deployment/web', { scrape: (time) => (time > 100 ? 'success' : 'none') })
    const { paths } = assessed({ pods: [late], counters: tcp(late, external, { at: [-2000, -1900] }) })
    assert.deepEqual(
      paths.map(({ state, opens, sinceUnknown }) => [state, opens, sinceUnknown]),
      [['no-mesh-tls', 0, true]],
    )
  })
})

describe('A clear call while Prometheus was away', () => {
  const away = pod('deployment/web', { scrape: (time) => (time > -440 && time < -340 ? 'none' : 'success') })
  const told = (connections: Parameters<typeof tcp>[2]) =>
    pathLines({ pods: [away], counters: tcp(away, outboundTo('203.0.113.7', 80), connections) })
  const AGAIN = 'deployment/web -> external/203.0.113.7:80 no-mesh-tls (not_provided_by_service_discovery)'

  test('is not told again when its series ends, as that of an idle one does', () => {
    assert.deepEqual(told({ at: [-390], evictedAt: 215 }), [])
    // Another call may be hidden in a series that stays.
    assert.deepEqual(told({ at: [-390] }), [AGAIN])
    assert.deepEqual(told({ at: [-390], evictedAt: 301 }), [AGAIN])
  })
})

describe('Encrypted traffic', () => {
  const server = pod('deployment/server')
  const tls = outbound(server, 80, { tls: 'true', server_id: identityOf(server) })
  const opens = (on: Pod, connections: Parameters<typeof tcp>[2]) =>
    assessed({ pods: [on, server], counters: tcp(on, tls, connections) }).paths.map((path) => [
      path.state,
      path.opens,
      path.openAtScrape,
    ])

  test('is present where it was opened or open, and counted', () => {
    assert.deepEqual(opens(web, { at: [60, 70], lasts: 6 }), [['mtls', 2, 1]])
    assert.deepEqual(opens(web, { at: [-500, 70], lasts: 2 }), [['mtls', 1, 0]])
    assert.deepEqual(opens(web, { at: [-2000], lasts: Infinity }), [['mtls', 0, 1]])
    assert.deepEqual(opens(web, { at: [-500] }), [])
  })

  test('that nobody can date does not count', () => {
    const late = pod('deployment/web', { scrape: (time) => (time > 100 ? 'success' : 'none') })
    assert.deepEqual(opens(late, { at: [-2000] }), [])
    assert.deepEqual(opens(late, { at: [-2000, 150] }), [['mtls', 1, 0]])
    const young = { ...late, from: 60 }
    assert.deepEqual(opens(young, { at: [70] }), [['mtls', 1, 0]])
  })

  test('counts once more after the series was evicted and came back', () => {
    const evicted = tcp(web, tls, { at: [-700], evictedAt: -80 })
    const reborn = tcp(web, tls, { at: [60] })
    const counters = evicted.map((counter, index) => ({
      ...counter,
      value: (time: number) => counter.value(time) ?? reborn[index]?.value(time),
    }))
    const { paths } = assessed({ pods: [web, server], counters })
    assert.deepEqual(
      paths.map((path) => [path.state, path.opens]),
      [['mtls', 1]],
    )
  })
})

test('movedWithin() takes the sample at the end of a window, and leaves that at its start to the window before', () => {
  const scrapes = { times: [0, 10, 20, 30], interval: 10, processStarts: [-100] }
  const samples = [0, 10, 20, 30].map((time) => ({ time, value: 1 + time / 10 }))
  const count = (start: number, end: number) => movedWithin(samples, scrapes, { start, end }).count
  assert.deepEqual([count(0, 10), count(10, 20), count(20, 30), count(0, 30), count(30, 40)], [1, 1, 1, 3, 0])
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isEncrypted } from '../../../lib/assess/window/episode-lifecycle.ts'
import { factsOf } from '../../../lib/assess/pods/facts.ts'
import { listedOf } from '../../../lib/assess/pods/lists.ts'
import { pageReadings, podPages, seenByPages } from '../../../lib/assess/counters/page-readings.ts'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import type { AssessInput } from '../../../lib/assess/window/window.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import type { ProxyPage } from '../../../lib/model/snapshot.ts'
import { type Plan, simulate } from '../../support/mesh/proxy-simulator.ts'
import { type SyntheticCluster, assessed, evidenceOf, linesOf } from '../../support/mesh/synthetic-cluster.ts'
import { SLACK, pageAt, pagedEvidence } from '../../support/mesh/synthetic-pages.ts'
import { WINDOW, identityOf, pod, timeAt } from '../../support/mesh/synthetic-pods.ts'
import {
  type Counter,
  NO_DISCOVERY,
  NO_TLS,
  authorized,
  clearHttp,
  inbound,
  mutual,
  outbound,
  tcp,
} from '../../support/mesh/synthetic-prometheus.ts'

const web = pod('deployment/web')
const bare = pod('deployment/half', { meshed: false })
const half = pod('deployment/half')
const api = pod('deployment/api')
const db = pod('statefulset/db', { from: 20 })
const liar = pod('deployment/liar', { labels: { tls: 'true' } })
const COUNTERS: readonly Counter[] = [
  ...mutual(web, api, 8080, { at: [120] }),
  ...mutual(web, db, 5432, { at: [30], lasts: Infinity }),
  ...mutual(half, api, 8080, { at: [120] }),
  ...mutual(liar, api, 8080, { at: [120] }),
  ...clearHttp(api, 9000, [150]),
  ...tcp(api, inbound(api, 8443, { tls: 'opaque', sni: 'x' }), { at: [130] }),
  ...tcp(liar, outbound(db, 5432, NO_DISCOVERY), { at: [140] }),
  authorized(db, 5432, 'tcp_authz_deny', [140]),
]
const MESH: SyntheticCluster = { pods: [web, bare, half, api, db, liar], counters: COUNTERS }

const told = (input: AssessInput) => linesOf(assessWindow(input).paths)
const ratio = (input: AssessInput) => {
  const { coverage } = assessWindow(input)
  const sum = (read: (row: (typeof coverage)[number]) => number) =>
    coverage.reduce((total, row) => total + read(row), 0)
  return Math.round((100 * sum((row) => row.observedSeconds)) / sum((row) => row.expectedSeconds))
}

const LINES = [
  'deployment/half -> deployment/api:8080 mtls',
  'deployment/liar -> deployment/api:8080 mtls',
  'deployment/liar -> statefulset/db:5432 no-mesh-tls (not_provided_by_service_discovery)',
  'deployment/web -> deployment/api:8080 mtls',
  'deployment/web -> statefulset/db:5432 mtls',
  'unmeshed -> deployment/api:8443 app-tls (application-tls)',
  'unmeshed -> deployment/api:9000 plaintext (no_tls_from_remote)',
  'unmeshed -> statefulset/db:5432 no-mesh-tls refused (no_tls_from_remote)',
]

describe('Proxies that are read by the names of their pods', () => {
  test('tell a mesh without any Prometheus, where their pages are at most ten minutes apart', () => {
    const input = pagedEvidence(MESH, { alone: true })
    assert.deepEqual(told(input), LINES)
    assert.deepEqual(
      assessWindow(input).coverage.flatMap(({ gaps }) => gaps.map(({ reason }) => reason)),
      ['no-proxy'],
    )
    assert.ok(ratio(input) > 80)
  })

  test('are not called seen across a restart that their node’s clock hides', () => {
    const observed = (clock: number) => {
      const again = pod('deployment/web', { restarts: [100], clock })
      return assessWindow(pagedEvidence({ pods: [again] }, { alone: true })).coverage[0]?.observedSeconds ?? 0
    }
    for (const clock of [-45, -120, 120]) assert.ok(observed(clock) <= observed(0), String(clock))
  })

  test('state what their cryptography is, each once', () => {
    const of = (on: typeof web, name: string, labels: Record<string, string>, value = 1): Counter => ({
      on,
      name,
      labels,
      value: () => value,
    })
    const stated = [web, api].flatMap((one, index) => [
      of(one, 'rustls_info', { tls_suites: 'TLS13_AES_128_GCM_SHA256,', tls_kx_groups: 'X25519,', tls_fips: 'false' }),
      of(one, 'proxy_build_info', { version: index === 0 ? '2.1' : '2.2' }),
      of(one, 'control_identity_cert_expiration_timestamp_seconds', {}, 1_796_000_000 + index),
    ])
    const { crypto } = assessWindow(pagedEvidence({ pods: [web, api], counters: stated }, { alone: true }))
    assert.deepEqual(crypto, {
      proxyVersions: [
        { version: '2.1', proxies: 1 },
        { version: '2.2', proxies: 1 },
      ],
      tls: [{ suites: 'TLS13_AES_128_GCM_SHA256', keyExchange: 'X25519', fips: 'false', proxies: 2 }],
      certificates: { earliestExpiry: '2026-11-30T00:53:20Z', latestExpiry: '2026-11-30T00:53:21Z', proxies: 2 },
      trustAnchors: [],
    })
    // Where Prometheus states it, pages do not state it again.
    assert.deepEqual(
      assessWindow(pagedEvidence({ pods: [web, api], counters: stated })).crypto,
      assessed({ pods: [web, api], counters: stated }).crypto,
    )
  })

  test('tell what was clear, and as encrypted only what was seen in full, where their pages are further apart', () => {
    const input = pagedEvidence(MESH, { alone: true, before: -3540, beforeEnd: -3600 })
    const lines = told(input)
    assert.ok(lines.includes('unmeshed -> deployment/api:9000 plaintext (no_tls_from_remote)'), lines.join('\n'))
    assert.deepEqual(
      lines.filter((line) => line.includes('mtls')),
      // It began in the window and was read within ten minutes: its page tells all that came to it.
      ['deployment/web -> statefulset/db:5432 mtls'],
    )
    const gaps = assessWindow(input).coverage.flatMap((row) => row.gaps.map(({ reason }) => reason))
    assert.deepEqual(new Set(gaps), new Set(['no-proxy', 'read-too-rarely']))
  })

  test('tell nothing where they were read too late, and none was read where nobody says so', () => {
    for (const own of [300 + SLACK + 1, null]) {
      const result = assessWindow(pagedEvidence(MESH, { alone: true, own }))
      assert.deepEqual([result.collected, result.paths], [false, []])
      assert.ok(result.coverage.every(({ observedSeconds }) => observedSeconds === 0))
    }
    assert.equal(assessWindow(pagedEvidence(MESH, { alone: true, own: 300 + SLACK })).collected, true)
    const partial = { status: 'partial', errors: ['Cannot read one'] } as const
    const result = assessWindow(pagedEvidence(MESH, { alone: true, proxies: partial, of: (one) => one !== db }))
    assert.equal(result.partial, true)
    assert.ok(result.errors.includes('Cannot read one'))
    // Whoever talks to a pod that was not read may have been seen in part.
    assert.ok(linesOf(result.paths).includes('deployment/web -> statefulset/db:5432 mtls'))
  })

  test('change nothing where Prometheus read them all, and their labels cannot lie', () => {
    const honest = {
      ...MESH,
      pods: MESH.pods.filter((one) => one !== liar),
      counters: COUNTERS.filter(({ on }) => on !== liar),
    }
    const paged = assessWindow(pagedEvidence(honest))
    const plain = assessed(honest)
    assert.deepEqual(paged.paths, plain.paths)
    assert.deepEqual(paged.edges, plain.edges)
    assert.deepEqual(
      paged.coverage.map(({ gaps }) => gaps),
      plain.coverage.map(({ gaps }) => gaps),
    )
  })

  test('tell what was clear between the end of the window before and its page, since another attempt may stand for that window', () => {
    const young = pod('deployment/young', { from: -200 })
    const lines = told(
      pagedEvidence({ pods: [web, young], counters: clearHttp(young, 9000, [80]) }, { alone: true, before: 110 }),
    )
    assert.deepEqual(lines, ['unmeshed -> deployment/young:9000 plaintext (no_tls_from_remote)'])
  })

  test('lift what labels would lower, if they saw all of the window, and only that', () => {
    const line = 'deployment/liar -> deployment/api:8080 unknown (labels-overridden)'
    assert.ok(linesOf(assessed(MESH).paths).includes(line))
    assert.deepEqual(told(pagedEvidence(MESH)), LINES)
    assert.ok(told(pagedEvidence(MESH, { before: -3540, beforeEnd: -3600 })).includes(line))
    assert.ok(told(pagedEvidence(MESH, { before: null })).includes(line))
    // Where the labels were the truth, too: a clear connection that Prometheus shows stays.
    assert.ok(told(pagedEvidence(MESH)).some((one) => one.startsWith('deployment/liar -> statefulset/db:5432 no-mesh')))
  })

  test('stand in for a proxy that refused Prometheus', () => {
    const refusing = pod('deployment/shut', { policy: 'deny', scrape: () => 'failure' })
    const counters = [...COUNTERS, ...mutual(refusing, api, 8080, { at: [100] }), ...clearHttp(refusing, 80, [200])]
    const cluster = { pods: [...MESH.pods, refusing], counters }
    const gapsOf = (input: AssessInput) =>
      assessWindow(input)
        .coverage.find(({ workload }) => workload.name === 'shut')
        ?.gaps.map(({ reason }) => reason)
    assert.deepEqual(gapsOf(evidenceOf(cluster)), ['scrape-refused'])
    const paged = pagedEvidence(cluster, { of: (one) => one === refusing })
    assert.deepEqual(gapsOf(paged), [])
    const lines = told(paged)
    assert.ok(lines.includes('deployment/shut -> deployment/api:8080 mtls'), lines.join('\n'))
    assert.ok(lines.includes('unmeshed -> deployment/shut:80 plaintext (no_tls_from_remote)'))
    const rare = pagedEvidence(cluster, { of: (one) => one === refusing, before: -3540, beforeEnd: -3600 })
    assert.deepEqual(gapsOf(rare), ['scrape-refused'])
  })

  test('do not make up for what Prometheus did not answer of the other end', () => {
    const shut = pod('deployment/half', { policy: 'deny', scrape: () => 'failure' })
    const counters = [...mutual(shut, api, 8080, { at: [100] }), ...clearHttp(api, 8080, [150])]
    const whole = pagedEvidence({ pods: [bare, shut, api], counters }, { of: (one) => one === shut })
    const { metrics } = whole.snapshot
    const answers = metrics.answers.filter(({ name }) => !['clear-inbound', 'clear-authorized'].includes(name))
    const partial: AssessInput = {
      ...whole,
      snapshot: { ...whole.snapshot, metrics: { ...metrics, status: 'partial', errors: ['Cannot query'], answers } },
    }
    assert.ok(told(whole).includes('deployment/half -> deployment/api:8080 unknown (source-partly-unmeshed (1 of 2))'))
    assert.deepEqual(
      told(partial).filter((line) => line.includes('mtls')),
      [],
    )
  })

  test('a page that names another pod speaks for nobody but the pod that it was read of', () => {
    const labels = { namespace: 'hr', pod: web.name, instance: `${web.ip}:4191`, exported_tls: 'true' }
    const clear = tcp(api, { ...inbound(api, 7000, NO_TLS), ...labels }, { at: [150] })
    const lines = told(pagedEvidence({ pods: [web, api], counters: clear }, { alone: true }))
    assert.deepEqual(
      lines.filter((line) => line.includes(':7000')),
      ['unmeshed -> deployment/api:7000 unknown (no authorization counter moved)'],
    )
  })
})

const START = toSeconds(WINDOW.start)

/** Stories of one clear, or one encrypted, series between two pages. */
const story = fc.record({
  distance: fc.constantFrom(300, 590, 600, 601, 900, 1800, 3600),
  connections: fc.array(
    fc.record({ openedAt: fc.integer({ min: -3000, max: 3900 }), lasts: fc.constantFrom(1, 5, 300, 5000) }),
    { maxLength: 5 },
  ),
  processes: fc.uniqueArray(fc.integer({ min: -5000, max: 3900 }), { minLength: 1, maxLength: 3 }),
  otherReads: fc.array(fc.integer({ min: -3000, max: 3900 }), { maxLength: 8 }),
  slack: fc.tuple(fc.integer({ min: 0, max: SLACK }), fc.integer({ min: 0, max: SLACK })),
})

type Story = typeof story extends fc.Arbitrary<infer T> ? T : never

/** Two pages around a window of some length, of a proxy that a simulator has. */
function simulated({ distance, connections, processes, otherReads, slack }: Story, labels: Counter['labels']) {
  const readAt = [slack[0], distance + slack[1]]
  const starts = processes.toSorted((a, b) => a - b)
  const plan: Plan = {
    processes: starts.map((startedAt, index) => ({ startedAt, endedAt: starts[index + 1] ?? 100_000 })),
    connections: connections.map(({ openedAt, lasts }) => ({ openedAt, closedAt: openedAt + lasts })),
    scrapeTimes: readAt,
    outages: [],
    otherReads,
  }
  const recorded = simulate(plan)
  const page = (time: number): ProxyPage[] => {
    const started = recorded.processStart.find((sample) => sample.time === time)?.value
    if (started === undefined) return []
    const value = (samples: typeof recorded.openTotal) => samples.find((sample) => sample.time === time)?.value
    const bytes = value(recorded.openTotal)
    const counters: Counter[] = [
      { on: api, name: 'tcp_open_total', labels, value: () => bytes },
      { on: api, name: 'tcp_open_connections', labels, value: () => value(recorded.openConnections) },
      { on: api, name: 'tcp_read_bytes_total', labels, value: () => bytes },
      { on: api, name: 'tcp_write_bytes_total', labels, value: () => bytes },
    ]
    const server = { ...api, from: started }
    const body = pageAt(
      server,
      counters.map((one) => ({ ...one, on: server })),
      time,
    )
    return [{ namespace: api.namespace, pod: api.name, uid: api.uid, address: api.ip, readAt: timeAt(time), body }]
  }
  const [first = 0, last = 0] = readAt
  const pages = podPages({ end: timeAt(0), pages: page(first) }, { end: timeAt(distance), pages: page(last) })
  const opened = recorded.opened.filter(({ openedAt }) => openedAt > first && openedAt <= last)
  const lists = listedOf(evidenceOf({ pods: [api] }).after?.lists ?? [], START)
  const window = { start: START, end: START + distance }
  const facts = factsOf(lists, lists, window, 'linkerd')
  return { pages, opened, window, readings: pageReadings(pages, { ...window, facts }), last, recorded }
}

describe('Two pages of a proxy that anybody else may read meanwhile', () => {
  test('where they say that they saw all of a window, no clear connection of it is missing', () => {
    let seen = 0
    fc.assert(
      fc.property(story, (one) => {
        const { pages, recorded, window, readings, last } = simulated(one, inbound(api, 80, NO_TLS))
        const [own] = pages
        // From the window's start on, not only from the first page on: another attempt may stand for the window before.
        const isAny = recorded.opened.some(({ openedAt }) => openedAt > 0 && openedAt <= last)
        if (own === undefined || !isAny) return
        const pieces = seenByPages(own).toSorted((a, b) => a.from - b.from)
        let reached = window.start
        for (const { from, to } of pieces) if (from <= reached) reached = Math.max(reached, to)
        if (reached < window.end) return
        seen++
        assert.ok(readings.length > 0)
      }),
      { numRuns: 5_000 },
    )
    assert.ok(seen > 100, `only ${seen} stories were seen in full`)
  })

  test('nothing is told as encrypted that was neither opened between them nor open at the later one', () => {
    let told = 0
    const labels = inbound(api, 80, { tls: 'true', client_id: identityOf(web) })
    fc.assert(
      fc.property(story, (one) => {
        const { opened, readings, recorded, last } = simulated(one, labels)
        if (readings.length === 0) return
        told++
        const open = recorded.openConnections.find(({ time }) => time === last)?.value ?? 0
        assert.ok(opened.length > 0 || open > 0)
        assert.ok(readings.every(({ verdict }) => isEncrypted(verdict.state)))
      }),
      { numRuns: 5_000 },
    )
    assert.ok(told > 100, `only ${told} stories told anything`)
  })
})

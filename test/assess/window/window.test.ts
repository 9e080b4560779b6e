import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isEncrypted, isNotEncrypted } from '../../../lib/assess/window/episode-lifecycle.ts'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { ADMIN_PORTS } from '../../../lib/observed/prometheus-queries.ts'
import type { PathWindow, WindowResult } from '../../../lib/model/window.ts'
import { STATES } from '../../../lib/model/path.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import { type SyntheticCluster, assessed, evidenceOf, linesOf } from '../../support/mesh/synthetic-cluster.ts'
import { identityOf, pod } from '../../support/mesh/synthetic-pods.ts'
import {
  type Counter,
  NO_DISCOVERY,
  NO_TLS,
  PROBE,
  authorized,
  clearHttp,
  every,
  inbound,
  mutual,
  outbound,
  outboundTo,
  tcp,
} from '../../support/mesh/synthetic-prometheus.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

type Evidence = ReturnType<typeof evidenceOf>

/** A small mesh in which every state has its place. */
const web = pod('deployment/web')
const web2 = pod('deployment/web')
const bare = pod('deployment/half', { meshed: false })
const half = pod('deployment/half')
const api = pod('deployment/api', { probes: [{ port: 8080, periodSeconds: 10 }] })
const db = pod('statefulset/db', { from: 20 })
const tick = pod('cronjob/tick', { to: 200 })
const liar = pod('deployment/liar', { labels: { tls: 'true' } })
const once = pod('job/once', { from: 100, to: 140 })
const COUNTERS: readonly Counter[] = [
  ...mutual(web, api, 8080),
  ...mutual(web2, db, 5432, { lasts: Infinity }),
  ...mutual(half, api, 8080),
  ...mutual(tick, api, 8080, { at: [10] }),
  ...clearHttp(api, 9000),
  ...tcp(api, inbound(api, 8080, NO_TLS), { at: every(10) }),
  authorized(api, 8080, 'http_authz_allow', every(10), PROBE),
  ...tcp(api, inbound(api, 8443, { tls: 'opaque', sni: 'x' })),
  ...tcp(api, inbound(api, 8086, { tls: 'true' })),
  ...tcp(web, outboundTo('203.0.113.7', 443, { authority: 'example.com:443' })),
  ...tcp(liar, outbound(api, 8080, NO_DISCOVERY)),
  ...clearHttp(api, 4191),
  ...clearHttp(once, 80, [110]),
  authorized(db, 5432, 'tcp_authz_deny'),
]
const MESH: SyntheticCluster = {
  pods: [web, web2, bare, half, api, db, tick, liar],
  unlisted: [once],
  counters: COUNTERS,
}
const MESH_LINES = linesOf(assessed(MESH).paths)

const encrypted = ({ paths }: WindowResult) => paths.filter(({ state }) => isEncrypted(state)).length
const clear = ({ paths }: WindowResult) => paths.filter(isNotEncrypted).length
const rank = ({ state, outcome }: PathWindow) => (outcome === 'refused' ? STATES.length : STATES.indexOf(state))

/** The evidence with each series of each answer changed; null drops it. */
type Metric = Record<string, string>
type Body = { status: string; data: { resultType: string; result: { metric: Metric }[] } }
function changed(evidence: Evidence, change: (metric: Metric, name: string) => Metric | null): Evidence {
  const answers = evidence.snapshot.metrics.answers.map((answer) => {
    const body = JSON.parse(answer.body) as Body
    const result = body.data.result.flatMap((series) => {
      const metric = change({ ...series.metric }, answer.name)
      return metric === null ? [] : [{ ...series, metric }]
    })
    return { ...answer, body: JSON.stringify({ ...body, data: { ...body.data, result } }) }
  })
  return withMetrics(evidence, { answers })
}

function withMetrics(evidence: Evidence, metrics: Partial<Snapshot['metrics']>): Evidence {
  return { ...evidence, snapshot: { ...evidence.snapshot, metrics: { ...evidence.snapshot.metrics, ...metrics } } }
}

test('a mesh in which every state has its place is told as it is', () => {
  assert.deepEqual(MESH_LINES, [
    'cronjob/tick -> deployment/api:8080 mtls',
    'deployment/half -> deployment/api:8080 mtls',
    'deployment/liar -> deployment/api:8080 no-mesh-tls (not_provided_by_service_discovery)',
    'deployment/web -> deployment/api:8080 mtls',
    'deployment/web -> external/example.com:443 no-mesh-tls (not_provided_by_service_discovery)',
    'deployment/web -> statefulset/db:5432 mtls',
    'probe -> deployment/api:8080 exempt (probe path)',
    'unmeshed -> deployment/api:4191 exempt (admin-port (plaintext))',
    'unmeshed -> deployment/api:8086 tls-anonymous',
    'unmeshed -> deployment/api:8443 app-tls (application-tls)',
    'unmeshed -> deployment/api:9000 plaintext (no_tls_from_remote)',
    'unmeshed -> job/once:80 plaintext (no_tls_from_remote)',
    'unmeshed -> statefulset/db:5432 no-mesh-tls refused (no_tls_from_remote)',
  ])
})

/** Another order, the same for the same seed. */
function shuffled<T>(all: readonly T[], seed: number): T[] {
  let state = seed
  const next = () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648)
  return all
    .map((one) => ({ one, order: next() }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ one }) => one)
}

test('the order of answers, series, labels, lists and pods changes nothing', () => {
  const evidence = evidenceOf(MESH)
  const result = assessWindow(evidence)
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const lists = (listed: Evidence['before']) =>
        listed === null
          ? null
          : {
              ...listed,
              lists: shuffled(listed.lists, seed).map((list) => ({ ...list, items: shuffled(list.items, seed) })),
            }
      const bodies = evidence.snapshot.metrics.answers.map((answer) => {
        const body = JSON.parse(answer.body) as Body
        const series = shuffled(body.data.result, seed).map(({ metric, ...rest }) => ({
          metric: Object.fromEntries(shuffled(Object.entries(metric), seed)),
          ...rest,
        }))
        return { ...answer, body: JSON.stringify({ ...body, data: { ...body.data, result: series } }) }
      })
      const other = withMetrics(evidence, { answers: shuffled(bodies, seed) })
      assert.deepEqual(assessWindow({ ...other, before: lists(evidence.before), after: lists(evidence.after) }), result)
    }),
    { numRuns: 20 },
  )
})

const ANY_LABEL = fc.oneof(
  fc.constantFrom(
    'tls',
    'no_tls_reason',
    'server_id',
    'client_id',
    'direction',
    'peer',
    'instance',
    'pod',
    'namespace',
  ),
  fc.constantFrom(
    'target_port',
    'target_addr',
    'target_ip',
    'dst_pod',
    'dst_deployment',
    'authority',
    'authz_name',
    '__name__',
  ),
  fc.constantFrom('exported_tls', 'exported_exported_tls', 'exported_direction', '__proto__', 'constructor'),
  fc.string(),
)
const ANY_VALUE = fc.oneof(
  fc.constantFrom(
    'true',
    'opaque',
    'no_identity',
    'inbound',
    'outbound',
    'src',
    'dst',
    '4191',
    '99999',
    'tcp_open_total',
  ),
  fc.constantFrom(
    web.ip,
    `${api.ip}:4191`,
    api.name,
    identityOf(web),
    'a'.repeat(100_000),
    '\u0000',
    '[::1]:1',
    '\ud800',
  ),
  fc.string(),
)

test('any labels in any answer give edges, and never an exception', () => {
  const evidence = evidenceOf(MESH)
  const labels = fc.array(fc.tuple(ANY_LABEL, ANY_VALUE), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(labels, fc.subarray(Object.keys(inbound(api, 1, NO_TLS))), fc.nat(12), (more, dropped, one) => {
      let index = 0
      const result = assessWindow(
        changed(evidence, (metric) => {
          if (index++ % 13 !== one) return metric
          const kept = Object.entries(metric).filter(([name]) => !dropped.includes(name))
          return Object.fromEntries([...kept, ...more])
        }),
      )
      for (const { state, pathId, port } of result.paths)
        assert.ok(STATES.includes(state) && /^[0-9a-f]{16}$/.test(pathId) && port >= 0 && port < 65_536)
    }),
    { numRuns: 60 },
  )
})

test('what is no answer gives a window that was not collected, with one line', () => {
  const evidence = evidenceOf(MESH)
  const bodies = fc.oneof(
    fc.string(),
    fc.json(),
    fc.constant('{"status":"success","data":{"resultType":"matrix","result":[{}]}}'),
  )
  fc.assert(
    fc.property(bodies, fc.constantFrom('scrapes', 'clear-inbound', 'encrypted-open'), (body, name) => {
      const answers = evidence.snapshot.metrics.answers.map((answer) =>
        answer.name === name ? { ...answer, body } : answer,
      )
      const result = assessWindow(withMetrics(evidence, { answers }))
      assert.deepEqual([result.collected, result.paths, result.errors.length], [false, [], 1])
      assert.match(result.errors[0] ?? '', /^Cannot read what was collected of window [^\n]*$/)
    }),
    { numRuns: 50 },
  )
})

test('a label value that nobody knows never raises what is encrypted, and hides nothing clear in it', () => {
  const evidence = evidenceOf(MESH)
  const before = assessWindow(evidence)
  const known = new Set([
    '',
    'true',
    'opaque',
    'no_identity',
    'disabled',
    'inbound',
    'outbound',
    'src',
    'dst',
    'loopback',
  ])
  const value = fc.string().filter((text) => !known.has(text) && !/^(no|not|port)_/.test(text))
  const label = fc.constantFrom('tls', 'no_tls_reason', 'server_id', 'client_id', 'direction', 'peer')
  fc.assert(
    fc.property(label, value, fc.nat(6), (name, text, one) => {
      let index = 0
      const evil = changed(evidence, (metric) =>
        name in metric && index++ % 7 === one ? { ...metric, [name]: text } : metric,
      )
      const after = assessWindow(evil)
      const states = new Map(after.paths.map((path) => [path.pathId, path]))
      for (const path of before.paths.filter(isNotEncrypted)) {
        const now = states.get(path.pathId)
        assert.ok(now === undefined || !isEncrypted(now.state), `${name}=${text}`)
      }
      // An identity that was changed is another source of what stays encrypted, so those are not counted.
      if (name !== 'client_id') assert.ok(encrypted(after) <= encrypted(before), `${name}=${text}`)
    }),
    { numRuns: 100 },
  )
})

test('one more clear series never improves a path', () => {
  const all = [web, web2, half, api, db, tick, liar]
  const series = fc.record({
    on: fc.constantFrom(...all),
    to: fc.constantFrom(...all),
    port: fc.constantFrom(80, 8080, 5432, 9000),
    at: fc.integer({ min: -300, max: 290 }),
  })
  const before = assessed(MESH)
  fc.assert(
    fc.property(
      series,
      fc.constantFrom('outbound' as const, 'http' as const, 'tcp' as const),
      ({ on, to, port, at }, kind) => {
        // Of another policy or name, since no two series have the same labels.
        const tls = { ...NO_TLS, srv_name: 'other' }
        const added = {
          outbound: tcp(on, outbound(to, port, { ...NO_DISCOVERY, authority: 'other' }), { at: [at] }),
          http: [...tcp(on, inbound(on, port, tls), { at: [at] }), authorized(on, port, 'http_authz_allow', [at], tls)],
          tcp: [...tcp(on, inbound(on, port, tls), { at: [at] }), authorized(on, port, 'tcp_authz_allow', [at], tls)],
        }[kind]
        const after = assessed({ ...MESH, counters: [...COUNTERS, ...added] })
        const now = new Map(after.paths.map((path) => [path.pathId, path]))
        for (const path of before.paths) {
          const then = now.get(path.pathId)
          assert.ok(then !== undefined && rank(then) <= rank(path), path.pathId)
        }
        assert.ok(clear(after) >= clear(before))
      },
    ),
    { numRuns: 40 },
  )
})

describe('Where metrics were read in part', () => {
  const evidence = evidenceOf(MESH)
  const names = [...new Set(evidence.snapshot.metrics.answers.map(({ name }) => name))]
  const without = (name: string) =>
    withMetrics(evidence, {
      status: 'partial',
      errors: ['Cannot query: no'],
      answers: evidence.snapshot.metrics.answers.filter((answer) => answer.name !== name),
    })

  test('nothing is encrypted, and nothing is exempt but the own ports of proxies', () => {
    for (const name of names) {
      const { paths, partial } = assessWindow(without(name))
      assert.ok(partial === true)
      assert.deepEqual(
        paths.filter(({ state }) => isEncrypted(state)),
        [],
        name,
      )
      const exempt = paths.filter(
        ({ state, port }) => state === 'exempt' && !ADMIN_PORTS.some((admin) => admin === port),
      )
      assert.deepEqual(exempt, [], name)
    }
  })

  test('what was seen in the clear stays clear', () => {
    const kept = assessWindow(without('encrypted-open'))
    assert.equal(clear(kept), clear(assessWindow(evidence)))
  })

  test('and not at all, no path is told and each gap has its reason', () => {
    const result = assessWindow(withMetrics(evidence, { status: 'failed', errors: ['no'], answers: [] }))
    assert.deepEqual([result.collected, result.paths, result.errors], [false, [], ['no']])
    assert.ok(
      result.coverage.every(
        ({ ratio, gaps }) =>
          ratio === 0 && gaps.every(({ reason }) => reason === 'source-unreadable' || reason === 'no-proxy'),
      ),
    )
  })

  test('a window without a scrape was not collected, whatever else was answered', () => {
    const result = assessed({ pods: [pod('deployment/web', { scrape: (time) => (time < 0 ? 'success' : 'none') })] })
    assert.deepEqual([result.collected, result.paths], [false, []])
    matchesText(result.errors[0])
  })
})

test('lists that are no lists leave facts unknown, and say so', () => {
  const evidence = evidenceOf(MESH)
  const broken = { key: 'x', takenAt: '2026-11-24T12:00:00Z', lists: [{ resource: 'pods', items: [{ metadata: 7 }] }] }
  const result = assessWindow({ ...evidence, before: broken })
  assert.ok(result.collected)
  assert.equal(result.errors.length, 1)
  assert.ok(result.paths.every(({ enforcement }) => enforcement === 'unknown'))
  assert.ok(result.workloads.every(({ meshed }) => meshed === 'unknown'))
})

test('what a complete list after the window shows is told, to know what is gone', () => {
  assert.equal(assessed({ ...MESH, after: null }).existing, null)
  const { existing } = assessed(MESH)
  assert.ok(existing?.includes('deployment/shop/web') && existing.includes('cronjob/shop/tick'))
  const stray = pod('', { name: 'stray', to: 200 })
  assert.ok(!assessed({ pods: [web, stray] }).existing?.includes('pod/shop/stray'))
})

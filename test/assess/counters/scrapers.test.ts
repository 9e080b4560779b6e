import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { PathWindow } from '../../../lib/model/window.ts'
import { type SyntheticCluster, assessed, linesOf } from '../../support/mesh/synthetic-cluster.ts'
import { type Pod, pod } from '../../support/mesh/synthetic-pods.ts'
import {
  NO_DISCOVERY,
  NO_TLS,
  PROBE,
  authorized,
  clearHttp,
  every,
  inbound,
  mutual,
  outbound,
  tcp,
} from '../../support/mesh/synthetic-prometheus.ts'

type Scrapers = Pod['scrapers']
const SCRAPERS: Readonly<Record<string, Scrapers>> = {
  'two jobs': [
    { labels: { job: 'linkerd-proxy' }, offset: 0 },
    { labels: { job: 'linkerd/linkerd-proxy', endpoint: 'linkerd-admin', container: 'linkerd-proxy' }, offset: 4.3 },
  ],
  'a pair with replica labels': [
    { labels: { replica: 'a' }, offset: 0 },
    { labels: { replica: 'b' }, offset: 4.3 },
  ],
  'a pair of the Prometheus operator': [
    { labels: { prometheus_replica: 'prometheus-0' }, offset: 0 },
    { labels: { prometheus_replica: 'prometheus-1' }, offset: 0.4 },
  ],
}
/** Scraped with success but at some times. */
const without =
  (isAway: (time: number) => boolean): Pod['scrape'] =>
  (time) =>
    isAway(time) ? 'none' : 'success'
const ONE: Scrapers = [{ labels: {}, offset: 0 }]

/** A mesh with all kinds of traffic, read by these scrapers. */
function mesh(scrapers: Scrapers): SyntheticCluster {
  const web = pod('deployment/web', { ...same('web'), scrapers })
  const api = pod('deployment/api', { ...same('api'), scrapers, probes: [{ port: 8080, periodSeconds: 10 }] })
  const db = pod('statefulset/db', { ...same('db'), meshed: false })
  const probes = every(10)
  return {
    pods: [web, api, db],
    counters: [
      ...mutual(web, api, 8080, { at: every(20) }),
      ...tcp(api, inbound(api, 8080, NO_TLS), { at: probes, lasts: 1 }),
      authorized(api, 8080, 'http_authz_allow', probes, PROBE),
      ...clearHttp(api, 9090, [60, 150]),
      ...tcp(web, outbound(db, 5432, NO_DISCOVERY), { at: [100], lasts: 120 }),
      ...tcp(web, outbound(db, 5433, NO_DISCOVERY), { at: [-800], evictedAt: -150 }),
    ],
  }
}

function same(name: string): Partial<Pod> {
  const addresses: Readonly<Record<string, string>> = { web: '10.3.0.1', api: '10.3.0.2', db: '10.3.0.3' }
  return { ip: addresses[name] ?? '', uid: name, name }
}

const told = (paths: readonly PathWindow[]) =>
  paths.map((path) => [linesOf([path])[0], path.opens, path.openAtScrape, path.bytes, path.sinceUnknown])

describe('A proxy that is scraped twice', () => {
  test('says what it says to one', () => {
    const once = assessed(mesh(ONE))
    assert.equal(once.paths.length, 4)
    for (const [name, scrapers] of Object.entries(SCRAPERS)) {
      const twice = assessed(mesh(scrapers))
      assert.deepEqual(told(twice.paths), told(once.paths), name)
      assert.deepEqual(twice.coverage, once.coverage, name)
    }
  })

  test('is whole where one of the two was away', () => {
    for (const scrapers of Object.values(SCRAPERS)) {
      const away = scrapers.map((one, index) =>
        index === 0 ? one : { ...one, scrape: without((time) => time > 30 && time < 200) },
      )
      const { paths, coverage } = assessed(mesh(away))
      assert.deepEqual(told(paths), told(assessed(mesh(ONE)).paths))
      assert.ok(coverage.every(({ ratio, gaps }) => ratio === 1 && gaps.length === 0))
    }
  })

  test('tells a clear call that only one of the two saw', () => {
    const [first, second] = SCRAPERS['a pair with replica labels'] ?? []
    assert.ok(first !== undefined && second !== undefined)
    // The proxy ended after the call; the first had lost it before.
    const scrapers = [{ ...first, scrape: without((time) => time > 20) }, second]
    const web = pod('deployment/web', { scrapers, to: 120 })
    const db = pod('statefulset/db', { meshed: false })
    const { paths } = assessed({ pods: [web, db], counters: tcp(web, outbound(db, 5432, NO_DISCOVERY), { at: [70] }) })
    assert.deepEqual(linesOf(paths), [
      'deployment/web -> statefulset/db:5432 no-mesh-tls (not_provided_by_service_discovery)',
    ])
    assert.deepEqual([paths[0]?.opens, paths[0]?.sinceUnknown], [1, false])
  })

  test('does not doubt the date of what the other one saw not to happen', () => {
    const [first, second] = SCRAPERS['a pair with replica labels'] ?? []
    assert.ok(first !== undefined && second !== undefined)
    // The second was started in the window: a counter of long ago is new to it.
    const scrapers = [first, { ...second, scrape: without((time) => time < 100) }]
    const web = pod('deployment/web', { scrapers })
    const db = pod('statefulset/db', { meshed: false })
    const old = { pods: [web, db], counters: tcp(web, outbound(db, 5432, NO_DISCOVERY), { at: [-100] }) }
    assert.deepEqual(linesOf(assessed(old).paths), [])
    // Alone, it cannot tell.
    const alone = pod('deployment/web', { scrapers: scrapers.slice(1) })
    const counters = tcp(alone, outbound(db, 5432, NO_DISCOVERY), { at: [-100] })
    assert.deepEqual(
      assessed({ pods: [alone, db], counters }).paths.map(({ sinceUnknown }) => sinceUnknown),
      [true],
    )
  })

  test('is not acquitted by another pod that is scraped as it', () => {
    const web = pod('deployment/web', { scrape: without((time) => time < 100) })
    const db = pod('statefulset/db', { meshed: false })
    const poser = pod('deployment/poser', {
      namespace: 'evil',
      labels: { namespace: web.namespace, pod: web.name, instance: `${web.ip}:4191` },
    })
    const counters = tcp(web, outbound(db, 5432, NO_DISCOVERY), { at: [-100] })
    const { paths } = assessed({ pods: [web, db, poser], counters })
    assert.ok(
      linesOf(paths).includes('deployment/web -> statefulset/db:5432 no-mesh-tls (not_provided_by_service_discovery)'),
    )
  })

  test('is not what an address is that went from one pod to another', () => {
    const once = pod('job/once', { ip: '10.9.9.3', to: 150 })
    const web = pod('deployment/web', { ip: '10.9.9.3', from: 160 })
    const { paths } = assessed({
      pods: [once, web],
      counters: [...clearHttp(once, 80, [60]), ...clearHttp(web, 81, [200])],
    })
    assert.deepEqual(
      paths.map(({ opens }) => opens),
      [1, 1],
    )
  })
})

test('whatever times two scrapers were away, nothing clear is lost that either saw, and nothing is made of nothing', () => {
  const away = fc.tuple(fc.integer({ min: -200, max: 300 }), fc.integer({ min: 0, max: 200 }))
  const calls = fc.array(fc.integer({ min: -150, max: 280 }), { maxLength: 4 })
  fc.assert(
    fc.property(fc.tuple(away, away), calls, fc.constantFrom(...Object.values(SCRAPERS)), (gaps, at, both) => {
      const scrapers = both.map((one, index) => {
        const [from, length] = gaps[index] ?? [0, 0]
        return { ...one, scrape: without((time) => time > from && time < from + length) }
      })
      const sorted = at.toSorted((a, b) => a - b)
      const judged = (of: Scrapers) => {
        const web = pod('deployment/web', { ...same('web'), scrapers: of })
        const db = pod('statefulset/db', { ...same('db'), meshed: false })
        const counters = sorted.length === 0 ? [] : tcp(web, outbound(db, 5432, NO_DISCOVERY), { at: sorted })
        return assessed({ pods: [web, db], counters }).paths
      }
      const dated = (paths: readonly PathWindow[]) =>
        paths.some(({ state, sinceUnknown }) => state === 'no-mesh-tls' && !sinceUnknown)
      const [joined, first, second] = [judged(scrapers), judged(scrapers.slice(0, 1)), judged(scrapers.slice(1))]
      assert.ok(joined.length > 0 || !(dated(first) || dated(second)))
      assert.ok(joined.length === 0 || first.length > 0 || second.length > 0)
      const most = Math.max(...[...first, ...second].map(({ opens }) => opens), 0)
      assert.ok((joined[0]?.opens ?? 0) <= most)
    }),
    { numRuns: 150 },
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ADMIN_PORTS, earlierScrapesQuery, queriesOf } from '../../lib/observed/prometheus-queries.ts'
import { toSeconds } from '../../lib/time/windows.ts'
import type { Window } from '../../lib/model/time.ts'

const FIVE: Window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T12:05:00Z' }
const HOUR: Window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' }

/** The raw queries of a window by their text without the range, each with the stretches that it covers, as seconds after its start. */
function stretches(window: Window): Map<string, [from: number, until: number][]> {
  const start = toSeconds(window.start)
  const found = new Map<string, [number, number][]>()
  for (const { name, query, time } of queriesOf(window)) {
    const [, selector, seconds] = /^(.*)\[(\d+)s\]$/.exec(query) ?? []
    if (selector === undefined) continue
    const key = `${name} ${selector}`
    found.set(key, [...(found.get(key) ?? []), [time - Number(seconds) - start, time - start]])
  }
  return found
}

test('queriesOf() reads raw samples from a look back of 15 minutes to the end, without a hole or an overlap', () => {
  for (const window of [FIVE, HOUR])
    for (const [name, pieces] of stretches(window)) {
      const length = toSeconds(window.end) - toSeconds(window.start)
      assert.equal(pieces[0]?.[0], -900, name)
      // A scrape after the end closes the last interval.
      assert.equal(pieces.at(-1)?.[1], name.startsWith('scrapes') ? length + 60 : length, name)
      for (const [index, [from, until]] of pieces.entries()) {
        assert.ok(until - from <= 1200, name)
        if (index > 0) assert.equal(from, pieces[index - 1]?.[1], name)
      }
    }
})

test('queriesOf() asks for everything that is not encrypted, in both directions, and for its twins', () => {
  const raw = [...stretches(FIVE).keys()].join('\n')
  for (const selector of ['direction="inbound",peer="src",tls!="true"', 'direction="outbound",peer="dst",tls!="true"'])
    assert.ok(raw.includes(selector), selector)
  const counters = ['tcp_open_total', 'tcp_open_connections', 'tcp_read_bytes_total', 'tcp_write_bytes_total']
  const decisions = ['http_authz_allow', 'http_authz_deny', 'http_route_not_found', 'http_local_ratelimit']
  const tcp = ['tcp_authz_allow', 'tcp_authz_deny', 'tcp_authz_terminate']
  for (const name of [...counters, ...[...decisions, ...tcp].map((one) => `inbound_${one}_total`), 'request_total'])
    assert.ok(raw.includes(name), name)
  for (const twin of ['exported_tls', 'exported_direction', 'exported_peer', 'exported_target_port'])
    assert.ok(raw.includes(`${twin}!=""`), twin)
  // A pod label may take the name `job` from the scrapes, too.
  assert.match(raw, /^scrapes up\{job!="linkerd-proxy",instance=/m)
  assert.match(raw, /^process-starts process_start_time_seconds\{job!="linkerd-proxy",instance=/m)
})

test('queriesOf() evaluates what it has reduced at the end, over less than the window by a millisecond', () => {
  const reduced = queriesOf(FIVE).filter(({ query }) => !/\[\d+s\]$/.test(query))
  assert.ok(reduced.length > 10)
  for (const { query, time } of reduced) {
    assert.equal(time, toSeconds(FIVE.end))
    for (const [, range] of query.matchAll(/\[(.*?)\]/g)) assert.equal(range, '299999ms', query)
    for (const [, offset] of query.matchAll(/offset (\S+?)\)/g)) assert.equal(offset, '300s', query)
  }
})

test('queriesOf() never loses who was scraped, the port or an identity in what it reduces', () => {
  for (const { name, query } of queriesOf(FIVE)) {
    if (!name.startsWith('encrypted') && !name.startsWith('admin')) continue
    const [, dropped = ''] = /without \(([^)]*)\)/.exec(query) ?? []
    const kept = [
      'instance',
      'namespace',
      'pod',
      'target_port',
      'target_ip',
      'target_addr',
      'server_id',
      'client_id',
      'tls',
    ]
    for (const label of [...kept, 'no_tls_reason', 'sni', 'direction', 'peer', 'authority'])
      assert.ok(!dropped.split(', ').includes(label), `${name} ${label}`)
    assert.doesNotMatch(query, /\b(by|topk|limitk|increase|rate)\b/)
  }
})

test('each query is asked once', () => {
  for (const window of [FIVE, HOUR]) {
    const asked = queriesOf(window).map(({ name, query, time }) => `${name} ${time} ${query}`)
    assert.equal(new Set(asked).size, asked.length)
  }
  assert.deepEqual(ADMIN_PORTS, [4190, 4191])
  assert.equal(earlierScrapesQuery(FIVE).time, toSeconds(FIVE.start))
})

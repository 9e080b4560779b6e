import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { waiverFor, waiverResult, waivedRows } from '../../../lib/assess/judge/waived.ts'
import { parseWaivers } from '../../../lib/assess/judge/parse-waivers.ts'
import { decodeWaivers, encodeWaivers } from '../../../lib/assess/judge/stored-waivers.ts'
import type { Waiver } from '../../../lib/model/judgement.ts'
import { UNMESHED, path, period } from '../../support/stored/judged-period.ts'
import { workload } from '../../support/stored/report-input.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

function said(text: string): string[] {
  return parseWaivers(text).problems.map(({ line, column, text: problem }) => `${line}:${column}: ${problem}`)
}

const waiver = (changes: Partial<Waiver> = {}): Waiver => ({
  id: 'w1',
  owner: 'bank',
  reason: 'old',
  compensatingControl: 'a firewall',
  expires: '2027-01-01T00:00:00Z',
  ...changes,
})

const RULE = ['path-is-encrypted']
const AT = '2026-11-20T12:00:00Z'
const db = { cluster: 'prod', source: UNMESHED, destination: workload('statefulset', 'bank', 'ledger-db'), port: 5432 }

test('parseWaivers() reads exceptions by id, with their times in UTC', () => {
  const { value, problems } = parseWaivers(`
web-metrics:
  destination: deployment/shop/web
  port: 9090
  owner: shop
  reason: Scraped by an old Prometheus
  compensatingControl: NetworkPolicy
  expires: 2027-01-31T00:00:00Z
ledger-export:
  cluster: prod
  rules: [path-is-encrypted, inbound-plaintext-absent]
  source: (unmeshed)
  destination: statefulset/bank/ledger-*
  owner: bank
  reason: The exporter cannot speak TLS
  compensatingControl: Both run on one node
  expires: "2027-01-31 01:00:00+01:00"
`)
  assert.deepEqual(problems, [])
  assert.deepEqual(value, [
    {
      id: 'ledger-export',
      cluster: 'prod',
      rules: ['path-is-encrypted', 'inbound-plaintext-absent'],
      source: '(unmeshed)',
      destination: 'statefulset/bank/ledger-*',
      owner: 'bank',
      reason: 'The exporter cannot speak TLS',
      compensatingControl: 'Both run on one node',
      expires: '2027-01-31T00:00:00Z',
    },
    {
      id: 'web-metrics',
      destination: 'deployment/shop/web',
      port: 9090,
      owner: 'shop',
      reason: 'Scraped by an old Prometheus',
      compensatingControl: 'NetworkPolicy',
      expires: '2027-01-31T00:00:00Z',
    },
  ])
})

test('parseWaivers() wants an owner, a reason, a compensating control and an end, and says where they are missing', () => {
  matchesText(said('ledger:\n  port: 80\n'))
})

test('parseWaivers() says how to write a field that cannot be used', () => {
  const field = (text: string) =>
    said(`a:\n  owner: a\n  reason: b\n  compensatingControl: c\n  expires: 2027-01-31T00:00:00Z\n  ${text}\n`)
  const cases: readonly string[] = [
    'port: "80"',
    'port: 70000',
    'port: 0',
    'rules: [path-is-encrypt]',
    'rules: path-is-encrypted',
    'rules: []',
    'source: web',
    'source: [a]',
    'destination: "* /x"',
    'cluster: Prod',
    'until: 2027-01-31',
  ]
  for (const text of cases) {
    const lines = field(text)
    assert.equal(lines.length, 1, `${text}: ${lines.join('\n')}`)
    matchesText(lines[0], TEXT, text)
  }
  matchesText(said('Led ger: {}')[0])
  matchesText(said('a: 1')[0])
})

test('parseWaivers() wants an end with its zone, and one that a calendar has', () => {
  const expires = (text: string) => said(`a: {owner: a, reason: b, compensatingControl: c, expires: ${text}}`)
  const cases: readonly (readonly [text: string, says: RegExp | null])[] = [
    ['2027-01-31T00:00:00Z', null],
    ['2027-01-31T00:00Z', null],
    ['2028-02-29T00:00:00+14:00', null],
    ['2027-01-31', /it has no time of day, write 2027-01-31T00:00:00Z for UTC$/],
    ['2027-01-31T10:30:00', /it has no time zone, write 2027-01-31T10:30:00Z for UTC$/],
    ['2027-02-29T00:00:00Z', /no calendar or clock has this time/],
    ['2027-01-31T25:00:00Z', /no calendar or clock has this time/],
    ['2027-13-01', /it has no time of day|no calendar/],
    ['tomorrow', /wanted a time such as 2027-01-31T00:00:00Z$/],
    ['never', /wanted a time such as/],
    ['5', /it is a number, wanted a time such as/],
    ['', /it is empty, wanted a time such as/],
  ]
  for (const [text, says] of cases) {
    const lines = expires(text)
    if (says === null) assert.deepEqual(lines, [], text)
    else assert.match(lines[0] ?? '', says, text)
  }
})

test('waiverFor() matches cluster, rules, ends and port, each where it is given', () => {
  const cases: readonly (readonly [changes: Partial<Waiver>, isAbout: boolean])[] = [
    [{}, true],
    [{ cluster: 'prod' }, true],
    [{ cluster: 'pr*' }, true],
    [{ cluster: 'pr' }, false],
    [{ rules: ['path-is-mutual', 'path-is-encrypted'] }, true],
    [{ rules: ['path-is-mutual'] }, false],
    [{ source: '(unmeshed)' }, true],
    [{ source: '(probe)' }, false],
    [{ source: 'deployment/*' }, false],
    [{ destination: 'statefulset/bank/ledger-db' }, true],
    [{ destination: '*/bank/*' }, true],
    [{ destination: '*/ban/*' }, false],
    [{ destination: 'deployment/bank/ledger-db' }, false],
    [{ port: 5432 }, true],
    [{ port: 543 }, false],
    [{ destination: '*/bank/*', port: 80 }, false],
  ]
  for (const [changes, isAbout] of cases)
    assert.equal(waiverFor(db, RULE, [waiver(changes)], AT), isAbout ? 'w1' : null, JSON.stringify(changes))
})

test('waiverFor() takes no waiver that accepts less than failed', () => {
  const ofPort = { cluster: 'prod', destination: db.destination, port: 5432 }
  const ofWorkload = { cluster: 'prod', destination: db.destination }
  const ofCluster = { cluster: 'prod' }
  const accepts = (changes: Partial<Waiver>) =>
    [db, ofPort, ofWorkload, ofCluster].map((failed) => waiverFor(failed, RULE, [waiver(changes)], AT) !== null)
  assert.deepEqual(accepts({}), [true, true, true, true])
  assert.deepEqual(accepts({ source: '(unmeshed)' }), [true, false, false, false], 'others may have failed, too')
  assert.deepEqual(accepts({ source: '*' }), [true, true, true, true])
  assert.deepEqual(accepts({ port: 5432 }), [true, true, false, false])
  assert.deepEqual(accepts({ destination: '*/bank/*' }), [true, true, true, false])
  const both = [...RULE, 'path-is-mutual']
  assert.equal(waiverFor(db, both, [waiver({ rules: RULE })], AT), null, 'one of two rules')
  assert.equal(waiverFor(db, both, [waiver({ rules: both })], AT), 'w1')
})

test('waiverFor() lets a waiver accept nothing from its end on, and names the first by id of several', () => {
  const until = (expires: string) => waiverFor(db, RULE, [waiver({ expires })], AT)
  assert.equal(until('2026-11-20T12:00:01Z'), 'w1')
  assert.equal(until(AT), null)
  assert.equal(until('2026-11-20T13:00:00+02:00'), null, 'which is before, in another notation')
  const several = [waiver({ id: 'c' }), waiver({ id: 'a', expires: AT }), waiver({ id: 'b' })]
  for (const order of [several, several.toReversed()]) assert.equal(waiverFor(db, RULE, order, AT), 'b')
})

test('waivedRows() names a waiver on rows that were not encrypted, and on no others', () => {
  const story = path([
    { to: 3 },
    { from: 4, to: 5, state: 'plaintext' },
    { from: 6, to: 7, state: 'plaintext', outcome: 'refused' },
    { from: 8, state: 'unknown' },
  ])
  const { rows } = period([story])
  const waived = waivedRows(rows, [waiver({ destination: '*/shop/db' })], AT)
  assert.deepEqual(
    waived.map(({ state, outcome, waiver: id }) => [state, outcome, id]),
    [
      ['mtls', 'allowed', null],
      ['plaintext', 'allowed', 'w1'],
      ['plaintext', 'refused', null],
      ['unknown', 'allowed', null],
    ],
  )
  assert.deepEqual(
    waived.map((row) => ({ ...row, waiver: null })),
    rows,
  )
})

test('waiverResult() tells what is unused, expiring and expired', () => {
  const status = (expires: string, findings: number) => waiverResult(waiver({ expires }), findings, AT).status
  assert.equal(status('2027-01-01T00:00:00Z', 1), 'in-use')
  assert.equal(status('2027-01-01T00:00:00Z', 0), 'unused')
  assert.equal(status('2026-12-04T12:00:00Z', 1), 'in-use', 'fourteen days')
  assert.equal(status('2026-12-04T11:59:59Z', 1), 'expiring')
  assert.equal(status('2026-12-04T11:59:59Z', 0), 'unused')
  assert.equal(status(AT, 5), 'expired')
})

test('waiverResult() calls too broad what names no end, and what holds for more than a year', () => {
  const isTooBroad = (changes: Partial<Waiver>) => waiverResult(waiver(changes), 0, AT).isTooBroad
  const named = { destination: 'deployment/shop/web' }
  for (const changes of [
    {},
    { source: '(unmeshed)' },
    { source: '*', destination: '*/*/*' },
    { destination: 'deployment/*/*' },
    { port: 80 },
    { cluster: 'prod' },
  ])
    assert.ok(isTooBroad(changes), JSON.stringify(changes))
  for (const changes of [
    named,
    { source: 'deployment/shop/*' },
    { destination: '*/*/web' },
    { destination: 'external/tax.example' },
  ])
    assert.ok(!isTooBroad(changes), JSON.stringify(changes))
  assert.ok(!isTooBroad({ ...named, expires: '2027-11-21T12:00:00Z' }))
  assert.ok(isTooBroad({ ...named, expires: '2027-11-21T12:00:01Z' }))
})

test('decodeWaivers() reads what was stored', () => {
  const any = fc.record(
    {
      id: fc.constantFrom('a', 'b'),
      cluster: fc.constantFrom('prod', '*'),
      rules: fc.subarray(['path-is-encrypted', 'path-is-mutual'], { minLength: 1 }),
      source: fc.constantFrom('(unmeshed)', '*/a/b'),
      destination: fc.constant('*/a/b'),
      port: fc.integer({ min: 1, max: 65_535 }),
      owner: fc.string(),
      reason: fc.string(),
      compensatingControl: fc.string(),
      expires: fc.constant('2027-01-01T00:00:00Z'),
    },
    { requiredKeys: ['id', 'owner', 'reason', 'compensatingControl', 'expires'] },
  )
  fc.assert(
    fc.property(fc.array(any, { maxLength: 3 }), (waivers) => {
      assert.deepEqual(
        JSON.parse(JSON.stringify(decodeWaivers(JSON.parse(JSON.stringify(encodeWaivers(waivers)))))),
        JSON.parse(JSON.stringify(waivers)),
      )
    }),
  )
  for (const other of [undefined, null, [], {}, { format: 'ciphertrail/scope/1' }])
    assert.equal(decodeWaivers(other), undefined)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  archiveEnd,
  archiveKey,
  archivePrefix,
  requeriedKey,
  parseRequeriedKey,
  parseStateKey,
  archiveOf,
  parseArchiveKey,
  RECORD_KINDS,
  changeKey,
  changesPrefix,
  evidenceBefore,
  attemptsPrefix,
  evidenceKey,
  evidencePrefix,
  isClusterId,
  parseChangeKey,
  parseEvidenceKey,
  parseTimelineKey,
  parseWindowKey,
  registryKey,
  stateKey,
  timelineKey,
  coverageKey,
  coveragePrefix,
  notEncryptedKey,
  parseCoverageKey,
  parseNotEncryptedKey,
  timelinePrefix,
  windowKey,
  windowPrefix,
} from '../../lib/store/keys.ts'
import { checkKey } from '../../lib/store/objects/objects.ts'
import {
  isReportKey,
  documentKey,
  packKey,
  parseDocumentKey,
  parsePackKey,
  reportsUpTo,
  reportKey,
} from '../../lib/store/report-keys.ts'
import { errorText } from '../support/texts/matches-text.ts'

const window = { start: '2026-11-24T12:30:00Z', end: '2026-11-24T12:35:00Z' }
const DAY = 24 * 60 * 60

const cluster = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
const seconds = fc.integer({ min: 0, max: Date.UTC(9999, 11, 30) / 1000 })
const timeText = (time: number) => new Date(time * 1000).toISOString().replace('.000Z', 'Z')
const anyWindow = fc
  .tuple(seconds, fc.integer({ min: 1, max: DAY }))
  .map(([start, length]) => ({ start: timeText(start), end: timeText(start + length) }))
const attempt = fc.integer({ min: 1, max: 9999 })
const month = seconds.map((time) => timeText(time).slice(0, 7))
const evidenceId = fc.record({ window: anyWindow, cluster, attempt }, { noNullPrototype: true })

test('keys read as the design says', () => {
  assert.equal(
    evidenceKey({ window, cluster: 'shop', attempt: 1 }),
    'evidence/20261124T123000Z-20261124T123500Z/shop/0001.json.gz',
  )
  assert.equal(windowKey('shop', window), 'windows/shop/20261124T123000Z-20261124T123500Z.json')
  assert.equal(stateKey('shop'), 'state/shop.json')
  assert.equal(archiveKey('shop', '2026-11-24'), 'state/_archive/shop/2026-11-24.json')
  assert.deepEqual(parseArchiveKey('state/_archive/shop/2026-11-24.json'), { cluster: 'shop', day: '2026-11-24' })
  for (const other of ['state/shop.json', 'state/_archive/shop/2026-11.json', 'state/_archive/Shop/2026-11-24.json'])
    assert.equal(parseArchiveKey(other), undefined)
  const asked = requeriedKey('shop')
  assert.equal(asked, 'state/_asked/shop.json')
  assert.deepEqual(
    [parseRequeriedKey(asked), parseStateKey(asked), parseArchiveKey(asked)],
    ['shop', undefined, undefined],
  )
  assert.equal(parseRequeriedKey('state/shop.json'), undefined)
  // Whoever lists states skips both at once.
  assert.ok(archivePrefix < asked && asked < archiveEnd && archiveEnd < stateKey('a') && stateKey('9') < archivePrefix)
  assert.equal(timelineKey('shop', '2026-11'), 'timeline/cluster=shop/month=2026-11/intervals.parquet')
  assert.equal(coverageKey('shop', '2026-11'), 'coverage/cluster=shop/month=2026-11/windows.parquet')
  assert.equal(notEncryptedKey('2026-11'), 'not-encrypted/month=2026-11/paths.parquet')
  assert.equal(parseNotEncryptedKey('not-encrypted/month=2026-11/paths.parquet'), '2026-11')
  assert.equal(parseNotEncryptedKey('not-encrypted/month=2026-13/paths.parquet'), undefined)
  assert.equal(changeKey('clusters', 1), 'changes/clusters/000001.json')
  assert.equal(reportKey('2026-11-24T14:00:00Z', 'ab'.repeat(32)), 'reports/20261124T140000Z-abababababababab.json')
})

test('parsing gives back what a key was made of, and each key is one that every store takes', () => {
  fc.assert(
    fc.property(evidenceId, month, (id, anyMonth) => {
      const made = evidenceKey(id)
      assert.deepEqual(parseEvidenceKey(made), id)
      assert.ok(made.startsWith(attemptsPrefix(id.window, id.cluster)) && made.startsWith(evidencePrefix))
      const result = windowKey(id.cluster, id.window)
      assert.deepEqual(parseWindowKey(result), { cluster: id.cluster, window: id.window })
      assert.ok(result.startsWith(windowPrefix(id.cluster)))
      const timeline = timelineKey(id.cluster, anyMonth)
      assert.deepEqual(parseTimelineKey(timeline), { cluster: id.cluster, month: anyMonth })
      const coverage = coverageKey(id.cluster, anyMonth)
      assert.deepEqual(parseCoverageKey(coverage), { cluster: id.cluster, month: anyMonth })
      assert.deepEqual([parseTimelineKey(coverage), parseCoverageKey(timeline)], [undefined, undefined])
      assert.ok(timeline.startsWith(timelinePrefix(id.cluster)) && coverage.startsWith(coveragePrefix(id.cluster)))
      assert.ok(timeline.startsWith(timelinePrefix(id.cluster)))
      for (const key of [made, result, timeline, stateKey(id.cluster), registryKey]) checkKey(key)
    }),
  )
})

test('a change is keyed by its kind and number, in the order of numbers, and nothing else is one', () => {
  const number = fc.integer({ min: 1, max: 999_999 })
  fc.assert(
    fc.property(fc.constantFrom(...RECORD_KINDS), number, number, (kind, one, other) => {
      const key = changeKey(kind, one)
      checkKey(key)
      assert.ok(key.startsWith(changesPrefix(kind)))
      assert.deepEqual(parseChangeKey(key), { kind, number: one })
      assert.equal(key < changeKey(kind, other), one < other)
    }),
  )
  for (const none of ['changes/clusters/000000.json', 'changes/roles/000001.json', 'changes/scope/1.json', ''])
    assert.equal(parseChangeKey(none), undefined, none)
  for (const none of [0, 1.5, 1_000_000, NaN]) assert.throws(() => changeKey('scope', none), RangeError)
})

test('a report is keyed by the end of its period, in the order of time, and by what it says', () => {
  fc.assert(
    fc.property(seconds, seconds, fc.stringMatching(/^[0-9a-f]{64}$/), (one, other, sha256) => {
      const key = reportKey(timeText(one), sha256)
      checkKey(key)
      assert.ok(isReportKey(key))
      if (one < other) assert.ok(key < reportKey(timeText(other), sha256))
    }),
  )
  for (const none of ['reports/x.json', 'reports/20261124T140000Z-0123.json', '']) assert.ok(!isReportKey(none), none)
  assert.throws(() => reportKey('yesterday', 'ab'.repeat(32)), RangeError)
})

test('text order of keys is time order, and order of attempts within a window', () => {
  const order = (a: string | number, b: string | number) => (a < b ? -1 : a > b ? 1 : 0)
  fc.assert(
    fc.property(evidenceId, evidenceId, (a, b) => {
      const byTime = order(a.window.start, b.window.start) || order(a.window.end, b.window.end)
      assert.equal(order(windowKey('shop', a.window), windowKey('shop', b.window)), byTime)
      assert.equal(
        order(evidenceKey({ ...a, cluster: 'shop' }), evidenceKey({ ...b, cluster: 'shop' })),
        byTime || order(a.attempt, b.attempt),
      )
      const months = [a.window.start.slice(0, 7), b.window.start.slice(0, 7)] as const
      assert.equal(order(timelineKey('shop', months[0]), timelineKey('shop', months[1])), order(...months))
    }),
  )
})

test('any text that parses as a key is the very key that it would be made of', () => {
  const likely = fc
    .tuple(evidenceId, fc.nat(), fc.constantFrom('', '0', '9', '/', '.', 'Z', '-', ' ', '\n', 'é'))
    .map(([id, place, inserted]) => {
      const keys = [
        evidenceKey(id),
        windowKey(id.cluster, id.window),
        timelineKey(id.cluster, id.window.start.slice(0, 7)),
        coverageKey(id.cluster, id.window.start.slice(0, 7)),
      ]
      const key = keys[place % 4] ?? ''
      const at = place % (key.length + 1)
      return key.slice(0, at) + inserted + key.slice(at + (place % 2))
    })
  fc.assert(
    fc.property(fc.oneof(likely, fc.string()), (text) => {
      const evidence = parseEvidenceKey(text)
      if (evidence !== undefined) assert.equal(evidenceKey(evidence), text)
      const result = parseWindowKey(text)
      if (result !== undefined) assert.equal(windowKey(result.cluster, result.window), text)
      const timeline = parseTimelineKey(text)
      if (timeline !== undefined) assert.equal(timelineKey(timeline.cluster, timeline.month), text)
      const coverage = parseCoverageKey(text)
      if (coverage !== undefined) assert.equal(coverageKey(coverage.cluster, coverage.month), text)
    }),
    { numRuns: 500 },
  )
})

test('keys of times that do not exist, of windows that end first and of attempt 0 do not parse', () => {
  for (const key of [
    'evidence/20260230T000000Z-20260302T000000Z/shop/0001.json.gz',
    'evidence/20261124T240000Z-20261125T010000Z/shop/0001.json.gz',
    'evidence/20261124T123060Z-20261124T123500Z/shop/0001.json.gz',
    'evidence/20261124T123500Z-20261124T123000Z/shop/0001.json.gz',
    'evidence/20261124T123000Z-20261124T123000Z/shop/0001.json.gz',
    'evidence/20261124T123000Z-20261124T123500Z/shop/0000.json.gz',
    'evidence/20261124T123000Z-20261124T123500Z/Shop/0001.json.gz',
    'evidence/20261124T123000Z-20261124T123500Z/shop/00001.json.gz',
    'evidence/20261124T123000Z-20261124T123500Z/shop/0001.json.gz\n',
    'x/evidence/20261124T123000Z-20261124T123500Z/shop/0001.json.gz',
  ]) {
    assert.equal(parseEvidenceKey(key), undefined, key)
  }
  assert.equal(parseWindowKey('windows/shop/20260230T000000Z-20260302T000000Z.json'), undefined)
  assert.equal(parseTimelineKey('timeline/cluster=shop/month=2026-13/intervals.parquet'), undefined)
  // As an earlier version kept it.
  assert.equal(parseTimelineKey('timeline/cluster=shop/month=2026-12.json'), undefined)
})

test('making a key of a part that has no place in it throws one clear line', () => {
  for (const number of [0, 10_000, 1.5, -1, Number.NaN]) {
    assert.throws(() => evidenceKey({ window, cluster: 'shop', attempt: number }), {
      name: 'RangeError',
      message: `Cannot make a key of attempt "${number}": it must be a whole number from 1 to 9999`,
    })
  }
  for (const id of ['', 'Shop', '../shop', '-shop', 'shop-', 's/hop', 'a'.repeat(64), 'shop\n', 'ｓhop']) {
    assert.equal(isClusterId(id), false)
    for (const make of [stateKey, requeriedKey, archiveOf, windowPrefix, timelinePrefix, coveragePrefix]) {
      assert.throws(() => make(id), { name: 'RangeError', message: /^Cannot make a key of cluster ".*": [ -~]+$/ })
    }
  }
  for (const bad of [
    { start: window.end, end: window.start },
    { start: '2026-11-24T12:30:00.000Z', end: window.end },
    { start: '2026-11-24T12:30:00+00:00', end: window.end },
    { start: '20261124T123000Z', end: window.end },
    { start: '../../etc', end: window.end },
  ]) {
    assert.throws(() => windowKey('shop', bad), { name: 'RangeError', message: /^Cannot make a key of window / })
  }
  assert.throws(() => timelineKey('shop', '2026-1'), errorText())
})

test('evidenceBefore() comes before the evidence of windows from that time on, and after that of earlier ones', () => {
  const key = (start: string, end: string) => evidenceKey({ window: { start, end }, cluster: 'a', attempt: 1 })
  const before = evidenceBefore('2026-11-08T00:00:00Z')
  assert.ok(before < key('2026-11-08T00:00:00Z', '2026-11-08T01:00:00Z'))
  assert.ok(before > key('2026-11-07T23:00:00Z', '2026-11-08T00:00:00Z'))
})

test('a document lies under the name of its report, and what is no such key is none', () => {
  const report = reportKey('2026-11-24T14:00:00Z', 'ab'.repeat(32))
  assert.ok(report.startsWith(reportsUpTo('2026-11-24T14:00:00Z')))
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9_-][A-Za-z0-9._-]{0,99}$/), (name) => {
      const key = documentKey(report, name)
      checkKey(key)
      assert.deepEqual(parseDocumentKey(key), { report, name })
    }),
  )
  for (const name of ['', '..', '.hidden', 'a/b', 'a\nb', 'x'.repeat(101)])
    assert.throws(() => documentKey(report, name), RangeError)
  assert.throws(() => documentKey('reports/x.json', 'report.pdf'), RangeError)
  for (const key of ['documents/x/report.pdf', `documents/20261124T140000Z-${'A'.repeat(16)}/a`, 'documents/', report])
    assert.equal(parseDocumentKey(key), undefined)
})

test('what is kept of a pack lies under the name of its report, and what is no such key is none', () => {
  const report = reportKey('2026-11-24T14:00:00Z', 'ab'.repeat(32))
  for (const file of ['asked.json', 'outcome.json', 'pack.zip'] as const) {
    checkKey(packKey(report, file))
    assert.deepEqual(parsePackKey(packKey(report, file)), { report, file })
  }
  assert.throws(() => packKey('reports/x.json', 'pack.zip'), RangeError)
  const [folder] = packKey(report, 'pack.zip').split('pack.zip')
  for (const key of [`${folder}other.zip`, `${folder}a/pack.zip`, 'packs/pack.zip', 'packs/x/pack.zip', report])
    assert.equal(parsePackKey(key), undefined)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readScopes } from '../../../lib/assess/judge/parse-scope.ts'
import { DEFAULT_SETTINGS, decodeScopes, encodeScopes, settingsOf } from '../../../lib/assess/judge/stored-scope.ts'
import type { Scope } from '../../../lib/model/judgement.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

/** What is said of a text, one line each. */
function said(text: string): string[] {
  return readScopes(text).problems.map(({ line, column, text: problem }) => `${line}:${column}: ${problem}`)
}

test('readScopes() reads one scope of a framework, or several, in the order of the text', () => {
  const { value, problems } = readScopes(`
# who is judged by what
pci-dss:
  clusters: [prod-*]
  namespaces: [payments, billing]
  labels: {tier: "1"}
  owner: payments-platform
  reason: Card data is processed there
hipaa:
  - owner: care
    reason: >-
      Everything
      of it
  - namespaces: ["*-care"]
    owner: care
    reason: The portal
`)
  assert.deepEqual(problems, [])
  assert.deepEqual(value?.scopes, [
    { framework: 'hipaa', clusters: [], namespaces: [], labels: {}, owner: 'care', reason: 'Everything of it' },
    { framework: 'hipaa', clusters: [], namespaces: ['*-care'], labels: {}, owner: 'care', reason: 'The portal' },
    {
      framework: 'pci-dss',
      clusters: ['prod-*'],
      namespaces: ['payments', 'billing'],
      labels: { tier: '1' },
      owner: 'payments-platform',
      reason: 'Card data is processed there',
    },
  ])
  assert.deepEqual(value?.report, {})
  assert.deepEqual(readScopes('{}').value, { scopes: [], report: {} })
})

test('readScopes() says of each thing that is wrong where it stands and how to mend it', () => {
  matchesText(
    said(
      'pci-dss:\n  clusters: prod\n  namespaces: 3\n  labels:\n    a: true\n    b:\n  owner: ""\n  colour: x\nsox: {}\n',
    ),
  )
  matchesText(said('dora:\n  - owner: a\n    reason: b\n  - owner: a\n    clusters: [Prod, "*"]\n'))
  matchesText(said('dora: []')[0])
  matchesText(said('dora:\n')[0])
})

test('readScopes() reads nothing of hostile YAML, and says one clear line of each', () => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]']
  for (const [index, name] of 'bcdefghij'.split('').entries()) {
    const alias = `*${'abcdefghi'[index]}`
    bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => alias).join(', ')}]`)
  }
  const cases: readonly string[] = [
    bomb.join('\n'),
    'dora: &x {owner: a, reason: b}\nhipaa: *x\n',
    'dora: {owner: a, reason: b}\ndora: {owner: c, reason: d}\n',
    'dora:\n\towner: a\n',
    'dora:\n  owner: a\n   reason: b\n',
    'dora: {clusters: [*]}',
    `dora: ${'['.repeat(5000)}`,
    'x'.repeat(1_000_001),
    '- dora\n',
    'dora',
    '',
    '# nothing\n',
    'null',
    'dora: {owner: a, reason: b}\n---\ndora: {}\n',
    'dora: {owner: !!js/function "x", reason: b}',
    'dora: {owner: a, reason: "b\u0000"}',
    '? {a: b}\n: c\n',
    '__proto__: {owner: a, reason: b}',
    'dora: {owner: a, reason: b, labels: {__proto__: x}}',
    'dora: {owner: a, reason: b, __proto__: {}}',
    `dora: {owner: "${'x'.repeat(300)}", reason: b}`,
  ]
  for (const text of cases) {
    const lines = said(text)
    assert.equal(lines.length, 1, `${text.slice(0, 60)}: ${lines.join('\n')}`)
    matchesText(lines[0])
    assert.doesNotMatch(lines[0] ?? '', /\n/)
    assert.equal(readScopes(text).value, null)
  }
})

test('readScopes() either gives scopes or says where in the text something is wrong, whatever the text', () => {
  const word = fc.constantFrom(
    'dora',
    'hipaa',
    'owner',
    'reason',
    'clusters',
    'labels',
    ':',
    ' ',
    '\n',
    '  ',
    '- ',
    '[',
    ']',
    '{',
    '}',
    '"',
    '*',
    '&x',
    '#',
    'é',
    '\r\n',
    '1',
    'true',
    '~',
    '|',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 60 }),
        fc.array(word, { maxLength: 40 }).map((all) => all.join('')),
      ),
      (text) => {
        const { value, problems } = readScopes(text)
        assert.equal(value === null, problems.length > 0)
        const lines = text.split(/\r\n|[\r\n]/)
        for (const { line, column, text: problem } of problems) {
          assert.ok(line >= 1 && line <= lines.length, `${line} of ${lines.length}`)
          assert.ok(column >= 1 && column <= (lines[line - 1]?.length ?? 0) + 1)
          assert.match(problem, /^Cannot /)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

const anyScope: fc.Arbitrary<Scope> = fc.record({
  framework: fc.constantFrom('dora', 'hipaa'),
  clusters: fc.array(fc.constantFrom('prod', 'p-*', '*'), { maxLength: 3 }),
  namespaces: fc.array(fc.constantFrom('shop', '*-x'), { maxLength: 3 }),
  labels: fc.dictionary(fc.constantFrom('app', 'tier', 'k8s.io/part-of'), fc.string({ maxLength: 5 })),
  owner: fc.constantFrom('a', 'the "team": x', 'ünï'),
  reason: fc.string({ minLength: 1, maxLength: 20 }).filter((text) => text.trim() === text),
  wantedShare: fc.constantFrom(undefined, 0.5, 1),
})

const anyReport = fc.record(
  {
    organisation: fc.constantFrom('Example', 'the "shop": x'),
    preparedBy: fc.constantFrom('ada', 'ünï'),
    wantedShare: fc.constantFrom(85, 99, 99.5, 100),
    judge: fc.uniqueArray(fc.constantFrom('application', 'mesh', 'platform'), { minLength: 1 }),
    platformNamespaces: fc.array(fc.constantFrom('infra', 'ingress-*'), { maxLength: 2 }),
    ownerLabel: fc.constantFrom('team', 'example.com/owner'),
  },
  { requiredKeys: [] },
)

test('readScopes() reads what was written, and decodeScopes() what was stored', () => {
  fc.assert(
    fc.property(fc.array(anyScope, { maxLength: 4 }), anyReport, (scopes, report) => {
      const sorted = scopes.toSorted((a, b) => (a.framework < b.framework ? -1 : a.framework > b.framework ? 1 : 0))
      const byFramework = Map.groupBy(sorted, ({ framework }) => framework)
      const written = [...byFramework].map(([id, all]) => [
        id,
        all.map(({ framework: _, wantedShare, ...rest }) => ({
          ...rest,
          ...(wantedShare === undefined ? {} : { wantedShare: wantedShare * 100 }),
        })),
      ])
      const { value } = readScopes(JSON.stringify({ ...Object.fromEntries(written), report }))
      const { wantedShare, ...others } = report
      const expected = {
        scopes: sorted,
        report: {
          platformNamespaces: [],
          ...others,
          ...(wantedShare === undefined ? {} : { wantedShare: wantedShare / 100 }),
        },
      }
      const plain = (any: unknown): unknown => JSON.parse(JSON.stringify(any))
      assert.deepEqual(plain(value), plain(expected))
      assert.ok(value !== null)
      assert.deepEqual(plain(decodeScopes(plain(encodeScopes(value)))), plain(value))
    }),
  )
  for (const other of [undefined, null, [], {}, { format: 'ciphertrail/waivers/1' }])
    assert.equal(decodeScopes(other), undefined)
})

test('decodeScopes() reads what was stored before reports had settings', () => {
  const scopes = [
    { framework: 'dora', clusters: [], namespaces: ['*-x'], labels: {}, owner: 'a', reason: 'everything there' },
  ]
  assert.deepEqual(decodeScopes({ format: 'ciphertrail/scope/1', scopes }), { scopes, report: {} })
})

test('readScopes() takes a wanted share as percent, more than none and at most all', () => {
  const shareOf = (percent: string) =>
    readScopes(`report: {wantedShare: ${percent}}\ndora: {owner: a, reason: b, wantedShare: ${percent}}`).value
  assert.deepEqual(
    [shareOf('99.5')?.report.wantedShare, shareOf('99.5')?.scopes[0]?.wantedShare, shareOf('100')?.report.wantedShare],
    [0.995, 0.995, 1],
  )
  for (const percent of ['0', '-1', '100.1', '"99"', '.nan', '.inf', '[]'])
    assert.equal(shareOf(percent), null, percent)
  matchesText(said('report: {wantedShare: 120}')[0])
  matchesText(said('report: {judge: [applications]}')[0])
})

test('settingsOf() has a default for whatever was not written', () => {
  assert.deepEqual(settingsOf({}), DEFAULT_SETTINGS)
  assert.equal(DEFAULT_SETTINGS.wantedShare, 0.99)
  assert.deepEqual(settingsOf({ wantedShare: 0.85, judge: ['application', 'mesh'] }), {
    ...DEFAULT_SETTINGS,
    wantedShare: 0.85,
    judgedClasses: ['application', 'mesh'],
  })
})

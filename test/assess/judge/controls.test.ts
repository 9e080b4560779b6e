import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import canonicalize from 'canonicalize'
import { CONTROLS, FRAMEWORKS } from '../../../lib/assess/judge/controls.ts'
import { RULES } from '../../../lib/assess/judge/rules.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const controls = FRAMEWORKS.flatMap((framework) => framework.controls.map((control) => ({ framework, ...control })))

function control(framework: string, id: string) {
  const found = controls.find((one) => one.framework.id === framework && one.id === id)
  assert.ok(found, `${framework} ${id}`)
  return found
}

test('FRAMEWORKS are those that are judged, each once, and so are their controls', () => {
  assert.deepEqual(FRAMEWORKS.map(({ id }) => id).toSorted(), [
    'dora',
    'fedramp',
    'hipaa',
    'iso-27001',
    'nis2',
    'nist-800-207',
    'nist-800-53',
    'pci-dss',
    'soc-2',
  ])
  for (const { id, controls: own } of FRAMEWORKS) {
    assert.equal(new Set(own.map((one) => one.id)).size, own.length, id)
    assert.ok(
      own.some(({ rules }) => rules.length > 0),
      id,
    )
  }
})

test('every control names rules that exist, or says why no rule tests it', () => {
  const known = RULES.map(({ id }) => id)
  for (const { id, rules, note, paraphrase, source } of controls) {
    for (const rule of rules) assert.ok(known.includes(rule), `${id}: ${rule}`)
    assert.equal(new Set(rules).size, rules.length, id)
    if (rules.length === 0) assert.match(note ?? '', /\b(no|not|No|Not)\b/, id)
    assert.match(paraphrase, /^[A-Z].{10,}[^.]$/, id)
    if (note !== null) assert.match(note, /^[A-Z].*\.$/, id)
    assert.ok(source.length > 5, id)
  }
})

test('every rule says something about some control', () => {
  const used = new Set(controls.flatMap(({ rules }) => rules))
  assert.deepEqual(
    RULES.map(({ id }) => id).filter((id) => !used.has(id)),
    [],
  )
})

test('no control is said to be met, and no word gives comfort', () => {
  const text = JSON.stringify([FRAMEWORKS, RULES])
  assert.doesNotMatch(
    text,
    /complian|\bsecure[sd]?\b|\bsatisf|\ball good\b|\bguarantee|\bcertified\b|\bfully\b|\bmet\b/i,
  )
})

test('PCI DSS 4.2.1 is never claimed for traffic inside a cluster: no rule judges it', () => {
  assert.deepEqual(control('pci-dss', '4.2.1').rules, [])
  assert.equal(control('pci-dss', '4.2.1').relation, 'supports')
  matchesText(control('pci-dss', '4.2.1').note)
  assert.deepEqual(control('pci-dss', '2.2.7').rules, [], 'nothing tells which paths are administrative')
})

test('the controls say what limits them, as far as it is known', () => {
  assert.match(control('nist-800-53', 'IA-9').note ?? '', /Not in any baseline/)
  for (const id of ['AU-9(2)', 'AU-9(3)', 'AU-10']) assert.match(control('nist-800-53', id).note ?? '', /high only/)
  for (const id of ['164.312(e)(2)(i)', '164.312(e)(2)(ii)'])
    assert.match(control('hipaa', id).note ?? '', /Addressable.*not checked/)
  assert.match(control('fedramp', 'SC-8').note ?? '', /SC-8\(5\)/)
  matchesText(control('fedramp', 'SC-8(1)').note)
  assert.deepEqual(control('fedramp', 'SC-13').rules, [], 'what a proxy states of FIPS is no validation')
  assert.match(control('nist-800-207', 'Tenet 2').source, /not checked/)
  for (const { id, relation, rules } of controls) if (relation === 'evidence handling') assert.deepEqual(rules, [], id)
})

test('CONTROLS has the SHA-256 of the canonical JSON of all of them', () => {
  const text = canonicalize({ version: CONTROLS.version, frameworks: FRAMEWORKS }) ?? ''
  assert.equal(CONTROLS.sha256, createHash('sha256').update(text).digest('hex'))
})

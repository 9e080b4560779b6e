import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { FRAMEWORKS } from '../../../lib/assess/judge/controls.ts'
import type { Waiver } from '../../../lib/model/judgement.ts'
import { controlToken, markup, objectiveToken, prop } from '../../../lib/report/oscal/oscal-text.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import { printable } from '../../../lib/text/printable.ts'
import { planFaults, resultsFaults } from '../../support/report/schemas.ts'
import { INPUTS, propOf, summaryOf, toldBy } from '../../support/report/told-documents.ts'
import { HOURS, anyPeriod } from '../../support/stored/judged-period.ts'
import { PERIOD, report, storyOfAWeek } from '../../support/stored/report-input.ts'

for (const name of INPUTS.keys())
  test(`results and plan of "${name}" are OSCAL by the published schemas, and name nothing that is not there`, () => {
    const { results, result, plan, texts } = toldBy(summaryOf(name))
    assert.deepEqual(resultsFaults(results), [])
    assert.deepEqual(planFaults(plan), [])

    const uuids = Array.from((texts['oscal.json'] ?? '').matchAll(/"uuid":"([^"]+)"/g), ([, uuid]) => uuid)
    assert.equal(new Set(uuids).size, uuids.length, 'each UUID is of one thing')
    const known = new Set(uuids)
    const named = (texts['oscal.json'] ?? '').matchAll(/"(?:subject|component|observation|actor)-uuid":"([^"]+)"/g)
    for (const [, uuid] of named) assert.ok(known.has(uuid), `${uuid} is nowhere`)
    const [resource] = results['assessment-results']['back-matter'].resources
    assert.equal(results['assessment-results']['import-ap'].href, `#${resource?.uuid}`)
    const sha256 = createHash('sha256')
      .update(texts['oscal-plan.json'] ?? '')
      .digest('hex')
    assert.equal(resource?.rlinks[0]?.hashes[0]?.value, sha256)
    for (const { target } of result.findings ?? [])
      assert.ok((texts['oscal-plan.json'] ?? '').includes(`"id":"${target['target-id']}"`), target['target-id'])
  })

test('a report without a version, as no release makes one, is OSCAL too', () => {
  const { results, plan } = toldBy(summarise({ ...storyOfAWeek(), version: '' }))
  assert.deepEqual([resultsFaults(results), planFaults(plan)], [[], []])
})

test('the schema refuses what lacks a part, so that these tests can fail', () => {
  const { results } = toldBy(summaryOf('a-week'))
  const broken = JSON.parse(JSON.stringify(results).replaceAll('"collected":', '"gathered":')) as unknown
  assert.ok(resultsFaults(broken).length > 0)
  assert.ok(resultsFaults(JSON.parse(JSON.stringify(results).replace('"name":"rule"', '"name":"a rule"'))).length > 0)
})

const WAIVER: Waiver = {
  id: 'accepted',
  destination: 'statefulset/shop/*',
  owner: 'shop',
  reason: 'Old',
  compensatingControl: 'None',
  expires: '2027-01-31T00:00:00Z',
}

test('nothing but a pass of a control that is tested directly is satisfied', () => {
  const period = { ...HOURS, label: 'Twelve hours', timeZone: 'UTC' }
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(anyPeriod('prod'), fc.constantFrom([], [WAIVER]), (prod, waivers) => {
      const { result, results } = toldBy(summarise(report([prod], { period, waivers })))
      assert.deepEqual(resultsFaults(results), [])
      for (const finding of result.findings ?? []) {
        const verdict = propOf(finding, 'verdict') ?? ''
        seen.set(verdict, (seen.get(verdict) ?? 0) + 1)
        assert.equal(propOf(finding, 'relation'), 'direct')
        assert.equal(finding.target.status.state === 'satisfied', verdict === 'pass', verdict)
        assert.equal(finding.target.status.reason === 'fail', verdict === 'fail', verdict)
      }
    }),
    { numRuns: 60 },
  )
  for (const verdict of ['fail', 'not-enough-evidence', 'pass'])
    assert.ok((seen.get(verdict) ?? 0) > 5, `${verdict}: ${seen.get(verdict) ?? 0}`)
})

test('each control stands with its relation: tested, an input, or named as not tested', () => {
  const { result, texts } = toldBy(summaryOf('a-week'))
  const remarks = (JSON.parse(texts['oscal.json'] ?? '') as { 'assessment-results': { results: unknown[] } })[
    'assessment-results'
  ].results[0] as { 'reviewed-controls': { remarks: string } }
  const judged = [
    ...(result.findings ?? []),
    ...result.observations.filter((one) => propOf(one, 'control') !== undefined),
  ]
  for (const { id: framework, title, controls } of FRAMEWORKS)
    for (const { id, relation, rules } of controls) {
      const own = judged.filter((one) => propOf(one, 'framework') === framework && propOf(one, 'control') === id)
      if (rules.length === 0) {
        assert.deepEqual(own, [], `${framework} ${id}`)
        assert.ok(remarks['reviewed-controls'].remarks.includes(markup(`${id} (${relation})`)), `${title} ${id}`)
      } else
        assert.ok(own.length <= 1 && own.every((one) => propOf(one, 'relation') === relation), `${framework} ${id}`)
    }
})

test('a waiver is a risk that was accepted until its deadline, and an unencrypted path one that is open until it was seen to end', () => {
  const summary = summaryOf('a-week')
  const { result } = toldBy(summary)
  const risks = result.risks ?? []
  const waivers = risks.filter((risk) => propOf(risk, 'waiver') !== undefined)
  assert.deepEqual(
    waivers.map((risk) => [propOf(risk, 'waiver'), risk.status, risk.deadline]),
    summary.judgement.waivers.map(({ waiver, status }) => [
      waiver.id,
      status === 'expired' ? risks.find((risk) => propOf(risk, 'waiver') === waiver.id)?.status : 'deviation-approved',
      waiver.expires,
    ]),
  )
  const paths = risks.filter((risk) => propOf(risk, 'waiver') === undefined)
  assert.equal(
    paths.filter(({ status }) => status === 'open').length,
    summary.figures.openNow - summary.figures.waivedNow,
  )
  for (const risk of paths)
    if (risk.status === 'closed') assert.match(propOf(risk, 'ending') ?? '', /^(?:fixed|refused)$/)
    else if (risk.status === 'investigating') assert.match(propOf(risk, 'ending') ?? 'gone', /^(?:gone|quiet)$/)
    else assert.equal(risk.status, 'open')
})

test('a waiver that has ended accepts nothing', () => {
  const input = storyOfAWeek()
  const waivers = input.judgement.waivers.map((one) => ({ ...one, status: 'expired' as const }))
  const { result } = toldBy(summarise({ ...input, judgement: { ...input.judgement, waivers } }))
  const told = (result.risks ?? []).filter((risk) => propOf(risk, 'waiver') !== undefined)
  assert.ok(told.length > 0)
  for (const risk of told)
    assert.equal(risk.status, Number(propOf(risk, 'failures')) > 0 ? 'open' : 'closed', propOf(risk, 'waiver'))
})

test('what was not collected, and what could not be read, stands in the log of the assessment', () => {
  for (const name of INPUTS.keys()) {
    const summary = summaryOf(name)
    const entries = toldBy(summary).result['assessment-log']?.entries ?? []
    const wanted = summary.clusters.flatMap(({ missingRuns, errors }) => [
      ...missingRuns.map(({ from }) => from),
      ...errors.map(({ first }) => first),
    ])
    assert.deepEqual(
      entries.map(({ start }) => start),
      wanted,
      name,
    )
  }
})

test('an observation was collected when its last decisive window ended', () => {
  const summary = summaryOf('a-week')
  const ends = new Set(summary.clusters.flatMap(({ windows }) => windows.map(({ end }) => end)))
  for (const one of toldBy(summary).result.observations) {
    assert.ok(ends.has(one.collected), one.collected)
    assert.ok(one.collected <= PERIOD.to)
  }
})

test('a path has the same UUID in every period, and what was seen of it another', () => {
  const story = storyOfAWeek()
  const [week, later] = [story, { ...story, period: { ...story.period, to: '2026-11-22T23:30:00Z' } }].map(
    (input) => toldBy(summarise(input)).result,
  )
  const idsOf = (result: typeof week) => result?.['local-definitions']['inventory-items']?.map(({ uuid }) => uuid)
  assert.deepEqual(idsOf(week), idsOf(later))
  const seen = new Set(week?.observations.map(({ uuid }) => uuid))
  assert.ok(later?.observations.every(({ uuid }) => !seen.has(uuid)))
})

test('names are data: never markup, never control characters, and nothing is lost of them', () => {
  const { texts, result } = toldBy(summaryOf('hostile-names'))
  for (const text of Object.values(texts)) assert.match(text, /^[\n\x20-\x7E]*$/)
  const told = JSON.stringify([result, ...Object.values(texts)])
  assert.doesNotMatch(told, /\\\\u(?:202e|200b|000a|001b)/i)
  for (const { description } of result['local-definitions']['inventory-items'] ?? [])
    assert.doesNotMatch(description, /(?<!\\)[<>[\]*_`|]/)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      assert.equal(markup(name).replace(/\\([^A-Za-z0-9])/gu, '$1'), printable(name))
      const [told] = prop('name', name)
      assert.equal(told?.value ?? '', printable(name).trim())
      if (told !== undefined) assert.match(told.value, /^\S(.*\S)?$/u)
    }),
  )
})

test('controls and objectives have names that OSCAL takes, no two the same', () => {
  const pattern = /^(\p{L}|_)(\p{L}|\p{N}|[.\-_])*$/u
  for (const framework of FRAMEWORKS) {
    const controls = framework.controls.map(({ id }) => controlToken(framework.id, id))
    assert.equal(new Set(controls).size, controls.length, framework.id)
    for (const token of controls) assert.match(token, pattern)
  }
  const objectives = FRAMEWORKS.flatMap((framework) => framework.controls.map((one) => objectiveToken(framework, one)))
  assert.equal(new Set(objectives).size, objectives.length)
  for (const token of objectives) assert.match(token, pattern)
  assert.equal(controlToken('nist-800-53', 'SC-8(1)'), 'sc-8.1')
})

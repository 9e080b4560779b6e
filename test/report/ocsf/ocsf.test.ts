import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Scope, Verdict } from '../../../lib/model/judgement.ts'
import { complianceOf, lifecycleOf, severityIn } from '../../../lib/report/ocsf/finding-status.ts'
import { NO_DETAILS } from '../../../lib/report/summary/path-details.ts'
import type { Exposure, PathSummary } from '../../../lib/report/summary/path-summary.ts'
import { type Summary, summarise } from '../../../lib/report/summary/summary.ts'
import { ocsfFaults } from '../../support/report/schemas.ts'
import { INPUTS, type OcsfFinding, summaryOf, toldBy } from '../../support/report/told-documents.ts'
import { PERIOD, episode, report, storyOfAWeek } from '../../support/stored/report-input.ts'
import { matchesText, TEXT } from '../../support/texts/matches-text.ts'

for (const name of INPUTS.keys())
  test(`each finding of "${name}" is an OCSF Compliance Finding by the published schema, one for each path`, () => {
    const { findings, texts } = toldBy(summaryOf(name))
    for (const finding of findings) {
      assert.deepEqual(ocsfFaults(finding), [])
      assert.equal(finding.type_uid, 200_300 + finding.activity_id)
    }
    const uids = findings.map(({ finding_info: { uid } }) => uid)
    assert.equal(new Set(uids).size, uids.length)
    assert.equal((texts['ocsf.json'] ?? '').split('\n').length, findings.length === 0 ? 2 : findings.length + 3)
  })

test('the schema refuses what it does not know, so that these tests can fail', () => {
  const [finding] = toldBy(summaryOf('a-week')).findings
  assert.ok(ocsfFaults({ ...finding, surprise: 1 }).length > 0)
  assert.ok(ocsfFaults({ ...finding, severity_id: 17 }).length > 0)
  assert.ok(ocsfFaults({ ...finding, evidences: [{ name: 'nothing' }] }).length > 0)
})

const exposed = (summary: Summary): Exposure => summary.notEncrypted[0] ?? assert.fail()

test('a finding is new, goes on, is waived or is resolved, as the episodes of its path say', () => {
  const path = exposed(summaryOf('a-week'))
  const from = PERIOD.from
  const told = (one: Partial<Exposure>): string => {
    const exposure = { ...path, failures: [], ...one }
    const { activity, status } = lifecycleOf(exposure, { ...NO_DETAILS, exposure }, from)
    return `${activity.caption}, ${status.caption}`
  }
  const waived = { failures: [{ rule: 'path-is-encrypted', waiver: 'accepted' }] }
  const ended = (ending: 'fixed' | 'refused' | 'gone' | 'quiet'): Partial<Exposure> => ({
    isOpen: false,
    episodes: [episode('a', from, PERIOD.to, { ending })],
  })
  assert.deepEqual(
    [
      told({ isOpen: true, since: from }),
      told({ isOpen: true, since: '2026-11-01T00:00:00Z' }),
      told({ isOpen: true, since: '2026-11-01T00:00:00Z', ...waived }),
      told(ended('fixed')),
      told(ended('refused')),
      told(ended('gone')),
      told(ended('quiet')),
      told({ ...ended('quiet'), ...waived }),
      told({ isOpen: false, episodes: [] }),
    ],
    [
      'Create, New',
      'Update, In Progress',
      'Update, Suppressed',
      'Close, Resolved',
      'Close, Resolved',
      'Update, Ended: gone',
      'Update, Ended: quiet',
      'Update, Ended: quiet',
      'Update, Ended',
    ],
  )
})

test('only a pass passes: what was not seen enough is unknown, in status, severity and lifecycle', () => {
  const path: PathSummary = exposed(summaryOf('a-week'))
  const told = (verdict: Verdict) => {
    const judged = { ...path, verdict }
    const { activity, status } = lifecycleOf(judged, NO_DETAILS, PERIOD.from)
    return [
      complianceOf(judged).caption,
      severityIn(judged, NO_DETAILS).caption,
      `${activity.caption}, ${status.caption}`,
    ]
  }
  assert.deepEqual(told('pass'), ['Pass', 'Informational', 'Close, Resolved'])
  assert.deepEqual(told('not-enough-evidence'), ['Unknown', 'Unknown', 'Update, Unknown'])
  matchesText(told('not-applicable'), ['Nothing to judge', 'Informational', TEXT])
  for (const name of INPUTS.keys())
    for (const { compliance, finding_info } of toldBy(summaryOf(name)).findings)
      if (compliance.status_code !== 'pass') {
        assert.notEqual(compliance.status_id, 1)
        assert.doesNotMatch(finding_info.title, /^The path was encrypted/)
      }
})

test('an open path that nobody saw in the period stays open', () => {
  const input = storyOfAWeek()
  const open = episode('a1', '2026-11-02T00:00:00Z')
  const [first] = input.clusters
  const path = input.past[0]?.episodes[0] ?? assert.fail()
  const past = input.past.map((one) =>
    one.id === first?.id ? { ...one, episodes: [...one.episodes, { ...path, pathId: 'a1', episode: open }] } : one,
  )
  const { findings, result } = toldBy(summarise({ ...input, past }))
  const told = findings.find((finding) => finding.unmapped['path_id'] === 'a1')
  assert.deepEqual([told?.status, told?.compliance.status_id], ['In Progress', 99])
  assert.deepEqual(ocsfFaults(told), [])
  assert.ok(
    result.risks?.some((risk) => risk.status === 'open' && risk.description.startsWith('It was not encrypted when')),
  )
})

test('a finding names the owner and severity of the report, and when its path became unencrypted', () => {
  const summary = summaryOf('a-week')
  const { findings } = toldBy(summary)
  const byPath = new Map(findings.map((finding) => [finding.unmapped['path_id'], finding]))
  for (const { pathId, since } of summary.notEncrypted) {
    const finding = byPath.get(pathId)
    assert.equal(finding?.finding_info.created_time, Date.parse(since))
    assert.ok((finding?.severity_id ?? 0) >= 2)
  }
  for (const { owner, target, paths } of summary.actions)
    for (const { pathId } of paths) {
      const [first] = byPath.get(pathId)?.resources ?? []
      assert.deepEqual([first?.owner?.name, first?.name], [owner, target.name])
    }
})

test('a finding names the standards in whose scope its path is, and no others', () => {
  const input = storyOfAWeek()
  const scope: Scope = {
    framework: 'soc-2',
    clusters: [],
    namespaces: ['bank'],
    labels: {},
    owner: '',
    reason: '',
  }
  const scoped = report(input.clusters, { scopes: [scope] })
  const isNamed = (finding: OcsfFinding) => finding.compliance.standards.some((one) => one.startsWith('SOC 2'))
  const { findings } = toldBy(summarise(scoped))
  const named = findings.filter(isNamed)
  assert.ok(named.length > 0 && named.length < findings.length)
  assert.ok(findings.every((finding) => finding.compliance.standards.length > 0))
})

test('a path keeps the uid of its finding from one report to the next', () => {
  const uids = [PERIOD.to, '2026-11-22T23:30:00Z'].map((to) => {
    const input = storyOfAWeek()
    return toldBy(summarise({ ...input, period: { ...input.period, to } })).findings.map((one) => one.finding_info.uid)
  })
  assert.deepEqual(uids[0], uids[1])
})

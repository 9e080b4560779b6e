import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_SETTINGS } from '../../../lib/assess/judge/stored-scope.ts'
import { judge } from '../../../lib/assess/judge/judge.ts'
import type { Judgement, Verdict } from '../../../lib/model/judgement.ts'
import { type Generated, type GeneratedOptions, generatedCluster } from '../../support/stored/generated-cluster.ts'

/** Clusters of all sizes where `CLUSTERS=all`, which take half a minute; else those of 200 paths. */
const SIZES: readonly Pick<GeneratedOptions, 'weeks' | 'paths'>[] =
  process.env['CLUSTERS'] === 'all'
    ? [
        { weeks: 4, paths: 200 },
        { weeks: 4, paths: 2000 },
        { weeks: 13, paths: 200 },
        { weeks: 13, paths: 2000 },
      ]
    : [
        { weeks: 4, paths: 200 },
        { weeks: 13, paths: 200 },
      ]

function judged({ cluster, period }: Generated, wantedShare = 0.99): Judgement {
  const settings = { ...DEFAULT_SETTINGS, wantedShare }
  return judge({ clusters: [cluster], scopes: [], waivers: [], settings, period, at: period.to })
}

/** How many paths of applications have each verdict of encryption. */
function counts({ findings }: Judgement): Partial<Record<Verdict, number>> {
  const own = findings.filter((one) => one.rule === 'path-is-encrypted' && one.class === 'application')
  return Object.fromEntries(
    [...Map.groupBy(own, ({ verdict }) => verdict)].map(([verdict, all]) => [verdict, all.length]),
  )
}

for (const { weeks, paths } of SIZES) {
  const size = { seed: 20_261_124, weeks, paths }

  test(`of ${paths} paths in ${weeks} weeks with restarts, a lost node and an outage at least 99 % pass, each with its share`, (t) => {
    const begun = performance.now()
    const made = generatedCluster(size)
    const middle = performance.now()
    const judgement = judged(made)
    const end = performance.now()
    t.diagnostic(
      `made in ${Math.round(middle - begun)} ms, judged in ${Math.round(end - middle)} ms, ${Math.round(process.memoryUsage().rss / 1e6)} MB`,
    )
    t.diagnostic(JSON.stringify(counts(judgement)))
    assert.ok((counts(judgement).pass ?? 0) >= 0.99 * paths)
    assert.equal(counts(judgement).fail, undefined)
    for (const { rule, verdict, seen, detail } of judgement.findings) {
      if (verdict !== 'pass') continue
      assert.ok((seen?.share ?? 0) >= 0.99, rule)
      assert.match(detail, /, seen for (all|\d\d\.\d %) of its time/, rule)
    }
    assert.ok(judgement.findings.some(({ seen }) => (seen?.share ?? 1) < 1))
    for (const { id, verdict } of judgement.rules) assert.notEqual(verdict, 'fail', id)
  })

  test(`of ${paths} paths in ${weeks} weeks one that is clear for one window fails, and nothing else does`, (t) => {
    const made = generatedCluster({ ...size, amiss: 'clear-path' })
    const judgement = judged(made)
    t.diagnostic(JSON.stringify(counts(judgement)))
    const failed = judgement.findings.filter(({ verdict }) => verdict === 'fail')
    assert.equal(counts(judgement).fail, 1)
    assert.ok((counts(judgement).pass ?? 0) >= 0.99 * paths - 1)
    const clear = made.cluster.rows.find(({ pathId }) => pathId === made.clearPath)
    for (const { rule, subject } of failed)
      if (subject.kind === 'path') assert.equal(subject.pathId, made.clearPath, rule)
      else if (subject.kind === 'port') assert.equal(subject.workload.name, clear?.destination.name, rule)
      else assert.fail(`${rule} fails a ${subject.kind}`)
    assert.deepEqual(
      failed.map(({ rule }) => rule),
      ['path-is-encrypted', 'path-is-mutual', 'inbound-plaintext-absent', 'plaintext-is-refused'],
    )
  })

  test(`of ${paths} paths in ${weeks} weeks with a day not collected none passes where 99 % is wanted, and at least 99 % do where 85 % is`, (t) => {
    const made = generatedCluster({ ...size, amiss: 'lost-day' })
    const [most, less] = [judged(made), judged(made, 0.85)]
    t.diagnostic(JSON.stringify([counts(most), counts(less)]))
    // A day is more than a hundredth of either period.
    assert.deepEqual(counts(most), { 'not-enough-evidence': paths })
    assert.ok((counts(less).pass ?? 0) >= 0.99 * paths)
    assert.equal(counts(less).fail, undefined)
  })
}

/** The numbers of a report for programs: `summary.json`, described in docs/report-data.md. */
import { reportId } from './report-id.ts'
import { printable } from '../../text/printable.ts'
import type { Score } from '../../model/judgement.ts'
import type { Summary } from './summary.ts'

/** Raised where a field changes its meaning or goes; new fields do not raise it. */
const FORMAT = 'ciphertrail/report/1'

/**
 * What a period came to, in numbers. Shares are 0 to 1, seconds are seconds, times are RFC 3339 in UTC; null says that a thing is
 * not known, never that it is nothing. Names are made printable, as everywhere in a report.
 *
 * @param verdict the sentence on top of the documents
 */
export function summaryJson(summary: Summary, verdict: string): string {
  const { period, judgement, episodes, changes } = summary
  const content = {
    format: FORMAT,
    version: summary.version,
    reportId: reportId(summary),
    period: { from: period.from, to: period.to, label: period.label, timeZone: period.timeZone },
    replay: summary.replay,
    verdict,
    checkpoint: summary.checkpoint,
    coverage: {
      expectedWindows: summary.expectedWindows,
      collectedWindows: summary.collectedWindows,
      observedShare: summary.share,
      clusters: summary.clusters.map((cluster) => ({
        id: cluster.id,
        expectedWindows: cluster.expected,
        collectedWindows: cluster.collected,
        missingWindows: cluster.missing,
        unreadableWindows: cluster.failed,
        unmeasuredWindows: cluster.unmeasured,
        expectedOnly: cluster.expectedOnly,
        expectedPodSeconds: cluster.expectedSeconds,
        observedPodSeconds: cluster.observedSeconds,
        observedShare: cluster.share,
        errors: cluster.errors.map(({ line, windows, first, last }) => ({ line, windows, first, last })),
      })),
    },
    paths: {
      judgedClasses: summary.settings.judgedClasses,
      wantedShare: summary.judgement.wantedShare,
      ...summary.figures,
      byState: summary.counts,
      others: summary.others.map(({ class: of, figures, paths }) => ({ class: of, known: paths.length, ...figures })),
    },
    monitored: summary.monitored,
    actions: summary.actions.map(({ paths, ...action }) => ({ ...action, paths: paths.map(({ pathId }) => pathId) })),
    settings: {
      organisation: summary.settings.organisation,
      preparedBy: summary.settings.preparedBy,
    },
    episodes: {
      all: episodes.all.length,
      open: episodes.open,
      endings: episodes.endings,
      timeToFix: {
        episodes: episodes.timeToFix.episodes,
        sinceUnknown: episodes.timeToFix.sinceUnknown,
        medianSeconds: episodes.timeToFix.median,
        longestSeconds: episodes.timeToFix.longest,
        isAtLeast: episodes.timeToFix.isAtLeast,
      },
    },
    changes: { before: changes.before, comparisons: changes.comparisons, counts: changes.counts },
    trend: summary.trend,
    controls: {
      version: judgement.controls.version,
      sha256: judgement.controls.sha256,
      score: scoreOf(judgement.score),
      rules: judgement.rules.map(({ id, verdict: stands, score }) => ({ id, verdict: stands, score: scoreOf(score) })),
      frameworks: judgement.frameworks.map((framework) => ({
        id: framework.id,
        version: framework.version,
        wantedShare: framework.wantedShare,
        score: scoreOf(framework.score),
        scopes: framework.scopes,
        outOfScope: framework.outOfScope,
        controls: framework.controls.map(({ id, relation, verdict: stands, score, byRule }) => ({
          id,
          relation,
          verdict: stands,
          score: scoreOf(score),
          rules: byRule.map(({ rule, verdict: ofRule, score: own, notApplicable }) => ({
            id: rule,
            verdict: ofRule,
            score: scoreOf(own),
            notApplicable,
          })),
        })),
      })),
    },
    waivers: judgement.waivers.map(({ waiver, status, isTooBroad, findings }) => ({
      id: waiver.id,
      status,
      isTooBroad,
      failures: findings,
      owner: waiver.owner,
      expires: waiver.expires,
    })),
    workloads: { known: summary.workloads, notInMesh: summary.unmeshed.length },
  }
  const text = JSON.stringify(content, (_, value: unknown) => (typeof value === 'string' ? plain(value) : value), 2)
  return `${text}\n`
}

/** A checkpoint has lines; everything else is one. */
const plain = (value: string): string => value.split('\n').map(printable).join('\n')

const scoreOf = ({ pass, fail, waived, notEnoughEvidence, incompleteClusters, share }: Score): Score => ({
  pass,
  fail,
  waived,
  notEnoughEvidence,
  incompleteClusters,
  share,
})

import { createHash } from 'node:crypto'
import type { Summary } from './summary.ts'

/**
 * Names a report by its period and by what it is made from: `2026-W48-3f9c41d7`. The same evidence, judged by the same rules, has the same id; a report
 * of other evidence, or of another scope, has another.
 */
export function reportId(summary: Summary): string {
  const { period } = summary
  const week = /^Week (\d{4}-W\d\d)$/u.exec(period.label)?.[1]
  return `${week ?? period.from.slice(0, 10)}-${reportDigest(summary).slice(0, 8)}`
}

/** The SHA-256 (hex) of what a report is made from: what its id begins with. */
export function reportDigest(summary: Summary): string {
  const { period, version, clusters, judgement, settings, checkpoint, removed } = summary
  const basis = [
    [version, period.from, period.to, period.timeZone, settings, removed, checkpoint?.text ?? null],
    clusters.map(({ id, windows }) => [
      id,
      windows.map(({ end, collected, evidence, also = [] }) => [end, collected, evidence, also]),
    ]),
    [judgement.controls.sha256, judgement.waivers.map(({ waiver }) => waiver)],
    judgement.frameworks.map(({ id, scopes, wantedShare }) => [id, scopes, wantedShare]),
  ]
  return createHash('sha256').update(JSON.stringify(basis)).digest('hex')
}

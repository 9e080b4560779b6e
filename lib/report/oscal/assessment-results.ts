/** A report as OSCAL assessment results, described in docs/report-data.md. It counts nothing: all numbers are those of the summary. */
import { createHash } from 'node:crypto'
import { type Pieces, bytesOf, listText, objectText, text } from '../../text/json-lines.ts'
import { stableUuid } from '../stable-uuid.ts'
import { detailsIn } from '../summary/path-details.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import { reportDigest, reportId } from '../summary/report-id.ts'
import type { Summary } from '../summary/summary.ts'
import { logEntries } from './assessment-log.ts'
import { assessmentPlan } from './assessment-plan.ts'
import { findings } from './findings.ts'
import { metadata } from './metadata.ts'
import { pathObservations, ruleObservations, supportingObservations } from './observations.ts'
import { type Prop, markup, prop, someOf } from './oscal-text.ts'
import { reviewedControls } from './reviewed-controls.ts'
import { risks } from './risks.ts'
import { components, inventoryItems } from './subjects.ts'

/** The name of the plan's file, which the results point to. */
const PLAN = 'oscal-plan.json'

/** Both OSCAL documents of a report. Equal summaries give equal text. `verdict` is the sentence on top of the report. */
export function oscalDocuments(
  summary: Summary,
  verdict: string,
): readonly { readonly name: string; readonly body: Uint8Array }[] {
  const plan = assessmentPlan(summary)
  return [
    { name: 'oscal.json', body: assessmentResults(summary, verdict, plan) },
    { name: PLAN, body: plan },
  ]
}

function assessmentResults(summary: Summary, verdict: string, plan: Uint8Array): Uint8Array {
  const resource = stableUuid('assessment-plan-file')
  const sha256 = createHash('sha256').update(plan).digest('hex')
  const body = {
    metadata: text(metadata(summary, 'Assessment results')),
    'import-ap': text({ href: `#${resource}` }),
    results: inList(resultText(summary, verdict)),
    'back-matter': text({
      resources: [
        {
          uuid: resource,
          title: 'Assessment plan',
          rlinks: [{ href: PLAN, 'media-type': 'application/json', hashes: [{ algorithm: 'SHA-256', value: sha256 }] }],
        },
      ],
    }),
  }
  const uuid = text(stableUuid('assessment-results', reportDigest(summary)))
  return bytesOf(objectText({ 'assessment-results': objectText({ uuid, ...body }) }))
}

function resultText(summary: Summary, verdict: string): Pieces {
  const { period, settings } = summary
  const paths = summary.paths.filter((path) => settings.judgedClasses.includes(path.class))
  const entries = someOf(logEntries(summary))
  return objectText({
    uuid: text(stableUuid('result', reportId(summary), period.from, period.to)),
    title: text(markup(period.label)),
    description: text(markup(verdict)),
    start: text(period.from),
    end: text(period.to),
    props: text(resultProps(summary)),
    'local-definitions': objectText({
      components: someOf(components(summary, paths)),
      'inventory-items': paths.length === 0 ? undefined : listText(inventoryItems(summary, paths)),
    }),
    'reviewed-controls': text(reviewedControls(summary)),
    'assessment-log': entries === undefined ? undefined : objectText({ entries }),
    observations: listText(observations(summary, paths)),
    risks: someOf(risks(summary)),
    findings: someOf(findings(summary)),
  })
}

/** Paths first. There is always one, since every rule has one. */
function* observations(summary: Summary, paths: readonly PathSummary[]): Iterable<object> {
  yield* pathObservations(summary, paths, detailsIn(summary))
  yield* ruleObservations(summary)
  yield* supportingObservations(summary)
}

function* inList(item: Pieces): Pieces {
  yield '['
  yield* item
  yield ']'
}

/** The figures of the report (docs/words.md), and what it rests on. */
function resultProps(summary: Summary): readonly Prop[] {
  const { figures, monitored, share, judgement, checkpoint } = summary
  return [
    ...prop('report-id', reportId(summary)),
    ...prop('open-now', figures.openNow),
    ...prop('open-before', figures.openBefore),
    ...prop('at-some-time', figures.atSomeTime),
    ...prop('waived', figures.waived),
    ...prop('waived-now', figures.waivedNow),
    ...prop('not-enough-evidence', figures.notEnoughEvidence),
    ...prop('encrypted', figures.encrypted),
    ...prop('judged', figures.judged),
    ...prop('wanted-share', judgement.wantedShare),
    ...prop('monitored-share', monitored.share),
    ...prop('observed-share', share),
    ...prop('controls-version', judgement.controls.version),
    ...prop('controls-sha256', judgement.controls.sha256),
    ...prop('checkpoint-size', checkpoint?.size),
    ...prop('checkpoint-root', checkpoint?.root),
  ]
}

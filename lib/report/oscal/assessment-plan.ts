/** The assessment plan that the results name: OSCAL has no results without one. It says what each rule tests, and for which controls. */
import { bytesOf, objectText, text } from '../../text/json-lines.ts'
import { stableUuid } from '../stable-uuid.ts'
import { reportDigest } from '../summary/report-id.ts'
import type { Summary } from '../summary/summary.ts'
import { metadata } from './metadata.ts'
import { controlToken, markup, objectiveToken, prop, someOf } from './oscal-text.ts'
import { reviewedControls, testedControls } from './reviewed-controls.ts'
import { TOOL, toolComponent } from './subjects.ts'

/** The plan as `oscal-plan.json`. Equal summaries give equal text. */
export function assessmentPlan(summary: Summary): Uint8Array {
  const ssp = stableUuid('system-security-plan')
  const body = {
    metadata: text(metadata(summary, 'Assessment plan')),
    'import-ssp': text({ href: `#${ssp}` }),
    'local-definitions': objectText({
      'objectives-and-methods': someOf(objectives(summary)),
      activities: someOf(activities(summary)),
    }),
    'reviewed-controls': text(reviewedControls(summary)),
    'assessment-subjects': text([
      { type: 'inventory-item', description: 'Paths between workloads of the judged classes.', 'include-all': {} },
      { type: 'component', description: 'The clusters of the report and their workloads.', 'include-all': {} },
    ]),
    'assessment-assets': text({
      components: [toolComponent(summary)],
      'assessment-platforms': [
        { uuid: stableUuid('platform'), title: 'ciphertrail', 'uses-components': [{ 'component-uuid': TOOL }] },
      ],
    }),
    'back-matter': text({
      resources: [
        {
          uuid: ssp,
          title: 'System security plan',
          description:
            'The system security plan of the organisation. ciphertrail does not know it; put its address here.',
        },
      ],
    }),
  }
  const uuid = text(stableUuid('assessment-plan', reportDigest(summary)))
  return bytesOf(objectText({ 'assessment-plan': objectText({ uuid, ...body }) }))
}

function objectives(summary: Summary): readonly object[] {
  return testedControls(summary).map(({ framework, control }) => ({
    'control-id': controlToken(framework.id, control.id),
    description: markup(`${framework.title} ${control.id}, in our words: ${control.paraphrase}.`),
    props: [...prop('framework', framework.id), ...prop('control', control.id), ...prop('source', control.source)],
    parts: [
      {
        id: objectiveToken(framework, control),
        name: 'assessment-objective',
        prose: markup(
          `Of what was seen in the period, nothing fails these rules, and at least the wanted share was seen: ${control.rules.join(', ')}. ${control.note ?? ''}`.trim(),
        ),
      },
    ],
  }))
}

function activities({ judgement }: Summary): readonly object[] {
  return judgement.rules.map(({ id, title, why }) => ({
    uuid: stableUuid('activity', id),
    title: markup(title),
    description: markup(why),
    props: prop('rule', id),
  }))
}

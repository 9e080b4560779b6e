/** What is said of each control that rules test directly. Only a pass with enough evidence is `satisfied`, and of our objective, not of the control. */
import type { Verdict } from '../../model/judgement.ts'
import { stableUuid } from '../stable-uuid.ts'
import type { Summary } from '../summary/summary.ts'
import { scoreWords } from '../words/vocabulary.ts'
import { controlProps, observationUuid } from './observations.ts'
import { markup, objectiveToken, prop, controlToken } from './oscal-text.ts'
import { testedControls } from './reviewed-controls.ts'

/** What OSCAL has a word for. Missing evidence is no pass: it satisfies nothing. */
const STATUS: Readonly<
  Record<Exclude<Verdict, 'not-applicable'>, { readonly state: string; readonly reason: string }>
> = {
  fail: { state: 'not-satisfied', reason: 'fail' },
  'not-enough-evidence': { state: 'not-satisfied', reason: 'other' },
  pass: { state: 'satisfied', reason: 'pass' },
}

/** What a status leaves out. */
const REMARKS: Readonly<Record<Exclude<Verdict, 'not-applicable'>, string>> = {
  fail: 'Something that a rule forbids was seen. A waived failure is still one.',
  'not-enough-evidence':
    'There is not enough evidence: less than the wanted share was seen, or what was seen does not tell.',
  pass: 'What was seen holds, and at least the wanted share was seen. This is about what was observed, not about the whole control.',
}

/** A finding for each of them that there was something to judge of. */
export function findings(summary: Summary): readonly object[] {
  const { period } = summary
  return testedControls(summary).flatMap(({ framework, control }) => {
    const { verdict } = control
    if (verdict === 'not-applicable') return []
    return [
      {
        uuid: stableUuid('finding', period.from, period.to, framework.id, control.id),
        title: markup(`${framework.title} ${control.id}: ${verdict.replaceAll('-', ' ')}`),
        description: markup(`${control.paraphrase}. ${control.note ?? ''} ${scoreWords(control.score)}.`),
        props: controlProps(framework, control),
        target: {
          type: 'objective-id',
          'target-id': objectiveToken(framework, control),
          props: prop('control-id', controlToken(framework.id, control.id)),
          status: { ...STATUS[verdict], remarks: REMARKS[verdict] },
        },
        'related-observations': control.rules.map((rule) => ({
          'observation-uuid': observationUuid(summary, 'rule', rule),
        })),
      },
    ]
  })
}

/** Which controls were looked at, by their relation: what is tested, what is one input among others, and what nothing here tests. */
import type { ControlResult, FrameworkResult } from '../../model/judgement.ts'
import type { Summary } from '../summary/summary.ts'
import { controlToken, markup, objectiveToken, prop } from './oscal-text.ts'

type Judged = { readonly framework: FrameworkResult; readonly control: ControlResult }

/** Whether a rule says something of a control. */
const isTested = ({ rules }: ControlResult): boolean => rules.length > 0

/** Controls that rules test directly: only they have an objective, and a finding. */
export function testedControls({ judgement }: Pick<Summary, 'judgement'>): readonly Judged[] {
  return controlsOf(judgement.frameworks, (control) => control.relation === 'direct' && isTested(control))
}

/** Controls for which what rules say is one input among others: what was seen is told, and no finding is made of it. */
export function supportedControls({ judgement }: Pick<Summary, 'judgement'>): readonly Judged[] {
  return controlsOf(judgement.frameworks, (control) => control.relation !== 'direct' && isTested(control))
}

function controlsOf(frameworks: readonly FrameworkResult[], isOf: (control: ControlResult) => boolean): Judged[] {
  return frameworks.flatMap((framework) =>
    framework.controls.filter(isOf).map((control): Judged => ({ framework, control })),
  )
}

/** The controls of a report, as both the plan and the results name them. */
export function reviewedControls(summary: Pick<Summary, 'judgement'>): object {
  const { frameworks } = summary.judgement
  const tested = testedControls(summary)
  const selections = frameworks.flatMap((framework) => [
    ...selection(framework, 'direct', 'the observation tests the control'),
    ...selection(framework, 'supports', 'what was seen is one input among others'),
  ])
  const untested = frameworks.flatMap(({ title, controls }) => {
    const ids = controls.filter((control) => !isTested(control)).map(({ id, relation }) => `${id} (${relation})`)
    return ids.length === 0 ? [] : [`${title}: ${ids.join(', ')}`]
  })
  return {
    description: 'Controls by their relation to what was observed. No verdict says that a control is met.',
    'control-selections': selections.length > 0 ? selections : [{ description: 'No control was judged.' }],
    ...(tested.length === 0
      ? {}
      : {
          'control-objective-selections': [
            {
              'include-objectives': tested.map(({ framework, control }) => ({
                'objective-id': objectiveToken(framework, control),
              })),
            },
          ],
        }),
    ...(untested.length === 0 ? {} : { remarks: markup(`Named, and not tested here: ${untested.join('; ')}.`) }),
  }
}

function selection(
  framework: FrameworkResult,
  relation: ControlResult['relation'],
  meaning: string,
): readonly object[] {
  const controls = framework.controls.filter((control) => control.relation === relation && isTested(control))
  if (controls.length === 0) return []
  return [
    {
      description: markup(`${framework.title}, ${framework.version}. Relation: ${relation}, ${meaning}.`),
      props: [
        ...prop('framework', framework.id),
        ...prop('relation', relation),
        ...prop('wanted-share', framework.wantedShare),
        ...prop('scope', framework.scopes.length === 0 ? 'everything seen' : 'declared'),
      ],
      'include-controls': controls.map(({ id }) => ({ 'control-id': controlToken(framework.id, id) })),
    },
  ]
}

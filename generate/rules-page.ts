import type { Framework } from '../lib/assess/judge/control.ts'
import type { Rule } from '../lib/assess/judge/rule.ts'

/** The page `docs/rules.md`: every rule in its own words, and the controls that it says something about. */
export function rulesPage(rules: readonly Rule[], frameworks: readonly Framework[]): string {
  return [
    '# Rules',
    '',
    'Made by `npm run rules` from `lib/assess/judge/rules` and `lib/assess/judge/controls`; a test holds this page to them.',
    '',
    'A rule says of each subject (a path, a port, a workload, a cluster) over a period: `pass`, `fail`, `unknown` or `not-applicable`. It fails closed. What could not be read is `unknown`; a pass is said of a whole period, so each window of it must have been read. `not-applicable` means that there was nothing to judge. Neither is a pass. Controls are listed with the word of their relation: `direct` (the rule tests it), `supports` (one input among others). No control is ever met by a rule.',
    '',
    ...rules.flatMap((rule) => [
      `## ${rule.id}`,
      '',
      `- Tests: ${rule.title}`,
      `- Why: ${rule.why}`,
      `- Needs: ${rule.needs}`,
      `- Controls: ${controlsOf(rule.id, frameworks)}`,
      '',
    ]),
    '## Controls that no rule tests',
    '',
    'They are printed with the verdict `not-applicable` and the reason.',
    '',
    ...frameworks.flatMap(({ title, controls }) =>
      controls
        .filter(({ rules: ids }) => ids.length === 0)
        .map(({ id, relation, paraphrase, note }) => `- ${title} ${id} (${relation}): ${paraphrase}. ${note ?? ''}`),
    ),
    '',
  ].join('\n')
}

function controlsOf(rule: string, frameworks: readonly Framework[]): string {
  return frameworks
    .flatMap(({ title, controls }) => {
      const own = controls.filter(({ rules }) => rules.includes(rule))
      return own.length === 0 ? [] : [`${title} ${own.map(({ id, relation }) => `${id} (${relation})`).join(', ')}`]
    })
    .join('; ')
}

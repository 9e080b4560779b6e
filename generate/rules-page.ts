import type { Framework } from '../lib/assess/judge/control.ts'
import type { Rule } from '../lib/assess/judge/rule.ts'

/** The page `docs/rules.md`: every rule in its own words, and the controls that it says something about. */
export function rulesPage(rules: readonly Rule[], frameworks: readonly Framework[]): string {
  return [
    '# Rules',
    '',
    'Made by `npm run rules` from `lib/assess/judge/rules` and `lib/assess/judge/controls`; a test holds this page to them.',
    '',
    'A rule gives each subject (path, port, workload or cluster) one verdict for a period:',
    '',
    '- `fail`: something that the rule forbids was seen, however little.',
    '- `not enough evidence`: ciphertrail saw less than the wanted share of the period (99 % by default), or what it saw is in doubt. Missing evidence is never a pass.',
    '- `pass`: at least the wanted share was seen, and all of it holds. A pass states its share.',
    '- `not applicable`: there is nothing to judge. This is not a pass.',
    '',
    '[What the numbers mean](words.md#seen-and-the-verdict) defines the shares. Each rule lists the controls that it bears on, with their relation: `direct` (the rule tests the control), `supports` (the rule is one input among others) or `evidence handling` (about how records are kept). No rule shows that a control is met.',
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
    'They are printed as not tested, with the reason, and no verdict counts them.',
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

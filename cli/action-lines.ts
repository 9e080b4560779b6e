/** What to do first, as lines of a terminal. */
import { beganOf, beganWords } from '../lib/report/words/format-episode.ts'
import type { Summary } from '../lib/report/summary/summary.ts'
import { actionEnds, actionTitle } from '../lib/report/words/action-titles.ts'
import { byteWords, plural } from '../lib/report/words/vocabulary.ts'
import { printable } from '../lib/text/printable.ts'

/** So many actions are shown; the report has all. */
const MAX_ACTIONS = 3

/** The first actions with their owners, or why there is none. `moment` words a time. */
export function actionLines(
  { actions, figures, collectedWindows }: Pick<Summary, 'actions' | 'figures' | 'collectedWindows'>,
  moment: (time: string) => string,
): string[] {
  // What was open when it was last seen has no cause in this span that an action could end.
  const unseen = figures.openNow - figures.waivedNow - actions.reduce((total, { paths }) => total + paths.length, 0)
  const dark =
    unseen <= 0
      ? []
      : [
          `${plural(unseen, 'path')} ${unseen === 1 ? 'was' : 'were'} open when last seen, and not seen since: ciphertrail paths --state not-encrypted`,
        ]
  if (actions.length === 0)
    return [
      unseen > 0
        ? 'Do first: find out why nothing is seen any more (ciphertrail cluster check).'
        : figures.openNow > 0
          ? 'Do first: nothing; a waiver accepts all that is open.'
          : collectedWindows === 0
            ? 'Do first: find out why nothing was collected (ciphertrail cluster check).'
            : figures.notEnoughEvidence > 0
              ? 'Do first: nothing is known to be open; see which paths need more evidence (ciphertrail paths).'
              : 'Do first: nothing is known to be open.',
      ...dark,
    ]
  const rest = actions.length - MAX_ACTIONS
  return [
    'Do first (in scope, then the worst state, the most unencrypted bytes, the oldest):',
    ...actions
      .slice(0, MAX_ACTIONS)
      .flatMap((action) => [
        `${action.number}  ${actionTitle(action)}`,
        `   ${actionEnds(action)} · owner ${printable(action.owner)} · open since ${beganWords(beganOf(action), { moment })}${action.clearBytes > 0 ? ` · ${byteWords(action.clearBytes)} unencrypted` : ''}`,
      ]),
    ...(rest > 0 ? [`   ${plural(rest, 'more action')}: see the report, or ciphertrail paths`] : []),
    ...dark,
  ]
}

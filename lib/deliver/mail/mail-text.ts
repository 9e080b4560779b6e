/** The part of a mail in plain text, which says the same as the one in HTML. */
import type { NameView } from '../../report/table-cells.ts'
import { ACTION_ORDER } from './mail-html.ts'
import type { MailFinding, MailList, MailView } from './view-parts.ts'

/**
 * Sets a view as text.
 *
 * @param unsubscribe as {@link mailHtml} has it
 * @param download as {@link mailHtml} has it
 */
export function mailText(view: MailView, unsubscribe: string | null, download: string | null): string {
  const { actions, soon, findings } = view
  const blocks = [
    view.about,
    ...view.warnings.map((line) => [`! ${line}`]),
    [view.verdict],
    ...(view.notes.length === 0 ? [] : [view.notes]),
    ...listBlock(actions, ({ title, facts }, index) => [`${index + 1}. ${title}`, `   ${facts}`], [ACTION_ORDER]),
    ...listBlock(soon, (line) => [`- ${line}`]),
    ...listBlock(findings, (finding) => [findingLine(finding)]),
    ...(view.page === null ? [] : [['How to get the report of the week, with every path:', view.page]]),
    ...(download === null ? [] : [['Download the report as a PDF:', download]]),
    ...(view.report.length === 0 ? [] : [view.report]),
    view.numbers.map(({ title, text }) => `${title}: ${text}`),
    view.footer,
    ...(unsubscribe === null ? [] : [['Unsubscribe from this channel:', unsubscribe]]),
  ]
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function listBlock<T>(
  list: MailList<T> | null,
  linesOf: (item: T, index: number) => readonly string[],
  before: readonly string[] = [],
): readonly (readonly string[])[] {
  if (list === null) return []
  const { title, items, more } = list
  return [[title, '-'.repeat(title.length), ...before, ...items.flatMap(linesOf), ...(more === '' ? [] : [more])]]
}

const nameText = ({ kind, pieces }: NameView): string => `${kind === '' ? '' : `${kind} `}${pieces.join('')}`

function findingLine({ shape, state, source, destination, words }: MailFinding): string {
  return `${shape} ${state}  ${nameText(source)} to ${nameText(destination)}, ${words}`
}

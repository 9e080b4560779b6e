/** The part of a mail in plain text, which says the same as the one in HTML. */
import type { NameView } from '../../report/table-cells.ts'
import type { MailEntryView, FactView, MailSection, MailTable, MailView } from './view-parts.ts'

/**
 * Sets a view as text.
 *
 * @param unsubscribe as {@link mailHtml} has it
 * @param download as {@link mailHtml} has it
 */
export function mailText(view: MailView, unsubscribe: string | null, download: string | null): string {
  const blocks = [
    [view.title, view.about],
    ...view.warnings.map((line) => [`! ${line}`]),
    [view.verdict],
    ...(view.notes.length === 0 ? [] : [view.notes]),
    ...(view.page === null ? [] : [['How to get the report of the week, with every path:', view.page]]),
    ...(download === null ? [] : [['Download the report as a PDF:', download]]),
    ...(view.report.length === 0 ? [] : [view.report]),
    tableLines(view.coverage),
    ...view.sections.map(sectionLines),
    ...(view.waivers.length === 0 ? [] : [[...heading('Waivers that end within 14 days'), ...view.waivers]]),
    tableLines(view.trend),
    ...view.footer.map((line) => [line]),
    ...(unsubscribe === null ? [] : [['Unsubscribe from this channel:', unsubscribe]]),
  ]
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

const heading = (title: string): readonly string[] => [title, '-'.repeat(title.length)]

const nameText = ({ kind, pieces }: NameView): string => `${kind === '' ? '' : `${kind} `}${pieces.join('')}`

function sectionLines({ title, entries, facts, more }: MailSection): readonly string[] {
  return [
    ...heading(title),
    ...entries.flatMap(entryLines),
    ...facts.flatMap(factLines),
    ...(more === '' ? [] : [more]),
  ]
}

function entryLines({ shape, state, source, destination, lines, fix }: MailEntryView): readonly string[] {
  return [
    `${shape} ${state}  ${nameText(source)} to ${nameText(destination)}`,
    ...[...lines, ...fix.map((line) => `fix: ${line}`)].map((line) => `    ${line}`),
  ]
}

function factLines({ line, details }: FactView): readonly string[] {
  return [`- ${line}`, ...details.map((detail) => `    ${detail}`)]
}

function tableLines({ title, columns, rows, more }: MailTable): readonly string[] {
  if (rows.length === 0) return [...heading(title), more]
  const grid = [columns, ...rows.map(({ head, cells }) => [head, ...cells.map(({ text }) => text)])]
  const widths = columns.map((_, index) => Math.max(...grid.map((row) => row[index]?.length ?? 0)))
  const lines = grid.map((row) =>
    row
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return [...heading(title), ...lines, ...(more === '' ? [] : [more])]
}

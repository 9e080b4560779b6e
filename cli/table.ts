import Table from 'cli-table3'
import { printable } from '../lib/report/printable.ts'

/** One column of a table for people: a heading and what stands under it. */
export type Column<T> = {
  readonly heading: string
  readonly text: (row: T) => string
  readonly color?: (text: string, row: T) => string
}

/** Lines of a table in the manner of kubectl: headings, two spaces between columns, no rules. Names are made printable. */
export function tableLines<T>(rows: readonly T[], columns: readonly Column<T>[]): string[] {
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
  }
  const table = new Table({
    head: columns.map(({ heading }) => heading),
    chars: { ...none, left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  for (const row of rows) {
    table.push(
      columns.map(({ text, color }) => {
        const shown = printable(text(row))
        return color === undefined ? shown : color(shown, row)
      }),
    )
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
}

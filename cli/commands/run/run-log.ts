import { printable } from '../../../lib/text/printable.ts'
import { toJson } from '../../../lib/text/format-json.ts'

/** Writes a line for something that happened, with its time. */
export type RunLog = (
  level: 'info' | 'warn' | 'error',
  event: string,
  members: Readonly<Record<string, unknown>>,
) => void

/** A log of one line an event: `json` for machines, `text` (`time level event name=value`) for people. Names in it are harmless in a terminal. */
export function runLog(form: 'json' | 'text', write: (line: string) => void): RunLog {
  return (level, event, members) => {
    const time = new Date().toISOString()
    if (form === 'json') return write(toJson({ time, level, event, ...members }))
    const shown = Object.entries(members).flatMap(([name, value]) =>
      isNothing(value) ? [] : [`${name}=${textOf(value)}`],
    )
    write(printable([time, level, event, ...shown].join(' ')))
  }
}

function isNothing(value: unknown): boolean {
  return value === null || value === undefined || (Array.isArray(value) && value.length === 0)
}

/** As it is where it is one word, else as JSON. */
function textOf(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}

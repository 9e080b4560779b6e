import type { Command } from 'commander'
import { findWeekReport, type ReportRecord, readReport } from '../../../lib/store/evidence/report-records.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { recordReview } from '../../../lib/store/registry/reviews.ts'
import { toJson } from '../../../lib/text/format-json.ts'
import { printable } from '../../../lib/text/printable.ts'
import { type Console, UsageError } from '../../console.ts'
import { openStore } from '../../open-store.ts'
import { readWeek } from '../../option-values.ts'
import { keyOf } from './pack.ts'

type ReviewOptions = { readonly by?: string; readonly note?: string; readonly json?: boolean; readonly store?: string }

const LONGEST_NAME = 200
const LONGEST_NOTE = 2000

/** Adds `ciphertrail review`. */
export function addReview(program: Command, console: Console): void {
  program
    .command('review')
    .summary('record that somebody reviewed a report')
    .description(
      'Records who reviewed a report and what they say of it. The next "ciphertrail seal" makes it a leaf of the log, and the next reports show it.',
    )
    .argument('<report>', 'the id of the report, or its ISO week')
    .requiredOption('--by <name>', 'who reviewed it')
    .requiredOption('--note <text>', 'what they say of it')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail review 2026-W47 --by "Ada Lovelace" --note "W-12 must go"\n  ciphertrail review 20261130T000000Z-0123456789abcdef --by Ada --note ok',
    )
    .action(async (report: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReviewOptions>()
      const reviewer = readText('--by', options.by, LONGEST_NAME)
      const note = readText('--note', options.note, LONGEST_NOTE)
      const objects = openStore(options, console)
      const { key, record } = await reportOf(report, objects)
      const { from, to, label, timeZone } = record.period
      const review = { report: key, period: { from, to, label, timeZone }, reviewer, note }
      const number = await recordReview(review, { now: console.now(), by: console.user }, objects)
      if (options.json === true) console.out(toJson({ number, ...review }))
      else
        console.out(
          printable(`Recorded review ${number}: ${label} (${key}), by ${reviewer}. Run "ciphertrail seal" to seal it.`),
        )
    })
}

async function reportOf(
  text: string,
  objects: Objects,
): Promise<{ readonly key: string; readonly record: ReportRecord }> {
  if (/^\d{4}-W\d\d$/.test(text)) {
    const period = { ...readWeek(text, 'UTC'), label: `Week ${text}`, timeZone: 'UTC' }
    const found = await findWeekReport(period, objects)
    if (found !== undefined) return found
    throw new UsageError(`Cannot review week "${text}": no report of it is kept in the store, name one by its id`)
  }
  const key = keyOf(text)
  const record = await readReport(key, objects)
  if (record === undefined) throw new UsageError(`Cannot review "${key}": there is no such report`)
  return { key, record }
}

function readText(option: string, text = '', longest: number): string {
  const trimmed = text.trim()
  if (trimmed.length > 0 && trimmed.length <= longest && trimmed.isWellFormed()) return trimmed
  throw new UsageError(`Cannot read ${option}: wanted 1 to ${longest} characters, given are ${trimmed.length}`)
}

import { createWriteStream } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { makePack } from '../../../lib/pack/make-pack.ts'
import { PackError } from '../../../lib/pack/select-report.ts'
import type { ReportPeriod } from '../../../lib/report/report-input.ts'
import { isReportKey, reportsPrefix } from '../../../lib/store/report-keys.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { toJson } from '../../../lib/text/format-json.ts'
import { printable } from '../../../lib/text/printable.ts'
import { type Console, UsageError } from '../../console.ts'
import { openStore } from '../../open-store.ts'
import { PERIOD_HELP, periodArguments, type PeriodOptions, readPeriodOptions, WEEK_HELP } from '../../period-options.ts'

type PackOptions = PeriodOptions & {
  readonly out: string
  readonly report?: string
  readonly documents: string
  readonly periodOnly?: boolean
  readonly json?: boolean
  readonly store?: string
}

/** Adds `ciphertrail pack`. */
export function addPack(program: Command, console: Console): void {
  program
    .command('pack')
    .summary('one file for an auditor: a report, its evidence and what proves both')
    .description(
      'Writes the pack of a sealed report: the documents, the evidence, the log that proves it, and a verifier that needs nothing but Node. The same report always gives the same bytes. README.txt in the pack says how to check it. If the store has a time stamp of its checkpoint, that is written beside it, with .tsr after its name.',
    )
    .requiredOption('--out <file>', 'the zip file to write')
    .option('--week <week>', WEEK_HELP)
    .option('--period <period>', PERIOD_HELP)
    .option('--time-zone <zone>', 'IANA time zone of the week (default UTC)')
    .option('--from <time>', 'the period of the report begins after this time')
    .option('--to <time>', '... and ends with this one')
    .option('--report <id>', 'exactly this report, as the API and "log show" name it, instead of that of a period')
    .option(
      '--documents <dir>',
      'the folder that "ciphertrail report" wrote, for documents that are not in the store',
      './ciphertrail-report',
    )
    .option(
      '--period-only',
      'leave out evidence from before and after the period; the report can then not be made again from the pack',
    )
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail pack --week 2026-W47 --out w47.zip\n  ciphertrail pack --period 2026-11-01/2026-12-01 --documents november \\\n      --out november.zip\n  ciphertrail verify w47.zip --key example.com/log+0123abcd+AQ...',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<PackOptions>()
      const { json = false, out } = options
      const period = readPeriodOptions(options, console.now(), 'pack')
      const made = await packTo(out, period, {
        objects: openStore(options, console),
        console,
        documents: options.documents,
        isPeriodOnly: options.periodOnly === true,
        ...(options.report === undefined ? {} : { report: options.report }),
      })
      const { timestamp, ...rest } = made
      const beside = timestamp !== null && 'body' in timestamp ? timestampFile(out) : null
      if (json) console.out(toJson({ file: out, ...rest, timestamp: beside }))
      else {
        console.out(`${printable(out)}: ${made.size} bytes, ${made.members} files, ${made.evidence} pieces of evidence`)
        console.out(`SHA-256 ${made.sha256}`)
        if (beside !== null) console.out(`${printable(beside)}: the time stamp of its checkpoint, give it along`)
      }
      if (timestamp !== null && 'problem' in timestamp)
        console.err(
          `WARNING: The pack is without a time stamp: "${timestamp.key}" is none of its checkpoint (${printable(timestamp.problem)}), run "ciphertrail log check"`,
        )
    })
}

/** Where the time stamp of a pack lies: beside it, since the pack is the same with and without one. */
export function timestampFile(pack: string): string {
  return `${pack}.tsr`
}

/** Writes the pack of a report to a file, whole or not at all, and its time stamp beside it. Throws `PackError` with one line that says what to run. */
export async function packTo(
  out: string,
  period: ReportPeriod,
  {
    objects,
    console,
    documents,
    isPeriodOnly = false,
    report,
  }: {
    readonly objects: Objects
    readonly console: Pick<Console, 'progress' | 'progressEnd' | 'version'>
    /** A folder with documents that the store may not hold. */
    readonly documents: string
    readonly isPeriodOnly?: boolean
    /** The id of one report. */
    readonly report?: string
  },
): ReturnType<typeof makePack> {
  const unfinished = `${out}.new`
  try {
    const made = await makePack(
      {
        period,
        ...(report === undefined ? {} : { key: keyOf(report) }),
        command: `ciphertrail report ${periodArguments(period)}`,
        isPeriodOnly,
        version: console.version,
      },
      () => createWriteStream(unfinished, { flush: true }),
      {
        objects,
        elsewhere: (name) => readFile(join(documents, name)).catch(() => undefined),
        onProgress: (done, of) => console.progress(`Packed ${done} of ${of} sealed objects`),
      },
    )
    // That of an earlier pack would not be one of this.
    await rm(timestampFile(out), { force: true })
    await rename(unfinished, out)
    const { timestamp } = made
    if (timestamp !== null && 'body' in timestamp) await writeFile(timestampFile(out), timestamp.body, { flush: true })
    return made
  } catch (error) {
    await rm(unfinished, { force: true })
    if (error instanceof Error && 'syscall' in error && 'code' in error)
      throw new PackError(
        `Cannot write the pack to "${printable(out)}": ${String(error.code)}, wanted a file that can be written and has space`,
        { cause: error },
      )
    throw error
  } finally {
    console.progressEnd()
  }
}

/** The key of a report, by its id or its key. Throws UsageError. */
export function keyOf(report: string): string {
  const key = report.startsWith(reportsPrefix) ? report : `${reportsPrefix}${report}.json`
  if (isReportKey(key)) return key
  throw new UsageError(
    `Cannot find report "${printable(report)}": wanted an id such as 20261130T000000Z-0123456789abcdef ("ciphertrail log show" names reports)`,
  )
}

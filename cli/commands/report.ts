import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { Cluster } from '../../lib/model/registry.ts'
import { printable } from '../../lib/text/printable.ts'
import type { ReportPeriod } from '../../lib/report/report-input.ts'
import { type MadeReport, makeReport } from '../../lib/jobs/make-report.ts'
import { removedClusters } from '../../lib/jobs/read-report-input.ts'
import { makeFolder } from '../../lib/store/objects/folder.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { StoreError } from '../../lib/store/objects/objects.ts'
import { recordReport } from '../../lib/store/evidence/report-records.ts'
import type { Console } from '../console.ts'
import { chosenClusters, openStore } from '../open-store.ts'
import { collectValues } from '../option-values.ts'
import { PERIOD_HELP, type PeriodOptions, readPeriodOptions, WEEK_HELP } from '../period-options.ts'

/** The options of `report`. */
type ReportOptions = PeriodOptions & {
  readonly cluster?: string[]
  readonly out: string
  readonly json?: boolean
  readonly store?: string
}

/** Adds `ciphertrail report`. */
export function addReport(program: Command, console: Console): void {
  program
    .command('report')
    .summary('the report of a week or another period, as HTML, PDF and data')
    .description(
      'Writes report.html and report.pdf of a period, with the data as CSV, summary.json, oscal.json and ocsf.json beside them: what was observed and what was not, how each control stands, each path that was not encrypted, since when and why. The PDF (PDF/A-3a) holds the CSV files and summary.json, too.',
    )
    .option('--week <week>', WEEK_HELP)
    .option('--period <period>', PERIOD_HELP)
    .option('--time-zone <zone>', 'IANA time zone of the week and of the times in the report (default UTC)')
    .option('--from <time>', 'windows that end after this time')
    .option('--to <time>', '... and not after this one')
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('--out <dir>', 'folder to write to', './ciphertrail-report')
    .option('--json', 'one JSON object that names what was written')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail report\n  ciphertrail report --week 2026-W47 --time-zone Europe/Berlin\n  ciphertrail report --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z \\\n      --cluster prod --out november',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReportOptions>()
      const period = readPeriodOptions(options, console.now(), 'report')
      const { json = false } = options
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      const { verdict, files } = await writeReport(clusters, period, options.out, {
        objects,
        console,
        removed: options.cluster === undefined ? await removedClusters(clusters, objects) : [],
      })
      if (json)
        console.out(JSON.stringify({ verdict, html: pathOf(files, 'html'), pdf: pathOf(files, 'pdf'), files, period }))
      else for (const line of [verdict, ...files]) console.out(line)
    })
}

/** The file of that kind among those written. */
export function pathOf(files: readonly string[], extension: 'html' | 'pdf'): string {
  return files.find((file) => file.endsWith(`.${extension}`)) ?? ''
}

/** What was written: the paths of the files, the page and the PDF first, and what they say. */
export type WrittenReport = Omit<MadeReport, 'files' | 'record'> & { readonly files: readonly string[] }

/** Writes the documents of a period. Throws StoreError where the folder cannot be written. */
export async function writeReport(
  clusters: readonly Cluster[],
  period: ReportPeriod,
  out: string,
  {
    objects,
    console,
    removed = [],
  }: {
    readonly objects: Objects
    readonly console: Pick<Console, 'now' | 'err' | 'progress' | 'progressEnd' | 'version'>
    /** Ids of clusters that are not in the registry any more. */
    readonly removed?: readonly string[]
  },
): Promise<WrittenReport> {
  try {
    const made = await makeReport(
      {
        clusters,
        period,
        now: console.now(),
        version: console.version,
        removed,
      },
      { objects, progress: console.progress, warn: console.err },
    )
    await writeFiles(made.files, out, recordReport(made.record, objects).write)
    return { ...made, files: made.files.map(({ name }) => join(out, name)) }
  } finally {
    console.progressEnd()
  }
}

/** Readers see each old document or the new one, whole, and no new one that could not be recorded. */
async function writeFiles(
  files: readonly { readonly name: string; readonly body: string | Uint8Array }[],
  out: string,
  record: () => Promise<unknown>,
): Promise<void> {
  try {
    await makeFolder(out)
    // All are on the disk before the first takes its place: a full disk leaves the older report as it was.
    for (const { name, body } of files) await writeFile(join(out, `${name}.new`), body, { flush: true })
    await record()
    for (const { name } of files) await rename(join(out, `${name}.new`), join(out, name))
  } catch (error) {
    await Promise.allSettled(files.map(({ name }) => rm(join(out, `${name}.new`), { force: true })))
    if (error instanceof StoreError) throw error
    throw new StoreError(
      `Cannot write the report to "${printable(out)}": ${error instanceof Error && 'code' in error ? String(error.code) : 'it failed'}, wanted a folder that can be written and has space`,
      { cause: error },
    )
  }
}

import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { toSeconds } from '../lib/collect/windows.ts'
import type { Cluster } from '../lib/model.ts'
import { printable } from '../lib/report/printable.ts'
import { summarise } from '../lib/report/summary.ts'
import { viewOf } from '../lib/report/view.ts'
import { checkedZone, weekPeriod } from '../lib/report/week.ts'
import type { Objects } from '../lib/store/objects.ts'
import { StoreError } from '../lib/store/objects.ts'
import { readPeriod } from '../lib/store/period.ts'
import { type Console, UsageError } from './console.ts'
import { chosenClusters, historyProblem, openStore } from './store.ts'
import { collectValues, readTime } from './values.ts'

/** The options of `report`. */
type ReportOptions = {
  readonly week?: string
  readonly timeZone?: string
  readonly from?: string
  readonly to?: string
  readonly cluster?: string[]
  readonly out: string
  readonly json?: boolean
  readonly store?: string
}

/** What a report covers. */
export type ReportPeriod = {
  readonly from: string
  readonly to: string
  readonly label: string
  readonly timeZone: string
}

/** Adds `ciphertrail report`. */
export function addReport(program: Command, console: Console): void {
  program
    .command('report')
    .summary('the report of a week or another period, as HTML and PDF')
    .description(
      'Writes report.html and report.pdf of a period: what was observed and what was not, each path that was not encrypted, since when and why.',
    )
    .option('--week <week>', 'an ISO week, such as 2026-W47')
    .option('--time-zone <zone>', 'IANA time zone of the week and of the times in the report (default UTC)')
    .option('--from <time>', 'windows that end after this time')
    .option('--to <time>', '... and not after this one')
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('--out <dir>', 'folder to write to', './ciphertrail-report')
    .option('--json', 'one JSON object that names what was written')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail report --week 2026-W47 --time-zone Europe/Berlin\n  ciphertrail report --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --cluster prod --out november',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReportOptions>()
      const period = readPeriodOptions(options)
      const objects = openStore(options, console)
      const clusters = await chosenClusters(objects, options.cluster)
      for (const cluster of clusters) {
        const problem = await historyProblem(cluster, objects)
        if (problem !== undefined) throw new Error(problem)
      }
      const written = await writeReport(clusters, period, options.out, { objects, console })
      if (options.json === true) console.out(JSON.stringify({ ...written, period }))
      else {
        console.out(written.verdict)
        console.out(written.html)
        console.out(written.pdf)
      }
    })
}

function readPeriodOptions({ week, timeZone = 'UTC', from, to }: ReportOptions): ReportPeriod {
  try {
    const zone = checkedZone(timeZone)
    if (week !== undefined) {
      if (from !== undefined || to !== undefined)
        throw new UsageError('Cannot use --week together with --from or --to: give one of them')
      return { ...weekPeriod(week, zone), label: `Week ${week}`, timeZone: zone }
    }
    if (from === undefined || to === undefined)
      throw new UsageError('Cannot tell the period of the report: give --week 2026-W47, or both --from and --to')
    const period = { from: readTime('--from', from), to: readTime('--to', to) }
    if (toSeconds(period.from) >= toSeconds(period.to))
      throw new UsageError(`Cannot report from ${period.from} to ${period.to}: wanted --from before --to`)
    return { ...period, label: `${period.from} to ${period.to}`, timeZone: zone }
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(printable(error.message))
    throw error
  }
}

/** Where a report was written, and its verdict in a sentence. */
export type WrittenReport = { readonly html: string; readonly pdf: string; readonly verdict: string }

/** Writes the documents of a period. `replay` is a sentence for the top of them. Throws StoreError where the folder cannot be written. */
export async function writeReport(
  clusters: readonly Cluster[],
  period: ReportPeriod,
  out: string,
  {
    objects,
    console,
    replay,
  }: {
    readonly objects: Objects
    readonly console: Pick<Console, 'now' | 'progress' | 'progressEnd' | 'version'>
    readonly replay?: string
  },
): Promise<WrittenReport> {
  console.progress('Reading the history')
  const input = {
    period,
    version: console.version,
    clusters: await Promise.all(clusters.map((cluster) => readPeriod(cluster, period, console.now(), objects))),
    ...(replay === undefined ? {} : { replay }),
  }
  const view = viewOf(summarise(input))
  console.progress('Setting the report')
  // The renderers are loaded here, since the other commands need neither.
  const [{ renderHtml }, { renderPdf }] = await Promise.all([
    import('../lib/report/html.ts'),
    import('../lib/report/pdf.ts'),
  ])
  const html = join(out, 'report.html')
  const pdf = join(out, 'report.pdf')
  const documents = [
    [html, renderHtml(view)],
    [pdf, renderPdf(view, period.to)],
  ] as const
  try {
    await mkdir(out, { recursive: true })
    for (const [file, body] of documents) {
      // Readers see the old document or the new one, whole.
      await writeFile(`${file}.new`, body)
      await rename(`${file}.new`, file)
    }
  } catch (error) {
    throw new StoreError(
      `Cannot write the report to "${printable(out)}": ${error instanceof Error && 'code' in error ? String(error.code) : 'it failed'}, wanted a folder that can be written and has space`,
      { cause: error },
    )
  } finally {
    console.progressEnd()
  }
  return { html, pdf, verdict: view.verdict }
}

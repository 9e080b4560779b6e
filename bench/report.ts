import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { median } from './processes.ts'

type Run = {
  /** Processor seconds, as everything that does not say otherwise. */
  readonly documentSeconds: number
  readonly htmlSeconds: number
  readonly pdfSeconds: number
  /** By the clock on the wall, as Chromium is measured. */
  readonly pdfElapsedSeconds: number
  readonly peakMegabytes: number
}

const chromium = '/usr/bin/chromium'

/**
 * Measures the documents of a large period: many paths over four weeks of hours, in a process of their own, and Chromium printing the
 * same page, in the same run. `npm run bench -- report --paths 2000 --weeks 4 --runs 3`
 */
export async function benchReport(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      paths: { type: 'string', default: '2000' },
      weeks: { type: 'string', default: '4' },
      runs: { type: 'string', default: '3' },
    },
  })

  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-bench-'))
  try {
    await documents(values, folder)
    const runs: Run[] = []
    for (let run = 0; run < Number(values.runs); run++) {
      const own = JSON.parse(await documents(values, folder)) as Run
      const chromiumElapsedSeconds = existsSync(chromium) ? print(folder) : null
      runs.push(own)
      console.log(
        JSON.stringify({
          run,
          ...own,
          chromiumElapsedSeconds,
          timesFaster:
            chromiumElapsedSeconds === null
              ? null
              : Math.round((chromiumElapsedSeconds / own.pdfElapsedSeconds) * 10) / 10,
        }),
      )
    }
    console.log(
      JSON.stringify({
        paths: Number(values.paths),
        weeks: Number(values.weeks),
        htmlBytes: statSync(join(folder, 'report.html')).size,
        pdfBytes: statSync(join(folder, 'report.pdf')).size,
        medianDocumentSeconds: median(runs.map(({ documentSeconds }) => documentSeconds)),
        medianPeakMegabytes: median(runs.map(({ peakMegabytes }) => peakMegabytes)),
        wanted: { documentSeconds: 3, peakMegabytes: 400 },
      }),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Makes the documents in a process of their own; what it prints is what they cost. */
function documents(values: { readonly paths: string; readonly weeks: string }, folder: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [new URL('report-documents.ts', import.meta.url).pathname, values.paths, values.weeks, folder],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(said)
      else reject(new Error(`Cannot measure the documents: the process ended with ${code}`))
    })
  })
}

/** The seconds that Chromium takes to print the page. */
function print(folder: string): number {
  const began = performance.now()
  const { status } = spawnSync(
    chromium,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      `--print-to-pdf=${join(folder, 'chromium.pdf')}`,
      `file://${join(folder, 'report.html')}`,
    ],
    { stdio: 'ignore' },
  )
  if (status !== 0) throw new Error(`Cannot print with Chromium: it ended with ${status}`)
  return (performance.now() - began) / 1000
}

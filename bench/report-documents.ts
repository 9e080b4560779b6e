import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Judgement } from '../lib/model/judgement.ts'
import { keepHeapSmall } from '../lib/small-heap.ts'
import { peakMegabytes } from '../test/support/process/peak-memory.ts'

// The documents of a large period, and what they cost, as a line of JSON. Arguments: paths, weeks, the folder to write to.
enableCompileCache()
// As bin/ciphertrail.js starts.
keepHeapSmall()
/** The processor seconds of this process: what others do on the machine is not in them. */
const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const [paths = '2000', weeks = '4', folder = '.'] = process.argv.slice(2)
const { largePeriod } = await import('./large-period.ts')
const input = largePeriod(Number(paths), Number(weeks))
const judgementFile = join(folder, 'judgement.json')
if (!existsSync(judgementFile)) {
  // Judged in a process before this one, so that what is measured here is the documents.
  const { judge } = await import('../lib/assess/judge/judge.ts')
  writeFileSync(
    judgementFile,
    JSON.stringify(
      judge({
        clusters: input.clusters,
        scopes: [],
        waivers: [],
        settings: input.settings,
        period: input.period,
        at: input.period.to,
      }),
    ),
  )
  process.exit()
}
const judgement = JSON.parse(readFileSync(judgementFile, 'utf8')) as Judgement
// What it took to make the input is not what the documents take.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
collect()
const began = cpu()
const { dataOf, documentsForTools } = await import('../lib/report/documents.ts')
const { renderHtml } = await import('../lib/report/report-html.ts')
const { renderPdf } = await import('../lib/report/report-pdf.ts')
const { summarise } = await import('../lib/report/summary/summary.ts')
const { viewOf } = await import('../lib/report/report-view.ts')
const summary = summarise({ ...input, judgement, checkpoint: null })
const view = viewOf(summary)
const afterView = cpu()
const data = dataOf(summary, view)
const beforePdf = cpu()
const beganPdf = performance.now()
const pdf = renderPdf(view, input.period.to, data)
const afterPdf = cpu()
const pdfElapsedSeconds = Math.round(performance.now() - beganPdf) / 1000
const html = renderHtml(view)
const afterHtml = cpu()
const tools = documentsForTools(summary, view)
const ended = cpu()
writeFileSync(join(folder, 'report.html'), html)
writeFileSync(join(folder, 'report.pdf'), pdf)
const seconds = (from: number, to: number): number => Math.round(to - from) / 1000
console.log(
  JSON.stringify({
    documentSeconds: seconds(began, ended),
    viewSeconds: seconds(began, afterView),
    dataSeconds: seconds(afterView, beforePdf),
    pdfSeconds: seconds(beforePdf, afterPdf),
    htmlSeconds: seconds(afterPdf, afterHtml),
    toolsSeconds: seconds(afterHtml, ended),
    toolsMegabytes: Math.round(tools.reduce((sum, { body }) => sum + body.length, 0) / 1e5) / 10,
    pdfElapsedSeconds,
    peakMegabytes: peakMegabytes(),
  }),
)

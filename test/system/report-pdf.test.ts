/** The PDF judged by veraPDF, which comes from Maven Central and is kept in the machine's folder for temporary files. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { renderPdf } from '../../lib/report/pdf.ts'
import { summarise } from '../../lib/report/summary.ts'
import type { ReportInput } from '../../lib/report/summary.ts'
import { viewOf } from '../../lib/report/view.ts'
import { goldenPath } from '../support/golden.ts'
import { storyOfAWeek } from '../support/report-input.ts'

const VERSION = '1.28.2'
const kept = join(tmpdir(), 'ciphertrail-verapdf')
const jar = join(kept, `greenfield-apps-${VERSION}.jar`)
const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-pdf-'))

before(() => {
  if (existsSync(jar)) return
  execFileSync('mvn', [
    '--batch-mode',
    '--quiet',
    'dependency:copy',
    `-Dartifact=org.verapdf.apps:greenfield-apps:${VERSION}`,
    `-DoutputDirectory=${kept}`,
  ])
})

after(() => {
  rmSync(folder, { recursive: true })
})

const inputs: ReadonlyMap<string, ReportInput> = new Map([
  ...readdirSync(goldenPath('report')).map(
    (name) => [name, JSON.parse(readFileSync(goldenPath(`report/${name}/input.json`), 'utf8')) as ReportInput] as const,
  ),
  ['a-week', storyOfAWeek()] as const,
])

test('veraPDF finds each PDF to be PDF/UA-1', () => {
  const files = [...inputs].map(([name, input]) => {
    const file = join(folder, `${name}.pdf`)
    writeFileSync(file, renderPdf(viewOf(summarise(input)), input.period.to))
    return file
  })
  const said = execFileSync(
    'java',
    ['-cp', jar, 'org.verapdf.apps.GreenfieldCliWrapper', '-f', 'ua1', '--format', 'text', ...files],
    { encoding: 'utf8' },
  )
  assert.deepEqual(said.trim().split('\n').toSorted(), files.map((file) => `PASS ${file} ua1`).toSorted())
})

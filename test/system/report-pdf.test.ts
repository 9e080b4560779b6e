/** The PDF judged by veraPDF, which comes from Maven Central. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { documentsOf } from '../../lib/report/documents.ts'
import type { ReportInput } from '../../lib/report/report-input.ts'
import { goldenPath } from '../support/golden.ts'
import { completed, judged, storyOfAWeek } from '../support/stored/report-input.ts'
import type { WrittenInput } from '../support/stored/report-input.ts'

const jar =
  process.env['CIPHERTRAIL_VERAPDF'] ??
  assert.fail('Cannot run veraPDF: CIPHERTRAIL_VERAPDF is not set, run test/system/run')
const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-pdf-'))

after(() => {
  rmSync(folder, { recursive: true })
})

const inputs: ReadonlyMap<string, ReportInput> = new Map([
  ...readdirSync(goldenPath('report')).map(
    (name) =>
      [
        name,
        judged(completed(JSON.parse(readFileSync(goldenPath(`report/${name}/input.json`), 'utf8')) as WrittenInput)),
      ] as const,
  ),
  ['a-week', storyOfAWeek()] as const,
])

/** What veraPDF says of files, by profile: a line for each file, and for each clause that one breaks. */
function judge(profile: string, files: readonly string[]): readonly string[] {
  const { stdout } = spawnSync(
    'java',
    ['-cp', jar, 'org.verapdf.apps.GreenfieldCliWrapper', '-f', profile, '--format', 'text', '-v', ...files],
    { encoding: 'utf8' },
  )
  return stdout.trim().split('\n').toSorted()
}

const files = [...inputs].map(([name, input]) => {
  const file = join(folder, `${name}.pdf`)
  const { files: documents } = documentsOf(input)
  writeFileSync(file, documents.find(({ name: own }) => own === 'report.pdf')?.body ?? '')
  return file
})

test('veraPDF finds each PDF to be PDF/A-3a, with its data attached', () => {
  assert.deepEqual(judge('3a', files), files.map((file) => `PASS ${file} 3a`).toSorted())
})

// One file can name one standard only. What PDF/UA-1 asks for beyond PDF/A-3a is there, but for that name (5-1) and the title in the
// title bar (7.1-10), which the setter writes for the other standard only.
test('of PDF/UA-1 each PDF lacks nothing but its name', () => {
  const missing = judge('ua1', files).filter((line) => /^ +FAIL/u.test(line))
  assert.deepEqual([...new Set(missing.map((line) => line.trim()))], ['FAIL 5-1', 'FAIL 7.1-10'])
})

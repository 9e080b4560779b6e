/** All documents of a period say the same, on stories and on generated periods. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { extractText, getDocumentProxy } from 'unpdf'
import type { State } from '../../lib/model/path.ts'
import type { Waiver } from '../../lib/model/judgement.ts'
import { VERDICTS } from '../../lib/model/judgement.ts'
import { documentsOf } from '../../lib/report/documents.ts'
import type { Documents } from '../../lib/report/documents.ts'
import type { ReportInput } from '../../lib/report/report-input.ts'
import { summarise } from '../../lib/report/summary/summary.ts'
import { viewOf } from '../../lib/report/report-view.ts'
import { cluster, episode, hours, report, storyOfAWeek, workload } from '../support/stored/report-input.ts'
import { matchesText } from '../support/texts/matches-text.ts'

type Row = Readonly<Record<string, string>>

const bodyOf = ({ files }: Documents, name: string): string => {
  const body = files.find((file) => file.name === name)?.body
  assert.ok(typeof body === 'string', `there is no text "${name}"`)
  return body
}
const rowsOf = (documents: Documents, name: string): readonly Row[] =>
  parse(bodyOf(documents, name), { columns: true, record_delimiter: '\r\n' })

/** How many are open now, were open at some time, and lack evidence, as each document has them; `unknown` is nothing that was seen. */
async function figuresOf(documents: Documents): Promise<Readonly<Record<string, readonly number[]>>> {
  const { summary, view } = documents
  const numbersOf = (words: readonly string[]): readonly number[] =>
    words.slice(0, 3).map((word) => (word === 'unknown' ? 0 : Number(word.replaceAll(',', ''))))
  const pdf = documents.files.find(({ name }) => name === 'report.pdf')?.body
  assert.ok(pdf instanceof Uint8Array)
  const { text } = await extractText(await getDocumentProxy(new Uint8Array(pdf)), { mergePages: true })
  const json = JSON.parse(bodyOf(documents, 'summary.json')) as { paths: Readonly<Record<string, number>> }
  const labels = view.pageOne.figures.map(({ label }) => label.replace(/\s/gu, ''))
  return {
    summary: [summary.figures.openNow, summary.figures.atSomeTime, summary.figures.notEnoughEvidence],
    view: numbersOf(view.pageOne.figures.map(({ value }) => value)),
    page: numbersOf(
      Array.from(
        bodyOf(documents, 'report.html').matchAll(/<span class="value">([^<]*)<\/span>/gu),
        ([, value]) => value ?? '',
      ),
    ),
    pdf: numbersOf(
      labels.map((label) => new RegExp(`([\\d,]+|unknown)${label}`, 'u').exec(text.replace(/\s/gu, ''))?.[1] ?? ''),
    ),
    json: ['openNow', 'atSomeTime', 'notEnoughEvidence'].map((name) => json.paths[name] ?? -1),
  }
}

/** Everything that is a total in one document and a list in another. */
async function assertTotalsAgree(documents: Documents): Promise<void> {
  const figures = await figuresOf(documents)
  for (const [document, own] of Object.entries(figures)) assert.deepEqual(own, figures['summary'], document)
  const { summary } = documents
  const { judgement } = summary
  const json = JSON.parse(bodyOf(documents, 'summary.json')) as {
    paths: { atSomeTime: number; notEnoughEvidence: number; judged: number; byState: Record<string, number> }
    episodes: { all: number; open: number; endings: Record<string, number> }
    coverage: { expectedWindows: number; collectedWindows: number }
    controls: { score: Record<string, number | null>; frameworks: readonly { controls: readonly unknown[] }[] }
    changes: { counts: Record<string, number> }
  }
  const paths = rowsOf(documents, 'paths.csv').filter((row) => row['class'] === 'application')
  assert.equal(paths.filter((row) => row['not_encrypted'] === 'true').length, json.paths.atSomeTime)
  assert.equal(paths.filter((row) => row['status'] !== '').length, json.paths.atSomeTime)
  assert.equal(paths.filter((row) => row['verdict'] === 'not-enough-evidence').length, json.paths.notEnoughEvidence)
  for (const [state, count] of Object.entries(json.paths.byState))
    assert.equal(paths.filter((row) => row['state'] === state).length, count, state)

  const episodes = rowsOf(documents, 'episodes.csv')
  assert.equal(episodes.length, json.episodes.all)
  assert.equal(episodes.filter((row) => row['ended_at'] === '').length, json.episodes.open)
  for (const [ending, count] of Object.entries(json.episodes.endings))
    assert.equal(episodes.filter((row) => row['ending'] === ending).length, count, ending)

  const windows = rowsOf(documents, 'windows.csv')
  assert.equal(windows.length, json.coverage.expectedWindows)
  assert.equal(windows.filter(({ status }) => status === 'collected').length, json.coverage.collectedWindows)

  const findings = rowsOf(documents, 'findings.csv')
  const judgedOnes = findings.filter((row) => row['counted'] === 'true')
  const ofCluster = findings.filter((row) => row['class'] === '' && row['counted'] === 'false')
  assert.ok(ofCluster.every((row) => row['verdict'] === 'not-enough-evidence' && row['subject_kind'] === 'cluster'))
  assert.equal(
    judgedOnes.length + ofCluster.length,
    findings.filter((row) => ['application', ''].includes(row['class'] ?? '')).length,
  )
  const waived = judgedOnes.filter(({ verdict, waiver }) => verdict === 'fail' && waiver !== '').length
  assert.equal(findings.length, judgement.findings.length)
  const of = (verdict: string): number => judgedOnes.filter((row) => row['verdict'] === verdict).length
  assert.deepEqual(
    { pass: of('pass'), fail: of('fail') - waived, waived, lacking: of('not-enough-evidence') },
    {
      pass: json.controls.score['pass'],
      fail: json.controls.score['fail'],
      waived: json.controls.score['waived'],
      lacking: json.controls.score['notEnoughEvidence'],
    },
  )
  assert.equal(
    rowsOf(documents, 'controls.csv').length,
    json.controls.frameworks.reduce((sum, { controls }) => sum + controls.length, 0),
  )
  const changes = rowsOf(documents, 'changes.csv')
  for (const [kind, count] of Object.entries(json.changes.counts))
    assert.equal(changes.filter(({ change }) => change === kind).length, count, kind)
}

const STATES_SEEN: readonly State[] = [
  'plaintext',
  'no-mesh-tls',
  'unknown',
  'tls-anonymous',
  'app-tls',
  'mtls',
  'exempt',
]

/** Periods of one day: paths in random states, refused or not, with gaps, episodes and waivers. */
const periods = fc
  .record({
    lives: fc.array(
      fc.array(
        fc.record({
          length: fc.integer({ min: 1, max: 12 }),
          state: fc.constantFrom(...STATES_SEEN),
          isRefused: fc.boolean(),
          hasEpisode: fc.boolean(),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      { maxLength: 12 },
    ),
    missing: fc.uniqueArray(fc.nat({ max: 23 }), { maxLength: 24 }),
    failed: fc.uniqueArray(fc.nat({ max: 23 }), { maxLength: 6 }),
    waived: fc.option(fc.nat({ max: 12 }), { nil: undefined }),
  })
  .map(({ lives, missing, failed, waived }): ReportInput => {
    const day = { from: '2026-11-20T00:00:00Z', to: '2026-11-21T00:00:00Z' }
    const windows = hours({ ...day, missing, failed })
    const paths = lives.map((life, index) => {
      let from = 0
      const stretches = life.map(({ length, state, isRefused, hasEpisode }) => {
        const stretch = { from, to: Math.min(23, from + length - 1), state }
        const isClear = state === 'plaintext' || state === 'no-mesh-tls'
        const opened = windows[stretch.from]?.start ?? day.from
        const closed = windows[stretch.to]?.end ?? day.to
        from += length
        return {
          ...stretch,
          outcome: isClear && isRefused ? ('refused' as const) : ('allowed' as const),
          episode:
            isClear && !isRefused && hasEpisode ? episode(`p${index}`, opened, closed >= day.to ? null : closed) : null,
        }
      })
      return {
        pathId: `p${index}`,
        source: workload('deployment', `team-${index % 3}`, `web-${index}`),
        destination: workload('deployment', `team-${index % 4}`, `api-${index}`),
        port: 8080,
        stretches: stretches.filter((stretch) => stretch.from <= 23),
      }
    })
    const west = cluster('west', windows, paths)
    const waivers: readonly Waiver[] =
      waived === undefined
        ? []
        : [
            {
              id: 'w',
              destination: `deployment/team-${waived % 4}/api-${waived}`,
              owner: 'o',
              reason: 'r',
              compensatingControl: 'c',
              expires: '2026-12-24T00:00:00Z',
            },
          ]
    const episodes = [
      ...new Map(
        west.rows.flatMap(({ pathId, source, destination, port, episode: own }) =>
          own === null ? [] : [[own.id, { pathId, source, destination, port, episode: own }] as const],
        ),
      ).values(),
    ]
    const before = {
      from: '2026-11-19T00:00:00Z',
      to: day.from,
      windows: hours({ from: '2026-11-19T00:00:00Z', to: day.from }),
      rows: [],
    }
    return report([west], {
      period: { ...day, label: 'Fri 20 Nov 2026', timeZone: 'UTC' },
      waivers,
      past: [{ id: 'west', periods: [before], episodes }],
    })
  })

test('totals agree in summary, view, page, PDF, CSV and JSON, on a story of a week', async () => {
  await assertTotalsAgree(documentsOf(storyOfAWeek()))
})

test('totals agree in all documents on generated periods', async () => {
  await fc.assert(
    fc.asyncProperty(periods, async (input) => {
      await assertTotalsAgree(documentsOf(input))
    }),
    { numRuns: 8 },
  )
})

test('a period with a gap or something unknown never reads as if nothing was amiss', () => {
  fc.assert(
    fc.property(periods, (input) => {
      const summary = summarise(input)
      const { verdict } = viewOf(summary)
      const isWhole = summary.share === 1 && summary.collectedWindows === summary.expectedWindows
      if (!isWhole) assert.match(verdict, /Nothing was collected|Nothing was observed|Monitored /u)
      if (summary.notEnoughEvidence.length > 0 && summary.collectedWindows > 0)
        assert.match(verdict, /needs? more evidence/u)
      for (const { id, verdict: stands } of summary.judgement.rules)
        if (
          summary.judgement.findings.some((finding) => finding.rule === id && finding.verdict === 'not-enough-evidence')
        )
          assert.ok(VERDICTS.indexOf(stands) <= VERDICTS.indexOf('not-enough-evidence'), id)
    }),
    { numRuns: 40 },
  )
})

test('a waived failure is shown as waived, and stays counted as not encrypted', () => {
  const documents = documentsOf(storyOfAWeek())
  const waived = documents.summary.notEncrypted.find(({ destination }) => destination.kind === 'external')
  const rows = documents.view.sections
    .find(({ id }) => id === 'not-encrypted')
    ?.groups.find(({ id }) => id === 'waived')?.table.rows
  const row = rows?.find(({ id }) => id === `path-${waived?.pathId ?? ''}`)
  assert.deepEqual(row?.head.lines, ['low'])
  matchesText(row?.detail?.lines.at(-1))
  matchesText(documents.view.verdict)
})

test('an expired waiver accepts nothing, and is told in the register', () => {
  const { view, summary } = documentsOf(storyOfAWeek())
  const expired = summary.judgement.waivers.find(({ waiver }) => waiver.id === 'ledger-audit')
  assert.equal(expired?.status, 'expired')
  assert.ok(
    summary.notEncrypted.some(
      ({ destination, failures }) =>
        destination.name === 'ledger-db' && failures.every(({ waiver }) => waiver === null),
    ),
  )
  const register = view.sections.find(({ id }) => id === 'waivers')
  assert.ok(JSON.stringify(register).includes('expired'))
})

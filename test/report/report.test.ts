import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { extractText, getDocumentProxy } from 'unpdf'
import { renderHtml } from '../../lib/report/report-html.ts'
import { renderPdf } from '../../lib/report/report-pdf.ts'
import { MARKS } from '../../lib/report/drawing/state-looks.ts'
import type { ReportInput } from '../../lib/report/report-input.ts'
import { csvFiles } from '../../lib/report/csv/report-csv.ts'
import { documentsOf } from '../../lib/report/documents.ts'
import { summaryJson } from '../../lib/report/summary/summary-json.ts'
import { section } from '../../lib/report/section.ts'
import { summarise } from '../../lib/report/summary/summary.ts'
import type { Summary } from '../../lib/report/summary/summary.ts'
import type { NameView, TableView } from '../../lib/report/table-cells.ts'
import { viewOf } from '../../lib/report/report-view.ts'
import type { ReportView } from '../../lib/report/report-view.ts'
import type { FixStep } from '../../lib/report/words/split-fix.ts'
import type { TitlePart } from '../../lib/report/words/action-titles.ts'
import { goldenPath, matchesGolden } from '../support/golden.ts'
import {
  cluster,
  completed,
  hours,
  judged,
  manyPaths,
  PERIOD,
  report,
  storyOfAWeek,
  workload,
} from '../support/stored/report-input.ts'
import type { WrittenInput } from '../support/stored/report-input.ts'

const CASES = readdirSync(goldenPath('report'))

const inputOf = (name: string): ReportInput =>
  judged(completed(JSON.parse(readFileSync(goldenPath(`report/${name}/input.json`), 'utf8')) as WrittenInput))

function render(input: ReportInput): { summary: Summary; view: ReportView; html: string } {
  const summary = summarise(input)
  const view = viewOf(summary)
  return { summary, view, html: renderHtml(view) }
}

/** What a reader of the page reads, without white space. */
function textOfHtml(html: string): string {
  return html
    .replace(/<style>.*?<\/style>|<title>.*?<\/title>|<[^>]*>/gsu, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#x27;', "'")
    .replaceAll('&#x60;', '`')
    .replaceAll('&#x3D;', '=')
    .replaceAll('&amp;', '&')
    .replace(/\s/gu, '')
}

/** What a reader of the PDF reads, without white space and what is at the foot of each page. */
async function textOfPdf(pdf: Uint8Array, footer: string): Promise<string> {
  const { text } = await extractText(await getDocumentProxy(new Uint8Array(pdf)), { mergePages: false })
  const foot = footer.replace(/\s/gu, '').replace(/[.*+?^${}()|[\]\\]/gu, '\\$&')
  return text
    .map((page) => page.replace(/\s/gu, ''))
    .join('')
    .replaceAll(new RegExp(`${foot}page\\d+of${text.length}`, 'gu'), '')
}

const whole = ({ kind, pieces }: NameView): string => `${kind}${pieces.join('')}`

const textsOfSteps = (steps: readonly FixStep[]): readonly string[] =>
  steps.flatMap(({ text, command }) => [text, ...command])

const textsOfTable = ({ title, caption, columns, rows }: TableView): readonly string[] => [
  title,
  caption,
  ...(rows.length === 0 ? [] : columns.map((column) => column.title)),
  ...rows.flatMap(({ head, cells, detail }) => [
    ...[head, ...cells].flatMap(({ state, names, lines, notes }) => [
      ...(state === null ? [] : [`${state.shape}${state.word}`]),
      ...names.map(whole),
      ...lines,
      ...notes,
    ]),
    ...(detail?.lines ?? []),
    ...textsOfSteps(detail?.fix ?? []),
  ]),
]

const titleText = (parts: readonly TitlePart[]): string => parts.map(({ text }) => text).join('')

/** Every text of page one that both documents must show. */
function textsOfPageOne(view: ReportView): readonly string[] {
  const { facts, verdict, beside, figures, bars, coverage, coverageNote, actions, actionsNote } = view.pageOne
  const { barsNote, legend, controls, notSeen, seal, verify, verifyNote } = view.pageOne
  return [
    view.title,
    view.label,
    ...(view.replay === null ? [] : [view.replay]),
    verdict,
    beside,
    ...facts.flatMap(({ term, text }) => [term, text]),
    ...figures.flatMap(({ value, label, note }) => [value, label, note]),
    ...bars.flatMap(({ label, counts, note }) => [label, ...counts.map(({ word }) => word), note]),
    barsNote,
    coverageNote,
    ...legend.map(({ word }) => word),
    ...coverage.flatMap(({ label, note }) => [label, note]),
    actionsNote,
    ...actions.flatMap(({ title, facts: own }) => [titleText(title), own]),
    ...textsOfTable(controls),
    ...notSeen,
    ...seal,
    verify,
    verifyNote,
  ]
}

/** Every text of a view that both documents must show. */
function textsOf(view: ReportView): readonly string[] {
  return [
    ...textsOfPageOne(view),
    ...[...view.sections, ...view.appendix].flatMap(({ title, paragraphs, legend, groups, tables, points }) => [
      title,
      ...paragraphs,
      ...legend.map(({ word }) => word),
      ...points,
      ...groups.flatMap((group) => [
        titleText(group.title),
        group.facts,
        ...textsOfSteps(group.fix),
        ...textsOfTable(group.table),
      ]),
      ...tables.flatMap(textsOfTable),
    ]),
  ]
}

/** Rows of the groups of paths that were not encrypted. */
const findingsOf = (view: ReportView): number =>
  view.sections
    .find(({ id }) => id === 'not-encrypted')
    ?.groups.reduce((sum, { table }) => sum + table.rows.length, 0) ?? 0

for (const name of CASES) {
  const input = inputOf(name)
  const { summary, view, html } = render(input)

  test(`renderHtml() gives the golden page of "${name}"`, () => {
    matchesGolden(`report/${name}/report.html`, html)
  })

  test(`summaryJson() and csvFiles() give the golden data of "${name}"`, () => {
    matchesGolden(`report/${name}/summary.json`, summaryJson(summary, view.verdict))
    for (const { name: file, body } of csvFiles(summary))
      if (file === 'paths.csv' || file === 'coverage.csv') matchesGolden(`report/${name}/${file}`, body)
  })

  test(`page and PDF of "${name}" show every text of the view`, async () => {
    const page = textOfHtml(html)
    const pdf = renderPdf(view, input.period.to, [])
    const paper = await textOfPdf(pdf, view.footer)
    const { text: pages } = await extractText(await getDocumentProxy(new Uint8Array(pdf)), { mergePages: false })
    const seal = [...view.pageOne.seal, view.pageOne.verifyNote].join('').replace(/\s/gu, '')
    assert.ok(pages[0]?.replace(/\s/gu, '').includes(seal.slice(-40)), 'page one is longer than a page')
    assert.ok(pages[0]?.replace(/\s/gu, '').endsWith(`page1of${pages.length}`))
    for (const text of textsOf(view)) {
      const bare = text.replace(/\s/gu, '')
      assert.ok(page.includes(bare), `the page lacks "${text}"`)
      const drawn = bare.replace(/[\u4E00-\u9FFF]/gu, (c) => `[U+${c.codePointAt(0)?.toString(16).toUpperCase()}]`)
      assert.ok(paper.includes(drawn), `the PDF lacks "${text}"`)
    }
  })

  test(`the numbers of "${name}" add up`, () => {
    const { counts, figures, settings } = summary
    const judgedPaths = summary.paths.filter((path) => settings.judgedClasses.includes(path.class))
    assert.equal(
      MARKS.reduce((sum, mark) => sum + counts[mark], 0),
      judgedPaths.length,
    )
    assert.equal(summary.notEncrypted.length, counts.plaintext + counts['no-mesh-tls'])
    assert.equal(figures.judged, figures.atSomeTime + figures.notEnoughEvidence + figures.encrypted)
    assert.equal(findingsOf(view), summary.notEncrypted.length)
    for (const { expected, collected, missing, failed } of summary.clusters)
      assert.equal(expected, collected + missing + failed)
  })

  test(`"${name}" neither comforts nor alarms`, () => {
    assert.doesNotMatch(
      textsOf(view).join('\n'),
      /\bsecured?\b|complian|all[- ]good|all[- ]clear|\bsafe\b|danger|alarm/iu,
    )
  })
}

test('the page loads nothing and runs nothing, whatever names say', () => {
  const { html } = render(inputOf('hostile-names'))
  const tags = new Set(Array.from(html.matchAll(/<([a-z0-9]+)/giu), ([, tag]) => tag))
  for (const tag of ['script', 'img', 'link', 'iframe', 'object', 'embed', 'form', 'base'])
    assert.ok(!tags.has(tag), tag)
  assert.doesNotMatch(html, /<[^>]*\s(?:on\w+|src|action|formaction|srcset)\s*=/iu)
  for (const [, target] of html.matchAll(/href="([^"]*)"/gu)) assert.match(target ?? '', /^#[a-z0-9-]+$/u)
  assert.doesNotMatch(html.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
  assert.match(html, /\[U\+202E\]/u)
})

test('no name yields markup in the page, or stops the PDF', () => {
  // A fix of several lines is shown as several lines: the one thing in a text that is a structure.
  const anyName = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).map((name) => name.replaceAll('\n', ' '))
  const windows = hours({ from: '2026-11-20T00:00:00Z', to: '2026-11-20T02:00:00Z' })
  const named = (...names: string[]): ReportInput =>
    report(
      [
        cluster(
          'west',
          windows,
          names.map((name, index) => ({
            pathId: `a${index}`,
            source: workload('deployment', 'shop', name),
            destination: workload('deployment', name, 'web'),
            port: 1,
            stretches: [{ from: 0, to: 1, state: 'plaintext', reason: name, cause: 'unknown', fix: name }],
          })),
        ),
      ],
      { period: { ...PERIOD, from: '2026-11-20T00:00:00Z', to: '2026-11-20T02:00:00Z' } },
    )
  const outline = (html: string): string =>
    html
      .replace(/<wbr>/gu, '')
      .match(/<\/?[a-z0-9]+/gu)
      ?.join('') ?? ''
  const plain = outline(render(named('plain')).html)
  fc.assert(
    fc.property(anyName, (name) => {
      assert.equal(outline(render(named(name)).html), plain)
    }),
    { numRuns: 60 },
  )
  // A PDF takes as long for many names as for one.
  fc.assert(
    fc.property(fc.array(anyName, { minLength: 12, maxLength: 12 }), (names) => {
      const { view } = render(named(...names))
      assert.ok(renderPdf(view, '2026-11-20T02:00:00Z', []).length > 0)
    }),
    { numRuns: 5 },
  )
})

test('of two thousand paths the most urgent have a row, the others are counted, and each stands in the CSV', () => {
  const { html, view, summary } = render(manyPaths(2000))
  assert.equal(findingsOf(view), 50)
  assert.match(textOfHtml(html), /1,950paths,groupedbynamespaces/u)
  const paths = csvFiles(summary).find(({ name }) => name === 'paths.csv')
  assert.equal(paths?.body.split('\r\n').length, 2000 + 2)
})

test('templates have no triple braces and no unescaped values', () => {
  const template = readFileSync(new URL('../../lib/report/templates/report.hbs', import.meta.url), 'utf8')
  assert.doesNotMatch(template, /\{\{\{|\{\{&/u)
})

test('the view reaches Typst as data, never as source', () => {
  for (const name of ['report.typ', 'parts.typ']) {
    const template = readFileSync(new URL(`../../lib/report/templates/${name}`, import.meta.url), 'utf8')
    assert.doesNotMatch(template.replace('#import "parts.typ": *', ''), /\beval\b|\bread\(|#import|#include/u)
  }
})

test('documentsOf() gives the same bytes again, also in other time zones and locales', () => {
  const script = `
    import { createHash } from 'node:crypto'
    import { documentsOf } from './lib/report/documents.ts'
    import { storyOfAWeek } from './test/support/stored/report-input.ts'
    for (const { name, body } of documentsOf(storyOfAWeek()).files)
      console.log(name, createHash('sha256').update(body).digest('hex'))`
  const run = (TZ: string, LANG: string): string =>
    execFileSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: { ...process.env, TZ, LANG, LC_ALL: LANG },
      encoding: 'utf8',
    }).trim()
  const here = documentsOf(storyOfAWeek()).files.map(
    ({ name, body }) => `${name} ${createHash('sha256').update(body).digest('hex')}`,
  )
  assert.equal(here.length, 17)
  assert.deepEqual(run('America/St_Johns', 'de_DE.UTF-8').split('\n'), here)
  assert.deepEqual(run('Asia/Tokyo', 'tr_TR.UTF-8').split('\n'), here)
})

test('the order of clusters’ rows, coverage, workloads, errors and past changes no byte', () => {
  const input = storyOfAWeek()
  const reversed = {
    ...input,
    clusters: input.clusters.map((one) => ({
      ...one,
      rows: one.rows.toReversed(),
      coverage: one.coverage.toReversed(),
      workloads: one.workloads.toReversed(),
      errors: one.errors.toReversed(),
    })),
    past: input.past.map((one) => ({
      ...one,
      periods: one.periods.map((period) => ({ ...period, rows: period.rows.toReversed() })),
      episodes: one.episodes.toReversed(),
    })),
  }
  const text = ({ files }: ReturnType<typeof documentsOf>): readonly unknown[] =>
    files.filter(({ name }) => name !== 'report.pdf')
  assert.deepEqual(text(documentsOf(reversed)), text(documentsOf(input)))
})

test('the PDF is tagged, titled, has a language and is dated to the end of the period', async () => {
  const input = inputOf('partial')
  const { view } = render(input)
  const pdf = await getDocumentProxy(new Uint8Array(renderPdf(view, input.period.to, [])))
  const { info } = await pdf.getMetadata()
  assert.partialDeepStrictEqual(info, {
    Title: `${view.title}: ${view.label}`,
    Language: 'en',
    CreationDate: 'D:20261025100000Z',
  })
  assert.deepEqual(await pdf.getMarkInfo(), { Marked: true, UserProperties: false, Suspects: false })
})

test('every character that the PDF is said to draw is drawn', () => {
  const drawable = [
    [0x20, 0x7e],
    [0xa1, 0xac],
    [0xae, 0x17f],
    [0x386, 0x386],
    [0x388, 0x38a],
    [0x38c, 0x38c],
    [0x38e, 0x3a1],
    [0x3a3, 0x3ce],
    [0x400, 0x45f],
  ].flatMap(([from = 0, to = -1]) =>
    Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)),
  )
  const { view } = render(inputOf('empty'))
  const signs = `${drawable.join('')}–—‘’“”…→−×●◐○▲△✕⊘✓✗`
  const name = { kind: signs, pieces: [signs] }
  const cell = {
    label: signs,
    state: null,
    names: [name],
    lines: [signs],
    notes: [signs],
    strip: null,
    isNumber: false,
  }
  const table = {
    title: signs,
    caption: signs,
    isMatrix: false,
    fold: '',
    columns: [{ title: signs, isNumber: false, share: 100 }],
    rows: [{ id: '', head: cell, cells: [], detail: null }],
  }
  const sections = [section('x', signs, { paragraphs: [signs], tables: [table], points: [signs] })]
  assert.ok(renderPdf({ ...view, verdict: signs, sections }, PERIOD.to, []).length > 0)
})

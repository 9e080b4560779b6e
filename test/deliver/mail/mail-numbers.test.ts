/** The numbers of a mail are those of the summary's figures, in the subject and in both parts, whatever a week was like. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OPEN_KINDS, sortNews } from '../../../lib/deliver/mail/news.ts'
import { mailContent } from '../../../lib/deliver/mail/weekly-mail.ts'
import type { Episode } from '../../../lib/model/history.ts'
import type { ClusterPast, ClusterPeriod, PathEpisode } from '../../../lib/model/period.ts'
import type { ReportInput } from '../../../lib/report/report-input.ts'
import { earlierPeriods } from '../../../lib/time/week.ts'
import { mailOf } from '../../support/deliver/mail-stories.ts'
import { bare, readHtml } from '../../support/deliver/mail-rules.ts'
import { type StoryPath, PERIOD, cluster, episode, hours, report, workload } from '../../support/stored/report-input.ts'

const END = hours().length - 1

/** A path that was unencrypted from a window of the week on, or from a time before it, and how that ended. */
type Told = {
  readonly namespace: string
  /** Hours after the week began; before it if negative. */
  readonly opened: number
  readonly lasted: number | null
  readonly ending: Episode['ending']
  /** It has an episode of weeks before. */
  readonly isAgain: boolean
  /** It was seen this week, so that there are rows of it. */
  readonly isSeen: boolean
  /** The history has the episode. */
  readonly isKept: boolean
}

const anyTold: fc.Arbitrary<Told> = fc.record({
  namespace: fc.constantFrom('shop', 'shop', 'bank', 'linkerd'),
  opened: fc.integer({ min: -200, max: END }),
  lasted: fc.option(fc.integer({ min: 1, max: 250 })),
  ending: fc.constantFrom('fixed', 'refused', 'gone', 'quiet', null),
  isAgain: fc.boolean(),
  isSeen: fc.boolean(),
  isKept: fc.boolean(),
})

const anyCluster = fc.record({
  paths: fc.array(anyTold, { maxLength: 6 }),
  /** `dark`: nothing was collected. */
  kind: fc.constantFrom('whole', 'whole', 'holes', 'late', 'dark'),
  hasPast: fc.boolean(),
})

type AnyCluster = typeof anyCluster extends fc.Arbitrary<infer T> ? T : never

const timeOf = (hour: number): string =>
  new Date(Date.parse(PERIOD.from) + hour * 3_600_000).toISOString().replace('.000Z', 'Z')

function storyOf(id: string, { paths, kind, hasPast }: AnyCluster): { period: ClusterPeriod; past: ClusterPast } {
  const lost = kind === 'dark' ? Array.from({ length: END + 1 }, (_, hour) => hour) : kind === 'holes' ? [3, 90] : []
  const from = kind === 'late' ? timeOf(60) : PERIOD.from
  const windows = hours({ from, missing: lost })
  const episodes: PathEpisode[] = []
  const rows: StoryPath[] = []
  for (const [index, told] of paths.entries()) {
    const pathId = (0xc0de_0000 + index).toString(16).padStart(16, '0')
    const ends = {
      pathId,
      source: workload('deployment', 'shop', 'web'),
      destination: workload('deployment', told.namespace, `backend-${index}`),
      port: 8080,
    }
    const ended = told.lasted === null ? null : timeOf(told.opened + told.lasted)
    const own = episode(pathId, timeOf(told.opened), ended, { ending: ended === null ? null : told.ending })
    if (told.isAgain)
      episodes.push({ ...ends, episode: episode(pathId, timeOf(told.opened - 50), timeOf(told.opened - 20)) })
    if (told.isKept) episodes.push({ ...ends, episode: own })
    const first = Math.max(0, told.opened)
    const last = Math.min(END, told.lasted === null ? END : told.opened + told.lasted - 1)
    if (!told.isSeen || last < first) continue
    rows.push({
      ...ends,
      stretches: [
        ...(first === 0 ? [] : [{ from: 0, to: first - 1, state: 'mtls' as const }]),
        { from: first, to: last, state: 'plaintext', reason: 'no_tls_from_remote', cause: 'unknown', episode: own },
        ...(last === END ? [] : [{ from: last + 1, to: END, state: 'mtls' as const }]),
      ],
    })
  }
  const periods = earlierPeriods(PERIOD, 7).map((span) => ({
    ...span,
    windows: hasPast ? hours(span) : [],
    rows: [],
  }))
  return { period: cluster(id, windows, rows), past: { id, periods, episodes } }
}

const anyWeek: fc.Arbitrary<ReportInput> = fc.array(anyCluster, { maxLength: 3 }).map((clusters) => {
  const told = clusters.map((one, index) => storyOf(`c${index}`, one))
  return report(
    told.map(({ period }) => period),
    { past: told.map(({ past }) => past) },
  )
})

const numberIn = (words: string, pattern: RegExp): number =>
  [...words.matchAll(pattern)].reduce((total, [, digits = '']) => total + Number(digits.replaceAll(',', '')), 0)

test('subject, HTML, text and lists have the number of open paths that the figures have, for whole clusters and for a part', () => {
  fc.assert(
    fc.property(anyWeek, fc.constantFrom([], ['bank']), (week, namespaces) => {
      const input = mailOf(week, { namespaces })
      const { figures, collectedWindows } = input.summary
      const { view, text, html } = mailContent(input)
      const news = sortNews(input.summary)
      assert.equal(news.open, figures.openNow)
      assert.equal(
        OPEN_KINDS.reduce((total, kind) => total + news.items[kind].length, 0),
        figures.openNow,
      )
      assert.equal(numberIn(view.subject, /\b([\d,]+) unencrypted paths?/g), figures.openNow, view.subject)
      const change = numberIn(view.subject, /\b([\d,]+) (?:more|fewer)\b/g)
      const wanted = collectedWindows === 0 ? 0 : Math.abs(figures.openNow - (figures.openBefore ?? figures.openNow))
      if (figures.judged > 0 || figures.openNow > 0) assert.equal(change, wanted, view.subject)
      if (collectedWindows > 0) assert.equal(numberIn(view.verdict, /^([\d,]+) application path/g), figures.openNow)
      const title = view.findings?.title ?? ''
      assert.equal(numberIn(title, /\b([\d,]+) (?:new|back again|still open|open)\b/g), figures.openNow, title)
      for (const part of [bare(text(null, null)), readHtml(html(null, null))])
        for (const words of [view.verdict, title]) assert.ok(part.includes(bare(words)))
    }),
    { numRuns: 100 },
  )
})

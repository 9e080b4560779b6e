/** Each number has one definition (docs/words.md): every place that shows it agrees with `figures`. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import picocolors from 'picocolors'
import { extractText, getDocumentProxy } from 'unpdf'
import { pathLines, pathsNow } from '../../cli/path-table.ts'
import { DEFAULT_SETTINGS } from '../../lib/assess/judge/stored-scope.ts'
import { judge } from '../../lib/assess/judge/judge.ts'
import type { Waiver } from '../../lib/model/judgement.ts'
import type { PathEpisode } from '../../lib/model/period.ts'
import { csvFiles } from '../../lib/report/csv/report-csv.ts'
import type { ReportInput } from '../../lib/report/report-input.ts'
import { renderHtml } from '../../lib/report/report-html.ts'
import { renderPdf } from '../../lib/report/report-pdf.ts'
import { viewOf } from '../../lib/report/report-view.ts'
import { verdictOf } from '../../lib/report/sections/opening.ts'
import { type Standing, joinStandings, standingOf } from '../../lib/report/summary/standing.ts'
import { summaryJson } from '../../lib/report/summary/summary-json.ts'
import { type Summary, summarise } from '../../lib/report/summary/summary.ts'
import { sortNews } from '../../lib/deliver/mail/news.ts'
import { subjectOf } from '../../lib/deliver/mail/subject.ts'
import { type MailContent, mailContent } from '../../lib/deliver/mail/weekly-mail.ts'
import { DEMO_FIXTURE } from '../../demo/fixture.ts'
import { recordedStore } from '../support/report/recorded-report.ts'
import { startApi } from '../support/servers/local-api.ts'
import { propOf, toldBy } from '../support/report/told-documents.ts'
import { CHANNEL } from '../support/deliver/mail-stories.ts'
import { HOURS, anyPeriod } from '../support/stored/judged-period.ts'
import { episode, hours, report, storyOfAWeek } from '../support/stored/report-input.ts'

/** What a place says; undefined: it does not say that. */
type Said = {
  readonly openNow?: number
  readonly openPlaintext?: number
  readonly openNoMeshTls?: number
  readonly atSomeTime?: number
  readonly notEnoughEvidence?: number
  readonly encrypted?: number
  readonly judged?: number
}

/** What the opening sentence of a text says. */
function saidBy(words: string, summary: Summary): Said {
  if (summary.collectedWindows === 0) return {}
  const numberBefore = (pattern: RegExp): number => Number(pattern.exec(words)?.[1] ?? '0')
  const openNow = numberBefore(/(\d+) [a-z, ]*paths? (?:is|are|was|were) unencrypted (?:now|at the end|when last seen)/)
  const atSomeTime = openNow > 0 ? {} : { atSomeTime: numberBefore(/; (\d+) of \d+ (?:was|were) at some time/) }
  const split = /paths? (?:is|are|was|were) unencrypted [^(]*\(([^;)]*)/.exec(words)?.[1] ?? ''
  const openAs = (kind: string): number => {
    const alone = split === kind || split === `all ${kind}` ? openNow : 0
    return openNow === 0 ? 0 : Number(new RegExp(`(\\d+) ${kind}`).exec(split)?.[1] ?? alone)
  }
  return {
    openNow,
    openPlaintext: openAs('plaintext'),
    openNoMeshTls: openAs('without mesh TLS'),
    ...atSomeTime,
    notEnoughEvidence: numberBefore(/(\d+)(?: of \d+ judged paths?)? needs? more evidence/),
    encrypted: numberBefore(/(\d+) of \d+ judged paths? (?:was|were) encrypted/),
  }
}

/** The words of a page: its tags are left out. */
function shownText(html: string): string {
  return html
    .replaceAll(/<(style|title)[^]*?<\/\1>|<[^>]*>/g, ' ')
    .replaceAll(/&[a-z]+;|\s/g, ' ')
    .replaceAll(/ +/g, ' ')
}

/** The first three of page one; what was not looked at has no number there. */
function figuresIn(values: readonly string[]): Said {
  const [openNow, atSomeTime, notEnoughEvidence] = values.map((value) => (value === 'unknown' ? 0 : Number(value)))
  assert.ok(openNow !== undefined && atSomeTime !== undefined && notEnoughEvidence !== undefined)
  return { openNow, atSomeTime, notEnoughEvidence }
}

function mailOf(summary: Summary): MailContent {
  const beside = { words: '', conditions: [], untold: [], at: summary.period.to }
  const suppressed = { unsubscribed: 0, bounced: 0, complained: 0 }
  const links = { page: null }
  return mailContent({
    summary,
    channel: CHANNEL,
    unregistered: [],
    empty: [],
    suppressed,
    beside,
    links,
    report: null,
  })
}

const PLACES: Readonly<Record<string, (summary: Summary) => Said>> = {
  'summary.json': (summary) => {
    const { paths } = JSON.parse(summaryJson(summary, '')) as { paths: Said & { byState: Record<string, number> } }
    const { openNow, openPlaintext, openNoMeshTls, atSomeTime, notEnoughEvidence, encrypted, judged, byState } = paths
    assert.equal((byState['plaintext'] ?? 0) + (byState['no-mesh-tls'] ?? 0), atSomeTime, 'byState')
    assert.equal(byState['unknown'], notEnoughEvidence, 'byState')
    return { openNow, openPlaintext, openNoMeshTls, atSomeTime, notEnoughEvidence, encrypted, judged } as Said
  },
  'paths.csv': (summary) => {
    const body = csvFiles(summary).find(({ name }) => name === 'paths.csv')?.body ?? ''
    const rows = (parse(body, { columns: true, bom: true }) as Record<string, string>[]).filter((row) =>
      (summary.settings.judgedClasses as readonly string[]).includes(row['class'] ?? ''),
    )
    const count = (column: string, value: string) => rows.filter((row) => row[column] === value).length
    const openAs = (state: string) =>
      rows.filter((row) => row['open_at_end'] === 'true' && row['state'] === state).length
    assert.equal(count('not_encrypted', 'true'), count('verdict', 'fail'), 'what fails was not encrypted')
    const by = ['fail', 'not-enough-evidence', 'pass'].map((verdict) => count('verdict', verdict))
    return {
      openNow: count('open_at_end', 'true'),
      openPlaintext: openAs('plaintext'),
      openNoMeshTls: openAs('no-mesh-tls'),
      atSomeTime: by[0] ?? 0,
      notEnoughEvidence: by[1] ?? 0,
      encrypted: by[2] ?? 0,
      judged: by.reduce((total, one) => total + one, 0),
    }
  },
  'oscal.json': (summary) => {
    const { result } = toldBy(summary)
    const judged = result.observations.filter((one) => propOf(one, 'rule') === 'path-is-encrypted' && one.subjects)
    const by = (verdict: string) => judged.filter((one) => propOf(one, 'verdict') === verdict)
    const numberOf = (name: string) => Number(propOf(result, name))
    for (const name of ['waived', 'waived-now', 'encrypted', 'judged'] as const)
      assert.equal(numberOf(name), summary.figures[name === 'waived-now' ? 'waivedNow' : name], name)
    assert.equal(numberOf('not-enough-evidence'), by('not-enough-evidence').length)
    const isWaived = (one: (typeof judged)[number]) => propOf(one, 'waiver') !== undefined
    assert.equal(by('fail').filter(isWaived).length, summary.figures.waived, 'waived')
    const open = (result.risks ?? []).filter((risk) => risk.status === 'open' && propOf(risk, 'waiver') === undefined)
    assert.equal(open.length + summary.figures.waivedNow, numberOf('open-now'), 'risks')
    return {
      openNow: numberOf('open-now'),
      atSomeTime: by('fail').length,
      notEnoughEvidence: by('not-enough-evidence').length,
      encrypted: by('pass').length,
      judged: by('fail').length + by('not-enough-evidence').length + by('pass').length,
    }
  },
  'ocsf.json': (summary) => {
    const { findings } = toldBy(summary)
    const by = (id: number) => findings.filter(({ compliance }) => compliance.status_id === id).length
    return {
      // New, In Progress or Suppressed.
      openNow: findings.filter(({ status_id }) => status_id >= 1 && status_id <= 3).length,
      atSomeTime: by(3),
      notEnoughEvidence: by(0),
      encrypted: by(1),
      judged: by(3) + by(0) + by(1),
    }
  },
  'the table of paths': (summary) => {
    const paths = pathsNow(summary)
    const lines = pathLines(
      paths,
      { ...standingOf(summary), others: [] },
      { width: null, colors: picocolors.createColors(false) },
    )
    const cell = lines[0]?.indexOf('NOT ENCRYPTED') ?? 0
    const told = lines.slice(1).map((line) => line.slice(cell))
    const unseen = told.filter((text) => /^since .*\(not seen now\)/.test(text)).length
    const open = told.filter((text) => text.startsWith('since ')).length
    return { openNow: open, atSomeTime: open - unseen + told.filter((text) => text.startsWith('until ')).length }
  },
  'the opening sentence': (summary) => saidBy(verdictOf(summary), summary),
  'report.html': (summary) => {
    const html = renderHtml(viewOf(summary))
    const values = [...html.matchAll(/<span class="value">([^<]*)<\/span>/g)].map(([, value]) => value ?? '')
    return { ...saidBy(shownText(html), summary), ...figuresIn(values) }
  },
  'the text of a mail': (summary) => saidBy(mailOf(summary).text(null, null).replaceAll(/\s+/g, ' '), summary),
  'the HTML of a mail': (summary) => saidBy(shownText(mailOf(summary).html(null, null)), summary),
  lists: ({ notEncrypted, notEnoughEvidence, encrypted }) => ({
    atSomeTime: notEncrypted.length,
    notEnoughEvidence: notEnoughEvidence.length,
    encrypted: encrypted.length,
  }),
  'the list of open paths': (summary) => {
    const rows = viewOf(summary).sections.find(({ id }) => id === 'open-now')?.tables[0]?.rows ?? []
    // A long list ends after a page.
    if (summary.figures.openNow > 20 && rows.length === 20) return {}
    const openAs = (mark: string) => rows.filter(({ cells }) => cells.some(({ state }) => state?.mark === mark)).length
    return { openNow: rows.length, openPlaintext: openAs('plaintext'), openNoMeshTls: openAs('no-mesh-tls') }
  },
  'page one': (summary) => figuresIn(viewOf(summary).pageOne.figures.map(({ value }) => value)),
  'the news of a mail': (summary) => {
    const { open, items } = sortNews(summary)
    assert.equal(items.new.length + items.reopened.length + items.open.length, open, 'each open path is in one list')
    return { openNow: open }
  },
  'the subject of a mail': (summary) => {
    const beside = { words: '', conditions: [], untold: [], at: summary.period.to }
    const subject = subjectOf({ summary, channel: CHANNEL, unregistered: [], news: sortNews(summary), beside })
    const numberBefore = (words: string): number => Number(new RegExp(`(\\d+) ${words}`).exec(subject)?.[1] ?? '0')
    const openNow = numberBefore('unencrypted paths?')
    if (openNow > 0 || summary.collectedWindows === 0) return { openNow }
    return { openNow, atSomeTime: numberBefore('at some time'), notEnoughEvidence: numberBefore('without enough') }
  },
  'the rule path-is-encrypted': ({ judgement }) => {
    const { pass, fail, waived, notEnoughEvidence } =
      judgement.rules.find(({ id }) => id === 'path-is-encrypted')?.score ?? assert.fail()
    const judged = pass + fail + waived + notEnoughEvidence
    return { judged, atSomeTime: fail + waived, waived, notEnoughEvidence, encrypted: pass }
  },
  'the actions': ({ actions, figures }) => {
    const ended = actions.reduce((total, { paths }) => total + paths.length, 0)
    // What nobody saw in the period has no cause that an action could end.
    assert.ok(ended + figures.waivedNow <= figures.openNow)
    return {}
  },
  'the trend': ({ trend }) => {
    const paths = trend.at(-1)?.paths
    return paths === undefined || paths === null ? {} : { atSomeTime: paths.atSomeTime }
  },
}

function assertOneNumber(input: ReportInput): Summary {
  const summary = summarise(input)
  const { figures } = summary
  assert.equal(figures.judged, figures.atSomeTime + figures.notEnoughEvidence + figures.encrypted)
  assert.ok(figures.waivedNow <= figures.openNow && figures.waivedNow <= figures.waived)
  assert.ok(figures.waived <= figures.atSomeTime)
  for (const [place, sayOf] of Object.entries(PLACES))
    for (const [name, number] of Object.entries(sayOf(summary)))
      assert.equal(number, figures[name as keyof Said], `${name} of ${place}`)
  return summary
}

/** Makes episodes of what is not encrypted in each path: the last is open if nothing follows it, or nothing but silence. */
function withEpisodes({ clusters, ...input }: ReportInput): ReportInput {
  const told = clusters.map((cluster) => {
    const known: PathEpisode[] = []
    const rows = cluster.rows.map((row) => {
      const isClear = (row.state === 'plaintext' || row.state === 'no-mesh-tls') && row.outcome === 'allowed'
      if (!isClear) return row
      const { pathId, source, destination, port } = row
      const later = cluster.rows.filter((other) => other.pathId === pathId && other.from >= row.to)
      const isOver = later.some(({ state }) => state !== 'not-observed' && state !== 'not-collected')
      const own = episode(pathId, row.from, isOver ? row.to : null)
      known.push({ pathId, source, destination, port, episode: own })
      return { ...row, episode: own }
    })
    return { cluster: { ...cluster, rows }, past: { id: cluster.id, periods: [], episodes: known } }
  })
  return { ...input, clusters: told.map(({ cluster }) => cluster), past: told.map(({ past }) => past) }
}

const WAIVER: Waiver = {
  id: 'accepted',
  destination: 'statefulset/shop/*',
  owner: 'shop',
  reason: 'Old',
  compensatingControl: 'None',
  expires: '2027-01-31T00:00:00Z',
}

test('every place that shows a number of paths agrees with the figures of the summary', () => {
  const seen = { open: 0, ended: 0, lacking: 0, encrypted: 0, waived: 0 }
  const period = { ...HOURS, label: 'Twelve hours', timeZone: 'UTC' }
  fc.assert(
    fc.property(anyPeriod('prod'), anyPeriod('west'), fc.constantFrom([], [WAIVER]), (prod, west, waivers) => {
      const { figures } = assertOneNumber(withEpisodes(report([prod, west], { period, waivers })))
      seen.open += figures.openNow
      seen.ended += figures.atSomeTime > figures.openNow ? 1 : 0
      seen.lacking += figures.notEnoughEvidence
      seen.encrypted += figures.encrypted
      seen.waived += figures.waivedNow
    }),
    { numRuns: 100 },
  )
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 5, `${what}: only ${count}`)
})

/** Each cluster alone, as a fleet is read. */
function joinedOf(input: ReportInput): Standing {
  const { settings, period, checkpoint } = input
  const waivers = input.judgement.waivers.map(({ waiver }) => waiver)
  const scopes = input.judgement.frameworks.flatMap((framework) => framework.scopes)
  return joinStandings(
    input.clusters.map((cluster) => {
      const judgement = judge({ clusters: [cluster], scopes, waivers, settings, period, at: period.to })
      const past = input.past.filter(({ id }) => id === cluster.id)
      return standingOf(summarise({ ...input, clusters: [cluster], past, judgement, checkpoint: null }))
    }),
    checkpoint,
  )
}

test('what is joined of clusters that are read one at a time is what all of them together say', () => {
  const seen = { actions: 0, before: 0, noBefore: 0, others: 0, unread: 0, waived: 0 }
  const period = { ...HOURS, label: 'now', timeZone: 'UTC' }
  const before = { from: '2026-11-19T12:00:00Z', to: HOURS.from, windows: hours({ ...HOURS }), rows: [] }
  fc.assert(
    fc.property(
      fc.tuple(anyPeriod('prod'), anyPeriod('west'), anyPeriod('east')),
      fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
      fc.constantFrom([], [WAIVER]),
      fc.boolean(),
      // Paths of applications are listed apart where only others are judged.
      fc.constantFrom(DEFAULT_SETTINGS.judgedClasses, ['mesh'] as const),
      fc.boolean(),
      ([prod, west, east], hasPast, waivers, isReplay, judgedClasses, hasUnread) => {
        const settings = { ...DEFAULT_SETTINGS, judgedClasses }
        const clusters = [prod, west, hasUnread ? ({ ...unseen(east, null), rows: [], isUnread: true } as const) : east]
        const made = withEpisodes(report(clusters, { period, waivers, settings }))
        const input = {
          ...made,
          past: made.past.map((one, index) => ({ ...one, periods: hasPast[index] === true ? [before] : [] })),
          removed: ['gone'],
          ...(isReplay ? { replay: 'A replay.' } : {}),
        }
        const joined = joinedOf(input)
        assert.deepEqual(joined, standingOf(summarise(input)))
        seen.actions += joined.actions.length > 1 ? 1 : 0
        seen.before += joined.figures.openBefore === null ? 0 : 1
        seen.noBefore += joined.figures.openBefore === null ? 1 : 0
        seen.others += joined.others.length
        seen.unread += joined.others.filter(({ figures }) => figures.openUnknownOn !== undefined).length
        seen.waived += joined.figures.waivedNow
      },
    ),
    { numRuns: 60 },
  )
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 2, `${what}: only ${count}`)
  assert.deepEqual(joinedOf(storyOfAWeek()), standingOf(summarise(storyOfAWeek())))
})

for (const many of ['one path', 'every path'] as const)
  test(`${many} that was open and that nobody sees any more stays open in every place`, () => {
    const made = withEpisodes(storyOfAWeek())
    const { figures: before } = assertOneNumber(made)
    const open = made.clusters[0]?.rows.find(({ episode: own }) => own?.endedAt === null)
    assert.ok(open)
    const clusters = made.clusters.map((cluster) => unseen(cluster, many === 'one path' ? open.pathId : null))
    const { settings, period } = made
    const judgement = judge({ clusters, scopes: [], waivers: [], settings, period, at: period.to })
    const { figures } = assertOneNumber({ ...made, clusters, judgement })
    assert.ok(before.openNow > 1)
    assert.equal(figures.openNow, before.openNow)
    assert.equal(figures.atSomeTime, many === 'one path' ? before.atSomeTime - 1 : 0)
  })

/** Nothing of one path, or of the whole cluster, was collected in the period. */
function unseen(cluster: ReportInput['clusters'][number], only: string | null): ReportInput['clusters'][number] {
  return {
    ...cluster,
    windows: cluster.windows.map((window) =>
      only === null ? { ...window, evidence: null, collected: false } : window,
    ),
    rows: cluster.rows.map((row) =>
      only === null || row.pathId === only
        ? { ...row, state: 'not-collected', clearShare: null, bytes: 0, opens: 0 }
        : row,
    ),
    strips: Object.fromEntries(
      Object.entries(cluster.strips).map(([id, cells]) => [
        id,
        cells.map((cell) => (cell === null || (only !== null && id !== only) ? cell : ('not-collected' as const))),
      ]),
    ),
  }
}

/** Openly counted, so that a change of any of them is seen. */
const RECORDED = {
  demo: { openNow: 7, atSomeTime: 8, notEnoughEvidence: 7, encrypted: 0, judged: 15 },
  public: { openNow: 20, atSomeTime: 24, notEnoughEvidence: 21, encrypted: 0, judged: 45 },
  lives: { openNow: 3, atSomeTime: 5, notEnoughEvidence: 3, encrypted: 3, judged: 11 },
} as const

for (const [name, folder] of Object.entries({
  demo: DEMO_FIXTURE,
  public: join(import.meta.dirname, '../fixtures/public'),
  lives: join(import.meta.dirname, '../fixtures/lives'),
}))
  test(`every place that shows a number of the recording "${name}" agrees`, async (t) => {
    const { input, objects, now } = await recordedStore(folder)
    const summary = assertOneNumber(input)
    const { figures } = summary
    const { openNow, atSomeTime, notEnoughEvidence, encrypted, judged } = figures
    assert.deepEqual(
      { openNow, atSomeTime, notEnoughEvidence, encrypted, judged },
      RECORDED[name as keyof typeof RECORDED],
    )
    const pdf = await getDocumentProxy(new Uint8Array(renderPdf(viewOf(summary), summary.period.to, [])))
    const { text } = await extractText(pdf, { mergePages: true })
    for (const [what, number] of Object.entries(saidBy(text.replaceAll(/\s+/g, ' '), summary)))
      assert.equal(number, figures[what as keyof Said], `${what} of report.pdf`)
    const { ask } = await startApi(t, { objects, now: () => now })
    const applications = async (address: string): Promise<number> => {
      const { items } = (await (await ask(address)).json()) as { items: { pathId: string; class: string }[] }
      return new Set(items.filter((one) => one.class === 'application').map(({ pathId }) => pathId)).size
    }
    assert.equal(await applications('/v1/paths?state=not-encrypted&limit=1000'), figures.atSomeTime)
    assert.equal(await applications('/v1/episodes?open=true&limit=1000'), figures.openNow)
    // Each has a cause, and what to do about it or to look at.
    for (const { reasons } of [...summary.notEncrypted, ...summary.others.flatMap((other) => other.notEncrypted)])
      for (const { cause, fix } of reasons) assert.ok(cause !== null && cause !== 'unknown' && fix !== null)
  })

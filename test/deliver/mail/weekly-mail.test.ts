import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import PostalMime from 'postal-mime'
import type { Channel } from '../../../lib/deliver/channel/channel.ts'
import { mailContent } from '../../../lib/deliver/mail/weekly-mail.ts'
import { mailView } from '../../../lib/deliver/mail/mail-view.ts'
import { buildMessage } from '../../../lib/deliver/send/message.ts'
import { sortNews } from '../../../lib/deliver/mail/news.ts'
import { hasLink } from '../../../lib/deliver/mail/report-offer.ts'
import { goldenPath, matchesGolden } from '../../support/golden.ts'
import { MAIL_RULES, bare, keepRules, readHtml } from '../../support/deliver/mail-rules.ts'
import { CHANNEL, HOSTILE, MAIL_STORIES, mailOf } from '../../support/deliver/mail-stories.ts'
import { storyOfAWeek } from '../../support/stored/report-input.ts'
import type { MailInput } from '../../../lib/deliver/mail/mail-input.ts'
import type { MailView } from '../../../lib/deliver/mail/view-parts.ts'

const UNSUBSCRIBE =
  'https://ciphertrail.example.com/unsubscribe/everything/r0123456789abcdef0123456789abcdef/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

const DOWNLOAD = `https://ciphertrail.example.com/d/${'A'.repeat(43)}`

async function mailed(input: MailInput, more: Partial<Channel> = {}) {
  const content = mailContent(input)
  const channel = { ...input.channel, ...more }
  const download = input.report !== null && hasLink(input.report) ? DOWNLOAD : null
  const [text, html] = [content.text(UNSUBSCRIBE, download), content.html(UNSUBSCRIBE, download)]
  const raw = await buildMessage({
    subject: content.view.subject,
    text,
    html,
    format: channel.format,
    language: channel.language,
    channel: channel.id,
    name: `${channel.id} 2026-W47 r1`,
    from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
    to: 'ada@example.com',
    date: new Date('2026-11-23T06:00:00Z'),
    unsubscribe: UNSUBSCRIBE,
  })
  return {
    view: content.view,
    text,
    html,
    download,
    unsubscribe: UNSUBSCRIBE,
    raw: Buffer.from(raw),
    parsed: await PostalMime.parse(raw),
  }
}

/** Every text that a reader must find. */
function textsOf(view: MailView): readonly string[] {
  const { coverage, trend } = view
  const name = ({ kind, pieces }: { kind: string; pieces: readonly string[] }): string => `${kind}${pieces.join('')}`
  return [
    view.title,
    view.about,
    ...view.warnings,
    view.verdict,
    ...view.notes,
    ...[coverage, trend].flatMap(({ title, columns, rows, more }) => [
      title,
      ...(rows.length === 0 ? [] : columns),
      ...rows.flatMap(({ head, cells }) => [head, ...cells.map((cell) => cell.text)]),
      more,
    ]),
    ...view.sections.flatMap(({ title, entries, facts, more }) => [
      title,
      ...facts.flatMap(({ line, details }) => [line, ...details]),
      more,
      ...entries.flatMap(({ shape, state, source, destination, lines, fix }) => [
        `${shape}${state}`,
        `${name(source)}to${name(destination)}`,
        ...lines,
        ...fix,
      ]),
    ]),
    ...view.waivers,
    ...view.report,
    ...view.footer,
  ]
}

/** Each rule of a good mail, asked of the message as a program reads it. */
const RULES: readonly (readonly [rule: string, holds: (mail: Awaited<ReturnType<typeof mailed>>) => void])[] = [
  ...MAIL_RULES,
  [
    'both parts say everything',
    ({ view, text, html }) => {
      const [read, plain] = [readHtml(html), bare(text)]
      for (const one of textsOf(view)) {
        assert.ok(read.includes(bare(one)), `HTML lacks ${one}`)
        assert.ok(plain.includes(bare(one)), `text lacks ${one}`)
      }
    },
  ],
  [
    'its links go to us and nowhere else, and both parts have them',
    ({ html, text, view, download }) => {
      const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href)
      assert.deepEqual(links, [
        ...(view.page === null ? [] : [view.page]),
        ...(download === null ? [] : [download]),
        UNSUBSCRIBE,
      ])
      for (const link of links) assert.ok(text.includes(link ?? ''))
    },
  ],
  [
    'coverage comes before what was found',
    ({ text, view }) => {
      const first = view.sections[0]
      assert.ok(text.indexOf('What was seen') < (first === undefined ? Infinity : text.indexOf(`\n${first.title}\n`)))
    },
  ],
  [
    'layout tables say so, data tables have headings for columns and rows',
    ({ html }) => {
      for (const [table] of html.matchAll(/<table[^>]*>/g)) assert.match(table, /role="presentation"|aria-label="/)
      assert.match(html, /<th scope="col"/)
      assert.match(html, /<html lang="en">/)
    },
  ],
]

for (const [name, story] of Object.entries(MAIL_STORIES)) {
  test(`the mail "${name}" keeps every rule`, async () => {
    const mail = await mailed(story())
    keepRules(mail, RULES)
  })

  test(`the mail "${name}" is as it was`, async () => {
    const { html, text, raw } = await mailed(story())
    const folder = goldenPath(`mail/${name}`)
    if (!existsSync(folder)) mkdirSync(folder, { recursive: true })
    matchesGolden(`mail/${name}/mail.html`, html)
    matchesGolden(`mail/${name}/mail.txt`, text)
    matchesGolden(
      `mail/${name}/headers.txt`,
      raw
        .toString('latin1')
        .replace(/\r\n\r\n[^]*$/, '\n')
        .replaceAll('\r\n', '\n'),
    )
  })
}

const subjectOf = (name: string): string => mailContent((MAIL_STORIES[name] ?? assert.fail(name))()).view.subject

test('subjects carry the news, and what was not seen stands before what was', () => {
  const subjects = Object.keys(MAIL_STORIES).map((name) => [name, subjectOf(name)] as const)
  matchesGolden('mail/subjects.txt', `${subjects.map(([name, subject]) => `${name}\n  ${subject}`).join('\n')}\n`)
  const unseen = subjects.filter(([, subject]) => /missing|not observed|no data/.test(subject))
  assert.ok(unseen.length > 4)
  for (const [name, subject] of unseen) {
    const [first = '', ...others] = subject.split(', ')
    assert.match(first, /missing|not observed|no data/, name)
    // 100 % is what was seen of something else, and says so.
    assert.doesNotMatch(others.join(', '), /100 % observed(?! elsewhere)/, name)
  }
})

test('what ends soon or is behind stands after what is open and before what is well, and in no mail without it', () => {
  const sections = (name: string) =>
    mailContent((MAIL_STORIES[name] ?? assert.fail(name))()).view.sections.map(({ id }) => id)
  assert.deepEqual(sections('all-well-but-an-anchor-ends'), ['beside'])
  const [all, plain] = [sections('open-paths-and-an-anchor-ends'), sections('a-week-of-two-clusters')]
  assert.deepEqual(
    all.filter((id) => id !== 'beside'),
    plain,
  )
  const place = all.indexOf('beside')
  const isWell = (id: string): boolean => ['fixed', 'refused', 'gone', 'quiet'].includes(id)
  assert.ok(all.slice(0, place).length > 0 && !all.slice(0, place).some(isWell))
  assert.ok(all.slice(place + 1).length > 0 && all.slice(place + 1).every(isWell))
})

test('a subject that is too long leaves out whole parts from its end, and says so', () => {
  const subjectFor = (team: string | null): string => mailContent(mailOf(storyOfAWeek(), { team })).view.subject
  assert.match(subjectFor(null), /, 1 unknown, 90\.4 % of the expected time observed \(week 2026-W47\)$/)
  const long = subjectFor('Wallets, ledgers and whatever else is paid for or into here')
  assert.match(long, /^\[Wallets.*\] 4 windows missing, .*1 unknown, … \(week 2026-W47\)$/)
  assert.match(
    subjectFor('\u3164'.repeat(60)),
    /…\] 4 windows missing, 1 new path not encrypted, .*… \(week 2026-W47\)$/,
  )
})

test('a list that is cut says so and counts what is left out', () => {
  const { view } = mailContent((MAIL_STORIES['500-open-paths'] ?? assert.fail())())
  const [section] = view.sections
  assert.ok(section)
  assert.equal(section.title, 'New (500)')
  assert.match(
    section.more,
    new RegExp(
      `^${section.entries.length} of 500 paths; ${500 - section.entries.length} more stand in the report of the week\\.$`,
    ),
  )
  assert.ok(section.entries.length >= 10)
})

test('a table of clusters that is cut hides the best, and counts what is left out', () => {
  const input = (MAIL_STORIES['all-well-but-a-cluster-missing'] ?? assert.fail())()
  const [all, cut] = [mailView(input, 2).coverage, mailView(input, 1).coverage]
  assert.deepEqual([all.rows.length, all.more], [2, ''])
  assert.deepEqual(cut.rows, all.rows.slice(0, 1))
  assert.match(cut.more, /^1 of 2 clusters, .*; 1 more/)
})

test('no name does anything: no header, no tag, no turned text, in the subject or in either part', async () => {
  const { raw, html, text, view } = await mailed((MAIL_STORIES['hostile-names'] ?? assert.fail())())
  assert.doesNotMatch(raw.toString('latin1'), /^Bcc:/im)
  assert.doesNotMatch(html, /<img|<script|<a href="https:\/\/evil/)
  for (const part of [html, text, view.subject]) assert.doesNotMatch(part.replaceAll('\n', ''), /[\p{C}]/u)
  assert.ok(readHtml(html).includes(bare('<script>alert(1)</script>')), 'names are shown all the same')
  assert.equal(HOSTILE.length, 8)
})

test('a channel of some namespaces is told of no path, workload or waiver of others', () => {
  const content = mailContent(mailOf(storyOfAWeek(), { namespaces: ['bank'] }))
  const all = `${content.view.subject}\n${content.text(null, null)}\n${content.html(null, null)}`
  assert.match(all, /bank\/ledger-db/)
  assert.doesNotMatch(all, /warehouse|inventory|voting|migration/)
  assert.doesNotMatch(all, /12 observed paths/)
})

test('a channel of some namespaces is not told what could not be read of a whole cluster, which may name others', () => {
  const story = storyOfAWeek()
  const line = 'Cannot list pods of cluster "west": namespace "warehouse" is gone'
  const clusters = story.clusters.map((one) => ({ ...one, errors: [{ window: one.windows[0]?.end ?? '', line }] }))
  const errorsOf = (namespaces: readonly string[]) =>
    mailOf({ ...story, clusters }, { namespaces }).summary.clusters.flatMap(({ errors }) =>
      errors.map((one) => one.line),
    )
  assert.deepEqual(errorsOf(['bank']), [])
  assert.deepEqual(new Set(errorsOf([])), new Set([line]))
})

test('a cluster without a workload of the channel is told as such, and never when it is the only one', () => {
  const some = mailOf(storyOfAWeek(), { namespaces: ['bank'] })
  const none = mailOf(storyOfAWeek(), { namespaces: ['nobody'] })
  assert.deepEqual(none.empty, [])
  assert.match(mailContent(none).view.subject, /2 of 2 clusters not observed/)
  assert.doesNotMatch(mailContent(none).view.subject, /no path seen unencrypted/)
  for (const { id } of some.empty) assert.ok(!some.summary.clusters.some((one) => one.id === id))
})

test('a channel that names a cluster that is not registered says so first', () => {
  const { view } = mailContent(mailOf(storyOfAWeek(), { clusters: ['west', 'north'] }, { unregistered: ['north'] }))
  assert.match(view.subject, /^\[everything\] 1 of 3 clusters not observed, /)
  assert.match(view.warnings[0] ?? '', /^Not registered, so nothing is known of it: cluster north\.$/)
})

test('every path that was not encrypted in the week is in exactly one list', () => {
  for (const story of Object.values(MAIL_STORIES)) {
    const { summary } = story()
    const listed = Object.values(sortNews(summary).items)
      .flat()
      .map(({ cluster, pathId }) => `${cluster} ${pathId}`)
    assert.equal(new Set(listed).size, listed.length)
    for (const { cluster, pathId } of summary.notEncrypted) assert.ok(listed.includes(`${cluster} ${pathId}`))
  }
})

test('a message with any subject and any text is read back as it was, by a parser', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 200 }), async (words) => {
      const subject = words
        .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '')
        .replace(/\s+/gu, ' ')
        .trim()
      const raw = await buildMessage({
        subject: `x ${subject}`.trim(),
        text: `${words}\n`,
        html: '<p>x</p>',
        format: 'html',
        language: 'en',
        channel: CHANNEL.id,
        name: 'x',
        from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
        to: 'ada@example.com',
        date: new Date(0),
        unsubscribe: null,
      })
      const parsed = await PostalMime.parse(raw)
      assert.equal(parsed.subject, `x ${subject}`.trim())
      assert.deepEqual(
        parsed.to?.map(({ address }) => address),
        ['ada@example.com'],
      )
      assert.equal(parsed.headers.length, 12)
    }),
    { numRuns: 60 },
  )
})

test('equal input gives equal bytes', async () => {
  const story = MAIL_STORIES['a-week-of-two-clusters'] ?? assert.fail()
  assert.deepEqual((await mailed(story())).raw, (await mailed(story())).raw)
})

test('a channel of format text gets one part', async () => {
  const { parsed, text } = await mailed((MAIL_STORIES['all-well'] ?? assert.fail())(), { format: 'text' })
  assert.equal(parsed.html, undefined)
  assert.equal(parsed.text?.replaceAll('\r\n', '\n').trimEnd(), text.trimEnd())
})

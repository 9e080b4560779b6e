import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import PostalMime from 'postal-mime'
import type { Channel } from '../../../lib/deliver/channel/channel.ts'
import { mailContent } from '../../../lib/deliver/mail/weekly-mail.ts'
import { buildMessage } from '../../../lib/deliver/send/mime-message.ts'
import { sortNews } from '../../../lib/deliver/mail/news.ts'
import { hasLink } from '../../../lib/deliver/mail/report-offer.ts'
import { goldenPath, matchesGolden } from '../../support/golden.ts'
import { MAIL_RULES, bare, keepRules, readHtml } from '../../support/deliver/mail-rules.ts'
import { CHANNEL, HOSTILE, MAIL_STORIES, mailOf } from '../../support/deliver/mail-stories.ts'
import { storyOfAWeek } from '../../support/stored/report-input.ts'
import type { MailInput } from '../../../lib/deliver/mail/mail-input.ts'
import type { MailView } from '../../../lib/deliver/mail/view-parts.ts'
import { matchesText, textWith } from '../../support/texts/matches-text.ts'

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
  const { actions, soon, findings } = view
  const name = ({ kind, pieces }: { kind: string; pieces: readonly string[] }): string => `${kind}${pieces.join('')}`
  return [
    ...view.about,
    ...view.warnings,
    view.verdict,
    ...view.notes,
    ...[actions, soon, findings].flatMap((list) => (list === null ? [] : [list.title, list.more])),
    ...(actions?.items ?? []).flatMap(({ title, facts }) => [title, facts]),
    ...(soon?.items ?? []),
    ...(findings?.items ?? []).map(
      ({ shape, state, source, destination, words }) =>
        `${shape}${state}${name(source)}to${name(destination)},${words}`,
    ),
    ...view.numbers.map(({ title, text }) => `${title}:${text}`),
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
    'what was not seen comes before the verdict, the verdict before what to do, and that before paths',
    ({ text, view }) => {
      const { warnings, verdict, actions, findings } = view
      const places = [...warnings, verdict, ...[actions, findings].flatMap((list) => list?.title ?? [])].map((one) =>
        text.indexOf(`${one}\n`),
      )
      assert.ok(places.every((place) => place >= 0))
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      )
    },
  ],
  [
    'it is short: at most three actions and five paths, in less than 30 KB',
    ({ html, text, view }) => {
      assert.ok((view.actions?.items.length ?? 0) <= 3)
      assert.ok((view.findings?.items.length ?? 0) <= 5)
      for (const part of [html, text]) assert.ok(Buffer.byteLength(part) < 30_000, String(Buffer.byteLength(part)))
    },
  ],
  [
    'what cannot be compared does not open it',
    ({ view }) => {
      for (const line of [...view.about, ...view.warnings, view.verdict]) assert.doesNotMatch(line, /what is new/i)
    },
  ],
  [
    'layout tables say so, and the verdict is its only first heading',
    ({ html, view }) => {
      for (const [table] of html.matchAll(/<table[^>]*>/g)) assert.match(table, /role="presentation"/)
      assert.equal(html.match(/<h1/g)?.length, 1)
      assert.ok(view.verdict !== '')
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

test('a subject has one number and its change, and what was not seen before them', () => {
  const subjects = Object.keys(MAIL_STORIES).map((name) => [name, subjectOf(name)] as const)
  matchesGolden('mail/subjects.txt', `${subjects.map(([name, subject]) => `${name}\n  ${subject}`).join('\n')}\n`)
  const unseen = subjects.filter(([, subject]) => /not observed|no data|[^0]\.\d % of the week/.test(subject))
  assert.ok(unseen.length > 4)
  for (const [name, subject] of unseen)
    assert.match(subject, /^(no data|\d+ of \d+ clusters not observed|[\d.]+ % of)/, name)
})

test('what expires soon or is late is told between what to do and paths, a line each, and in no mail without it', () => {
  const viewOf = (name: string) => mailContent((MAIL_STORIES[name] ?? assert.fail(name))()).view
  matchesText(viewOf('all-well-but-an-anchor-ends').soon?.items)
  assert.equal(viewOf('all-well').soon, null)
  const { actions, soon, findings } = viewOf('open-paths-and-an-anchor-ends')
  const { text } = mailContent((MAIL_STORIES['open-paths-and-an-anchor-ends'] ?? assert.fail())())
  const places = [actions, soon, findings].map((list) => text(null, null).indexOf(`${list?.title ?? assert.fail()}\n`))
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  )
})

test('a subject that is too long leaves out whole parts from its end, and says so', () => {
  const allWell = (MAIL_STORIES['all-well'] ?? assert.fail())()
  const subjectFor = (team: string | null, words: string): string =>
    mailContent({ ...allWell, channel: { ...allWell.channel, team }, beside: { ...allWell.beside, words } }).view
      .subject
  const words = '1 certificate not renewed, 1 trust anchor about to end, 1 seal behind'
  matchesText(subjectFor(null, words), textWith({ words }))
  assert.equal(subjectFor('x'.repeat(61), words), `${words}, 0 unencrypted paths, … (${'x'.repeat(60)} …, week 47)`)
})

test('zero unencrypted paths is never told without what it rests on', () => {
  for (const [name, story] of Object.entries(MAIL_STORIES)) {
    const { subject } = mailContent(story()).view
    if (/\b0 unencrypted/.test(subject)) assert.match(subject, /% of the week monitored|% of pod time observed/, name)
  }
})

test('a list that is cut says so and counts what is left out', () => {
  const { view } = mailContent((MAIL_STORIES['500-open-paths'] ?? assert.fail())())
  assert.equal(view.findings?.title, 'Unencrypted paths: 500 new')
  assert.equal(view.findings.items.length, 5)
  matchesText(view.findings.more)
  assert.equal(view.actions?.items.length, 3)
  matchesText(view.actions.more)
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
  assert.doesNotMatch(mailContent(none).view.subject, /unencrypted/)
  for (const { id } of some.empty) assert.ok(!some.summary.clusters.some((one) => one.id === id))
})

test('a channel that names a cluster that is not registered says so first', () => {
  const { view } = mailContent(mailOf(storyOfAWeek(), { clusters: ['west', 'north'] }, { unregistered: ['north'] }))
  matchesText(view.subject)
  matchesText(view.warnings[0])
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

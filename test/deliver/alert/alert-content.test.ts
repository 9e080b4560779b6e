import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { test } from 'node:test'
import PostalMime from 'postal-mime'
import type { Notice } from '../../../lib/deliver/alert/due-alerts.ts'
import { type AlertView, alertContent } from '../../../lib/deliver/alert/alert-content.ts'
import { buildMessage } from '../../../lib/deliver/send/mime-message.ts'
import { ALERT_STORIES, type AlertStory } from '../../support/deliver/alert-stories.ts'
import { goldenPath, matchesGolden } from '../../support/golden.ts'
import { CHANNEL } from '../../support/deliver/mail-stories.ts'
import { MAIL_RULES, type MailRule, bare, keepRules, readHtml } from '../../support/deliver/mail-rules.ts'

const PAGE = 'https://ciphertrail.example.com'
const UNSUBSCRIBE = `${PAGE}/unsubscribe/everything/r0123456789abcdef0123456789abcdef/${'A'.repeat(43)}`

async function mailed({ channel, notice }: AlertStory) {
  const content = alertContent(notice, channel, PAGE)
  const [text, html] = [content.text(UNSUBSCRIBE), content.html(UNSUBSCRIBE)]
  const raw = await buildMessage({
    subject: content.subject,
    text,
    html,
    format: channel.format,
    language: channel.language,
    channel: channel.id,
    name: `${channel.id} ${notice.id} r1`,
    from: { name: 'ciphertrail', address: 'ciphertrail@example.com' },
    to: 'ada@example.com',
    date: new Date(notice.at),
    unsubscribe: UNSUBSCRIBE,
  })
  const parsed = await PostalMime.parse(raw)
  return {
    view: content.view,
    json: content.json,
    notice,
    text,
    html,
    unsubscribe: UNSUBSCRIBE,
    raw: Buffer.from(raw),
    parsed,
  }
}

/** Every text that a reader must find. */
const textsOf = ({ subject, about, sections, footer }: AlertView): readonly string[] => [
  subject,
  about,
  ...sections.flatMap(({ title, entries, more }) => [
    title,
    more,
    ...entries.flatMap(({ line, notes, fix }) => [line, ...notes, ...fix]),
  ]),
  ...footer,
]

const RULES: readonly MailRule<Awaited<ReturnType<typeof mailed>>>[] = [
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
    ({ html, text }) => {
      const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href)
      assert.deepEqual(links, [PAGE, UNSUBSCRIBE])
      for (const link of links) assert.ok(text.includes(link ?? ''))
    },
  ],
  [
    'layout tables say so',
    ({ html }) => {
      for (const [table] of html.matchAll(/<table[^>]*>/g)) assert.match(table, /role="presentation"/)
      assert.match(html, /<html lang="en">/)
    },
  ],
  [
    'everything of the notice is counted, and the JSON says the same',
    ({ view, json, notice }) => {
      const shown = view.sections.reduce(
        (sum, { entries, more }) => sum + entries.length + (Number(/^[\d,]+/.exec(more)?.[0].replaceAll(',', '')) || 0),
        0,
      )
      assert.equal(shown, notice.began.length + notice.ended.length)
      const told = JSON.parse(json) as {
        readonly id: string
        readonly counts: object
        readonly subject: string
        readonly ended: readonly { ending: string }[]
      }
      assert.deepEqual(told.counts, { began: notice.began.length, ended: notice.ended.length })
      assert.equal(told.id, notice.id)
      assert.equal(told.subject, view.subject)
      assert.doesNotMatch(json, /\p{C}/u)
      assert.deepEqual(
        told.ended.map(({ ending }) => ending),
        notice.ended.map(({ ending }) => ending),
      )
    },
  ],
  [
    'only what was seen to be over is called that',
    ({ view, notice }) => {
      const isOver = notice.ended.some(({ ending }) => ['fixed', 'refused', 'over'].includes(ending))
      assert.equal(/\bover: /.test(view.subject), isOver)
      assert.equal(
        view.sections.some(({ title }) => title.startsWith('Over')),
        isOver,
      )
    },
  ],
]

for (const [name, story] of Object.entries(ALERT_STORIES)) {
  test(`the alert "${name}" keeps every rule`, async () => keepRules(await mailed(story()), RULES))

  test(`the alert "${name}" is as it was`, async () => {
    const { html, text, json, parsed } = await mailed(story())
    const folder = goldenPath(`alert/${name}`)
    if (!existsSync(folder)) mkdirSync(folder, { recursive: true })
    matchesGolden(`alert/${name}/mail.html`, html)
    matchesGolden(`alert/${name}/mail.txt`, text)
    matchesGolden(`alert/${name}/alert.json`, `${JSON.stringify(JSON.parse(json), null, 2)}\n`)
    assert.equal(parsed.date, new Date(story().notice.at).toISOString())
  })
}

test('subjects carry the news: what began, and apart from that what is over, accepted or not watched', () => {
  assert.deepEqual(
    Object.values(ALERT_STORIES).map((story) => {
      const { notice, channel } = story()
      return alertContent(notice, channel, PAGE).subject
    }),
    [
      '[everything] 1 path not encrypted (cluster west)',
      '[everything] 1 path not encrypted (cluster west)',
      '[everything] 1 cluster not observed (cluster west)',
      '[pay] 2 namespaces not observed (cluster west)',
      '[everything] 1 certificate not renewed (cluster west)',
      '[Platform] 1 trust anchor about to end (cluster west)',
      '[everything] 1 seal behind',
      '[everything] 2 paths not encrypted, 1 cluster not observed, 1 certificate not renewed, 1 trust anchor about to end, 1 seal behind, 2 records unreadable',
      '[everything] no longer seen: 2 paths not encrypted; over: 2 paths not encrypted, 1 cluster not observed, 1 certificate not renewed, 1 seal behind',
      '[everything] no longer watched: 1 cluster not observed; accepted: 1 path not encrypted; over: 1 path not encrypted',
      '[everything] 2 paths not encrypted (cluster west)',
      '[Payments & <Co>] 8 paths not encrypted, 8 namespaces not observed, 1 trust anchor about to end, 2 records unreadable',
      '[everything] 200 paths not encrypted (cluster west)',
    ],
  )
})

/** A notice of so many conditions, each told by a line of so many characters. */
function noticeOf(count: number, length: number, cluster = 'west'): Notice {
  const began = Array.from({ length: count }, (_, index): Notice['began'][number] => ({
    key: `unreadable/${index}`,
    kind: 'unreadable',
    cluster,
    since: '2026-11-24T06:00:00Z',
    line: 'x'.repeat(length),
    details: [],
  }))
  return { id: 'a'.repeat(32), at: '2026-11-24T06:00:00Z', began, ended: [], to: [] }
}

test('a page shows fifty conditions of a list, or as many as fit into 80,000 bytes with the longest link', () => {
  const link = 'https://'.padEnd(2000, 'x')
  let largest = 0
  let isCut = false
  for (let length = 900; length <= 1500; length += 4) {
    const { view, html } = alertContent(noticeOf(60, length), CHANNEL, PAGE)
    const [bytes, shown] = [Buffer.byteLength(html(link)), view.sections[0]?.entries.length]
    assert.ok(bytes < 80_000, `${bytes} bytes`)
    assert.ok([50, 25].includes(shown ?? 0))
    // Once fewer are shown, they are for all longer lines.
    assert.ok(!isCut || shown === 25)
    isCut = shown === 25
    if (shown === 50) largest = Math.max(largest, bytes)
  }
  assert.ok(isCut && largest > 79_500, `${largest} bytes`)
})

test('a subject has at most 180 characters, and says where it was cut', () => {
  const subjectOf = (length: number): string => alertContent(noticeOf(1, 10, 'c'.repeat(length)), CHANNEL, PAGE).subject
  const fixed = subjectOf(1).length - 1
  assert.equal(subjectOf(180 - fixed).length, 180)
  assert.ok(subjectOf(180 - fixed).endsWith('c)'))
  assert.ok(subjectOf(181 - fixed).endsWith('c …'))
  assert.equal(subjectOf(181 - fixed).length, 182)
})

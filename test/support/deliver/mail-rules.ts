/** What every mail must keep, asked of the message as a program reads it. */
import assert from 'node:assert/strict'
import { parse } from 'parse5'
import type { Email } from 'postal-mime'

export type ReadMail = {
  readonly view: { readonly subject: string }
  readonly text: string
  readonly html: string
  readonly unsubscribe: string
  /** As it goes over the wire. */
  readonly raw: Buffer
  readonly parsed: Email
}

export type MailRule<T extends ReadMail> = readonly [rule: string, holds: (mail: T) => void]

/** What a reader of the page reads, without white space. */
export function readHtml(html: string): string {
  const texts: string[] = []
  const walk = (node: { nodeName: string; value?: string; childNodes?: unknown[] }): void => {
    if (['style', 'title', 'head'].includes(node.nodeName)) return
    if (node.nodeName === '#text') texts.push(node.value ?? '')
    for (const child of node.childNodes ?? []) walk(child as typeof node)
  }
  walk(parse(html) as unknown as Parameters<typeof walk>[0])
  return texts.join('').replace(/\s/gu, '')
}

/** A text without white space. */
export const bare = (text: string): string => text.replace(/\s/gu, '')

export const MAIL_RULES: readonly MailRule<ReadMail>[] = [
  [
    'it is one message to one person, from the sender, with the news in its subject',
    ({ parsed, view }) => {
      assert.deepEqual(
        parsed.to?.map(({ address }) => address),
        ['ada@example.com'],
      )
      assert.equal(parsed.cc, undefined)
      assert.equal(parsed.bcc, undefined)
      assert.equal(parsed.from?.address, 'ciphertrail@example.com')
      assert.equal(parsed.subject, view.subject)
      assert.ok(view.subject.length <= 180)
      assert.doesNotMatch(view.subject, /[\p{C}]/u)
    },
  ],
  [
    'its headers are those of a list that nobody answers by a machine, and one click unsubscribes',
    ({ parsed, unsubscribe }) => {
      const headers = new Map(parsed.headers.map(({ key, value }) => [key, value]))
      assert.equal(headers.size, parsed.headers.length, 'no header comes twice')
      assert.deepEqual(
        [...headers.keys()].toSorted((a, b) => (a < b ? -1 : 1)),
        [
          'auto-submitted',
          'content-language',
          'content-type',
          'date',
          'from',
          'list-id',
          'list-unsubscribe',
          'list-unsubscribe-post',
          'message-id',
          'mime-version',
          'references',
          'subject',
          'to',
          'x-auto-response-suppress',
        ],
      )
      assert.equal(headers.get('list-unsubscribe'), `<${unsubscribe}>`)
      assert.equal(headers.get('list-unsubscribe-post'), 'List-Unsubscribe=One-Click')
      assert.equal(headers.get('auto-submitted'), 'auto-generated')
      assert.match(headers.get('message-id') ?? '', /^<[0-9a-f]{32}@example\.com>$/)
      assert.equal(headers.get('content-language'), 'en')
    },
  ],
  [
    'lines are shorter than RFC 5322 allows, and all is ASCII',
    ({ raw }) => {
      assert.match(raw.toString('latin1'), /^[\t\r\n -~]*$/)
      assert.doesNotMatch(raw.toString('latin1').replaceAll('\r\n', ''), /[\r\n]/, 'only CRLF ends a line')
      for (const line of raw.toString('latin1').split('\r\n')) assert.ok(line.length <= 998)
    },
  ],
  [
    'it has two parts that are what was made, without an attachment or an image',
    ({ parsed, text, html }) => {
      assert.equal(parsed.text?.replaceAll('\r\n', '\n').trimEnd(), text.trimEnd())
      assert.equal(parsed.html?.replaceAll('\r\n', '\n').trimEnd(), html.trimEnd())
      assert.equal(parsed.attachments.length, 0)
      assert.doesNotMatch(html, /<(img|svg|script|link|iframe|form|object|video|progress|meter)\b/i)
      assert.doesNotMatch(html, /url\(|["'(]data:|var\(|@import/i)
    },
  ],
  [
    'the page is less than 80 KB',
    ({ html, text }) => {
      assert.ok(Buffer.byteLength(html) < 80_000, String(Buffer.byteLength(html)))
      assert.ok(Buffer.byteLength(text) < 80_000)
    },
  ],
  [
    'nothing is called secure, compliant or good',
    ({ text, view }) => {
      assert.doesNotMatch(
        `${view.subject} ${text}`,
        /\b(all clear|all good|all well|secure|compliant|no issues|everything is)\b/i,
      )
    },
  ],
]

/** Fails with the first rule that a mail does not keep. */
export function keepRules<T extends ReadMail>(mail: T, rules: readonly MailRule<T>[]): void {
  for (const [rule, holds] of rules) {
    try {
      holds(mail)
    } catch (error) {
      throw new Error(`Cannot keep the rule that ${rule}`, { cause: error })
    }
  }
}

/** Mail messages: headers and parts (RFC 5322, 2045, 8058). The same input gives the same bytes. */
import { createHash } from 'node:crypto'
import MailComposer from 'nodemailer/lib/mail-composer'
import type { MailFormat } from '../channel/channel.ts'

/** The sender of a mail. */
export type Sender = {
  /** Mail address, in ASCII. */
  readonly address: string
  readonly name: string
}

/** An attached file. */
export type Attachment = {
  readonly name: string
  /** Media type. */
  readonly type: string
  readonly body: Uint8Array
}

/** The content of one message. */
export type MessageInput = {
  readonly subject: string
  readonly text: string
  readonly html: string
  readonly format: MailFormat
  readonly language: string
  /** Id of the channel: the list id, by which people filter and mute. */
  readonly channel: string
  /** Identifies this mail among all of the sender, without revealing the recipient: a hash of it becomes the Message-ID. */
  readonly name: string
  readonly from: Sender
  readonly to: string
  readonly date: Date
  /** URL for one-click unsubscription (RFC 8058); null if there is none. */
  readonly unsubscribe: string | null
  readonly attachments?: readonly Attachment[]
}

/** Builds a message. */
export async function buildMessage(input: MessageInput): Promise<Uint8Array> {
  const { subject, text, html, format, language, channel, from, to, date, unsubscribe, attachments = [] } = input
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1)
  const composer = new MailComposer({
    from: { name: from.name, address: from.address },
    to: { name: '', address: to },
    subject,
    date,
    messageId: `<${idOf(input.name)}@${domain}>`,
    // One thread for each channel.
    references: `<${idOf(`channel ${channel}`)}@${domain}>`,
    text: part(text),
    ...(format === 'text' ? {} : { html: part(html) }),
    baseBoundary: idOf(`boundary ${input.name}`),
    disableFileAccess: true,
    disableUrlAccess: true,
    attachments: attachments.map(({ name, type, body }) => ({
      filename: name,
      contentType: type,
      content: Buffer.from(body),
    })),
    headers: {
      // Prevents automatic replies.
      'Auto-Submitted': 'auto-generated',
      'X-Auto-Response-Suppress': 'All',
      'Content-Language': language,
      'List-Id': `<${channel}.channels.${domain}>`,
      ...(unsubscribe === null
        ? {}
        : { 'List-Unsubscribe': `<${unsubscribe}>`, 'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click' }),
    },
  })
  return composer.compile().build()
}

/** Makes any line length and character safe on every server. The library keeps line ends as they are, and mail requires CRLF. */
const part = (content: string) => ({
  content: content.replace(/\r?\n/g, '\r\n'),
  contentTransferEncoding: 'quoted-printable',
})

/** The first 32 hex digits of the SHA-256. */
function idOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

/** Mail over SMTP with TLS (RFC 5321, 3207), one connection for each message. */
import { Readable } from 'node:stream'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import { printable } from '../../text/printable.ts'
import { NotSentError, type SendMail, withoutAddress } from './send.ts'

/** Connection settings of a mail server. */
export type SmtpSettings = {
  readonly host: string
  readonly port: number
  /** `starttls`: refused if the server offers none. `none`: on loopback only. */
  readonly tls: 'starttls' | 'implicit' | 'none'
  readonly user: string | null
  readonly password: string | null
  /** Trusted authorities, PEM; null: those of Node. */
  readonly ca: string | null
}

/** A server that is silent for longer is gone; RFC 5321 requires ten minutes after the message, and a claim lasts for fifteen. */
const TIMEOUT_MS = 10 * 60 * 1000
const CONNECT_TIMEOUT_MS = 30 * 1000

/** Sends over SMTP. The server's certificate is always verified. */
export function smtpMail({ host, port, tls, user, password, ca }: SmtpSettings): SendMail {
  return ({ from, to, message }) =>
    new Promise((resolve, reject) => {
      // Once a part of the message was read, a server may have accepted it, unless it says that it has not.
      let isBegun = false
      let isAsked = false
      const connection = new SMTPConnection({
        host,
        port,
        secure: tls === 'implicit',
        requireTLS: tls === 'starttls',
        ignoreTLS: tls === 'none',
        connectionTimeout: CONNECT_TIMEOUT_MS,
        greetingTimeout: CONNECT_TIMEOUT_MS,
        socketTimeout: TIMEOUT_MS,
        tls: { minVersion: 'TLSv1.2', ...(ca === null ? {} : { ca }) },
      })
      const fail = (error: Error): void => {
        // First, since closing emits an end of its own.
        reject(failureOf(error, { isAsked, isBegun, to }))
        connection.close()
      }
      const sent = (response: string): void => {
        resolve(nameIn(withoutAddress(response, to)))
        connection.quit()
      }
      connection.on('error', fail)
      connection.on('end', () => fail(new Error('the server ended the connection')))
      const send = (): void => {
        const body = Readable.from(
          (function* () {
            isBegun = true
            yield Buffer.from(message)
          })(),
        )
        isAsked = true
        connection.send({ from, to }, body, (error, info) => (error ? fail(error) : sent(String(info?.response ?? ''))))
      }
      connection.connect((error) => {
        if (error) fail(error)
        else if (user === null || password === null) send()
        else
          connection.login({ user, credentials: { user, pass: password } }, (refused) =>
            refused ? fail(refused) : send(),
          )
      })
    })
}

/** Codes about the sender, not the mail (RFC 4954). */
const ABOUT_US = [530, 534, 535, 538]

function failureOf(
  error: Error,
  { isAsked, isBegun, to }: { readonly isAsked: boolean; readonly isBegun: boolean; readonly to: string },
): Error {
  const code = 'responseCode' in error && typeof error.responseCode === 'number' ? error.responseCode : null
  const line = printable(withoutAddress(error.message, to).split('\n')[0] ?? '').slice(0, 300)
  if (code === null && isBegun) return new Error(line, { cause: error })
  // 5xx to MAIL, RCPT or DATA is about this mail, permanently; before that it is about the sender, and may be fixed.
  const isFinal = isAsked && code !== null && code >= 500 && !ABOUT_US.includes(code)
  const isOfRecipient = 'command' in error && error.command === 'RCPT TO'
  const reply = 'response' in error ? String(error.response) : ''
  const refusal = !isFinal ? 'for-now' : isOfRecipient && isNoMailbox(reply) ? 'no-mailbox' : 'for-good'
  return new NotSentError(line, refusal, { cause: error })
}

/**
 * Codes about one mailbox (RFC 3463; 5.1.10: RFC 7505, and unknown recipients at Exchange): no such name, no address, moved, accepts nothing. Not 5.1.2: the
 * existence of a domain depends on DNS, whose failure would suppress a whole company; nor 5.2.1, about an existing mailbox, which Gmail returns for one that
 * gets too much mail just now; nor 5.7, which is about the sender.
 */
const NO_MAILBOX = ['5.1.1', '5.1.3', '5.1.6', '5.1.10']

/**
 * Whether the reply to RCPT says that the address does not exist: 5xx, and on its lines one enhanced status code (RFC 2034) about the mailbox. False if there
 * is no such code, or two: then it is unknown.
 */
export function isNoMailbox(reply: string): boolean {
  const lines = reply.split(/\r?\n/).map((line) => /^(\d)\d\d(?:[ -](?:(\d\.\d{1,3}\.\d{1,3})(?=\s|$))?|$)/.exec(line))
  if (!lines.every((line) => line?.[1] === '5')) return false
  const [code, ...others] = new Set(lines.flatMap((line) => line?.[2] ?? []))
  return code !== undefined && others.length === 0 && NO_MAILBOX.includes(code)
}

/** The server's id of an accepted message, if it gives one: the end of `250 2.0.0 Ok: queued as 4F…`. */
function nameIn(response: string): string {
  return printable(response.split('\n')[0] ?? '').slice(0, 200)
}

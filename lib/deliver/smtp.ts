/** Mail over SMTP with TLS (RFC 5321, 3207), one connection for each message. */
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import { z } from 'zod'
import { unreadWords } from '../collect/credential-files.ts'
import { printable } from '../report/printable.ts'
import { NotSentError, type SendMail, withoutAddress } from './send.ts'
import { checkedAddresses } from './channel.ts'
import type { Sender } from './message.ts'
import type { SesSettings } from './ses.ts'

/** How a server of mail is reached, as the settings file says it. */
export type SmtpSettings = {
  readonly from: Sender
  readonly host: string
  readonly port: number
  /** `starttls`: refused where the server offers none. `none`: on loopback only. */
  readonly tls: 'starttls' | 'implicit' | 'none'
  readonly user: string | null
  readonly password: string | null
  /** Authorities to trust, PEM; null: those that Node trusts. */
  readonly ca: string | null
}

/** What a settings file says: whom mail is from, and the way to send it. */
export type MailSettings = SmtpSettings | { readonly from: Sender; readonly ses: SesSettings }

/** The settings file cannot be used. One line, which holds no secret. */
export class MailSettingsError extends Error {
  override readonly name = 'MailSettingsError'
}

/** A server that says nothing for longer is gone; RFC 5321 wants ten minutes after the message, and a claim lives for fifteen. */
const TIMEOUT_MS = 10 * 60 * 1000
const CONNECT_TIMEOUT_MS = 30 * 1000

const LOOPBACK = ['127.0.0.1', '::1', 'localhost']

const sesSchema = z.strictObject({
  from: z.string(),
  fromName: z.string().min(1).max(60).default('ciphertrail'),
  ses: z.strictObject({
    region: z.string().regex(/^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/),
    configurationSet: z
      .string()
      .regex(/^[-_A-Za-z0-9]{1,64}$/)
      .exactOptional(),
  }),
})

const settingsSchema = z.strictObject({
  from: z.string(),
  fromName: z.string().min(1).max(60).default('ciphertrail'),
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).exactOptional(),
  tls: z.enum(['starttls', 'implicit', 'none']).default('starttls'),
  user: z.string().min(1).exactOptional(),
  password: z.string().min(1).exactOptional(),
  passwordFile: z.string().min(1).exactOptional(),
  caFile: z.string().min(1).exactOptional(),
})

/** Reads the settings file: JSON, with the files that it names. Throws {@link MailSettingsError}. */
export async function readMailSettings(file: string): Promise<MailSettings> {
  const content = parseText(await readText(file, file), file)
  if (content !== null && typeof content === 'object' && 'ses' in content) {
    const { from, fromName, ses } = checked(sesSchema, content, file)
    const { region, configurationSet } = ses
    return { from: senderOf(from, fromName, file), ses: { region, configurationSet: configurationSet ?? null } }
  }
  const settings = checked(settingsSchema, content, file)
  const { from, fromName, host, tls, user, password, passwordFile, caFile, port } = settings
  const secret = passwordFile === undefined ? password : (await readText(passwordFile, file)).trim()
  if ((user === undefined) !== (secret === undefined))
    throw settingsError(file, '"user" and "password" (or "passwordFile") go together')
  if (password !== undefined && passwordFile !== undefined)
    throw settingsError(file, 'it has both "password" and "passwordFile"')
  if (tls === 'none' && (!LOOPBACK.includes(host) || user !== undefined))
    throw settingsError(
      file,
      '"tls" is "none", which is for a server on loopback without a user; wanted "starttls" or "implicit"',
    )
  return {
    from: senderOf(from, fromName, file),
    host,
    port: port ?? (tls === 'implicit' ? 465 : tls === 'starttls' ? 587 : 25),
    tls,
    user: user ?? null,
    password: secret ?? null,
    ca: caFile === undefined ? null : await readText(caFile, file),
  }
}

function checked<T>(schema: z.ZodType<T>, content: unknown, file: string): T {
  const parsed = schema.safeParse(content)
  if (parsed.success) return parsed.data
  const place = parsed.error.issues[0]?.path.join('.') ?? ''
  throw settingsError(
    file,
    place === '' ? 'it has a field that is not known, or is no object' : `"${place}" is absent or wrong`,
  )
}

function senderOf(from: string, name: string, file: string): Sender {
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(name)) throw settingsError(file, '"fromName" holds what cannot be seen')
  return { name, address: addressOf(from, file) }
}

function addressOf(from: string, file: string): string {
  try {
    return checkedAddresses('', [from])[0] ?? ''
  } catch {
    throw settingsError(file, '"from" is no address of mail')
  }
}

async function readText(name: string, file: string): Promise<string> {
  try {
    return await readFile(name, 'utf8')
  } catch (error) {
    throw settingsError(file, `"${printable(name)}" ${unreadWords(error)}`)
  }
}

function parseText(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The message of the parser would quote the text, and with it the password.
    throw settingsError(file, 'it is no JSON')
  }
}

function settingsError(file: string, state: string): MailSettingsError {
  return new MailSettingsError(`Cannot use the mail settings "${printable(file)}": ${state}`)
}

/** Sends over SMTP. The certificate of the server is always verified. */
export function smtpMail({ host, port, tls, user, password, ca }: Omit<SmtpSettings, 'from'>): SendMail {
  return ({ from, to, message }) =>
    new Promise((resolve, reject) => {
      // From the moment on which a part of the message is read, a server may have taken it, unless it says that it has not.
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
        // First, since closing is told as an end of its own.
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

/** What a server says of who we are, and not of the mail (RFC 4954). */
const ABOUT_US = [530, 534, 535, 538]

function failureOf(
  error: Error,
  { isAsked, isBegun, to }: { readonly isAsked: boolean; readonly isBegun: boolean; readonly to: string },
): Error {
  const code = 'responseCode' in error && typeof error.responseCode === 'number' ? error.responseCode : null
  const line = printable(withoutAddress(error.message, to).split('\n')[0] ?? '').slice(0, 300)
  if (code === null && isBegun) return new Error(line, { cause: error })
  // 5xx to MAIL, RCPT or DATA is about this mail, for good; before that it is about us, and may be mended.
  const isFinal = isAsked && code !== null && code >= 500 && !ABOUT_US.includes(code)
  return new NotSentError(line, isFinal, { cause: error })
}

/** What a server calls a message that it took, as far as it says: the end of `250 2.0.0 Ok: queued as 4F…`. */
function nameIn(response: string): string {
  return printable(response.split('\n')[0] ?? '').slice(0, 200)
}

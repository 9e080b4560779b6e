/** Sender and transport of mail, from a settings file or the environment of a function. */
import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { unreadWords } from '../../net/credential-files.ts'
import { printable } from '../../text/printable.ts'
import { checkedAddresses } from '../channel/channel.ts'
import type { Sender } from './mime-message.ts'
import { pagesUrl } from './pages-url.ts'
import type { SesSettings } from './ses.ts'
import type { SmtpSettings } from './smtp.ts'

/** The content of a settings file: sender and transport of mail. */
export type MailSettings = { readonly from: Sender } & (SmtpSettings | { readonly ses: SesSettings })

/** Mail by Amazon SES, and the URL of its links. */
export type SesMailSettings = {
  readonly from: Sender
  readonly ses: SesSettings
  /** URL of the pages, without a slash at its end; null if there is none. */
  readonly url: string | null
}

/** Unusable mail settings. One line, which holds no secret and no address. */
export class MailSettingsError extends Error {
  override readonly name = 'MailSettingsError'
}

const LOOPBACK = ['127.0.0.1', '::1', 'localhost']

const senderFields = { from: z.string(), fromName: z.string().min(1).max(60).default('ciphertrail') }

const sesFields = {
  region: z.string().regex(/^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/),
  configurationSet: z
    .string()
    .regex(/^[-_A-Za-z0-9]{1,64}$/)
    .optional(),
}

const sesSchema = z.strictObject({ ...senderFields, ses: z.strictObject(sesFields) })

const environmentSchema = z.object({ ...senderFields, ...sesFields })

const settingsSchema = z.strictObject({
  ...senderFields,
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).exactOptional(),
  tls: z.enum(['starttls', 'implicit', 'none']).default('starttls'),
  user: z.string().min(1).exactOptional(),
  password: z.string().min(1).exactOptional(),
  passwordFile: z.string().min(1).exactOptional(),
  caFile: z.string().min(1).exactOptional(),
})

/** The wanted form of fields whose names do not say it. */
const WANTED: Readonly<Record<string, string>> = {
  from: 'an address of mail',
  host: 'the name of a server of mail, or "ses" in its place',
  port: 'a number from 1 to 65535',
  tls: '"starttls", "implicit" or "none"',
  region: 'a region of AWS, such as eu-central-1',
  'ses.region': 'a region of AWS, such as eu-central-1',
}

/** Reads the settings file: JSON, with the files that it names. Throws {@link MailSettingsError}. */
export async function readMailSettings(file: string): Promise<MailSettings> {
  const content = parseText(await readText(file, file), file)
  if (content !== null && typeof content === 'object' && 'ses' in content) {
    const { ses, ...sender } = checked(sesSchema, content, inFile(file))
    return { from: senderOf(sender, inFile(file)), ses: sesOf(ses) }
  }
  const settings = checked(settingsSchema, content, inFile(file))
  const { host, tls, user, password, passwordFile, caFile, port } = settings
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
    from: senderOf(settings, inFile(file)),
    host,
    port: port ?? (tls === 'implicit' ? 465 : tls === 'starttls' ? 587 : 25),
    tls,
    user: user ?? null,
    password: secret ?? null,
    ca: caFile === undefined ? null : await readText(caFile, file),
  }
}

/** The environment variable of each mail setting of a function. */
const VARIABLES: Readonly<Record<string, string>> = {
  from: 'CIPHERTRAIL_MAIL_FROM',
  fromName: 'CIPHERTRAIL_MAIL_FROM_NAME',
  configurationSet: 'CIPHERTRAIL_CONFIGURATION_SET',
  region: 'AWS_REGION',
}

/** The mail settings in a function's environment, as `Config` has them. */
export type MailEnvironment = {
  readonly mailFrom: string | undefined
  readonly mailFromName: string | undefined
  readonly configurationSet: string | undefined
  readonly region: string | undefined
  readonly url: string | undefined
}

/** The resulting settings; null if no sender is configured. Throws {@link MailSettingsError}. */
export function mailByEnvironment({
  mailFrom: from,
  mailFromName: fromName,
  configurationSet,
  region,
  url,
}: MailEnvironment): SesMailSettings | null {
  if (from === undefined) return null
  const wrong: Wrong = (field, state) =>
    new MailSettingsError(`Cannot use ${VARIABLES[field] ?? 'the environment'}: it ${state}`)
  const settings = checked(environmentSchema, { from, fromName, configurationSet, region }, wrong)
  const pages = url === undefined ? null : pagesUrl(url)
  if (pages === undefined)
    throw new MailSettingsError(
      'Cannot use CIPHERTRAIL_URL: it is no address of pages, wanted one such as https://ciphertrail.example.com',
    )
  return { from: senderOf(settings, wrong), ses: sesOf(settings), url: pages }
}

/** Makes the error about a setting. */
type Wrong = (field: string, state: string) => MailSettingsError

const inFile =
  (file: string): Wrong =>
  (field, state) =>
    settingsError(file, field === '' ? `it ${state}` : `"${field}" ${state}`)

function checked<T>(schema: z.ZodType<T>, content: unknown, wrong: Wrong): T {
  const parsed = schema.safeParse(content)
  if (parsed.success) return parsed.data
  // Unknown fields first: one may be the misspelt name of a missing field.
  const issue = parsed.error.issues.find(({ code }) => code === 'unrecognized_keys') ?? parsed.error.issues[0]
  const path = issue?.path ?? []
  if (issue?.code === 'unrecognized_keys')
    throw wrong(
      printable([...path, issue.keys[0] ?? ''].join('.')),
      'is not known here, see "ciphertrail deliver --help"',
    )
  const field = path.join('.')
  if (field === '') throw wrong(field, 'is no JSON object')
  const wanted = WANTED[field]
  throw wrong(field, `is absent or wrong${wanted === undefined ? '' : `, wanted ${wanted}`}`)
}

function sesOf({ region, configurationSet }: z.infer<z.ZodObject<typeof sesFields>>): SesSettings {
  return { region, configurationSet: configurationSet ?? null }
}

function senderOf({ from, fromName }: { readonly from: string; readonly fromName: string }, wrong: Wrong): Sender {
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(fromName)) throw wrong('fromName', 'holds what cannot be seen')
  try {
    return { name: fromName, address: checkedAddresses('', [from])[0] ?? '' }
  } catch {
    throw wrong('from', 'is no address of mail')
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
    // The parser's message would quote the text, and with it the password.
    throw settingsError(file, 'it is no JSON')
  }
}

function settingsError(file: string, state: string): MailSettingsError {
  return new MailSettingsError(`Cannot use the mail settings "${printable(file)}": ${state}`)
}

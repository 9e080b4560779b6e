/** Channels: which recipients get which news, when and how. Pure: channels.ts stores channels, recipients.ts the addresses. */
import { domainToASCII } from 'node:url'
import * as z from 'zod'
import { matchesAny } from '../../text/pattern.ts'
import { isManagedSecret } from '../../net/secret-name.ts'
import { checkedZone } from '../../time/checked-zone.ts'
import { isClusterId } from '../../store/keys.ts'
import { compareText } from '../../text/order.ts'

/** Mail formats: HTML with a text part, or text alone. Both have the same content. */
const MAIL_FORMATS = ['html', 'text'] as const

/** What a webhook gets: alerts as they come, or the document of each week's report for other tools. */
export const WEBHOOK_FORMATS = ['alert', 'ocsf', 'oscal'] as const

/** What a webhook gets. */
export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number]

/** Format of mail: HTML with text beside it, or text alone. */
export type MailFormat = (typeof MAIL_FORMATS)[number]

const PSEUDONYM = /^r[0-9a-f]{32}$/
const SEND_AT = /^([01]\d|2[0-3]):[0-5]\d$/
const NAMESPACE_PATTERN = /^(?=.{1,63}$)[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$/

const channelSchema = z.strictObject({
  /** Like a cluster's id: 1 to 63 of `a-z`, `0-9` and `-`. */
  id: z.string().refine(isClusterId),
  /** RFC 3339. Mails due before are not sent. */
  addedAt: z.iso.datetime(),
  /** Ids, in text order; empty: every cluster registered when a mail is made. */
  clusters: z.array(z.string().refine(isClusterId)).readonly(),
  /** Patterns with `*`, in text order; a path belongs to the channel if either end is in one of them. Empty: every namespace. */
  namespaces: z.array(z.string().regex(NAMESPACE_PATTERN)).readonly(),
  /** The team in the subject; null if none. It restricts nothing. */
  team: z.string().nullable(),
  /** Pseudonyms, in text order. */
  recipients: z.array(z.string().regex(PSEUDONYM)).readonly(),
  /** IANA name: defines the channel's weeks and the times in mails. */
  timeZone: z.string(),
  /** `07:00`: on Monday, on the clock of the time zone. */
  sendAt: z.string().regex(SEND_AT),
  /** BCP 47, such as `en-GB`; the language that a mail declares. */
  language: z.string(),
  format: z.enum(MAIL_FORMATS),
  /** Whether its recipients get urgent alerts at once. */
  hasAlerts: z.boolean(),
  /** Where alerts are posted, too, or reports; null: nowhere. */
  webhook: z
    .strictObject({
      url: z.string(),
      /** The name of a file with the secret. */
      secretFile: z.string().exactOptional(),
      /** The name or the ARN of a secret of AWS Secrets Manager. */
      secret: z.string().exactOptional(),
      /** Absent: alerts. */
      format: z.enum(['ocsf', 'oscal']).exactOptional(),
    })
    .refine(({ secretFile, secret }) => (secretFile === undefined) !== (secret === undefined))
    .readonly()
    .nullable(),
  /** ARN of an Amazon SNS topic to which alerts are published, too; null: none. */
  snsTopic: z.string().nullable(),
  // This and the following are absent in older records.
  /**
   * RFC 3339: since when its mails have a link to download the report, which works without login; older links do not work. Null: its mails have none, and none
   * works.
   */
  downloadsSince: z.iso.datetime().nullable().default(null),
  /** Whether the report is attached to its mails, as a PDF. */
  attachesPdf: z.boolean().default(false),
})

/** A stored channel. It names people by pseudonyms, since records of changes cannot be deleted. */
export type Channel = Readonly<z.infer<typeof channelSchema>>

/** Endpoint for alerts or reports: an https URL, which is recorded, and the location of the secret that signs them, one of the two. */
export type Webhook = NonNullable<Channel['webhook']>

/** An operator's settings of a channel. An absent one keeps its value, or takes its default in a new channel. Lists replace lists. */
export type ChannelOptions = {
  readonly id: string
  readonly clusters?: readonly string[]
  readonly namespaces?: readonly string[]
  readonly team?: string
  /** Mail addresses. */
  readonly recipients?: readonly string[]
  /** Default UTC. */
  readonly timeZone?: string
  /** Default `07:00`. */
  readonly sendAt?: string
  /** Default `en`. */
  readonly language?: string
  /** Default `html`. */
  readonly format?: string
  /** Default true. */
  readonly hasAlerts?: boolean
  /** Null: none. */
  readonly webhook?: Channel['webhook']
  /** One of {@link WEBHOOK_FORMATS}; default `alert`. */
  readonly webhookFormat?: string
  /** Null: none. */
  readonly snsTopic?: string | null
  /** Default false. */
  readonly hasDownloads?: boolean
  /** Default false. */
  readonly attachesPdf?: boolean
}

/** Invalid settings of a channel. One line, which never quotes an address. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError'
}

/** More recipients need a mailing list. */
const MAX_RECIPIENTS = 200
const MAX_NAMES = 100

// The local part as in HTML's `input type=email`: no quotes, no comments, nothing outside ASCII.
const ADDRESS = /^([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64})@([^@\s]{1,253})$/
const DOMAIN = /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

const contentSchema = z.object({
  channels: z.array(channelSchema).refine((all) => new Set(all.map(({ id }) => id)).size === all.length),
})

/** The channels in a recorded change; undefined if its content is invalid. */
export function decodeChannels(content: unknown): readonly Channel[] | undefined {
  return contentSchema.safeParse(content).data?.channels
}

/** Whether a text has the form of a recipient's pseudonym. */
export function isPseudonym(text: string): boolean {
  return PSEUDONYM.test(text)
}

/**
 * Applies an operator's settings to a channel. `recipients` are the pseudonyms of the given addresses. Throws {@link ChannelError} for invalid settings.
 *
 * @param before undefined for a new one
 * @param now RFC 3339
 */
export function changeChannel(
  before: Channel | undefined,
  options: ChannelOptions,
  recipients: readonly string[] | undefined,
  now: string,
): Channel {
  const { id } = options
  const known = before ?? { ...DEFAULTS, id, addedAt: now }
  const channel: Channel = {
    ...known,
    clusters: options.clusters === undefined ? known.clusters : checkedClusters(id, options.clusters),
    namespaces: options.namespaces === undefined ? known.namespaces : checkedNamespaces(id, options.namespaces),
    team: options.team === undefined ? known.team : checkedTeam(id, options.team),
    recipients: recipients === undefined ? known.recipients : sorted(recipients),
    timeZone: options.timeZone === undefined ? known.timeZone : zoneOf(id, options.timeZone),
    sendAt: options.sendAt === undefined ? known.sendAt : checkedSendAt(id, options.sendAt),
    language: options.language === undefined ? known.language : languageOf(id, options.language),
    format: options.format === undefined ? known.format : formatOf(id, options.format),
    hasAlerts: options.hasAlerts ?? known.hasAlerts,
    webhook: webhookOf(id, known.webhook, options),
    snsTopic: options.snsTopic === undefined ? known.snsTopic : checkedTopic(id, options.snsTopic),
    downloadsSince:
      options.hasDownloads === undefined
        ? known.downloadsSince
        : options.hasDownloads
          ? (known.downloadsSince ?? now)
          : null,
    attachesPdf: options.attachesPdf ?? known.attachesPdf,
  }
  if (givesReport(channel) && !isOfEverything(channel))
    throw channelError(
      id,
      'a report tells of every cluster and namespace, so only a channel of all of them can have --download-links on or --attach-pdf on',
    )
  if (reportWebhook(channel) !== null && !isOfEverything(channel))
    throw channelError(
      id,
      'a report tells of every cluster and namespace, so only the webhook of a channel of all of them can have --webhook-format ocsf or oscal',
    )
  return channel
}

/** Whether the report itself is sent with the mails of a channel: by a link without login, or attached. */
export function givesReport({ downloadsSince, attachesPdf }: Channel): boolean {
  return downloadsSince !== null || attachesPdf
}

/** The endpoint to which alerts of a channel are posted; null if there is none. */
export function alertWebhook({ webhook }: Pick<Channel, 'webhook'>): Webhook | null {
  return webhook?.format === undefined ? webhook : null
}

/** The endpoint to which the reports of each week are posted, and in which format; null if there is none. */
export function reportWebhook({
  webhook,
}: Pick<Channel, 'webhook'>): (Webhook & { readonly format: Exclude<WebhookFormat, 'alert'> }) | null {
  return webhook?.format === undefined ? null : { ...webhook, format: webhook.format }
}

/** Whether a channel covers everything, and so may receive data about everything. */
export function isOfEverything({ clusters, namespaces }: Channel): boolean {
  return clusters.length === 0 && namespaces.length === 0
}

const DEFAULTS = {
  clusters: [],
  namespaces: [],
  team: null,
  recipients: [],
  timeZone: 'UTC',
  sendAt: '07:00',
  language: 'en',
  format: 'html',
  hasAlerts: true,
  webhook: null,
  snsTopic: null,
  downloadsSince: null,
  attachesPdf: false,
} as const

/** Throws {@link ChannelError} for an invalid id. */
export function checkChannelId(id: string): void {
  if (!isClusterId(id))
    throw channelError(id, 'an id has 1 to 63 of "a-z", "0-9" and "-", and neither begins nor ends with "-"')
}

/**
 * Normalises addresses, each once: the domain in lower case and ASCII. Addresses that differ in case alone are one, the first. Throws {@link ChannelError},
 * which names an invalid address by its number, since errors end up in logs.
 */
export function checkedAddresses(id: string, addresses: readonly string[]): readonly string[] {
  if (addresses.length > MAX_RECIPIENTS)
    throw channelError(
      id,
      `it has ${addresses.length} recipients, wanted at most ${MAX_RECIPIENTS}; use a mailing list`,
    )
  const known = new Map<string, string>()
  for (const [index, text] of addresses.entries()) {
    const [, local = '', rest = ''] = ADDRESS.exec(text) ?? []
    const domain = domainToASCII(rest.toLowerCase())
    if (!DOMAIN.test(domain) || domain.length > 253 || /^\.|\.\.|\.$/.test(local))
      throw channelError(
        id,
        `recipient ${index + 1} of ${addresses.length} is no address of mail, wanted one such as ada@example.com`,
      )
    const address = `${local}@${domain}`
    if (!known.has(address.toLowerCase())) known.set(address.toLowerCase(), address)
  }
  return [...known.values()]
}

/** Whether the path between these namespaces belongs to a channel. An end without a namespace (outside, or without a name) decides nothing. */
export function isOfChannel({ namespaces }: Channel, ends: readonly { readonly namespace: string }[]): boolean {
  return namespaces.length === 0 || ends.some(({ namespace }) => namespace !== '' && matchesAny(namespaces, namespace))
}

function checkedClusters(id: string, clusters: readonly string[]): readonly string[] {
  const wrong = clusters.find((cluster) => !isClusterId(cluster))
  if (wrong !== undefined) throw channelError(id, `${JSON.stringify(wrong)} is not the id of a cluster`)
  return short(id, 'clusters', sorted(clusters))
}

function checkedNamespaces(id: string, namespaces: readonly string[]): readonly string[] {
  const wrong = namespaces.find((namespace) => !NAMESPACE_PATTERN.test(namespace))
  if (wrong !== undefined)
    throw channelError(id, `${JSON.stringify(wrong)} is not a namespace or a pattern of one, such as pay-*`)
  return short(id, 'namespaces', sorted(namespaces))
}

function short(id: string, what: string, names: readonly string[]): readonly string[] {
  if (names.length <= MAX_NAMES) return names
  throw channelError(
    id,
    `it has ${names.length} ${what}, wanted at most ${MAX_NAMES}; use a pattern, or leave them out`,
  )
}

function checkedTeam(id: string, team: string): string | null {
  if (team === '') return null
  // It appears in subjects and in tables.
  if (team.length > 60 || /[\p{C}\p{Zl}\p{Zp}\p{M}]/u.test(team))
    throw channelError(id, 'the name of its team has at most 60 characters that can be seen')
  return team
}

function zoneOf(id: string, timeZone: string): string {
  try {
    return checkedZone(timeZone)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw channelError(
      id,
      `${JSON.stringify(timeZone)} is no time zone, wanted an IANA name, such as Europe/Berlin or UTC`,
    )
  }
}

function checkedSendAt(id: string, sendAt: string): string {
  if (SEND_AT.test(sendAt)) return sendAt
  throw channelError(id, `${JSON.stringify(sendAt)} is no time of day, wanted one such as 07:00`)
}

function languageOf(id: string, language: string): string {
  const [canonical] = canonicalLanguages(language)
  if (canonical === undefined)
    throw channelError(id, `${JSON.stringify(language)} is no tag of a language, wanted one such as en or en-GB`)
  // A language tag that does not match the text would mislead screen readers.
  if (new Intl.Locale(canonical).language !== 'en')
    throw channelError(
      id,
      `mails are written in English, so its language is en, or one such as en-GB, not ${canonical}`,
    )
  return canonical
}

function canonicalLanguages(language: string): readonly string[] {
  try {
    return Intl.getCanonicalLocales(language)
  } catch (error) {
    if (error instanceof RangeError) return []
    throw error
  }
}

function formatOf(id: string, format: string): MailFormat {
  const known = MAIL_FORMATS.find((one) => one === format)
  if (known !== undefined) return known
  throw channelError(id, `${JSON.stringify(format)} is no format of a mail, wanted ${MAIL_FORMATS.join(' or ')}`)
}

/** Another address keeps the format, and another format the address. */
function webhookOf(id: string, known: Channel['webhook'], options: ChannelOptions): Channel['webhook'] {
  const { webhook: given, webhookFormat } = options
  const webhook = given === undefined ? known : checkedWebhook(id, given)
  const format = WEBHOOK_FORMATS.find((one) => one === (webhookFormat ?? known?.format ?? 'alert'))
  if (format === undefined)
    throw channelError(
      id,
      `${JSON.stringify(webhookFormat)} is no format of a webhook, wanted ${WEBHOOK_FORMATS.join(', ')}`,
    )
  if (webhook === null) {
    if (webhookFormat === undefined) return null
    throw channelError(id, 'it has no webhook that could have a format, give its address with --webhook')
  }
  const { format: _, ...bare } = webhook
  return format === 'alert' ? bare : { ...bare, format }
}

/** Never quotes the address: its problem may be a credential inside. */
function checkedWebhook(id: string, webhook: Channel['webhook']): Channel['webhook'] {
  if (webhook === null) return null
  const url = URL.parse(webhook.url)
  const isLoopback = ['127.0.0.1', 'localhost', '[::1]'].includes(url?.hostname ?? '')
  if (
    url === null ||
    !(url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) ||
    webhook.url.length > 500
  )
    throw channelError(
      id,
      'its webhook must be an address that begins with https, such as https://hooks.example.com/ciphertrail',
    )
  if (url.username !== '' || url.password !== '' || url.hash !== '')
    throw channelError(id, 'its webhook holds a credential or a fragment; the secret that signs it is kept elsewhere')
  const { secretFile, secret } = webhook
  if ((secretFile === undefined) === (secret === undefined))
    throw channelError(id, 'the secret of its webhook is in a file or in AWS Secrets Manager, one of the two')
  if (secretFile !== undefined && (secretFile === '' || /\p{C}/u.test(secretFile)))
    throw channelError(id, 'the file with the secret of its webhook is not the name of a file')
  if (secret !== undefined && !isManagedSecret(secret))
    throw channelError(id, 'the secret of its webhook is named by a name or an ARN of AWS Secrets Manager')
  return { ...webhook, url: url.href }
}

function checkedTopic(id: string, topic: string | null): string | null {
  if (topic === null || /^arn:aws[-a-z]*:sns:[a-z0-9-]{1,30}:\d{12}:[-_A-Za-z0-9]{1,256}$/.test(topic)) return topic
  throw channelError(
    id,
    `${JSON.stringify(topic)} is not the ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:alerts`,
  )
}

const sorted = (texts: readonly string[]): readonly string[] => [...new Set(texts)].sort(compareText)

/** The error for an invalid channel. */
function channelError(id: string, state: string): ChannelError {
  return new ChannelError(`Cannot add channel ${JSON.stringify(id)}: ${state}`)
}

import type { Command } from 'commander'
import type { Sender } from '../lib/deliver/send/mime-message.ts'
import { retryThrottled } from '../lib/deliver/send/throttling.ts'
import type { SendMail } from '../lib/deliver/send/send.ts'
import type { PublishAlert } from '../lib/deliver/send/sns.ts'
import { MailSettingsError, readMailSettings } from '../lib/deliver/send/settings.ts'
import { smtpMail } from '../lib/deliver/send/smtp.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { chosenChannels } from './find-channel.ts'
import { type Console, UsageError } from './console.ts'
import { readTime, readUrl } from './option-values.ts'

/** What the help says of the settings file. */
export const MAIL_HELP = `The settings file is JSON:
  {"from": "ciphertrail@example.com", "host": "smtp.example.com",
   "user": "ciphertrail", "passwordFile": "/run/secrets/smtp"}
Further fields: fromName, port, tls ("starttls", the default and then required,
"implicit", or "none" for a server on loopback), password, caFile. Or, by Amazon
SES, with the AWS credentials of the environment:
  {"from": "ciphertrail@example.com",
   "ses": {"region": "eu-central-1", "configurationSet": "ciphertrail"}}`

/** The options of the commands that tell channels. */
export type SendOptions = {
  readonly channel?: string
  readonly mail?: string
  readonly url?: string
  readonly now?: string
  readonly json?: boolean
  readonly store?: string
}

/** Adds them. `without` says what is not sent where no settings of mail are given; absent: they are wanted. */
export function addSendOptions(command: Command, without?: string): Command {
  return command
    .option('--channel <id>', 'only this channel')
    .option(
      '--mail <file>',
      `settings of the server of mail (default CIPHERTRAIL_MAIL${without === undefined ? '' : `, else ${without}`})`,
    )
    .option('--url <url>', 'where people reach the pages, for the links (default CIPHERTRAIL_URL, else no links)')
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object for each channel')
}

/** What they said, checked against the store; `mail` is null where no settings are given. Throws UsageError. */
export async function readSendOptions(options: SendOptions, { config, now }: Console, objects: Objects) {
  const { channel } = options
  if (channel !== undefined) await chosenChannels(channel, objects)
  const file = options.mail ?? config.mail
  const given = options.now === undefined ? undefined : new Date(readTime('--now', options.now))
  return {
    mail: file === undefined ? null : retryThrottled(await openMail(file)),
    url: readUrl(options.url ?? config.url),
    now: given === undefined ? now : () => given,
    ...(channel === undefined ? {} : { channel }),
  }
}

/** The way to send mail that a settings file names, and whom it is from. It waits for nothing. Throws UsageError where it cannot be used. */
export async function openMail(file: string): Promise<{ readonly from: Sender; readonly send: SendMail }> {
  try {
    const { from, ...way } = await readMailSettings(file)
    if (!('ses' in way)) return { from, send: smtpMail(way) }
    // Loaded here, since nothing else needs that part of the SDK.
    const { sesMail } = await import('../lib/deliver/send/ses.ts')
    return { from, send: sesMail(way.ses) }
  } catch (error) {
    throw error instanceof MailSettingsError ? new UsageError(error.message) : error
  }
}

/** Publishes alerts to topics of Amazon SNS. */
export const publishAlert: PublishAlert = async (topic, alert) => {
  // Loaded here, since nothing else needs that part of the SDK.
  const { snsPublish } = await import('../lib/deliver/send/sns.ts')
  return snsPublish(topic, alert)
}

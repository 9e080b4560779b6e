import type { Sender } from '../lib/deliver/message.ts'
import type { SendMail } from '../lib/deliver/send.ts'
import type { PublishAlert } from '../lib/deliver/sns.ts'
import { MailSettingsError, readMailSettings, smtpMail } from '../lib/deliver/smtp.ts'
import { UsageError } from './console.ts'

/** What the help says of the settings file. */
export const MAIL_HELP = `The settings file is JSON:
  {"from": "ciphertrail@example.com", "host": "smtp.example.com",
   "user": "ciphertrail", "passwordFile": "/run/secrets/smtp"}
Further fields: fromName, port, tls ("starttls", the default and then required,
"implicit", or "none" for a server on loopback), password, caFile. Or, by Amazon
SES, with the AWS credentials of the environment:
  {"from": "ciphertrail@example.com",
   "ses": {"region": "eu-central-1", "configurationSet": "ciphertrail"}}`

/** The way to send mail that a settings file names, and whom it is from. Throws UsageError where it cannot be used. */
export async function openMail(file: string): Promise<{ readonly from: Sender; readonly send: SendMail }> {
  try {
    const { from, ...way } = await readMailSettings(file)
    if (!('ses' in way)) return { from, send: smtpMail(way) }
    // Loaded here, since nothing else needs that part of the SDK.
    const { sesMail } = await import('../lib/deliver/ses.ts')
    return { from, send: sesMail(way.ses) }
  } catch (error) {
    throw error instanceof MailSettingsError ? new UsageError(error.message) : error
  }
}

/** Publishes alerts to topics of Amazon SNS. */
export const publishAlert: PublishAlert = async (topic, alert) => {
  // Loaded here, since nothing else needs that part of the SDK.
  const { snsPublish } = await import('../lib/deliver/sns.ts')
  return snsPublish(topic, alert)
}

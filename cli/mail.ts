import type { Sender } from '../lib/deliver/message.ts'
import type { SendMail } from '../lib/deliver/send.ts'
import { MailSettingsError, readMailSettings, smtpMail } from '../lib/deliver/smtp.ts'
import { UsageError } from './console.ts'

/** What the help says of the settings file. */
export const MAIL_HELP = `The settings file is JSON:
  {"from": "ciphertrail@example.com", "host": "smtp.example.com", "user": "ciphertrail", "passwordFile": "/run/secrets/smtp"}
Further fields: fromName, port, tls ("starttls", the default and then required, "implicit", or "none" for a server on
loopback), password, caFile.`

/** The way to send mail that a settings file names, and whom it is from. Throws UsageError where it cannot be used. */
export async function openMail(file: string): Promise<{ readonly from: Sender; readonly send: SendMail }> {
  try {
    const { from, ...smtp } = await readMailSettings(file)
    return { from, send: smtpMail(smtp) }
  } catch (error) {
    throw error instanceof MailSettingsError ? new UsageError(error.message) : error
  }
}

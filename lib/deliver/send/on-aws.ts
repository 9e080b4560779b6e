/** Mail transport of a function. */
import type { Sender } from './mime-message.ts'
import type { SendMail } from './send.ts'
import { sesMail } from './ses.ts'
import { mailByEnvironment, type MailEnvironment } from './settings.ts'

/** Mail settings from a function's environment; null if no sender is configured. Throws `MailSettingsError`. */
export function mailOnAws(
  environment: MailEnvironment,
): { readonly from: Sender; readonly url: string | null; readonly send: SendMail } | null {
  const settings = mailByEnvironment(environment)
  if (settings === null) return null
  const { from, url, ses } = settings
  return { from, url, send: sesMail(ses) }
}

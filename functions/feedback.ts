/**
 * Records what Amazon SES reports about mails it accepted: bounces, complaints and dropped mails, for each message of the queue. Unrelated messages change
 * nothing.
 */
import * as z from 'zod'
import { takeFeedback } from '../lib/jobs/mail/record-feedback.ts'
import { onQueue } from './lambda.ts'

// Accepts any message: an unusable one is logged and not retried.
export const handler = onQueue(z.unknown(), async (notification, { objects }) => {
  const outcome = await takeFeedback(notification, new Date(), { objects })
  if ('nothing' in outcome)
    return { logFields: { nothing: outcome.nothing }, counts: { ForeignNotifications: outcome.isForeign ? 1 : 0 } }
  const { id, status, report, isSuppressed } = outcome
  return {
    logFields: { ...id, status, report, isSuppressed },
    counts: {
      Bounces: status === 'complained' ? 0 : 1,
      Complaints: status === 'complained' ? 1 : 0,
      FailedMails: status === 'failed' ? 1 : 0,
      SilencedRecipients: isSuppressed ? 1 : 0,
    },
  }
})

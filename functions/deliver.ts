/**
 * Sends the weekly mail of a channel, for each message of the queue. Recipients who cannot be sent it now are left to the next message, which `plan` sends; only
 * errors of the store or the code return this one to the queue.
 */
import { readConfig } from '../lib/config.ts'
import { mailOnAws } from '../lib/deliver/send/on-aws.ts'
import { retryThrottled } from '../lib/deliver/send/throttling.ts'
import { deliverRequested } from '../lib/jobs/mail/deliver-mails.ts'
import { mailRequestSchema } from '../lib/jobs/mail/due-mails.ts'
import { onQueue } from './lambda.ts'

/** With less time left than this nothing is started: longer than one message takes at most. */
const MIN_MS = 45_000

/** With less time left than this, no further recipient is begun: a mail may have to wait for its turn. */
const BEGIN_MS = MIN_MS + 15_000

const mail = mailOnAws(readConfig())

export const handler = onQueue(mailRequestSchema, async (message, { objects, version }, leftMs) => {
  if (mail === null) {
    const reason = 'Cannot send mail: nobody is named whom it is from, deploy with the parameter mail-from'
    return { logFields: { ...message, outcome: 'refused', reason }, counts: { MailProblems: 1 } }
  }
  const { send, ...from } = retryThrottled(mail, { mayWait: (ms) => leftMs() - ms > MIN_MS })
  const now = () => new Date()
  const asked = await deliverRequested(
    message,
    { at: now(), version, ...from },
    { objects, send, now, isOver: () => leftMs() < BEGIN_MS },
  )
  if (asked.outcome === 'refused') return { logFields: { ...message, ...asked } }
  const { tried, suppressed, left, problem } = asked.delivery
  const of = (status: string) => tried.filter((delivery) => delivery.status === status).length
  const [sent, failed, unknown] = [of('sent'), of('failed'), of('unknown')]
  const reasons = new Set(tried.flatMap(({ status, detail }) => (status === 'sent' ? [] : [detail])))
  return {
    logFields: {
      ...message,
      outcome: 'delivered',
      sent,
      failed,
      unknown,
      suppressed,
      left,
      reasons: [...reasons],
      problem,
    },
    counts: {
      Mails: sent,
      FailedMails: failed,
      UnknownMails: unknown,
      MailProblems: problem === null ? 0 : 1,
    },
    error: asked.error,
  }
})

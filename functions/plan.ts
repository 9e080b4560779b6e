/** Finds the due windows and mails and requests each with one message. Started every few minutes; if nothing is due, sends nothing. */
import type { SQSClient } from '@aws-sdk/client-sqs'
import { mailsDue } from '../lib/jobs/mail/due-mails.ts'
import { plan } from '../lib/jobs/plan-collection.ts'
import { readConfig } from '../lib/config.ts'
import { onSchedule, setting } from './lambda.ts'

/** Most messages that SQS accepts at once. */
const MAX_AT_ONCE = 10

const config = readConfig()
const windowQueue = setting(config.collectQueue, 'CIPHERTRAIL_COLLECT_QUEUE')
const mailQueue = setting(config.deliverQueue, 'CIPHERTRAIL_DELIVER_QUEUE')

let client: SQSClient | undefined

/** Mails with nothing left to do. */
const settled = new Set<string>()

export const handler = onSchedule(async (now, { objects }) => {
  const askForWindows = async () => {
    const { due, errors } = await plan({ now }, { objects })
    await ask('windows', due, windowQueue)
    return { due, errors }
  }
  const askForMails = async () => {
    const { due, errors } = await mailsDue(now, { objects, now: () => new Date(), settled })
    await ask('mails', due, mailQueue)
    return { due, errors }
  }
  // A failure of one must not hold up the other.
  const [windows, mails] = await Promise.allSettled([askForWindows(), askForMails()])
  if (windows.status === 'rejected') throw windows.reason
  const errors = [
    ...windows.value.errors,
    ...(mails.status === 'rejected' ? [lineOf(mails.reason)] : mails.value.errors),
  ]
  const [due, mailsAsked] = [windows.value.due.length, mails.status === 'rejected' ? 0 : mails.value.due.length]
  return {
    logFields: { due, mails: mailsAsked, errors },
    counts: { PlannedWindows: due, PlannedMails: mailsAsked, PlanProblems: errors.length },
  }
})

async function ask(what: string, due: readonly unknown[], queue: string): Promise<void> {
  for (let sent = 0; sent < due.length; sent += MAX_AT_ONCE)
    await send(what, due.slice(sent, sent + MAX_AT_ONCE), queue)
}

async function send(what: string, messages: readonly unknown[], queue: string): Promise<void> {
  // Loaded here: most runs find nothing due.
  const { SQSClient, SendMessageBatchCommand } = await import('@aws-sdk/client-sqs')
  client ??= new SQSClient({})
  const { Failed: failed = [] } = await client.send(
    new SendMessageBatchCommand({
      QueueUrl: queue,
      Entries: messages.map((message, index) => ({ Id: `${index}`, MessageBody: JSON.stringify(message) })),
    }),
  )
  // The next run finds them due again.
  if (failed.length > 0)
    throw new Error(
      `Cannot ask for ${failed.length} of ${messages.length} ${what}: ${failed[0]?.Message ?? 'SQS refused them'}`,
    )
}

function lineOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

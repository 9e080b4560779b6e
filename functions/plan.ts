/** Finds the windows that are due and asks for each of them by one message. Started every few minutes; where nothing is due nothing is sent. */
import { SQSClient, SendMessageBatchCommand } from '@aws-sdk/client-sqs'
import type { DueWindow } from '../lib/run/due.ts'
import { plan } from '../lib/run/plan.ts'
import { onSchedule, setting } from './lambda.ts'

/** What SQS takes at once. */
const MOST_AT_ONCE = 10

const client = new SQSClient({})

export const handler = onSchedule(async (now, { config, objects }) => {
  const queue = setting(config.collectQueue, 'CIPHERTRAIL_COLLECT_QUEUE')
  const { due, errors } = await plan({ now }, { objects })
  for (let sent = 0; sent < due.length; sent += MOST_AT_ONCE) await send(queue, due.slice(sent, sent + MOST_AT_ONCE))
  return { said: { due: due.length, errors }, counts: { PlannedWindows: due.length, PlanProblems: errors.length } }
})

async function send(queue: string, messages: readonly DueWindow[]): Promise<void> {
  const { Failed: failed = [] } = await client.send(
    new SendMessageBatchCommand({
      QueueUrl: queue,
      Entries: messages.map((message, index) => ({ Id: `${index}`, MessageBody: JSON.stringify(message) })),
    }),
  )
  // The next run finds them due again.
  if (failed.length > 0)
    throw new Error(
      `Cannot ask for ${failed.length} of ${messages.length} windows: ${failed[0]?.Message ?? 'SQS refused them'}`,
    )
}

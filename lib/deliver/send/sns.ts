/** Alerts to an Amazon SNS topic, with credentials from the environment. */
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns'
import { printable } from '../../text/printable.ts'
import { NotSentError } from './send.ts'

/** Publishes an alert to a topic, and returns the message id. */
export type PublishAlert = (
  topic: string,
  alert: { readonly id: string; readonly subject: string; readonly json: string },
) => Promise<string>

/** SNS' limit for a subject, which must be ASCII. */
const MAX_SUBJECT_LENGTH = 100

/** A truncated subject must not look complete. */
function subjectOf(subject: string): string {
  const ascii = subject.replaceAll('…', '...').replace(/[^ -~]/gu, '?')
  return ascii.length <= MAX_SUBJECT_LENGTH ? ascii : `${ascii.slice(0, MAX_SUBJECT_LENGTH - 4)} ...`
}

/**
 * Publishes the JSON of an alert in the region of its topic. Throws {@link NotSentError} if it failed: if it was accepted and the answer was lost, it is
 * repeated with the same id.
 */
export const snsPublish: PublishAlert = async (topic, { id, subject, json }) => {
  const [, , , region = ''] = topic.split(':')
  const client = new SNSClient({ region })
  try {
    const { MessageId: name } = await client.send(
      new PublishCommand({
        TopicArn: topic,
        Subject: subjectOf(subject),
        Message: json,
        MessageAttributes: { 'ciphertrail-id': { DataType: 'String', StringValue: id } },
      }),
    )
    return printable(name ?? 'taken').slice(0, 200)
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error))
    throw new NotSentError(printable(`${name}: ${message.split('\n')[0] ?? ''}`).slice(0, 300), 'for-now', {
      cause: error,
    })
  } finally {
    client.destroy()
  }
}

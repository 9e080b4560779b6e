/** Feedback about sent mails, as the carrier reports it: recorded with the delivery, and respected by the next mails. */
import { changeDelivery } from '../../deliver/send/claims.ts'
import { type Feedback, type Ignored, consequenceOf, readFeedback } from '../../deliver/send/parse-feedback.ts'
import { suppress } from '../../deliver/channel/suppressions.ts'
import type { Objects } from '../../store/objects/objects.ts'

/** The outcome of a notification. Without addresses. */
export type FeedbackOutcome =
  | (Pick<Feedback, 'id' | 'status' | 'report'> & {
      /** Whether the recipient, who got mail before, gets none of any channel from now on. */
      readonly isSuppressed: boolean
    })
  | Ignored

/** A notification about a mail that is still being sent: retry it later. One line. */
export class TooEarlyError extends Error {
  override readonly name = 'TooEarlyError'
}

/**
 * Processes a notification of Amazon SES. Safe to run concurrently and to crash anywhere: the recipient is suppressed before the delivery records why, and a
 * delivery with that record is not processed again. Throws {@link TooEarlyError}.
 *
 * @param notification parsed JSON, not trusted
 */
export async function takeFeedback(
  notification: unknown,
  now: Date,
  { objects }: { readonly objects: Objects },
): Promise<FeedbackOutcome> {
  const feedback = readFeedback(notification)
  if ('nothing' in feedback) return feedback
  const { id, status, report } = feedback
  let isSuppressed = false
  let nothing = null as Ignored | null
  await changeDelivery(
    id,
    async (delivery) => {
      const consequence = consequenceOf(delivery, feedback, now)
      if (consequence === 'too-early')
        throw new TooEarlyError('Cannot take a notification: its mail is still being sent; it is taken again later')
      if ('nothing' in consequence) {
        nothing = consequence
        return delivery
      }
      const { suppress: reason, delivery: after } = consequence
      if (reason !== null && (await suppress({ recipient: id.recipient, channel: null, reason }, now, objects)))
        isSuppressed = true
      return after
    },
    now,
    objects,
  )
  return nothing ?? { id, status, report, isSuppressed }
}

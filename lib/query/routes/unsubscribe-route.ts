/** The page behind the link in a mail by which somebody leaves a channel. Programs that follow links change nothing: only its button does. */
import { readLinkKey } from '../../deliver/link/link-key.ts'
import { isUnsubscribeLink } from '../../deliver/link/unsubscribe-links.ts'
import { suppress } from '../../deliver/channel/suppressions.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { formResponse } from './form-page.ts'

/**
 * Answers `/unsubscribe/{channel}/{recipient}/{mac}`. GET shows a page with one button; POST, by that button or by the program that shows mail (RFC 8058), takes
 * the recipient off the channel. Doing it twice is doing it once. A link that we did not make is answered like one of a page that is not there.
 */
export async function answerUnsubscribe(
  request: Request,
  { channel, recipient, mac }: { readonly channel: string; readonly recipient: string; readonly mac: string },
  { objects, now }: { readonly objects: Objects; readonly now: () => Date },
): Promise<Response> {
  const key = await readLinkKey(objects)
  if (key === undefined || !isUnsubscribeLink({ channel, recipient }, mac, key))
    return formResponse(
      404,
      'This link leads nowhere',
      ['It is not one from a mail, or it was not copied whole.'],
      null,
    )
  if (request.method === 'GET' || request.method === 'HEAD')
    return formResponse(
      200,
      `Unsubscribe from all mail of channel ${channel}?`,
      ['That is the mail of each week, and alerts of what cannot wait. Nothing has changed yet.'],
      'Unsubscribe',
    )
  if (request.method !== 'POST')
    return formResponse(405, 'This page is read, or its button is pressed', [], null, { allow: 'GET, HEAD, POST' })
  await suppress({ recipient, channel, reason: 'unsubscribed' }, now(), objects)
  return formResponse(
    200,
    `You get no more mail of channel ${channel}`,
    ['Whoever runs ciphertrail where you work can take that back.'],
    null,
  )
}

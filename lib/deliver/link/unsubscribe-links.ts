/**
 * Links that are signed with a key of the store: to leave a channel, the same in every mail, so that one of years ago still works; and to the bytes of a
 * report, which work for a minute. They hold no address.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { isClusterId } from '../../store/keys.ts'
import { parseJson } from '../../text/parse-json.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { swap } from '../../store/objects/swap.ts'
import { isPseudonym } from '../channel/channel.ts'
import { linksKey } from '../../store/delivery-keys.ts'

/** The recipient and the channel that they leave. */
export type Unsubscription = { readonly channel: string; readonly recipient: string }

const keySchema = z.object({ format: z.literal('ciphertrail/links/1'), key: z.base64().length(44) })

/** Reads the key of the links; creates it if there is none. Throws an `Error` that names the object if it is damaged. */
export async function linkKey(objects: Objects): Promise<Buffer> {
  const known = await readLinkKey(objects)
  if (known !== undefined) return known
  const key = randomBytes(32)
  const body = Buffer.from(canonicalize({ format: 'ciphertrail/links/1', key: key.toString('base64') }) ?? '')
  const isMade = (await swap(linksKey, body, null, objects)) !== null
  return isMade ? key : ((await readLinkKey(objects)) ?? key)
}

/** The key of the links; undefined if no link was ever made. */
export async function readLinkKey(objects: Objects): Promise<Buffer | undefined> {
  const stored = await objects.get(linksKey)
  if (stored === undefined) return undefined
  const parsed = keySchema.safeParse(parseJson(stored.body))
  if (!parsed.success)
    throw new Error(
      `Cannot read "${linksKey}": it is damaged, put back a copy of it, or move it away: then links in earlier mails end`,
    )
  return Buffer.from(parsed.data.key, 'base64')
}

/** The path of a link, below the URL of the pages. */
export function unsubscribePath(leave: Unsubscription, key: Uint8Array): string {
  return `/unsubscribe/${leave.channel}/${leave.recipient}/${macOf(leaveWords(leave), key)}`
}

/** Whether the last part of a link is the MAC of the others under this key. Takes constant time. */
export function isUnsubscribeLink(leave: Unsubscription, mac: string, key: Uint8Array): boolean {
  if (!isClusterId(leave.channel) || !isPseudonym(leave.recipient)) return false
  return isMac(mac, leaveWords(leave), key)
}

const leaveWords = ({ channel, recipient }: Unsubscription): string => `unsubscribe ${channel} ${recipient}`

/** How long the bytes of a report can be fetched after the button was pressed: a browser follows the redirect at once. */
export const TICKET_MS = 60_000

const TICKET = /^([0-9a-f]{64})\.([1-9]\d{9,14})\.([A-Za-z0-9_-]{43})$/

/** A ticket that opens the bytes of a report for a minute, by the id of the link whose button was pressed. Safe as a part of a path. */
export function downloadTicket(id: string, now: Date, key: Uint8Array): string {
  const until = String(now.getTime() + TICKET_MS)
  return `${id}.${until}.${macOf(ticketWords(id, until), key)}`
}

/** The id of the link of a ticket made with this key; undefined for any other text, and after its minute. */
export function readTicket(text: string, now: Date, key: Uint8Array): string | undefined {
  const [, id = '', until = '', mac = ''] = TICKET.exec(text) ?? []
  return isMac(mac, ticketWords(id, until), key) && now.getTime() < Number(until) ? id : undefined
}

const ticketWords = (id: string, until: string): string => `download ${id} ${until}`

function isMac(mac: string, words: string, key: Uint8Array): boolean {
  const wanted = Buffer.from(macOf(words, key))
  const given = Buffer.from(mac)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

function macOf(words: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(words).digest('base64url')
}

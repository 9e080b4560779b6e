/**
 * Links by which somebody leaves a channel: made from a key of the store, so that nobody makes one for somebody else, and the same in every mail, so
 * that one of years ago still works. They hold no address.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import canonicalize from 'canonicalize'
import { z } from 'zod'
import { isClusterId, linksKey } from '../store/keys.ts'
import { parseJson } from '../store/json.ts'
import { type Objects, PreconditionFailedError } from '../store/objects.ts'
import { isPseudonym } from './channel.ts'

/** Whom a link takes off which channel. */
export type Leave = { readonly channel: string; readonly recipient: string }

const keySchema = z.object({ format: z.literal('ciphertrail/links/1'), key: z.base64().length(44) })

/** The key of the links; made where there is none. Throws an `Error` that names the object where it is damaged. */
export async function linkKey(objects: Objects): Promise<Buffer> {
  const known = await readLinkKey(objects)
  if (known !== undefined) return known
  const key = randomBytes(32)
  const body = Buffer.from(canonicalize({ format: 'ciphertrail/links/1', key: key.toString('base64') }) ?? '')
  try {
    await objects.putIf(linksKey, body, null)
    return key
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error
    return (await readLinkKey(objects)) ?? key
  }
}

/** The key of the links; undefined where no link was ever made. */
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

/** The path of a link, which follows the address of the pages. */
export function leavePath(leave: Leave, key: Uint8Array): string {
  return `/unsubscribe/${leave.channel}/${leave.recipient}/${macOf(leave, key)}`
}

/** Whether the last part of a link was made for these others with this key. Takes the same time whatever it is. */
export function isLeave(leave: Leave, mac: string, key: Uint8Array): boolean {
  if (!isClusterId(leave.channel) || !isPseudonym(leave.recipient)) return false
  const wanted = Buffer.from(macOf(leave, key))
  const given = Buffer.from(mac)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

function macOf({ channel, recipient }: Leave, key: Uint8Array): string {
  return createHmac('sha256', key).update(`unsubscribe ${channel} ${recipient}`).digest('base64url')
}

/** The key of the store that signs links: to leave a channel, and to the bytes of a report. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { linksKey } from '../../store/delivery-keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { swap } from '../../store/objects/swap.ts'
import { parseJson } from '../../text/parse-json.ts'

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

/** Whether a text is the MAC of words under this key. Takes constant time. */
export function isMac(mac: string, words: string, key: Uint8Array): boolean {
  const wanted = Buffer.from(macOf(words, key))
  const given = Buffer.from(mac)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

/** Returns the MAC of words, in base64url. */
export function macOf(words: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(words).digest('base64url')
}

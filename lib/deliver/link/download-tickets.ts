/** Tickets to the bytes of a report: they work for a minute, and hold no address. */
import { isMac, macOf } from './link-key.ts'

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

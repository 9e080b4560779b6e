/**
 * Addresses by pseudonym. They are stored only here, in an object that is replaced: the address of a recipient who leaves the last channel is deleted, while
 * records of changes and deliveries keep their pseudonyms and stay true.
 */
import { createHmac, randomBytes } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { parseJson } from '../../text/parse-json.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { replaceObject } from '../../store/objects/replace.ts'
import { isPseudonym } from './channel.ts'
import { recipientsKey } from '../../store/delivery-keys.ts'

/** Addresses by pseudonym. */
export type Recipients = ReadonlyMap<string, string>

const bookSchema = z.object({
  format: z.literal('ciphertrail/recipients/1'),
  /** 32 bytes, base64. A pseudonym is an HMAC under it: without it, addresses cannot be guessed by trying. */
  key: z.base64(),
  /** Number of the latest processed change of channels. */
  change: z.int().nonnegative(),
  addresses: z.record(z.string().refine(isPseudonym), z.string()),
})
type Book = z.infer<typeof bookSchema>

/** The known addresses, by pseudonym. Throws an `Error` that names the key if they are damaged. */
export async function readRecipients(objects: Objects): Promise<Recipients> {
  const { book } = await readBook(objects)
  return new Map(Object.entries(book?.addresses ?? {}))
}

/** Stores addresses, and returns their pseudonyms in order. Addresses that differ in case alone have one. */
export async function keepRecipients(addresses: readonly string[], objects: Objects): Promise<readonly string[]> {
  if (addresses.length === 0) return []
  const book = await changeBook(objects, (known) => withAddresses(known, addresses))
  return addresses.map((address) => pseudonymOf(book, address))
}

/**
 * Deletes every address that no channel needs, and keeps the others. It writes whenever channels changed meanwhile, so that a concurrent run with an older list
 * of them looks again before it deletes an address.
 *
 * @param needed reads the channels' current pseudonyms, with the number of the latest change; called in each round
 */
export async function settleRecipients(
  addresses: readonly string[],
  needed: () => Promise<{ readonly pseudonyms: ReadonlySet<string>; readonly change: number }>,
  objects: Objects,
): Promise<void> {
  await changeBook(objects, async (known) => {
    const { pseudonyms, change } = await needed()
    const book = withAddresses(known, addresses)
    const kept = Object.entries(book.addresses).filter(([pseudonym]) => pseudonyms.has(pseudonym))
    return { ...book, change, addresses: Object.fromEntries(kept) }
  })
}

function withAddresses(book: Book, addresses: readonly string[]): Book {
  // A known address keeps its first spelling: different case practically never means another person.
  const added = Object.fromEntries(addresses.map((address) => [pseudonymOf(book, address), address]))
  return { ...book, addresses: { ...added, ...book.addresses } }
}

function pseudonymOf({ key }: Pick<Book, 'key'>, address: string): string {
  const digest = createHmac('sha256', Buffer.from(key, 'base64')).update(address.toLowerCase()).digest('hex')
  return `r${digest.slice(0, 32)}`
}

async function readBook(objects: Objects): Promise<{ readonly book: Book | undefined; readonly etag: string | null }> {
  const stored = await objects.get(recipientsKey)
  if (stored === undefined) return { book: undefined, etag: null }
  const parsed = bookSchema.safeParse(parseJson(stored.body))
  if (!parsed.success)
    throw new Error(
      `Cannot read "${recipientsKey}": it is damaged, put back a copy of it, or move it away and add the recipients of every channel again`,
    )
  return { book: parsed.data, etag: stored.etag }
}

/** Decides the addresses and writes them; decides again after a concurrent change. */
async function changeBook(objects: Objects, decide: (book: Book) => Book | Promise<Book>): Promise<Book> {
  return replaceObject(
    recipientsKey,
    async () => {
      const { book, etag } = await readBook(objects)
      const result = await decide(
        book ?? {
          format: 'ciphertrail/recipients/1',
          key: randomBytes(32).toString('base64'),
          change: 0,
          addresses: {},
        },
      )
      const isSame = book !== undefined && canonicalize(result) === canonicalize(book)
      return { result, body: isSame ? null : Buffer.from(canonicalize(result) ?? ''), etag }
    },
    objects,
  )
}

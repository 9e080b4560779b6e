import canonicalize from 'canonicalize'
import * as z from 'zod'
import { parseJson } from '../../text/parse-json.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { changePrivateFile, readPrivateFile, unusable } from '../../store/objects/private-file.ts'
import { fromBase64, toBase64 } from '../../text/base64.ts'
import { grow, rootOfFrontier } from '../tlog/frontier.ts'
import { type Head, LogError, readTail } from './head.ts'
import { areEqual, type Hash, leafHash, rootOf } from '../tlog/merkle.ts'
import type { Verifier } from '../tlog/note.ts'
import { PartError, treeOfEntries } from '../read-entries.ts'
import { unfinishedAfter } from './unfinished.ts'

/** The head of a log, from any source. */
export type KnownHead = { readonly size: number; readonly root: Hash }

/**
 * Remembers the last signed head outside of the store. A store restored to an earlier state verifies in itself, and sealing it further would make two heads of
 * one size.
 */
export type LastHead = {
  /** Undefined if none is remembered. */
  readonly read: () => Promise<KnownHead | undefined>
  /** Called before a head is published. Keeps the larger one; throws {@link LogError} for another root of one size. */
  readonly write: (head: KnownHead) => Promise<void>
  /** Its name in messages. */
  readonly place: string
}

const WHAT = 'remembers the head of the log'

const headSchema = z.strictObject({ size: z.int().nonnegative(), root: z.string() })
const fileSchema = z.strictObject({
  format: z.literal('ciphertrail/heads/1'),
  /** By store location. */
  heads: z.record(z.string(), headSchema),
})

/** Remembers heads in a file beside the key, by store location. */
export function fileLastHead(path: string, store: string): LastHead {
  const headsIn = (body: Uint8Array | undefined): Map<string, z.infer<typeof headSchema>> => {
    if (body === undefined) return new Map()
    const parsed = fileSchema.safeParse(parseJson(body))
    if (!parsed.success) throw unusable(path, WHAT, 'it is damaged, put back a copy of it')
    return new Map(Object.entries(parsed.data.heads))
  }
  const headIn = (body: Uint8Array | undefined): KnownHead | undefined => {
    const head = headsIn(body).get(store)
    if (head === undefined) return undefined
    const root = fromBase64(head.root)
    if (root === undefined) throw unusable(path, WHAT, 'it is damaged, put back a copy of it')
    return { size: head.size, root }
  }
  return {
    place: path,
    read: async () => headIn(await readPrivateFile(path, WHAT)),
    write: (head) =>
      changePrivateFile(path, WHAT, (before) => {
        const known = headIn(before)
        if (known !== undefined && isContradicted(known, head))
          throw contradiction(known, path, `another root of ${head.size} leaves was to be signed`)
        if (known !== undefined && known.size >= head.size) return null
        const heads = new Map(headsIn(before)).set(store, { size: head.size, root: toBase64(head.root) })
        return `${canonicalize({ format: 'ciphertrail/heads/1', heads: Object.fromEntries(heads) })}\n`
      }),
  }
}

/**
 * Throws {@link LogError} unless the log in the store is the last signed one, or extends it. A run that crashed after its head was remembered and before it was
 * published left its batch, through which the log gets there.
 */
export async function checkLastHead(
  head: Head,
  last: LastHead,
  deps: { readonly objects: Objects; readonly verifier: Verifier },
): Promise<void> {
  const known = await last.read()
  if (known === undefined) return
  const isOne = known.size > head.size ? await leadsTo(head, known, deps) : await beginsWith(head, known, deps.objects)
  if (!isOne) throw contradiction(known, last.place, `the store has ${head.size} and does not lead there`)
}

/** Whether the claimed batches after a head lead to another head. */
async function leadsTo(
  head: Head,
  known: KnownHead,
  deps: { readonly objects: Objects; readonly verifier: Verifier },
): Promise<boolean> {
  let { edge } = await readTail(head, deps.objects)
  while (edge.size < known.size) {
    const { claimed } = await unfinishedAfter({ size: edge.size, root: rootOfFrontier(edge) }, deps)
    if (claimed === undefined) return false
    edge = grow(
      edge,
      claimed.entries.map(({ bytes }) => leafHash(bytes)),
    ).edge
  }
  return edge.size === known.size && areEqual(rootOfFrontier(edge), known.root)
}

/** Whether a log begins with another one. A longer log is rare: it was sealed elsewhere. Then all of it is read, once. */
async function beginsWith(head: Head, known: KnownHead, objects: Objects): Promise<boolean> {
  if (known.size === head.size) return areEqual(known.root, head.root)
  try {
    const { tree, earlier } = await treeOfEntries(head.size, [known.size], objects)
    const then = earlier.get(known.size)
    return areEqual(rootOf(tree), head.root) && then !== undefined && areEqual(rootOf(then), known.root)
  } catch (error) {
    if (error instanceof PartError) return false
    throw error
  }
}

/** Whether two heads have one size and different roots. */
export function isContradicted(known: KnownHead, head: KnownHead): boolean {
  return known.size === head.size && !areEqual(known.root, head.root)
}

/** The error for a log that contradicts the last signed head. */
export function contradiction({ size, root }: KnownHead, place: string, state: string): LogError {
  return new LogError(
    `Cannot extend the log: when it was last sealed it had ${size} leaves and root ${toBase64(root)} ("${place}"), and ${state}; it was put back to an earlier state or exchanged, put back what it held`,
  )
}

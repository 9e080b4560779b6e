import { createHash } from 'node:crypto'
import * as z from 'zod'
import { parseJson } from '../text/parse-json.ts'
import { parseTime } from '../time/windows.ts'
import { ProblemError, badParameter } from './problem.ts'

/** The most items of a page, and how many it has where nobody says. */
export const MAX_ITEMS = 1000

/** How many items a page has where nobody says. */
export const USUAL_ITEMS = 100

/**
 * The most items before a page. Whoever makes a page holds all items before it in memory, so a forged cursor must not decide how many that are. Longer lists are
 * refused: see {@link pageOf}.
 */
export const MAX_PLACE = 1_000_000

/** Nothing that we gave is longer. */
export const MAX_CURSOR_LENGTH = 1200

const cursorSchema = z.strictObject({
  /** Version of this form. */
  v: z.literal(1),
  /** Of which question: a digest of its parameters. */
  q: z.string().regex(/^[0-9a-f]{16}$/),
  /** Up to when the first page looked, RFC 3339. */
  u: z.iso.datetime().refine((time) => parseTime(time) !== undefined),
  /** How many items came before. */
  n: z.int().positive().max(MAX_PLACE),
  /** A digest of these, so that no item is lost or doubled where they changed meanwhile. */
  d: z.string().regex(/^[0-9a-f]{16}$/),
  /** Of which windows the list is made; absent where the parameters decide that. */
  w: z.string().exactOptional(),
})

/** Where a page begins. Holds nothing that gives access: a forged one leads to another place of the same list at most. */
export type Cursor = z.infer<typeof cursorSchema>

/** The text of a cursor: opaque to whoever gets it. */
export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url')
}

/** Reads a cursor. Throws a `ProblemError` for what we never gave. */
export function decodeCursor(text: string): Cursor {
  const parsed = cursorSchema.safeParse(
    text.length > MAX_CURSOR_LENGTH ? undefined : parseJson(Buffer.from(text, 'base64url')),
  )
  if (parsed.success && encodeCursor(parsed.data) === text) return parsed.data
  throw badParameter('cursor', text, 'one that came with an earlier page, as it was')
}

/** A digest that tells a question, a list or anything else that is JSON from any other. */
export function shortDigest(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

/** Throws a `ProblemError` for the cursor of another question. Called before anything is read: what is read depends on where a cursor begins. */
export function checkCursor({ cursor, question }: Pick<PageQuery, 'cursor' | 'question'>): void {
  if (cursor === undefined || cursor.q === shortDigest(question)) return
  throw new ProblemError(
    'bad-parameter',
    'Cannot use the cursor: it belongs to other parameters, wanted those of the first page',
    'cursor',
  )
}

/** A page of a list, and the cursor of the next one; null on the last. */
export type Page<T> = { readonly items: readonly T[]; readonly next: string | null; readonly isFirst: boolean }

/** Which page of which list is asked for. */
export type PageQuery = {
  readonly limit: number
  /** Absent: the first page. */
  readonly cursor: Cursor | undefined
  /** All parameters that decide the list, in any JSON. */
  readonly question: unknown
  /** Up to when was looked, RFC 3339. */
  readonly until: string
  /** Of which windows the list is made, as the cursor keeps it; absent where the parameters decide that. */
  readonly windows?: string | undefined
}

/**
 * Cuts a page out of a whole list. Pages joined are the list as the last page found it, whatever their limits: what comes after the cursor may have changed
 * meanwhile. Throws a `ProblemError` for the cursor of another question, where what was given already is not what the list begins with now, and where the next
 * page would lie behind {@link MAX_PLACE} items: no list is cut short.
 *
 * @param nameOf what tells an item from all others, so that any change of what was given shows
 */
export function pageOf<T>(
  list: readonly T[],
  { limit, cursor, question, until, windows }: PageQuery,
  nameOf: (item: T) => unknown,
): Page<T> {
  checkCursor({ cursor, question })
  const given = (count: number): string => shortDigest(list.slice(0, count).map(nameOf))
  if (cursor !== undefined && cursor.d !== given(cursor.n))
    throw new ProblemError(
      'history-changed',
      'Cannot give the next page: what was listed before it changed since then, begin again without the cursor',
      'cursor',
    )
  const pins = windows === undefined ? {} : { w: windows }
  const begin = cursor?.n ?? 0
  const end = begin + limit
  if (end < list.length && end > MAX_PLACE)
    throw new ProblemError(
      'bad-parameter',
      `Cannot list more than ${MAX_PLACE} items: wanted fewer, such as those of a shorter period or of one cluster`,
      'cursor',
    )
  return {
    items: list.slice(begin, end),
    next:
      end < list.length
        ? encodeCursor({ v: 1, q: shortDigest(question), u: until, n: end, d: given(end), ...pins })
        : null,
    isFirst: begin === 0,
  }
}

import { checkKey } from '../objects.ts'

/** An answer that S3 does not give. What follows from it cannot be told, so nothing is taken from it. */
export class UnexpectedAnswerError extends Error {
  override readonly name = 'UnexpectedAnswerError'
}

/** What S3 says of one page of a list; every member may be absent, since a page may come from something else than S3. */
export type ListPage = {
  readonly KeyCount?: number | undefined
  readonly IsTruncated?: boolean | undefined
  readonly NextContinuationToken?: string | undefined
  readonly Prefix?: string | undefined
  readonly Contents?: readonly { readonly Key?: string | undefined }[] | undefined
}

/** What the page was asked for: all as it is in the bucket, with the prefix of the place. */
export type ListRequest = { readonly prefix: string; readonly startAfter: string; readonly token: string | undefined }

/**
 * The keys of a page that may be ours, as they are in the bucket, in text order; and the token of the next page, undefined at the end.
 * Names that no key of ciphertrail can have are passed over, as in a directory.
 *
 * A list that ends early would be silence about what it lacks: every page must say how many keys it has and whether another one follows,
 * must have them in order and begin where the last one ended. Throws {@link UnexpectedAnswerError} else.
 */
export function readPage(
  page: ListPage,
  { prefix, startAfter, token }: ListRequest,
): { readonly keys: readonly string[]; readonly next: string | undefined } {
  const { KeyCount: count, IsTruncated: isTruncated, NextContinuationToken: next, Contents: contents = [] } = page
  const refuse = (what: string): UnexpectedAnswerError => new UnexpectedAnswerError(`a page of a list ${what}`)
  if (count === undefined || isTruncated === undefined)
    throw refuse('does not say how many keys it has, or if it is all')
  if (count !== contents.length) throw refuse(`is cut: it holds ${contents.length} of ${count} keys`)
  if (isTruncated !== (next !== undefined && next !== '')) throw refuse('does not say where the next one begins')
  if (next !== undefined && next === token) throw refuse('names itself as the next one')
  if (page.Prefix !== undefined && page.Prefix !== prefix) throw refuse('is of another prefix')

  const keys: string[] = []
  let last = startAfter
  for (const { Key: key } of contents) {
    if (key === undefined) throw refuse('has an entry without a key')
    if (!key.startsWith(prefix)) throw refuse('holds a key of another prefix')
    if (!isOurs(key)) continue
    if (key <= last) throw refuse('is not in text order')
    keys.push(key)
    last = key
  }
  return { keys, next: isTruncated ? next : undefined }
}

function isOurs(key: string): boolean {
  try {
    checkKey(key)
    return true
  } catch {
    return false
  }
}

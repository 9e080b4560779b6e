import { checkKey } from '../objects.ts'

/** A response that S3 never sends. Nothing can be concluded from it, so none of it is used. */
export class UnexpectedAnswerError extends Error {
  override readonly name = 'UnexpectedAnswerError'
}

/** One page of a list from S3; every member may be absent, since the server may not be S3. */
export type ListPage = {
  readonly KeyCount?: number | undefined
  readonly IsTruncated?: boolean | undefined
  readonly NextContinuationToken?: string | undefined
  readonly Prefix?: string | undefined
  readonly Contents?: readonly { readonly Key?: string | undefined }[] | undefined
}

/** The request for the page: all as it is in the bucket, with the prefix of the place. */
export type ListRequest = { readonly prefix: string; readonly startAfter: string; readonly token: string | undefined }

/**
 * The keys of a page that may be ours, as they are in the bucket, in text order; names that no key of ciphertrail can have; and the token of the next page,
 * undefined at the end.
 *
 * A list that ends early would hide objects: every page must state how many keys it has and whether another one follows, must be in order and begin after the
 * previous one. Throws {@link UnexpectedAnswerError} otherwise.
 */
export function readPage(
  page: ListPage,
  { prefix, startAfter, token }: ListRequest,
): { readonly keys: readonly string[]; readonly foreign: readonly string[]; readonly next: string | undefined } {
  const { KeyCount: count, IsTruncated: isTruncated, NextContinuationToken: next, Contents: contents = [] } = page
  const refuse = (what: string): UnexpectedAnswerError => new UnexpectedAnswerError(`a page of a list ${what}`)
  if (count === undefined || isTruncated === undefined)
    throw refuse('does not say how many keys it has, or if it is all')
  if (count !== contents.length) throw refuse(`is cut: it holds ${contents.length} of ${count} keys`)
  if (isTruncated !== (next !== undefined && next !== '')) throw refuse('does not say where the next one begins')
  if (next !== undefined && next === token) throw refuse('names itself as the next one')
  if (page.Prefix !== undefined && page.Prefix !== prefix) throw refuse('is of another prefix')

  const keys: string[] = []
  const foreign: string[] = []
  let last = startAfter
  for (const { Key: key } of contents) {
    if (key === undefined) throw refuse('has an entry without a key')
    if (!key.startsWith(prefix)) throw refuse('holds a key of another prefix')
    if (!isOurs(key)) {
      foreign.push(key)
      continue
    }
    if (key <= last) throw refuse('is not in text order')
    keys.push(key)
    last = key
  }
  return { keys, foreign, next: isTruncated ? next : undefined }
}

function isOurs(key: string): boolean {
  try {
    checkKey(key)
    return true
  } catch {
    return false
  }
}

/** What cannot be handed over in one answer: a stored document leaves by an address of the store, and of a list fewer items are asked for. */
import { byteWords } from '../report/words/vocabulary.ts'
import type { LinkRequest, Objects } from '../store/objects/objects.ts'
import type { ReadDocument } from '../store/evidence/report-records.ts'
import { ProblemError } from './problem.ts'

/** How long an address of the store works: whoever is sent there goes at once. */
const ADDRESS_SECONDS = 60

/** What hands over answers. */
export type HandOverDeps = {
  readonly objects: Objects
  /** The most bytes that can be handed over in one answer; absent: any number. */
  readonly largestBody?: number
}

/**
 * An address at which the store itself gives these very bytes for {@link ADDRESS_SECONDS}; null where it gives none, or could give others, as a bucket without
 * versions. Throws `StoreError` where there are no credentials to sign it with.
 */
export async function storeAddress(
  { key, version }: Pick<ReadDocument, 'key' | 'version'>,
  how: Pick<LinkRequest, 'method' | 'type' | 'disposition'>,
  { objects }: Pick<HandOverDeps, 'objects'>,
): Promise<string | null> {
  if (version === null || objects.link === undefined) return null
  return objects.link(key, { ...how, version, seconds: ADDRESS_SECONDS })
}

/** Why a document cannot be given: it is too large, and the store has no address for it. */
export function tooLargeDocument(bytes: number, largest: number): ProblemError {
  return new ProblemError(
    'unreadable',
    `Cannot hand over this document: it has ${byteWords(bytes)}, and ${byteWords(largest)} can be handed over here; read it from the bucket, or switch its versions on`,
  )
}

/**
 * Why a list cannot be given: so many items come to too many bytes. Names the limit that is likely to do, which is none where there is one item only.
 *
 * @param items how many the answer holds; null where it is no list
 */
export function tooLargeAnswer(bytes: number, items: number | null, largest: number): ProblemError {
  const comesTo = `${byteWords(bytes)}, and ${byteWords(largest)} can be handed over here`
  if (items === null || items <= 1)
    return new ProblemError('unreadable', `Cannot hand over this answer: it has ${comesTo}`)
  // Items differ in size: a fifth is left for that.
  const fewer = Math.max(1, Math.floor((items * largest * 0.8) / bytes))
  return new ProblemError(
    'bad-parameter',
    `Cannot hand over ${items} items at once: they come to ${comesTo}, wanted a limit of ${fewer} or less`,
    'limit',
  )
}

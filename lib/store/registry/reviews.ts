import * as z from 'zod'
import { changesPrefix, parseChangeKey } from '../keys.ts'
import { ConflictError, type Objects } from '../objects/objects.ts'
import { type ChangeAuthor, damagedChange, readChange, recordChange } from './changes.ts'

/** Number of concurrent reviews before something else must be wrong. */
const MAX_ROUNDS = 25

const reviewSchema = z.object({
  /** Key of the report's record. */
  report: z.string(),
  /** The period of that report, so that a review is readable without it. */
  period: z.object({ from: z.string(), to: z.string(), label: z.string(), timeZone: z.string() }).readonly(),
  reviewer: z.string(),
  note: z.string(),
})

/** A review of a report, and its comment. */
export type Review = Readonly<z.infer<typeof reviewSchema>>

/** A review with the time (RFC 3339) at which it was recorded. */
export type RecordedReview = Review & { readonly at: string }

/** Records a review, which the next seal makes a leaf. Returns its number. Throws an `Error` that names a damaged change. */
export async function recordReview(review: Review, author: ChangeAuthor, objects: Objects): Promise<number> {
  for (let round = 1; ; round++) {
    const number = (await lastNumber(objects)) + 1
    try {
      await recordChange({ kind: 'reviews', number, content: review }, author, objects)
      return number
    } catch (error) {
      if (!(error instanceof ConflictError) || round === MAX_ROUNDS) throw error
    }
  }
}

/** Every review, oldest first. Throws an `Error` that names a damaged one. */
export async function readReviews(objects: Objects): Promise<RecordedReview[]> {
  const reviews: RecordedReview[] = []
  for await (const key of objects.list(changesPrefix('reviews'))) {
    const number = parseChangeKey(key)?.number
    const change = number === undefined ? undefined : await readChange('reviews', number, objects)
    if (change === undefined) continue
    const content = reviewSchema.safeParse(change.content)
    if (!content.success) throw damagedChange(key)
    reviews.push({ ...content.data, at: change.at })
  }
  return reviews
}

async function lastNumber(objects: Objects): Promise<number> {
  let last = 0
  for await (const key of objects.list(changesPrefix('reviews'))) last = parseChangeKey(key)?.number ?? last
  return last
}

/** Large objects of a store in S3: uploaded in parts, and read in ranges. */
import { PassThrough } from 'node:stream'
import type { LargeObjects } from '../large.ts'
import { checkDerived, checkKey, ConflictError } from '../objects.ts'
import type { S3Place } from './address.ts'
import type { S3Calls } from './requests.ts'

/** What the store does with each request. */
type Requests = {
  readonly placeOf: (key: string) => S3Place
  /** Says errors of S3 in one line. */
  readonly failing: <T>(
    what: string,
    place: S3Place,
    actions: readonly string[],
    run: (s3: S3Calls) => Promise<T>,
  ) => Promise<T>
}

/** So much is read with one request. */
const PIECE_BYTES = 8 * 1024 * 1024

/** The large objects of a store in S3. */
export function s3Large({ placeOf, failing }: Requests): LargeObjects {
  return {
    async putOnce(key, fill) {
      checkDerived(key)
      const place = placeOf(key)
      const sink = new PassThrough()
      let first: { readonly error: unknown } | undefined
      // Whichever of the two fails ends the other one.
      const failed = (error: unknown): undefined => {
        first ??= { error }
        sink.destroy(error instanceof Error ? error : new Error(String(error)))
      }
      const actions = ['s3:PutObject', 's3:AbortMultipartUpload']
      const [filled, isWritten] = await Promise.all([
        fill(sink).then((value) => ({ value }), failed),
        failing(`write "${key}" to`, place, actions, (s3) => s3.upload(place.bucket, place.prefix + key, sink)).catch(
          failed,
        ),
      ])
      if (first !== undefined) throw first.error
      if (filled === undefined || isWritten !== true) throw new ConflictError(key)
      return filled.value
    },

    async open(key, version = null) {
      checkKey(key)
      const place = placeOf(key)
      const where = { bucket: place.bucket, key: place.prefix + key }
      const actions = [version === null ? 's3:GetObject' : 's3:GetObjectVersion', 's3:ListBucket']
      const found = await failing(`read "${key}" from`, place, actions, (s3) =>
        s3.head(where.bucket, where.key, version),
      )
      if (found === undefined) return undefined
      const { size } = found
      // Whoever may read the object only by its key goes on to do so.
      const which = { etag: found.etag, version }
      return {
        size,
        version: found.version,
        async *read() {
          for (let from = 0; from < size; from += PIECE_BYTES) {
            const to = Math.min(from + PIECE_BYTES, size) - 1
            yield await failing(`read "${key}" from`, place, actions, (s3) =>
              s3.getPart({ ...where, ...which, from, to }),
            )
          }
        },
      }
    },
  }
}

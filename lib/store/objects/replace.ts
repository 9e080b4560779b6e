import { type Objects, PreconditionFailedError } from './objects.ts'

/** The decided new content of an object. */
export type Replacement<T> = {
  /** The caller's result once it is written. */
  readonly result: T
  /** Null: no change. */
  readonly body: Uint8Array | null
  /** ETag of the object that was read; null if nothing is stored. */
  readonly etag: string | null
}

/** Number of concurrent writes before something else must be wrong. */
const MAX_ROUNDS = 25

/**
 * Replaces an object by compare-and-swap. Throws `PreconditionFailedError` if concurrent writers were first too often.
 *
 * @param decide reads the object and decides its new content; called again after a concurrent write
 */
export async function replaceObject<T>(
  key: string,
  decide: () => Promise<Replacement<T>>,
  objects: Objects,
): Promise<T> {
  for (let round = 1; ; round++) {
    const { result, body, etag } = await decide()
    if (body === null) return result
    try {
      await objects.putIf(key, body, etag)
      return result
    } catch (error) {
      if (!(error instanceof PreconditionFailedError) || round === MAX_ROUNDS) throw error
    }
  }
}

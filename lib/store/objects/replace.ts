import { type Objects, PreconditionFailedError } from './objects.ts'

/** What an object is to be. */
export type Replacement<T> = {
  /** What the caller gets once that is so. */
  readonly result: T
  /** Null: it stays as it is. */
  readonly body: Uint8Array | null
  /** Of what it was decided on; null where nothing is stored. */
  readonly etag: string | null
}

/** How often others may be first, before something else must be wrong. */
const MAX_ROUNDS = 25

/**
 * Replaces an object by compare-and-swap. Throws `PreconditionFailedError` where others were first too often.
 *
 * @param decide reads the object and decides what it is to be; asked again where somebody else was first
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

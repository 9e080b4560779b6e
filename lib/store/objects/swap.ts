import { type Objects, PreconditionFailedError } from './objects.ts'

/** Writes an object if it still has the tag (null: if there is none), and returns its new tag; null if another writer was first, and nothing was written. */
export async function swap(
  key: string,
  body: Uint8Array,
  etag: string | null,
  objects: Objects,
): Promise<string | null> {
  try {
    return await objects.putIf(key, body, etag)
  } catch (error) {
    if (error instanceof PreconditionFailedError) return null
    throw error
  }
}

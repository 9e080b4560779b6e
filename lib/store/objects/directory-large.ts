/** Large objects of a directory store: files that are written and read as streams. */
import type { FileHandle } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { closing } from './closing.ts'
import type { LargeObjects } from './large.ts'
import { checkDerived, checkKey, ConflictError, StoreError } from './objects.ts'

/** What a directory store does with one file. */
type Files = {
  /** Writes a file beside its place and gives it its name, unless that is taken. */
  readonly create: <T>(
    key: string,
    fill: (sink: Writable) => Promise<T>,
  ) => Promise<{ readonly isNew: boolean; readonly written: T }>
  /** Opens a file to be read; undefined if there is none. */
  readonly open: (key: string) => Promise<FileHandle | undefined>
  /** Says errors of the system in one line. */
  readonly failing: <T>(what: string, run: () => Promise<T>) => Promise<T>
}

/** So much is read at once. */
const PIECE_BYTES = 256 * 1024

/** The large objects of a directory. */
export function directoryLarge({ create, open, failing }: Files): LargeObjects {
  return {
    async putOnce(key, fill) {
      checkDerived(key)
      return failing(`write "${key}" to`, async () => {
        const { isNew, written } = await create(key, fill)
        if (!isNew) throw new ConflictError(key)
        return written
      })
    },

    async open(key) {
      checkKey(key)
      return failing(`read "${key}" from`, async () => {
        const file = await open(key)
        if (file === undefined) return undefined
        const { size } = await closing(file, () => file.stat())
        return { size, version: null, read: () => pieces(key) }
      })
    },
  }

  async function* pieces(key: string): AsyncGenerator<Uint8Array> {
    const file = await failing(`read "${key}" from`, () => open(key))
    if (file === undefined) throw new StoreError(`Cannot read "${key}": it was removed in the meantime`)
    try {
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(PIECE_BYTES), 0, PIECE_BYTES, null)
        if (bytesRead === 0) return
        yield buffer.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }
}

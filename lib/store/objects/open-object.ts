import { createHash } from 'node:crypto'
import { constants, open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { closing } from './closing.ts'
import { systemCode } from './directory-errors.ts'
import { type ObjectDigest, UnusableError } from './objects.ts'

/** Large files are hashed in pieces of this size: larger ones are not faster (measured). */
const PIECE_BYTES = 256 * 1024

/** No stored object is larger, except those that are only hashed. */
const MAX_BYTES = 512 * 1024 * 1024

/**
 * Opens a file to be read whole; undefined for a directory. A copy of a store may be hostile: this does not wait for pipes or devices, follow links, or read
 * more than fits into memory, and throws {@link UnusableError} instead.
 */
export async function openObject(path: string, most = MAX_BYTES): Promise<FileHandle | undefined> {
  const refused = (state: string) =>
    new UnusableError(`Cannot read "${path}": ${state}, move it away`, `${state}, move it away`)
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  } catch (error) {
    if (systemCode(error) === 'ELOOP') throw refused('it is neither a file nor a directory')
    // A socket, or a missing device.
    if (systemCode(error) === 'ENXIO') throw refused('it is neither a file nor a directory')
    throw error
  }
  try {
    const stat = await file.stat()
    if (stat.isFile() && stat.size <= most) return file
    if (stat.isFile()) throw refused(`it has ${stat.size} bytes, more than any object of a store`)
    if (!stat.isDirectory()) throw refused('it is neither a file nor a directory')
    await file.close()
    return undefined
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Hash and size of a file of any size; undefined for a directory. Throws as {@link openObject} does. */
export async function digestOf(path: string): Promise<ObjectDigest | undefined> {
  const file = await openObject(path, Infinity)
  return file && (await closing(file, () => digestOfFile(file)))
}

async function digestOfFile(file: FileHandle): Promise<ObjectDigest> {
  const hash = createHash('sha256')
  const { size: stated } = await file.stat()
  // One byte more than its size, so that most files are read, and their end is found, in one read.
  const piece = Buffer.allocUnsafeSlow(Math.min(stated + 1, PIECE_BYTES))
  for (let size = 0; ;) {
    const { bytesRead } = await file.read(piece, 0, piece.length, null)
    hash.update(piece.subarray(0, bytesRead))
    size += bytesRead
    const isEnd = bytesRead === 0 || (bytesRead < piece.length && size >= stated)
    if (isEnd) return { sha256: hash.digest('hex'), size, version: null }
  }
}

import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { closing } from './closing.ts'
import { withFileLock } from './file-lock.ts'

/** A file of the current user, outside of any store, which no other user may read or write. */

/** An unusable file of this kind. One line. */
class PrivateFileError extends Error {
  override readonly name = 'PrivateFileError'
}

/** Mode bits of the group and of others. */
const OTHERS = 0o077

const MAX_BYTES = 10_000_000

/** How long to wait for another command's lock. */
const LOCK_WAIT_MS = 10_000

/**
 * Reads the file; undefined if there is none. Throws {@link PrivateFileError} if others may read or write it, it belongs to another user, or it is no regular
 * file.
 *
 * @param what it does, in messages: `vouches for clusters`
 */
export async function readPrivateFile(path: string, what: string): Promise<Uint8Array | undefined> {
  try {
    return await closing(await open(path, constants.O_RDONLY | constants.O_NONBLOCK), async (file) => {
      const stats = await file.stat()
      const own = process.getuid?.()
      if ((stats.mode & OTHERS) !== 0)
        throw unusable(
          path,
          what,
          `others than its owner may read or write it, run "chmod 600 ${path}" and judge whether they have`,
        )
      if (own !== undefined && stats.uid !== own && stats.uid !== 0)
        throw unusable(path, what, 'it belongs to another user')
      if (!stats.isFile() || stats.size > MAX_BYTES) throw unusable(path, what, 'it is no such file')
      return await file.readFile()
    })
  } catch (error) {
    if (error instanceof PrivateFileError) throw error
    const code = codeOf(error)
    if (code === 'ENOENT') return undefined
    throw unusable(path, what, code === 'EACCES' ? 'this user may not read it' : `it cannot be read (${code})`)
  }
}

/** The error for an unusable file of this kind. */
export function unusable(path: string, what: string, state: string): PrivateFileError {
  return new PrivateFileError(`Cannot use "${path}", which ${what}: ${state}`)
}

/**
 * Replaces its content with the result of `change`, under a lock: a crash leaves the old content or the new. Null: no change. Throws {@link PrivateFileError}
 * as {@link readPrivateFile} does, and what `change` throws.
 */
export async function changePrivateFile(
  path: string,
  what: string,
  change: (before: Uint8Array | undefined) => string | null,
): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unusable(path, what, `its folder cannot be made (${codeOf(error)})`)
  }
  const done = await withFileLock(`${path}.lock`, LOCK_WAIT_MS, async () => {
    const text = change(await readPrivateFile(path, what))
    if (text !== null) await replace(path, what, text)
  })
  if (done === undefined) throw unusable(path, what, 'another command holds it, try again')
}

async function replace(path: string, what: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    await closing(await open(temporary, 'wx', 0o600), async (file) => {
      await file.writeFile(text)
      await file.sync()
    })
    await rename(temporary, path)
    await closing(await open(dirname(path), 'r'), (folder) => folder.sync())
  } catch (error) {
    await rm(temporary, { force: true })
    throw unusable(path, what, `it cannot be written (${codeOf(error)})`)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'it failed'
}

import { randomUUID } from 'node:crypto'
import { link, open, rm, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { newPrivateKey, signerOf } from './key.ts'
import { NoteError, type Signer } from '../tlog/note.ts'

/** A key file that cannot be used or made. One line, which never quotes the key. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError'
}

/** Larger files are not keys. */
const MAX_BYTES = 10_000

/** Mode bits of the group and of others. */
const OTHERS = 0o077

/**
 * Makes a key file and returns its public key. The file is whole or absent, never replaces another, and only its owner may read it. Throws {@link KeyFileError}
 * if it exists or cannot be made.
 */
export async function createKeyFile(path: string, name: string): Promise<string> {
  const text = newPrivateKey(name)
  const temporary = `${path}.${randomUUID()}`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(`${text}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(temporary, path)
    await unlink(temporary)
    const folder = await open(dirname(path), 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (error) {
    await rm(temporary, { force: true })
    throw new KeyFileError(`Cannot make key file "${path}": ${stateOf(error)}`, { cause: error })
  }
  return signerOf(text).vkey
}

/** Signs with the key in a file. Throws {@link KeyFileError} if the file is absent, readable by others, or holds something else. */
export async function keyFileSigner(path: string): Promise<Signer> {
  const text = await readKeyFile(path)
  try {
    return signerOf(text.replace(/\n$/, ''))
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    throw new KeyFileError(`Cannot use key file "${path}": it holds no private key, put back the one that was made`, {
      cause: error,
    })
  }
}

async function readKeyFile(path: string): Promise<string> {
  try {
    const file = await open(path, 'r')
    try {
      const { mode, size } = await file.stat()
      if ((mode & OTHERS) !== 0)
        throw new KeyFileError(
          `Cannot use key file "${path}": others than its owner may read or write it, run "chmod 600 ${path}" and judge whether they have`,
        )
      if (size > MAX_BYTES) throw new KeyFileError(`Cannot use key file "${path}": it is too large to be a key`)
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof KeyFileError) throw error
    throw new KeyFileError(`Cannot use key file "${path}": ${stateOf(error)}`, { cause: error })
  }
}

const STATES: Readonly<Record<string, string>> = {
  ENOENT: 'there is none, make a key with "ciphertrail key new NAME", or say where it is with --key or CIPHERTRAIL_KEY',
  EEXIST: 'it exists, and a key is never replaced; choose another place with --key',
  EACCES: 'this user may not, check who owns it',
  EPERM: 'this user may not, check who owns it',
  EROFS: 'the file system is read-only',
  ENOSPC: 'there is no room left',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is a file',
}

function stateOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  return STATES[code] ?? (error instanceof Error ? error.message : String(error))
}

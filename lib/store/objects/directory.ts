import { createHash, randomUUID } from 'node:crypto'
import { constants, lstat, open, readdir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { closing } from './closing.ts'
import { withFileLock } from './file-lock.ts'
import { diskEffects } from './directory-effects.ts'
import type { DirectoryEffects } from './directory-effects.ts'
import { directoryLarge } from './directory-large.ts'
import {
  checkKey,
  checkPrefix,
  checkRemovable,
  checkReplaceable,
  ConflictError,
  isKeySegment,
  PreconditionFailedError,
  StoreError,
} from './objects.ts'
import type { ObjectDigest, Objects } from './objects.ts'
import { storeError, systemCode, missing } from './directory-errors.ts'

// Names that begin with a dot are never part of a key.
const UNFINISHED = '.tmp'
const LOCK = '.lock'

/** Large files are hashed in pieces of this size: larger ones are not faster (measured). */
const PIECE_BYTES = 256 * 1024

/** Age after which a temporary file is abandoned. */
const ABANDONED_MS = 60 * 60 * 1000

/** Replacing takes milliseconds, so a process that holds the lock for longer hangs or was stopped. */
const LOCK_WAIT_MS = 30_000

/**
 * Keeps objects as files in a directory of a local POSIX file system, which is made with the first write.
 *
 * - A body is written to `.tmp`, synced to disk, and only then gets its name: by a link, which fails if the name is taken, or by a rename. So a crash leaves
 *   the old object or the new one, and at worst a file in `.tmp`, which is never listed and is removed after an hour.
 * - Replacing and removing happen under one lock that ends with its process; creating needs none.
 * - The tag of an object is the SHA-256 of its bytes.
 *
 * A directory that does not exist reads as an empty store. Symbolic links inside it are refused when they are listed: skipping them would hide their contents.
 */
export function directoryObjects(directory: string, effects: DirectoryEffects = diskEffects): Objects {
  const root = resolve(directory)
  const unfinished = join(root, UNFINISHED)
  let opened: Promise<void> | undefined

  async function openForWriting(): Promise<void> {
    opened ??= prepare()
    try {
      await opened
    } catch (error) {
      opened = undefined
      throw error
    }
  }

  async function prepare(): Promise<void> {
    await effects.makeDirectory(unfinished)
    await removeAbandoned(unfinished, effects)
    await syncUpwards(unfinished)
    try {
      await effects.syncDirectory(dirname(root))
    } catch (error) {
      // The parent directory may belong to another user.
      if (systemCode(error) !== 'EACCES') throw error
    }
  }

  async function syncUpwards(path: string): Promise<void> {
    for (let at = path; ; at = dirname(at)) {
      await effects.syncDirectory(at)
      if (at === root) return
    }
  }

  /** Writes under a temporary name, and lets `name` give that its final one. */
  async function publish<T>(
    key: string,
    write: (temporary: string) => Promise<T>,
    name: (temporary: string, path: string) => Promise<void>,
  ): Promise<T> {
    await openForWriting()
    await refuseLinkedFolders(key).catch(ignoreAbsent)
    const path = join(root, key)
    const temporary = join(unfinished, `${process.pid}-${randomUUID()}`)
    try {
      const written = await write(temporary)
      await effects.makeDirectory(dirname(path))
      await name(temporary, path)
      return written
    } finally {
      // A file left over after a failure here is removed once it is old.
      await effects.removeFile(temporary).catch(() => {})
    }
  }

  /** Creates the object, unless there is one. On disk in both cases. */
  async function createBy<T>(
    key: string,
    write: (temporary: string) => Promise<T>,
  ): Promise<{ readonly isNew: boolean; readonly written: T }> {
    let isNew = true
    const written = await publish(key, write, async (temporary, path) => {
      try {
        await effects.link(temporary, path)
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error
        isNew = false
      }
      // Even if another process made it: that one may crash before it gets here.
      await syncUpwards(dirname(path))
    })
    return { isNew, written }
  }

  /** Creates the object and returns true, or returns false if there is one. */
  async function create(key: string, body: Uint8Array): Promise<boolean> {
    return (await createBy(key, (temporary) => effects.writeFile(temporary, body))).isNew
  }

  /** Folders below the root that were checked to be no links. */
  const folders = new Set<string>()

  /**
   * Throws for a folder of the store that is a symbolic link, as a foreign copy may hold: its target is no part of the store. The root may be one, since the
   * operator named it.
   */
  async function refuseLinkedFolders(key: string): Promise<void> {
    let folder = root
    for (const name of key.split('/').slice(0, -1)) {
      folder = join(folder, name)
      if (folders.has(folder)) continue
      if ((await lstat(folder)).isSymbolicLink())
        throw new StoreError(`Cannot use "${key}" of store "${root}": "${folder}" is a link, move it away`)
      folders.add(folder)
    }
  }

  async function read(key: string): Promise<Uint8Array | undefined> {
    try {
      await refuseLinkedFolders(key)
      const file = await openObject(join(root, key))
      return file && (await closing(file, () => file.readFile()))
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw error
    }
  }

  async function readEtag(key: string): Promise<string | null> {
    const body = await read(key)
    return body === undefined ? null : etagOf(body)
  }

  async function locked(run: () => Promise<void>): Promise<void> {
    const held = await withFileLock(join(root, LOCK), LOCK_WAIT_MS, run)
    if (held !== undefined) return
    throw new StoreError(
      `Cannot write to store "${root}": another process has held its lock for ${LOCK_WAIT_MS / 1000} seconds, stop that one`,
    )
  }

  async function failing<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      throw storeError(what, root, error)
    }
  }

  /** The keys below a directory (`''`, or ending in a slash), in text order: in it a directory's name ends in a slash. */
  async function* walk(folder: string, prefix: string, startAfter: string): AsyncGenerator<string> {
    const names: string[] = []
    for (const entry of await entriesOf(join(root, folder))) {
      if (!isKeySegment(entry.name)) continue
      if (!entry.isFile() && !entry.isDirectory()) {
        throw new StoreError(
          `Cannot list store "${root}": "${folder}${entry.name}" is neither a file nor a directory, move it away`,
        )
      }
      names.push(entry.isDirectory() ? `${folder}${entry.name}/` : `${folder}${entry.name}`)
    }
    for (const name of names.sort()) {
      if (!name.endsWith('/')) {
        if (name.startsWith(prefix) && name > startAfter) yield name
      } else if (
        (name.startsWith(prefix) || prefix.startsWith(name)) &&
        (name > startAfter || startAfter.startsWith(name))
      ) {
        yield* walk(name, prefix, startAfter)
      }
    }
  }

  return {
    async get(key) {
      checkKey(key)
      const body = await failing(`read "${key}" from`, () => read(key))
      return body === undefined ? undefined : { body, etag: etagOf(body), version: null }
    },

    // A replaced object is another file.
    async tag(key) {
      checkKey(key)
      return failing(`read "${key}" from`, async () => {
        const stat = await lstat(join(root, key), { bigint: true }).catch(ignoreAbsent)
        return stat === undefined ? null : [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join('.')
      })
    },

    async digest(key) {
      checkKey(key)
      return failing(`read "${key}" from`, async () => {
        try {
          await refuseLinkedFolders(key)
          return await digestOf(join(root, key))
        } catch (error) {
          if (isAbsent(error)) return undefined
          throw error
        }
      })
    },

    async putOnce(key, body) {
      checkKey(key)
      await failing(`write "${key}" to`, async () => {
        if (await create(key, body)) return
        const existing = await read(key)
        if (existing === undefined || Buffer.compare(existing, body) !== 0) throw new ConflictError(key)
      })
    },

    async putIf(key, body, etag) {
      checkKey(key)
      checkReplaceable(key)
      return failing(`write "${key}" to`, async () => {
        // Checked before the body is written, so that losing a race costs little; decided again below.
        if ((await readEtag(key)) !== etag) throw new PreconditionFailedError(key)
        if (etag === null) {
          if (!(await create(key, body))) throw new PreconditionFailedError(key)
        } else {
          await publish(
            key,
            (temporary) => effects.writeFile(temporary, body),
            (temporary, path) =>
              locked(async () => {
                if ((await readEtag(key)) !== etag) throw new PreconditionFailedError(key)
                await effects.rename(temporary, path)
                await effects.syncDirectory(dirname(path))
              }),
          )
        }
        return etagOf(body)
      })
    },

    async *list(prefix, startAfter = '') {
      checkPrefix(prefix)
      try {
        yield* walk(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, startAfter)
      } catch (error) {
        throw storeError('list', root, error)
      }
    },

    large: directoryLarge({
      create: (key, fill) => createBy(key, (temporary) => effects.writeStream(temporary, fill)),
      async open(key) {
        try {
          await refuseLinkedFolders(key)
          return await openObject(join(root, key), Infinity)
        } catch (error) {
          if (isAbsent(error)) return undefined
          throw error
        }
      },
      failing,
    }),

    async remove(key) {
      checkKey(key)
      checkRemovable(key)
      await failing(`remove "${key}" from`, async () => {
        const path = join(root, key)
        if ((await read(key)) === undefined) return
        await locked(async () => {
          await effects.removeFile(path)
          await effects.syncDirectory(dirname(path))
        })
      })
    },
  }
}

function etagOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex')
}

/** No stored object is larger, except those that are only hashed. */
const MAX_BYTES = 512 * 1024 * 1024

/**
 * Opens a file to be read whole; undefined for a directory. A copy of a store may be hostile: this does not wait for pipes or devices, follow links, or read
 * more than fits into memory.
 */
async function openObject(path: string, most = MAX_BYTES): Promise<FileHandle | undefined> {
  const refused = (state: string) => new StoreError(`Cannot read "${path}": ${state}, move it away`)
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

/** Undefined for a directory. */
async function digestOf(path: string): Promise<ObjectDigest | undefined> {
  const file = await openObject(path, Infinity)
  return file && (await closing(file, () => digestOfFile(file)))
}

/** Whether there is no file: nothing, or a directory. */
function isAbsent(error: unknown): boolean {
  return systemCode(error) === 'ENOENT' || systemCode(error) === 'EISDIR'
}

function ignoreAbsent(error: unknown): void {
  if (!isAbsent(error)) throw error
}

async function entriesOf(path: string) {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

async function removeAbandoned(unfinished: string, effects: DirectoryEffects): Promise<void> {
  const entries = await entriesOf(unfinished)
  if (entries.length === 0) return
  const now = await fileClock(unfinished, effects)
  for (const { name } of entries) {
    const path = join(unfinished, name)
    const { mtimeMs } = await stat(path).catch(missing)
    if (now - mtimeMs > ABANDONED_MS) await effects.removeFile(path)
  }
}

/** The current time by the clock that dates the files of a folder: it may be another machine's, and by our clock a new file could look old. */
async function fileClock(folder: string, effects: DirectoryEffects): Promise<number> {
  const path = join(folder, `${process.pid}-${randomUUID()}`)
  try {
    await effects.writeFile(path, Buffer.of())
    return (await stat(path)).mtimeMs
  } finally {
    await effects.removeFile(path).catch(() => {})
  }
}

import { createHash, randomUUID } from 'node:crypto'
import { lstatSync } from 'node:fs'
import type { Dirent } from 'node:fs'
import { access, constants, lstat, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { closing } from './closing.ts'
import { withFileLock } from './file-lock.ts'
import { diskEffects } from './directory-effects.ts'
import type { DirectoryEffects } from './directory-effects.ts'
import { entriesOf, removeAbandoned } from './directory-entries.ts'
import { directoryLarge } from './directory-large.ts'
import {
  checkKey,
  checkPrefix,
  checkRemovable,
  checkReplaceable,
  ConflictError,
  isKeySegment,
  MAX_KEY_LENGTH,
  PreconditionFailedError,
  StoreError,
  UnusableError,
} from './objects.ts'
import type { Objects } from './objects.ts'
import { isRefused, storeError, systemCode } from './directory-errors.ts'
import { digestOf, openObject } from './open-object.ts'

// Names that begin with a dot are never part of a key.
const UNFINISHED = '.tmp'
const LOCK = '.lock'

/** How long a folder that was no link counts as none: somebody may replace it while a service runs. */
const CHECKED_MS = 1000

/** Files of a store and of who runs on it, at its root: the lock's own files have longer names. */
const OWN_FILES = [UNFINISHED, LOCK, '.run.lock']

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
 * A directory that does not exist reads as an empty store. What is no file in it, or is closed to this user, is listed and cannot be read: skipping it would
 * hide it. One of its top folders that is such makes the store unusable.
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

  /** Folders below the root that were checked a moment ago to be no links. */
  const folders = new Set<string>()
  let foldersSince = 0

  /**
   * Throws for a folder of the store that is a symbolic link, as a foreign copy may hold: its target is no part of the store. The root may be one, since the
   * operator named it.
   */
  async function refuseLinkedFolders(key: string): Promise<void> {
    if (performance.now() - foldersSince > CHECKED_MS) {
      folders.clear()
      foldersSince = performance.now()
    }
    let folder = root
    for (const [depth, name] of key.split('/').slice(0, -1).entries()) {
      folder = join(folder, name)
      if (folders.has(folder)) continue
      if ((await lstat(folder)).isSymbolicLink()) {
        const state = `"${folder}" is a link, move it away`
        const message = `Cannot use "${key}" of store "${root}": ${state}`
        throw depth === 0 ? new StoreError(message) : new UnusableError(message, state)
      }
      folders.add(folder)
    }
  }

  /** Reads what has a key. Throws {@link UnusableError} if only that cannot be read. */
  async function reading<T>(key: string, run: (path: string) => Promise<T>): Promise<T | undefined> {
    try {
      await refuseLinkedFolders(key)
      return await run(join(root, key))
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw isRefused(error) && (await isTopOpen(key)) ? unusable(key, error) : error
    }
  }

  /** Whether this user may look into the top folder of a key: else the store is closed, and not one object. */
  async function isTopOpen(key: string): Promise<boolean> {
    const [top = '', ...more] = key.split('/')
    if (more.length === 0) return false
    try {
      await access(join(root, top), constants.R_OK | constants.X_OK)
      return (await stat(join(root, top))).isDirectory()
    } catch {
      return false
    }
  }

  function unusable(key: string, error: unknown): unknown {
    const what = storeError(`read "${key}" from`, root, error)
    if (!(what instanceof StoreError)) return error
    return new UnusableError(what.message, `it cannot be read: ${what.message.replace(/^.*?": /, '')}`, {
      cause: error,
    })
  }

  async function read(key: string): Promise<Uint8Array | undefined> {
    return reading(key, async (path) => {
      const file = await openObject(path)
      return file && (await closing(file, () => file.readFile()))
    })
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

  type Listing = { readonly prefix: string; readonly startAfter: string; readonly onForeign: (name: string) => void }

  /** The keys below a directory (`''`, or ending in a slash) with these entries, in text order: in it a directory's name ends in a slash. */
  async function* walk(folder: string, entries: readonly Dirent[], listing: Listing): AsyncGenerator<string> {
    const { prefix, startAfter, onForeign } = listing
    const names: string[] = []
    for (const entry of entries) {
      const name = `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`
      if (isKeySegment(entry.name) && name.length <= MAX_KEY_LENGTH) names.push(name)
      else if (folder !== '' || !OWN_FILES.some((own) => entry.name.startsWith(own))) onForeign(name)
    }
    const isWanted = (key: string): boolean => key.startsWith(prefix) && key > startAfter
    for (const name of names.sort()) {
      if (!name.endsWith('/')) {
        if (isWanted(name)) yield name
      } else if (
        (name.startsWith(prefix) || prefix.startsWith(name)) &&
        (name > startAfter || startAfter.startsWith(name))
      ) {
        const key = name.slice(0, -1)
        let inside: readonly Dirent[]
        try {
          inside = await entriesOf(join(root, key))
        } catch (error) {
          if (!isRefused(error) || !key.includes('/')) throw error
          if (isWanted(key)) yield key
          continue
        }
        yield* walk(name, inside, listing)
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
        try {
          // At once: a question of a fleet looks at a hundred files, and to wait for another thread takes ten times as long as to look.
          const stat = lstatSync(join(root, key), { bigint: true })
          return [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join('.')
        } catch (error) {
          if (isAbsent(error)) return null
          throw error
        }
      })
    },

    async digest(key) {
      checkKey(key)
      return failing(`read "${key}" from`, () => reading(key, digestOf))
    },

    async unusable(key) {
      checkKey(key)
      return failing(`read "${key}" from`, async () => {
        try {
          await reading(key, async (path) => (await openObject(path, Infinity))?.close())
          return null
        } catch (error) {
          if (error instanceof UnusableError) return error.state
          throw error
        }
      })
    },

    async putOnce(key, body) {
      checkKey(key)
      await failing(`write "${key}" to`, async () => {
        if (await create(key, body)) return
        const existing = await read(key).catch((error: unknown) => {
          // The name is taken, whatever by.
          if (error instanceof UnusableError) return undefined
          throw error
        })
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

    async *list(prefix, startAfter = '', onForeign = () => undefined) {
      checkPrefix(prefix)
      try {
        const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
        const entries =
          folder === '' ? await entriesOf(root) : await reading(`${folder}_`, (path) => entriesOf(dirname(path)))
        yield* walk(folder, entries ?? [], { prefix, startAfter, onForeign })
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

/** Whether there is no file: nothing, or a directory. */
function isAbsent(error: unknown): boolean {
  return systemCode(error) === 'ENOENT' || systemCode(error) === 'EISDIR'
}

function ignoreAbsent(error: unknown): void {
  if (!isAbsent(error)) throw error
}

/** What a directory store does to the disk. */
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { callbackify } from 'node:util'
import { makeFolder } from './folder.ts'

/** All writes of a directory store to disk, one step each, so that a test can stop between any two of them. */
export type DirectoryEffects = {
  /** Makes a directory and its parents; succeeds if they exist. */
  readonly makeDirectory: (path: string) => Promise<void>
  /** Makes a file that must not exist yet, and returns once its bytes are on disk. */
  readonly writeFile: (path: string, body: Uint8Array) => Promise<void>
  /** The same with what `fill` writes into a stream, which it must end. */
  readonly writeStream: <T>(path: string, fill: (sink: Writable) => Promise<T>) => Promise<T>
  /** Gives a file a second name; fails with EEXIST if that name is taken. */
  readonly link: (from: string, to: string) => Promise<void>
  /** Renames a file, replacing any file of that name. */
  readonly rename: (from: string, to: string) => Promise<void>
  /** Removes a file; succeeds if there is none. */
  readonly removeFile: (path: string) => Promise<void>
  /** Returns once the names in a directory are on disk. */
  readonly syncDirectory: (path: string) => Promise<void>
}

/** The effects on a real file system. */
export const diskEffects: DirectoryEffects = {
  // A store holds people's addresses, and the key of the links in their mails: only its owner may read it, whatever the umask.
  makeDirectory: (path) => makeFolder(path, 0o700),
  async writeFile(path, body) {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(body)
      await file.sync()
    } finally {
      await file.close()
    }
  },
  async writeStream(path, fill) {
    const file = await open(path, 'wx', 0o600)
    try {
      const filled = await fill(streamInto(file))
      await file.sync()
      return filled
    } finally {
      await file.close()
    }
  },
  link,
  rename,
  async removeFile(path) {
    await rm(path, { force: true })
  },
  async syncDirectory(path) {
    const directory = await open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
}

/** A stream that leaves its file open, also where it fails: Node's own closes it then, or its handle waits for it for ever. */
function streamInto(file: FileHandle): Writable {
  return new Writable({
    write(chunk: Uint8Array, _, callback) {
      callbackify(() => file.writeFile(chunk))(callback)
    },
  })
}

import { checkpointKey } from './log-keys.ts'

/** An object as it was read. */
export type StoredObject = {
  readonly body: Uint8Array
  /** Stands for the bytes: equal tags of a key mean equal bytes. Opaque, since each store makes it in its own way. */
  readonly etag: string
}

/**
 * What ciphertrail needs of a place that keeps objects: a directory, or S3. A write has reached the disk when its promise
 * resolves, a reader sees the old bytes or the new ones and nothing between, and several processes may write at once. Each
 * member throws {@link StoreError} where the place itself fails, and `TypeError` for a key that {@link checkKey} refuses.
 */
export type Objects = {
  /** Undefined where there is no such object. */
  readonly get: (key: string) => Promise<StoredObject | undefined>
  /** Writes once: the same bytes again are success, other bytes throw {@link ConflictError}. */
  readonly putOnce: (key: string, body: Uint8Array) => Promise<void>
  /**
   * Compare and swap: writes if the object still has the tag (null: if there is no object) and gives the new tag, else throws
   * {@link PreconditionFailedError}. Refuses what is written once.
   */
  readonly putIf: (key: string, body: Uint8Array, etag: string | null) => Promise<string>
  /** The keys that begin with the prefix and come after `startAfter`, in text order. */
  readonly list: (prefix: string, startAfter?: string) => AsyncIterable<string>
  /** Removes a derived object; success where there is none. Refuses what is written once. */
  readonly remove: (key: string) => Promise<void>
}

/** A key that is written once already has other bytes. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError'
  readonly key: string
  constructor(key: string) {
    super(`Cannot write "${key}": it exists with other bytes, and is written only once`)
    this.key = key
  }
}

/** The object is not the one that the writer had read (HTTP 412): read it again, decide again, write again. */
export class PreconditionFailedError extends Error {
  override readonly name = 'PreconditionFailedError'
  readonly key: string
  constructor(key: string) {
    super(`Cannot replace "${key}": it was changed by somebody else in the meantime`)
    this.key = key
  }
}

/** The store cannot be read or written: full, read-only, not a directory. One line that says how to go on. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
}

const WRITTEN_ONCE = ['evidence/', 'changes/', 'reports/', 'log/']

/** Letters, digits and `._=-`, not beginning with a dot: safe as a file name, in a URL and on a terminal. */
const SEGMENT = /^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,254}$/

/** The most that S3 allows. */
const LONGEST_KEY = 1024

/** Whether a text may be one part of a key, between two slashes. */
export function isKeySegment(text: string): boolean {
  return SEGMENT.test(text)
}

/** Whether a text may be a key, in every store. */
export function isKey(text: string): boolean {
  return text.length <= LONGEST_KEY && text.split('/').every(isKeySegment)
}

/** Throws `TypeError` for a key that is not safe in every store; one that leaves the store's directory among them. */
export function checkKey(key: string): void {
  if (!isKey(key)) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(key)} as a key: its parts must be made of letters, digits and "._=-" and not begin with a dot`,
    )
  }
}

/** Throws `TypeError` for a prefix of which no key could begin. The empty one means every key. */
export function checkPrefix(prefix: string): void {
  const segments = prefix.split('/')
  const last = segments.pop() ?? ''
  if (!segments.every(isKeySegment) || !(last === '' || isKeySegment(last))) {
    throw new TypeError(`Cannot list ${JSON.stringify(prefix)}: it must be the beginning of a key`)
  }
}

/** Throws `TypeError` for a key under `evidence/`, `changes/`, `reports/` or `log/`, but for the log's checkpoint: what lies there is never replaced. */
export function checkReplaceable(key: string): void {
  if (key !== checkpointKey) checkRemovable(key)
}

/** Throws `TypeError` for a key under `evidence/`, `changes/`, `reports/` or `log/`: what lies there is never removed. */
export function checkRemovable(key: string): void {
  if (WRITTEN_ONCE.some((prefix) => key.startsWith(prefix))) {
    throw new TypeError(`Cannot replace or remove "${key}": it is written only once`)
  }
}

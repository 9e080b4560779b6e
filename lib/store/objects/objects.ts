import { checkpointKey } from '../log-keys.ts'
import type { LargeObjects } from './large.ts'

/** An object, as read. */
export type StoredObject = {
  readonly body: Uint8Array
  /** Identifies the bytes: equal tags of a key mean equal bytes. Opaque, since each store makes it in its own way. */
  readonly etag: string
  /** Identifies these bytes for ever, even if the key is written later. Null if the store keeps no versions, as a directory. */
  readonly version: string | null
}

/** Digest of an object's bytes as stored. */
export type ObjectDigest = {
  /** 64 hex digits. */
  readonly sha256: string
  /** In bytes. */
  readonly size: number
  /** The same as in {@link StoredObject}. */
  readonly version: string | null
}

/** A request for a presigned URL. */
export type LinkRequest = {
  /** The same as in {@link StoredObject}. */
  readonly version: string
  /** The only method that the URL accepts. */
  readonly method: 'GET' | 'HEAD'
  /** How long the URL is valid. */
  readonly seconds: number
  /** Headers of the answer: `Content-Type` and `Content-Disposition`. */
  readonly type: string
  readonly disposition: string
}

/**
 * The object store that ciphertrail needs: a directory, or S3. A write has reached the disk when its promise resolves, a reader sees the old bytes or the new
 * ones and nothing between, and several processes may write at once. Each member throws {@link StoreError} if the store itself fails, and `TypeError` for a key
 * that {@link checkKey} refuses.
 */
export type Objects = {
  /**
   * Undefined if there is no such object. With the version of an earlier read, returns those bytes, although the key may have been overwritten or removed
   * since; a store without versions returns its current bytes, and the reader must compare the hash.
   */
  readonly get: (key: string, version?: string | null) => Promise<StoredObject | undefined>
  /**
   * Identifies an object's current bytes, and costs less than reading it: equal tags of a key mean equal bytes. Null if there is no such object. Not the tag of
   * {@link StoredObject}. Absent if nothing is cheaper than reading.
   */
  readonly tag?: (key: string) => Promise<string | null>
  /** The digest of an object's bytes, read in pieces so that its size costs no memory; undefined if there is no such object. */
  readonly digest: (key: string) => Promise<ObjectDigest | undefined>
  /** Writes once: the same bytes again are success, other bytes throw {@link ConflictError}. */
  readonly putOnce: (key: string, body: Uint8Array) => Promise<void>
  /**
   * Compare and swap: writes if the object still has the tag (null: if there is no object) and returns the new tag, else throws {@link
   * PreconditionFailedError}. Refuses written-once keys.
   */
  readonly putIf: (key: string, body: Uint8Array, etag: string | null) => Promise<string>
  /**
   * The keys that begin with the prefix and come after `startAfter`, in text order. Whatever else has the name of an object, such as a pipe or a link, is
   * listed as one, and so is a folder that cannot be listed, by its name in the place of its content: reading it throws {@link UnusableError}, and the others
   * are listed all the same.
   *
   * @param onForeign receives each name that no key can have: it is no object, and nothing reads it
   */
  readonly list: (prefix: string, startAfter?: string, onForeign?: (name: string) => void) => AsyncIterable<string>
  /**
   * Why what has this key cannot be read, in words that follow the key; null if it can be, or is absent. Costs less than reading. Absent if there are no such
   * objects, as in S3.
   */
  readonly unusable?: (key: string) => Promise<string | null>
  /** Removes a derived object; succeeds if there is none. Refuses to remove evidence. */
  readonly remove: (key: string) => Promise<void>
  /**
   * A presigned URL: anyone who has it can read one version of an object without credentials until it expires, so it is a secret for that long. Absent if the
   * store cannot make one, as a directory. Does not check that the object exists.
   */
  readonly link?: (key: string, request: LinkRequest) => Promise<string>
  /** Whether there is evidence of a cluster, as a process that is asked again and again remembers it. Absent: it must be listed. */
  readonly hasEvidence?: (clusterId: string) => Promise<boolean>
  /** Objects that do not fit into memory. Absent if the store has none such, as an opened pack. */
  readonly large?: LargeObjects
}

/** A written-once key already has other bytes. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError'
  readonly key: string
  constructor(key: string) {
    super(`Cannot write "${key}": it exists with other bytes, and is written only once`)
    this.key = key
  }
}

/** The object changed since the writer read it (HTTP 412): read it again, decide again, write again. */
export class PreconditionFailedError extends Error {
  override readonly name = 'PreconditionFailedError'
  readonly key: string
  constructor(key: string) {
    super(`Cannot replace "${key}": it was changed by somebody else in the meantime`)
    this.key = key
  }
}

/** The store cannot be read or written: full, read-only, not a directory. One line with the remedy. */
export class StoreError extends Error {
  override readonly name: string = 'StoreError'
}

/**
 * This object cannot be read, although the store can: a pipe, a link or a folder that is closed to this user is in its place. One line with the remedy. Others
 * are not affected, so whoever reads many goes on.
 */
export class UnusableError extends StoreError {
  override readonly name = 'UnusableError'
  /** Words that follow the key. */
  readonly state: string
  constructor(message: string, state: string, options?: ErrorOptions) {
    super(message, options)
    this.state = state
  }
}

/** A written-once object was deleted. A store that cannot tell that from absence does not throw it. */
export class DeletedError extends StoreError {
  override readonly name = 'DeletedError'
}

const BESIDE_EVIDENCE = ['evidence/', 'changes/', 'reports/', 'log/']

/** Letters, digits and `._=-`, not beginning with a dot: safe as a file name, in a URL and on a terminal. */
const SEGMENT = /^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,254}$/

/** The longest key, as S3 has it. */
export const MAX_KEY_LENGTH = 1024

/** Whether a text is valid as one part of a key, between two slashes. */
export function isKeySegment(text: string): boolean {
  return SEGMENT.test(text)
}

/** Whether a text is a valid key, in every store. */
export function isKey(text: string): boolean {
  return text.length <= MAX_KEY_LENGTH && text.split('/').every(isKeySegment)
}

/** Throws `TypeError` for a key that is not safe in every store, such as one that leaves the store's directory. */
export function checkKey(key: string): void {
  if (!isKey(key)) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(key)} as a key: its parts must be made of letters, digits and "._=-" and not begin with a dot`,
    )
  }
}

/** Throws `TypeError` for a prefix with which no key can begin. The empty one means every key. */
export function checkPrefix(prefix: string): void {
  const segments = prefix.split('/')
  const last = segments.pop() ?? ''
  if (!segments.every(isKeySegment) || !(last === '' || isKeySegment(last))) {
    throw new TypeError(`Cannot list ${JSON.stringify(prefix)}: it must be the beginning of a key`)
  }
}

/** Whether a key belongs to evidence (`evidence/`, `changes/`, `reports/`, `log/`), not to derived data. */
export function isEvidenceKey(key: string): boolean {
  return BESIDE_EVIDENCE.some((prefix) => key.startsWith(prefix))
}

/** Whether the keys that begin with a prefix are evidence, derived data, or both. */
export function placeOfPrefix(prefix: string): 'evidence' | 'derived' | 'both' {
  if (isEvidenceKey(prefix)) return 'evidence'
  return BESIDE_EVIDENCE.some((one) => one.startsWith(prefix)) ? 'both' : 'derived'
}

/** Whether a key is written once: all evidence except `log/checkpoint`. */
export function isWrittenOnce(key: string): boolean {
  return isEvidenceKey(key) && key !== checkpointKey
}

/** Throws `TypeError` for evidence, which is never too large for memory. */
export function checkDerived(key: string): void {
  checkKey(key)
  if (isEvidenceKey(key)) throw new TypeError(`Cannot write "${key}" in pieces: it lies with the evidence`)
}

/** Throws `TypeError` for written-once keys: they are never replaced and never removed. */
export function checkReplaceable(key: string): void {
  if (isWrittenOnce(key)) throw new TypeError(`Cannot replace or remove "${key}": it is written only once`)
}

/** Throws `TypeError` for evidence, which is never removed. */
export function checkRemovable(key: string): void {
  checkReplaceable(key)
  if (isEvidenceKey(key)) throw new TypeError(`Cannot remove "${key}": what lies with the evidence stays`)
}

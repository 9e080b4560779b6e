/** Objects that are too large for memory: written and read in pieces. */
import type { Writable } from 'node:stream'

/** A large object, as found. */
export type LargeObject = {
  /** In bytes. */
  readonly size: number
  /** The same as in `StoredObject`. */
  readonly version: string | null
  /** Its bytes, in pieces and in order. May be called more than once. */
  readonly read: () => AsyncIterable<Uint8Array>
}

/** The part of an object store that keeps large derived objects. Each member throws `StoreError` if the store itself fails. */
export type LargeObjects = {
  /**
   * Writes once whatever `fill` writes into the stream, and resolves to what `fill` resolves to. Nothing is there until `fill` has ended the stream and
   * resolved; if it rejects, or the process dies, nothing ever is. Throws `ConflictError` if there is an object, whatever its bytes: they are not compared.
   * Refuses evidence with a `TypeError`: only what can be made again may be so large.
   */
  readonly putOnce: <T>(key: string, fill: (sink: Writable) => Promise<T>) => Promise<T>
  /** Finds an object, in the version of an earlier call if one is given; undefined if there is none. Reads none of its bytes. */
  readonly open: (key: string, version?: string | null) => Promise<LargeObject | undefined>
}

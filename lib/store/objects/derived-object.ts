import { createHash } from 'node:crypto'
import { compareText } from '../../text/order.ts'

/** A derived object is missing, or does not match the state. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError'
  readonly key: string
  constructor(key: string) {
    super(`Cannot use "${key}": it is not what was derived, run "ciphertrail rebuild" to make it again from evidence`)
    this.key = key
  }
}

/**
 * The bytes of a derived object: JSON with sorted names, as in RFC 8785, so that equal content is equal bytes. Malformed Unicode, as in a hostile label, is
 * repaired: it must not keep a cluster from being derived.
 */
export function encodeDerived(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(sorted(value)))
}

/** `canonicalize` takes three times as long for a month, and refuses malformed Unicode. No name here looks like a number. */
function sorted(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(sorted)
  const found: Record<string, unknown> = { ...value }
  const members: Record<string, unknown> = {}
  for (const name of Object.keys(found).sort(compareText)) {
    // An assignment would set the prototype.
    if (name === '__proto__')
      Object.defineProperty(members, name, { value: sorted(found[name]), enumerable: true, configurable: true })
    else members[name] = sorted(found[name])
  }
  return members
}

/** The SHA-256 of bytes, in hex: unlike an etag it is the same in every store. */
export function sha256Of(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex')
}

/** Reads again if an object that the state names was replaced between two reads. */
export async function whileItChanges<T>(read: () => Promise<T>): Promise<T> {
  for (let left = 3; ; left--) {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof DamagedError) || left === 0) throw error
    }
  }
}

import { hash, randomUUID } from 'node:crypto'
import {
  checkKey,
  checkPrefix,
  checkRemovable,
  checkReplaceable,
  ConflictError,
  DeletedError,
  isEvidenceKey,
  isWrittenOnce,
  placeOfPrefix,
  PreconditionFailedError,
} from '../objects.ts'
import type { Objects } from '../objects.ts'
import { formatStoreUrl, retainUntil } from './address.ts'
import type { S3Place, S3Address } from './address.ts'
import type { FoundObject, S3Calls, S3Limits } from './requests.ts'
import { s3Error } from './errors.ts'
import { readPage } from './listing.ts'
import { s3Large } from './s3-large.ts'

/** Connection settings of S3. */
export type S3Options = {
  readonly now: () => Date
  /** Whether the bucket is in the path of a request, as servers other than Amazon's require. */
  readonly isPathStyle: boolean
  readonly limits?: S3Limits
}

const LIMITS: S3Limits = { attempts: 6, attemptMs: 60_000, deadlineMs: 180_000 }

/**
 * Keeps objects in S3: written-once objects and the log in one place, derived objects in another or the same.
 *
 * - Creating is a put with `If-None-Match`, replacing one with `If-Match`: S3 decides between writers, and no process holds a lock.
 * - SHA-256 goes with every body and is checked by S3; answers are checked against the stored digest.
 * - Written-once objects are locked as the address says. Each read returns the version that it read.
 * - A new object, a replaced one, one that is read or removed: one request each. The same object again: two. A list: one for each 1000 keys.
 * - The tag of an object is its ETag. The client is loaded with the first call.
 */
export function s3Objects(address: S3Address, { now, isPathStyle, limits = LIMITS }: S3Options): Objects {
  let opened: Promise<S3Calls> | undefined

  function open(): Promise<S3Calls> {
    // It takes 0.15 s of CPU: load it only for stores on S3.
    opened ??= import('./requests.ts').then(({ openS3 }) => openS3({ isPathStyle, limits }))
    return opened
  }

  function placeOf(key: string): S3Place {
    return isEvidenceKey(key) ? address.evidence : address.derived
  }

  async function failing<T>(
    what: string,
    place: S3Place,
    actions: readonly string[],
    run: (s3: S3Calls) => Promise<T>,
  ): Promise<T> {
    try {
      return await run(await open())
    } catch (error) {
      const hasAnswer = error instanceof Error && '$metadata' in error
      throw s3Error({ what, place, actions, limits, secrets: hasAnswer ? await (await open()).secrets() : [] }, error)
    }
  }

  async function read(key: string, version: string | null): Promise<FoundObject | undefined> {
    const place = placeOf(key)
    const action = version === null ? 's3:GetObject' : 's3:GetObjectVersion'
    // Without the permission to list, S3 reports absent objects as forbidden.
    return failing(`read "${key}" from`, place, [action, 's3:ListBucket'], async (s3) => {
      const found = await s3.get(place.bucket, place.prefix + key, version)
      if (found === 'absent') return undefined
      if (found !== 'deleted') return found
      // A missing written-once object was deleted: skipping it would hide that.
      if (!isWrittenOnce(key)) return undefined
      throw new DeletedError(
        `Cannot read "${key}" from store "${formatStoreUrl(place)}": it was deleted, take away its delete marker to have it back`,
      )
    })
  }

  async function put(key: string, body: Uint8Array, etag: string | null, write?: string) {
    const place = placeOf(key)
    const { lock } = address
    const until =
      isWrittenOnce(key) && lock !== null ? { mode: lock.mode, until: retainUntil(lock.retention, now()) } : undefined
    const actions = ['s3:PutObject', ...(until === undefined ? [] : ['s3:PutObjectRetention'])]
    return failing(`write "${key}" to`, place, actions, (s3) =>
      s3.put({ bucket: place.bucket, key: place.prefix + key, body, etag, lock: until, write }),
    )
  }

  /** The keys of one place that begin with a prefix, in text order. */
  async function* listPlace(
    place: S3Place,
    { prefix, startAfter, onForeign }: { prefix: string; startAfter: string; onForeign: (name: string) => void },
  ): AsyncGenerator<string> {
    const asked = { prefix: place.prefix + prefix, startAfter: startAfter === '' ? '' : place.prefix + startAfter }
    let last = asked.startAfter
    let token: string | undefined
    do {
      const { keys, foreign, next } = await failing('list', place, ['s3:ListBucket'], async (s3) =>
        readPage(await s3.list(place.bucket, { ...asked, token }), { ...asked, startAfter: last, token }),
      )
      for (const name of foreign) onForeign(name.slice(place.prefix.length))
      for (const key of keys) yield key.slice(place.prefix.length)
      last = keys.at(-1) ?? last
      token = next
    } while (token !== undefined)
  }

  return {
    async get(key, version = null) {
      checkKey(key)
      const found = await read(key, version)
      return found === undefined ? undefined : { body: found.body, etag: found.etag, version: found.version }
    },

    async digest(key) {
      checkKey(key)
      const found = await read(key, null)
      if (found === undefined) return undefined
      return { sha256: hash('sha256', found.body, 'hex'), size: found.body.length, version: found.version }
    },

    async putOnce(key, body) {
      checkKey(key)
      if ((await put(key, body, null)).isWritten) return
      const existing = await read(key, null)
      if (existing === undefined || Buffer.compare(existing.body, body) !== 0) throw new ConflictError(key)
    },

    async putIf(key, body, etag) {
      checkKey(key)
      checkReplaceable(key)
      const write = randomUUID()
      const outcome = await put(key, body, etag, write)
      if (outcome.isWritten) return outcome.etag
      // The answer to the first try may be lost although it wrote; the second one then meets that object.
      const found = outcome.attempts > 1 ? await read(key, null) : undefined
      if (found?.write === write) return found.etag
      throw new PreconditionFailedError(key)
    },

    async *list(prefix, startAfter = '', onForeign = () => undefined) {
      checkPrefix(prefix)
      const asked = { prefix, startAfter, onForeign }
      const { evidence, derived } = address
      const isOne = evidence.bucket === derived.bucket && evidence.prefix === derived.prefix
      const where = placeOfPrefix(prefix)
      if (isOne || where !== 'both') yield* listPlace(where === 'derived' ? derived : evidence, asked)
      else {
        yield* inOrder(
          only(listPlace(evidence, asked), isEvidenceKey),
          only(listPlace(derived, asked), (key) => !isEvidenceKey(key)),
        )
      }
    },

    large: s3Large({ placeOf, failing }),

    async remove(key) {
      checkKey(key)
      checkRemovable(key)
      const place = placeOf(key)
      await failing(`remove "${key}" from`, place, ['s3:DeleteObject'], (s3) =>
        s3.remove(place.bucket, place.prefix + key),
      )
    },

    async link(key, request) {
      checkKey(key)
      const place = placeOf(key)
      return failing(`sign an address for "${key}" of`, place, ['s3:GetObjectVersion'], (s3) =>
        s3.link(place.bucket, place.prefix + key, request, now()),
      )
    },
  }
}

async function* only(keys: AsyncIterable<string>, isWanted: (key: string) => boolean): AsyncGenerator<string> {
  for await (const key of keys) if (isWanted(key)) yield key
}

/** Merges two lists in text order. */
async function* inOrder(a: AsyncGenerator<string>, b: AsyncGenerator<string>): AsyncGenerator<string> {
  try {
    let [left, right] = await Promise.all([a.next(), b.next()])
    while (left.done !== true || right.done !== true) {
      if (right.done === true || (left.done !== true && left.value < right.value)) {
        yield left.value
        left = await a.next()
      } else {
        yield right.value
        right = await b.next()
      }
    }
  } finally {
    // Even if the reader stops early.
    await Promise.all([a.return(undefined), b.return(undefined)])
  }
}

import { hash } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  checkDerived,
  checkKey,
  checkRemovable,
  checkReplaceable,
  ConflictError,
  PreconditionFailedError,
} from '../../../lib/store/objects/objects.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'

/** What was asked of a store, before it is done. */
export type StoreRequest = {
  readonly member: 'get' | 'digest' | 'putOnce' | 'putIf' | 'list' | 'remove'
  /** The prefix of a list. */
  readonly key: string
  /** Bytes of a write. */
  readonly size: number
}

/**
 * Does a request, or does not: what it throws, the caller gets. A promise that never ends is a caller that died. Each request is one step: nothing of
 * another one comes between what it reads and what it writes. A list is one step for each page.
 */
export type Gate = <T>(request: StoreRequest, effect: () => T) => Promise<T>

const open: Gate = (_, effect) => Promise.resolve().then(effect)

const PAGE = 1000

const etags = new WeakMap<Uint8Array, string>()
let written = 0

/** Of the very bytes that were written: to hash them would take longer than all the rest. */
function etagOf(body: Uint8Array): string {
  const etag = etags.get(body) ?? `written-${(written += 1)}`
  etags.set(body, etag)
  return etag
}

/** A store in memory with the promises of the real ones, whose every request goes through a gate. */
export function memoryObjects(held: Map<string, Uint8Array> = new Map(), gate: Gate = open): Objects {
  const etagAt = (key: string) => {
    const body = held.get(key)
    return body === undefined ? null : etagOf(body)
  }
  return {
    async get(key) {
      return gate({ member: 'get', key, size: 0 }, () => {
        const body = held.get(key)
        return body === undefined ? undefined : { body, etag: etagOf(body), version: null }
      })
    },
    async digest(key) {
      checkKey(key)
      return gate({ member: 'digest', key, size: 0 }, () => {
        const body = held.get(key)
        return body === undefined
          ? undefined
          : { sha256: hash('sha256', body, 'hex'), size: body.length, version: null }
      })
    },
    async putOnce(key, body) {
      checkKey(key)
      await gate({ member: 'putOnce', key, size: body.length }, () => {
        const existing = held.get(key)
        if (existing !== undefined && Buffer.compare(existing, body) !== 0) throw new ConflictError(key)
        held.set(key, body)
      })
    },
    async putIf(key, body, etag) {
      checkKey(key)
      checkReplaceable(key)
      return gate({ member: 'putIf', key, size: body.length }, () => {
        if (etagAt(key) !== etag) throw new PreconditionFailedError(key)
        held.set(key, body)
        return etagOf(body)
      })
    },
    async *list(prefix, startAfter = '') {
      for (let after = startAfter; ;) {
        const page = await gate({ member: 'list', key: prefix, size: 0 }, () =>
          [...held.keys()]
            .filter((key) => key.startsWith(prefix) && key > after)
            .sort()
            .slice(0, PAGE),
        )
        yield* page
        const last = page.at(-1)
        if (page.length < PAGE || last === undefined) return
        after = last
      }
    },
    large: {
      async putOnce(key, fill) {
        checkDerived(key)
        const sink = new PassThrough()
        const [filled, body] = await Promise.all([fill(sink), buffer(sink)])
        await gate({ member: 'putOnce', key, size: body.length }, () => {
          if (held.has(key)) throw new ConflictError(key)
          held.set(key, body)
        })
        return filled
      },
      async open(key) {
        return gate({ member: 'get', key, size: 0 }, () => {
          const body = held.get(key)
          if (body === undefined) return undefined
          return {
            size: body.length,
            version: null,
            async *read() {
              yield body
            },
          }
        })
      },
    },
    async remove(key) {
      checkKey(key)
      checkRemovable(key)
      await gate({ member: 'remove', key, size: 0 }, () => void held.delete(key))
    },
  }
}

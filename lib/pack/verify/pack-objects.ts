/** The sealed objects of a pack as a store that nobody can write, so that the steps that read a store read a pack. */
import { hash } from 'node:crypto'
import { compareText } from '../../text/order.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { OpenPack } from './open-pack.ts'

/**
 * Gives the objects of a pack by their keys.
 *
 * @param keys those that are there; whatever else the pack holds is not
 */
export function packObjects(keys: Iterable<string>, pack: Pick<OpenPack, 'members' | 'read'>): Objects {
  const sorted = [...keys].filter((key) => pack.members.has(key)).toSorted(compareText)
  const known = new Set(sorted)
  const get: Objects['get'] = async (key) => {
    const member = known.has(key) ? pack.members.get(key) : undefined
    const read = member === undefined ? undefined : await pack.read(member)
    return read === undefined ? undefined : { body: read.body, etag: hash('sha256', read.body), version: null }
  }
  const refuse = (key: string): Promise<never> =>
    Promise.reject(new TypeError(`Cannot write "${key}": a pack is only read`))
  return {
    get,
    digest: async (key) => {
      const stored = await get(key)
      return stored === undefined ? undefined : { sha256: stored.etag, size: stored.body.length, version: null }
    },
    putOnce: refuse,
    putIf: refuse,
    remove: refuse,
    async *list(prefix, startAfter = '') {
      for (const key of sorted) if (key.startsWith(prefix) && key > startAfter) yield key
    },
  }
}

import { hash } from 'node:crypto'
import { toTime } from '../../../lib/time/windows.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { memoryObjects } from './memory-objects.ts'

/** A store whose evidence is only listed, so that a log of many leaves need not be written object by object. */
export type ListedEvidence = {
  readonly objects: Objects
  /** Lists so many objects from now on. */
  readonly grow: (count: number) => void
  /** The key of the object number `index`, in text order. */
  readonly keyOf: (index: number) => string
}

/** Evidence of five clusters in hourly windows from 2016 on. The log goes into the store below, but for its index, which stays in memory. */
export function listedEvidence(below: Objects): ListedEvidence {
  const index = memoryObjects()
  let count = 0
  const keyOf = (number: number): string => {
    const hour = Date.UTC(2016, 0, 1) / 1000 + Math.floor(number / 5) * 3600
    const window = { start: toTime(hour), end: toTime(hour + 3600) }
    return evidenceKey({ window, cluster: `cluster-${number % 5}`, attempt: 1 })
  }
  const storeOf = (key: string): Objects => (key.startsWith('log/index/') ? index : below)
  return {
    grow: (to) => (count = to),
    keyOf,
    objects: {
      get: (key) => storeOf(key).get(key),
      putOnce: (key, body) => storeOf(key).putOnce(key, body),
      putIf: (key, body, etag) => storeOf(key).putIf(key, body, etag),
      remove: (key) => storeOf(key).remove(key),
      digest: (key) => Promise.resolve({ sha256: hash('sha256', key, 'hex'), size: key.length, version: null }),
      async *list(prefix, startAfter = '') {
        if (prefix !== 'evidence/') return yield* storeOf(prefix).list(prefix, startAfter)
        for (let number = 0; number < count; number++) {
          const key = keyOf(number)
          if (key > startAfter) yield key
        }
      },
    },
  }
}

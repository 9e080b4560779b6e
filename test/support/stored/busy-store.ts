import type { Objects } from '../../../lib/store/objects/objects.ts'
import { memoryObjects } from './memory-objects.ts'

/** A store in memory that takes a moment for each request, and counts how many it was asked at once at most. */
export function busyStore(held: Map<string, Uint8Array>): {
  readonly objects: Objects
  readonly mostAtOnce: () => number
} {
  let now = 0
  let most = 0
  const objects = memoryObjects(held, async (_, effect) => {
    most = Math.max(most, (now += 1))
    await new Promise((resolve) => setImmediate(resolve))
    now -= 1
    return effect()
  })
  return { objects, mostAtOnce: () => most }
}

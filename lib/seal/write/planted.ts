/**
 * Planted numbers: numbers in the log's index that contradict the log. The index only saves reads. Anyone with write access but without the key could write a
 * number beforehand, so that `seal` takes an object for sealed.
 */
import { parseIndexKey } from '../../store/log-keys.ts'
import { type Objects, UnusableError } from '../../store/objects/objects.ts'
import { nameIn } from '../leaf.ts'
import { PartError, readBundle } from '../read-entries.ts'
import { TILE_WIDTH } from '../tlog/tiles.ts'

/** Most bundles of entries that are read at once. It starts at one, since the newest leaves are usually enough. */
const MAX_AT_ONCE = 16

/**
 * Those of some names that no leaf of a log of a size has. Reads the log backwards until all are found: a few objects for names of the last hours, all of it if
 * one is missing. Throws `PartError` if entries are missing.
 */
export async function namesNotInLog(
  names: Iterable<string>,
  size: number,
  objects: Objects,
): Promise<ReadonlySet<string>> {
  const wanted = new Set(names)
  let atOnce = 1
  for (let last = Math.ceil(size / TILE_WIDTH) - 1; last >= 0 && wanted.size > 0;) {
    const indexes = Array.from({ length: Math.min(atOnce, last + 1) }, (_, at) => last - at)
    last -= indexes.length
    atOnce = Math.min(MAX_AT_ONCE, atOnce * 2)
    const bundles = await Promise.all(indexes.map((index) => readBundle(index, size, objects)))
    for (const { entries } of bundles)
      for (const entry of entries) {
        const name = nameIn(entry)
        if (name !== undefined) wanted.delete(name)
      }
  }
  return wanted
}

/** Whether a number in the index contradicts the log: another one may then be signed. */
export async function isPlanted(key: string, size: number, objects: Objects): Promise<boolean> {
  const name = parseIndexKey(key)
  if (name === undefined) return false
  const stored = await objects.get(key).catch((error: unknown) => {
    if (error instanceof UnusableError) return null
    throw error
  })
  if (stored === undefined) return false
  // Nobody can read a number there.
  if (stored === null) return true
  const text = Buffer.from(stored.body.subarray(0, 20)).toString()
  const number = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : size
  if (number >= size) return true
  try {
    const { entries, first } = await readBundle(Math.floor(number / TILE_WIDTH), size, objects)
    const entry = entries[number - first]
    return entry === undefined || nameIn(entry) !== name
  } catch (error) {
    if (error instanceof PartError) return false
    throw error
  }
}

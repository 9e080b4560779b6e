import { hash } from 'node:crypto'
import { type ObjectDigest, type Objects, StoreError } from '../../store/objects/objects.ts'
import { concurrently } from '../../concurrently.ts'
import { leafKind, type Leaf, LeafError, nameOf, parseLeaf, SEALED_PREFIXES } from '../leaf.ts'
import type { Bundle } from '../read-entries.ts'

/** Number of objects that are hashed at once: reading one overlaps with hashing another. */
const AT_ONCE = 8

/** State of the object that a leaf names. */
export type ObjectState = 'as-sealed' | 'changed' | 'missing'

/** A leaf of the log, with its problem. */
export type CheckedLeaf = {
  readonly number: number
  /** Undefined if the entry is no leaf. */
  readonly leaf: Leaf | undefined
  /** Only for leaves that name an object. */
  readonly object: ObjectState | undefined
  /** Words that follow {@link key}; undefined if there is no problem. */
  readonly problem: string | undefined
  /** The object that the leaf names; if it names none, the key from which the entry was read. */
  readonly key: string
}

/** Names of leaves, stored as hashes of 16 bytes: a million whole keys would take more than 100 MB. */
export type LeafNames = {
  /** False if the name is already known. */
  readonly add: (name: string) => boolean
  readonly has: (name: string) => boolean
}

/** No names yet. */
export function leafNames(): LeafNames {
  const known = new Set<string>()
  const short = (name: string): string => hash('sha256', name, 'binary').slice(0, 16)
  return {
    add: (name) => {
      const before = known.size
      return known.add(short(name)).size > before
    },
    has: (name) => known.has(short(name)),
  }
}

/** The leaves of a bundle, in order, each with the state of its object, hashed as stored. A name that an earlier leaf has is a problem of the later one. */
export async function checkLeaves(
  { key, first, entries }: Bundle,
  names: LeafNames,
  objects: Objects,
): Promise<CheckedLeaf[]> {
  const leaves = entries.map((entry, at): CheckedLeaf => {
    const number = first + at
    try {
      const leaf = parseLeaf(entry)
      const name = nameOf(leaf)
      const isNew = name === undefined || names.add(name)
      return {
        number,
        leaf,
        object: undefined,
        key: 'key' in leaf ? leaf.key : key,
        problem: isNew ? undefined : `leaf ${number} names what an earlier leaf named already`,
      }
    } catch (error) {
      if (!(error instanceof LeafError)) throw error
      return { number, leaf: undefined, object: undefined, key, problem: `leaf ${number}: ${error.message}` }
    }
  })
  return concurrently(leaves, AT_ONCE, async (checked) => {
    const { leaf, number } = checked
    if (leaf === undefined || !('key' in leaf)) return checked
    const stored = await objects.digest(leaf.key)
    if (stored !== undefined && isAsSealed(leaf, stored)) return { ...checked, object: 'as-sealed' }
    const object = stored === undefined ? 'missing' : 'changed'
    const kept = (await isVersionKept(leaf, objects))
      ? `, version "${leaf.versionId}" of it is kept as it was sealed`
      : ''
    const state = stored === undefined ? await objects.unusable?.(leaf.key) : null
    return { ...checked, object, problem: `${state ?? howDifferent(leaf, stored)}${kept} (leaf ${number})` }
  })
}

type StoredLeaf = Extract<Leaf, { readonly key: string }>

function isAsSealed(leaf: StoredLeaf, { sha256, size }: Pick<ObjectDigest, 'sha256' | 'size'>): boolean {
  return leaf.size === size && leaf.sha256 === sha256
}

function howDifferent({ size }: StoredLeaf, stored: ObjectDigest | undefined): string {
  if (stored === undefined) return 'it is missing'
  return stored.size === size
    ? 'its bytes are not those that were sealed'
    : `it has ${stored.size} bytes, sealed were ${size}`
}

/** Whether a store with versions still has the sealed bytes, though they were overwritten or deleted. False if versions cannot be read. */
async function isVersionKept(leaf: StoredLeaf, objects: Objects): Promise<boolean> {
  if (leaf.versionId === undefined) return false
  try {
    const kept = await objects.get(leaf.key, leaf.versionId)
    return kept !== undefined && isAsSealed(leaf, { sha256: hash('sha256', kept.body, 'hex'), size: kept.body.length })
  } catch (error) {
    // Reading versions needs a permission of its own. Without it, the other findings are still reported.
    if (error instanceof StoreError) return false
    throw error
  }
}

/** Objects that should be sealed and that none of the leaves names, in text order of their prefixes. */
export async function* unsealedObjects(names: LeafNames, objects: Objects): AsyncGenerator<string> {
  for (const { prefix, kind } of SEALED_PREFIXES)
    // Prefixes may be nested: each object is of one kind.
    for await (const key of objects.list(prefix)) if (leafKind(key) === kind && !names.has(key)) yield key
}

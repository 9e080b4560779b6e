/** The registry as the log has it: what nobody could change since it was sealed. */
import { hash } from 'node:crypto'
import type { Objects, StoredObject } from '../store/objects/objects.ts'
import { readWatched, type WatchedCluster } from '../store/registry/registry.ts'
import type { NumberedLeaf } from './packed-leaves.ts'
import { PackError } from './select-report.ts'

/**
 * Every cluster for as long as it was registered, by the changes that are sealed and by nothing else: neither the registry itself, which is rewritable, nor a
 * change without a leaf has a say. Throws {@link PackError} for a change that is missing or is not what was sealed.
 */
export async function sealedClusters(
  leaves: readonly NumberedLeaf[],
  objects: Pick<Objects, 'get'>,
): Promise<WatchedCluster[]> {
  const sealed = new Map<string, StoredObject>()
  for (const { leaf } of leaves) {
    if (leaf.kind !== 'registry-change') continue
    const stored = await objects.get(leaf.key, leaf.versionId ?? null)
    const isSame = stored?.body.length === leaf.size && hash('sha256', stored.body) === leaf.sha256
    if (stored === undefined || !isSame)
      throw new PackError(
        `Cannot tell which windows were expected: "${leaf.key}" ${stored === undefined ? 'was sealed, and is not there' : 'is not what was sealed'}, run "ciphertrail log check"`,
      )
    sealed.set(leaf.key, stored)
  }
  return readWatched({ objects: only(sealed) })
}

/** A store that holds these objects, for reading. */
function only(held: ReadonlyMap<string, StoredObject>): Objects {
  const refuse = (): never => {
    throw new TypeError('Cannot write here: these are the sealed changes, for reading')
  }
  return {
    get: async (key) => held.get(key),
    digest: refuse,
    putOnce: refuse,
    putIf: refuse,
    remove: refuse,
    async *list(prefix, startAfter = '') {
      yield* [...held.keys()].filter((key) => key.startsWith(prefix) && key > startAfter).toSorted()
    },
  }
}

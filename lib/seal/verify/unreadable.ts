import { evidencePrefix } from '../../store/keys.ts'
import { DeletedError, type Objects, UnusableError } from '../../store/objects/objects.ts'

/**
 * A store in which deleted objects, and what cannot be read in the place of one, are absent, so that a check goes on and reports them. The store itself would
 * throw. Reading evidence still throws: it is derived from, and then says of it what the first derivation said.
 */
export function unreadableAsAbsent(objects: Objects): Objects {
  return {
    ...objects,
    get: (key, version) =>
      key.startsWith(evidencePrefix) ? objects.get(key, version) : orAbsent(() => objects.get(key, version)),
    digest: (key) => orAbsent(() => objects.digest(key)),
  }
}

async function orAbsent<T>(read: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof DeletedError || error instanceof UnusableError) return undefined
    throw error
  }
}

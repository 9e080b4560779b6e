import { DeletedError, type Objects } from '../../store/objects/objects.ts'

/** A store in which deleted objects are absent, so that a check goes on and reports them as missing. The store itself would throw. */
export function deletedAsAbsent(objects: Objects): Objects {
  return {
    ...objects,
    get: (key, version) => orAbsent(() => objects.get(key, version)),
    digest: (key) => orAbsent(() => objects.digest(key)),
  }
}

async function orAbsent<T>(read: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof DeletedError) return undefined
    throw error
  }
}

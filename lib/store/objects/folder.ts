import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder, and its missing parents, with this mode less the umask; succeeds if it exists. Throws Node's error with the code of the system.
 *
 * Not with Node's `recursive`, which never ends if a file system reports for a new name that its parent is missing, as /proc does.
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  const place = resolve(path)
  if (await isMade(place, mode)) return
  await makeFolder(dirname(place), mode)
  if (!(await isMade(place, mode)))
    throw Object.assign(new Error(`Cannot make "${place}": no folder can be made there`), { code: 'ENOENT' })
}

/** Makes one folder; true also if it exists, false if its parent does not. */
async function isMade(place: string, mode: number): Promise<boolean> {
  try {
    await mkdir(place, mode)
    return true
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' && dirname(place) !== place) return false
    if (code === 'EEXIST' && (await stat(place)).isDirectory()) return true
    throw error
  }
}

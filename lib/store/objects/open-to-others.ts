import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Mode bits of the group and of others. */
const OTHERS = 0o077
/** Mode bits to enter a folder. */
const ENTER = 0o011

/**
 * Finds a folder of a store that users other than its owner can open: an earlier version made it with the umask, it was copied, or it was opened on purpose.
 * Returns its name in the store; undefined if there is none, or if that is unknown. A store whose own folder is closed is closed.
 */
export async function folderOpenToOthers(directory: string): Promise<string | undefined> {
  // Systems without numeric user ids express permissions in another way.
  if (process.getuid === undefined) return undefined
  try {
    if (((await stat(directory)).mode & ENTER) === 0) return undefined
    for (const entry of (await readdir(directory, { withFileTypes: true })).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    ))
      if (entry.isDirectory() && ((await stat(join(directory, entry.name))).mode & OTHERS) !== 0) return entry.name
  } catch {
    // Opening the store reports what is wrong with it.
  }
  return undefined
}

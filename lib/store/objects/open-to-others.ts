import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Anybody but the owner: rights of the group and of others. */
const OTHERS = 0o077
/** To go into a folder. */
const ENTER = 0o011

/**
 * A folder of a store in a directory that others than its owner can look into: it was made by an earlier version with the umask, copied, or given these rights on purpose. Its
 * name in the store; undefined where there is none, or where it cannot be told. A store whose own folder is closed is closed.
 */
export async function folderOpenToOthers(directory: string): Promise<string | undefined> {
  // Where users have no numbers, rights are told otherwise.
  if (process.getuid === undefined) return undefined
  try {
    if (((await stat(directory)).mode & ENTER) === 0) return undefined
    for (const entry of (await readdir(directory, { withFileTypes: true })).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    ))
      if (entry.isDirectory() && ((await stat(join(directory, entry.name))).mode & OTHERS) !== 0) return entry.name
  } catch {
    // Whoever opens the store says what is wrong with it.
  }
  return undefined
}

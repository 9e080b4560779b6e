/** Entries of the folders of a directory store, and what a crash left in one. */
import { randomUUID } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { DirectoryEffects } from './directory-effects.ts'
import { missing, systemCode } from './directory-errors.ts'

/** Age after which a temporary file is abandoned. */
const ABANDONED_MS = 60 * 60 * 1000

/** The entries of a folder, in no order; none if there is no folder. */
export async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Removes the files of a folder that writers left more than an hour ago. */
export async function removeAbandoned(unfinished: string, effects: DirectoryEffects): Promise<void> {
  const entries = await entriesOf(unfinished)
  if (entries.length === 0) return
  const now = await fileClock(unfinished, effects)
  for (const { name } of entries) {
    const path = join(unfinished, name)
    const { mtimeMs } = await stat(path).catch(missing)
    if (now - mtimeMs > ABANDONED_MS) await effects.removeFile(path)
  }
}

/** The current time by the clock that dates the files of a folder: it may be another machine's, and by our clock a new file could look old. */
async function fileClock(folder: string, effects: DirectoryEffects): Promise<number> {
  const path = join(folder, `${process.pid}-${randomUUID()}`)
  try {
    await effects.writeFile(path, Buffer.of())
    return (await stat(path)).mtimeMs
  } finally {
    await effects.removeFile(path).catch(() => {})
  }
}

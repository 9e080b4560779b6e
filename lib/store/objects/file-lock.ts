import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

const SQLITE_BUSY = 5

/**
 * Runs `run` while no other process (nor another call in this one) holds the lock file, which is created if absent. Returns undefined without running it if the
 * lock was not free for `waitMs`.
 *
 * The lock is SQLite's: a lock of the operating system, which ends with its process in any case. A lock file has to be taken over from a dead owner by age or
 * process id, and is then sometimes taken from a live one (a stopped process, another container). Nothing is ever stored in the file.
 *
 * Throws what `run` throws, and SQLite's error if the file cannot be opened.
 */
export async function withFileLock<T>(
  path: string,
  waitMs: number,
  run: () => Promise<T>,
): Promise<{ readonly result: T } | undefined> {
  // Opened for each use: a file that was removed and made again meanwhile would be locked by its old inode. Created here because SQLite would let others read
  // it, and a reader that locks it blocks its owner.
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch {
    // SQLite says why.
  }
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    if (!(await acquired(database, waitMs))) return undefined
    return { result: await run() }
  } finally {
    database.close()
  }
}

async function acquired(database: DatabaseSync, waitMs: number): Promise<boolean> {
  const deadline = performance.now() + waitMs
  for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, 20)) {
    try {
      // In memory: otherwise SQLite creates a journal beside the file before it has the lock.
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
      return true
    } catch (error) {
      if (!(error instanceof Error && 'errcode' in error && Number(error.errcode) % 256 === SQLITE_BUSY)) throw error
    }
    if (performance.now() >= deadline) return false
    await sleep(pauseMs)
  }
}

import { StoreError } from './objects.ts'

/** Replaces the status of a file that its writer has removed meanwhile. */
export function missing(error: unknown): { mtimeMs: number } {
  if (systemCode(error) === 'ENOENT') return { mtimeMs: Infinity }
  throw error
}

/** The code of a system error, such as `ENOENT`; undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether an error says that one name is closed to this user, or leads through something that is no directory. */
export function isRefused(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')
}

const FULL = 'there is no room left, make some and run it again'

const FORBIDDEN = 'this user may not, check who owns it'

const READ_ONLY = 'the file system is read-only, it must be writable'

const CONDITIONS: Readonly<Record<string, string>> = {
  ENOSPC: FULL,
  EDQUOT: 'the quota of this user is used up, make room and run it again',
  EFBIG: 'the file would be larger than the system allows this process, raise that limit',
  EROFS: READ_ONLY,
  EACCES: FORBIDDEN,
  EPERM: FORBIDDEN,
  ENOTDIR: 'a part of the path is a file, it must be a directory',
  EEXIST: 'a part of the path is a file, it must be a directory',
  EXDEV: 'it spreads over several file systems, it must lie on one',
  ENOENT: 'the directory was removed in the meantime',
  ERR_SQLITE_ERROR: 'its lock cannot be opened, it must be writable by this user and on a local file system',
}

/** The operating system's error as one line; any other error unchanged. */
export function storeError(what: string, root: string, error: unknown): unknown {
  const code = systemCode(error)
  if (!(error instanceof Error) || code === undefined) return error
  const condition = CONDITIONS[code] ?? ('errno' in error ? error.message : undefined)
  if (condition === undefined) return error
  return new StoreError(`Cannot ${what} store "${root}": ${condition} (${code})`, { cause: error })
}

import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import canonicalize from 'canonicalize'
import { z } from 'zod'
import { withFileLock } from '../store/file-lock.ts'
import { isClusterId } from '../store/keys.ts'
import { parseJson } from '../store/json.ts'
import { type Trust, checkWay, wayOf } from './trust.ts'

/** The file that vouches cannot be used. One line. */
export class TrustFileError extends Error {
  override readonly name = 'TrustFileError'
}

/** Anybody but the owner: rights of the group and of others. */
const OTHERS = 0o077

/** A hundred thousand clusters. */
const MOST_BYTES = 10_000_000

/** How long another command may hold it. */
const LOCK_WAIT_MS = 10_000

const fileSchema = z.strictObject({
  format: z.literal('ciphertrail/trust/1'),
  /** Of each cluster by its id, what its way comes to. */
  ways: z.record(z.string().refine(isClusterId), z.string().regex(/^[0-9a-f]{64}$/)),
})

type Ways = ReadonlyMap<string, string>

/** A file of whoever runs this vouches, which nobody else may read or write. It is made with the first cluster. */
export function fileTrust(path: string): Trust {
  const change = async (changed: (ways: Ways) => Ways): Promise<void> => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const done = await withFileLock(`${path}.lock`, LOCK_WAIT_MS, async () => {
      const before = await readWays(path)
      await writeWays(path, changed(before))
    })
    if (done === undefined)
      throw new TrustFileError(
        `Cannot write "${path}", which vouches for clusters: another command holds it, try again`,
      )
  }
  return {
    check: async (cluster) => checkWay(cluster, (await readWays(path)).get(cluster.id), `"${path}"`),
    vouch: (clusters) =>
      change((ways) => new Map([...ways, ...clusters.map((cluster) => [cluster.id, wayOf(cluster)] as const)])),
    forget: (id) => change((ways) => new Map([...ways].filter(([known]) => known !== id))),
  }
}

/** None where there is no file. Throws {@link TrustFileError} where others may read or write it, where it is another user's, or holds something else. */
async function readWays(path: string): Promise<Ways> {
  const refused = (state: string) => new TrustFileError(`Cannot use "${path}", which vouches for clusters: ${state}`)
  let body: Uint8Array
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stats = await file.stat()
    const { mode, uid, size } = stats
    const own = process.getuid?.()
    if ((mode & OTHERS) !== 0)
      throw refused(`others than its owner may read or write it, run "chmod 600 ${path}" and judge whether they have`)
    if (own !== undefined && uid !== own && uid !== 0) throw refused('it belongs to another user')
    if (!stats.isFile() || size > MOST_BYTES) throw refused('it is no such file')
    body = await file.readFile()
  } catch (error) {
    if (error instanceof TrustFileError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'it failed'
    if (code === 'ENOENT') return new Map()
    throw refused(code === 'EACCES' ? 'this user may not read it' : `it cannot be read (${code})`)
  }
  const parsed = fileSchema.safeParse(parseJson(body))
  if (!parsed.success) throw refused('it is damaged, move it away and run "ciphertrail cluster trust" again')
  return new Map(Object.entries(parsed.data.ways))
}

/** Whole or as it was, whenever this dies. */
async function writeWays(path: string, ways: Ways): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    {
      await using file = await open(temporary, 'wx', 0o600)
      const text = canonicalize({ format: 'ciphertrail/trust/1', ways: Object.fromEntries(ways) })
      await file.writeFile(`${text}\n`)
      await file.sync()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'it failed'
    throw new TrustFileError(`Cannot write "${path}", which vouches for clusters: ${code}`, { cause: error })
  }
}

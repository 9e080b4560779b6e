import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'

/** An empty store in a directory of its own, which is removed after the test. */
export async function freshStore(t: TestContext): Promise<Objects> {
  const directory = await mkdtemp(join(tmpdir(), 'ciphertrail-store-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directoryObjects(directory)
}

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { formatLeaf } from '../../../lib/seal/leaf.ts'
import { checkLeaves, leafNames } from '../../../lib/seal/verify/sealed-objects.ts'
import { StoreError } from '../../../lib/store/objects/objects.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { matchesText, textWith } from '../../support/texts/matches-text.ts'

const window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' }
const key = evidenceKey({ window, cluster: 'shop', attempt: 1 })
const SEALED = Buffer.from('as it was sealed')

/** What is said of an object that was written over, where its store has this under the version that was sealed. */
async function saidWith(version: Uint8Array | undefined | 'forbidden'): Promise<string | undefined> {
  const below = memoryObjects(new Map([[key, Buffer.from('another')]]))
  const leaf = formatLeaf({
    kind: 'snapshot',
    cluster: 'shop',
    window,
    key,
    sha256: hash('sha256', SEALED, 'hex'),
    size: SEALED.length,
    versionId: 'v1',
  })
  const get: typeof below.get = (name, wanted) => {
    if (wanted === undefined) return below.get(name)
    if (version === 'forbidden') return Promise.reject(new StoreError('Cannot read versions: Access Denied'))
    return Promise.resolve(version === undefined ? undefined : { body: version, etag: 'x', version: wanted })
  }
  const [checked] = await checkLeaves({ key: 'log/0', first: 0, entries: [leaf] }, leafNames(), { ...below, get })
  return checked?.problem
}

test('checkLeaves() says that a version is kept only where it has the bytes that were sealed', async () => {
  const changed = `it has 7 bytes, sealed were ${SEALED.length}`
  matchesText(await saidWith(SEALED), textWith({ changed }))
  for (const version of [undefined, 'forbidden', Buffer.from('another'), Buffer.from('as it was Sealed')] as const)
    assert.equal(await saidWith(version), `${changed} (leaf 0)`)
})

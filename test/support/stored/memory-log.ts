import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { appendLeaf, type CompactRange, EMPTY_RANGE, leafHash, rootOf } from '../../../lib/seal/tlog/merkle.ts'
import { formatVkey, openNote, parseVkey, type Signer, type Verifier, verifierOf } from '../../../lib/seal/tlog/note.ts'
import { openCheckpoint, parseCheckpoint } from '../../../lib/seal/tlog/checkpoint.ts'
import { hashesAt, TILE_WIDTH, tilePath } from '../../../lib/seal/tlog/tiles.ts'

/** A key of a test. `signed` has all that it ever signed. */
export function newSigner(name = 'example.com/log'): Signer & { readonly signed: string[] } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const vkey = formatVkey(name, publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  const signed: string[] = []
  return {
    vkey,
    signed,
    sign(message) {
      signed.push(Buffer.from(message).toString())
      return Promise.resolve(sign(null, message, privateKey))
    },
  }
}

/** A key that signs by hashing, for tests of what is signed and not of who signs: a signature takes as long as a hundred hashes. */
export function hashingSigner(
  name = 'example.com/log',
): Signer & { readonly verifier: Verifier; readonly signed: string[] } {
  const vkey = formatVkey(name, Buffer.alloc(32, 1))
  const signed: string[] = []
  const signatureOf = (message: Uint8Array) => createHash('sha512').update(message).digest()
  return {
    vkey,
    signed,
    sign(message) {
      signed.push(Buffer.from(message).toString())
      return Promise.resolve(signatureOf(message))
    },
    verifier: {
      name,
      keyId: parseVkey(vkey).keyId,
      verify: (text, signature) => Buffer.compare(signatureOf(text), signature) === 0,
    },
  }
}

const CLAIM = 'ciphertrail batch\n'

/** The batches that the key claimed, in the order of their leaves; what else lies among them is not looked at. */
function batchesOf(held: ReadonlyMap<string, Uint8Array>, verifier: Verifier) {
  const claimed = [...held].flatMap(([key, body]) => {
    const [, digits] = /^log\/batch\/(\d{16})(-\d+)?$/.exec(key) ?? []
    const leaves = digits === undefined ? [] : unbundle(body)
    const claim = leaves.pop()
    if (digits === undefined || claim?.toString().startsWith(`${CLAIM}${Number(digits)}\n`) !== true) return []
    if (!isSigned(claim, verifier)) return []
    return [{ key, first: Number(digits), leaves }]
  })
  return claimed.sort((a, b) => a.first - b.first)
}

function isSigned(note: Uint8Array, verifier: Verifier): boolean {
  try {
    return openNote(note, [verifier]).signatures.length === 1
  } catch {
    return false
  }
}

/** A leaf as it stands in a log. */
export type LoggedLeaf = Readonly<Record<string, unknown>> & { readonly kind: string; readonly key?: string }

/**
 * Reads a whole log, and fails where anything in it is not as its batches make it. It shares hashing and the forms of notes with what it reads, and walks
 * in another way: batch by batch, tile by tile, from the front.
 */
export function readLog(
  held: ReadonlyMap<string, Uint8Array>,
  vkey: string,
  verifier: Verifier = verifierOf(vkey),
): LoggedLeaf[] {
  const text = (key: string) => Buffer.from(held.get(key) ?? assert.fail(`${key} is missing`)).toString()
  assert.equal(text('log/vkey'), `${vkey}\n`)
  const head = openCheckpoint(held.get('log/checkpoint') ?? assert.fail('no checkpoint'), verifier)

  const entries = batchesOf(held, verifier).reduce<Uint8Array[]>((before, { key, first, leaves }) => {
    assert.equal(first, before.length, `${key} begins where the one before ends`)
    return [...before, ...leaves]
  }, [])
  assert.equal(entries.length, head.size)
  checkTiles(held, entries)
  checkHeads([{ size: head.size, root: Buffer.from(head.root).toString('base64') }], entries)

  const leaves = entries.map((entry) => JSON.parse(Buffer.from(entry).toString()) as LoggedLeaf)
  const names = new Map<string, number>()
  for (const [number, leaf] of leaves.entries()) {
    const name = nameIn(leaf)
    if (name === undefined) continue
    assert.ok(!names.has(name), `${name} is leaf ${names.get(name)} and leaf ${number}`)
    names.set(name, number)
    assert.equal(text(`log/index/${name}`), String(number))
    const body = leaf.key === undefined ? undefined : held.get(leaf.key)
    if (body === undefined) continue
    assert.deepEqual([leaf['sha256'], leaf['size']], [createHash('sha256').update(body).digest('hex'), body.length])
  }
  const indexed = [...held.keys()].filter((key) => key.startsWith('log/index/'))
  assert.equal(indexed.length, names.size)
  return leaves
}

/** Fails where two of the texts that a key signed, or one of them and the log, contradict each other. */
export function checkSigned(
  signed: readonly string[],
  held: ReadonlyMap<string, Uint8Array>,
  verifier: Verifier,
): void {
  const entries = batchesOf(held, verifier).flatMap(({ leaves }) => leaves)
  const heads = signed
    .filter((text) => !text.startsWith(CLAIM))
    .map((text) => {
      const { size, root } = parseCheckpoint(text)
      return { size, root: Buffer.from(root).toString('base64') }
    })
  checkHeads(heads, entries)
}

function checkHeads(heads: readonly { size: number; root: string }[], entries: readonly Uint8Array[]): void {
  const roots = new Map<number, string>()
  let range: CompactRange = EMPTY_RANGE
  for (const entry of entries) {
    range = appendLeaf(range, leafHash(entry))
    roots.set(range.size, Buffer.from(rootOf(range)).toString('base64'))
  }
  for (const { size, root } of heads) assert.equal(root, roots.get(size), `root of ${size} leaves`)
}

function checkTiles(held: ReadonlyMap<string, Uint8Array>, entries: readonly Uint8Array[]): void {
  let hashes = entries.map((entry) => leafHash(entry))
  for (let level = 0; hashes.length > 0; level++) {
    assert.equal(hashes.length, hashesAt(level, entries.length))
    const above: Uint8Array[] = []
    for (let at = 0; at < hashes.length; at += TILE_WIDTH) {
      const inTile = hashes.slice(at, at + TILE_WIDTH)
      const tile = { level, index: at / TILE_WIDTH, width: inTile.length }
      const key = `log/${tilePath(tile)}`
      assert.deepEqual(Buffer.from(held.get(key) ?? assert.fail(`${key} is missing`)), Buffer.concat(inTile), key)
      if (level === 0) {
        const bundle = held.get(`log/${tilePath({ ...tile, level: 'entries' })}`) ?? assert.fail('a bundle is missing')
        assert.deepEqual(
          unbundle(bundle),
          entries.slice(at, at + TILE_WIDTH).map((entry) => Buffer.from(entry)),
        )
      }
      if (inTile.length === TILE_WIDTH) above.push(rootOf(inTile.reduce(appendLeaf, EMPTY_RANGE)))
    }
    hashes = above
  }
}

function unbundle(bytes: Uint8Array): Buffer[] {
  const buffer = Buffer.from(bytes)
  const entries: Buffer[] = []
  for (let at = 0; at + 2 <= buffer.length; at += 2 + buffer.readUInt16BE(at)) {
    entries.push(buffer.subarray(at + 2, at + 2 + buffer.readUInt16BE(at)))
  }
  return entries
}

function nameIn(leaf: LoggedLeaf): string | undefined {
  if (leaf.kind === 'heartbeat') return undefined
  if (leaf.kind !== 'gap') return leaf.key
  const { start, end } = leaf['window'] as { start: string; end: string }
  const basic = (time: string) => time.replaceAll(/[-:]/g, '')
  return `gap/${basic(start)}-${basic(end)}/${String(leaf['cluster'])}.none`
}

// The log by its key (C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-proof; RFC 6962).
import { createHash, createPublicKey, verify as isSignedBy } from 'node:crypto'
import { add, broken, same } from './common.mjs'

export function readKey(vkey) {
  const [, name = '', id = '', encoded = ''] = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey) ?? []
  const bytes = Buffer.from(encoded, 'base64')
  const keyId = createHash('sha256').update(`${name}\n`).update(bytes).digest().subarray(0, 4)
  if (bytes.length !== 33 || bytes[0] !== 1 || bytes.toString('base64') !== encoded || keyId.toString('hex') !== id)
    return undefined
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: bytes.subarray(1).toString('base64url') },
    format: 'jwk',
  })
  return { vkey, name, keyId, key }
}

export function openCheckpoint(note, key) {
  const text = note.toString()
  const split = text.lastIndexOf('\n\n')
  const signed = text.slice(0, split + 1)
  const signatures = text
    .slice(split + 2)
    .split('\n')
    .slice(0, -1)
    .map((line) => /^— (\S+) (\S+)$/.exec(line))
  const isSigned =
    split > 0 &&
    text.endsWith('\n') &&
    signatures.some((match) => {
      const packed = Buffer.from(match?.[2] ?? '', 'base64')
      return (
        match?.[1] === key.name &&
        packed.length === 68 &&
        packed.toString('base64') === match[2] &&
        same(packed.subarray(0, 4), key.keyId) &&
        isSignedBy(null, Buffer.from(signed), key.key, packed.subarray(4))
      )
    })
  const [origin, size = '', root = ''] = signed.split('\n')
  const hash = Buffer.from(root, 'base64')
  if (!isSigned || origin !== key.name || !/^(0|[1-9]\d{0,15})$/.test(size) || hash.length !== 32) return undefined
  return { origin, size: Number(size), root: hash, isOurs: signatures.length === 1 && signed.split('\n').length === 4 }
}

const node = (left, right) =>
  createHash('sha256')
    .update(Buffer.from([1]))
    .update(left)
    .update(right)
    .digest()
export function rootOf(hashes) {
  if (hashes.length === 0) return createHash('sha256').digest()
  if (hashes.length === 1) return hashes[0]
  let left = 1
  while (left * 2 < hashes.length) left *= 2
  return node(rootOf(hashes.slice(0, left)), rootOf(hashes.slice(left)))
}

function tilePath(level, index, width) {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g)
  return `log/tile/${level}/${groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/')}${width === 256 ? '' : `.p/${width}`}`
}

/** The entries of the log. What is missing or too much in its tiles is named. */
export function readLog(size, bodies) {
  const entries = []
  const names = new Set(['log/checkpoint'])
  for (let first = 0; first < size; first += 256) {
    const width = Math.min(256, size - first)
    const path = tilePath('entries', first / 256, width)
    names.add(path)
    const bundle = bodies.get(path)
    if (bundle === undefined) throw broken(path, 'it is missing: nothing that the log says is proved')
    let at = 0
    for (let number = 0; number < width; number++) {
      const length = at + 2 <= bundle.length ? bundle.readUInt16BE(at) : Infinity
      if (at + 2 + length > bundle.length) throw broken(path, 'it is cut: nothing that the log says is proved')
      entries.push(bundle.subarray(at + 2, at + 2 + length))
      at += 2 + length
    }
    if (at !== bundle.length) add(path, 'it has more than its entries')
  }
  const leaves = entries.map((entry) =>
    createHash('sha256')
      .update(Buffer.from([0]))
      .update(entry)
      .digest(),
  )
  let hashes = leaves
  for (let level = 0; hashes.length > 0; level++) {
    const above = []
    for (let first = 0; first < hashes.length; first += 256) {
      const tile = hashes.slice(first, first + 256)
      const path = tilePath(level, first / 256, tile.length)
      names.add(path)
      if (!same(bodies.get(path) ?? Buffer.alloc(0), Buffer.concat(tile)))
        add(path, 'its hashes are not those of the entries')
      if (tile.length === 256) above.push(rootOf(tile))
    }
    hashes = above
  }
  for (const name of bodies.keys())
    if (name.startsWith('log/') && !names.has(name)) add(name, 'the log has no such tile')
  return { entries, leaves }
}

export function checkProof(proof, { entries, leaves, number, note }) {
  const text = proof?.toString() ?? ''
  const split = text.indexOf('\n\n')
  const lines = text.slice(0, split).split('\n')
  const path = []
  for (let [begin, end] = [0, leaves.length]; end - begin > 1;) {
    let half = 1
    while (half * 2 < end - begin) half *= 2
    const isLeft = number < begin + half
    path.unshift(isLeft ? rootOf(leaves.slice(begin + half, end)) : rootOf(leaves.slice(begin, begin + half)))
    if (isLeft) end = begin + half
    else begin += half
  }
  const wanted = [
    'c2sp.org/tlog-proof@v1',
    `extra ${entries[number].toString('base64')}`,
    `index ${number}`,
    ...path.map((hash) => hash.toString('base64')),
  ]
  if (lines.join('\n') !== wanted.join('\n') || text.slice(split + 2) !== note.toString())
    add('report.tlog-proof', 'it does not prove the report')
}

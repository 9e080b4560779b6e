import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { signCheckpoint } from '../../../lib/seal/tlog/checkpoint.ts'
import {
  appendLeaf,
  EMPTY_RANGE,
  inclusionPlan,
  leafHash,
  nodeHash,
  proofOf,
  rootOf,
} from '../../../lib/seal/tlog/merkle.ts'
import { formatVkey, NoteError, verifierOf } from '../../../lib/seal/tlog/note.ts'
import { formatProof, parseProof, verifyProof } from '../../../lib/seal/tlog/proof.ts'

// The example of C2SP tlog-proof, whose extra data and signature are cut short there.
const EXAMPLE = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog hI2DJw==
`

const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const signer = {
  vkey: formatVkey('example.com/log', publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)),
  sign: (message: Uint8Array) => Promise.resolve(sign(null, message, privateKey)),
}
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })

test('parseProof() reads the example of C2SP tlog-proof', () => {
  const proof = parseProof(Buffer.from(EXAMPLE))
  assert.equal(proof.index, 73_894)
  assert.equal(proof.hashes.length, 5)
  assert.ok(
    Buffer.from(proof.extra ?? [])
      .toString()
      .startsWith('age-v1.2.1-darwin-arm64.tar.gz'),
  )
  assert.ok(Buffer.from(proof.checkpoint).toString().startsWith('example.com/fancylog\n109482\n'))
  assert.equal(Buffer.from(formatProof(proof)).toString(), EXAMPLE)
})

test('parseProof() gives back what formatProof() wrote', () => {
  fc.assert(
    fc.property(
      fc.option(fc.uint8Array({ maxLength: 40 })),
      fc.maxSafeNat(),
      fc.array(hash, { maxLength: 64 }),
      fc.uint8Array({ maxLength: 200 }),
      (extra, index, hashes, checkpoint) => {
        const parsed = parseProof(formatProof({ extra, index, hashes, checkpoint }))
        assert.deepEqual(parsed.extra === null ? null : Uint8Array.from(parsed.extra), extra)
        assert.equal(parsed.index, index)
        assert.deepEqual(
          parsed.hashes.map((one) => Uint8Array.from(one)),
          hashes,
        )
        assert.deepEqual(Uint8Array.from(parsed.checkpoint), checkpoint)
      },
    ),
  )
})

test('parseProof() refuses what is malformed', () => {
  const whole = EXAMPLE
  for (const text of [
    '',
    'c2sp.org/tlog-proof@v1',
    whole.replace('@v1', '@v2'),
    whole.replace('index', 'place'),
    whole.replace('73894', '073894'),
    whole.replace('73894', '-1'),
    whole.replace('73894', '9007199254740992'),
    whole.replace('extra ', 'extra !'),
    whole.replace('PlQ=', 'PlR='),
    whole.replace('PlQ=\n', '\n'),
    whole.replace('PlQ=\n', 'PlQ=\r\n'),
    whole.replace(
      'gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n',
      'gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n'.repeat(61),
    ),
  ])
    assert.throws(() => parseProof(Buffer.from(text)), NoteError, text.slice(0, 60))
})

test('verifyProof() leads from an entry to a signed checkpoint, and from no other entry, place or log', async () => {
  const entries = Array.from({ length: 11 }, (_, index) => Buffer.from(`entry ${index}`))
  const hashes = entries.map((entry) => leafHash(entry))
  const range = hashes.reduce(appendLeaf, EMPTY_RANGE)
  const size = entries.length
  const checkpoint = await signCheckpoint({ size, root: rootOf(range) }, signer)
  const subtree = (height: number, index: number): Uint8Array =>
    height === 0
      ? (hashes[index] ?? Buffer.alloc(0))
      : nodeHash(subtree(height - 1, index * 2), subtree(height - 1, index * 2 + 1))
  for (const [index, entry] of entries.entries()) {
    const path = await proofOf(inclusionPlan(index, size), (one) => subtree(one.height, one.index))
    const proof = formatProof({ extra: null, index, hashes: path, checkpoint })
    const verifier = verifierOf(signer.vkey)
    assert.equal(verifyProof(proof, entry, verifier).size, size)
    assert.throws(() => verifyProof(proof, Buffer.from('another'), verifier), /does not lead/)
    const moved = formatProof({ extra: null, index: (index + 1) % size, hashes: path, checkpoint })
    assert.throws(() => verifyProof(moved, entry, verifier), /does not lead/)
    const other = verifierOf('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k')
    assert.throws(() => verifyProof(proof, entry, other), /not signed by/)
  }
})

import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { listenOnLoopback } from '../../demo/loopback.ts'
import { openCheckpoint } from '../../lib/seal/tlog/checkpoint.ts'
import { verifierOf } from '../../lib/seal/tlog/note.ts'
import { proveLeaf } from '../../lib/seal/verify/prove.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { diskEffects } from '../../lib/store/objects/directory-effects.ts'
import { listedEvidence } from '../support/stored/listed-evidence.ts'
import { newSigner } from '../support/stored/memory-log.ts'

/** What Tessera, which knows nothing of ciphertrail, says of its log: the checker as it is released, and a client on its library. */

const SIZES = [1, 255, 256, 257, 65_536, 70_000]

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-tessera-'))
after(() => rmSync(folder, { recursive: true }))
const binary = (name: string): string => join(folder, name)
for (const [name, module] of [
  ['client', '.'],
  ['fsck', 'github.com/transparency-dev/tessera/cmd/fsck'],
] as const)
  execFileSync('go', ['build', '-o', binary(name), module], { cwd: join(import.meta.dirname, 'tessera') })

const signer = newSigner('example.com/ciphertrail')
const key = binary('vkey')
writeFileSync(key, signer.vkey)
const store = binary('store')
const disk = directoryObjects(store, {
  ...diskEffects,
  writeFile: (path, body) => writeFile(path, body, { flag: 'wx' }),
  syncDirectory: () => Promise.resolve(),
})
const evidence = listedEvidence(disk)

const server = await listenOnLoopback(
  createServer((request, response) => {
    readFile(join(store, 'log', request.url ?? '')).then(
      (body) => response.end(body),
      () => response.writeHead(404).end(),
    )
  }),
)
after(() => server.close())
const url = `http://127.0.0.1:${server.port}/`

/** What a program wrote. A failure of it throws. */
async function run(name: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(binary(name), args)
}

/** The checker ends with 0 whatever it finds, so its words decide. */
async function fsck(): Promise<string> {
  const { stderr } = await run('fsck', '--storage_url', url, '--public_key', key, '--ui=false', '--N=4')
  return stderr
}

async function client(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run('client', '-key', key, ...args)
  return JSON.parse(stdout) as Record<string, unknown>
}

async function head() {
  const note = (await disk.get('log/checkpoint'))?.body ?? Buffer.of()
  const verifier = verifierOf(signer.vkey)
  return { note, verifier, checkpoint: openCheckpoint(note, verifier) }
}

for (const [at, size] of SIZES.entries()) {
  test(`Tessera's checker and client accept a log of ${size} leaves, and what it was before`, async () => {
    const before = at === 0 ? [] : ['-since', binary(`checkpoint-${SIZES[at - 1]}`)]
    evidence.grow(size)
    const sealed = await seal({ now: new Date('2026-12-01T00:00:00Z'), everything: true }, { ...evidence, signer })
    assert.equal(sealed.size, size)
    const { note, checkpoint } = await head()
    writeFileSync(binary(`checkpoint-${size}`), note)

    const said = await fsck()
    assert.match(said, new RegExp(`Successfully fsck'd log with size ${size} `))
    assert.doesNotMatch(said, /fsck failed/)

    const read = await client('-url', url, ...before)
    const root = Buffer.from(checkpoint.root).toString('base64')
    assert.deepEqual([read['size'], read['root'], read['entries']], [size, root, size])
    assert.equal(read['inclusionProofs'], read['consistencyProofs'])
    assert.ok(Number(read['inclusionProofs']) >= Math.min(size, 9))
  })
}

test('the client accepts a proof of one leaf without the log, and none that was changed', async () => {
  for (const number of [0, 255, 65_535, 69_999]) {
    const name = evidence.keyOf(number)
    const proof = await proveLeaf(name, await head(), evidence.objects)
    const file = binary('one.tlog-proof')
    writeFileSync(file, proof)
    const { index, size, leaf } = await client('-proof', file)
    assert.deepEqual([index, size], [number, 70_000])
    assert.match(Buffer.from(String(leaf), 'hex').toString(), new RegExp(`"key":"${name}"`))
    writeFileSync(
      file,
      Buffer.from(proof)
        .toString()
        .replace(`index ${number}\n`, `index ${number ^ 1}\n`),
    )
    await assert.rejects(client('-proof', file))
  }
})

test('the checker and the client refuse a log of which a tile was changed, so that their consent says something', async () => {
  const tile = join(store, 'log/tile/0/000')
  const body = readFileSync(tile)
  writeFileSync(tile, Buffer.from(body).fill(0, 32, 64))
  assert.match(await fsck(), /fsck failed/)
  await assert.rejects(client('-url', url), /inclusion of leaf/)
  writeFileSync(tile, body)
  assert.match(await fsck(), /Successfully/)
})

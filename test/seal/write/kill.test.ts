import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { formatVkey, verifierOf } from '../../../lib/seal/tlog/note.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { drawer } from '../../support/stored/interleaving.ts'
import { checkSigned, readLog } from '../../support/stored/memory-log.ts'

const ROUNDS = 4
const RUNS = 8

/** A process of seal-child.ts that waits for its line, and the lines that it prints afterwards. */
async function startChild(role: string, directory: string, keyFile: string, signedFile: string) {
  const script = join(import.meta.dirname, 'seal-child.ts')
  const child = spawn(process.execPath, [script, directory, role, keyFile, signedFile], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  let errors = ''
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
  const output = createInterface(child.stdout)
  const closed = Promise.all([once(child, 'close'), once(output, 'close')])
  await once(output, 'line')
  output.on('line', (line) => lines.push(line))
  return { child, lines, closed, errors: () => errors }
}

test(`seal(): ${ROUNDS} times ${RUNS} processes that seal a directory while others store evidence, killed at any moment, leave one log`, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ciphertrail-seal-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const store = join(folder, 'store')
  const keyFile = join(folder, 'key.pem')
  writeFileSync(keyFile, generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const draw = drawer(Number(process.env['PROPERTY_SEED'] ?? 20_261_124))

  const stored: string[] = []
  const signedFiles: string[] = []
  let finished = 0
  // A busy machine may need more time for anything to be done before the first is killed.
  for (let round = 0; round < ROUNDS || (round < 5 * ROUNDS && stored.length * finished === 0); round++) {
    const roles = [...Array.from({ length: RUNS }, () => 'seal'), `shop${round}`, `farm${round}`]
    const children = await Promise.all(
      roles.map((role, number) => {
        const signedFile = join(folder, `signed-${round}-${number}`)
        signedFiles.push(signedFile)
        return startChild(role, store, keyFile, signedFile)
      }),
    )
    for (const { child } of children) child.stdin.write('\n')
    for (const { child } of children) killLater(child, 300 + draw(1200) * Math.ceil((round + 1) / ROUNDS))
    await Promise.all(children.map(({ closed }) => closed))
    for (const { child, errors } of children) assert.equal(child.signalCode, 'SIGKILL', errors())
    finished += children.slice(0, RUNS).reduce((sum, { lines }) => sum + lines.length, 0)
    stored.push(...children.slice(RUNS).flatMap(({ lines }) => lines))
  }
  assert.ok(stored.length > 0 && finished > 0, `${stored.length} stored, ${finished} runs`)

  const privateKey = createPrivateKey(readFileSync(keyFile))
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const signer = {
    vkey: formatVkey('example.com/log', publicKey.subarray(-32)),
    sign: (message: Uint8Array) => Promise.resolve(sign(null, message, privateKey)),
  }
  const objects = directoryObjects(store)
  await seal({ now: new Date(), everything: true }, { objects, signer })
  const held = new Map<string, Uint8Array>()
  for await (const key of objects.list('')) held.set(key, (await objects.get(key))?.body ?? Buffer.alloc(0))
  const keys = readLog(held, signer.vkey).flatMap(({ key }) => key ?? [])
  for (const key of stored) assert.ok(keys.includes(key), key)
  assert.deepEqual(keys.toSorted(), [...held.keys()].filter((key) => key.startsWith('evidence/')).toSorted())
  const signed = signedFiles
    .filter((file) => existsSync(file))
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    // Who is killed between making its file and writing to it leaves an empty one.
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as string)
  checkSigned(signed, held, verifierOf(signer.vkey))
})

function killLater(child: ChildProcess, milliseconds: number): void {
  setTimeout(() => child.kill('SIGKILL'), milliseconds)
}

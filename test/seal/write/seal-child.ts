import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { appendFileSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { toTime } from '../../../lib/time/windows.ts'
import { formatVkey } from '../../../lib/seal/tlog/note.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'

// What a test kills: a process that seals one store for ever, or one that stores evidence in it, and prints what it was told is done.

const [directory = '', role = '', keyFile = '', signedFile = ''] = process.argv.slice(2)
const objects = directoryObjects(directory)
const privateKey = createPrivateKey(readFileSync(keyFile))
const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
const signer = {
  vkey: formatVkey('example.com/log', publicKey.subarray(-32)),
  sign(message: Uint8Array) {
    // Before anybody can have it: what was signed must fit, also where its signer dies here.
    appendFileSync(signedFile, `${JSON.stringify(Buffer.from(message).toString())}\n`)
    return Promise.resolve(sign(null, message, privateKey))
  },
}

const HOUR = 60 * 60
const end = Math.floor(Date.now() / 1000 / HOUR) * HOUR
const window = { start: toTime(end - HOUR), end: toTime(end) }

process.stdout.write('ready\n')
await once(process.stdin, 'data')

for (let number = 1; ; number++) {
  if (role === 'seal') {
    const { size } = await seal({ now: new Date() }, { objects, signer })
    process.stdout.write(`${size}\n`)
  } else {
    const key = evidenceKey({ window, cluster: role, attempt: number })
    await objects.putOnce(key, Buffer.from(key))
    process.stdout.write(`${key}\n`)
  }
}

import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { toBase64 } from '../../text/base64.ts'
import { formatVkey, keyIdOf, keyText, NoteError, parseKeyText, type Signer } from '../tlog/note.ts'

/**
 * Private keys in the text form of the signed-note tools: `PRIVATE+KEY+name+id+base64`, whose bytes are the type and the seed of Ed25519. No error quotes one.
 */

const PREFIX = 'PRIVATE+KEY+'
const ED25519 = 1

/** Precedes the seed in PKCS #8 of Ed25519 (RFC 8410, section 7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

const ORIGIN = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:\d{1,5})?(\/[A-Za-z0-9._~-]{1,100}){0,10}$/

/** Whether a text may name a log, and the key that signs it: a URL without scheme, such as `example.com/ciphertrail`. */
export function isOrigin(text: string): boolean {
  return ORIGIN.test(text)
}

/** A new private key. Throws {@link NoteError} for an invalid name. */
export function newPrivateKey(name: string): string {
  const { privateKey } = generateKeyPairSync('ed25519')
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8.length)
  const { publicKey } = keyPairOf(seed)
  formatVkey(name, publicKey)
  return `${PREFIX}${keyText(name, keyIdOf(name, publicKey))}+${toBase64(Buffer.from([ED25519, ...seed]))}`
}

/** Signs with a private key. Throws {@link NoteError} if the text is not a private key. */
export function signerOf(text: string): Signer {
  const parsed = text.startsWith(PREFIX) ? parseKeyText(text.slice(PREFIX.length)) : undefined
  if (parsed === undefined) throw new NoteError(`Cannot read a private key: it does not read "${PREFIX}name+id+base64"`)
  const { name, keyId, key: seed } = parsed
  const { privateKey, publicKey } = keyPairOf(seed)
  if (keyIdOf(name, publicKey) !== keyId)
    throw new NoteError('Cannot read a private key: its id does not belong to its name and its bytes')
  return {
    vkey: formatVkey(name, publicKey),
    sign: (message) => Promise.resolve(sign(null, message, privateKey)),
  }
}

function keyPairOf(seed: Uint8Array) {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return { privateKey, publicKey: spki.subarray(-32) }
}

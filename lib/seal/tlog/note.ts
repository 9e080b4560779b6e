import { createPublicKey, hash as digest, verify } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import { fromBase64, toBase64 } from '../../text/base64.ts'

/** Signed notes (C2SP signed-note v1.0.0), and the text form of their verifier keys. Ed25519 only. */

/** A text and its signatures, in the order of the lines. Not verified until {@link openNote}. */
export type Note = {
  /** Ends in a newline. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** A signature under a note. */
export type NoteSignature = {
  readonly name: string
  /** Key id: with the name it identifies the key that signed. 0 to 2^32 - 1. */
  readonly keyId: number
  readonly signature: Uint8Array
}

/** Verifies the signatures of one key. */
export type Verifier = {
  readonly name: string
  readonly keyId: number
  readonly verify: (text: Uint8Array, signature: Uint8Array) => boolean
}

/** Signs with one key, wherever it is stored. */
export type Signer = {
  /** The public key as {@link formatVkey} writes it. */
  readonly vkey: string
  /** The 64 bytes of an Ed25519 signature. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>
}

/** An invalid signed note or key, or a note that the expected key did not sign. One line. */
export class NoteError extends Error {
  override readonly name = 'NoteError'
}

/** The type of an Ed25519 signature and key. */
const ED25519 = 1

const KEY_BYTES = 32
const MAX_BYTES = 1_000_000
const MAX_SIGNATURES = 100

const NOT_A_NAME = /[\p{White_Space}+]/u
const SIGNATURE_LINE = /^— ([^ ]+) ([^ ]+)$/

/** Whether a text may name a key. */
export function isKeyName(text: string): boolean {
  return text !== '' && text.isWellFormed() && !NOT_A_NAME.test(text) && !hasControls(text)
}

/** The bytes of a note. Throws {@link NoteError} if {@link parseNote} would refuse it. */
export function formatNote({ text, signatures }: Note): Uint8Array {
  if (!text.isWellFormed()) throw new NoteError('Cannot write a note: its text is not Unicode')
  const lines = signatures.map(({ name, keyId, signature }) => {
    const packed = Buffer.alloc(4 + signature.length, 0)
    packed.writeUInt32BE(keyId)
    packed.set(signature, 4)
    return `— ${name} ${toBase64(packed)}\n`
  })
  const bytes = Buffer.from(`${text}\n${lines.join('')}`)
  parseNote(bytes)
  return bytes
}

/** Parses a note without verifying it. Throws {@link NoteError} if it is malformed. */
export function parseNote(bytes: Uint8Array): Note {
  if (bytes.length > MAX_BYTES) throw malformed(`it has more than ${MAX_BYTES} bytes`)
  if (!isUtf8(bytes)) throw malformed('it is not UTF-8 text')
  const whole = Buffer.from(bytes).toString()
  if (hasControls(whole)) throw malformed('it has control characters')
  const split = whole.lastIndexOf('\n\n')
  if (split < 0) throw malformed('no empty line separates its text from its signatures')
  const text = whole.slice(0, split + 1)
  const rest = whole.slice(split + 2)
  if (!rest.endsWith('\n')) throw malformed('its last line does not end')
  const lines = rest.slice(0, -1).split('\n')
  if (lines.length > MAX_SIGNATURES) throw malformed(`it has more than ${MAX_SIGNATURES} signatures`)
  return { text, signatures: lines.map(parseSignature) }
}

/**
 * The text of a note that one of the keys signed, and their signatures. Ignores signatures of other keys. Throws {@link NoteError} if the note is malformed, a
 * known key's signature is wrong, or no known key signed.
 */
export function openNote(bytes: Uint8Array, verifiers: readonly Verifier[]): Note {
  const { text, signatures } = parseNote(bytes)
  const signed = Buffer.from(text)
  const verified = signatures.filter(({ name, keyId, signature }) => {
    const known = verifiers.filter((verifier) => verifier.name === name && verifier.keyId === keyId)
    if (known.length > 0 && !known.some((verifier) => verifier.verify(signed, signature)))
      throw new NoteError(`Cannot believe the note: the signature of "${keyText(name, keyId)}" is wrong`)
    return known.length > 0
  })
  if (verified.length > 0) return { text, signatures: verified }
  const wanted = verifiers.map(({ name, keyId }) => `"${keyText(name, keyId)}"`).join(', ')
  throw new NoteError(`Cannot believe the note: it is not signed by ${wanted === '' ? 'a known key' : wanted}`)
}

/** Signs a text that ends in a newline, as a note. */
export async function signNote(text: string, signer: Signer): Promise<Uint8Array> {
  const { name, publicKey } = parseVkey(signer.vkey)
  const signature = await signer.sign(Buffer.from(text))
  return formatNote({ text, signatures: [{ name, keyId: keyIdOf(name, publicKey), signature }] })
}

/** The text form of a public key: `name+id+base64`. Throws {@link NoteError} for an invalid name or key. */
export function formatVkey(name: string, publicKey: Uint8Array): string {
  if (!isKeyName(name))
    throw new NoteError(`Cannot name a key ${JSON.stringify(name)}: wanted text without spaces and without "+"`)
  if (publicKey.length !== KEY_BYTES)
    throw new NoteError(`Cannot use a public key of ${publicKey.length} bytes: Ed25519 has ${KEY_BYTES}`)
  return `${keyText(name, keyIdOf(name, publicKey))}+${toBase64(Buffer.from([ED25519, ...publicKey]))}`
}

/** Parses a public key's text form. Throws {@link NoteError} for any other text, and for a wrong key id. */
export function parseVkey(vkey: string): {
  readonly name: string
  readonly keyId: number
  readonly publicKey: Uint8Array
} {
  if (vkey.startsWith('PRIVATE+KEY+'))
    throw new NoteError('Cannot read a public key: this is a private one, which nobody else may see')
  const parsed = parseKeyText(vkey)
  if (parsed === undefined)
    throw new NoteError(
      `Cannot read key ${JSON.stringify(vkey)}: wanted a vkey of Ed25519, such as example.com/log+0123abcd+AQ…`,
    )
  const { name, keyId, key } = parsed
  if (keyIdOf(name, key) !== keyId)
    throw new NoteError(`Cannot read key ${JSON.stringify(vkey)}: its id does not belong to its name and its bytes`)
  return { name, keyId, publicKey: key }
}

/** Verifies with a public key. Throws {@link NoteError} as {@link parseVkey} does. */
export function verifierOf(vkey: string): Verifier {
  const { name, keyId, publicKey } = parseVkey(vkey)
  const x = Buffer.from(publicKey).toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return { name, keyId, verify: (text, signature) => verify(null, text, key, signature) }
}

/** The parts of `name+id+base64`, whose bytes begin with the type; undefined for any other text. The id is not verified. */
export function parseKeyText(
  text: string,
): { readonly name: string; readonly keyId: number; readonly key: Uint8Array } | undefined {
  const [, name = '', id = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/s.exec(text) ?? []
  const bytes = fromBase64(encoded)
  if (!isKeyName(name) || bytes?.length !== 1 + KEY_BYTES || bytes[0] !== ED25519) return undefined
  return { name, keyId: Number.parseInt(id, 16), key: bytes.slice(1) }
}

/** `name+id`, as messages name keys. */
export function keyText(name: string, keyId: number): string {
  return `${name}+${keyId.toString(16).padStart(8, '0')}`
}

/** The id of a public key: the first four bytes of the hash of its name, its type and itself. */
export function keyIdOf(name: string, publicKey: Uint8Array): number {
  const hashed = digest(
    'sha256',
    Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([ED25519]), publicKey]),
    'buffer',
  )
  return hashed.readUInt32BE()
}

function parseSignature(line: string): NoteSignature {
  const [, name = '', encoded = ''] = SIGNATURE_LINE.exec(line) ?? []
  const packed = fromBase64(encoded)
  if (!isKeyName(name) || packed === undefined || packed.length < 5)
    throw malformed('a line among its signatures is no signature')
  return { name, keyId: Buffer.from(packed).readUInt32BE(), signature: packed.slice(4) }
}

function hasControls(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x20 && code !== 0x0a) return true
  }
  return false
}

function malformed(state: string): NoteError {
  return new NoteError(`Cannot read the note: ${state}`)
}

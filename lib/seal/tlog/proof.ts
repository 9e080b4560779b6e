import { isUtf8 } from 'node:buffer'
import { fromBase64, toBase64 } from '../../text/base64.ts'
import { type Checkpoint, openCheckpoint } from './checkpoint.ts'
import { type Hash, HASH_BYTES, isIncluded, leafHash } from './merkle.ts'
import { NoteError, type Verifier } from './note.ts'

/** Proof that an entry is in a log, as text that can be verified with the log's key alone (C2SP tlog-proof). The file ends in `.tlog-proof`. */
export type LogProof = {
  /** Added data, which is not signed; null if there is none. */
  readonly extra: Uint8Array | null
  /** The entry's place in the log, from 0. */
  readonly index: number
  /** From the entry's sibling to the root's child. */
  readonly hashes: readonly Hash[]
  /** The bytes of the signed checkpoint, as they are. */
  readonly checkpoint: Uint8Array
}

const FIRST_LINE = 'c2sp.org/tlog-proof@v1'

/** A tree with the largest possible number of leaves has no deeper path. */
const MAX_HASHES = 64

/** The bytes of a proof. */
export function formatProof({ extra, index, hashes, checkpoint }: LogProof): Uint8Array {
  const lines = [
    FIRST_LINE,
    ...(extra === null ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...hashes.map(toBase64),
    '',
  ]
  return Buffer.concat([Buffer.from(lines.map((line) => `${line}\n`).join('')), checkpoint])
}

/** Parses a proof without verifying it. Throws {@link NoteError} for any other bytes. */
export function parseProof(bytes: Uint8Array): LogProof {
  const end = Buffer.from(bytes).indexOf('\n\n')
  const head = bytes.subarray(0, Math.max(end, 0))
  if (!isUtf8(head)) throw malformed('it is not text')
  const [first, ...rest] = Buffer.from(head).toString().split('\n')
  if (first !== FIRST_LINE) throw malformed(`it does not begin with "${FIRST_LINE}"`)
  const extra = rest[0]?.startsWith('extra ') === true ? fromBase64(rest.shift()?.slice('extra '.length) ?? '') : null
  if (extra === undefined) throw malformed('its extra data are not base64')
  const [, digits] = /^index (0|[1-9]\d{0,15})$/.exec(rest.shift() ?? '') ?? []
  if (digits === undefined || !Number.isSafeInteger(Number(digits))) throw malformed('it has no index')
  if (rest.length > MAX_HASHES) throw malformed(`it has more than ${MAX_HASHES} hashes`)
  const hashes = rest.map((line) => {
    const hash = fromBase64(line)
    if (hash?.length !== HASH_BYTES) throw malformed('one of its lines is not a hash')
    return hash
  })
  return { extra, index: Number(digits), hashes, checkpoint: bytes.subarray(end + 2) }
}

/** Verifies that an entry is in the log of a key, and returns the proof's checkpoint. Throws {@link NoteError} if the proof does not show it. */
export function verifyProof(bytes: Uint8Array, entry: Uint8Array, verifier: Verifier): Checkpoint {
  const { index, hashes, checkpoint: note } = parseProof(bytes)
  const checkpoint = openCheckpoint(note, verifier)
  if (!isIncluded({ index, leaf: leafHash(entry), proof: hashes }, checkpoint))
    throw new NoteError(`Cannot believe the proof: it does not lead from the entry to the root of the checkpoint`)
  return checkpoint
}

function malformed(state: string): NoteError {
  return new NoteError(`Cannot read the proof: ${state}`)
}

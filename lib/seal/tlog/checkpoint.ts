import { fromBase64, toBase64 } from '../../text/base64.ts'
import { type Hash, HASH_BYTES } from './merkle.ts'
import { NoteError, openNote, type Signer, signNote, type Verifier } from './note.ts'

/** The head of a log at one size (C2SP tlog-checkpoint). */
export type Checkpoint = {
  /** The log's name, which is also its key's name. */
  readonly origin: string
  readonly size: number
  readonly root: Hash
  /** Extension lines, ignored here. Our checkpoints have none. */
  readonly extensions: readonly string[]
}

/** The text of a checkpoint, which the key signs. */
export function formatCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  return [origin, String(size), toBase64(root), ...extensions].map((line) => `${line}\n`).join('')
}

/** Parses the text of a checkpoint. Throws {@link NoteError} for any other text. */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n')
  // The text ends in a newline, so there is an empty line after the last one.
  const [origin = '', size = '', encoded = '', ...extensions] = lines.slice(0, -1)
  const root = fromBase64(encoded)
  if (lines.at(-1) !== '' || lines.slice(0, -1).includes('') || origin === '')
    throw new NoteError('Cannot read the checkpoint: it has an empty line, or too few lines')
  if (!/^(0|[1-9]\d{0,15})$/.test(size) || !Number.isSafeInteger(Number(size)))
    throw new NoteError('Cannot read the checkpoint: its size is not a whole number')
  if (root?.length !== HASH_BYTES) throw new NoteError('Cannot read the checkpoint: its root is not a hash')
  return { origin, size: Number(size), root, extensions }
}

/** The checkpoint in a note that the log's key signed. Throws {@link NoteError} if it is malformed, not signed by that key, or of another log. */
export function openCheckpoint(bytes: Uint8Array, verifier: Verifier): Checkpoint {
  const checkpoint = parseCheckpoint(openNote(bytes, [verifier]).text)
  if (checkpoint.origin !== verifier.name)
    throw new NoteError(
      `Cannot believe the checkpoint: it is of log ${JSON.stringify(checkpoint.origin)}, wanted "${verifier.name}"`,
    )
  return checkpoint
}

/** The signed note of a log's head. The key's name is the log's. */
export async function signCheckpoint(
  head: { readonly size: number; readonly root: Hash },
  signer: Signer,
): Promise<Uint8Array> {
  const [origin = ''] = signer.vkey.split('+')
  return signNote(formatCheckpoint({ ...head, origin, extensions: [] }), signer)
}

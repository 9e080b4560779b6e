import type { PrintedHead } from '../../model/period.ts'
import { NoteError } from '../../seal/tlog/note.ts'
import { readPrintedHead } from '../../seal/printed-head.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { ProblemError } from '../problem.ts'

/** The signed head of the log. */
export type CheckpointAnswer = Omit<PrintedHead, 'attempts' | 'unsealed'>

/** Answers the head of the log. Throws a `ProblemError` where nothing was sealed yet, and where the head is not what the key signed. */
export async function answerCheckpoint(objects: Objects): Promise<CheckpointAnswer> {
  try {
    const head = await readPrintedHead([], objects)
    if (head === null) throw new ProblemError('not-found', 'Cannot show the head of the log: nothing was sealed yet')
    const { origin, size, root, vkey, text } = head
    return { origin, size, root, vkey, text }
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    throw new ProblemError('unreadable', `Cannot show the head of the log: it proves nothing, ${error.message}`)
  }
}

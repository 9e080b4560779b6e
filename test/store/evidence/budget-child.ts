import { readFileSync } from 'node:fs'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { useBudget } from '../../../lib/observed/budget.ts'
import { decodeSnapshot, EvidenceError } from '../../../lib/store/evidence/evidence.ts'
import { peakMegabytes } from '../../support/process/peak-memory.ts'

// Reads evidence in a process of its own, and assesses it where it can be read; says what came of it and how much memory that took. Arguments: the key, the file.
useBudget(process.env['CIPHERTRAIL_BUDGET'])
const [key = '', file = ''] = process.argv.slice(2)
let said: string
try {
  const snapshot = await decodeSnapshot(key, readFileSync(file))
  said = assessWindow({ key, snapshot, before: null, after: null }).errors.join('\n')
} catch (error) {
  if (!(error instanceof EvidenceError)) throw error
  said = error.message
}
process.stdout.write(JSON.stringify({ said, megabytes: peakMegabytes() }))

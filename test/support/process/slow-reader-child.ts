/** Writes lines to standard output, as a long answer does, and tells its parent how many bytes waited there at most. */
import { processConsole } from '../../../cli/console.ts'
import { readConfig } from '../../../lib/config.ts'

const [lines = '0', line = ''] = process.argv.slice(2)
const { out, drained } = processConsole(readConfig(), 'test')
let most = 0
for (let written = 0; written < Number(lines); written++) {
  out(line)
  most = Math.max(most, process.stdout.writableLength)
  await drained()
}
process.send?.(most)
process.disconnect()

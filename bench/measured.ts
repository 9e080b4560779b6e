import { enableCompileCache } from 'node:module'
import { keepHeapSmall } from '../lib/small-heap.ts'

// As bin/ciphertrail.js starts: compiled code is kept between starts, and the heap stays small.
enableCompileCache()
keepHeapSmall()
const { main } = await import('../cli/main.ts')
const { costOfProcess } = await import('./processes.ts')

// One command line, and what it cost, as the last line on standard error.
const code = await main(process.argv.slice(2))
process.on('exit', () => process.stderr.write(`${JSON.stringify(costOfProcess())}\n`))
process.exitCode = code

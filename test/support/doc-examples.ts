import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What docs/checking-by-hand.md shows below a typed command, up to the next paragraph. Throws where the page lacks it. */
export function shownBelow(command: string): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/checking-by-hand.md'), 'utf8')
  const lines = page.split('\n')
  const at = lines.indexOf(`    $ ${command}`)
  if (at < 0) throw new Error(`docs/checking-by-hand.md does not show "${command}"`)
  const end = lines.findIndex((line, index) => index > at && (/^\S/.test(line) || line.startsWith('    $ ')))
  return lines
    .slice(at + 1, end)
    .map((line) => line.replace(/^ {4}/, ''))
    .join('\n')
    .trimEnd()
}

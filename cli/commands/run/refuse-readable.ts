import { stat } from 'node:fs/promises'
import { printable } from '../../../lib/text/printable.ts'

/**
 * Throws an `Error` of one line for a file that others may read or write, as of the log's key: whoever reads it gets in, and whoever writes it lets others in. One
 * that does not exist is reported by whoever reads it.
 *
 * @param name in messages: `the token file`
 */
export async function refuseReadable(file: string, name: string): Promise<void> {
  const mode = await stat(file).then(
    (stats) => stats.mode,
    () => 0,
  )
  if ((mode & 0o077) !== 0)
    throw new Error(
      `others than its owner may read or write ${name} "${printable(file)}", run "chmod 600 ${printable(file)}" and judge whether they have`,
    )
}

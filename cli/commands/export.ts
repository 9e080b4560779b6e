import { mkdir, readdir } from 'node:fs/promises'
import type { Command } from 'commander'
import { printable } from '../../lib/text/printable.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { checkpointKey } from '../../lib/store/log-keys.ts'
import { isWrittenOnce, type Objects, type StoredObject, UnusableError } from '../../lib/store/objects/objects.ts'
import { isForAuditors } from '../../lib/store/keys.ts'
import { foldLines } from '../../lib/text/fold-lines.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { openStore } from '../open-store.ts'

/** Adds `ciphertrail export`. */
export function addExport(program: Command, console: Console): void {
  program
    .command('export')
    .summary('copy the store for an auditor, without addresses and links')
    .description(
      'Copies everything that "verify" and the commands that read need into a folder that is not there yet, or is empty: evidence, changes, reports and their documents, the log, the registry, and what is derived. It leaves out who gets mail and by which address, the links in mails and their key, and what was sent to whom.',
    )
    .argument('<folder>', 'where the copy is made')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  ciphertrail export ./for-the-auditor\n  ciphertrail verify ./for-the-auditor')
    .action(async (folder: string, _: unknown, command: Command) => {
      const { json, store } = command.optsWithGlobals<{ readonly json?: boolean; readonly store?: string }>()
      const from = openStore({ store }, console)
      await refuseFull(folder)
      const { copied, left, unusable } = await copy(from, directoryObjects(folder), (objects) =>
        console.progress(`Copying: ${objects} objects`),
      )
      console.progressEnd()
      for (const line of foldLines(unusable)) console.err(printable(line))
      if (json === true) console.out(toJson({ folder, copied, left, unusable: unusable.length }))
      else console.out(`Copied ${copied} objects to "${printable(folder)}"; ${left} of mail and links stayed behind`)
      if (unusable.length > 0) throw new FailedError()
    })
}

async function refuseFull(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    if ((await readdir(folder)).length === 0) return
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'it failed'
    throw new UsageError(`Cannot copy to "${printable(folder)}": ${code}, wanted a folder that can be made`)
  }
  throw new UsageError(`Cannot copy to "${printable(folder)}": it is not empty, choose another one`)
}

/** The head of the log first: what is sealed meanwhile is then in the copy and not yet under its head, and nothing lacks that is. */
async function copy(
  from: Objects,
  to: Objects,
  onProgress: (objects: number) => void,
): Promise<{ readonly copied: number; readonly left: number; readonly unusable: readonly string[] }> {
  const unusable: string[] = []
  let copied = 0
  let left = 0
  const one = async (key: string): Promise<void> => {
    let stored: StoredObject | undefined
    try {
      stored = await from.get(key)
    } catch (error) {
      if (!(error instanceof UnusableError)) throw error
      unusable.push(`Cannot copy "${key}": ${error.state}`)
    }
    if (stored === undefined) return
    if (isWrittenOnce(key)) await to.putOnce(key, stored.body)
    else await to.putIf(key, stored.body, null)
    copied += 1
    if (copied % 100 === 0) onProgress(copied)
  }
  await one(checkpointKey)
  for await (const key of from.list('')) {
    if (!isForAuditors(key)) left += 1
    else if (key !== checkpointKey) await one(key)
  }
  return { copied, left, unusable }
}

import type { Command } from 'commander'
import type { LeafKind } from '../../lib/seal/leaf.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { type Console, FailedError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { addSignerOptions, openLastHead, openSigner, type SignerOptions } from '../signer.ts'
import { printable } from '../../lib/text/printable.ts'
import { openStore } from '../open-store.ts'
import { readNow } from '../option-values.ts'
import { addTimestampOptions, openTimestamping, type TsaOptions } from '../timestamping.ts'
import { plural } from '../../lib/report/words/vocabulary.ts'

type SealOptions = SignerOptions &
  TsaOptions & { readonly now?: string; readonly all?: boolean; readonly json?: boolean }

/** What a leaf of each kind is called, one of it and several. */
const NAMES: Readonly<Record<LeafKind, readonly [string, string]>> = {
  snapshot: ['attempt', 'attempts'],
  gap: ['gap', 'gaps'],
  'registry-change': ['change of the registry', 'changes of the registry'],
  'scope-change': ['change of a scope', 'changes of scopes'],
  'waiver-change': ['change of a waiver', 'changes of waivers'],
  'channel-change': ['change of a channel', 'changes of channels'],
  review: ['review', 'reviews'],
  report: ['report', 'reports'],
  packets: ['capture of packets', 'captures of packets'],
  heartbeat: ['heartbeat, as nothing was new', 'heartbeats'],
}

/** Adds `ciphertrail seal`. */
export function addSeal(program: Command, console: Console): void {
  addTimestampOptions(
    addSignerOptions(
      program
        .command('seal')
        .summary('extend the log by everything that was stored since')
        .description(
          'Extends the log of the store by what was stored since the last run, and by a gap for each expected window that nobody collected while it could be. Afterwards nothing of it can be changed or removed unseen. Safe to run twice at once.',
        ),
    ),
  )
    .option(
      '--all',
      'look at every window, also at those that could no longer be collected, which is done once a day by itself; and ask for every time stamp that is missing',
    )
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail key new example.com/ciphertrail\n  ciphertrail seal\n  ciphertrail seal --json\n  ciphertrail seal --tsa https://tsa.example.com/tsr --tsa-ca tsa.pem\n\nRun it after each collect. It never needs a cluster.\nWithout a time stamp it has sealed all the same: the next run asks again.',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<SealOptions>()
      const now = readNow(options, console)
      const objects = openStore(options, console)
      const signer = await openSigner(options, console)
      const timestamping = await openTimestamping(options, console)
      console.progress('Sealing')
      const { leaves, size, root, errors } = await seal(
        { now, everything: options.all === true },
        {
          objects,
          signer,
          last: await openLastHead(options, console),
          onProgress: (sealed) => {
            console.progress(`Sealing: ${plural(sealed, 'leaf', 'leaves')}`)
          },
        },
      )
      if (timestamping !== null) console.progress('Getting time stamps')
      // By the clock, and not by --now: the authority has one, too.
      const stamps = (await timestamping?.({ isForced: options.all === true }, { objects, now: console.now })) ?? null
      console.progressEnd()
      const [origin = ''] = signer.vkey.split('+')
      const rootText = Buffer.from(root).toString('base64')
      for (const error of errors) console.err(error)
      for (const problem of stamps?.problems ?? []) console.err(`WARNING: ${printable(problem)}`)
      if (options.json === true)
        console.out(
          toJson({
            origin,
            size,
            root: rootText,
            sealed: leaves,
            errors,
            ...(stamps === null ? {} : { timestamps: stamps.stamped, withoutTimestamp: stamps.missing }),
          }),
        )
      else {
        console.out(`Sealed ${sealedText(leaves)}`)
        console.out(`Log ${origin}: ${plural(size, 'leaf', 'leaves')}, root ${rootText}`)
        for (const { size: stamped, time, signer: by } of stamps?.stamped ?? [])
          console.out(`Time stamp of the head of ${plural(stamped, 'leaf', 'leaves')}: ${time}, by ${by}`)
      }
      if (errors.length > 0) throw new FailedError()
    })
}

/** Such as "2 attempts, 1 gap". */
function sealedText(leaves: Readonly<Partial<Record<LeafKind, number>>>): string {
  const parts = Object.entries(NAMES).flatMap(([kind, [one, several]]) => {
    const count = leaves[kind as LeafKind] ?? 0
    return count === 0 ? [] : [plural(count, one, several)]
  })
  return parts.length === 0 ? 'nothing: another run was first' : parts.join(', ')
}

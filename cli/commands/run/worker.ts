import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { serveJobs } from '../../../lib/jobs/workers/worker.ts'
import type { WorkerSettings } from '../../../lib/jobs/workers/worker-pool.ts'
import { type Console, UsageError } from '../../console.ts'
import { openStore } from '../../open-store.ts'
import { openRegistered, type TrustOptions } from '../../operator-trust.ts'

const BIN = fileURLToPath(new URL('../../../bin/ciphertrail.js', import.meta.url))

/** How `run` starts its workers: with its own options of where things are. */
export function workerSettings({ store, key, tokenFile, mail }: TrustOptions): WorkerSettings {
  const args = Object.entries({ '--store': store, '--key': key, '--token-file': tokenFile, '--mail': mail })
  return {
    entry: BIN,
    args: ['worker', ...args.flatMap(([name, value]) => (value === undefined ? [] : [name, value]))],
  }
}

/** Adds `ciphertrail worker`, which only `run` starts, and no help names. */
export function addWorker(program: Command, console: Console): void {
  program
    .command('worker', { hidden: true })
    .option('--key <file>')
    .option('--token-file <file>')
    .option('--mail <file>')
    .action(async (_: unknown, command: Command) => {
      if (process.channel === undefined)
        throw new UsageError('Cannot be a worker by itself: "ciphertrail run" starts its own')
      const options = command.optsWithGlobals<TrustOptions>()
      const { now, version } = console
      await serveJobs({
        objects: openStore(options, console),
        open: (cluster) => openRegistered(cluster, options, console),
        collector: { name: 'ciphertrail', version },
        now,
      })
      // Connections that are kept for a while would keep the process.
      process.exit(0)
    })
}

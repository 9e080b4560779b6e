import type { Command } from 'commander'
import type { Console } from '../../console.ts'
import { FailedError } from '../../console.ts'

/** Adds `ciphertrail demo`. */
export function addDemo(program: Command, console: Console): void {
  program
    .command('demo')
    .summary('replay a recorded mesh: no cluster, no account')
    .description(
      'Replays recorded answers of a real mesh through the real collector, and writes evidence, history and a report to ./demo-output, whatever --store says.',
    )
    .option(
      '--serve',
      'then serve the pages of the replay, and beside them those of thirteen weeks of synthetic history, until it is stopped',
    )
    .addHelpText('after', '\nExamples:\n  ciphertrail demo\n  ciphertrail demo --serve')
    .action(async (options: { readonly serve?: boolean }) => {
      const { runDemo } = await import('./replay-demo.ts')
      if ((await runDemo(console)) !== 0) throw new FailedError()
      if (options.serve !== true) return
      const { serveDemo } = await import('./serve-demo.ts')
      await serveDemo(console)
    })
}

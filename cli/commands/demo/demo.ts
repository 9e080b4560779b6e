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
    .addHelpText('after', '\nExample:\n  ciphertrail demo')
    .action(async () => {
      const { runDemo } = await import('./replay-demo.ts')
      if ((await runDemo(console)) !== 0) throw new FailedError()
    })
}

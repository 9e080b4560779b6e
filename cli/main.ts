import { Command, CommanderError } from 'commander'
import tab from '@bomb.sh/tab/commander'
import manifest from '../package.json' with { type: 'json' }
import { type Config, ConfigError, readConfig } from '../lib/config.ts'
import { useBudget } from '../lib/observed/budget.ts'
import { addCommands } from './commands/commands.ts'
import { type Console, FailedError, UsageError, processConsole } from './console.ts'
import { STORE_HELP, hasClusters } from './open-store.ts'

/**
 * Runs a command line and gives its exit code: 0 done, 1 failed, 2 not understood; of `log check` 3 where something in force is not sealed yet.
 *
 * @param given what the environment says, where that was read already
 * @param now what commands take for the present, unless `--now` says otherwise; default the clock of the machine
 */
export async function main(argv: readonly string[], given?: Config, now?: () => Date): Promise<number> {
  const config = given ?? configOr((line) => process.stderr.write(`${line}\n`))
  if (config === undefined) return 2
  useBudget(config.budget)
  const console = processConsole(config, manifest.version, now)
  const program = programOf(console)
  try {
    const args = await calledArgs(argv, console)
    await addCommands(calledName(args), program, console)
    addCompletion(program)
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    console.progressEnd()
    return report(error, console, calledOf(program, argv))
  }
}

/** Undefined where it cannot be used, which is told. */
function configOr(tell: (line: string) => void): Config | undefined {
  try {
    return readConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    tell(error.message)
    return undefined
  }
}

function programOf(console: Console): Command {
  const program = new Command('ciphertrail')
    .description(
      'Which service-to-service paths in your Linkerd clusters were encrypted, which were not, since when and why, and what was not seen.',
    )
    .version(console.version)
    .option(
      '--store <place>',
      'where evidence and history are kept: a directory, or s3://bucket/prefix (default CIPHERTRAIL_STORE, else ./ciphertrail-data)',
    )
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ writeErr: () => undefined, outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `\nExit codes: 0 done, 1 something failed or is missing, 2 the command\nline was not understood or is wrong, such as a store without a cluster.\n\n${STORE_HELP}\n\nStart here:\n  ciphertrail demo\n  ciphertrail cluster add prod --context prod\n  ciphertrail look prod\n  ciphertrail collect\n  ciphertrail paths --state not-encrypted`,
    )
  return program
}

function addCompletion(program: Command): void {
  tab(program, { completionCommandName: 'completion' })
  program.commands
    .find((command) => command.name() === 'completion')
    ?.description('print a script that completes commands in a shell')
    .addHelpText(
      'after',
      '\nExamples:\n  source <(ciphertrail completion bash)\n  ciphertrail completion zsh > ~/.zsh/completions/_ciphertrail\n  ciphertrail completion fish > ~/.config/fish/completions/ciphertrail.fish',
    )
}

function report(error: unknown, console: Console, called: string): number {
  if (error instanceof FailedError) return error.exitCode
  if (error instanceof UsageError) {
    console.err(error.message)
    return 2
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0
    console.err(usageLine(error, called))
    return 2
  }
  console.err(error instanceof Error ? error.message : String(error))
  return 1
}

/** Without a command: how things stand, where the store has a cluster, else help. */
async function calledArgs(argv: readonly string[], console: Console): Promise<string[]> {
  const options = new Command()
    .option('--store <place>')
    // It has none of its own: --help is for the command that is called.
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
  try {
    options.parse([...argv], { from: 'user' })
  } catch {
    return [...argv]
  }
  if (options.args.length > 0) return [...argv]
  return [...argv, (await hasClusters(options.opts(), console)) ? 'status' : '--help']
}

/** The first word that is no option, of a line that a shell completes the first one of that line; undefined where there is none. */
function calledName(args: readonly string[]): string | undefined {
  const line = args[0] === 'complete' ? args.slice(1) : args
  return line.find((word, index) => !word.startsWith('-') && line[index - 1] !== '--store')
}

/** The command that a command line calls, as its help is asked for: `ciphertrail cluster add`. */
function calledOf(program: Command, argv: readonly string[]): string {
  let called = program
  const names = [program.name()]
  for (const word of argv) {
    const next = called.commands.find((command) => command.name() === word)
    if (next === undefined) continue
    called = next
    names.push(word)
  }
  return names.join(' ')
}

/** Commander's message as one line in our wording, which names the help of the command that was called. */
function usageLine({ code, message }: CommanderError, called: string): string {
  if (code === 'commander.help') return `Cannot run ${called} without a command: see "${called} --help"`
  const [line = '', suggestion] = message.replace(/^error: /, '').split('\n')
  return `Cannot understand the command line: ${line.replace(/\.$/, '')}${suggestion === undefined ? '' : ` ${suggestion}`}; see "${called} --help"`
}

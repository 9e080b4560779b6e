import { once } from 'node:events'
import { userInfo } from 'node:os'
import picocolors from 'picocolors'
import type { Config } from '../lib/config.ts'
import { printable } from '../lib/text/printable.ts'

/** Where a command reads its settings and writes what it has to say. */
export type Console = {
  /** One line of the answer, on standard output. */
  readonly out: (line: string) => void
  /** Resolves once the reader of standard output has room for more: to be awaited between the lines of a long answer, which would be in memory otherwise. */
  readonly drained: () => Promise<void>
  /** One line beside the answer, on standard error; made printable, since it may quote names and servers. */
  readonly err: (line: string) => void
  /** A line that replaces the one before, on a terminal only. */
  readonly progress: (text: string) => void
  /** Ends the progress line. */
  readonly progressEnd: () => void
  /** How many characters a line of the terminal holds to which the answer goes; null where it goes to none, or that is not known. */
  readonly width: number | null
  readonly colors: ReturnType<typeof picocolors.createColors>
  readonly now: () => Date
  /** Who runs the command, for the record of a change. */
  readonly user: string
  readonly config: Config
  readonly version: string
}

/** A command line that cannot be understood: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** 1: it failed. 2: what was given to the command is wrong. 3: nothing is wrong, and something that holds already is not sealed yet. */
type ExitCode = 1 | 2 | 3

/** Something that was asked for could not be done, and its lines are written already: no other line is. */
export class FailedError extends Error {
  override readonly name = 'FailedError'
  readonly exitCode: ExitCode
  constructor(exitCode: ExitCode = 1) {
    super()
    this.exitCode = exitCode
  }
}

/** Writes to the process's own streams. Colours respect NO_COLOR and FORCE_COLOR (picocolors), progress a terminal. */
export function processConsole(config: Config, version: string, now = (): Date => new Date()): Console {
  const { stdout, stderr } = process
  const isTerminal = stderr.isTTY
  const { forceColor = '0' } = config
  const isForced = forceColor !== '0' && forceColor !== 'false'
  const clear = '\r\u001b[K'
  let hasProgress = false
  const progressEnd = () => {
    if (hasProgress) stderr.write(clear)
    hasProgress = false
  }
  return {
    out: (line) => {
      progressEnd()
      stdout.write(`${line}\n`)
    },
    drained: async () => {
      if (stdout.writableNeedDrain) await once(stdout, 'drain')
    },
    err: (line) => {
      progressEnd()
      stderr.write(`${printable(line)}\n`)
    },
    progress: (text) => {
      if (!isTerminal) return
      stderr.write(`${clear}${text.slice(0, Math.max(10, stderr.columns - 1))}`)
      hasProgress = true
    },
    progressEnd,
    width: stdout.isTTY && stdout.columns > 0 ? stdout.columns : null,
    // Where CI is set picocolors would colour pipes, too: there only FORCE_COLOR asks for it.
    colors: picocolors.createColors((stdout.isTTY || isForced) && picocolors.isColorSupported),
    now,
    user: userName(),
    config,
    version,
  }
}

/** The name of the account; its number where it has no name, as in a container. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}

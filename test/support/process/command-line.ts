import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { clockVariables } from './clock.ts'
import type { Command } from './command-child.ts'

const BIN = join(import.meta.dirname, '../../../bin/ciphertrail.js')
const CHILD = join(import.meta.dirname, 'command-child.ts')

/** How a process ended, and what it wrote. */
export type Ran = {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export type RunOptions = {
  /** Its working directory, and its home: what is there and nowhere else is found by default. */
  readonly folder: string
  /** Beside PATH, HOME and TZ, which are always given and nothing else is. */
  readonly env?: Readonly<Record<string, string>>
}

export type ProcessOptions = RunOptions & {
  /** The Node that starts the command; default the one of this test. */
  readonly node?: string
}

/** Nothing that a test runs takes longer; a command that hangs must not hang the suite. */
const MAX_MS = 180_000

/** Starts `ciphertrail` as a process of its own. */
export function start(
  args: readonly string[],
  { folder, env = {}, node = process.execPath }: ProcessOptions,
): { readonly child: ChildProcess; readonly ended: Promise<Ran> } {
  const child = spawn(node, [BIN, ...args], {
    cwd: folder,
    env: environmentIn(folder, env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: MAX_MS,
    killSignal: 'SIGKILL',
  })
  return { child, ended: outcome(child) }
}

async function outcome(child: ChildProcess): Promise<Ran> {
  const { stdout, stderr } = child
  if (stdout === null || stderr === null) throw new Error('Cannot read what a process wrote: it has no pipes')
  const [[code, signal], out, err] = await Promise.all([
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
    text(stdout),
    text(stderr),
  ])
  return { code, signal, stdout: out, stderr: err }
}

function environmentIn(folder: string, env: Readonly<Record<string, string>>): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: folder, TZ: 'Pacific/Auckland', ...clockVariables(), ...env }
}

/** Runs `ciphertrail` to its end as a process of its own, for what only a process has: a Node, streams, colours. */
export function runProcess(args: readonly string[], options: ProcessOptions): Promise<Ran> {
  return start(args, options).ended
}

/** What a process looks at when it starts and never again. */
const READ_AT_START = /^(NODE_\w+|FORCE_COLOR|NO_COLOR|CI)$/

/** Processes that wait for a command line; each runs many, as `command-child.ts` says. */
const waiting: ChildProcess[] = []

/**
 * Runs `ciphertrail` to its end. Unless a variable wants a process of its own, it is one that runs other command lines before and after this one, but none
 * meanwhile: which takes a tenth of the time.
 *
 * @param now what its clock says all the time, RFC 3339; default the clock of the machine
 */
export async function run(
  args: readonly string[],
  { folder, env = {}, now }: RunOptions & { readonly now?: string | undefined },
): Promise<Ran> {
  if (Object.keys(env).some((name) => READ_AT_START.test(name))) return runProcess(args, { folder, env })
  const child = waiting.pop() ?? startChild()
  setRef(child, true)
  const over = new AbortController()
  const overtime = setTimeout(() => child.kill('SIGKILL'), MAX_MS)
  try {
    const answered = once(child, 'message', { signal: over.signal }) as Promise<[Ran]>
    const died = once(child, 'exit', { signal: over.signal }) as Promise<[number | null, NodeJS.Signals | null]>
    child.send({ args, folder, env: environmentIn(folder, env), now } satisfies Command)
    const [first, ...more] = await Promise.race([answered, died])
    if (first === null || typeof first === 'number')
      throw new Error(`Cannot run "${args.join(' ')}": its process ended with ${first ?? String(more[0])}`)
    setRef(child, false)
    waiting.push(child)
    return first
  } finally {
    clearTimeout(overtime)
    over.abort()
  }
}

function startChild(): ChildProcess {
  return fork(CHILD, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
}

/** Whether this process goes on while nothing but the other one does. */
function setRef(child: ChildProcess, isAwaited: boolean): void {
  for (const part of [child, child.channel]) {
    if (isAwaited) part?.ref()
    else part?.unref()
  }
}

/** Runs a shell line in which `ciphertrail` is the command, with `$0` and pipes as a user has them. */
export async function runShell(
  line: string,
  { folder, env = {}, node = process.execPath }: ProcessOptions,
): Promise<Ran> {
  const child = spawn('bash', ['-c', `ciphertrail() { "${node}" "${BIN}" "$@"; }; ${line}`], {
    cwd: folder,
    env: environmentIn(folder, env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: MAX_MS,
    killSignal: 'SIGKILL',
  })
  return outcome(child)
}

/** Runs `ciphertrail` on a pseudo terminal, of 100 columns by default; what it wrote to either stream comes as `stdout`, as the terminal got it. */
export async function runOnTerminal(
  args: readonly string[],
  options: ProcessOptions & { readonly columns?: number },
): Promise<Ran> {
  const { node = process.execPath, columns = 100 } = options
  const command = [node, BIN, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  return runShell(
    `stty cols ${columns} 2>/dev/null; exec script -qec "stty cols ${columns}; ${command.replaceAll('"', '\\"')}" /dev/null`,
    options,
  )
}

/** What a terminal still shows of what was written to it: progress was there first, and is gone. */
export function shownText(written: string): string {
  return written
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => line.split('\u001b[K').at(-1) ?? '')
    .join('\n')
}

/** The lines of a text, without the last line's end. */
export function linesOf(output: string): string[] {
  return output === '' ? [] : output.replace(/\n$/, '').split('\n')
}

/** The objects of NDJSON, or of one object. Throws where a line is no JSON. */
export function parseNdjson(output: string): Record<string, unknown>[] {
  return linesOf(output).map((line) => JSON.parse(line) as Record<string, unknown>)
}

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const BIN = join(import.meta.dirname, '../../bin/ciphertrail.js')

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
  /** The Node that starts the command; default the one of this test. */
  readonly node?: string
}

/** Nothing that a test runs takes longer; a command that hangs must not hang the suite. */
const LONGEST_MS = 180_000

/** Starts `ciphertrail` as a process of its own. */
export function start(
  args: readonly string[],
  { folder, env = {}, node = process.execPath }: RunOptions,
): { readonly child: ChildProcess; readonly ended: Promise<Ran> } {
  const child = spawn(node, [BIN, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, TZ: 'Pacific/Auckland', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
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

/** Runs `ciphertrail` to its end. */
export function run(args: readonly string[], options: RunOptions): Promise<Ran> {
  return start(args, options).ended
}

/** Runs a shell line in which `ciphertrail` is the command, with `$0` and pipes as a user has them. */
export async function runShell(line: string, { folder, env = {}, node = process.execPath }: RunOptions): Promise<Ran> {
  const child = spawn('bash', ['-c', `ciphertrail() { "${node}" "${BIN}" "$@"; }; ${line}`], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, TZ: 'Pacific/Auckland', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  })
  return outcome(child)
}

/** Runs `ciphertrail` on a pseudo terminal, of 100 columns by default; what it wrote to either stream comes as `stdout`, as the terminal got it. */
export async function runOnTerminal(
  args: readonly string[],
  options: RunOptions & { readonly columns?: number },
): Promise<Ran> {
  const { node = process.execPath, columns = 100 } = options
  const command = [node, BIN, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  return runShell(
    `stty cols ${columns} 2>/dev/null; exec script -qec "stty cols ${columns}; ${command.replaceAll('"', '\\"')}" /dev/null`,
    options,
  )
}

/** The lines of a text, without the last line's end. */
export function linesOf(output: string): string[] {
  return output === '' ? [] : output.replace(/\n$/, '').split('\n')
}

/** The objects of NDJSON, or of one object. Throws where a line is no JSON. */
export function parseNdjson(output: string): Record<string, unknown>[] {
  return linesOf(output).map((line) => JSON.parse(line) as Record<string, unknown>)
}

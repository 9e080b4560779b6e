import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { clockVariables } from './clock.ts'

const BIN = join(import.meta.dirname, '../../../bin/ciphertrail.js')

/** Nothing that a test waits for takes longer. */
const MAX_MS = 400_000

/** A line of the log. */
export type LogLine = { readonly event: string; readonly level: string; readonly [member: string]: unknown }

export type RunningService = {
  readonly url: string
  readonly pid: number
  /** What was logged so far. */
  readonly lines: readonly LogLine[]
  /** The first line from the begin on that is wanted, once it is there. Rejects where the process ends before. */
  readonly until: (isWanted: (line: LogLine) => boolean) => Promise<LogLine>
  readonly kill: (signal: NodeJS.Signals) => void
  readonly ended: Promise<{
    readonly code: number | null
    readonly signal: NodeJS.Signals | null
    readonly stderr: string
  }>
}

/** Starts `ciphertrail run` as a process of its own on a free port, and waits until it answers. */
export async function startService(
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningService> {
  const child = spawn(process.execPath, [BIN, 'run', '--listen', '127.0.0.1:0', '--log', 'json', ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, TZ: 'Pacific/Auckland', ...clockVariables(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: MAX_MS,
    killSignal: 'SIGKILL',
  })
  const lines: LogLine[] = []
  const waiting = new Set<() => void>()
  let isOver = false
  const reader = createInterface({ input: child.stdout })
  reader.on('line', (line) => {
    lines.push(JSON.parse(line) as LogLine)
    for (const look of waiting) look()
  })
  const read = once(reader, 'close')
  const ended = Promise.all([
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
    text(child.stderr),
    read,
  ]).then(([[code, signal], stderr]) => {
    isOver = true
    for (const look of waiting) look()
    return { code, signal, stderr }
  })
  const until = (isWanted: (line: LogLine) => boolean): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const line = lines.find(isWanted)
        if (line === undefined && !isOver) return
        waiting.delete(look)
        if (line !== undefined) resolve(line)
        else reject(new Error(`The service ended without it: ${JSON.stringify(lines)}`))
      }
      waiting.add(look)
      look()
    })
  const { url } = await until(({ event }) => event === 'started').catch(async (error: unknown) => {
    throw new Error((await ended).stderr, { cause: error })
  })
  return { url: String(url), pid: child.pid ?? 0, lines, until, kill: (signal) => child.kill(signal), ended }
}

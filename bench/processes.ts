import { spawn } from 'node:child_process'
import { peakMegabytes } from '../test/support/process/peak-memory.ts'

/** What a process cost. */
export type Cost = { readonly cpuSeconds: number; readonly peakMegabytes: number }

/** What this process cost so far. */
export function costOfProcess(): Cost {
  const { userCPUTime, systemCPUTime } = process.resourceUsage()
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMegabytes: peakMegabytes() }
}

/** Runs a file of this folder in a process of its own and gives what it cost. */
export async function measured(file: string, argv: readonly string[]): Promise<Cost> {
  const { code, stderr } = await run(process.execPath, [new URL(file, import.meta.url).pathname, ...argv])
  if (code !== 0) throw new Error(`Cannot measure "${argv.join(' ')}": it ended with ${code}: ${stderr}`)
  return JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as Cost
}

/** Runs a command to its end; what it writes to standard output is dropped. */
export function run(command: string, argv: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stderr }))
  })
}

/** The middle one of the numbers; 0 of none. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}

/** How many seconds something takes, to the millisecond. */
export async function secondsOf(work: () => Promise<void>): Promise<number> {
  const begun = performance.now()
  await work()
  return Math.round(performance.now() - begun) / 1000
}

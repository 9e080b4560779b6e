/**
 * Runs command lines, one after the other, each as `bin/ciphertrail.js` would in a process of its own: with its environment, its folder, and an end that
 * comes when nothing is left to do. Starting a process for each costs ten times as much as most commands do.
 */
import { main } from '../../../cli/main.ts'
import type { Ran } from './command-line.ts'

/** A command line, with all that it can know. */
export type Command = {
  readonly args: readonly string[]
  readonly folder: string
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>
  /** RFC 3339; undefined: the clock of the machine. */
  readonly now: string | undefined
}

type Written = { readonly stdout: Buffer[]; readonly stderr: Buffer[] }

/** Node's own for a process in which nothing is left that the answer could come from. */
const UNSETTLED = 13

let written: Written | undefined

for (const name of ['stdout', 'stderr'] as const) {
  const write = (chunk: Uint8Array | string, ...more: unknown[]): boolean => {
    // What comes after its end would be lost, or be read as the answer of the next.
    if (written === undefined) throw new Error(`Cannot write "${String(chunk)}" to ${name}: no command runs`)
    const [encoding, callback] = more.length > 1 ? more : [undefined, more[0]]
    written[name].push(Buffer.from(chunk as string, encoding as BufferEncoding | undefined))
    if (typeof callback === 'function') process.nextTick(callback as () => void)
    return true
  }
  Object.defineProperty(process[name], 'write', { value: write })
}

process.on('message', ({ args, folder, env, now }: Command) => {
  const own: Written = { stdout: [], stderr: [] }
  written = own
  let code = UNSETTLED
  process.chdir(folder)
  for (const variable of Object.keys(process.env)) if (!(variable in env)) delete process.env[variable]
  Object.assign(process.env, env)
  // So that what the command leaves open, and nothing else, keeps it from its end.
  process.channel?.unref()
  process.once('beforeExit', () => {
    written = undefined
    process.chdir('/')
    process.channel?.ref()
    process.send?.({ code, signal: null, ...textsOf(own) } satisfies Ran)
  })
  const clock = now === undefined ? undefined : () => new Date(now)
  void main(args, undefined, clock).then((ended) => {
    code = ended
  })
})
process.on('disconnect', () => process.exit())

function textsOf({ stdout, stderr }: Written): Pick<Ran, 'stdout' | 'stderr'> {
  return { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
}

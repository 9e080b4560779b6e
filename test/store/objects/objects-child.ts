/**
 * A process of its own that uses a store, for the conformance suite:
 * `node objects-child.ts <module with openStore()> <its argument> <action> <key> <text or count>`.
 *
 * It prints `ready`, waits for a line on standard input, and acts; so that several can begin at once.
 */
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { ConflictError, PreconditionFailedError } from '../../../lib/store/objects/objects.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { numberedBody } from './numbered-body.ts'

const [module = '', argument = '', action = '', key = '', detail = ''] = process.argv.slice(2)
const { openStore }: { openStore: (argument: string) => Objects } = await import(module)
const objects = openStore(argument)

const actions: Record<string, () => Promise<void>> = {
  async putOnce() {
    try {
      await objects.putOnce(key, Buffer.from(detail))
      console.log('won')
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      console.log('lost')
    }
  },

  /** Adds 1 to the number in the object, as often as told. */
  async increment() {
    for (let done = 0; done < Number(detail);) {
      const before = await objects.get(key)
      const value = before === undefined ? 0 : Number(Buffer.from(before.body).toString())
      try {
        await objects.putIf(key, Buffer.from(String(value + 1)), before?.etag ?? null)
        done += 1
      } catch (error) {
        if (!(error instanceof PreconditionFailedError)) throw error
      }
    }
  },

  /** Replaces the object by the next body, and says so, until it is killed. */
  async replaceForEver() {
    let etag = (await objects.get(key))?.etag ?? null
    for (let number = Number(detail); ; number++) {
      etag = await objects.putIf(key, numberedBody(number), etag)
      console.log(number)
    }
  },

  /** Writes a large object, so many million bytes one after the other, and says so. */
  async writeLarge() {
    async function* pieces() {
      for (let number = 0; number < Number(detail); number++) {
        yield Buffer.alloc(1e6, number)
        console.log(number)
        if (Number(detail) > 10) await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await objects.large?.putOnce(key, (sink) => pipeline(pieces(), sink))
  },

  /** Writes one object after the other, and says so, until it is killed. */
  async createForEver() {
    for (let number = Number(detail); ; number++) {
      await objects.putOnce(`${key}/${number}`, numberedBody(number))
      console.log(number)
    }
  },
}

// What is loaded with the first call is loaded before anything is measured or killed.
await objects.get('warm-up')
console.log('ready')
await once(process.stdin, 'data')
// Nobody is left over when the suite itself dies.
process.stdin.on('end', () => process.exit(1)).resume()
await actions[action]?.()
process.exit()

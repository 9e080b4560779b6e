/** Gets a time stamp for each kept head of the log: one for each report, since its pack holds that head. */
import canonicalize from 'canonicalize'
import * as z from 'zod'
import type { Seconds } from '../../model/time.ts'
import {
  headKey,
  headPrefix,
  parseHeadKey,
  parseTimestampKey,
  timestampingKey,
  timestampKey,
  vkeyKey,
} from '../../store/log-keys.ts'
import { ConflictError, type Objects } from '../../store/objects/objects.ts'
import { swap } from '../../store/objects/swap.ts'
import { parseJson } from '../../text/parse-json.ts'
import { timeOf, toSeconds } from '../../time/windows.ts'
import { openCheckpoint } from '../tlog/checkpoint.ts'
import { NoteError, verifierOf } from '../tlog/note.ts'
import type { AskAuthority } from './ask-authority.ts'
import { readAuthorities } from './authorities.ts'
import { checkTimestamp, type Timestamp } from './check-timestamp.ts'
import { newNonce, timestampRequest } from './request.ts'
import type { TimestampSettings } from './settings.ts'
import { TimestampError } from './timestamp-error.ts'

/** What asking for time stamps needs. */
export type StampDeps = {
  readonly objects: Objects
  readonly ask: AskAuthority
  readonly now: () => Date
  /** Called before each request: whether to leave the rest to the next run, since no time is left; default: never. */
  readonly isOver?: () => boolean
}

/** What became of the heads without a time stamp. */
export type Stamped = {
  readonly stamped: readonly (Timestamp & { readonly size: number })[]
  /** Heads that have none yet. */
  readonly missing: number
  /** Heads of those for which the authority was asked in vain five times, those that are given up among them. */
  readonly overdue: number
  /** Lines about heads that could not be stamped: one when that is first so, and one when nobody asks any more. */
  readonly problems: readonly string[]
}

/** Requests of one run. A store of many old reports is made good by many runs. */
const MAX_ASKED = 4

/** Pauses after a failure; after the last of them a day each. */
const PAUSE_SECONDS: readonly Seconds[] = [5 * 60, 20 * 60, 80 * 60, 320 * 60]
const DAY: Seconds = 24 * 60 * 60

/** About two weeks. */
const MAX_TRIES = 20

const stateSchema = z.object({
  format: z.literal('ciphertrail/timestamps/1'),
  /** Heads that were asked for in vain, by their size. */
  heads: z.record(z.string(), z.object({ tries: z.int().positive(), at: z.iso.datetime() })),
})

type State = z.infer<typeof stateSchema>['heads']

/**
 * Asks for a time stamp of each kept head that has none, the latest first, and stores the answer beside the head, once and for ever. A failure is tried again
 * with later runs, at most {@link MAX_TRIES} times. Safe to run concurrently: the first answer stays. Throws only for what the store says, and
 * {@link TimestampError} for certificates that cannot be read.
 *
 * @param isForced asks also for heads that are to wait, and for those that nobody asks for any more
 */
export async function stampHeads(
  { url, policy, authorities: pem }: TimestampSettings,
  { isForced = false }: { readonly isForced?: boolean },
  { objects, ask, now, isOver = () => false }: StampDeps,
): Promise<Stamped> {
  const authorities = pem === null ? [] : readAuthorities(pem)
  const missing = await unstamped(objects)
  const before = await readState(objects)
  const failed: State = Object.fromEntries(missing.flatMap((size) => entryOf(before.state, size)))
  const due = missing.filter((size) => isForced || isDue(failed[size], now()))
  const stamped: (Timestamp & { size: number })[] = []
  const problems: string[] = []
  const fail = (sizes: readonly number[], problem: string): void => {
    for (const size of sizes) failed[size] = { tries: (failed[size]?.tries ?? 0) + 1, at: timeOf(now()) }
    // Each head is told of once, however many have the same problem.
    const said = sizes.filter((size) => [1, MAX_TRIES].includes(failed[size]?.tries ?? 0))
    const line = problemLine(said, url, problem, failed)
    if (line !== undefined) problems.push(line)
  }
  let asked = 0
  for (const [at, size] of due.entries()) {
    if (asked === MAX_ASKED || isOver()) break
    const note = await signedHead(size, objects)
    if (note === undefined) continue
    asked += 1
    const nonce = newNonce()
    const answer = await ask(timestampRequest(note, nonce, policy)).catch((error: unknown) => {
      if (!(error instanceof TimestampError)) throw error
      return error
    })
    if (answer instanceof TimestampError) {
      // It would be asked in vain for the others, too.
      fail(due.slice(at), answer.message)
      break
    }
    try {
      const wanted = { nonce, authorities, now: now(), ...(policy === null ? {} : { policy }) }
      const timestamp = await checkTimestamp(answer, note, wanted)
      if (await keep(size, answer, objects)) stamped.push({ size, ...timestamp })
      delete failed[size]
    } catch (error) {
      if (!(error instanceof TimestampError)) throw error
      fail([size], error.message)
    }
  }
  await writeState(failed, before, objects)
  const overdue = Object.values(failed).filter(({ tries }) => tries > PAUSE_SECONDS.length).length
  return { stamped, missing: missing.length - stamped.length, overdue, problems }
}

/** The sizes of the kept heads without a time stamp, largest first. */
async function unstamped(objects: Objects): Promise<readonly number[]> {
  const sizes = new Set<number>()
  for await (const key of objects.list(headPrefix)) {
    const [head, timestamp] = [parseHeadKey(key), parseTimestampKey(key)]
    if (head !== undefined) sizes.add(head)
    // A time stamp is listed after its head.
    if (timestamp !== undefined) sizes.delete(timestamp)
  }
  return [...sizes].toSorted((a, b) => b - a)
}

/** The bytes of a kept head. Undefined if the log's key did not sign it: "ciphertrail log check" names it, and no authority is asked. */
async function signedHead(size: number, objects: Objects): Promise<Uint8Array | undefined> {
  const [vkey, head] = await Promise.all([objects.get(vkeyKey), objects.get(headKey(size))])
  if (vkey === undefined || head === undefined) return undefined
  try {
    const verifier = verifierOf(Buffer.from(vkey.body).toString().trimEnd())
    return openCheckpoint(head.body, verifier).size === size ? head.body : undefined
  } catch (error) {
    if (error instanceof NoteError) return undefined
    throw error
  }
}

/** False if another run was first: its time stamp stays. */
async function keep(size: number, answer: Uint8Array, objects: Objects): Promise<boolean> {
  try {
    await objects.putOnce(timestampKey(size), answer)
    return true
  } catch (error) {
    if (error instanceof ConflictError) return false
    throw error
  }
}

const entryOf = (state: State, size: number): [string, State[string]][] => {
  const entry = state[size]
  return entry === undefined ? [] : [[String(size), entry]]
}

const pauseAfter = (tries: number): Seconds => PAUSE_SECONDS[tries - 1] ?? DAY

function isDue(failed: State[string] | undefined, now: Date): boolean {
  if (failed === undefined) return true
  if (failed.tries >= MAX_TRIES) return false
  const waited = now.getTime() / 1000 - toSeconds(failed.at)
  // A time in the future was written by a wrong clock.
  return waited < 0 || waited >= pauseAfter(failed.tries)
}

function problemLine(
  [size, ...more]: readonly number[],
  { host }: URL,
  problem: string,
  failed: State,
): string | undefined {
  if (size === undefined) return undefined
  const others = more.length === 0 ? '' : ` and of ${more.length} more heads`
  const what = `Cannot get a time stamp of "${headKey(size)}"${others} from "${host}": ${problem}`
  if ((failed[size]?.tries ?? 0) < MAX_TRIES) return `${what}; it is asked again later`
  return `${what}; it was asked ${MAX_TRIES} times and is not asked again, unless by "ciphertrail seal --all"`
}

type StoredState = { readonly state: State; readonly etag: string | null }

/** Whatever is no state counts as none: then an authority is asked too early. */
async function readState(objects: Objects): Promise<StoredState> {
  const stored = await objects.get(timestampingKey)
  const parsed = stateSchema.safeParse(stored === undefined ? undefined : parseJson(stored.body))
  return { state: parsed.data?.heads ?? {}, etag: stored?.etag ?? null }
}

/** A record that a concurrent run wrote is kept. */
async function writeState(heads: State, { state, etag }: StoredState, objects: Objects): Promise<void> {
  if (canonicalize(heads) === canonicalize(state)) return
  await swap(
    timestampingKey,
    Buffer.from(canonicalize({ format: 'ciphertrail/timestamps/1', heads }) ?? ''),
    etag,
    objects,
  )
}

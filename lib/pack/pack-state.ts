/** The pack of a report that the store keeps: whether somebody asked for it, what became of that, and its bytes. */
import canonicalize from 'canonicalize'
import * as z from 'zod'
import type { LargeObject, LargeObjects } from '../store/objects/large.ts'
import { type Objects, StoreError } from '../store/objects/objects.ts'
import { swap } from '../store/objects/swap.ts'
import { openCheckpoint } from '../seal/tlog/checkpoint.ts'
import { verifierOf } from '../seal/tlog/note.ts'
import { checkpointKey, indexKey, vkeyKey } from '../store/log-keys.ts'
import { packKey } from '../store/report-keys.ts'
import { parseJson } from '../text/parse-json.ts'
import { toSeconds, toTime } from '../time/windows.ts'

const FORMAT = 'ciphertrail/kept-pack/1'

/** RFC 3339, whole seconds. */
const at = z.iso.datetime()

const askedSchema = z.strictObject({ format: z.literal(FORMAT), at, gone: at.optional() })

const outcomeSchema = z.discriminatedUnion('outcome', [
  z.strictObject({
    format: z.literal(FORMAT),
    outcome: z.literal('made'),
    at,
    size: z.int().nonnegative(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    /** Of the object in the store; null if that keeps no versions. */
    version: z.string().nullable(),
  }),
  z.strictObject({ format: z.literal(FORMAT), outcome: z.literal('failed'), at, problem: z.string() }),
])

/** How a pack ended. */
type Outcome = z.infer<typeof outcomeSchema>

/** A pack that is kept, as it is recorded. */
export type KeptPack = Omit<Extract<Outcome, { readonly outcome: 'made' }>, 'format' | 'outcome'>

/** How it stands with the pack of a report. `at` (RFC 3339): since when. */
export type PackState =
  | { readonly status: 'none' }
  | { readonly status: 'asked'; readonly at: string }
  | { readonly status: 'failed'; readonly at: string; readonly problem: string }
  | ({ readonly status: 'made' } & KeptPack)

/** Whoever asked may ask again after so many seconds without an outcome: longer than a message of a queue stays with whoever died over it. */
const FORGOTTEN_SECONDS = 2 * 60 * 60

/** What failed may be asked for again after so many seconds. */
const FAILED_SECONDS = 15 * 60

/** Reads how it stands with the pack of a report. Throws {@link StoreError} if what is stored cannot be read. */
export async function readPackState(report: string, objects: Objects): Promise<PackState> {
  const [outcome, asked] = await Promise.all([
    readOutcome(report, objects),
    readKept(packKey(report, 'asked.json'), askedSchema, objects),
  ])
  // One that was removed is asked for again.
  if (outcome?.content.outcome === 'made' && asked?.content.gone !== outcome.content.at) {
    const { format: _, outcome: status, ...kept } = outcome.content
    return { status, ...kept }
  }
  const failed = outcome?.content
  if (failed?.outcome === 'failed' && (asked === undefined || asked.content.at <= failed.at))
    return { status: 'failed', at: failed.at, problem: failed.problem }
  return asked === undefined ? { status: 'none' } : { status: 'asked', at: asked.content.at }
}

/** Whether the signed head of the log covers a report: before that no pack can be made. Throws a `NoteError` for a head that the key did not sign. */
export async function isSealedReport(report: string, objects: Objects): Promise<boolean> {
  const [key, note, index] = await Promise.all(
    [vkeyKey, checkpointKey, indexKey(report)].map((one) => objects.get(one)),
  )
  if (key === undefined || note === undefined || index === undefined) return false
  const { size } = openCheckpoint(note.body, verifierOf(Buffer.from(key.body).toString().trimEnd()))
  return Number(Buffer.from(index.body).toString()) < size
}

/** Whether it makes sense to ask for a pack: not while somebody who asked waits for it, nor again and again for what failed. */
export function mayAsk(state: PackState, now: Date): boolean {
  switch (state.status) {
    case 'none':
      return true
    case 'asked':
      return now.getTime() / 1000 - toSeconds(state.at) >= FORGOTTEN_SECONDS
    case 'failed':
      return now.getTime() / 1000 - toSeconds(state.at) >= FAILED_SECONDS
    case 'made':
      return false
  }
}

/**
 * Records that somebody asked for the pack of a report. Of several who ask at once one is recorded.
 *
 * @param gone when the pack was made that somebody removed since; absent where none was
 */
export async function recordAsked(report: string, now: Date, objects: Objects, gone?: string): Promise<void> {
  const key = packKey(report, 'asked.json')
  const before = await objects.get(key)
  await swap(
    key,
    encode({ at: wholeSecond(now), ...(gone === undefined ? {} : { gone }) }),
    before?.etag ?? null,
    objects,
  )
}

/** Records a pack that is there. */
export async function recordMade(report: string, made: KeptPack, objects: Objects): Promise<void> {
  await record(report, { outcome: 'made', ...made }, objects)
}

/** Records that a pack could not be made, with one line that says why and what to do. Never in the place of one that was made. */
export async function recordFailed(report: string, problem: string, now: Date, objects: Objects): Promise<void> {
  await record(report, { outcome: 'failed', at: wholeSecond(now), problem }, objects)
}

/** The bytes of the pack of a report; undefined if there is none. Throws {@link StoreError} if the store cannot keep large objects. */
export async function openKeptPack(
  report: string,
  version: string | null,
  objects: Objects,
): Promise<LargeObject | undefined> {
  return largeOf(objects).open(packKey(report, 'pack.zip'), version)
}

/** The large objects of a store. Throws {@link StoreError} if it has none. */
export function largeOf({ large }: Objects): LargeObjects {
  if (large !== undefined) return large
  throw new StoreError('Cannot keep a pack: this store keeps no large objects')
}

/** The time (RFC 3339, whole seconds) of a date. */
export function wholeSecond(now: Date): string {
  return toTime(Math.floor(now.getTime() / 1000))
}

/** Asked for, and without an outcome yet: the keys of their reports. One whose state cannot be read keeps no other from being made. */
export async function waitingPacks(reports: Iterable<string>, objects: Objects): Promise<string[]> {
  const waiting: string[] = []
  for (const report of reports)
    if ((await readPackStateIfReadable(report, objects))?.status === 'asked') waiting.push(report)
  return waiting
}

/** As {@link readPackState}; undefined if what is stored cannot be read. */
export async function readPackStateIfReadable(report: string, objects: Objects): Promise<PackState | undefined> {
  try {
    return await readPackState(report, objects)
  } catch (error) {
    if (error instanceof StoreError) return undefined
    throw error
  }
}

async function record(
  report: string,
  outcome:
    | Omit<Extract<Outcome, { outcome: 'made' }>, 'format'>
    | Omit<Extract<Outcome, { outcome: 'failed' }>, 'format'>,
  objects: Objects,
): Promise<void> {
  const before = await readOutcome(report, objects)
  if (before?.content.outcome === 'made' && outcome.outcome === 'failed') {
    const asked = await readKept(packKey(report, 'asked.json'), askedSchema, objects)
    if (asked?.content.gone !== before.content.at) return
  }
  // Whoever was first meanwhile tells the same.
  await swap(packKey(report, 'outcome.json'), encode(outcome), before?.etag ?? null, objects)
}

function readOutcome(
  report: string,
  objects: Objects,
): Promise<{ readonly content: Outcome; readonly etag: string } | undefined> {
  return readKept(packKey(report, 'outcome.json'), outcomeSchema, objects)
}

async function readKept<T>(
  key: string,
  schema: z.ZodType<T>,
  objects: Objects,
): Promise<{ readonly content: T; readonly etag: string } | undefined> {
  const stored = await objects.get(key)
  if (stored === undefined) return undefined
  const parsed = schema.safeParse(parseJson(stored.body))
  if (!parsed.success)
    throw new StoreError(`Cannot read "${key}": it tells of no pack, remove it and ask for the pack again`)
  return { content: parsed.data, etag: stored.etag }
}

function encode(content: object): Uint8Array {
  return Buffer.from(canonicalize({ format: FORMAT, ...content }) ?? '')
}

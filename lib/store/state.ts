import { createHash } from 'node:crypto'
import { z } from 'zod'
import { DERIVATION } from '../model.ts'
import type { TimelineMonth, Window, WindowResult } from '../model.ts'
import { parseJson } from './json.ts'
import { stateKey, timelineKey, windowKey } from './keys.ts'
import type { Objects } from './objects.ts'
import { emptyTimeline, foldWindows, timelineSchema } from './timeline.ts'
import type { ExpectedWindow, Timeline } from './timeline.ts'
import { compareText } from '../text-order.ts'

const stateSchema = z.object({
  format: z.literal('ciphertrail/state/1'),
  derivation: z.int(),
  cluster: z.string(),
  /** All evidence that was read, in time order. */
  evidence: z
    .array(
      z.object({
        start: z.string(),
        end: z.string(),
        attempts: z
          .array(
            z.object({
              key: z.string(),
              number: z.int(),
              complete: z.boolean(),
              startedAt: z.string().nullable(),
              listsAt: z.string().nullable(),
              observedSeconds: z.number().nullable(),
              error: z.string().nullable(),
            }),
          )
          .readonly(),
      }),
    )
    .readonly(),
  /** The windows folded, in time order, with the SHA-256 of their results; null where there is no attempt. */
  windows: z.array(z.object({ start: z.string(), end: z.string(), sha256: z.string().nullable() })).readonly(),
  timeline: timelineSchema,
  /** The months of the timeline, oldest first. */
  months: z.array(z.object({ month: z.string(), sha256: z.string() })).readonly(),
  /** Months that may not be written yet: whoever comes next looks after them. */
  unwritten: z.array(z.string()).readonly(),
})

const derivationSchema = z.object({ derivation: z.int() })

/** What `state/<cluster>` holds: how far a cluster's evidence is read and folded, and the hashes of what came of it. */
export type State = z.infer<typeof stateSchema>

/** A folded window as the state names it. */
export type FoldedWindow = State['windows'][number]

/** A derived object is missing, or is not the one that the state names. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError'
  readonly key: string
  constructor(key: string) {
    super(`Cannot use "${key}": it is not what was derived, run "ciphertrail rebuild" to make it again from evidence`)
    this.key = key
  }
}

/** A history as it was read: what `rows()` and `stripsOf()` are asked with. */
export type History = Pick<Timeline, 'watermark' | 'months' | 'episodes'>

/**
 * The bytes of a derived object: JSON with sorted names, as RFC 8785 has it, so that equal content is equal bytes. Text that is not
 * Unicode, as a hostile label may be, is made so: it must not keep a cluster from being derived.
 */
export function encodeDerived(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(sorted(value)))
}

/** `canonicalize` takes three times as long for a month, and refuses text that is not Unicode. No name here looks like a number. */
function sorted(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(sorted)
  const members = Object.entries(value).toSorted(([a], [b]) => compareText(a, b))
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]))
}

/** The SHA-256 of bytes, in hex: unlike an etag the same in every store. */
export function sha256Of(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex')
}

/**
 * Reads the state of a cluster. Undefined where there is none, or one that an earlier version of ciphertrail derived, or one that
 * cannot be read, which `error` then says: all of it is derived again. Throws where a later version derived it.
 */
export async function readState(
  clusterId: string,
  objects: Objects,
): Promise<{ state: State | undefined; etag: string | null; error: string | null }> {
  const key = stateKey(clusterId)
  const stored = await objects.get(key)
  if (stored === undefined) return { state: undefined, etag: null, error: null }
  const content = parseJson(stored.body)
  const derivation = derivationSchema.safeParse(content).data?.derivation
  // What an earlier derivation kept may have another shape: it is old, not damaged.
  if (derivation !== undefined && derivation < DERIVATION) return { state: undefined, etag: stored.etag, error: null }
  const parsed = stateSchema.safeParse(content)
  if (!parsed.success || parsed.data.cluster !== clusterId) {
    return {
      state: undefined,
      etag: stored.etag,
      error: `Cannot read "${key}": damaged, so it is derived again from evidence`,
    }
  }
  if (parsed.data.derivation > DERIVATION) {
    throw new Error(
      `Cannot use "${key}": derived by a later version of ciphertrail (${parsed.data.derivation}, this one makes ${DERIVATION}), update this one`,
    )
  }
  return { state: parsed.data, etag: stored.etag, error: null }
}

/**
 * Reads the history of a cluster, all its months; undefined where nothing was derived yet. A month that is not the one that the
 * state names, since somebody writes it or died before, is folded again in memory. Throws {@link DamagedError} where the window
 * results for that are damaged, too.
 */
export async function readHistory(clusterId: string, objects: Objects): Promise<History | undefined> {
  return whileItChanges(async () => {
    const { state } = await readState(clusterId, objects)
    if (state === undefined) return undefined
    const { watermark, episodes } = state.timeline
    const months = await readMonths(
      state,
      state.months.map(({ month }) => month),
      objects,
    )
    if (months !== undefined) return { watermark, episodes, months }
    return foldWindows(emptyTimeline(clusterId), await readExpected(clusterId, state.windows, objects))
  })
}

/** Reads the result of the window that begins at `start`; undefined where there is none. Throws {@link DamagedError}. */
export async function readWindow(
  clusterId: string,
  start: string,
  objects: Objects,
): Promise<WindowResult | undefined> {
  return whileItChanges(async () => {
    const { state } = await readState(clusterId, objects)
    const window = state?.windows.find((folded) => folded.start === start)
    if (window === undefined) return undefined
    const [expected] = await readExpected(clusterId, [window], objects)
    return expected?.result ?? undefined
  })
}

/** Reads the latest window result that is wanted; undefined where there is none. Throws {@link DamagedError}. */
export async function readLatest(
  clusterId: string,
  isWanted: (result: WindowResult) => boolean,
  objects: Objects,
): Promise<WindowResult | undefined> {
  return whileItChanges(async () => {
    const { state } = await readState(clusterId, objects)
    for (const window of (state?.windows ?? []).toReversed()) {
      const [expected] = await readExpected(clusterId, [window], objects)
      if (expected !== undefined && expected.result !== null && isWanted(expected.result)) return expected.result
    }
    return undefined
  })
}

/** Reads months, oldest first; undefined where one is missing or not the one that the state names. */
export async function readMonths(
  { cluster, months }: State,
  wanted: readonly string[],
  objects: Objects,
): Promise<TimelineMonth[] | undefined> {
  const read: TimelineMonth[] = []
  for (const { month, sha256 } of months) {
    if (!wanted.includes(month)) continue
    const stored = await objects.get(timelineKey(cluster, month))
    if (stored === undefined || sha256Of(stored.body) !== sha256) return undefined
    // The hash says that these are the bytes that were derived, so their shape needs no second proof.
    read.push(parseJson(stored.body) as TimelineMonth)
  }
  return read
}

/** Reads window results, in the order given. Throws {@link DamagedError}. */
export async function readExpected(
  clusterId: string,
  windows: readonly FoldedWindow[],
  objects: Objects,
): Promise<ExpectedWindow[]> {
  const read: ExpectedWindow[] = []
  for (const { sha256, ...window } of windows) {
    read.push({ window, result: sha256 === null ? null : await readResult(clusterId, window, sha256, objects) })
  }
  return read
}

async function readResult(clusterId: string, window: Window, sha256: string, objects: Objects): Promise<WindowResult> {
  const key = windowKey(clusterId, window)
  const stored = await objects.get(key)
  if (stored === undefined || sha256Of(stored.body) !== sha256) throw new DamagedError(key)
  return parseJson(stored.body) as WindowResult
}

/** Reads again where what the state named was replaced between two reads. */
async function whileItChanges<T>(read: () => Promise<T>): Promise<T> {
  for (let left = 3; ; left--) {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof DamagedError) || left === 0) throw error
    }
  }
}

import { isUtf8 } from 'node:buffer'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createGzip, gunzip, gunzipSync, gzipSync } from 'node:zlib'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import type { MetricsAnswer, ProxyPage, Snapshot } from '../../model/snapshot.ts'
import type { Window } from '../../model/time.ts'
import { budget, exceeds, jsonSize } from '../../observed/budget.ts'
import { jsonExtent } from '../../text/json-extent.ts'
import { attemptsPrefix, evidenceKey, MAX_ATTEMPTS, parseEvidenceKey } from '../keys.ts'
import type { EvidenceId } from '../keys.ts'
import { ConflictError, DeletedError, UnusableError } from '../objects/objects.ts'
import type { Objects, StoredObject } from '../objects/objects.ts'
import { whileReading } from './reading.ts'

/** Unreadable evidence, or evidence that does not match its key. One line that names the key. */
export class EvidenceError extends Error {
  override readonly name = 'EvidenceError'
  readonly key: string
  constructor(key: string, state: string, options?: ErrorOptions) {
    super(`Cannot read evidence "${key}": ${state}`, options)
    this.key = key
  }
}

/** Answers become JSON and are compressed in pieces of this many UTF-16 units, so that no second copy of one is made. */
const PIECE_LENGTH = 1 << 20

const CHUNK_BYTES = 256 * 1024

/** In UTF-16 units: what is smaller is compressed at once. */
const SMALL_LENGTH = 64 * 1024

/** Deflate shrinks data at most 1032 times, so a larger stated length is damaged. */
const MAX_GROWTH = 1032

/** Packed bytes that are unpacked at once: they hold some megabytes at most. */
const SMALL_BYTES = 8192

/** A buffer of so many times the packed size is enough for small evidence, of which thousands are read. */
const MIN_GROWTH = 16

/**
 * 71 MB of recorded answers compress to 9.5 MB in 0.3 s of CPU at level 1, 8.0 MB in 0.5 s at level 4 and 7.2 MB in 0.9 s at level 6. Windows are collected
 * often, and the collector shares the machine with the workloads it observes.
 */
const GZIP = { level: 1, chunkSize: CHUNK_BYTES }

/**
 * Canonical JSON (RFC 8785), gzipped, with no time in the header: equal snapshots give equal bytes in one build of Node. Throws a `RangeError` for malformed
 * Unicode, which canonical JSON cannot hold.
 */
export async function encodeSnapshot(snapshot: Snapshot): Promise<Uint8Array> {
  const pieces = snapshotPieces(snapshot)[Symbol.iterator]()
  const first: string[] = []
  let length = 0
  while (length < SMALL_LENGTH) {
    const { value, done = false } = pieces.next()
    // A stream and its buffers would take longer than all else.
    if (done) return gzipSync(first.join(''), { level: GZIP.level })
    first.push(value)
    length += value.length
  }
  const chunks: Uint8Array[] = []
  await pipeline(chained(first, pieces), createGzip(GZIP), async (packed: AsyncIterable<Uint8Array>) => {
    for await (const chunk of packed) chunks.push(chunk)
  })
  return Buffer.concat(chunks)
}

function* chained(first: readonly string[], rest: Iterator<string>): Generator<string> {
  yield* first
  for (let next = rest.next(); next.done !== true; next = rest.next()) yield next.value
}

function snapshotPieces(snapshot: Snapshot): Iterable<string> {
  const { metrics, cadvisor, proxies } = snapshot
  return objectPieces(snapshot, {
    metrics: objectPieces(metrics, { answers: arrayPieces(metrics.answers.map(bodyPieces)) }),
    ...(cadvisor === undefined
      ? {}
      : { cadvisor: objectPieces(cadvisor, { answers: arrayPieces(cadvisor.answers.map(bodyPieces)) }) }),
    ...(proxies === undefined
      ? {}
      : { proxies: objectPieces(proxies, { pages: arrayPieces(proxies.pages.map(bodyPieces)) }) }),
  })
}

function bodyPieces(answer: MetricsAnswer | ProxyPage): Iterable<string> {
  return objectPieces(answer, { body: stringPieces(answer.body) })
}

function* arrayPieces(items: Iterable<Iterable<string>>): Generator<string> {
  let before = '['
  for (const item of items) {
    yield before
    yield* item
    before = ','
  }
  yield before === '[' ? '[]' : ']'
}

/** A JSON object, some of whose members come in pieces. */
function* objectPieces(object: object, inPieces: Readonly<Record<string, Iterable<string>>>): Generator<string> {
  let before = '{'
  const members = Object.entries(object).filter(([, value]) => value !== undefined)
  for (const [name, value] of members.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    yield `${before}${JSON.stringify(name)}:`
    yield* inPieces[name] ?? [canonicalText(value)]
    before = ','
  }
  yield before === '{' ? '{}' : '}'
}

function* stringPieces(text: string): Generator<string> {
  if (!text.isWellFormed()) throw notUnicode()
  yield '"'
  for (let from = 0; from < text.length;) {
    let to = from + PIECE_LENGTH
    // A surrogate pair is one character: if split, each half would become an escape.
    if (/[\uDC00-\uDFFF]/.test(text.charAt(to))) to += 1
    yield JSON.stringify(text.slice(from, to)).slice(1, -1)
    from = to
  }
  yield '"'
}

function canonicalText(value: unknown): string {
  try {
    return canonicalize(value) ?? 'null'
  } catch (error) {
    throw notUnicode(error)
  }
}

function notUnicode(cause?: unknown): RangeError {
  return new RangeError('Cannot store snapshot: it holds text that is not Unicode', { cause })
}

const metricsAnswers = z.array(
  z.looseObject({ name: z.string(), query: z.string(), time: z.string(), body: z.string() }),
)

const sourceStatus = { status: z.enum(['complete', 'partial', 'failed']), errors: z.array(z.string()) }

/** The fields that derived facts rely on. Unknown members are kept. */
const snapshotSchema: z.ZodType<Snapshot> = z.looseObject({
  format: z.literal('ciphertrail/snapshot/1'),
  cluster: z.string(),
  window: z.looseObject({ start: z.string(), end: z.string() }),
  linkerdNamespace: z.string(),
  vizNamespace: z.string(),
  collector: z.looseObject({ name: z.string(), version: z.string() }),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  complete: z.boolean(),
  metrics: z.looseObject({
    ...sourceStatus,
    prometheusTime: z.string().nullable(),
    server: z.string().exactOptional(),
    answers: metricsAnswers,
  }),
  cadvisor: z.looseObject({ ...sourceStatus, answers: metricsAnswers }).exactOptional(),
  kubernetes: z.looseObject({
    ...sourceStatus,
    takenAt: z.iso.datetime().nullable(),
    lists: z.array(
      z.looseObject({ resource: z.string(), version: z.string().exactOptional(), items: z.array(z.unknown()) }),
    ),
  }),
  viz: z
    .looseObject({
      ...sourceStatus,
      takenAt: z.iso.datetime(),
      server: z.string().exactOptional(),
      answers: z.array(z.looseObject({ kind: z.string(), body: z.string() })),
    })
    .exactOptional(),
  tap: z
    .looseObject({
      ...sourceStatus,
      takenAt: z.iso.datetime(),
      seconds: z.number(),
      tapped: z.array(z.looseObject({ kind: z.string(), namespace: z.string(), name: z.string() })),
      left: z.int(),
      requests: z.int(),
      sightings: z.array(
        z.looseObject({
          source: z.string(),
          destination: z.string(),
          port: z.int(),
          tls: z.string(),
          isOnProbePath: z.boolean(),
          requests: z.int(),
        }),
      ),
    })
    .exactOptional(),
  proxies: z
    .looseObject({
      ...sourceStatus,
      pages: z.array(
        z.looseObject({
          namespace: z.string(),
          pod: z.string(),
          uid: z.string(),
          address: z.string(),
          readAt: z.iso.datetime(),
          body: z.string(),
        }),
      ),
    })
    .exactOptional(),
})

/** Parses a stored snapshot. Throws {@link EvidenceError} if the bytes are not a snapshot of the key's cluster and window. */
export async function decodeSnapshot(key: string, body: Uint8Array): Promise<Snapshot> {
  const text = await unpack(key, body)
  return whileReading(key, () => parseSnapshot(key, text))
}

function parseSnapshot(key: string, text: string): Snapshot {
  refuseLists(key, text)
  const parsed = snapshotSchema.safeParse(parseJson(key, text))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new EvidenceError(key, `it is not a snapshot, "${issue?.path.join('.')}" is absent or wrong`)
  }
  const snapshot = parsed.data
  refuseExcess(key, snapshot)
  const id = parseEvidenceKey(key)
  const isOfKey =
    id?.cluster === snapshot.cluster &&
    id.window.start === snapshot.window.start &&
    id.window.end === snapshot.window.end
  if (!isOfKey) throw new EvidenceError(key, 'it is the snapshot of another cluster or window')
  return snapshot
}

/** Values of evidence outside of Kubernetes lists: the metadata of answers and pages. */
const BESIDE_LISTS = 200_000

/** Refuses text that is too deep or too large to parse. Answers are strings here. */
function refuseLists(key: string, text: string): void {
  const most = { depth: budget().depth, values: budget().values + BESIDE_LISTS }
  const { depth, values } = jsonExtent(text, most)
  if (depth > most.depth) throw new EvidenceError(key, `it has ${exceeds('depth', { atLeast: depth })}`)
  if (values > most.values) throw new EvidenceError(key, `it has ${exceeds('values', { atLeast: values })}`)
}

/** Refuses evidence that is too large to assess: an agent may have stored more than a collector may. */
function refuseExcess(key: string, { metrics, cadvisor, viz, kubernetes }: Snapshot): void {
  const bodies = [...metrics.answers, ...(cadvisor?.answers ?? []), ...(viz?.answers ?? [])]
  let all = 0
  for (const { body } of bodies) {
    const { values, excess } = jsonSize(body)
    if (excess !== null) throw new EvidenceError(key, `an answer in it has ${excess}`)
    all += values
    if (all > budget()['window-values'])
      throw new EvidenceError(key, `it has ${exceeds('window-values', { atLeast: all })}`)
  }
  const objects = kubernetes.lists.reduce((sum, { items }) => sum + items.length, 0)
  if (objects > budget().objects) throw new EvidenceError(key, `it has ${exceeds('objects', { atLeast: objects })}`)
}

async function unpack(key: string, body: Uint8Array): Promise<string> {
  // The last four bytes state its length. Decompressing into one buffer of that size needs a quarter less memory (measured).
  const stated = body.length < 4 ? 0 : new DataView(body.buffer, body.byteOffset).getUint32(body.length - 4, true)
  const most = budget().evidence
  if (stated > MAX_GROWTH * body.length) throw new EvidenceError(key, 'it is not whole gzip data')
  if (stated > most) throw new EvidenceError(key, `it has ${exceeds('evidence', { atLeast: stated })}`)
  const chunkSize = Math.max(stated, Math.min(CHUNK_BYTES, MIN_GROWTH * body.length), 64)
  let unpacked: Buffer
  try {
    const options = { maxOutputLength: most, chunkSize }
    unpacked = body.length <= SMALL_BYTES ? gunzipSync(body, options) : await promisify(gunzip)(body, options)
  } catch (error) {
    const isTooLarge = error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    const problem = isTooLarge ? `it has ${exceeds('evidence', { atLeast: most })}` : 'it is not whole gzip data'
    throw new EvidenceError(key, problem, { cause: error })
  }
  if (!isUtf8(unpacked)) throw new EvidenceError(key, 'it is not UTF-8 text')
  return unpacked.toString()
}

function parseJson(key: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new EvidenceError(key, 'it is not JSON', { cause: error })
  }
}

/** The store that holds evidence. */
export type EvidenceDeps = { readonly objects: Objects }

/** Reads a snapshot. Throws {@link EvidenceError} if it is absent or does not match its key. */
export async function readSnapshot(key: string, objects: Objects): Promise<Snapshot> {
  let stored: StoredObject | undefined
  try {
    stored = await objects.get(key)
  } catch (error) {
    if (error instanceof DeletedError) throw new EvidenceError(key, 'it was deleted', { cause: error })
    if (error instanceof UnusableError) throw new EvidenceError(key, error.state, { cause: error })
    throw error
  }
  if (stored === undefined) throw new EvidenceError(key, 'there is none')
  return decodeSnapshot(key, stored.body)
}

/**
 * Stores a snapshot as the next attempt at its window and returns its key. If another collector takes that number first, uses the next one, so that every
 * attempt stays readable.
 *
 * @param after the number of the last attempt that the caller has seen, 0 for none; absent: the stored attempts are listed
 */
export async function writeAttempt(snapshot: Snapshot, { objects }: EvidenceDeps, after?: number): Promise<string> {
  const { cluster, window } = snapshot
  const body = await encodeSnapshot(snapshot)
  const last = after ?? (await listAttempts(window, cluster, { objects })).at(-1)?.attempt ?? 0
  for (let attempt = last + 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const key = evidenceKey({ window, cluster, attempt })
    try {
      await objects.putOnce(key, body)
      return key
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
    }
  }
  throw new RangeError(
    `Cannot store another attempt at window ${window.start} to ${window.end} of cluster "${cluster}": there are ${MAX_ATTEMPTS}`,
  )
}

/** The attempts at one window of one cluster, in order; empty if there are none. Costs one listing of a few keys. */
export async function listAttempts(window: Window, cluster: string, { objects }: EvidenceDeps): Promise<EvidenceId[]> {
  const attempts: EvidenceId[] = []
  for await (const key of objects.list(attemptsPrefix(window, cluster))) {
    const id = parseEvidenceKey(key)
    if (id !== undefined) attempts.push(id)
  }
  return attempts
}

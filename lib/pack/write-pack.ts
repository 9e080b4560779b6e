/** Writes a pack as a zip: the same contents give the same bytes, and no more than one piece of evidence is in memory. */
import { createHash, hash } from 'node:crypto'
import { type PassThrough, Readable, Transform, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { deflateRawSync } from 'node:zlib'
import { ZipFile } from 'yazl'
import type { Objects } from '../store/objects/objects.ts'
import type { PackContents } from './contents.ts'
import {
  comparePlace,
  formatManifest,
  formatSums,
  isStored,
  type ListedMember,
  type Manifest,
  MANIFEST,
  SUMS,
  ZIP,
} from './members.ts'
import type { ObjectLeaf } from './packed-leaves.ts'
import { PackError } from './select-report.ts'

/** What was written. */
export type WrittenPack = { readonly size: number; readonly sha256: string; readonly members: number }

/** The store that holds the evidence, and who is told how far it is. */
export type WriteDeps = {
  readonly objects: Objects
  readonly onProgress?: (members: number, of: number) => void
  /** Ends the writing, and destroys the stream. */
  readonly signal?: AbortSignal
}

/** Every member is as old as the zip format: no clock has a say. Built from local fields, since the writer reads local fields. */
const MTIME = new Date(1980, 0, 1)

/** A member, and where its bytes come from. */
type Planned = ListedMember & { readonly source: Uint8Array | ObjectLeaf }

/**
 * Writes a pack to a stream, and ends it. Throws {@link PackError} for evidence that is missing or is not what was sealed: a pack of it would not
 * verify.
 */
export async function writePack(
  { small, objects: sealed }: PackContents,
  heading: Omit<Manifest, 'members'>,
  sink: Writable,
  { objects, onProgress = () => undefined, signal }: WriteDeps,
): Promise<WrittenPack> {
  const planned = [...small.map(plannedSmall), ...sealed.map(plannedObject)].toSorted((a, b) =>
    comparePlace(a.name, b.name),
  )
  const manifest: Manifest = { ...heading, members: planned.map(({ source: _, ...listed }) => listed) }
  const listing = formatManifest(manifest)
  const all: Planned[] = [
    ...planned,
    plannedSmall({ name: MANIFEST, body: listing }),
    plannedSmall({ name: SUMS, body: Buffer.from(formatSums(manifest, hash('sha256', listing))) }),
  ]
  const zip = new ZipFile()
  const output = zip.outputStream as PassThrough
  zip.on('error', (error: Error) => output.destroy(error))
  const digest = createHash('sha256')
  let size = 0
  let done = 0
  const counting = new Transform({
    transform(chunk: Uint8Array, _, callback) {
      digest.update(chunk)
      size += chunk.length
      callback(null, chunk)
    },
  })
  const freed = writtenEvidence()
  const readNext = readAhead(
    all.flatMap(({ source }) => (source instanceof Uint8Array ? [] : [source])),
    objects,
  )
  for (const { name, source, size: memberSize } of all) {
    const options = { mtime: MTIME, mode: ZIP.mode, forceDosTimestamp: true }
    if (source instanceof Uint8Array)
      zip.addBuffer(Buffer.from(source), name, { ...options, compressionLevel: isStored(name) ? 0 : ZIP.level })
    else
      zip.addReadStreamLazy(name, { ...options, compress: false, size: memberSize }, (give) => {
        readNext().then(
          (body) => {
            freed.add(body.length)
            onProgress(++done, sealed.length)
            give(null, Readable.from([body], { objectMode: false }))
          },
          (error: unknown) => give(error, Readable.from([])),
        )
      })
  }
  zip.end()
  await pipeline(output, counting, sink, signal === undefined ? {} : { signal })
  return { size, sha256: digest.digest('hex'), members: all.length }
}

/**
 * So many bytes of evidence may lie about before they are given back: Node by itself waits for about 64 MB, since it sees only small objects that hold them.
 * Giving back more often costs more time than all the rest, and saves little memory.
 */
const MOST_LYING_ABOUT = 8e6

/** Collects the evidence that was written already. */
function writtenEvidence(): { readonly add: (bytes: number) => void } {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let bytes = 0
  return {
    add: (more) => {
      bytes += more
      if (bytes < MOST_LYING_ABOUT) return
      bytes = 0
      collect()
    },
  }
}

/** So much is read ahead of the writer, so that it does not wait for each answer of a store that is far away. */
const AHEAD = { objects: 8, bytes: 4e6 }

/** Reads evidence in the order in which it is written: each call gives the next one. */
function readAhead(sources: readonly ObjectLeaf[], objects: Objects): () => Promise<Buffer> {
  const begun: { readonly size: number; readonly body: Promise<Buffer> }[] = []
  let next = 0
  const mayBegin = ({ leaf: { size } }: ObjectLeaf): boolean =>
    begun.length === 0 ||
    (begun.length < AHEAD.objects && begun.reduce((sum, one) => sum + one.size, size) <= AHEAD.bytes)
  return async () => {
    for (let source = sources[next]; source !== undefined && mayBegin(source); source = sources[++next]) {
      const body = readSealed(source, objects)
      // What fails ahead is told when it is its turn.
      body.catch(() => undefined)
      begun.push({ size: source.leaf.size, body })
    }
    const first = begun.shift()
    if (first === undefined) throw new RangeError('Cannot read more evidence than a pack has')
    return first.body
  }
}

function plannedSmall({ name, body }: { readonly name: string; readonly body: Uint8Array }): Planned {
  const listed = { name, size: body.length, sha256: hash('sha256', body), source: body }
  if (isStored(name)) return listed
  const packed = deflateRawSync(body, { level: ZIP.level })
  return { ...listed, packed: { size: packed.length, sha256: hash('sha256', packed) } }
}

/** Sealed objects that are not compressed already are few and small, and are stored all the same: they are streamed. */
function plannedObject(source: ObjectLeaf): Planned {
  const { key: name, size, sha256 } = source.leaf
  return { name, size, sha256, source }
}

async function readSealed({ leaf }: ObjectLeaf, objects: Objects): Promise<Buffer> {
  const stored = await objects.get(leaf.key, leaf.versionId ?? null)
  if (stored === undefined)
    throw new PackError(
      `Cannot pack "${leaf.key}": it is sealed, and is not in the store; where it expired, leave it out with --period-only, else run "ciphertrail log check"`,
    )
  if (stored.body.length !== leaf.size || hash('sha256', stored.body) !== leaf.sha256)
    throw new PackError(
      `Cannot pack "${leaf.key}": its bytes are not those that were sealed, run "ciphertrail log check"`,
    )
  return Buffer.from(stored.body.buffer, stored.body.byteOffset, stored.body.length)
}

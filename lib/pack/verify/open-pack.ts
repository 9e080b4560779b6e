/** Opens a pack as a zip of which every byte has one right value: whatever else a zip may hold is named. */
import { createHash, hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { crc32, inflateRawSync } from 'node:zlib'
import { type Entry, fromFdPromise, type ZipFile } from 'yauzl'
import { printable } from '../../text/printable.ts'
import type { AddFinding } from '../../seal/verify/finding.ts'
import { isMemberName, isStored, ZIP } from '../members.ts'

/** A member as it lies in the zip. */
export type PackMember = {
  readonly name: string
  /** What it says of itself, in bytes. */
  readonly size: number
  readonly packedSize: number
  readonly isDeflated: boolean
  readonly crc: number
  /** Where its bytes begin in the file. */
  readonly start: number
}

/** A pack that was opened. To be closed. */
export type OpenPack = {
  /** By name, in the order of the zip. */
  readonly members: ReadonlyMap<string, PackMember>
  /** Hashes a stored member piece by piece. */
  readonly digest: (member: PackMember) => Promise<MemberDigest>
  /** Reads a member; undefined where it cannot be unpacked or is larger than any that a pack has in memory. */
  readonly read: (member: PackMember) => Promise<ReadMember | undefined>
  readonly close: () => Promise<void>
}

/** What the bytes of a member come to. */
export type MemberDigest = { readonly size: number; readonly sha256: string; readonly crc: number }

/** A member in memory, and the hash of what lies in the zip. */
export type ReadMember = { readonly body: Buffer; readonly packedSha256: string; readonly crc: number }

/** The file is no zip that can be read. One line. */
export class OpenPackError extends Error {
  override readonly name = 'OpenPackError'
}

const PIECE = 1 << 20

/** No member that is unpacked in memory is larger: documents, listings, tiles, single evidence. */
const MOST_IN_MEMORY = 1 << 29

/** All that is unpacked comes to less: a small file may not keep a reader busy for hours. */
const MOST_UNPACKED = 4 * MOST_IN_MEMORY

/** A pack has fewer members; a directory of more would fill the memory. */
const MOST_MEMBERS = 2_000_000

/** Opens a pack. What is not as a pack has it is added to the findings. Throws {@link OpenPackError} where nothing can be read. */
export async function openPack(path: string, add: AddFinding): Promise<OpenPack> {
  const file = await open(path)
  try {
    const zip = await fromFdPromise(file.fd, { strictFileNames: true, autoClose: false })
    const members = await readMembers(zip, file, add)
    return {
      members,
      digest: (member) => digestOf(member, file),
      read: (member) => readMember(member, file),
      close: () => file.close(),
    }
  } catch (error) {
    await file.close()
    if (error instanceof OpenPackError || !(error instanceof Error) || 'syscall' in error) throw error
    throw new OpenPackError(`it is no zip file that can be read (${printable(error.message)})`, { cause: error })
  }
}

async function readMembers(zip: ZipFile, file: FileHandle, add: AddFinding): Promise<Map<string, PackMember>> {
  if (zip.entryCount > MOST_MEMBERS) throw new OpenPackError(`it has ${zip.entryCount} members, more than any pack`)
  const members = new Map<string, PackMember>()
  // Typed as a boolean. Before the first entry it is where the directory begins.
  const first = Number(zip.readEntryCursor)
  let [offset, directory, unpacked] = [0, 0, 0]
  for await (const entry of zip.eachEntry()) {
    const { fileName: name } = entry
    const shown = printable(name)
    if (!isMemberName(name)) add(shown, 'no pack has a member of that name')
    if (members.has(name)) add(shown, 'it is there twice')
    const isStreamed = /^(?:evidence|changes|reports)\//.test(name)
    const isWide = [entry.uncompressedSize, entry.compressedSize, offset].some((number) => number > 0xff_ff_ff_fe)
    if (entry.compressionMethod !== 0) unpacked += entry.uncompressedSize
    if (unpacked > MOST_UNPACKED) throw new OpenPackError('its members unpack to more than those of any pack')
    // Compared as it lies there: the reader skips some of its fields.
    const record = centralRecord(entry, { isStreamed, isWide, offset })
    if (!(await isAt(first + directory, record, file)))
      add(shown, 'its entry in the zip directory is not as a pack has it')
    directory += 46 + entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength
    const head = Buffer.concat([localHeader(entry, isStreamed), Buffer.from(name)])
    if (!(await isAt(offset, head, file))) add(shown, 'its header in the zip file is not as a pack has it')
    const start = offset + head.length
    const tail = isStreamed ? descriptor(entry, isWide) : Buffer.of()
    offset = start + entry.compressedSize
    if (!(await isAt(offset, tail, file))) add(shown, 'what follows it in the zip file is not as a pack has it')
    offset += tail.length
    members.set(name, {
      name,
      size: entry.uncompressedSize,
      packedSize: entry.compressedSize,
      isDeflated: entry.compressionMethod !== 0,
      crc: entry.crc32,
      start,
    })
  }
  const end = endRecords({ count: zip.entryCount, start: offset, length: directory })
  if (zip.fileSize !== offset + directory + end.length || !(await isAt(offset + directory, end, file)))
    add(null, 'The end of the zip file is not as a pack has it: something was added, or it was cut')
  return members
}

// ---------------------------------------------------------------- what a pack's zip consists of, byte by byte

const MADE_BY = 0x33f
const UTF8 = 0x800
const STREAMED = 8
const WIDE = 0xff_ff_ff_ff

function localHeader(entry: Entry, isStreamed: boolean): Buffer {
  const known = isStreamed ? [0, 0, 0] : [entry.crc32, entry.compressedSize, entry.uncompressedSize]
  return Buffer.concat([
    u32(0x04_03_4b_50),
    ...[20, UTF8 | (isStreamed ? STREAMED : 0), isStored(entry.fileName) ? 0 : 8, ZIP.dosTime, ZIP.dosDate].map(u16),
    ...known.map(u32),
    u16(entry.fileNameLength),
    u16(0),
  ])
}

/** The record of the directory; the sizes of large members stand in a field of their own. */
function centralRecord(
  entry: Entry,
  { isStreamed, isWide, offset }: { readonly isStreamed: boolean; readonly isWide: boolean; readonly offset: number },
): Buffer {
  const { compressedSize, uncompressedSize } = entry
  const name = Buffer.from(entry.fileName)
  const wide = isWide ? [u16(1), u16(24), ...[uncompressedSize, compressedSize, offset].map(u64)] : []
  const extra = Buffer.concat(wide)
  const numbers = isWide ? [WIDE, WIDE, WIDE] : [compressedSize, uncompressedSize, offset]
  const [method, flags] = [isStored(entry.fileName) ? 0 : 8, UTF8 | (isStreamed ? STREAMED : 0)]
  return Buffer.concat([
    u32(0x02_01_4b_50),
    ...[MADE_BY, isWide ? 45 : 20, flags, method, ZIP.dosTime, ZIP.dosDate].map(u16),
    ...[entry.crc32, ...numbers.slice(0, 2)].map(u32),
    ...[name.length, extra.length, 0, 0, 0].map(u16),
    ...[ZIP.mode * 0x1_00_00, ...numbers.slice(2)].map(u32),
    name,
    extra,
  ])
}

function descriptor({ crc32: crc, compressedSize, uncompressedSize }: Entry, isWide: boolean): Buffer {
  return Buffer.concat([u32(0x08_07_4b_50), u32(crc), ...[compressedSize, uncompressedSize].map(isWide ? u64 : u32)])
}

function endRecords({
  count,
  start,
  length,
}: {
  readonly count: number
  readonly start: number
  readonly length: number
}): Buffer {
  const few = Math.min(count, 0xff_ff)
  const end = Buffer.concat([u32(0x06_05_4b_50), ...[0, 0, few, few].map(u16), u32(length), u32(start), u16(0)])
  if (count < 0xff_ff && length < 0xff_ff_ff_ff && start < 0xff_ff_ff_ff) return end
  return Buffer.concat([
    u32(0x06_06_4b_50),
    u64(44),
    ...[MADE_BY, 45].map(u16),
    ...[0, 0].map(u32),
    ...[count, count, length, start].map(u64),
    ...[0x07_06_4b_50, 0].map(u32),
    u64(start + length),
    u32(1),
    end,
  ])
}

function u16(number: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(number)
  return bytes
}

/** Larger numbers stand elsewhere, and here as the largest. */
function u32(number: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(Math.min(number, 0xff_ff_ff_ff))
  return bytes
}

function u64(number: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(number))
  return bytes
}

// ---------------------------------------------------------------- reading

async function isAt(position: number, wanted: Buffer, file: FileHandle): Promise<boolean> {
  if (wanted.length === 0) return true
  const { bytesRead, buffer } = await file.read(Buffer.alloc(wanted.length), 0, wanted.length, position)
  return bytesRead === wanted.length && Buffer.compare(buffer, wanted) === 0
}

/** Buffers that nobody reads into now: each of thousands of members would leave one behind. */
const free: Buffer[] = []

/** Pieces of a member. Each holds until the next one is read. */
async function* piecesOf({ start, packedSize }: PackMember, file: FileHandle): AsyncGenerator<Buffer> {
  const buffer = free.pop() ?? Buffer.allocUnsafeSlow(PIECE)
  try {
    for (let at = 0; at < packedSize;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(PIECE, packedSize - at), start + at)
      if (bytesRead === 0) return
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    free.push(buffer)
  }
}

async function digestOf(member: PackMember, file: FileHandle): Promise<MemberDigest> {
  const digest = createHash('sha256')
  let [size, crc] = [0, 0]
  for await (const piece of piecesOf(member, file)) {
    digest.update(piece)
    crc = crc32(piece, crc)
    size += piece.length
  }
  return { size, sha256: digest.digest('hex'), crc }
}

async function readMember(member: PackMember, file: FileHandle): Promise<ReadMember | undefined> {
  if (Math.max(member.size, member.packedSize) > MOST_IN_MEMORY) return undefined
  const pieces: Buffer[] = []
  for await (const piece of piecesOf(member, file)) pieces.push(Buffer.from(piece))
  const packed = Buffer.concat(pieces)
  try {
    const body = member.isDeflated ? inflated(packed, member.size) : packed
    return body && { body, packedSha256: hash('sha256', packed), crc: crc32(body) }
  } catch {
    return undefined
  }
}

/** Undefined where something follows what is packed: it would be in no digest. Throws where there is more than the entry says: a small file cannot fill the memory. */
function inflated(packed: Buffer, size: number): Buffer | undefined {
  const options = { maxOutputLength: Math.max(size, 1), info: true }
  // The types do not know what "info" gives.
  const { buffer, engine } = inflateRawSync(packed, options) as unknown as Inflated
  return engine.bytesWritten === packed.length ? buffer : undefined
}

type Inflated = { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } }

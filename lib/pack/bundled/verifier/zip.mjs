// The pack as a zip, of which every byte has one right value, and as a folder.
import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import * as zlib from 'node:zlib'
import { add, broken, plain, SAFE, same, SEALED } from './common.mjs'

const PIECE = 1 << 20
/** What is not deflated. */
const STORED = /^(evidence|changes|reports|log)\/|\.pdf$|^(manifest\.json|MANIFEST\.sha256)$/

const CRC = Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c >>> 0
})
export const crc32 = (bytes, before) => {
  // Node.js 22.2 and later have it, and are faster.
  if (zlib.crc32 !== undefined) return zlib.crc32(bytes, before)
  let c = ~before
  for (let at = 0; at < bytes.length; at++) c = (c >>> 8) ^ CRC[(c ^ bytes[at]) & 0xff]
  return ~c >>> 0
}

const u16 = (n) => Buffer.from([n & 255, (n >> 8) & 255])
const u32 = (n) =>
  n > 0xffffffff
    ? u32(0xffffffff)
    : (() => {
        const b = Buffer.alloc(4)
        b.writeUInt32LE(n)
        return b
      })()
const u64 = (n) => {
  const b = Buffer.alloc(8)
  b.writeBigUInt64LE(BigInt(n))
  return b
}

function isWide({ size, packed, offset }) {
  return size > 0xfffffffe || packed > 0xfffffffe || offset > 0xfffffffe
}

function localHeader(entry) {
  const { name, isStreamed, method } = entry
  const known = isStreamed ? [0, 0, 0] : [entry.crc, entry.packed, entry.size]
  const flags = 0x800 | (isStreamed ? 8 : 0)
  return Buffer.concat([
    u32(0x04034b50),
    u16(20),
    u16(flags),
    u16(method),
    u16(0),
    u16(0x21),
    ...known.map(u32),
    u16(name.length),
    u16(0),
    name,
  ])
}

function descriptor(entry) {
  if (!entry.isStreamed) return Buffer.alloc(0)
  const sizes = [entry.packed, entry.size].map(isWide(entry) ? u64 : u32)
  return Buffer.concat([u32(0x08074b50), u32(entry.crc), ...sizes])
}

function centralRecord(entry) {
  const { name, isStreamed, method, crc } = entry
  const wide = isWide(entry)
  const extra = wide
    ? Buffer.concat([u16(1), u16(24), u64(entry.size), u64(entry.packed), u64(entry.offset)])
    : Buffer.alloc(0)
  const numbers = wide ? [0xffffffff, 0xffffffff] : [entry.packed, entry.size]
  return Buffer.concat([
    u32(0x02014b50),
    u16(0x33f),
    u16(wide ? 45 : 20),
    u16(0x800 | (isStreamed ? 8 : 0)),
    u16(method),
    u16(0),
    u16(0x21),
    u32(crc),
    ...numbers.map(u32),
    u16(name.length),
    u16(extra.length),
    u16(0),
    u16(0),
    u16(0),
    u32(0o100644 * 65536),
    u32(wide ? 0xffffffff : entry.offset),
    name,
    extra,
  ])
}

function endRecords(count, start, length) {
  const isLong = count >= 0xffff || length >= 0xffffffff || start >= 0xffffffff
  const few = Math.min(count, 0xffff)
  const end = Buffer.concat([u32(0x06054b50), u16(0), u16(0), u16(few), u16(few), u32(length), u32(start), u16(0)])
  if (!isLong) return end
  return Buffer.concat([
    u32(0x06064b50),
    u64(44),
    u16(0x33f),
    u16(45),
    u32(0),
    u32(0),
    u64(count),
    u64(count),
    u64(length),
    u64(start),
    u32(0x07064b50),
    u32(0),
    u64(start + length),
    u32(1),
    end,
  ])
}

export function openZip(path) {
  const fd = openSync(path, 'r')
  const fileSize = fstatSync(fd).size
  const read = (from, length) => {
    const bytes = Buffer.alloc(length)
    if (from < 0 || from + length > fileSize || readSync(fd, bytes, 0, length, from) !== length)
      throw broken(path, 'it was cut, or is no pack')
    return bytes
  }
  const end = read(fileSize - 22, 22)
  if (end.readUInt32LE(0) !== 0x06054b50) throw broken(path, 'it is no zip file that ends as a pack does')
  let [count, length, start] = [end.readUInt16LE(10), end.readUInt32LE(12), end.readUInt32LE(16)]
  if (count === 0xffff || length === 0xffffffff || start === 0xffffffff) {
    const wide = read(fileSize - 98, 56)
    ;[count, length, start] = [24, 40, 48].map((at) => Number(wide.readBigUInt64LE(at === 24 ? 32 : at)))
  }
  if (!(start + length < fileSize)) throw broken(path, 'its directory is not where it says')
  const directory = read(start, length)
  if (!same(endRecords(count, start, length), read(start + length, fileSize - start - length)))
    add(path, 'the end of the zip file is not as a pack has it')
  const members = new Map()
  let at = 0
  let offset = 0
  for (let number = 0; number < count; number++) {
    if (at + 46 > directory.length) throw broken(path, 'its directory is cut')
    const name = directory.subarray(at + 46, at + 46 + directory.readUInt16LE(at + 28))
    const text = name.toString()
    const extra = directory.readUInt16LE(at + 30)
    const isExtended = extra === 28 && at + 46 + name.length + 28 <= directory.length
    const wide = (from) => Number(directory.readBigUInt64LE(at + 46 + name.length + from))
    const entry = {
      name,
      offset,
      isStreamed: SEALED.test(text),
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      packed: isExtended ? wide(12) : directory.readUInt32LE(at + 20),
      size: isExtended ? wide(4) : directory.readUInt32LE(at + 24),
    }
    const record = centralRecord(entry)
    if (!same(record, directory.subarray(at, at + record.length)))
      add(plain(text), 'its record in the zip directory is not as a pack has it')
    at += 46 + name.length + extra + directory.readUInt16LE(at + 32)
    if (!SAFE.test(text)) add(plain(text), 'no pack has a member of such a name')
    if (members.has(text)) add(text, 'it is there twice')
    const head = localHeader(entry)
    const data = offset + head.length
    const tail = descriptor(entry)
    if (data + entry.packed + tail.length > start)
      throw broken(plain(text), 'it reaches beyond the members of the zip file')
    if (!same(head, read(offset, head.length))) add(plain(text), 'its header in the zip file is not as a pack has it')
    if (!same(tail, read(data + entry.packed, tail.length)))
      add(plain(text), 'what follows it in the zip file is not as a pack has it')
    offset = data + entry.packed + tail.length
    if (entry.method !== (STORED.test(text) ? 0 : 8))
      throw broken(plain(text), 'it is packed in a way that no pack uses')
    members.set(text, {
      ...entry,
      *pieces() {
        for (let from = 0; from < entry.packed; from += PIECE)
          yield read(data + from, Math.min(PIECE, entry.packed - from))
      },
    })
  }
  if (at !== directory.length) add(path, 'its directory has more than its members')
  if (offset !== start) add(path, 'there are bytes between its members and its directory')
  return { members, close: () => closeSync(fd) }
}

// ---- the pack as a folder

export function openFolder(folder) {
  const members = new Map()
  const walk = (below) => {
    for (const name of readdirSync(join(folder, below)).sort()) {
      const path = below === '' ? name : `${below}/${name}`
      const stats = lstatSync(join(folder, path))
      if (stats.isDirectory()) walk(path)
      else if (!stats.isFile()) add(plain(path), 'it is a link or something else that no pack has')
      else if (!SAFE.test(path)) add(plain(path), 'no pack has a member of such a name')
      else
        members.set(path, {
          method: 0,
          size: stats.size,
          packed: stats.size,
          *pieces() {
            const fd = openSync(join(folder, path), 'r')
            try {
              const piece = Buffer.alloc(PIECE)
              for (let got = readSync(fd, piece, 0, PIECE, null); got > 0; got = readSync(fd, piece, 0, PIECE, null))
                yield piece.subarray(0, got)
            } finally {
              closeSync(fd)
            }
          },
        })
    }
  }
  walk('')
  return { members, close: () => undefined }
}

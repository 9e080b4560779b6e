/** Packs as a forger writes them: as a pack is written, with a manifest that lists what they want. */
import { hash } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { deflateRawSync } from 'node:zlib'
import { ZipFile } from 'yazl'
import {
  formatManifest,
  formatSums,
  isStored,
  type ListedMember,
  MANIFEST,
  type Manifest,
  SUMS,
  ZIP,
} from '../../../lib/pack/members.ts'

/** A member to write. */
export type Written = {
  readonly name: string
  readonly body: Uint8Array
  readonly mode?: number
  /** Absent: as a pack has it. */
  readonly isDeflated?: boolean
  /** What follows its deflate stream; of the first member alone. */
  readonly trailing?: Uint8Array
}

/** A zip as a pack is written. */
export async function zipOf(written: readonly Written[]): Promise<Buffer> {
  const zip = new ZipFile()
  for (const { name, body, mode = ZIP.mode, isDeflated = !isStored(name) } of written) {
    const options = { mtime: new Date(1980, 0, 1), mode, forceDosTimestamp: true }
    if (/^(?:evidence|changes|reports)\//.test(name))
      zip.addReadStreamLazy(name, { ...options, compress: false, size: body.length }, (give) =>
        give(null, Readable.from([Buffer.from(body)], { objectMode: false })),
      )
    else zip.addBuffer(Buffer.from(body), name, { ...options, compressionLevel: isDeflated ? ZIP.level : 0 })
  }
  zip.end()
  const bytes = await buffer(zip.outputStream)
  const trailing = written[0]?.trailing
  return trailing === undefined ? bytes : followed(bytes, trailing)
}

/** Bytes after what the first member packs, with all sizes and places in the zip to match. */
function followed(zip: Buffer, trailing: Uint8Array): Buffer {
  const more = (bytes: Buffer, at: number) => bytes.writeUInt32LE(bytes.readUInt32LE(at) + trailing.length, at)
  const start = zip.readUInt32LE(zip.length - 6)
  const data = 30 + zip.readUInt16LE(26)
  const end = data + zip.readUInt32LE(18)
  const rest = Buffer.from(zip.subarray(start))
  const head = Buffer.from(zip.subarray(0, end))
  more(head, 18)
  more(rest, 20)
  for (let at = 0; rest.readUInt32LE(at) === 0x02_01_4b_50;) {
    if (at > 0) more(rest, at + 42)
    at += 46 + rest.readUInt16LE(at + 28)
  }
  more(rest, rest.length - 6)
  return Buffer.concat([head, trailing, zip.subarray(end, start), rest])
}

/** The pack that a forger makes of members: with a manifest that lists exactly them, and further ones where given. */
export function forgedPack(
  written: readonly Written[],
  heading: Omit<Manifest, 'members'>,
  listedToo: readonly ListedMember[] = [],
): Promise<Buffer> {
  const members = written.filter(({ name }) => name !== MANIFEST && name !== SUMS)
  const listed = members.map(({ name, body, isDeflated = !isStored(name), trailing = Buffer.of() }) => {
    const packed = Buffer.concat([deflateRawSync(body, { level: ZIP.level }), trailing])
    return {
      name,
      size: body.length,
      sha256: hash('sha256', body),
      ...(!isDeflated ? {} : { packed: { size: packed.length, sha256: hash('sha256', packed) } }),
    }
  })
  const manifest = { ...heading, members: [...listed, ...listedToo] }
  const listing = formatManifest(manifest)
  return zipOf([
    ...members,
    { name: MANIFEST, body: listing },
    { name: SUMS, body: Buffer.from(formatSums(manifest, hash('sha256', listing))) },
  ])
}

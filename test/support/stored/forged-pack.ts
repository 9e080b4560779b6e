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
export type Written = { readonly name: string; readonly body: Uint8Array; readonly mode?: number }

/** A zip as a pack is written. */
export function zipOf(written: readonly Written[]): Promise<Buffer> {
  const zip = new ZipFile()
  for (const { name, body, mode = ZIP.mode } of written) {
    const options = { mtime: new Date(1980, 0, 1), mode, forceDosTimestamp: true }
    if (/^(?:evidence|changes|reports)\//.test(name))
      zip.addReadStreamLazy(name, { ...options, compress: false, size: body.length }, (give) =>
        give(null, Readable.from([Buffer.from(body)], { objectMode: false })),
      )
    else zip.addBuffer(Buffer.from(body), name, { ...options, compressionLevel: isStored(name) ? 0 : ZIP.level })
  }
  zip.end()
  return buffer(zip.outputStream)
}

/** The pack that a forger makes of members: with a manifest that lists exactly them, and further ones where given. */
export function forgedPack(
  written: readonly Written[],
  heading: Omit<Manifest, 'members'>,
  listedToo: readonly ListedMember[] = [],
): Promise<Buffer> {
  const members = written.filter(({ name }) => name !== MANIFEST && name !== SUMS)
  const listed = members.map(({ name, body }) => {
    const packed = deflateRawSync(body, { level: ZIP.level })
    return {
      name,
      size: body.length,
      sha256: hash('sha256', body),
      ...(isStored(name) ? {} : { packed: { size: packed.length, sha256: hash('sha256', packed) } }),
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

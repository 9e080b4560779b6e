/** Compares what lies in a pack with its manifest. */
import { hash } from 'node:crypto'
import { concurrently } from '../../concurrently.ts'
import type { AddFinding } from '../../seal/verify/finding.ts'
import { printable } from '../../text/printable.ts'
import { formatSums, isStored, type ListedMember, type Manifest, MANIFEST, parseManifest, SUMS } from '../members.ts'
import type { OpenPack } from './open-pack.ts'

/** So many members that are stored as they are, are read at once: reading one and hashing another overlap. */
const AT_ONCE = 4

/** What the pack's own listing says; undefined where there is none. */
export async function readManifest(pack: OpenPack, add: AddFinding): Promise<Manifest | undefined> {
  const body = await bodyOf(MANIFEST, pack, add)
  const sums = await bodyOf(SUMS, pack, add)
  const manifest = body === undefined ? undefined : parseManifest(body)
  if (body === undefined || manifest === undefined) {
    if (body !== undefined) add(MANIFEST, 'it is not a manifest that this version reads, in its canonical form')
    return undefined
  }
  if (sums !== undefined && Buffer.compare(sums, Buffer.from(formatSums(manifest, hash('sha256', body)))) !== 0)
    add(SUMS, `it does not list what ${MANIFEST} lists`)
  return manifest
}

/** The bytes of a member that must be there. */
async function bodyOf(name: string, pack: OpenPack, add: AddFinding): Promise<Buffer | undefined> {
  const member = pack.members.get(name)
  const read = member === undefined ? undefined : await pack.read(member)
  if (read === undefined) add(name, member === undefined ? 'it is missing' : 'it cannot be unpacked')
  else if (read.crc !== member?.crc) add(name, 'its checksum in the zip file is another one')
  return read?.body
}

/** Hashes every member and compares it with the manifest: bytes, sizes, order, and that nothing is missing or too much. Gives the bytes of all members, unpacked. */
export async function checkMembers(
  manifest: Manifest,
  pack: OpenPack,
  add: AddFinding,
  onProgress: (bytes: number) => void = () => undefined,
): Promise<{ readonly bytes: number }> {
  const wanted = [...manifest.members.map(({ name }) => name), MANIFEST, SUMS]
  const names = new Set(wanted)
  for (const name of pack.members.keys()) if (!names.has(name)) add(printable(name), 'it does not belong to the pack')
  const present = wanted.filter((name) => pack.members.has(name))
  const stray = [...pack.members.keys()].filter((name) => names.has(name)).find((name, at) => name !== present[at])
  if (stray !== undefined) add(stray, `its place in the zip file is not the one that ${MANIFEST} lists`)
  let bytes = 0
  const problems = new Map<string, string | undefined>()
  const check = async (listed: ListedMember): Promise<void> => {
    problems.set(listed.name, await problemOf(listed, pack))
    bytes += listed.size
    onProgress(bytes)
  }
  const isPlain = ({ name }: ListedMember): boolean => isStored(name)
  await concurrently(manifest.members.filter(isPlain), AT_ONCE, check)
  // The others are unpacked in memory, so never two of them at once.
  for (const listed of manifest.members.filter((one) => !isPlain(one))) await check(listed)
  // In the order of the zip, whichever was read first.
  for (const { name } of manifest.members) {
    const problem = problems.get(name)
    if (problem !== undefined) add(name, problem)
  }
  return { bytes }
}

async function problemOf({ name, size, sha256, packed }: ListedMember, pack: OpenPack): Promise<string | undefined> {
  const member = pack.members.get(name)
  if (member === undefined) return 'it is missing'
  if (isStored(name)) {
    const digest = await pack.digest(member)
    if (digest.size !== size || digest.sha256 !== sha256) return OTHER_BYTES
    if (packed !== undefined) return `${MANIFEST} lists it as packed, and it is stored as it is`
    return digest.crc === member.crc ? undefined : OTHER_CRC
  }
  const read = await pack.read(member)
  if (read === undefined) return 'it cannot be unpacked'
  if (read.body.length !== size || hash('sha256', read.body) !== sha256) return OTHER_BYTES
  if (packed?.size !== member.packedSize || packed.sha256 !== read.packedSha256)
    return `what is packed is not what ${MANIFEST} lists`
  return read.crc === member.crc && member.size === size ? undefined : OTHER_CRC
}

const OTHER_BYTES = `its bytes are not those that ${MANIFEST} lists`
const OTHER_CRC = 'its checksum in the zip file is another one'

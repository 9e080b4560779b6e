// Every member compared with the manifest.
import { createHash } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import { add, broken, parse, plain, same, SEALED, sha256 } from './common.mjs'
import { crc32 } from './zip.mjs'

const MOST_INFLATED = 512 * 1024 * 1024
/** All that a pack unpacks comes to less: a small file may not keep a reader busy for hours. */
const MOST_IN_ALL = 4 * MOST_INFLATED
const LISTINGS = ['manifest.json', 'MANIFEST.sha256']
/** What every pack has, beside the log, what is sealed, and the documents of the report. */
const ALWAYS = [
  'README.txt',
  ...['control', 'path', 'window'].map((name) => `index/by-${name}.csv`),
  'report.tlog-proof',
  'vkey.txt',
  'vkey.pem',
  'log/checkpoint',
  'verify.mjs',
  ...['common', 'log', 'members', 'sealed', 'zip'].map((part) => `verifier/${part}.mjs`),
]
const KNOWN = new Set([...ALWAYS, ...LISTINGS, 'report.html', 'report.pdf', 'controls.json'])
/** Which of these a pack has, the log and the record of the report say. */
const NAMED = /^(data\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$|log\/tile\/)/

/** What lies in the pack, and what it comes to. Gives the bytes of what is kept alone. */
export function readMember(name, { method, size, packed, crc, pieces }, isKept) {
  if (method === 0 && !isKept) {
    const digest = createHash('sha256')
    let got = 0
    let sum = 0
    for (const piece of pieces()) {
      digest.update(piece)
      got += piece.length
      if (crc !== undefined) sum = crc32(piece, sum)
    }
    if (crc !== undefined && sum !== crc) add(name, 'its checksum in the zip file is another one')
    return { size: got, sha256: digest.digest('hex'), packed: undefined, body: undefined }
  }
  if (size > MOST_INFLATED || packed > MOST_INFLATED) throw broken(name, 'it is too large')
  const raw = Buffer.concat([...pieces()].map((piece) => Buffer.from(piece)))
  let body = raw
  if (method === 8)
    try {
      const { buffer, engine } = inflateRawSync(raw, { maxOutputLength: Math.max(size, 1), info: true })
      if (engine.bytesWritten !== raw.length) add(name, 'something follows what is packed')
      body = buffer
    } catch {
      add(name, 'it cannot be unpacked')
      body = Buffer.alloc(0)
    }
  if (crc !== undefined && crc32(body, 0) !== crc) add(name, 'its checksum in the zip file is another one')
  const listed = method === 8 ? { size: raw.length, sha256: sha256(raw) } : undefined
  return { size: body.length, sha256: sha256(body), packed: listed, body: isKept ? body : undefined }
}

export function readManifest(members) {
  const stored = members.get('manifest.json')
  if (stored === undefined) throw broken('manifest.json', 'it is missing')
  const { body, sha256: sum } = readMember('manifest.json', stored, true)
  const manifest = parse(body)
  if (manifest?.format !== 'ciphertrail/pack/1' || !Array.isArray(manifest.members))
    throw broken('manifest.json', 'it is not the manifest of a pack')
  const listed = manifest.members.map(({ name, packed, sha256: own, size } = {}) => ({
    name,
    ...(packed === undefined ? {} : { packed: { sha256: packed?.sha256, size: packed?.size } }),
    sha256: own,
    size,
  }))
  const { evidence, format, report, version } = manifest
  if (!same(Buffer.from(JSON.stringify({ evidence, format, members: listed, report, version })), body))
    add('manifest.json', 'it is not in its canonical form')
  const lines = [...listed, { name: 'manifest.json', sha256: sum }]
    .map((one) => `${one.sha256}  ${one.name}\n`)
    .join('')
  const sums = members.get('MANIFEST.sha256')
  if (sums === undefined) add('MANIFEST.sha256', 'it is missing')
  else if (!same(readMember('MANIFEST.sha256', sums, true).body, Buffer.from(lines)))
    add('MANIFEST.sha256', 'it does not list what manifest.json lists')
  return { ...manifest, members: listed }
}

/** What is looked into later. */
const isKept = (name, report) =>
  /^(log|changes\/clusters)\//.test(name) ||
  ['vkey.txt', 'vkey.pem', 'report.tlog-proof', 'data/windows.csv', report].includes(name)

/** Compares each member with the manifest; gives the bytes of those that are looked into later. */
export function checkMembers(members, manifest, isZip) {
  let inflated = 0
  for (const { method, size } of members.values()) if (method === 8) inflated += size
  if (inflated > MOST_IN_ALL)
    throw broken('manifest.json', `its members unpack to ${inflated} bytes, more than any pack`)
  const bodies = new Map()
  const wanted = [...manifest.members.map(({ name }) => name), ...LISTINGS]
  const names = new Set(wanted)
  if (names.size !== wanted.length) add('manifest.json', 'it lists a member twice')
  if (isZip && [...members.keys()].join('\n') !== wanted.join('\n'))
    add('manifest.json', 'it does not list the members in the order of the zip file')
  for (const name of members.keys()) if (!names.has(name)) add(name, 'it does not belong to the pack')
  for (const name of names)
    if (!KNOWN.has(name) && !NAMED.test(name) && !SEALED.test(name)) add(name, 'no pack has a member of such a name')
  for (const name of ALWAYS) if (!names.has(name)) add(name, 'it is missing')
  // On a disk that does not tell them apart, one would take the place of the other.
  const alike = new Set()
  for (const name of [...names].map((one) => String(one).toLowerCase()))
    if (alike.has(name)) add(name, 'it is there twice, in letters of another case')
    else alike.add(name)
  let bytes = 0
  for (const { name, size, sha256: sum, packed } of manifest.members) {
    const member = members.get(name)
    if (member === undefined) {
      add(plain(name), 'it is missing')
      continue
    }
    const read = readMember(name, member, isKept(name, manifest.report))
    if (read.size !== size || read.sha256 !== sum) add(name, 'its bytes are not those that the manifest lists')
    if (isZip && JSON.stringify(read.packed) !== JSON.stringify(packed && { size: packed.size, sha256: packed.sha256 }))
      add(name, 'what is packed is not what the manifest lists')
    bytes += read.size
    if (read.body !== undefined) bodies.set(name, read.body)
  }
  return { bodies, bytes }
}

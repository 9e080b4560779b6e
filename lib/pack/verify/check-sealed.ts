/** Compares a pack with what is sealed: the log by its key, every object and document by its leaf, every window by the registry. */
import canonicalize from 'canonicalize'
import { compareText } from '../../text/order.ts'
import { parseJson } from '../../text/parse-json.ts'
import { printable } from '../../text/printable.ts'
import type { AddFinding } from '../../seal/verify/finding.ts'
import { LeafError } from '../../seal/leaf.ts'
import { openCheckpoint, type Checkpoint } from '../../seal/tlog/checkpoint.ts'
import { areEqual } from '../../seal/tlog/merkle.ts'
import { NoteError, parseNote, type Verifier } from '../../seal/tlog/note.ts'
import { BundleError, decodeBundle, TILE_WIDTH, tilePath } from '../../seal/tlog/tiles.ts'
import { readReport, type ReportRecord } from '../../store/evidence/report-records.ts'
import { StoreError } from '../../store/objects/objects.ts'
import { readWatched } from '../../store/registry/registry.ts'
import { type PeriodWindows, WINDOWS_DOCUMENT, windowsOf } from '../completeness.ts'
import { packedObjects } from '../index-files.ts'
import { haveRoot, leavesOf, logMembers, proofMember } from '../log-files.ts'
import { CHECKPOINT, documentMember, LOG, type Manifest, PROOF } from '../members.ts'
import type { NumberedLeaf, ObjectLeaf, PackScope } from '../packed-leaves.ts'
import type { OpenPack } from './open-pack.ts'
import { packObjects } from './pack-objects.ts'

/** A log that the key signed, read from a pack. */
export type PackedLog = {
  readonly checkpoint: Checkpoint
  readonly note: Uint8Array
  readonly entries: readonly Uint8Array[]
  readonly leaves: readonly NumberedLeaf[]
}

/** Reads the log of a pack; undefined, with a finding, where the key signed nothing that is there. */
export async function readLog(verifier: Verifier, pack: OpenPack, add: AddFinding): Promise<PackedLog | undefined> {
  const note = await bodyOf(CHECKPOINT, pack)
  if (note === undefined) {
    add(CHECKPOINT, 'it is missing: nothing in this pack is signed')
    return undefined
  }
  let checkpoint: Checkpoint
  try {
    checkpoint = openCheckpoint(note, verifier)
    const { text, signatures } = parseNote(note)
    if (signatures.length !== 1 || text.split('\n').length !== 4) add(CHECKPOINT, 'it has lines that no pack has')
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    add(CHECKPOINT, `it proves nothing: ${error.message}`)
    return undefined
  }
  const entries = await readEntries(checkpoint.size, pack, add)
  if (entries === undefined) return undefined
  if (!haveRoot(entries, checkpoint)) {
    add(CHECKPOINT, 'the entries of the log do not come to the root that was signed: nothing that they say is proved')
    await checkTiles(entries, note, pack, add)
    return undefined
  }
  await checkTiles(entries, note, pack, add)
  try {
    return { checkpoint, note, entries, leaves: leavesOf(entries) }
  } catch (error) {
    if (!(error instanceof LeafError)) throw error
    add(LOG, `a leaf is none that this version reads: ${error.message}`)
    return undefined
  }
}

async function bodyOf(name: string, pack: OpenPack): Promise<Buffer | undefined> {
  const member = pack.members.get(name)
  return member === undefined ? undefined : (await pack.read(member))?.body
}

async function readEntries(size: number, pack: OpenPack, add: AddFinding): Promise<Uint8Array[] | undefined> {
  const entries: Uint8Array[] = []
  for (let first = 0; first < size; first += TILE_WIDTH) {
    const width = Math.min(TILE_WIDTH, size - first)
    const name = `${LOG}${tilePath({ level: 'entries', index: first / TILE_WIDTH, width })}`
    const body = await bodyOf(name, pack)
    try {
      const bundle = body === undefined ? [] : decodeBundle(body)
      if (bundle.length !== width) {
        add(
          name,
          `${body === undefined ? 'it is missing' : `it has ${bundle.length} entries, wanted ${width}`}: nothing that the log says is proved`,
        )
        return undefined
      }
      entries.push(...bundle)
    } catch (error) {
      if (!(error instanceof BundleError)) throw error
      add(name, `${error.message}: nothing that the log says is proved`)
      return undefined
    }
  }
  return entries
}

/** The tiles are those that the entries make, and no others. */
async function checkTiles(
  entries: readonly Uint8Array[],
  note: Uint8Array,
  pack: OpenPack,
  add: AddFinding,
): Promise<void> {
  const made = new Map(logMembers(entries, note).map(({ name, body }) => [name, body]))
  for (const [name, wanted] of made) {
    const body = await bodyOf(name, pack)
    if (body === undefined || !areEqual(body, wanted))
      add(name, body === undefined ? 'it is missing' : 'it is not what the entries of the log make')
  }
  for (const name of pack.members.keys())
    if (name.startsWith(LOG) && !made.has(name)) add(name, 'the log has no such tile')
}

/** What a pack holds by what is sealed. */
export type SealedContents = {
  readonly scope: PackScope & { readonly record: ReportRecord }
  readonly objects: readonly ObjectLeaf[]
  readonly windows: PeriodWindows
}

/**
 * Compares every sealed object and document with its leaf, and the windows of the period with what was expected. Gives what the pack is of; undefined, with a finding,
 * where no sealed report is in it.
 */
export async function checkSealed(
  manifest: Manifest,
  log: PackedLog,
  pack: OpenPack,
  add: AddFinding,
): Promise<SealedContents | undefined> {
  const found = log.leaves.find(({ leaf }) => leaf.kind === 'report' && leaf.key === manifest.report)
  const record = await readRecord(manifest.report, pack)
  if (found === undefined || record === undefined) {
    add(
      manifest.report,
      found === undefined ? 'the log does not name the report of this pack' : 'it is no record of a report',
    )
    return undefined
  }
  const scope = { report: manifest.report, number: found.number, record, evidence: manifest.evidence }
  const objects = packedObjects(log.leaves, scope)
  checkObjects(manifest, objects, add)
  checkDocuments(manifest, record, add)
  const proof = await proofMember(log.entries, found.number, log)
  if (!areEqual((await bodyOf(PROOF, pack)) ?? Buffer.of(), proof.body)) add(PROOF, 'it is not the proof of the report')
  const judged = await bodyOf(documentMember(WINDOWS_DOCUMENT), pack)
  const windows = windowsOf(record, log.leaves, await registeredIn(objects, pack, add), judged)
  for (const id of windows.unknown) add(null, `Cluster "${id}" of the report: its registration is not in the pack`)
  for (const { cluster, window } of windows.untold)
    add(
      null,
      `Cluster "${cluster}": the window ${window.start} to ${window.end} is neither evidence nor a recorded gap`,
    )
  for (const { cluster, window } of windows.unjudged)
    add(
      documentMember(WINDOWS_DOCUMENT),
      `the report did not judge the window ${window.start} to ${window.end} of cluster "${cluster}": it was made before that was over`,
    )
  return { scope, objects, windows }
}

async function readRecord(key: string, pack: OpenPack): Promise<ReportRecord | undefined> {
  try {
    const record = await readReport(key, packObjects([key], pack))
    const body = await bodyOf(key, pack)
    // A record has one form.
    const text = body === undefined ? undefined : canonicalize(parseJson(body))
    return text !== undefined && text === body?.toString() ? record : undefined
  } catch (error) {
    if (error instanceof StoreError) return undefined
    throw error
  }
}

function checkObjects({ members }: Manifest, objects: readonly ObjectLeaf[], add: AddFinding): void {
  const listed = new Map(members.map((member) => [member.name, member]))
  for (const { number, leaf } of objects) {
    const member = listed.get(leaf.key)
    if (member === undefined) add(leaf.key, `it is missing, although leaf ${number} names it`)
    else if (member.sha256 !== leaf.sha256 || member.size !== leaf.size)
      add(leaf.key, `it is not what was sealed (leaf ${number})`)
  }
  const keys = new Set(objects.map(({ leaf }) => leaf.key))
  for (const { name } of members)
    if (/^(?:evidence|changes|reports)\//.test(name) && !keys.has(name))
      add(name, 'no leaf of the log names it for this report')
}

function checkDocuments({ members }: Manifest, { documents }: ReportRecord, add: AddFinding): void {
  const listed = new Map(members.map((member) => [member.name, member]))
  const wanted = new Set<string>()
  for (const { name, sha256, size } of documents) {
    const place = documentMember(name)
    wanted.add(place)
    const member = listed.get(place)
    if (member === undefined) add(place, 'it is missing, although it was sealed with the report')
    else if (member.sha256 !== sha256 || member.size !== size)
      add(place, 'it is not the document that was sealed with the report')
  }
  for (const { name } of members)
    if (/^(?:data\/|report\.(?:pdf|html)$)/.test(name) && !wanted.has(name))
      add(name, 'it was not sealed with the report')
}

/** The clusters as they had been registered, and removed, when the report was sealed. */
async function registeredIn(objects: readonly ObjectLeaf[], pack: OpenPack, add: AddFinding) {
  const keys = objects.map(({ leaf }) => leaf.key).toSorted(compareText)
  try {
    return await readWatched({ objects: packObjects(keys, pack) })
  } catch (error) {
    if (!(error instanceof Error)) throw error
    add(null, `The registered clusters cannot be read: ${printable(error.message)}`)
    return []
  }
}

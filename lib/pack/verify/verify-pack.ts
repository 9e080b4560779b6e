/** Verifies a pack by nothing but itself, a key and an earlier checkpoint. */
import { errorLine } from '../../text/error-line.ts'
import { printable } from '../../text/printable.ts'
import type { Checkpoint } from '../../seal/tlog/checkpoint.ts'
import { openCheckpoint } from '../../seal/tlog/checkpoint.ts'
import { type AddFinding, type Findings, findingsList } from '../../seal/verify/finding.ts'
import { areEqual } from '../../seal/tlog/merkle.ts'
import { NoteError, type Verifier, verifierOf } from '../../seal/tlog/note.ts'
import type { Timestamp } from '../../seal/timestamp/check-timestamp.ts'
import { TimestampError } from '../../seal/timestamp/timestamp-error.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { ReportRecord } from '../../store/evidence/report-records.ts'
import type { PeriodWindows } from '../completeness.ts'
import { writtenMembers } from '../contents.ts'
import { haveRoot, pemOf } from '../log-files.ts'
import {
  CONTROLS_FILE,
  documentMember,
  INDEX_FILES,
  type Manifest,
  PEM,
  README,
  VERIFIER_FILES,
  VKEY,
} from '../members.ts'
import type { PackScope } from '../packed-leaves.ts'
import type { PackedDocument } from '../select-report.ts'
import { checkMembers, readManifest } from './check-members.ts'
import { checkSealed, type PackedLog, readLog, type SealedContents } from './check-sealed.ts'
import { type OpenPack, openPack, OpenPackError } from './open-pack.ts'
import { packObjects } from './pack-objects.ts'

/** What an auditor asks of a pack. */
export type VerifyPackInput = {
  readonly path: string
  /** The log's public key, from elsewhere; undefined: the one in the pack is believed. */
  readonly vkey?: string
  /** An earlier checkpoint, as its file has it. */
  readonly since?: Uint8Array
  /** Version of the ciphertrail that verifies. */
  readonly version: string
  /** The time stamp that lies beside the pack; absent: none. */
  readonly timestamp?: GivenTimestamp
}

/** A time stamp, and what it is held against. */
export type GivenTimestamp = {
  readonly answer: Uint8Array
  /** Whose time stamps are believed, as PEM; absent: anybody's. */
  readonly authorities?: string
  readonly now: Date
}

/** What a report is made from again. */
export type RenderInput = {
  readonly scope: PackScope & { readonly record: ReportRecord }
  readonly log: PackedLog
  /** Documents of the pack, by name. */
  readonly documents: ReadonlyMap<string, Uint8Array>
}

/** What became of making the report again: the names of the documents that differ, or why it was not made. */
export type Rendering =
  | { readonly status: 'same'; readonly documents: number }
  | { readonly status: 'different'; readonly names: readonly string[] }
  | { readonly status: 'not-rendered'; readonly why: string }

/** Makes a report again; `objectsOf` gives the objects of the pack with these keys. */
export type RenderAgain = (input: RenderInput, objectsOf: (keys: Iterable<string>) => Objects) => Promise<Rendering>

/** Who makes the report again, and who is told how far it is. */
export type VerifyPackDeps = {
  /** Absent: the report is not made again. */
  readonly render?: RenderAgain | undefined
  readonly onProgress?: (what: string) => void
}

/** What was verified of a pack. */
export type PackVerification = {
  readonly key: {
    /** By which it was judged; null where there is none. */
    readonly vkey: string | null
    readonly from: 'given' | 'pack'
    /** That of the pack; null where it holds none. */
    readonly ofPack: string | null
  }
  /** Null where the key signed nothing in the pack: then nothing below is proved. */
  readonly checkpoint: Pick<Checkpoint, 'origin' | 'size' | 'root'> | null
  readonly since: (Pick<Checkpoint, 'size' | 'root'> & { readonly isContinued: boolean }) | null
  /** What the time stamp of the checkpoint says; null if there is none, or none that holds. */
  readonly timestamp: Timestamp | null
  readonly report: ({ readonly key: string } & Pick<ReportRecord, 'period' | 'clusters' | 'version'>) | null
  readonly members: number
  readonly bytes: number
  /** `all` that the report is based on, or that of the `period`; null where the manifest cannot be read. */
  readonly evidence: 'all' | 'period' | null
  /** Objects and documents that are as they were sealed. */
  readonly asSealed: { readonly attempts: number; readonly objects: number; readonly documents: number }
  readonly windows: Pick<PeriodWindows, 'attempts' | 'gaps' | 'left'> & {
    readonly untold: number
    readonly unjudged: number
  }
  readonly rendering: Rendering
  /** Whether the text, the index and the bundled verifier are what this version writes; null where another version made the pack. */
  readonly isAsWritten: boolean | null
  /** What is there and was not compared with anything, since another version made the pack. */
  readonly notChecked: readonly string[]
  readonly findings: Findings
}

/**
 * Verifies a pack: every byte of the zip, every member by the manifest, the log by the key, every object and document by its leaf, the windows of the period by the
 * registry, and the report by making it again. Throws a `NoteError` for a given key that is none, and where the file cannot be read.
 */
export async function verifyPack(
  { path, vkey, since, version, timestamp: stamp }: VerifyPackInput,
  { render, onProgress = () => undefined }: VerifyPackDeps,
): Promise<PackVerification> {
  const given = vkey === undefined ? undefined : verifierOf(vkey)
  const findings = findingsList()
  const { add } = findings
  const nothing = nothingVerified(vkey)
  let pack: OpenPack
  try {
    pack = await openPack(path, add)
  } catch (error) {
    if (!(error instanceof OpenPackError)) throw error
    add(null, `The pack cannot be read: ${error.message}`)
    return { ...nothing, findings: findings.all() }
  }
  try {
    const ofPack = await keyIn(pack, add)
    if (vkey !== undefined && ofPack !== vkey)
      add(VKEY, `the pack has another key than the one given: ${ofPack ?? 'none'}`)
    const key = { vkey: vkey ?? ofPack ?? null, from: nothing.key.from, ofPack: ofPack ?? null }
    const manifest = await readManifest(pack, add)
    const begun = { ...nothing, key, members: pack.members.size, evidence: manifest?.evidence ?? null }
    if (manifest === undefined) return { ...begun, findings: findings.all() }
    const { bytes } = await checkMembers(manifest, pack, add, (done) => onProgress(`${Math.round(done / 1e6)} MB`))
    const verifier = given ?? (ofPack === undefined ? undefined : verifierOf(ofPack))
    const log = verifier === undefined ? undefined : await readLog(verifier, pack, add)
    if (log === undefined || verifier === undefined) return { ...begun, bytes, findings: findings.all() }
    const before = findings.all().total
    const sealed = await checkSealed(manifest, log, pack, add)
    const isSealed = before === findings.all().total
    const compared = since === undefined ? null : compareSince(since, log, verifier, add)
    const timestamp = stamp === undefined ? null : await timestampOf(stamp, log.note, add)
    const isAsWritten =
      sealed === undefined || ofPack === undefined
        ? null
        : await checkWritten({ manifest, log, sealed, vkey: ofPack, version }, pack, add)
    const rendering =
      sealed === undefined || findings.all().total > 0
        ? NOT_AS_SEALED
        : await rendered({ sealed, log, render }, pack, add, onProgress)
    return {
      ...begun,
      bytes,
      checkpoint: log.checkpoint,
      since: compared,
      timestamp,
      report: sealed === undefined ? null : { key: sealed.scope.report, ...sealed.scope.record },
      asSealed: sealed === undefined || !isSealed ? nothing.asSealed : countsOf(sealed),
      windows: sealed === undefined ? nothing.windows : countedWindows(sealed.windows),
      isAsWritten,
      notChecked: isAsWritten === null ? [...pack.members.keys()].filter(isWritten) : [],
      rendering,
      findings: findings.all(),
    }
  } finally {
    await pack.close()
  }
}

const NOT_AS_SEALED: Rendering = { status: 'not-rendered', why: 'the pack is not as it was sealed' }

function nothingVerified(vkey: string | undefined): Omit<PackVerification, 'findings'> {
  return {
    key: { vkey: vkey ?? null, from: vkey === undefined ? 'pack' : 'given', ofPack: null },
    checkpoint: null,
    since: null,
    timestamp: null,
    report: null,
    members: 0,
    bytes: 0,
    evidence: null,
    asSealed: { attempts: 0, objects: 0, documents: 0 },
    windows: { attempts: 0, gaps: 0, untold: 0, unjudged: 0, left: [] },
    rendering: NOT_AS_SEALED,
    isAsWritten: null,
    notChecked: [],
  }
}

function countsOf({ objects, scope }: SealedContents): PackVerification['asSealed'] {
  return {
    attempts: objects.filter(({ leaf }) => leaf.kind === 'snapshot').length,
    objects: objects.length,
    documents: scope.record.documents.length,
  }
}

function countedWindows({ attempts, gaps, untold, unjudged, left }: PeriodWindows): PackVerification['windows'] {
  return { attempts, gaps, untold: untold.length, unjudged: unjudged.length, left }
}

/** The key that the pack names, in both of its forms; undefined where it names none. */
async function keyIn(pack: OpenPack, add: AddFinding): Promise<string | undefined> {
  const text = (await bodyOf(VKEY, pack))?.toString()
  try {
    const vkey = text?.endsWith('\n') === true ? text.slice(0, -1) : ''
    const pem = pemOf(vkey)
    if ((await bodyOf(PEM, pack))?.toString() !== pem) add(PEM, `it is not the key of ${VKEY}`)
    return vkey
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    add(VKEY, text === undefined ? 'it is missing' : 'it is not one line with a key')
    return undefined
  }
}

async function bodyOf(name: string, pack: OpenPack): Promise<Buffer | undefined> {
  const member = pack.members.get(name)
  return member === undefined ? undefined : (await pack.read(member))?.body
}

/** Whether the log of the pack begins with the leaves of an earlier checkpoint. */
function compareSince(
  since: Uint8Array,
  { checkpoint, entries }: PackedLog,
  verifier: Verifier,
  add: AddFinding,
): PackVerification['since'] {
  let earlier: Checkpoint
  try {
    earlier = openCheckpoint(since, verifier)
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    add(null, `The earlier checkpoint cannot be compared with: ${error.message}`)
    return null
  }
  const { size, root } = earlier
  const isContinued = size <= checkpoint.size && haveRoot(entries, earlier)
  if (size > checkpoint.size)
    add(
      null,
      `The checkpoint given has ${size} leaves, and the log of this pack ${checkpoint.size}: give an earlier one`,
    )
  else if (!isContinued)
    add(
      null,
      `The log was rewritten: its first ${size} leaves are not those of the earlier checkpoint, which the same key signed`,
    )
  return { size, root, isContinued }
}

async function timestampOf(
  { answer, authorities: pem, now }: GivenTimestamp,
  note: Uint8Array,
  add: AddFinding,
): Promise<Timestamp | null> {
  // Loaded on demand: few packs have one.
  const { checkTimestamp } = await import('../../seal/timestamp/check-timestamp.ts')
  const { readAuthorities } = await import('../../seal/timestamp/authorities.ts')
  try {
    return await checkTimestamp(answer, note, { authorities: pem === undefined ? [] : readAuthorities(pem), now })
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error
    add(null, `The time stamp is not one of the checkpoint in this pack: ${error.message}`)
    return null
  }
}

/** Of every pack, whichever version made it. That of the controls is in those whose report was judged by the controls of the version that made the pack. */
const ALWAYS_WRITTEN = [README, ...INDEX_FILES, ...VERIFIER_FILES]

function isWritten(name: string): boolean {
  return name === CONTROLS_FILE || ALWAYS_WRITTEN.includes(name)
}

/** Compares what no key signed with what this version writes. Null where another version made the pack: then it only has to be there. */
async function checkWritten(
  {
    manifest,
    log,
    sealed,
    vkey,
    version,
  }: {
    readonly manifest: Manifest
    readonly log: PackedLog
    readonly sealed: SealedContents
    readonly vkey: string
    readonly version: string
  },
  pack: OpenPack,
  add: AddFinding,
): Promise<boolean | null> {
  const missing = ALWAYS_WRITTEN.filter((name) => !pack.members.has(name))
  for (const name of missing) add(name, 'it is missing')
  // No key signed that version.
  if (manifest.version !== version) return null
  const documents = await documentsIn(sealed, pack)
  const head = { checkpoint: log.checkpoint }
  const written = await writtenMembers({ scope: sealed.scope, documents, leaves: log.leaves, head, vkey, version })
  const names = new Map(written.map(({ name, body }) => [name, body]))
  const compared = [...ALWAYS_WRITTEN, CONTROLS_FILE].filter(
    (name) => !missing.includes(name) && (names.has(name) || pack.members.has(name)),
  )
  let isSame = missing.length === 0
  for (const name of compared) {
    const [own, wanted] = [await bodyOf(name, pack), names.get(name)]
    if (own !== undefined && wanted !== undefined && areEqual(own, wanted)) continue
    isSame = false
    add(
      name,
      own === undefined ? 'it is missing' : `it is not what ciphertrail ${printable(version)} writes for this report`,
    )
  }
  return isSame
}

async function documentsIn({ scope }: SealedContents, pack: OpenPack): Promise<PackedDocument[]> {
  const documents: PackedDocument[] = []
  for (const { name } of scope.record.documents) {
    const body = await bodyOf(documentMember(name), pack)
    if (body !== undefined) documents.push({ name, body })
  }
  return documents
}

async function rendered(
  {
    sealed,
    log,
    render,
  }: { readonly sealed: SealedContents; readonly log: PackedLog; readonly render: RenderAgain | undefined },
  pack: OpenPack,
  add: AddFinding,
  onProgress: (what: string) => void,
): Promise<Rendering> {
  if (render === undefined) return { status: 'not-rendered', why: 'it was not asked for' }
  onProgress('making the report again')
  const documents = new Map((await documentsIn(sealed, pack)).map(({ name, body }) => [name, body]))
  let rendering: Rendering
  try {
    rendering = await render({ scope: sealed.scope, log, documents }, (keys) => packObjects(keys, pack))
  } catch (error) {
    if (!(error instanceof Error)) throw error
    rendering = { status: 'not-rendered', why: errorLine(error) }
    add(null, `The report cannot be made again from the evidence: ${rendering.why}`)
  }
  if (rendering.status === 'different')
    for (const name of rendering.names)
      add(documentMember(name), 'the evidence in this pack does not come to it: made again, it has other bytes')
  return rendering
}

/** What a pack is made of: everything but the evidence itself in memory, and of that the names and hashes. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import canonicalize from 'canonicalize'
import { CONTROLS, FRAMEWORKS } from '../assess/judge/controls.ts'
import { parseJson } from '../text/parse-json.ts'
import { indexMembers, packedObjects } from './index-files.ts'
import { logMembers, pemOf, proofMember, type PackedHead, type SmallMember } from './log-files.ts'
import { CONTROLS_FILE, documentMember, PEM, README, VERIFIER_FILES, VKEY } from './members.ts'
import type { NumberedLeaf, ObjectLeaf, PackScope } from './packed-leaves.ts'
import { readmeText } from './readme.ts'
import type { PackedDocument } from './select-report.ts'
import type { ReportRecord } from '../store/evidence/report-records.ts'

/** Which pack is to be made, by what is sealed. */
export type PackSource = {
  readonly scope: PackScope & { readonly record: ReportRecord }
  readonly documents: readonly PackedDocument[]
  /** Of the log, up to the head's size. */
  readonly entries: readonly Uint8Array[]
  /** What these say. */
  readonly leaves: readonly NumberedLeaf[]
  readonly head: PackedHead
  readonly vkey: string
  /** Version that makes the pack. */
  readonly version: string
}

/** The members of a pack. */
export type PackContents = {
  /** In no order. */
  readonly small: readonly SmallMember[]
  /** The sealed objects: evidence, changes, the record of the report. */
  readonly objects: readonly ObjectLeaf[]
}

/** The verifier that is put into every pack. */
export const VERIFIER_FOLDER = join(import.meta.dirname, 'bundled')

/** Makes the members. Equal sources give equal bytes. */
export async function packContents(source: PackSource): Promise<PackContents> {
  const { documents, entries, leaves, head, vkey, scope } = source
  const objects = packedObjects(leaves, scope)
  return {
    objects,
    small: [
      ...(await writtenMembers(source)),
      ...documents.map(({ name, body }) => ({ name: documentMember(name), body })),
      ...logMembers(entries, head.note),
      await proofMember(entries, scope.number, head),
      { name: VKEY, body: Buffer.from(`${vkey}\n`) },
      { name: PEM, body: Buffer.from(pemOf(vkey)) },
    ],
  }
}

/** The members that no key signed, which this version writes: text, index, controls and the verifier. Whoever verifies with the same version makes them again. */
export async function writtenMembers({
  documents,
  leaves,
  head: { checkpoint },
  vkey,
  scope,
  version,
}: Omit<PackSource, 'head' | 'entries'> & { readonly head: Pick<PackedHead, 'checkpoint'> }): Promise<SmallMember[]> {
  const attempts = packedObjects(leaves, scope).filter(({ leaf }) => leaf.kind === 'snapshot')
  const [first] = attempts
  const { record, report, evidence } = scope
  const readme = readmeText({
    record,
    report,
    number: scope.number,
    version,
    evidence,
    vkey,
    checkpoint,
    example: first === undefined ? undefined : { key: first.leaf.key, number: first.number },
    attempts: attempts.length,
  })
  const byName = new Map(documents.map(({ name, body }) => [name, body]))
  const summary = byName.get('summary.json')
  return [
    { name: README, body: Buffer.from(readme) },
    ...indexMembers(leaves, scope, byName),
    ...(usesTheseControls(summary) ? [{ name: CONTROLS_FILE, body: controlsJson() }] : []),
    ...(await Promise.all(
      VERIFIER_FILES.map(async (name) => ({ name, body: await readFile(join(VERIFIER_FOLDER, name)) })),
    )),
  ]
}

/** Canonical JSON, so that its SHA-256 is the one that the report prints. */
function controlsJson(): Uint8Array {
  return Buffer.from(canonicalize({ version: CONTROLS.version, frameworks: FRAMEWORKS }) ?? '')
}

/** Whether a report was judged by the controls of this version; those of another one are not at hand. */
function usesTheseControls(summary: Uint8Array | undefined): boolean {
  const content = summary === undefined ? undefined : parseJson(summary)
  const { controls } = (content ?? {}) as { readonly controls?: { readonly sha256?: unknown } }
  return controls?.sha256 === CONTROLS.sha256
}

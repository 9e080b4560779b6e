/** The pack of a report, from what is stored to a stream. */
import type { Writable } from 'node:stream'
import { readWatched } from '../store/registry/registry.ts'
import { readTimestamp, type StoredTimestamp } from '../seal/timestamp/stored-timestamp.ts'
import type { Objects } from '../store/objects/objects.ts'
import { reportsPrefix } from '../store/report-keys.ts'
import { byteWords } from '../report/words/vocabulary.ts'
import { printable } from '../text/printable.ts'
import { type ClusterWindow, WINDOWS_DOCUMENT, windowsOf } from './completeness.ts'
import { packContents } from './contents.ts'
import { packedObjects } from './index-files.ts'
import { haveRoot, leavesOf } from './log-files.ts'
import type { NumberedLeaf, PackScope } from './packed-leaves.ts'
import {
  entriesUpTo,
  firstHeadAfter,
  numberOf,
  PackError,
  presentHead,
  type PackedDocument,
  type DocumentReader,
  selectReport,
  type ReportSelector,
} from './select-report.ts'
import { writePack, type WriteDeps, type WrittenPack } from './write-pack.ts'

/** Which pack is wanted. */
export type PackInstructions = ReportSelector & {
  /** Leave out evidence from before and after the period: the report can then not be made again from the pack alone. */
  readonly isPeriodOnly: boolean
  /** Version of ciphertrail. */
  readonly version: string
  /** Most bytes of evidence that can be packed where this runs; absent: any number. */
  readonly mostBytes?: number
}

/** The store, and where documents are looked for that it does not hold. */
export type PackDeps = WriteDeps & { readonly elsewhere: DocumentReader }

/** A pack that was made. */
export type MadePack = WrittenPack & {
  /** Key of the record of its report. */
  readonly report: string
  /** How many leaves its log has. */
  readonly leaves: number
  readonly evidence: number
  /** The time stamp of its checkpoint, which is to lie beside it and is no part of it; null if the store has none. */
  readonly timestamp: StoredTimestamp | null
}

/**
 * Makes the pack of a report. The stream is opened only once all is known to be there but the evidence. Throws {@link PackError} with one line that says what to run.
 */
export async function makePack(
  { isPeriodOnly, version, mostBytes = Infinity, ...wanted }: PackInstructions,
  openSink: () => Writable,
  deps: PackDeps,
): Promise<MadePack> {
  const { objects } = deps
  const present = await presentHead(objects)
  const { key: report, record, documents } = await selectReport(wanted, present.head, deps)
  const sealed = await entriesUpTo(present.head.checkpoint.size, objects)
  const all = leavesOf(sealed)
  const number = numberOf(report, all)
  if (number === undefined)
    throw new PackError(`Cannot pack "${report}": the log does not name it, run "ciphertrail log check"`)
  const head = await firstHeadAfter(number, present, objects)
  const entries = sealed.slice(0, head.checkpoint.size)
  const leaves = all.slice(0, head.checkpoint.size)
  if (!haveRoot(entries, head.checkpoint))
    throw new PackError(
      `Cannot pack "${report}": the log does not come to the root that was signed, run "ciphertrail log check"`,
    )
  const scope = scopeOf({ report, number, record }, isPeriodOnly, leaves)
  await refuseUntold(scope, { leaves, documents }, objects)
  const contents = await packContents({ scope, documents, entries, leaves, head, vkey: present.vkey, version })
  const bytes = contents.objects.reduce((sum, { leaf }) => sum + leaf.size, 0)
  if (bytes > mostBytes)
    throw new PackError(
      `Cannot pack "${report}" here: what is sealed of it has ${byteWords(bytes)}, and ${byteWords(mostBytes)} can be packed here, ${byHand(report)}`,
    )
  deps.signal?.throwIfAborted()
  const written = await writePack(contents, { version, report, evidence: scope.evidence }, openSink(), deps)
  const evidence = contents.objects.filter(({ leaf }) => leaf.kind === 'snapshot').length
  const timestamp = await readTimestamp({ size: head.checkpoint.size, note: head.note }, objects)
  return { ...written, report, leaves: head.checkpoint.size, evidence, timestamp }
}

/** How a pack is made that is too large for where it was asked for. */
export function byHand(report: string): string {
  const id = report.slice(reportsPrefix.length).replace(/\.json$/, '')
  return `run "ciphertrail pack --report ${id} --out pack.zip" on a machine, with --store naming this store`
}

/** A pack would not verify while nobody can tell what is missing of its period, or if its report judged only a part of it. */
async function refuseUntold(
  scope: PackScope,
  { leaves, documents }: { readonly leaves: readonly NumberedLeaf[]; readonly documents: readonly PackedDocument[] },
  objects: Objects,
): Promise<void> {
  const keys = new Set(packedObjects(leaves, scope).map(({ leaf }) => leaf.key))
  const then: Objects = { ...objects, get: async (key) => (keys.has(key) ? objects.get(key) : undefined) }
  const judged = documents.find(({ name }) => name === WINDOWS_DOCUMENT)?.body
  const { untold, unjudged, unknown } = windowsOf(scope.record, leaves, await readWatched({ objects: then }), judged)
  if (unknown[0] !== undefined)
    throw new PackError(
      `Cannot pack "${scope.report}": no registration of its cluster "${printable(unknown[0])}" was sealed before it, run "ciphertrail log check"`,
    )
  const refuse = (windows: readonly ClusterWindow[], what: string): void => {
    const [first] = windows
    if (first === undefined) return
    const { cluster, window } = first
    throw new PackError(
      `Cannot pack "${scope.report}": ${windows.length} windows of its period ${what}, the first from ${window.start} of cluster "${cluster}"; make the report again six hours after the end of its period, and seal it`,
    )
  }
  refuse(untold, 'are neither evidence nor recorded gaps')
  refuse(unjudged, 'are not in the report, which was made before they were over')
}

/** Where there is no evidence outside of the period, that of the period is all. */
function scopeOf<T extends Omit<PackScope, 'evidence'>>(
  of: T,
  isPeriodOnly: boolean,
  leaves: readonly NumberedLeaf[],
): T & PackScope {
  const all = { ...of, evidence: 'all' } as const
  const period = { ...of, evidence: 'period' } as const
  const isLess = isPeriodOnly && packedObjects(leaves, period).length < packedObjects(leaves, all).length
  return isLess ? period : all
}

/** Reproduces an old report from a pack. */
import { parse } from 'csv-parse/sync'
import * as z from 'zod'
import { assessWindow } from '../assess/window/window.ts'
import { rebuildCluster } from '../history/derive.ts'
import type { PrintedHead } from '../model/period.ts'
import { haveRoot } from '../pack/log-files.ts'
import { isPacked } from '../pack/packed-leaves.ts'
import type { RenderAgain, RenderInput, Rendering } from '../pack/verify/verify-pack.ts'
import type { ReportInput } from '../report/report-input.ts'
import { derivedInMemory } from '../seal/verify/check-derived.ts'
import { documentOf } from '../store/evidence/report-records.ts'
import type { Objects } from '../store/objects/objects.ts'
import { readClusters } from '../store/registry/registry.ts'
import { fromBase64 } from '../text/base64.ts'
import { parseJson } from '../text/parse-json.ts'
import { RETENTION_SECONDS, SETTLE_SECONDS, toSeconds } from '../time/windows.ts'
import { readReportInput } from './read-report-input.ts'

const printedSchema = z.object({
  checkpoint: z
    .object({
      origin: z.string(),
      size: z.int().nonnegative(),
      root: z.string(),
      vkey: z.string(),
      text: z.string(),
      attempts: z.number(),
      unsealed: z.number(),
    })
    .nullable(),
})

/** Numbers of the last leaf of evidence and of changes when a report was made. */
type Cut = { readonly evidence: number; readonly changes: number }

/**
 * Returns a function that reproduces a report with this version. A report does not contain the time of its making, only the head of the log that it prints:
 * everything sealed by then was there; things sealed with the report may have been. So it tries a few cuts, and one that gives the same bytes is right.
 */
export function renderAgainBy(version: string): RenderAgain {
  return async (input, objectsOf) => {
    const { record } = input.scope
    if (record.version !== version)
      return notRendered(`ciphertrail ${record.version} made the report, and this is ${version}`)
    if (input.scope.evidence === 'period')
      return notRendered('the pack leaves out evidence from before and after the period')
    const { checkpoint: printed } =
      printedSchema.safeParse(parseJson(input.documents.get('summary.json') ?? '')).data ?? {}
    if (printed === undefined) return notRendered('the report does not say which head of the log it prints')
    if (printed !== null && !isOfThisLog(printed, input)) return { status: 'different', names: ['summary.json'] }
    let rendering: Rendering | undefined
    for (const now of momentsOf(record.period, input.documents.get('windows.csv')))
      for (const cut of cutsOf(printed, input.scope.number)) {
        const again = await renderWith(cut, printed, input, { version, now, objectsOf })
        if (again.status === 'same') return again
        rendering ??= again
      }
    return rendering ?? notRendered('nothing was sealed before it')
  }
}

function notRendered(why: string): Rendering {
  return { status: 'not-rendered', why }
}

function isOfThisLog({ size, root }: PrintedHead, { log: { entries, checkpoint } }: RenderInput): boolean {
  const bytes = fromBase64(root)
  return bytes !== undefined && size <= checkpoint.size && haveRoot(entries, { size, root: bytes })
}

/** The likeliest one first. */
function cutsOf(printed: PrintedHead | null, number: number): Cut[] {
  if (printed === null || printed.size >= number) return [{ evidence: number, changes: number }]
  const atHead = { evidence: printed.size, changes: number }
  const atReport = { evidence: number, changes: number }
  return [
    ...(printed.unsealed === 0 ? [atHead, atReport] : [atReport, atHead]),
    { evidence: printed.size, changes: printed.size },
  ]
}

async function renderWith(
  cut: Cut,
  printed: PrintedHead | null,
  { scope, log }: RenderInput,
  {
    version,
    now,
    objectsOf,
  }: { readonly version: string; readonly now: Date; readonly objectsOf: (keys: Iterable<string>) => Objects },
): Promise<Rendering> {
  const { record } = scope
  const numbers = new Map<string, number>()
  for (const { number, leaf } of log.leaves) {
    if (!('key' in leaf) || leaf.kind === 'report' || !isPacked({ number, leaf }, scope)) continue
    const isEvidence = leaf.kind === 'snapshot' || leaf.kind === 'packets'
    if (number < (isEvidence ? cut.evidence : cut.changes)) numbers.set(leaf.key, number)
  }
  const { overlay: objects } = derivedInMemory(objectsOf(numbers.keys()))
  const clusters = (await readClusters({ objects })).filter(({ id }) => record.clusters.includes(id))
  for (const cluster of clusters) await rebuildCluster(cluster, { objects, assess: assessWindow, now })
  const { removed = [] } = record
  const input = await readReportInput({ clusters, period: record.period, now, version, removed }, { objects })
  const { documentsOf } = await import('../report/documents.ts')
  const { files } = documentsOf({ ...input, checkpoint: printed === null ? null : headOf(printed, input, numbers) })
  const made = new Map(files.map(({ name, body }) => [name, documentOf(name, Buffer.from(body)).sha256]))
  const sealed = new Map(record.documents.map(({ name, sha256 }) => [name, sha256]))
  // A document that the record does not name was left out of the pack.
  const all = [...new Set([...sealed.keys(), ...made.keys()])]
  const names = all.filter((name) => made.get(name) !== sealed.get(name))
  return names.length === 0 ? { status: 'same', documents: sealed.size } : { status: 'different', names }
}

/** The printed head, with its counts of evidence computed again. */
function headOf(printed: PrintedHead, { clusters }: ReportInput, numbers: ReadonlyMap<string, number>): PrintedHead {
  const evidence = clusters
    .flatMap(({ windows }) => windows)
    .flatMap(({ evidence: own, also = [] }) => [...(own === null ? [] : [own]), ...also])
  const unsealed = evidence.filter((key) => (numbers.get(key) ?? Infinity) >= printed.size).length
  return { ...printed, attempts: evidence.length, unsealed }
}

/**
 * Times that may be equivalent to the one when a report was made, the likeliest first: once the period cannot grow any more, and, where the last window that the
 * report names ends before that, just after this window. Then the period was not over, or no more windows were expected in it, as of a replay.
 */
function momentsOf({ to }: { readonly to: string }, windows: Uint8Array | undefined): readonly Date[] {
  const rows = windows === undefined ? [] : parse(Buffer.from(windows), { columns: true })
  const ends = (rows as readonly Readonly<Record<string, string>>[]).flatMap(({ end }) => end ?? [])
  const last = ends.reduce((latest, end) => Math.max(latest, toSeconds(end)), -Infinity)
  const settled = new Date((toSeconds(to) + RETENTION_SECONDS) * 1000)
  if (last === -Infinity || last >= toSeconds(to)) return [settled]
  return [new Date((last + SETTLE_SECONDS) * 1000), settled]
}

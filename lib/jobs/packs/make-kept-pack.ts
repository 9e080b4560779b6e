/** The pack of a report, made once and kept in the store, beside the documents of the report. */
import { createHash } from 'node:crypto'
import {
  largeOf,
  openKeptPack,
  readPackState,
  recordFailed,
  recordMade,
  wholeSecond,
  waitingPacks,
} from '../../pack/pack-state.ts'
import { makePack } from '../../pack/make-pack.ts'
import { PackError } from '../../pack/select-report.ts'
import { readReport } from '../../store/evidence/report-records.ts'
import { ConflictError, type Objects } from '../../store/objects/objects.ts'
import { packKey, packsPrefix, parsePackKey } from '../../store/report-keys.ts'

/** How a pack is made. */
export type KeepInstructions = {
  /** Version of ciphertrail. */
  readonly version: string
  readonly now: () => Date
  /** The same as in `makePack`. */
  readonly mostBytes?: number
  /** Ends the work, and nothing of it is left. If its reason is a `PackError`, that is recorded as what became of the pack. */
  readonly signal?: AbortSignal
}

/** More than that fits into no upload to S3: see `uploadStream`. The rest of a pack is small beside its evidence. */
const MOST_BYTES = 50e9

/** What became of a pack. */
export type KeptOutcome =
  | { readonly outcome: 'made'; readonly isNew: boolean; readonly size: number; readonly sha256: string }
  | { readonly outcome: 'failed'; readonly problem: string }

/**
 * Makes the pack of a report and keeps it, unless it is kept. It has the bytes that `ciphertrail pack` gives of the same store. May be called twice, at the same
 * time, or again after it died: one pack is kept, whole or not at all. What no second try would change is recorded, and returned as `failed`; anything else is
 * thrown.
 *
 * @param report key of its record
 */
export async function keepPack(
  report: string,
  instructions: KeepInstructions,
  { objects }: { readonly objects: Objects },
): Promise<KeptOutcome> {
  const state = await readPackState(report, objects)
  if (state.status === 'made' && (await openKeptPack(report, state.version, objects)) !== undefined)
    return { outcome: 'made', isNew: false, size: state.size, sha256: state.sha256 }
  // Whoever made it died before it was recorded.
  const found = await foundPack(report, instructions, objects)
  if (found !== undefined) return found
  try {
    const { size, sha256 } = await makeOnce(report, instructions, objects)
    const version = (await openKeptPack(report, null, objects))?.version ?? null
    await recordMade(report, { at: wholeSecond(instructions.now()), size, sha256, version }, objects)
    return { outcome: 'made', isNew: true, size, sha256 }
  } catch (error) {
    // Somebody else was first.
    if (error instanceof ConflictError) return (await foundPack(report, instructions, objects)) ?? notKept(error)
    if (!(error instanceof PackError)) throw error
    await recordFailed(report, error.message, instructions.now(), objects)
    return { outcome: 'failed', problem: error.message }
  }
}

/** The reports whose packs were asked for and have no outcome yet, those of the earliest periods first. */
export async function askedPacks(objects: Objects): Promise<string[]> {
  const asked: string[] = []
  for await (const key of objects.list(packsPrefix)) {
    const { report, file } = parsePackKey(key) ?? {}
    if (report !== undefined && file === 'asked.json') asked.push(report)
  }
  return waitingPacks(asked, objects)
}

async function makeOnce(
  report: string,
  { version, mostBytes = MOST_BYTES, signal }: KeepInstructions,
  objects: Objects,
): Promise<{ readonly size: number; readonly sha256: string }> {
  const record = await readReport(report, objects)
  if (record === undefined) throw new PackError(`Cannot pack "${report}": there is no such report`)
  const { period } = record
  const command = `ciphertrail report --from ${period.from} --to ${period.to}`
  try {
    return await largeOf(objects).putOnce(packKey(report, 'pack.zip'), (sink) =>
      makePack(
        {
          period,
          key: report,
          command,
          isPeriodOnly: false,
          version,
          mostBytes,
        },
        () => sink,
        { objects, elsewhere: async () => undefined, ...(signal === undefined ? {} : { signal }) },
      ),
    )
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error
  }
}

/** Records the pack that lies there, by its bytes; undefined if there is none. */
async function foundPack(
  report: string,
  { now }: KeepInstructions,
  objects: Objects,
): Promise<KeptOutcome | undefined> {
  const found = await openKeptPack(report, null, objects)
  if (found === undefined) return undefined
  const { size, version } = found
  const digest = createHash('sha256')
  for await (const piece of found.read()) digest.update(piece)
  const sha256 = digest.digest('hex')
  await recordMade(report, { at: wholeSecond(now()), size, sha256, version }, objects)
  return { outcome: 'made', isNew: false, size, sha256 }
}

function notKept(error: ConflictError): never {
  throw error
}

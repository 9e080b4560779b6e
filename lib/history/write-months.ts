import { concurrently } from '../concurrently.ts'
import type { ClusterState, StoredState } from './cluster-state.ts'
import type { Cluster } from '../model/registry.ts'
import type { NamedDay } from './archive.ts'
import { firstKeptDay, dayAfter, archiveBefore } from './archive.ts'
import { isDeepStrictEqual } from 'node:util'
import { archiveKey, coverageKey, stateKey, timelineKey } from '../store/keys.ts'
import type { Objects } from '../store/objects/objects.ts'
import { encodeState } from './cluster-state.ts'
import { sha256Of } from '../store/objects/derived-object.ts'
import { coverageIn } from './tables/timeline-table.ts'
import { PreconditionFailedError } from '../store/objects/objects.ts'

/** Objects to store: the final state, and the state while its objects are being written. */
type Layout = {
  readonly state: ClusterState
  /** The same, but the days to be written are not archived yet: their windows are in the state itself. */
  readonly before: ClusterState
  /** Bytes of archived days, by key. */
  readonly days: ReadonlyMap<string, Uint8Array>
}

/** Moves the days of a state that are old enough into the archive. */
export function archiveLayout(
  state: ClusterState,
  archived: string | null | undefined,
  settings: Cluster['windows'],
  stored: { readonly isTrusted: boolean; readonly named: readonly NamedDay[] },
): Layout {
  const oldEnough = firstKeptDay(state.windows, state.timeline)
  const wanted = archived === undefined || archived === null ? archived : dayAfter(archived)
  if (oldEnough === undefined || wanted === null) return { state, before: state, days: new Map() }
  const day = wanted === undefined || oldEnough < wanted ? oldEnough : wanted
  const { state: next, bodies } = archiveBefore(state, day, settings)
  const unnamed = next.archive?.days.find((named, index) => !isDeepStrictEqual(named, stored.named[index]))
  const before = unnamed === undefined ? next : archiveBefore(state, unnamed.day, settings).state
  // Days that a trusted state already names exist.
  const isWritten = (name: string): boolean => stored.isTrusted && (unnamed === undefined || name < unnamed.day)
  const days = [...bodies].filter(([name]) => !isWritten(name))
  return { state: next, before, days: new Map(days.map(([name, body]) => [archiveKey(state.cluster, name), body])) }
}

/** Replaces the state of a cluster repeatedly by compare-and-swap. An unchanged state is not written. */
type StateWriter = {
  readonly replace: (next: ClusterState) => Promise<void>
  /** ETag of the state last written or read. */
  readonly etag: () => string | null
}

/** Returns a writer that starts from the stored state. */
export function stateWriter(clusterId: string, stored: StoredState, objects: Objects): StateWriter {
  let { etag } = stored
  let sha256 = stored.body === null ? null : sha256Of(stored.body)
  return {
    async replace(next) {
      const body = encodeState(next)
      if (sha256Of(body) === sha256) return
      etag = await objects.putIf(stateKey(clusterId), body, etag)
      sha256 = sha256Of(body)
    },
    etag: () => etag,
  }
}

/**
 * Stores the state with its list of unwritten objects, then those months whose bytes are available and the archived days, then the state without the list.
 * Writes nothing if all is stored.
 */
export async function writeLayout(
  { state, before: first, days }: Layout,
  { replace, etag }: StateWriter,
  { objects, bodies }: { readonly objects: Objects; readonly bodies: ReadonlyMap<string, Uint8Array> },
): Promise<void> {
  const key = stateKey(state.cluster)
  await replace(first)
  const left = new Set(state.unwritten)
  for (const named of state.months) {
    const body = bodies.get(named.sha256)
    if (!left.has(named.month) || body === undefined) continue
    // Write the month last: if it is correct, the next run checks neither.
    const written = [
      [coverageKey(state.cluster, named.month), coverageIn(body)],
      [timelineKey(state.cluster, named.month), body],
    ] as const
    const stale: { readonly key: string; readonly bytes: Uint8Array; readonly before: string | null }[] = []
    for (const [monthKey, bytes] of written) {
      const before = await objects.get(monthKey)
      if (before === undefined || Buffer.compare(before.body, bytes) !== 0)
        stale.push({ key: monthKey, bytes, before: before?.etag ?? null })
    }
    // Check after reading the month: another run that replaces the state from now on also replaces the month, or finds it changed.
    if (stale.length > 0 && (await objects.get(key))?.etag !== etag()) throw new PreconditionFailedError(key)
    for (const { key: monthKey, bytes, before } of stale) await objects.putIf(monthKey, bytes, before)
    left.delete(named.month)
  }
  await writeDays(days, { key, etag }, objects)
  await replace({ ...state, unwritten: state.unwritten.filter((month) => left.has(month)) })
}

/** Number of archived days read and written at once. */
const MAX_DAYS = 16

async function writeDays(
  days: ReadonlyMap<string, Uint8Array>,
  { key, etag }: Pick<StateWriter, 'etag'> & { readonly key: string },
  objects: Objects,
): Promise<void> {
  const wrong: { readonly dayKey: string; readonly body: Uint8Array; readonly before: string | null }[] = []
  await concurrently([...days], MAX_DAYS, async ([dayKey, body]) => {
    const stored = await objects.get(dayKey)
    if (stored === undefined || Buffer.compare(stored.body, body) !== 0)
      wrong.push({ dayKey, body, before: stored?.etag ?? null })
  })
  if (wrong.length === 0) return
  // Check after reading the days: another run that replaces the state from now on also replaces the days, or finds them changed.
  if ((await objects.get(key))?.etag !== etag()) throw new PreconditionFailedError(key)
  await concurrently(wrong, MAX_DAYS, async ({ dayKey, body, before }) => {
    await objects.putIf(dayKey, body, before)
  })
}

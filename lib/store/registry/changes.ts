import canonicalize from 'canonicalize'
import * as z from 'zod'
import { timeOf } from '../../time/windows.ts'
import { changeKey, changesPrefix, parseChangeKey } from '../keys.ts'
import type { RecordKind } from '../keys.ts'
import { parseJson } from '../../text/parse-json.ts'
import type { Objects } from '../objects/objects.ts'

/** The author and time of a change. */
export type ChangeAuthor = {
  readonly now: Date
  /** The name that the operating system or the cloud account gives, stored unchanged. */
  readonly by: string
}

/** A recorded change. Written once and numbered without a gap, so that nothing changes without a trace. */
export type RecordedChange = {
  readonly kind: RecordKind
  /** 1 and up, for each kind separately. */
  readonly number: number
  /** RFC 3339. */
  readonly at: string
  readonly by: string
  /**
   * The content of the kind: see lib/store/registry/registry.ts for `clusters`, lib/store/registry/declarations.ts for `scope` and `waivers`,
   * lib/deliver/channel/channel.ts for `channels`, lib/store/registry/reviews.ts for `reviews`.
   */
  readonly content: unknown
}

const changeSchema = z.object({
  format: z.literal('ciphertrail/change/1'),
  kind: z.string(),
  number: z.int(),
  at: z.iso.datetime(),
  by: z.string(),
  content: z.unknown(),
})

/** Writes change `number` of a kind. Throws `ConflictError` if that number is taken: another writer was first, so the decision was based on outdated data. */
export async function recordChange(
  { kind, number, content }: Pick<RecordedChange, 'kind' | 'number' | 'content'>,
  { now, by }: ChangeAuthor,
  objects: Objects,
): Promise<void> {
  const at = timeOf(now)
  const text = canonicalize({ format: 'ciphertrail/change/1', kind, number, at, by, content }) ?? ''
  await objects.putOnce(changeKey(kind, number), Buffer.from(text))
}

/** Reads change `number` of a kind; undefined if there is none yet. Throws an `Error` that names the key of a damaged one. */
export async function readChange(
  kind: RecordKind,
  number: number,
  objects: Objects,
): Promise<RecordedChange | undefined> {
  const key = changeKey(kind, number)
  const stored = await objects.get(key)
  if (stored === undefined) return undefined
  const parsed = changeSchema.safeParse(parseJson(stored.body))
  if (!parsed.success || parsed.data.kind !== kind || parsed.data.number !== number) throw damagedChange(key)
  const { at, by, content } = parsed.data
  return { kind, number, at, by, content }
}

/** A stored change that ciphertrail did not write. One line. */
export class DamagedChangeError extends Error {
  override readonly name = 'DamagedChangeError'
}

/** The error for an unreadable change. */
export function damagedChange(key: string): DamagedChangeError {
  return new DamagedChangeError(
    `Cannot read "${key}": it is damaged, put back a copy of it, as nothing can make it again`,
  )
}

/** Reads the latest change of a kind; undefined if there is none. */
export async function readLatestChange(kind: RecordKind, objects: Objects): Promise<RecordedChange | undefined> {
  let latest = 0
  for await (const key of objects.list(changesPrefix(kind))) latest = parseChangeKey(key)?.number ?? latest
  return latest === 0 ? undefined : readChange(kind, latest, objects)
}

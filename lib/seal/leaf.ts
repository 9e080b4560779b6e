import { isUtf8 } from 'node:buffer'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import type { Window } from '../model/time.ts'
import { parseJson } from '../text/parse-json.ts'
import {
  changesPrefix,
  evidencePrefix,
  isClusterId,
  packetsPrefix,
  parseEvidenceKey,
  parseWindow,
  windowText,
} from '../store/keys.ts'
import { gapName } from '../store/log-keys.ts'
import { isKey } from '../store/objects/objects.ts'
import { MAX_ENTRY_BYTES } from './tlog/tiles.ts'
import { reportsPrefix } from '../store/report-keys.ts'

/** An object of the store, by its hash: the log holds no content and no addresses. */
type StoredThing = {
  readonly key: string
  /** SHA-256 of the stored bytes, 64 hex digits. */
  readonly sha256: string
  /** Size of the stored bytes. */
  readonly size: number
  /** Version of the object, if the store has versions. */
  readonly versionId?: string
}

/** Leaf kinds whose object is fully identified by its key; `packets` is the result of a packet capture. */
const KEYED_KINDS = [
  'registry-change',
  'scope-change',
  'waiver-change',
  'channel-change',
  'review',
  'report',
  'packets',
] as const

/** An entry of the log: an object that was stored, or a gap. */
export type Leaf =
  /** A collection attempt. Cluster and window come from its key; both are absent if no collector makes such a key. */
  | ({ readonly kind: 'snapshot'; readonly cluster?: string; readonly window?: Window } & StoredThing)
  | ({ readonly kind: (typeof KEYED_KINDS)[number] } & StoredThing)
  /** An expected window without an attempt while it could be collected. A later attempt gets a leaf of its own. */
  | { readonly kind: 'gap'; readonly cluster: string; readonly window: Window; readonly reason: string }
  /** A run of `seal` that found nothing to seal: the log was alive at this time (RFC 3339). */
  | { readonly kind: 'heartbeat'; readonly time: string }

/** The kind of a leaf. */
export type LeafKind = Leaf['kind']

/** Invalid bytes of a leaf, or a leaf that is too large. One line. */
export class LeafError extends Error {
  override readonly name = 'LeafError'
}

/** The prefix of each kind of sealed object. Every object under one of them is sealed. */
export const SEALED_PREFIXES: readonly {
  readonly kind: Exclude<LeafKind, 'gap' | 'heartbeat'>
  readonly prefix: string
}[] = [
  // Must precede the prefix that contains it.
  { kind: 'packets', prefix: packetsPrefix },
  { kind: 'snapshot', prefix: evidencePrefix },
  { kind: 'registry-change', prefix: changesPrefix('clusters') },
  { kind: 'scope-change', prefix: changesPrefix('scope') },
  { kind: 'waiver-change', prefix: changesPrefix('waivers') },
  { kind: 'channel-change', prefix: changesPrefix('channels') },
  { kind: 'review', prefix: changesPrefix('reviews') },
  { kind: 'report', prefix: reportsPrefix },
]

const window = z.strictObject({ start: z.string(), end: z.string() }).refine(isWindow)
const cluster = z.string().refine(isClusterId)

const thing = {
  key: z.string().refine(isKey),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.int().nonnegative(),
  versionId: z.string().min(1).max(1024).exactOptional(),
}

const snapshot = z
  .strictObject({
    kind: z.literal('snapshot'),
    cluster: cluster.exactOptional(),
    window: window.exactOptional(),
    ...thing,
  })
  .refine((leaf) => {
    const id = parseEvidenceKey(leaf.key)
    return (
      leaf.cluster === id?.cluster && leaf.window?.start === id?.window.start && leaf.window?.end === id?.window.end
    )
  }, 'it is not of the cluster and window of its key')

const keyed = z.strictObject({
  kind: z.enum(KEYED_KINDS),
  ...thing,
})

const leafSchema: z.ZodType<Leaf> = z
  .discriminatedUnion('kind', [
    snapshot,
    z.strictObject({ kind: z.literal('gap'), cluster, window, reason: z.string().regex(/^[a-z0-9-]{1,64}$/) }),
    keyed,
    z.strictObject({ kind: z.literal('heartbeat'), time: z.iso.datetime() }),
  ])
  .refine(
    (leaf) => !('key' in leaf) || leaf.kind === 'review' || leafKind(leaf.key) === leaf.kind,
    'its key is of another kind',
  )

/** The kind of a sealed object, by its key; undefined if the log does not seal it. */
export function leafKind(key: string): LeafKind | undefined {
  return SEALED_PREFIXES.find(({ prefix }) => key.startsWith(prefix))?.kind
}

/** The bytes of a leaf: canonical JSON (RFC 8785), so that one leaf has one form. Throws {@link LeafError} if {@link parseLeaf} would refuse it. */
export function formatLeaf(leaf: Leaf): Uint8Array {
  const parsed = leafSchema.safeParse(leaf)
  if (!parsed.success) throw leafError('write', parsed.error)
  const bytes = Buffer.from(canonicalize(parsed.data) ?? '')
  if (bytes.length > MAX_ENTRY_BYTES)
    throw new LeafError(`Cannot write a leaf of ${bytes.length} bytes: it has at most ${MAX_ENTRY_BYTES}`)
  return bytes
}

/** The leaf in an entry of the log. Throws {@link LeafError} for any bytes that {@link formatLeaf} does not make. */
export function parseLeaf(bytes: Uint8Array): Leaf {
  if (!isUtf8(bytes)) throw new LeafError('Cannot read a leaf: it is not UTF-8 text')
  const text = Buffer.from(bytes).toString()
  const parsed = leafSchema.safeParse(parseJson(bytes))
  if (!parsed.success) throw leafError('read', parsed.error)
  if (canonicalize(parsed.data) !== text) throw new LeafError('Cannot read a leaf: it is not in its canonical form')
  return parsed.data
}

/** The name under which the log finds a leaf: the key of its object, or the name of its gap. Undefined for a heartbeat. */
export function nameOf(leaf: Leaf): string | undefined {
  if ('key' in leaf) return leaf.key
  switch (leaf.kind) {
    case 'heartbeat':
      return undefined
    case 'gap':
      return gapName(leaf.window, leaf.cluster)
  }
}

function isWindow(window: Window): boolean {
  try {
    return parseWindow(windowText(window)) !== undefined
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

function leafError(what: string, { issues: [issue] }: z.ZodError): LeafError {
  const place = issue?.path.join('.') ?? ''
  return new LeafError(
    `Cannot ${what} a leaf: ${place === '' ? (issue?.message ?? 'it is none') : `"${place}" is absent or wrong`}`,
  )
}

/** The key that a log entry names; undefined for a heartbeat and for an invalid leaf, which the check of the leaves reports. */
export function nameIn(entry: Uint8Array): string | undefined {
  try {
    return nameOf(parseLeaf(entry))
  } catch (error) {
    if (error instanceof LeafError) return undefined
    throw error
  }
}

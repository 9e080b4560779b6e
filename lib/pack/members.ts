/** What a pack consists of, and how its zip is made: each member has one name, one place and one way to be stored. */
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { parseJson } from '../text/parse-json.ts'
import { compareText } from '../text/order.ts'
import { parseChangeKey, parseEvidenceKey, parsePacketsKey } from '../store/keys.ts'
import { isReportKey } from '../store/report-keys.ts'
import { parseTilePath } from '../seal/tlog/tiles.ts'

/** Raised when a reader of the present form could not read the new one. */
const FORMAT = 'ciphertrail/pack/1'

/** The first member: what the pack is and how to check it. */
export const README = 'README.txt'
/** Every member with its size and its SHA-256. */
export const MANIFEST = 'manifest.json'
/** The same as lines that sha256sum checks. */
export const SUMS = 'MANIFEST.sha256'
/** The log's public key, as C2SP and as openssl read it. */
export const VKEY = 'vkey.txt'
export const PEM = 'vkey.pem'
/** The log in the layout of C2SP tlog-tiles. */
export const LOG = 'log/'
export const CHECKPOINT = 'log/checkpoint'
/** The proof that the report is in the log. */
export const PROOF = 'report.tlog-proof'
/** The verifier that needs nothing but Node: the file to run, and what it imports. */
export const VERIFIER_FILES = [
  'verify.mjs',
  ...['common', 'log', 'members', 'sealed', 'zip'].map((part) => `verifier/${part}.mjs`),
]
/** The framework controls and the rules that test them. */
export const CONTROLS_FILE = 'controls.json'
/** Where an auditor begins. */
export const INDEX_FILES = ['index/by-control.csv', 'index/by-path.csv', 'index/by-window.csv'] as const

/** How members are written: no zone, no clock and no umask has a say. Times are those of MS-DOS, in no zone: 1980-01-01 00:00. */
export const ZIP = { mode: 0o100644, dosDate: 0x21, dosTime: 0, level: 9 } as const

const DOCUMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/
const AT_ROOT = ['report.pdf', 'report.html']

/** In the order of the zip: what people read first, what programs need last. */
const ORDER: readonly ((name: string) => boolean)[] = [
  (name) => name === README,
  ...AT_ROOT.map((own) => (name: string) => name === own),
  (name) => INDEX_FILES.some((own) => own === name),
  (name) => name.startsWith('data/') && DOCUMENT.test(name.slice('data/'.length)),
  isReportKey,
  (name) => parseChangeKey(name) !== undefined,
  (name) => name === CONTROLS_FILE,
  (name) => parseEvidenceKey(name) !== undefined || parsePacketsKey(name) !== undefined,
  (name) => name === PROOF,
  (name) => name === VKEY || name === PEM,
  (name) => name === CHECKPOINT || (name.startsWith(LOG) && parseTilePath(name.slice(LOG.length)) !== undefined),
  (name) => VERIFIER_FILES.includes(name),
  (name) => name === MANIFEST,
  (name) => name === SUMS,
]

/** Whether a pack may have a member of that name. */
export function isMemberName(name: string): boolean {
  return ORDER.some((isOf) => isOf(name))
}

/** Compares two names of members by their place in the zip. */
export function comparePlace(a: string, b: string): number {
  const placeOf = (name: string): number => ORDER.findIndex((isOf) => isOf(name))
  return placeOf(a) - placeOf(b) || compareText(a, b)
}

/** Whether a member is stored as it is: what is compressed already, what is streamed, and what a verifier reads first. */
export function isStored(name: string): boolean {
  return name.endsWith('.pdf') || STORED.some((prefix) => name.startsWith(prefix)) || isListing(name)
}

const STORED = ['evidence/', 'changes/', 'reports/', LOG]

/** Whether a member lists the others. */
function isListing(name: string): boolean {
  return name === MANIFEST || name === SUMS
}

/** Where a document of a report lies in the pack. */
export function documentMember(name: string): string {
  return AT_ROOT.includes(name) ? name : `data/${name}`
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const size = z.int().nonnegative()
const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  /** Version of the ciphertrail that made the pack. */
  version: z.string(),
  /** Key of the record of the report. */
  report: z.string().refine(isReportKey),
  /** `all`: all evidence that the report is based on; `period`: only that of its period. */
  evidence: z.enum(['all', 'period']),
  /** All but the two that list them, in the order of the zip. `packed` is what lies in the zip, where that is not the member itself. */
  members: z
    .array(
      z.strictObject({
        name: z.string().refine((name) => isMemberName(name) && !isListing(name)),
        size,
        sha256,
        packed: z.strictObject({ size, sha256 }).exactOptional(),
      }),
    )
    .readonly(),
})

/** What a pack says of itself. Nobody signed it: the log says what evidence is. */
export type Manifest = Readonly<Omit<z.infer<typeof manifestSchema>, 'format'>>

/** One member as the manifest names it. */
export type ListedMember = Manifest['members'][number]

/** The bytes of a manifest: canonical JSON (RFC 8785), so that one manifest has one form. */
export function formatManifest(manifest: Manifest): Uint8Array {
  return Buffer.from(canonicalize({ format: FORMAT, ...manifest }) ?? '')
}

/** What the bytes of a manifest say; undefined for any bytes that {@link formatManifest} does not make, and for members that are out of order or there twice. */
export function parseManifest(bytes: Uint8Array): Manifest | undefined {
  const parsed = manifestSchema.safeParse(parseJson(bytes))
  if (!parsed.success) return undefined
  const { format: _, ...manifest } = parsed.data
  const isOrdered = manifest.members.every(
    ({ name }, at) => at === 0 || comparePlace(manifest.members[at - 1]?.name ?? '', name) < 0,
  )
  return isOrdered && Buffer.compare(formatManifest(manifest), bytes) === 0 ? manifest : undefined
}

/** The lines for `sha256sum -c`, of every member and of the manifest. */
export function formatSums({ members }: Pick<Manifest, 'members'>, manifestSha256: string): string {
  return [...members, { name: MANIFEST, sha256: manifestSha256 }]
    .map(({ name, sha256: sum }) => `${sum}  ${name}\n`)
    .join('')
}

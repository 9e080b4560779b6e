import { oneLine } from '../../../text/redact.ts'
import { isKeySegment } from '../objects.ts'

/** A bucket, and the prefix of all its keys: empty, or ending in a slash. */
export type S3Place = { readonly bucket: string; readonly prefix: string }

/** Governance: a special permission allows deletion. Compliance: nobody can delete, and nobody can end it. */
export type LockMode = 'governance' | 'compliance'

/** How long an object is locked after it is written: months and years by the calendar, in UTC. */
export type Retention = { readonly days: number } | { readonly months: number } | { readonly years: number }

/** Location and lock of a store on S3. */
export type S3Address = {
  /** Evidence, changes, reports and the log: all written-once objects, and the head of the log. */
  readonly evidence: S3Place
  /** Derived data; the same place as the evidence if only one was named. */
  readonly derived: S3Place
  /** Lock requested for each object that is written once; null: none, so that a default retention of the bucket applies. */
  readonly lock: { readonly mode: LockMode; readonly retention: Retention } | null
}

/** An invalid address. One line, without possible credentials. */
export class StoreAddressError extends Error {
  override readonly name = 'StoreAddressError'
}

/** The limit of S3: a hundred years. */
const MAX_DAYS = 36_500

/** Keys have at most 1024 characters; those of ciphertrail are far shorter than the rest. */
const MAX_PREFIX_LENGTH = 500

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const IP_ADDRESS = /^\d+\.\d+\.\d+\.\d+$/

/** Suffix of directory buckets. They list in no order, keep no versions and lock nothing. */
const DIRECTORY_BUCKET = '--x-s3'

const WANTED = 'wanted a directory, s3://bucket/prefix, or s3://bucket/prefix?derived=bucket/prefix'

/**
 * Parses `s3://bucket/prefix?derived=bucket/prefix&lock=MODE&retention=TIME`; undefined for text that names a directory. Defaults: derived objects beside the
 * evidence, governance, 13 months. Throws {@link StoreAddressError} for every other text with a scheme: as a directory name, a mistyped address would send
 * evidence to a place where it is never found.
 *
 * @param called the text's name in messages
 */
export function parseAddress(text: string, called = 'store'): S3Address | undefined {
  if (!/^(s3:|[a-z][a-z\d+.-]*:\/\/)/i.test(text)) return undefined
  const [, path, query = ''] = /^s3:\/\/([^?#]*)(?:\?([^#]*))?$/.exec(text) ?? []
  // Do not repeat a mistyped "s3://key:secret@bucket", or anything after a question mark.
  const shown = text.includes('@') ? 's3://[redacted]' : oneLine(text.replace(/[?#].*$/s, ''))
  const refuse = (problem: string): StoreAddressError =>
    new StoreAddressError(`Cannot use ${called} ${JSON.stringify(shown)}: ${problem}, ${WANTED}`)
  if (text.includes('@')) throw refuse('credentials and "@" have no place in it')
  if (path === undefined) throw refuse('it is neither a directory nor an address of S3')

  const options = readOptions(query, refuse)
  const evidence = readPlace(path, refuse)
  const derivedText = options.get('derived')
  const derived = derivedText === undefined ? evidence : readPlace(derivedText.replace(/^s3:\/\//, ''), refuse)
  const isSame = evidence.bucket === derived.bucket && evidence.prefix === derived.prefix
  const isInside =
    evidence.bucket === derived.bucket &&
    (evidence.prefix.startsWith(derived.prefix) || derived.prefix.startsWith(evidence.prefix))
  if (isInside && !isSame) throw refuse('of the two places in one bucket neither may lie inside the other')
  return { evidence, derived, lock: readLock(options, refuse) }
}

type Refuse = (problem: string) => StoreAddressError

function readOptions(query: string, refuse: Refuse): ReadonlyMap<string, string> {
  const options = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (!['derived', 'lock', 'retention'].includes(name))
      throw refuse(`${JSON.stringify(oneLine(name))} is no option of it, these are derived, lock and retention`)
    if (options.has(name)) throw refuse(`it gives "${name}" twice`)
    options.set(name, value)
  }
  return options
}

function readPlace(path: string, refuse: Refuse): S3Place {
  const [bucket = '', ...segments] = path.replace(/\/$/, '').split('/')
  if (!BUCKET.test(bucket) || bucket.includes('..') || IP_ADDRESS.test(bucket))
    throw refuse(
      `${JSON.stringify(oneLine(bucket))} is no name of a bucket, which has 3 to 63 of "a-z", "0-9", "-" and "."`,
    )
  if (bucket.endsWith(DIRECTORY_BUCKET))
    throw refuse(`"${bucket}" is a directory bucket, which lists in no order and cannot be locked`)
  const prefix = segments.map((segment) => `${segment}/`).join('')
  if (!segments.every(isKeySegment) || prefix.length > MAX_PREFIX_LENGTH)
    throw refuse(
      `the prefix behind bucket "${bucket}" must have at most ${MAX_PREFIX_LENGTH} characters, in parts of letters, digits and "._=-" that do not begin with a dot`,
    )
  return { bucket, prefix }
}

function readLock(options: ReadonlyMap<string, string>, refuse: Refuse): S3Address['lock'] {
  const mode = options.get('lock') ?? 'governance'
  const retention = options.get('retention')
  if (mode === 'none') {
    if (retention !== undefined) throw refuse('it gives "retention" together with "lock=none"')
    return null
  }
  if (mode !== 'governance' && mode !== 'compliance')
    throw refuse(`"lock" is ${JSON.stringify(oneLine(mode))}, it must be governance, compliance or none`)
  return { mode, retention: readRetention(retention ?? '13-months', refuse) }
}

function readRetention(text: string, refuse: Refuse): Retention {
  if (text === '13-months') return { months: 13 }
  if (text === '6-years') return { years: 6 }
  const days = Number(/^(\d{1,5})-days?$/.exec(text)?.[1] ?? 0)
  if (days < 1 || days > MAX_DAYS)
    throw refuse(
      `"retention" is ${JSON.stringify(oneLine(text))}, it must be 13-months, 6-years, or days such as 400-days, at most ${MAX_DAYS}`,
    )
  return { days }
}

/** A place, for messages. */
export function formatStoreUrl({ bucket, prefix }: S3Place): string {
  return `s3://${bucket}/${prefix}`.replace(/\/$/, '')
}

const DAY_MS = 24 * 60 * 60 * 1000

/** The end of the lock of an object written now: in a shorter month, its last day. */
export function retainUntil(retention: Retention, now: Date): Date {
  if ('days' in retention) return new Date(now.getTime() + retention.days * DAY_MS)
  const months = 'years' in retention ? retention.years * 12 : retention.months
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth() + months]
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  return new Date(Date.UTC(year, month, Math.min(now.getUTCDate(), lastDay)) + (now.getTime() % DAY_MS))
}

/** Warnings before the first object is written, a line each; empty if there are none. */
export function addressWarnings({ evidence, derived, lock }: S3Address): string[] {
  const store = `Store "${formatStoreUrl(evidence)}"`
  const warnings: string[] = []
  if (lock?.mode === 'compliance')
    warnings.push(
      `WARNING: ${store} locks in compliance mode: for ${retentionText(lock.retention)} nobody can delete what is written there or end its lock, not even the root user of the account; what is written by mistake stays, too, and is paid for`,
    )
  if (lock === null)
    warnings.push(
      `${store} asks for no lock: unless its bucket has a default retention, whoever may delete there can delete evidence`,
    )
  if (evidence.bucket === derived.bucket)
    warnings.push(
      `${store} has one bucket for all: only what is written once is locked there, and a default retention of the bucket would keep every version of what is derived; "?derived=bucket/prefix" names a second bucket`,
    )
  return warnings
}

function retentionText(retention: Retention): string {
  return Object.entries(retention)
    .map(([unit, count]) => `${count} ${unit}`)
    .join('')
}

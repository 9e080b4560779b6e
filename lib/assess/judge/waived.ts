import type { Endpoint } from '../../model/path.ts'
import type { PathRow } from '../../model/history.ts'
import type { Subject, Waiver, WaiverResult } from '../../model/judgement.ts'
import { compareText } from '../../text/order.ts'
import { isNotEncrypted } from '../window/episode-lifecycle.ts'
import { matchesPattern } from '../../text/pattern.ts'

/** How long before its end a waiver counts as expiring. */
const EXPIRING_SECONDS = 14 * 24 * 60 * 60

/** A waiver that is valid for longer than this, from the moment of judgement, is too broad. */
const MAX_SECONDS = 366 * 24 * 60 * 60

/** A failure that a waiver may accept, with its ends and port as far as it has them. */
export type Waivable = {
  readonly cluster: string
  /** Absent if the failure is not about one source. */
  readonly source?: Endpoint
  /** The destination of a path, or the workload that failed; absent if the failure is about a cluster. */
  readonly destination?: Endpoint
  readonly port?: number
}

/** Returns the name of an end in waivers: `kind/namespace/name`, `external/tax.example`, or `(unmeshed)` for an end without a name. */
export function endName({ kind, namespace, name }: Endpoint): string {
  return name === '' ? `(${kind})` : namespace === '' ? `${kind}/${name}` : `${kind}/${namespace}/${name}`
}

/** Returns the parts of a subject that a waiver is matched with. */
export function waivableOf(subject: Subject): Waivable {
  switch (subject.kind) {
    case 'path':
      return subject
    case 'port':
      return { cluster: subject.cluster, destination: subject.workload, port: subject.port }
    case 'workload':
      return { cluster: subject.cluster, destination: subject.workload }
    case 'cluster':
      return { cluster: subject.cluster }
  }
}

/** Whether a waiver is in force: from its expiry on it accepts nothing. */
export function isInForce({ expires }: Waiver, at: string): boolean {
  return Date.parse(at) < Date.parse(expires)
}

/**
 * Whether a waiver matches a failure, in force or not. A waiver that names something the failure does not have (a source, if a whole port failed) does not
 * match, because it accepts less than failed.
 */
export function isAbout(waiver: Waiver, failed: Waivable, rule: string): boolean {
  const { cluster, rules, source, destination, port } = waiver
  return (
    (cluster === undefined || matchesPattern(cluster, failed.cluster)) &&
    (rules === undefined || rules.includes(rule)) &&
    isEnd(source, failed.source) &&
    isEnd(destination, failed.destination) &&
    (port === undefined || port === failed.port)
  )
}

function isEnd(pattern: string | undefined, end: Endpoint | undefined): boolean {
  if (pattern === undefined || pattern === '*') return true
  return end !== undefined && matchesPattern(pattern, endName(end))
}

/** Returns the id of the first waiver in force that accepts the failures of all these rules; null if there is none. */
export function waiverFor(
  failed: Waivable,
  rules: readonly string[],
  waivers: readonly Waiver[],
  at: string,
): string | null {
  const accepting = waivers.filter(
    (waiver) => isInForce(waiver, at) && rules.every((rule) => isAbout(waiver, failed, rule)),
  )
  const [first] = accepting.map(({ id }) => id).sort(compareText)
  return first ?? null
}

/** Returns rows with the waiver in force at a time, if they were not encrypted. */
export function waivedRows(rows: readonly PathRow[], waivers: readonly Waiver[], at: string): PathRow[] {
  return rows.map((row) => {
    const waiver = isNotEncrypted(row) ? waiverFor(row, ['path-is-encrypted'], waivers, at) : null
    // Most rows stay the same, and there are thousands.
    return waiver === row.waiver ? row : { ...row, waiver }
  })
}

/**
 * Whether a waiver is too broad for an exception: it names neither a namespace nor a name at either end, so it covers a whole cluster; or it is valid for
 * longer than a year from now.
 */
function isTooBroad({ source, destination, expires }: Waiver, at: string): boolean {
  const isNamed = [source, destination].some((pattern) => pattern !== undefined && namesAnEnd(pattern))
  return !isNamed || Date.parse(expires) - Date.parse(at) > MAX_SECONDS * 1000
}

/** Whether a pattern names an end. A kind alone, or an end without a name, matches anything. */
function namesAnEnd(pattern: string): boolean {
  return pattern
    .split('/')
    .slice(1)
    .some((part) => /[^*]/.test(part))
}

/**
 * Returns the status of a waiver at a time.
 *
 * @param findings how many failures it accepts, or would accept if it were in force
 */
export function waiverResult(waiver: Waiver, findings: number, at: string): WaiverResult {
  return { waiver, status: statusOf(waiver, findings, at), isTooBroad: isTooBroad(waiver, at), findings }
}

/** Status of a waiver without a history: its use is unknown, so `findings` is null and the status at most `in-force`. */
export type WaiverStatus = Omit<WaiverResult, 'status' | 'findings'> & {
  readonly status: WaiverResult['status'] | 'in-force'
  readonly findings: number | null
}

/** Returns the status of a waiver at a time, whatever it accepts. */
export function waiverStatus(waiver: Waiver, at: string): WaiverStatus {
  // Assume that it accepts something, so that only its expiry decides.
  const { status, isTooBroad: isBroad } = waiverResult(waiver, 1, at)
  return { waiver, isTooBroad: isBroad, status: status === 'in-use' ? 'in-force' : status, findings: null }
}

function statusOf(waiver: Waiver, findings: number, at: string): WaiverResult['status'] {
  if (!isInForce(waiver, at)) return 'expired'
  // A waiver that accepts nothing can be removed, whenever it expires.
  if (findings === 0) return 'unused'
  return Date.parse(waiver.expires) - Date.parse(at) < EXPIRING_SECONDS * 1000 ? 'expiring' : 'in-use'
}

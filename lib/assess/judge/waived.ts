import type { Endpoint } from '../../model/path.ts'
import type { PathRow } from '../../model/history.ts'
import type { Subject, Waiver, WaiverResult } from '../../model/judgement.ts'
import { compareText } from '../../text/order.ts'
import { isNotEncrypted } from '../window/episode-lifecycle.ts'
import { matchesPattern } from '../../text/pattern.ts'

/** How long before its end a waiver is told to be expiring. */
const EXPIRING_SECONDS = 14 * 24 * 60 * 60

/** A waiver that holds for longer than this, from the moment at which it is judged, is too broad. */
const MAX_SECONDS = 366 * 24 * 60 * 60

/** What a waiver may accept: the ends and the port of what failed, as far as it has them. */
export type Waivable = {
  readonly cluster: string
  /** Absent where the failure is not one source's. */
  readonly source?: Endpoint
  /** The destination of a path, or the workload that failed; absent where the failure is a cluster's. */
  readonly destination?: Endpoint
  readonly port?: number
}

/** How a waiver names an end: `kind/namespace/name`, `external/tax.example`, or `(unmeshed)` for who has no name. */
export function endName({ kind, namespace, name }: Endpoint): string {
  return name === '' ? `(${kind})` : namespace === '' ? `${kind}/${name}` : `${kind}/${namespace}/${name}`
}

/** What of a subject a waiver is matched with. */
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

/** From its expiry on a waiver accepts nothing. */
export function isInForce({ expires }: Waiver, at: string): boolean {
  return Date.parse(at) < Date.parse(expires)
}

/**
 * Whether a waiver is about this failure, in force or not. A waiver that names what the failure has not (a source, where a whole port failed) is
 * not about it: it accepts less than failed.
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

/** The id of the waiver in force that accepts each of these rules' failures, the first by id; null where none does. */
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

/** Rows with the waiver in force at a time, where they were not encrypted. */
export function waivedRows(rows: readonly PathRow[], waivers: readonly Waiver[], at: string): PathRow[] {
  return rows.map((row) => ({
    ...row,
    waiver: isNotEncrypted(row) ? waiverFor(row, ['path-is-encrypted'], waivers, at) : null,
  }))
}

/**
 * Whether a waiver accepts more than an exception should: it names neither a namespace nor a name at either end, so that it is about everything
 * in a cluster; or it holds for longer than a year from now.
 */
function isTooBroad({ source, destination, expires }: Waiver, at: string): boolean {
  const isNamed = [source, destination].some((pattern) => pattern !== undefined && namesAnEnd(pattern))
  return !isNamed || Date.parse(expires) - Date.parse(at) > MAX_SECONDS * 1000
}

/** A kind alone, or who has no name, may be anybody. */
function namesAnEnd(pattern: string): boolean {
  return pattern
    .split('/')
    .slice(1)
    .some((part) => /[^*]/.test(part))
}

/**
 * How a waiver stands at a time.
 *
 * @param findings how many failures it accepts, or would, were it in force
 */
export function waiverResult(waiver: Waiver, findings: number, at: string): WaiverResult {
  return { waiver, status: statusOf(waiver, findings, at), isTooBroad: isTooBroad(waiver, at), findings }
}

/** A waiver as it stands without a history: whether it is in use is not known, so `findings` is null and `in-force` all that is said. */
export type WaiverStanding = Omit<WaiverResult, 'status' | 'findings'> & {
  readonly status: WaiverResult['status'] | 'in-force'
  readonly findings: number | null
}

/** How a waiver stands at a time, whatever it accepts. */
export function waiverStanding(waiver: Waiver, at: string): WaiverStanding {
  // As if it accepted something, so that its end alone decides.
  const { status, isTooBroad: isBroad } = waiverResult(waiver, 1, at)
  return { waiver, isTooBroad: isBroad, status: status === 'in-use' ? 'in-force' : status, findings: null }
}

function statusOf(waiver: Waiver, findings: number, at: string): WaiverResult['status'] {
  if (!isInForce(waiver, at)) return 'expired'
  // One that accepts nothing can go whenever it ends.
  if (findings === 0) return 'unused'
  return Date.parse(waiver.expires) - Date.parse(at) < EXPIRING_SECONDS * 1000 ? 'expiring' : 'in-use'
}

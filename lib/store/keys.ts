import type { Window } from '../model/time.ts'

/**
 * The keys of the store, made and parsed here and, for the log, reports and deliveries, in `log-keys.ts`, `report-keys.ts` and `delivery-keys.ts`; nowhere else. Times are ISO 8601 basic in UTC and numbers are padded, so
 * that text order is time order:
 *
 *     evidence/20261124T123000Z-20261124T123500Z/shop/0001.json.gz     an attempt; written once
 *     evidence/packets/shop/20261124T123210Z-0123456789abcdef.json      the result of a capture that began then; written once
 *     windows/shop/20261124T123000Z-20261124T123500Z.json              the result of a window
 *     state/shop.json                                                  a summary of a cluster's evidence
 *     state/_archive/shop/2026-11-24.json                              an old day of that; no cluster has this name
 *     state/_asked/shop.json                                           windows that were queried again; no cluster has this name
 *     state/_recent/shop.json.gz                                       what the windows after the months come to; no cluster has this name
 *     state/_set-aside/shop.json                                       evidence that killed the process which read it; no cluster has this name
 *     timeline/cluster=shop/month=2026-11/intervals.parquet            a month of a cluster
 *     coverage/cluster=shop/month=2026-11/windows.parquet              what was expected in it, and what was observed
 *     not-encrypted/month=2026-11/paths.parquet                        unencrypted paths of the month, of all clusters
 *     registry/clusters.json                                           the registered clusters
 *     registry/recipients.json                                         the addresses behind the channels' pseudonyms
 *     reports/20261124T140000Z-0123456789abcdef.json                   the record of a report of a period that ended then; written once
 *     documents/20261124T140000Z-0123456789abcdef/report.pdf           a document of that report
 *     packs/20261124T140000Z-0123456789abcdef/pack.zip                 its audit pack, beside who asked for it and what became of that
 *     registry/links.json                                              the key that signs unsubscribe links
 *     claims/week/2026-W47/payments/r0123….json                        a mail of one person: claimed before it is sent
 *     alerts/payments.json                                             alerts sent to a channel
 *     suppressed/r0123…/payments.json                                  a recipient who gets no mail of a channel; `_all` of any
 *     downloads/<64 hex digits>.json                                   a link to a report: by the SHA-256 of its token, which only the mail contains
 *     changes/clusters/000001.json                                     a recorded change; written once
 *     log/…                                                            see log-keys.ts
 *
 * Making a key throws a `RangeError` for an invalid part; parsing returns undefined for any other text.
 */

/** An attempt to collect one window of one cluster. */
export type EvidenceId = {
  readonly window: Window
  readonly cluster: string
  /** 1 to 9999. */
  readonly attempt: number
}

/** More would break the text order. */
export const MAX_ATTEMPTS = 9999

/** Prefix of all evidence, oldest window first. */
export const evidencePrefix = 'evidence/'

/** The text before the keys of all evidence of windows that begin at a time (RFC 3339, whole seconds) or later. */
export function evidenceBefore(time: string): string {
  return `${evidencePrefix}${basicTime(time)}`
}

/** Prefix of all captures. */
export const packetsPrefix = `${evidencePrefix}packets/`

/** Prefix of all captures of one cluster, oldest first. */
export function packetsOf(cluster: string): string {
  return `${packetsPrefix}${checkedCluster(cluster)}/`
}

/** The key of a capture's result: by its start (RFC 3339, whole seconds) and the SHA-256 of its content, in hex. */
export function packetsKey(cluster: string, from: string, sha256: string): string {
  const key = `${packetsOf(cluster)}${basicTime(from)}-${sha256.slice(0, 16)}.json`
  if (parsePacketsKey(key) !== undefined) return key
  throw new RangeError(
    `Cannot make a key of a capture at ${JSON.stringify(from)}: wanted a time such as 2026-11-24T12:30:00Z`,
  )
}

/** Parses the key of a capture to its cluster and start (RFC 3339); undefined for any other text. */
export function parsePacketsKey(key: string): { readonly cluster: string; readonly from: string } | undefined {
  const [, cluster = '', ...parts] = PACKETS_KEY.exec(key) ?? []
  const from = timeOf(parts)
  return from !== undefined && isClusterId(cluster) ? { cluster, from } : undefined
}

/** The registry of clusters. */
export const registryKey = 'registry/clusters.json'

/** Whether auditors may read a key: there are no addresses, mail links or delivery records under such keys. False for unknown keys. */
export function isForAuditors(key: string): boolean {
  return key === registryKey || FOR_AUDITORS.some((prefix) => key.startsWith(prefix))
}

const FOR_AUDITORS = [
  'evidence/',
  'changes/',
  'reports/',
  'log/',
  'documents/',
  'windows/',
  'state/',
  'timeline/',
  'coverage/',
  'not-encrypted/',
  'sealing/',
]

/** The operators' signed list of trusted cluster connections. Its signature alone makes it valid. */
export const trustKey = 'registry/trust.json'
/** Records that people change: the registry of clusters, the scopes of frameworks, the waivers, the channels of mail; and reviews of reports. */
export const RECORD_KINDS = ['clusters', 'scope', 'waivers', 'channels', 'reviews'] as const

/** A kind of record that is stored as a series of changes. */
export type RecordKind = (typeof RECORD_KINDS)[number]

/** More would break the text order. */
const MAX_CHANGES = 999_999

/** The form of a cluster's id. */
export const CLUSTER_ID = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/
const EVIDENCE_KEY = /^evidence\/([^/]+)\/([^/]+)\/(\d{4})\.json\.gz$/
const PACKETS_KEY = /^evidence\/packets\/([^/]+)\/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{16}\.json$/
const WINDOW_KEY = /^windows\/([^/]+)\/([^/]+)\.json$/
const STATE_KEY = /^state\/([^/]+)\.json$/
const CHANGE_KEY = /^changes\/([^/]+)\/(\d{6})\.json$/
const DAY = /^\d{4}-\d\d-\d\d$/
const ARCHIVE_KEY = /^state\/_archive\/([^/]+)\/([^/]+)\.json$/
const ASKED_KEY = /^state\/_asked\/([^/]+)\.json$/
const RECENT_KEY = /^state\/_recent\/([^/]+)\.json\.gz$/
const SET_ASIDE_KEY = /^state\/_set-aside\/([^/]+)\.json$/
const TIMELINE_KEY = /^timeline\/cluster=([^/]+)\/month=([^/]+)\/intervals\.parquet$/
const NOT_ENCRYPTED_KEY = /^not-encrypted\/month=([^/]+)\/paths\.parquet$/
const COVERAGE_KEY = /^coverage\/cluster=([^/]+)\/month=([^/]+)\/windows\.parquet$/

/** Whether a text is a valid cluster id. */
export function isClusterId(text: string): boolean {
  return CLUSTER_ID.test(text)
}

/** The key of an attempt. */
export function evidenceKey({ window, cluster, attempt }: EvidenceId): string {
  if (!Number.isInteger(attempt) || attempt < 1 || attempt > MAX_ATTEMPTS) {
    throw new RangeError(
      `Cannot make a key of attempt "${attempt}": it must be a whole number from 1 to ${MAX_ATTEMPTS}`,
    )
  }
  return `${attemptsPrefix(window, cluster)}${String(attempt).padStart(4, '0')}.json.gz`
}

/** Parses a key of evidence; undefined for any other text. */
export function parseEvidenceKey(key: string): EvidenceId | undefined {
  const [, windowPart = '', cluster = '', number] = EVIDENCE_KEY.exec(key) ?? []
  const window = parseWindow(windowPart)
  const attempt = Number(number)
  return window !== undefined && isClusterId(cluster) && attempt > 0 ? { window, cluster, attempt } : undefined
}

/** Prefix of all attempts at one window of one cluster, first attempt first. */
export function attemptsPrefix(window: Window, cluster: string): string {
  return `${evidencePrefix}${windowText(window)}/${checkedCluster(cluster)}/`
}

/** The key of a window's result. */
export function windowKey(cluster: string, window: Window): string {
  return `${windowPrefix(cluster)}${windowText(window)}.json`
}

/** Parses the key of a window's result; undefined for any other text. */
export function parseWindowKey(key: string): { readonly cluster: string; readonly window: Window } | undefined {
  const [, cluster = '', windowPart = ''] = WINDOW_KEY.exec(key) ?? []
  const window = parseWindow(windowPart)
  return window !== undefined && isClusterId(cluster) ? { cluster, window } : undefined
}

/** Prefix of all results of one cluster, oldest window first. */
export function windowPrefix(cluster: string): string {
  return `windows/${checkedCluster(cluster)}/`
}

/** The key of a cluster's state. */
export function stateKey(cluster: string): string {
  return `${statePrefix}${checkedCluster(cluster)}.json`
}

/** Prefix of all states. */
export const statePrefix = 'state/'

/** The cluster in the key of a state; undefined for any other text. */
export function parseStateKey(key: string): string | undefined {
  const [, cluster = ''] = STATE_KEY.exec(key) ?? []
  return isClusterId(cluster) ? cluster : undefined
}

/** The key of a day (`2026-11-24`) of a cluster's state that was moved to the archive. */
export function archiveKey(cluster: string, day: string): string {
  if (!DAY.test(day)) throw new RangeError(`Cannot make a key of day "${day}": wanted one such as 2026-11-24`)
  return `${archiveOf(cluster)}${day}.json`
}

/** Parses the key of an archived day; undefined for any other text. */
export function parseArchiveKey(key: string): { readonly cluster: string; readonly day: string } | undefined {
  const [, cluster = '', day = ''] = ARCHIVE_KEY.exec(key) ?? []
  return isClusterId(cluster) && DAY.test(day) ? { cluster, day } : undefined
}

/** Prefix of all archived days of one cluster, oldest first. */
export function archiveOf(cluster: string): string {
  return `${archivePrefix}${checkedCluster(cluster)}/`
}

/** Prefix of all archived days: sorted between the states of clusters that begin with a digit and those that begin with a letter. */
export const archivePrefix = `${statePrefix}_archive/`

/** Sorts after the keys of all archived days and of all other objects beside states, and before the states that follow them. */
export const archiveEnd = `${statePrefix}_set-aside0`

/** The key of the windows of a cluster that were queried again. */
export function requeriedKey(cluster: string): string {
  return `${statePrefix}_asked/${checkedCluster(cluster)}.json`
}

/** The cluster in a key of that kind; undefined for any other text. */
export function parseRequeriedKey(key: string): string | undefined {
  const [, cluster = ''] = ASKED_KEY.exec(key) ?? []
  return isClusterId(cluster) ? cluster : undefined
}

/** The key of what the windows of a cluster come to that are in no month yet. */
export function recentKey(cluster: string): string {
  return `${statePrefix}_recent/${checkedCluster(cluster)}.json.gz`
}

/** The cluster in a key of that kind; undefined for any other text. */
export function parseRecentKey(key: string): string | undefined {
  const [, cluster = ''] = RECENT_KEY.exec(key) ?? []
  return isClusterId(cluster) ? cluster : undefined
}

/** The key of the evidence of a cluster that killed the process which read it. */
export function setAsideKey(cluster: string): string {
  return `${statePrefix}_set-aside/${checkedCluster(cluster)}.json`
}

/** The cluster in a key of that kind; undefined for any other text. */
export function parseSetAsideKey(key: string): string | undefined {
  const [, cluster = ''] = SET_ASIDE_KEY.exec(key) ?? []
  return isClusterId(cluster) ? cluster : undefined
}

/** The key of a month (`2026-11`) of a cluster's timeline. Cluster and month are in Hive's partition form, so that query engines recognise them. */
export function timelineKey(cluster: string, month: string): string {
  return `${timelinePrefix(cluster)}month=${checkedMonth(month)}/intervals.parquet`
}

/** Parses the key of a month of the timeline; undefined for any other text. */
export function parseTimelineKey(key: string): { readonly cluster: string; readonly month: string } | undefined {
  return parseMonthKey(TIMELINE_KEY, key)
}

/** Prefix of all months of one cluster, oldest first. */
export function timelinePrefix(cluster: string): string {
  return `timeline/cluster=${checkedCluster(cluster)}/`
}

/** The key of a month (`2026-11`) of a cluster's coverage. */
export function coverageKey(cluster: string, month: string): string {
  return `${coveragePrefix(cluster)}month=${checkedMonth(month)}/windows.parquet`
}

/** Parses the key of a month of coverage; undefined for any other text. */
export function parseCoverageKey(key: string): { readonly cluster: string; readonly month: string } | undefined {
  return parseMonthKey(COVERAGE_KEY, key)
}

/** Prefix of the coverage of one cluster, oldest month first. */
export function coveragePrefix(cluster: string): string {
  return `coverage/cluster=${checkedCluster(cluster)}/`
}

/** The key of a month's (`2026-11`) unencrypted paths, of all clusters. */
export function notEncryptedKey(month: string): string {
  return `${notEncryptedPrefix}month=${checkedMonth(month)}/paths.parquet`
}

/** The month in a key of unencrypted paths; undefined for any other text. */
export function parseNotEncryptedKey(key: string): string | undefined {
  const [, month = ''] = NOT_ENCRYPTED_KEY.exec(key) ?? []
  return MONTH.test(month) ? month : undefined
}

/** Prefix of all months of unencrypted paths, oldest month first. */
export const notEncryptedPrefix = 'not-encrypted/'

function parseMonthKey(form: RegExp, key: string): { readonly cluster: string; readonly month: string } | undefined {
  const [, cluster = '', month = ''] = form.exec(key) ?? []
  return isClusterId(cluster) && MONTH.test(month) ? { cluster, month } : undefined
}

function checkedMonth(month: string): string {
  if (MONTH.test(month)) return month
  throw new RangeError(`Cannot make a key of month "${month}": wanted one such as 2026-11`)
}

/** The key of change `number` of a kind, 1 and up. */
export function changeKey(kind: RecordKind, number: number): string {
  if (!Number.isInteger(number) || number < 1 || number > MAX_CHANGES) {
    throw new RangeError(
      `Cannot make a key of change "${number}" of ${kind}: it must be a whole number from 1 to ${MAX_CHANGES}`,
    )
  }
  return `${changesPrefix(kind)}${String(number).padStart(6, '0')}.json`
}

/** Parses the key of a change; undefined for any other text. */
export function parseChangeKey(key: string): { readonly kind: RecordKind; readonly number: number } | undefined {
  const [, kindPart, digits] = CHANGE_KEY.exec(key) ?? []
  const kind = RECORD_KINDS.find((one) => one === kindPart)
  const number = Number(digits)
  return kind !== undefined && number > 0 ? { kind, number } : undefined
}

/** Prefix of all changes of a kind, oldest first. */
export function changesPrefix(kind: RecordKind): string {
  return `changes/${kind}/`
}

/** Returns the id unchanged. Throws a `RangeError` if it is invalid. */
export function checkedCluster(cluster: string): string {
  if (isClusterId(cluster)) return cluster
  throw new RangeError(
    `Cannot make a key of cluster ${JSON.stringify(cluster)}: an id has 1 to 63 of "a-z", "0-9" and "-", and neither begins nor ends with "-"`,
  )
}

/** A window in the form of keys: `20261124T123000Z-20261124T123500Z`. */
export function windowText({ start, end }: Window): string {
  const text = `${basicTime(start)}-${basicTime(end)}`
  const parsed = parseWindow(text)
  if (parsed?.start === start && parsed.end === end) return text
  throw new RangeError(
    `Cannot make a key of window ${JSON.stringify({ start, end })}: wanted two times such as 2026-11-24T12:30:00Z, the earlier one first`,
  )
}

/** Converts RFC 3339 to ISO 8601 basic. */
export function basicTime(time: string): string {
  return time.replaceAll(/[-:]/g, '')
}

/** Listings go window by window: most keys repeat the previous window, and parsing it is a tenth of the cost of sealing. */
let latest: { readonly text: string; readonly window: Window | undefined } = { text: '', window: undefined }

/** Parses a window from its form in keys; undefined for any other text. */
export function parseWindow(text: string): Window | undefined {
  if (text !== latest.text) latest = { text, window: readWindow(text) }
  return latest.window
}

function readWindow(text: string): Window | undefined {
  const [, ...parts] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? []
  const start = timeOf(parts.slice(0, 6))
  const end = timeOf(parts.slice(6))
  return start !== undefined && end !== undefined && start < end ? { start, end } : undefined
}

/** RFC 3339 text; undefined if the date or time does not exist. */
function timeOf(parts: readonly string[]): string | undefined {
  const [year = '', month = '', day = '', hour = '', minute = '', second = ''] = parts
  const isDate = Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1 && Number(day) <= daysIn(year, month)
  const isTime = Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60
  return parts.length === 6 && isDate && isTime ? `${year}-${month}-${day}T${hour}:${minute}:${second}Z` : undefined
}

function daysIn(year: string, month: string): number {
  if (month !== '02') return ['04', '06', '09', '11'].includes(month) ? 30 : 31
  const number = Number(year)
  return number % 4 === 0 && (number % 100 !== 0 || number % 400 === 0) ? 29 : 28
}

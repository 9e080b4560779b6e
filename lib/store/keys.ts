import type { Window } from '../model/time.ts'

/**
 * Every key of the store, made and parsed here and nowhere else. Times are ISO 8601 basic in UTC and numbers are padded, so
 * that text order is time order:
 *
 *     evidence/20261124T123000Z-20261124T123500Z/shop/0001.json.gz     an attempt; written once
 *     evidence/packets/shop/20261124T123210Z-0123456789abcdef.json      what a capture showed that began then; written once
 *     windows/shop/20261124T123000Z-20261124T123500Z.json              what a window comes to
 *     state/shop.json                                                  what is known of a cluster's evidence
 *     state/_archive/shop/2026-11-24.json                              a day of that, once it is old; no cluster is named so
 *     state/_asked/shop.json                                           which windows were asked again; no cluster is named so
 *     state/_set-aside/shop.json                                       which evidence ended the process that read it; no cluster is named so
 *     timeline/cluster=shop/month=2026-11/intervals.parquet            a month of a cluster
 *     coverage/cluster=shop/month=2026-11/windows.parquet              what was to be seen in it, and what was
 *     not-encrypted/month=2026-11/paths.parquet                        what was not encrypted in it, of all clusters
 *     registry/clusters.json                                           the registered clusters
 *     registry/recipients.json                                         who is meant by the pseudonyms of channels
 *     reports/20261124T140000Z-0123456789abcdef.json                   what report was made of a period that ended then; written once
 *     documents/20261124T140000Z-0123456789abcdef/report.pdf           a document of that report
 *     registry/links.json                                              the key that links to unsubscribe are made with
 *     claims/week/2026-W47/payments/r0123….json                        a mail of one person: claimed before it is sent
 *     alerts/payments.json                                             what was told to a channel of what cannot wait
 *     suppressed/r0123…/payments.json                                  who gets no mail of a channel; `_all` of any
 *     downloads/<64 hex digits>.json                                   a link to a report: by the SHA-256 of its token, which stands in a mail alone
 *     changes/clusters/000001.json                                     what somebody changed; written once
 *     log/…                                                            see log-keys.ts
 *
 * Making a key throws a `RangeError` for a part that has no place in it; parsing gives undefined for any other text.
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

/** What all keys of evidence begin with, oldest window first. */
export const evidencePrefix = 'evidence/'

/** What comes before the keys of all evidence of windows that begin at a time (RFC 3339, whole seconds) or later. */
export function evidenceBefore(time: string): string {
  return `${evidencePrefix}${basicTime(time)}`
}

/** What the keys of all captures begin with. */
export const packetsPrefix = `${evidencePrefix}packets/`

/** What the keys of all captures of one cluster begin with, oldest first. */
export function packetsOf(cluster: string): string {
  return `${packetsPrefix}${checkedCluster(cluster)}/`
}

/** The key of what a capture showed: by when it began (RFC 3339, whole seconds) and the SHA-256 of what is kept of it, in hex. */
export function packetsKey(cluster: string, from: string, sha256: string): string {
  const key = `${packetsOf(cluster)}${basicTime(from)}-${sha256.slice(0, 16)}.json`
  if (parsePacketsKey(key) !== undefined) return key
  throw new RangeError(
    `Cannot make a key of a capture at ${JSON.stringify(from)}: wanted a time such as 2026-11-24T12:30:00Z`,
  )
}

/** Which cluster's capture a key names and when it began (RFC 3339), or undefined where the text is no such key. */
export function parsePacketsKey(key: string): { readonly cluster: string; readonly from: string } | undefined {
  const [, cluster = '', ...parts] = PACKETS_KEY.exec(key) ?? []
  const from = timeOf(parts)
  return from !== undefined && isClusterId(cluster) ? { cluster, from } : undefined
}

/** The registry of clusters. */
export const registryKey = 'registry/clusters.json'

/** Whether a key is of what an auditor needs: nobody's address, no link in a mail and nothing of what was sent to whom lies there. Anything else is not. */
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

/** What operators signed: whose ways into clusters are opened. Believed by its signature alone. */
export const trustKey = 'registry/trust.json'
/** What people change: the registry of clusters, the scopes of frameworks, the waivers, the channels of mail; and reviews of reports. */
export const RECORD_KINDS = ['clusters', 'scope', 'waivers', 'channels', 'reviews'] as const

/** What is kept as a row of changes. */
export type RecordKind = (typeof RECORD_KINDS)[number]

/** More would break the text order. */
const MAX_CHANGES = 999_999

/** What the id of a cluster is made of. */
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
const SET_ASIDE_KEY = /^state\/_set-aside\/([^/]+)\.json$/
const TIMELINE_KEY = /^timeline\/cluster=([^/]+)\/month=([^/]+)\/intervals\.parquet$/
const NOT_ENCRYPTED_KEY = /^not-encrypted\/month=([^/]+)\/paths\.parquet$/
const COVERAGE_KEY = /^coverage\/cluster=([^/]+)\/month=([^/]+)\/windows\.parquet$/

/** Whether a text may be the id of a cluster. */
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

/** What a key of evidence names, or undefined where the text is none. */
export function parseEvidenceKey(key: string): EvidenceId | undefined {
  const [, windowPart = '', cluster = '', number] = EVIDENCE_KEY.exec(key) ?? []
  const window = parseWindow(windowPart)
  const attempt = Number(number)
  return window !== undefined && isClusterId(cluster) && attempt > 0 ? { window, cluster, attempt } : undefined
}

/** What the keys of all attempts at one window of one cluster begin with, first attempt first. */
export function attemptsPrefix(window: Window, cluster: string): string {
  return `${evidencePrefix}${windowText(window)}/${checkedCluster(cluster)}/`
}

/** The key of a window's result. */
export function windowKey(cluster: string, window: Window): string {
  return `${windowPrefix(cluster)}${windowText(window)}.json`
}

/** Which window's result a key names, or undefined where the text is no such key. */
export function parseWindowKey(key: string): { readonly cluster: string; readonly window: Window } | undefined {
  const [, cluster = '', windowPart = ''] = WINDOW_KEY.exec(key) ?? []
  const window = parseWindow(windowPart)
  return window !== undefined && isClusterId(cluster) ? { cluster, window } : undefined
}

/** What the keys of all results of one cluster begin with, oldest window first. */
export function windowPrefix(cluster: string): string {
  return `windows/${checkedCluster(cluster)}/`
}

/** The key of what is known of a cluster's evidence. */
export function stateKey(cluster: string): string {
  return `${statePrefix}${checkedCluster(cluster)}.json`
}

/** What the keys of all states begin with. */
export const statePrefix = 'state/'

/** Whose state a key names, or undefined where the text is no such key. */
export function parseStateKey(key: string): string | undefined {
  const [, cluster = ''] = STATE_KEY.exec(key) ?? []
  return isClusterId(cluster) ? cluster : undefined
}

/** The key of a day (`2026-11-24`) of what is known of a cluster's evidence, once that has left the state. */
export function archiveKey(cluster: string, day: string): string {
  if (!DAY.test(day)) throw new RangeError(`Cannot make a key of day "${day}": wanted one such as 2026-11-24`)
  return `${archiveOf(cluster)}${day}.json`
}

/** Which archived day a key names, or undefined where the text is no such key. */
export function parseArchiveKey(key: string): { readonly cluster: string; readonly day: string } | undefined {
  const [, cluster = '', day = ''] = ARCHIVE_KEY.exec(key) ?? []
  return isClusterId(cluster) && DAY.test(day) ? { cluster, day } : undefined
}

/** What the keys of all archived days of one cluster begin with, oldest first. */
export function archiveOf(cluster: string): string {
  return `${archivePrefix}${checkedCluster(cluster)}/`
}

/** What the keys of all archived days begin with: between the states of clusters that begin with a digit and those that begin with a letter. */
export const archivePrefix = `${statePrefix}_archive/`

/** What comes after the keys of all archived days and of all that lies beside states, and before those of the states that come after them. */
export const archiveEnd = `${statePrefix}_set-aside0`

/** The key of which windows of a cluster were asked again. */
export function askedKey(cluster: string): string {
  return `${statePrefix}_asked/${checkedCluster(cluster)}.json`
}

/** Which cluster's a key of that kind is, or undefined where the text is no such key. */
export function parseAskedKey(key: string): string | undefined {
  const [, cluster = ''] = ASKED_KEY.exec(key) ?? []
  return isClusterId(cluster) ? cluster : undefined
}

/** The key of which evidence of a cluster ended the process that read it. */
export function setAsideKey(cluster: string): string {
  return `${statePrefix}_set-aside/${checkedCluster(cluster)}.json`
}

/** Which cluster's a key of that kind is, or undefined where the text is no such key. */
export function parseSetAsideKey(key: string): string | undefined {
  const [, cluster = ''] = SET_ASIDE_KEY.exec(key) ?? []
  return isClusterId(cluster) ? cluster : undefined
}

/** The key of a month (`2026-11`) of a cluster's timeline. Cluster and month are written as Hive names partitions, so that engines know them by the key. */
export function timelineKey(cluster: string, month: string): string {
  return `${timelinePrefix(cluster)}month=${checkedMonth(month)}/intervals.parquet`
}

/** Which month a key of the timeline names, or undefined where the text is no such key. */
export function parseTimelineKey(key: string): { readonly cluster: string; readonly month: string } | undefined {
  return parseMonthKey(TIMELINE_KEY, key)
}

/** What the keys of all months of one cluster begin with, oldest first. */
export function timelinePrefix(cluster: string): string {
  return `timeline/cluster=${checkedCluster(cluster)}/`
}

/** The key of what was to be seen in a month (`2026-11`) of a cluster. */
export function coverageKey(cluster: string, month: string): string {
  return `${coveragePrefix(cluster)}month=${checkedMonth(month)}/windows.parquet`
}

/** Which month a key of coverage names, or undefined where the text is no such key. */
export function parseCoverageKey(key: string): { readonly cluster: string; readonly month: string } | undefined {
  return parseMonthKey(COVERAGE_KEY, key)
}

/** What the keys of the coverage of one cluster begin with, oldest month first. */
export function coveragePrefix(cluster: string): string {
  return `coverage/cluster=${checkedCluster(cluster)}/`
}

/** The key of what was not encrypted in a month (`2026-11`), of all clusters. */
export function notEncryptedKey(month: string): string {
  return `${notEncryptedPrefix}month=${checkedMonth(month)}/paths.parquet`
}

/** Which month a key of what was not encrypted names, or undefined where the text is no such key. */
export function parseNotEncryptedKey(key: string): string | undefined {
  const [, month = ''] = NOT_ENCRYPTED_KEY.exec(key) ?? []
  return MONTH.test(month) ? month : undefined
}

/** What the keys of what was not encrypted begin with, oldest month first. */
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

/** Which change a key names, or undefined where the text is no such key. */
export function parseChangeKey(key: string): { readonly kind: RecordKind; readonly number: number } | undefined {
  const [, kindPart, digits] = CHANGE_KEY.exec(key) ?? []
  const kind = RECORD_KINDS.find((one) => one === kindPart)
  const number = Number(digits)
  return kind !== undefined && number > 0 ? { kind, number } : undefined
}

/** What the keys of all changes of a kind begin with, oldest first. */
export function changesPrefix(kind: RecordKind): string {
  return `changes/${kind}/`
}

/** The id as it is. Throws a `RangeError` for what is none. */
export function checkedCluster(cluster: string): string {
  if (isClusterId(cluster)) return cluster
  throw new RangeError(
    `Cannot make a key of cluster ${JSON.stringify(cluster)}: an id has 1 to 63 of "a-z", "0-9" and "-", and neither begins nor ends with "-"`,
  )
}

/** A window as keys have it: `20261124T123000Z-20261124T123500Z`. */
export function windowText({ start, end }: Window): string {
  const text = `${basicTime(start)}-${basicTime(end)}`
  const parsed = parseWindow(text)
  if (parsed?.start === start && parsed.end === end) return text
  throw new RangeError(
    `Cannot make a key of window ${JSON.stringify({ start, end })}: wanted two times such as 2026-11-24T12:30:00Z, the earlier one first`,
  )
}

/** ISO 8601 basic of RFC 3339. */
export function basicTime(time: string): string {
  return time.replaceAll(/[-:]/g, '')
}

/** Lists go window by window: most keys are of the one before, and to read it is a tenth of what sealing costs. */
let latest: { readonly text: string; readonly window: Window | undefined } = { text: '', window: undefined }

/** The window of its form in keys, or undefined where the text is none. */
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

/** RFC 3339 text, or undefined where the calendar or the clock has no such time. */
function timeOf([year, month, day, hour, minute, second]: readonly string[]): string | undefined {
  const time = `${year}-${month}-${day}T${hour}:${minute}:${second}Z`
  const date = new Date(time)
  return !Number.isNaN(date.getTime()) && date.toISOString() === time.replace('Z', '.000Z') ? time : undefined
}

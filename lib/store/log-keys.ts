import type { Window } from '../model/time.ts'
import { checkedCluster, windowText } from './keys.ts'

/**
 * The keys of the log, made and parsed here and nowhere else. All but the checkpoint are written once. Served by any web server, `log/` is a
 * log as C2SP tlog-tiles describes it:
 *
 *     log/checkpoint                                                       its signed head
 *     log/vkey                                                             the key that signed it
 *     log/batch/0000000000000070                                           the leaves from number 70 on, as one run found them
 *     log/batch/0000000000000070-2                                         the same, if the log's key did not claim the object before it
 *     log/head/0000000000000071                                            the signed head of that size, the first that covers a report
 *     log/head/0000000000000071.tsr                                        a time stamp (RFC 3161) of that head; no evidence, and named by no leaf
 *     log/tile/0/x001/234.p/8, log/tile/entries/x001/234.p/8               hashes and entries
 *     log/index/evidence/20261124T120000Z-20261124T130000Z/shop/0001.json.gz   the number of the leaf of an object
 *     log/index/gap/20261124T120000Z-20261124T130000Z/shop.none            the number of the leaf of a gap
 *
 * Making a key throws a `RangeError` for an invalid part; parsing returns undefined for any other text.
 */

/** The log's signed head: the only object under `log/` that is ever replaced. */
export const checkpointKey = 'log/checkpoint'

/** The text form of the public key that verifies the log. */
export const vkeyKey = 'log/vkey'

/** Prefix of all batches, first leaf first. */
export const batchPrefix = 'log/batch/'

/** Prefix of all kept heads, smallest log first. */
export const headPrefix = 'log/head/'

/** Prefix of all numbers of leaves, followed by a leaf's name. */
export const indexPrefix = 'log/index/'

/** Prefix of the names of all gaps, oldest window first. No key of the store begins with it. */
export const gapPrefix = 'gap/'

/** The progress of `seal`; only ever saves listing. */
export const sealingKey = 'sealing/progress.json'

/** Which heads have no time stamp yet, and when an authority is asked again; only ever saves asking. */
export const timestampingKey = 'sealing/timestamps.json'

const HEAD_KEY = /^log\/head\/(\d{16})(\.tsr)?$/

const BATCH_KEY = /^log\/batch\/(\d{16})(?:-[1-9]\d{0,5})?$/

/**
 * The key of the batch that begins with a leaf, 0 and up. Padded to the largest safe integer, so that text order is the order of leaves. If something that is
 * no batch of the log has the key, the next place is tried: 1 and up.
 */
export function batchKey(firstLeaf: number, place = 1): string {
  if (!Number.isSafeInteger(firstLeaf) || firstLeaf < 0)
    throw new RangeError(`Cannot make a key of the batch at leaf "${firstLeaf}": it must be a whole number`)
  return `${batchPrefix}${String(firstLeaf).padStart(16, '0')}${place === 1 ? '' : `-${place}`}`
}

/** The number of the first leaf of the batch in a key, at any place; undefined for any other text. */
export function parseBatchKey(key: string): number | undefined {
  const [, digits] = BATCH_KEY.exec(key) ?? []
  const number = Number(digits)
  return Number.isSafeInteger(number) ? number : undefined
}

/** The key of the signed head of a log of a size, which is kept if it is the first that covers a report. */
export function headKey(size: number): string {
  if (!Number.isSafeInteger(size) || size < 1)
    throw new RangeError(`Cannot make a key of the head of "${size}" leaves: it must be a whole number`)
  return `${headPrefix}${String(size).padStart(16, '0')}`
}

/** The log size in the key of a head; undefined for any other text. */
export function parseHeadKey(key: string): number | undefined {
  const [, digits, end] = HEAD_KEY.exec(key) ?? []
  return end === undefined ? sizeOf(digits) : undefined
}

/** The key of the time stamp of the kept head of a log of a size. */
export function timestampKey(size: number): string {
  return `${headKey(size)}.tsr`
}

/** The log size in the key of a time stamp; undefined for any other text. */
export function parseTimestampKey(key: string): number | undefined {
  const [, digits, end] = HEAD_KEY.exec(key) ?? []
  return end === undefined ? undefined : sizeOf(digits)
}

function sizeOf(digits: string | undefined): number | undefined {
  const size = Number(digits)
  return Number.isSafeInteger(size) && size > 0 ? size : undefined
}

/** The key of a tile, given its C2SP path, such as `tile/0/x001/234.p/8`. */
export function tileKey(path: string): string {
  return `log/${path}`
}

/** The path of the tile in a key; undefined for any other text. */
export function parseTileKey(key: string): string | undefined {
  return key.startsWith('log/tile/') ? key.slice('log/'.length) : undefined
}

/** The key of the number of a leaf, by the leaf's name. */
export function indexKey(name: string): string {
  return `${indexPrefix}${name}`
}

/** The name of the leaf whose number a key holds; undefined for any other text. */
export function parseIndexKey(key: string): string | undefined {
  return key.startsWith(indexPrefix) && key.length > indexPrefix.length ? key.slice(indexPrefix.length) : undefined
}

/**
 * The name of the gap of a cluster in a window. A dot follows the cluster and sorts as the slash does that follows it in keys of evidence: gaps and evidence
 * are then in one order.
 */
export function gapName(window: Window, cluster: string): string {
  return `${gapPrefix}${windowText(window)}/${checkedCluster(cluster)}.none`
}

/** The text before the names of all gaps of windows that begin at a time (RFC 3339, whole seconds) or later. */
export function gapBefore(time: string): string {
  return `${gapPrefix}${time.replaceAll(/[-:]/g, '')}`
}

/**
 * Links in mails that download a report without login. A link is a token that only one mail contains; its record is stored under the token's SHA-256, so that
 * reading the store does not give access.
 */
import { createHash, randomBytes } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { timeOf, toSeconds } from '../../time/windows.ts'
import { parseJson } from '../../text/parse-json.ts'
import { isClusterId } from '../../store/keys.ts'
import { type Objects, StoreError } from '../../store/objects/objects.ts'
import { replaceObject } from '../../store/objects/replace.ts'
import { type Channel, isOfEverything, isPseudonym } from '../channel/channel.ts'
import { readChannels } from '../channel/channels.ts'
import { isSuppressed } from '../channel/suppressions.ts'
import { downloadKey, downloadsPrefix, parseDownloadKey } from '../../store/delivery-keys.ts'
import { isReportKey } from '../../store/report-keys.ts'

const downloadSchema = z.object({
  format: z.literal('ciphertrail/download/1'),
  /** Key of its report. */
  report: z.string().refine(isReportKey),
  channel: z.string().refine(isClusterId),
  /** Pseudonym of the mail's recipient. */
  recipient: z.string().refine(isPseudonym),
  /** RFC 3339. */
  madeAt: z.iso.datetime(),
  /** RFC 3339: when it expires. */
  expiresAt: z.iso.datetime(),
  /** RFC 3339; null if not revoked. */
  revokedAt: z.iso.datetime().nullable(),
  /** How often its button was pressed. */
  uses: z.int().nonnegative(),
  /** RFC 3339: the last time; null for none. */
  usedAt: z.iso.datetime().nullable(),
  /** Number of requests to the address behind the button, which works for a minute; an earlier version did not count them. */
  fetches: z.int().nonnegative().default(0),
})

/** The stored record of a link. */
export type Download = Readonly<Omit<z.infer<typeof downloadSchema>, 'format'>> & {
  /** SHA-256 of its token, 64 hex digits. Grants no access. */
  readonly id: string
}

/** Why a link does not work. */
export type DownloadEnd = 'revoked' | 'channel removed' | 'links off' | 'not a recipient' | 'gets no mail' | 'expired'

/** How long a link works: a mail is read in its week, and looked up again by the end of the month. */
export const DOWNLOAD_SECONDS = 30 * 24 * 60 * 60

/**
 * How long the record of an expired link is kept, with its number of uses: enough to look into the mails of a quarter. The mail's record keeps that there was a
 * link (`Delivery.link`), and the request log each use.
 */
const KEPT_SECONDS = 60 * 24 * 60 * 60

const TOKEN = /^[A-Za-z0-9_-]{43}$/

/** Makes a link and returns its token, which is not stored. */
export async function makeDownload(
  { report, channel, recipient, expiresAt }: Pick<Download, 'report' | 'channel' | 'recipient' | 'expiresAt'>,
  now: Date,
  objects: Objects,
): Promise<string> {
  const token = randomBytes(32).toString('base64url')
  const id = createHash('sha256').update(token).digest('hex')
  const made = {
    id,
    report,
    channel,
    recipient,
    madeAt: timeOf(now),
    expiresAt,
    revokedAt: null,
    uses: 0,
    usedAt: null,
    fetches: 0,
  }
  await objects.putIf(downloadKey(id), encode(made), null)
  return token
}

/** The id of the link of a token; undefined if the text cannot be a token. Does not check that the link exists. */
export function downloadIdOf(token: string): string | undefined {
  return TOKEN.test(token) ? createHash('sha256').update(token).digest('hex') : undefined
}

/** The name of a link for operators: the first digits of its id, which are unique. */
export function linkName(id: string): string {
  return id.slice(0, 16)
}

/** Reads the record of a link; undefined if there is none. Throws {@link StoreError} that names the object if it is damaged. */
export async function readDownload(id: string, objects: Objects): Promise<Download | undefined> {
  return (await read(id, objects))?.download
}

/** All readable links, in no particular order, and the keys of unreadable ones, which do not work. */
export async function listDownloads(
  objects: Objects,
): Promise<{ readonly downloads: readonly Download[]; readonly damaged: readonly string[] }> {
  const downloads: Download[] = []
  const damaged: string[] = []
  for await (const key of objects.list(downloadsPrefix)) {
    const id = parseDownloadKey(key)
    const stored = id === undefined ? undefined : await objects.get(key)
    if (id === undefined || stored === undefined) continue
    const download = decode(id, stored.body)
    if (download === undefined) damaged.push(key)
    else downloads.push(download)
  }
  return { downloads, damaged }
}

/**
 * Records the use of a link before anything is returned: without a record there is no download. Undefined if it was revoked or has expired, even in the moment
 * before.
 */
export async function useDownload(id: string, now: Date, objects: Objects): Promise<Download | undefined> {
  return change(id, objects, (download) =>
    download.revokedAt !== null || isExpired(download, now)
      ? undefined
      : { ...download, uses: download.uses + 1, usedAt: timeOf(now) },
  )
}

/** Records a request to the address behind the button before anything is returned, so that foreign use is visible. Undefined as in {@link useDownload}. */
export async function fetchDownload(id: string, now: Date, objects: Objects): Promise<Download | undefined> {
  return change(id, objects, (download) =>
    download.revokedAt !== null || isExpired(download, now)
      ? undefined
      : { ...download, fetches: download.fetches + 1 },
  )
}

/** Revokes a link for good. Undefined if it was revoked already, or there is none. */
export async function revokeDownload(id: string, now: Date, objects: Objects): Promise<Download | undefined> {
  return change(id, objects, (download) =>
    download.revokedAt === null ? { ...download, revokedAt: timeOf(now) } : undefined,
  )
}

/**
 * Removes the links that expired 60 days ago or earlier, however they ended, and returns their number. An unreadable one stays, so that it is looked into.
 * Throws {@link StoreError} if the store cannot be read, or refuses.
 */
export async function removeOldDownloads(now: Date, objects: Objects): Promise<number> {
  const { downloads } = await listDownloads(objects)
  const old = downloads.filter(({ expiresAt }) => toSeconds(expiresAt) + KEPT_SECONDS <= now.getTime() / 1000)
  for (const { id } of old) await objects.remove(downloadKey(id))
  return old.length
}

/**
 * Why a link does not work; null if it does. It ends with everything that it depends on: the channel, the option, the recipient's place in the channel, and the
 * recipient's mail.
 *
 * @param channel the current one of that id; undefined if there is none
 */
export function downloadEnd(
  download: Download,
  channel: Channel | undefined,
  { isSuppressed, now }: { readonly isSuppressed: boolean; readonly now: Date },
): DownloadEnd | null {
  const { recipient, madeAt, revokedAt } = download
  if (revokedAt !== null) return 'revoked'
  // A channel that was added again is another one.
  if (channel === undefined || toSeconds(madeAt) < toSeconds(channel.addedAt)) return 'channel removed'
  const { downloadsSince } = channel
  if (downloadsSince === null || toSeconds(madeAt) < toSeconds(downloadsSince) || !isOfEverything(channel))
    return 'links off'
  if (!channel.recipients.includes(recipient)) return 'not a recipient'
  if (isSuppressed) return 'gets no mail'
  return isExpired(download, now) ? 'expired' : null
}

/** Why a link does not work according to the store, and the time zone of its channel, UTC if there is none. */
export async function readEnd(
  download: Download,
  now: Date,
  objects: Objects,
): Promise<{ readonly end: DownloadEnd | null; readonly timeZone: string }> {
  const channel = (await readChannels(objects)).find(({ id }) => id === download.channel)
  const isGone = await isSuppressed(download.recipient, download.channel, objects)
  return { end: downloadEnd(download, channel, { isSuppressed: isGone, now }), timeZone: channel?.timeZone ?? 'UTC' }
}

const isExpired = ({ expiresAt }: Download, now: Date): boolean => toSeconds(expiresAt) * 1000 <= now.getTime()

/** Decides and writes one change; decides again after a concurrent change. `decide` returns undefined if there is nothing to change. */
async function change(
  id: string,
  objects: Objects,
  decide: (download: Download) => Download | undefined,
): Promise<Download | undefined> {
  return replaceObject(
    downloadKey(id),
    async () => {
      const stored = await read(id, objects)
      const result = stored === undefined ? undefined : decide(stored.download)
      return { result, body: result === undefined ? null : encode(result), etag: stored?.etag ?? null }
    },
    objects,
  )
}

async function read(
  id: string,
  objects: Objects,
): Promise<{ readonly download: Download; readonly etag: string } | undefined> {
  const key = downloadKey(id)
  const stored = await objects.get(key)
  if (stored === undefined) return undefined
  const download = decode(id, stored.body)
  if (download === undefined)
    throw new StoreError(`Cannot read "${key}": it is damaged, so that its link does not work; remove it`)
  return { download, etag: stored.etag }
}

function decode(id: string, body: Uint8Array): Download | undefined {
  const parsed = downloadSchema.safeParse(parseJson(body))
  if (!parsed.success) return undefined
  const { format: _, ...download } = parsed.data
  return { id, ...download }
}

function encode({ id: _, ...download }: Download): Uint8Array {
  return Buffer.from(canonicalize({ format: 'ciphertrail/download/1', ...download }) ?? '')
}

/** Posts the reports of weeks to the webhooks that want them: in order, each piece until it is taken, claimed before it is sent. */
import { concurrently } from '../concurrently.ts'
import { endpointPseudonym } from '../deliver/alert/due-alerts.ts'
import { type Channel, reportWebhook } from '../deliver/channel/channel.ts'
import { readChannels } from '../deliver/channel/channels.ts'
import {
  pieceId,
  POSTED_DOCUMENTS,
  type ReportFormat,
  type ReportPiece,
  ReportPieceError,
  reportPieces,
} from '../deliver/report/report-pieces.ts'
import { type Delivery, isDeliveryDue, readDelivery } from '../deliver/send/claims.ts'
import type { PostAlert } from '../deliver/send/webhook.ts'
import type { Seconds } from '../model/time.ts'
import { type ReportRecord, readDocument, readReport } from '../store/evidence/report-records.ts'
import type { DeliveryId } from '../store/delivery-keys.ts'
import { type Objects, StoreError } from '../store/objects/objects.ts'
import { documentKey, documentsOfReport, isReportKey, reportsPrefix, reportsUpTo } from '../store/report-keys.ts'
import { errorLine } from '../text/error-line.ts'
import { toSeconds, toTime } from '../time/windows.ts'
import { deliverOnce, repeatableOutcome } from './mail/deliver-message.ts'

/** What posting reports needs. */
export type PostDeps = {
  readonly objects: Objects
  readonly now: () => Date
  readonly post: PostAlert
  /** Remembers reports with nothing left to post, so that each look need not read every claim; default: none. Only an optimisation. */
  readonly settled?: Set<string>
  /** Called before each post: whether to leave the rest to the next run, since no time is left; default: never. */
  readonly isOver?: () => boolean
}

/** The outcome of a channel's reports. */
export type ChannelPosts = {
  readonly channel: string
  /** Pieces that were tried now, in order. */
  readonly tried: readonly Delivery[]
  /** Why a report cannot be posted; null if it can. One line. */
  readonly problem: string | null
}

/** Older reports are not posted any more. A receiver that was away for longer has what is open from the next one. */
const LOOK_BACK_SECONDS: Seconds = 15 * 24 * 60 * 60

/** A receiver may store a piece before it answers. */
const POST_MS = 60_000

/** Channels that are posted to at once: one that is slow holds up few others. */
const AT_ONCE = 8

/**
 * Posts what is missing of the latest weekly reports to each channel that wants them. A report is begun once the one before it was posted or failed for good, and
 * a piece once the one before it was taken. A failed piece is tried again as alerts are, with the same id; if it fails for good, so does the rest of its report.
 * Safe to run concurrently and to crash anywhere.
 */
export async function postReports(
  { at, channel: only }: { readonly at: Date; readonly channel?: string },
  deps: PostDeps,
): Promise<readonly ChannelPosts[]> {
  const channels = (await readChannels(deps.objects)).filter(
    (channel) => reportWebhook(channel) !== null && (only === undefined || channel.id === only),
  )
  if (channels.length === 0) return []
  const { reports, unread } = await weeklyReports(at, deps.objects)
  return concurrently(channels, AT_ONCE, async (channel) => {
    const { problem, ...posts } = await postTo(channel, reports, deps)
    return { ...posts, problem: problem ?? unread }
  })
}

type WeeklyReport = { readonly key: string; readonly record: ReportRecord }

/** The reports of the last weeks, earliest first. Those made elsewhere have left no documents here, and are none. */
async function weeklyReports(
  at: Date,
  objects: Objects,
): Promise<{
  readonly reports: readonly WeeklyReport[]
  /** Why one is left out; null if none is. */ readonly unread: string | null
}> {
  const reports: WeeklyReport[] = []
  let unread: string | null = null
  const after = reportsUpTo(toTime(Math.floor(at.getTime() / 1000) - LOOK_BACK_SECONDS))
  for await (const key of objects.list(reportsPrefix, after)) {
    let record: ReportRecord | undefined
    try {
      record = isReportKey(key) ? await readReport(key, objects) : undefined
    } catch (error) {
      // One that somebody put there keeps no other from being posted.
      if (!(error instanceof StoreError)) throw error
      unread = errorLine(error)
    }
    if (record?.period.label.startsWith('Week ') === true && (await hasDocuments(key, objects)))
      reports.push({ key, record })
  }
  return { reports, unread }
}

async function hasDocuments(report: string, objects: Objects): Promise<boolean> {
  for await (const _ of objects.list(documentsOfReport(report))) return true
  return false
}

async function postTo(channel: Channel, reports: readonly WeeklyReport[], deps: PostDeps): Promise<ChannelPosts> {
  const tried: Delivery[] = []
  let problem: string | null = null
  try {
    for (const report of wantedBy(channel, reports)) {
      const outcome = await postReport(channel, report, tried, deps)
      // That of the latest report counts: it has what is open of the ones before.
      problem = outcome.problem
      if (outcome.isWaiting) break
    }
  } catch (error) {
    problem = errorLine(error)
  }
  return { channel: channel.id, tried, problem }
}

/** Those since the channel was added, and the one before them: a tool begins with what is open. */
function wantedBy({ addedAt }: Channel, reports: readonly WeeklyReport[]): readonly WeeklyReport[] {
  const isOld = ({ record }: WeeklyReport): boolean => toSeconds(record.period.to) <= toSeconds(addedAt)
  return reports.filter((report, at) => {
    const next = reports[at + 1]
    return !isOld(report) || next === undefined || !isOld(next)
  })
}

/** `isWaiting`: a piece is to be tried later, or another process has it, and what follows must wait. */
type Posted = { readonly isWaiting: boolean; readonly problem: string | null }

async function postReport(
  channel: Channel,
  report: WeeklyReport,
  tried: Delivery[],
  { objects, now, post, settled, isOver = () => false }: PostDeps,
): Promise<Posted> {
  const webhook = reportWebhook(channel)
  const name = [channel.id, report.key, webhook?.format, webhook?.url].join(' ')
  if (webhook === null || settled?.has(name) === true) return DONE
  const recipient = endpointPseudonym(webhook.url)
  let pieces: readonly ReportPiece[] | string | undefined
  for (let number = 1; ; number++) {
    const id = pieceId(report.key, webhook.format, number)
    const delivery = { kind: 'report', period: id, channel: channel.id, recipient } as const
    const standing = await standingOf(delivery, report, { objects, now })
    if (standing === 'sent') continue
    if (standing !== 'due') return standing
    // Claims come first: most looks find that nothing is due, and documents are large.
    pieces ??= await piecesOf(report, webhook.format, objects)
    if (typeof pieces === 'string') return { isWaiting: false, problem: pieces }
    const piece = pieces[number - 1]
    // The piece after the last one is due for ever.
    if (piece === undefined) break
    if (isOver()) return WAITING
    const made = await deliverOnce(
      delivery,
      true,
      () => repeatableOutcome(() => post(webhook, { ...piece, timeoutMs: POST_MS }, now())),
      { objects, now },
    )
    if (made === null) return WAITING
    tried.push(made)
    if (made.status === 'sent') continue
    return made.retryAt === null ? { isWaiting: false, problem: failedWords(report, made) } : WAITING
  }
  settled?.add(name)
  return DONE
}

/** Whether a piece was sent or is to be sent now; else why not. */
async function standingOf(
  delivery: DeliveryId,
  report: WeeklyReport,
  { objects, now }: Pick<PostDeps, 'objects' | 'now'>,
): Promise<'sent' | 'due' | Posted> {
  const before = await readDelivery(delivery, now(), objects)
  if (before?.status === 'sent') return 'sent'
  if (before === null || isDeliveryDue(before, now())) return 'due'
  return before.retryAt === null ? { isWaiting: false, problem: failedWords(report, before) } : WAITING
}

const DONE: Posted = { isWaiting: false, problem: null }
const WAITING: Posted = { isWaiting: true, problem: null }

const failedWords = ({ record }: WeeklyReport, { period: piece, detail }: Delivery): string =>
  `the report of ${record.period.label} was not taken, and is not posted again: ${detail ?? 'no reason was given'} (${piece})`

/** The pieces of a report, none where its documents are not in this store; or why there are none. */
async function piecesOf(
  { key, record }: WeeklyReport,
  format: ReportFormat,
  objects: Objects,
): Promise<readonly ReportPiece[] | string> {
  const documents: { name: string; body: Uint8Array }[] = []
  for (const name of POSTED_DOCUMENTS[format]) {
    const read = await readDocument({ key, record }, name, objects)
    if (read === 'absent') return []
    if (read === 'changed')
      return `"${documentKey(key, name)}" is not the document that was recorded, so it is not posted; run "ciphertrail log check"`
    documents.push({ name, body: read.body })
  }
  try {
    return reportPieces(key, format, documents)
  } catch (error) {
    if (!(error instanceof ReportPieceError)) throw error
    return `the report of ${record.period.label} cannot be posted: ${error.message}`
  }
}

/** Weekly mail of a channel, from the stored evidence to its content. */
import { concurrently } from '../../concurrently.ts'
import { timeOf, toSeconds } from '../../time/windows.ts'
import { otherConditions } from '../../deliver/alert/conditions.ts'
import type { Channel } from '../../deliver/channel/channel.ts'
import type { WeekMail } from '../../deliver/mail/sending-times.ts'
import { type MailContent, mailContent } from '../../deliver/mail/weekly-mail.ts'
import { partOf } from '../../deliver/mail/part.ts'
import type { SuppressedCounts } from '../../deliver/channel/suppressions.ts'
import { summarise } from '../../report/summary/summary.ts'
import { type Objects, StoreError } from '../../store/objects/objects.ts'
import { readClusters, readWatched } from '../../store/registry/registry.ts'
import { compareText } from '../../text/order.ts'
import { expiryFacts, sealFacts } from '../../deliver/alert/alert-facts.ts'
import { type MailReport, readMailReport } from './mail-report.ts'
import { readReportInput, removedClusters } from '../read-report-input.ts'
import { countWordsOf } from '../../deliver/alert/condition-kinds.ts'

/** Channel and week of a mail. */
export type MailInstructions = {
  readonly channel: Channel
  readonly week: Pick<WeekMail, 'week' | 'from' | 'to'>
  /** Windows that should have been collected by then and are not stored are reported as missing. */
  readonly now: Date
  /** Version of ciphertrail. */
  readonly version: string
  /** URL of the pages, without a slash at its end; null if there is none. */
  readonly url: string | null
  /** Number of recipients of the channel who are suppressed. */
  readonly suppressed: SuppressedCounts
}

/** The content for a channel's recipients, and the parts of the report that go with it. */
export type WeekMailContent = MailContent & Pick<MailReport, 'download' | 'attachments'>

/** Number of clusters whose expiries are read at once. */
const MAX_READS = 16

/** Renders the content for a channel's recipients. Throws `StoreError` for a cluster whose history is damaged. */
export async function weekMail(
  { channel, week, now, version, url, suppressed }: MailInstructions,
  { objects }: { readonly objects: Objects },
): Promise<WeekMailContent> {
  const registered = await readClusters({ objects })
  const known = new Set(registered.map(({ id }) => id))
  const isEvery = channel.clusters.length === 0
  const clusters = isEvery ? registered : registered.filter(({ id }) => channel.clusters.includes(id))
  const asked = isEvery ? await takenOut(week, objects) : channel.clusters
  const period = { from: week.from, to: week.to, label: `Week ${week.week}`, timeZone: channel.timeZone }
  const removed = isEvery ? await removedClusters(registered, objects) : []
  const { input, empty } = partOf(
    await readReportInput({ clusters, period, now, version, removed }, { objects }),
    channel,
  )
  const { offer, download, attachments } = await readMailReport(
    { channel, period, now, hasPages: url !== null },
    objects,
  )
  // Facts about a whole cluster: not shown to channels of some namespaces, as in alerts.
  const told = channel.namespaces.length > 0 ? [] : clusters
  const expiries = await concurrently(told, MAX_READS, async ({ id }) => ({
    id,
    facts: await expiryFacts(id, objects).catch((error: unknown) => {
      // Then it is reported as unknown; the other clusters' expiries are reported.
      if (error instanceof StoreError) throw error
      return null
    }),
  }))
  const beside = otherConditions(channel, {
    now: timeOf(now),
    clusters: expiries.flatMap(({ facts }) => facts ?? []),
    waivers: { all: [], problem: null },
    scopeProblem: null,
    seal: await sealFacts(now, registered, objects),
  })
  const content = mailContent({
    summary: summarise(input),
    channel,
    unregistered: [...new Set(asked)].filter((id) => !known.has(id)).toSorted(compareText),
    empty,
    suppressed,
    beside: {
      words: countWordsOf(beside),
      conditions: beside,
      untold: expiries.flatMap(({ id, facts }) => (facts === null ? [id] : [])),
      at: timeOf(now),
    },
    links: { page: url },
    report: offer,
  })
  return { ...content, download, attachments }
}

/** Clusters removed from the registry since the week began: their open paths must not disappear silently for recipients of all clusters. */
async function takenOut({ from }: Pick<WeekMail, 'from'>, objects: Objects): Promise<readonly string[]> {
  const watched = await readWatched({ objects })
  return watched.flatMap(({ id, removedAt }) =>
    removedAt !== undefined && toSeconds(removedAt) > toSeconds(from) ? [id] : [],
  )
}

/** Current state of all clusters, read from the store alone: what `ciphertrail status` shows. */
import { DAY_SECONDS, type FleetStatus, type Status, type StatusCluster } from '../report/summary/status.ts'
import { concurrently } from '../concurrently.ts'
import { observedTime } from '../assess/judge/cluster-observed-share.ts'
import { nextMail } from '../deliver/mail/sending-times.ts'
import { readChannels } from '../deliver/channel/channels.ts'
import type { Cluster } from '../model/registry.ts'
import { NOW } from '../report/sections/opening.ts'
import { joinStandings, standingOf } from '../report/summary/standing.ts'
import { summarise } from '../report/summary/summary.ts'
import { lengthOf, timeOf, toSeconds, toTime } from '../time/windows.ts'
import type { TimelineMonth } from '../model/history.ts'
import { presentEnd, presentStart } from '../history/rows/period-rows.ts'
import type { ReportPeriod } from '../report/report-input.ts'
import { type ReadDeps, readEachCluster, readReportInput } from './read-report-input.ts'

/** The inputs of the status. */
export type StatusInput = {
  readonly clusters: readonly Cluster[]
  readonly now: Date
  readonly version: string
  /** Ids of clusters that were removed from the registry. */
  readonly removed: readonly string[]
}

/** Number of clusters that are read at once, as for a report. */
const MAX_READS = 4

/** Length of the status period. */
const SPAN_DAYS = 7

/** Reads the status with all of the summary, which must fit into memory. Throws as {@link readReportInput} does. */
export async function readStatus({ clusters, now, version, removed }: StatusInput, deps: ReadDeps): Promise<Status> {
  const period = await statusPeriod(clusters, now, deps)
  const input = await readReportInput({ clusters, period, now, version, removed }, deps)
  const summary = summarise(input)
  return {
    period,
    replay: summary.replay,
    summary,
    clusters: input.clusters.map((cluster) => statusOf(cluster, period)),
    mail: await firstMail(now, deps),
  }
}

/** Reads the status of any number of clusters, a few at a time. Throws as {@link readReportInput} does. */
export async function readFleetStatus(
  { clusters, now, version, removed }: StatusInput,
  deps: ReadDeps,
): Promise<FleetStatus> {
  const period = await statusPeriod(clusters, now, deps)
  const { made, checkpoint } = await readEachCluster({ clusters, period, now, version, removed }, deps, (input) => ({
    standing: standingOf(summarise(input)),
    clusters: input.clusters.map((cluster) => statusOf(cluster, period)),
  }))
  return {
    standing: joinStandings(
      made.map(({ standing }) => standing),
      checkpoint,
    ),
    clusters: made.flatMap((one) => one.clusters),
    mail: await firstMail(now, deps),
  }
}

async function firstMail(now: Date, { objects }: Pick<ReadDeps, 'objects'>): Promise<Status['mail']> {
  const mails = (await readChannels(objects))
    .map((channel) => ({ channel: channel.id, at: nextMail(channel, timeOf(now)).sendAt }))
    .toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))
  return mails[0] ?? null
}

/** The last seven days, or since the first window, up to the end of the last ended window. */
export async function statusPeriod(
  clusters: readonly Cluster[],
  now: Date,
  { objects }: Pick<ReadDeps, 'objects'>,
): Promise<ReportPeriod> {
  const known = await concurrently(clusters, MAX_READS, async (cluster) => {
    return {
      start: await presentStart(cluster, now, objects),
      end: await presentEnd(cluster, now, objects),
    }
  })
  const present = timeOf(now)
  const starts = known.flatMap(({ start }) => start ?? [])
  const ends = known.flatMap(({ end }) => end ?? [])
  const first = Math.min(...(starts.length === 0 ? [present] : starts).map(toSeconds))
  const to = Math.max(...(ends.length === 0 ? [present] : ends).map(toSeconds))
  const from = Math.max(to - SPAN_DAYS * DAY_SECONDS, Math.min(to, first))
  return { from: toTime(from), to: toTime(to), label: NOW, timeZone: 'UTC' }
}

function statusOf(
  { id, windows }: { readonly id: string; readonly windows: TimelineMonth['windows'] },
  { from, to }: { readonly from: string; readonly to: string },
): StatusCluster {
  const day = { from: toTime(Math.max(toSeconds(from), toSeconds(to) - DAY_SECONDS)), to }
  const seenIn = (span: { readonly from: string; readonly to: string }) => {
    const own = windows.filter(
      ({ end }) => Date.parse(end) > Date.parse(span.from) && Date.parse(end) <= Date.parse(span.to),
    )
    // In windows that were not collected nothing was observed, whatever was expected.
    if (own.length > 0 && own.every(({ collected }) => !collected)) return 0
    const { share } = observedTime(own)
    return share === null ? null : share * shareOfExpected(own, span)
  }
  const missing = windows.filter(({ collected }) => !collected)
  return {
    id,
    lastWindow: windows.findLast(({ collected }) => collected)?.end ?? null,
    isUpToDate: windows.at(-1)?.collected === true,
    seenInDay: seenIn(day),
    seenInSpan: seenIn({ from, to }),
    missingWindows: missing.length,
    missingSeconds: missing.reduce((sum, window) => sum + lengthOf(window), 0),
  }
}

/** The part of a span in which windows were expected. */
function shareOfExpected(
  windows: TimelineMonth['windows'],
  { from, to }: { readonly from: string; readonly to: string },
): number {
  const expected = windows.reduce((sum, window) => sum + lengthOf(window), 0)
  return Math.min(1, expected / Math.max(1, toSeconds(to) - toSeconds(from)))
}

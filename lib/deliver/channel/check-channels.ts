/** Whether the mail of a channel will have content, and reach a recipient. Pure. */
import { matchesPattern } from '../../text/pattern.ts'
import { addressCheck, refuseAddress } from '../../net/refused-addresses.ts'
import { RETENTION_SECONDS, toSeconds, toTime } from '../../time/windows.ts'
import { weekPeriod } from '../../time/week.ts'
import { type Channel, alertWebhook, givesReport, reportWebhook } from './channel.ts'
import { nextMail } from '../mail/sending-times.ts'
import type { Recipients } from './recipients.ts'
import {
  countSuppressed,
  nobodyLeft,
  type SuppressedCounts,
  type Suppression,
  suppressedWords,
  withoutSuppressed,
} from './suppressions.ts'
import { plural } from '../../report/words/vocabulary.ts'

/** One check of a channel. */
export type ChannelCheck = {
  readonly title: string
  /** Why no mail will be sent, or only an empty one, and the remedy; null if there is no problem. */
  readonly problem: string | null
  /** A problem worth a look although it works; null for none. */
  readonly warning: string | null
}

/** The facts against which a channel is checked. */
export type ChannelSurroundings = {
  /** Ids of the registered clusters. */
  readonly clusters: readonly string[]
  readonly recipients: Recipients
  readonly suppressions: readonly Suppression[]
  /** All namespaces ever seen, by cluster id. A missing cluster has no readable history. */
  readonly namespaces: ReadonlyMap<string, ReadonlySet<string>>
  /** The latest week with a stored report, in its own time zone; null if there is none, or if not needed. */
  readonly lastReport: { readonly label: string; readonly timeZone: string } | null
  /** Why the secret file of a webhook cannot be read on this machine, by id of the channel; absent if it can, or if there is none. One line. */
  readonly unreadSecrets: ReadonlyMap<string, string>
  /** Whether functions may use the store, too: they have no files of this machine. */
  readonly isShared: boolean
  /** RFC 3339. */
  readonly now: string
}

/** Checks everything that a channel names. */
export function checkChannel(channel: Channel, around: ChannelSurroundings): readonly ChannelCheck[] {
  return [
    clusterCheck(channel, around),
    namespaceCheck(channel, around),
    recipientCheck(channel, around),
    dueCheck(channel, around),
    ...(givesReport(channel) ? [reportCheck(channel, around)] : []),
    ...webhookCheck(channel, around),
  ]
}

function clusterCheck({ id, clusters }: Channel, around: ChannelSurroundings): ChannelCheck {
  const registered = new Set(around.clusters)
  const unknown = clusters.filter((cluster) => !registered.has(cluster))
  const title =
    clusters.length === 0
      ? `every registered cluster (${around.clusters.length} now)`
      : `clusters ${clusters.join(', ')}`
  if (around.clusters.length === 0)
    return { title, problem: 'no cluster is registered, add one with "ciphertrail cluster add ID"', warning: null }
  if (unknown.length === 0) return { title, problem: null, warning: null }
  return {
    title,
    problem: `not registered: ${unknown.join(', ')}; add it with "ciphertrail cluster add", or name others with "ciphertrail channel add ${id} --cluster ID"`,
    warning: null,
  }
}

function namespaceCheck({ clusters, namespaces }: Channel, around: ChannelSurroundings): ChannelCheck {
  const title = namespaces.length === 0 ? 'every namespace' : `namespaces ${namespaces.join(', ')}`
  const asked = clusters.length === 0 ? around.clusters : clusters
  const unread = asked.filter((cluster) => !around.namespaces.has(cluster))
  if (namespaces.length === 0) return { title, problem: null, warning: null }
  // Without a history, a quiet namespace and a misspelt one look the same.
  if (unread.length > 0)
    return { title, problem: null, warning: `not compared with what was seen: no history of ${unread.join(', ')}` }
  const seen = asked.flatMap((cluster) => [...(around.namespaces.get(cluster) ?? [])])
  const idle = namespaces.filter((pattern) => !seen.some((namespace) => matchesPattern(pattern, namespace)))
  return {
    title,
    problem: null,
    warning:
      idle.length === 0 ? null : `no path was ever seen in ${idle.join(', ')}; is it spelt as the cluster has it?`,
  }
}

function recipientCheck(channel: Channel, around: ChannelSurroundings): ChannelCheck {
  const { id, recipients } = channel
  const title = plural(recipients.length, 'recipient')
  const lost = recipients.filter((pseudonym) => !around.recipients.has(pseudonym))
  if (recipients.length === 0 && isPosted(channel)) return { title, problem: null, warning: null }
  if (recipients.length === 0)
    return {
      title,
      problem: `nobody gets it, add somebody with "ciphertrail channel add ${id} --to ADDRESS"`,
      warning: null,
    }
  const { suppressed } = withoutSuppressed(channel, around.suppressions)
  const nobody = nobodyLeft(channel, suppressed)
  if (nobody !== null) return { title, problem: nobody, warning: null }
  if (lost.length === 0) return { title, problem: null, warning: silentWarning(id, suppressed) }
  return {
    title,
    problem: `the addresses of ${lost.length} of them are lost, give all recipients again with "ciphertrail channel add ${id} --to ADDRESS"`,
    warning: null,
  }
}

/** Whether something reaches an endpoint: reports of each week, or alerts. */
function isPosted(channel: Channel): boolean {
  if (reportWebhook(channel) !== null) return true
  return channel.hasAlerts && (alertWebhook(channel) !== null || channel.snsTopic !== null)
}

function silentWarning(id: string, suppressed: SuppressedCounts): string | null {
  const count = countSuppressed(suppressed)
  if (count === 0) return null
  return `${count} of them ${count === 1 ? 'gets' : 'get'} none: ${suppressedWords(suppressed)}; "ciphertrail channel list" says who, and "ciphertrail channel resume ${id} --to ADDRESS" takes it back, once they agree or their address works`
}

function dueCheck(channel: Channel, { now }: ChannelSurroundings): ChannelCheck {
  const next = nextMail(channel, now)
  const hours = (toSeconds(next.to) - toSeconds(next.from)) / 3600
  return {
    title: `next mail at ${next.sendAt} (${channel.sendAt} in ${channel.timeZone}), of week ${next.week}${hours === 168 ? '' : `, which has ${hours} hours`}`,
    problem: null,
    warning: null,
  }
}

/** Whether a report will exist by the time of the mail. */
function reportCheck(channel: Channel, { lastReport, now }: ChannelSurroundings): ChannelCheck {
  const { id, downloadsSince, attachesPdf, timeZone } = channel
  const title = `the report leaves with it, ${[...(downloadsSince === null ? [] : ['by a link without login']), ...(attachesPdf ? ['attached'] : [])].join(' and ')}`
  if (lastReport === null)
    return {
      title,
      problem: null,
      warning:
        'no report of a week is kept in this store yet, so mails are without it; "ciphertrail run" keeps one each week, as does the service on AWS',
    }
  const next = nextMail(channel, now)
  const made = toSeconds(weekPeriod(next.week, lastReport.timeZone).to) + RETENTION_SECONDS
  if (made > toSeconds(next.sendAt))
    return {
      title,
      problem: null,
      warning: `its mail of week ${next.week} goes before the report of that week is made, at ${toTime(made)} or later, so it is without it; send it later with "ciphertrail channel add ${id} --at TIME"`,
    }
  if (lastReport.timeZone === timeZone) return { title, problem: null, warning: null }
  return {
    title,
    problem: null,
    warning: `reports are of weeks in ${lastReport.timeZone}, mails of this channel of weeks in ${timeZone}: the numbers of the two differ, and each mail says so`,
  }
}

/** Only a post shows whether the webhook answers, and nothing is sent here. */
function webhookCheck(channel: Channel, around: ChannelSurroundings): readonly ChannelCheck[] {
  const { id, hasAlerts, webhook } = channel
  if (webhook === null) return []
  const url = new URL(webhook.url)
  const report = reportWebhook(channel)
  const title = `webhook on ${url.host}${report === null ? '' : `, for the report of each week as ${report.format.toUpperCase()}`}`
  const refused = refusalOf(url)
  if (refused !== null) return [{ title, problem: null, warning: `nothing is posted to it: ${refused}` }]
  const unread = around.unreadSecrets.get(id)
  const warning =
    report !== null && around.lastReport === null
      ? 'no report of a week is kept in this store yet, so nothing is posted; "ciphertrail run" keeps one each week, as does the service on AWS'
      : report === null && !hasAlerts
        ? `nothing is posted, since its alerts are off; "ciphertrail channel add ${id} --alerts on" begins them`
        : webhook.secretFile !== undefined && around.isShared
          ? 'its secret is in a file, which functions on AWS have not; if they are to post, name one of AWS Secrets Manager with --webhook-secret'
          : unread === undefined
            ? null
            : `${unread} on this machine; whoever posts must be able to read it`
  return [{ title, problem: null, warning }]
}

/** Why nothing is posted to an address unless its network is allowed, in one line; null if unknown, as for a host name. */
function refusalOf(url: URL): string | null {
  try {
    refuseAddress(url, addressCheck(undefined))
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

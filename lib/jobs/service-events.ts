/** What the service logs of what it sent. */
import type { ChannelAlerts } from './alert-channels.ts'
import type { ChannelDelivery } from './mail/deliver-mails.ts'
import type { ChannelPosts } from './post-reports.ts'
import type { Stamped } from '../seal/timestamp/stamp-heads.ts'

/** A log event of the service. Holds no credential. */
export type ServiceEvent = {
  readonly level: 'info' | 'warn' | 'error'
  readonly event:
    | 'planned'
    | 'collected'
    | 'sealed'
    | 'stamped'
    | 'compacted'
    | 'reported'
    | 'packed'
    | 'delivered'
    | 'alerted'
    | 'posted'
    | 'removed'
    | 'failed'
  readonly [member: string]: unknown
}

/** The event of a channel's alerts; none if nothing began, ended or was sent. */
export function alertEvents({ channel, notice, tried }: ChannelAlerts): readonly ServiceEvent[] {
  if (notice === null && tried.length === 0) return []
  const sent = tried.filter(({ status }) => status === 'sent').length
  const [began, ended] = [notice?.began.length ?? 0, notice?.ended.length ?? 0]
  const level = sent === tried.length ? 'info' : 'warn'
  return [{ level, event: 'alerted', channel, began, ended, sent, failed: tried.length - sent }]
}

/** The event of a channel's mail; none if nothing was tried. */
export function deliveryEvents({ channel, week, tried, suppressed }: ChannelDelivery): readonly ServiceEvent[] {
  if (tried.length === 0) return []
  const of = (status: string) => tried.filter((one) => one.status === status).length
  const [sent, failed, unknown, bounced] = [of('sent'), of('failed'), of('unknown'), of('bounced')]
  const level = sent === tried.length ? 'info' : 'warn'
  return [{ level, event: 'delivered', channel, week, sent, failed, unknown, bounced, suppressed }]
}

/** The event of a channel's posted reports; none if nothing was tried. */
export function postEvents({ channel, tried }: ChannelPosts): readonly ServiceEvent[] {
  if (tried.length === 0) return []
  const sent = tried.filter(({ status }) => status === 'sent').length
  const level = sent === tried.length ? 'info' : 'warn'
  const errors = tried.flatMap(({ status, detail }) => (status === 'sent' || detail === null ? [] : [detail]))
  return [{ level, event: 'posted', channel, sent, failed: tried.length - sent, errors }]
}

/** An event for each time stamp, then one for each problem. */
export function stampEvents({ stamped, problems }: Stamped): readonly ServiceEvent[] {
  return [
    ...stamped.map(({ size, time, signer }) => ({ level: 'info', event: 'stamped', size, time, by: signer }) as const),
    ...problems.map((problem) => ({ level: 'warn', event: 'stamped', errors: [problem] }) as const),
  ]
}

/** Sends urgent alerts to each channel: decided, stored, then delivered, each once to each recipient. */
import { concurrently } from '../concurrently.ts'
import { alertContent } from '../deliver/alert/alert-content.ts'
import { type KeptAlerts, keepAlerts, readAlerts } from '../deliver/alert/alert-state.ts'
import { type Notice, decideAlerts, isStale, endpointPseudonym } from '../deliver/alert/due-alerts.ts'
import { alertWebhook, type Channel } from '../deliver/channel/channel.ts'
import { readChannels } from '../deliver/channel/channels.ts'
import { type Delivery, isDeliveryDue, readDelivery } from '../deliver/send/claims.ts'
import { linkKey } from '../deliver/link/link-key.ts'
import { readRecipients } from '../deliver/channel/recipients.ts'
import type { Sender } from '../deliver/send/mime-message.ts'
import { trackThrottling } from '../deliver/send/throttling.ts'
import type { SendMail } from '../deliver/send/send.ts'
import { nobodyLeft, readSuppressions, withoutSuppressed } from '../deliver/channel/suppressions.ts'
import type { PublishAlert } from '../deliver/send/sns.ts'
import type { PostAlert } from '../deliver/send/webhook.ts'
import { timeOf } from '../time/windows.ts'
import type { Objects } from '../store/objects/objects.ts'
import type { Memory } from '../history/recent.ts'
import { readClusters } from '../store/registry/registry.ts'
import { clusterFacts, readJudged, readWaivers, sealFacts } from '../deliver/alert/alert-facts.ts'
import { type DeliverInstructions } from './mail/deliver-mails.ts'
import { deliverMessage, deliverOnce, repeatableOutcome } from './mail/deliver-message.ts'
import { errorLine } from '../text/error-line.ts'
import type { AlertFacts } from '../deliver/alert/condition-kinds.ts'

/** What sending alerts needs. */
export type AlertDeps = {
  readonly objects: Objects
  readonly now: () => Date
  /** Null: no mail is sent. */
  readonly mail: { readonly from: Sender; readonly send: SendMail } | null
  readonly post: PostAlert
  readonly publish: PublishAlert
  /** The same as in `DeliverDeps`. */
  readonly settled?: Set<string>
  readonly isOver?: () => boolean
  /** Facts about clusters that are remembered between looks; default: none. */
  readonly memory?: Memory
}

/** The outcome of a channel's alerts. */
export type ChannelAlerts = {
  readonly channel: string
  /** The notice decided now; null if there was nothing to report. */
  readonly notice: Notice | null
  /** Deliveries of this notice and of earlier unfinished ones. */
  readonly tried: readonly Delivery[]
  /**
   * Why the alert could not be decided or stored, or that no recipient is left, or that mail is not configured and there is no other way to send it; null if
   * none of these is so. One line.
   */
  readonly problem: string | null
}

/** Number of channels, or clusters, that are read at once. */
const MAX_READS = 16

/**
 * Notifies each channel with alerts of conditions that began or ended since its last notice. Safe to run concurrently and to crash anywhere: a decision is
 * stored before it is delivered, and each run delivers the unfinished ones of the last days.
 */
export async function alertDue(
  { at, url, channel: only }: Omit<DeliverInstructions, 'version' | 'from'>,
  deps: AlertDeps,
): Promise<readonly ChannelAlerts[]> {
  const { objects, memory = new Map() } = deps
  const channels = (await readChannels(objects)).filter(
    ({ id, hasAlerts }) => hasAlerts && (only === undefined || id === only),
  )
  if (channels.length === 0) return []
  const now = timeOf(at)
  // Read before the facts to decide on: a concurrent run with newer facts has then changed this state.
  const kept = await concurrently(channels, MAX_READS, async (channel) => {
    const [outcome] = await Promise.allSettled([readAlerts(channel, objects)])
    return outcome
  })
  const clusters = await readClusters({ objects })
  const asked = clusters.filter(({ id }) => channels.some((channel) => isAsked(channel, id)))
  const { settings, problem: scopeProblem } = await readJudged(objects)
  const facts = await concurrently(asked, MAX_READS, (cluster) =>
    clusterFacts(cluster, at, { objects, memory, settings }),
  )
  const [waivers, seal] = await Promise.all([readWaivers(objects), sealFacts(at, clusters, objects)])
  const outcomes: ChannelAlerts[] = []
  for (const [index, channel] of channels.entries()) {
    const look = { now, clusters: facts.filter(({ id }) => isAsked(channel, id)), waivers, scopeProblem, seal }
    outcomes.push(await alertChannel(channel, kept[index], look, url, deps))
  }
  return outcomes
}

const isAsked = ({ clusters }: Channel, id: string): boolean => clusters.length === 0 || clusters.includes(id)

async function alertChannel(
  channel: Channel,
  kept: PromiseSettledResult<KeptAlerts> | undefined,
  facts: AlertFacts,
  url: string | null,
  deps: AlertDeps,
): Promise<ChannelAlerts> {
  const { objects } = deps
  const tried: Delivery[] = []
  let told: Notice | null = null
  try {
    if (kept?.status !== 'fulfilled') throw kept?.reason
    const { state: before, etag } = kept.value
    const { state, notice } = isStale(before, facts.now)
      ? { state: before, notice: null }
      : decideAlerts(channel, before, facts)
    const isChanged = JSON.stringify(state) !== JSON.stringify(before)
    // A concurrent run decided first; its decision is delivered with the next run, unless it does so itself.
    if (isChanged && !(await keepAlerts(channel, state, etag, objects)))
      return { channel: channel.id, notice: null, tried, problem: null }
    told = notice
    if (state.notices.length === 0) return { channel: channel.id, notice: told, tried, problem: null }
    const { wanted, suppressed } = withoutSuppressed(channel, await readSuppressions(objects))
    for (const one of state.notices) tried.push(...(await deliverNotice(one, channel, wanted, url, deps)))
    const hasPlace = alertWebhook(channel) !== null || channel.snsTopic !== null
    const isAbsent = !hasPlace && deps.mail === null && (await isUntold(channel, state.notices, wanted, deps))
    const problem = hasPlace ? null : isAbsent ? withoutMail(wanted.length) : nobodyLeft(channel, suppressed)
    return { channel: channel.id, notice: told, tried, problem }
  } catch (error) {
    return { channel: channel.id, notice: told, tried, problem: errorLine(error) }
  }
}

const withoutMail = (recipients: number): string =>
  `nobody is told: there are no settings of mail for its ${recipients === 1 ? 'recipient' : `${recipients} recipients`}, and it has no webhook or topic`

/** Whether a recipient has not received a notice yet. */
async function isUntold(
  { id: channel }: Channel,
  notices: readonly Notice[],
  wanted: readonly string[],
  { objects, now }: AlertDeps,
): Promise<boolean> {
  for (const { id: period, to } of notices)
    for (const recipient of wanted.filter((one) => to.includes(one)))
      if (isDeliveryDue(await readDelivery({ kind: 'alert', period, channel, recipient }, now(), objects), now()))
        return true
  return false
}

async function deliverNotice(
  notice: Notice,
  channel: Channel,
  wanted: readonly string[],
  url: string | null,
  deps: AlertDeps,
): Promise<readonly Delivery[]> {
  const { objects, now, mail, post, publish, settled, isOver = () => false } = deps
  const name = [channel.id, notice.id, ...wanted, alertWebhook(channel)?.url, channel.snsTopic].join(' ')
  if (settled?.has(name) === true) return []
  const content = alertContent(notice, channel, url)
  const idOf = (recipient: string) => ({ kind: 'alert', period: notice.id, channel: channel.id, recipient }) as const
  let isLeft = false
  const due = async (recipient: string) => {
    const delivery = await readDelivery(idOf(recipient), now(), objects)
    const isNow = isDeliveryDue(delivery, now())
    // It failed and is not due for a retry; or another process has claimed it, which may fail.
    if (!isNow && delivery !== null && (delivery.retryAt !== null || delivery.status === 'claimed')) isLeft = true
    return isNow
  }
  const tried: (Delivery | null)[] = []
  if (mail !== null) {
    const { from } = mail
    const { send, isHeldUp } = trackThrottling(mail.send)
    const recipients = await readRecipients(objects)
    const key = url === null ? null : await linkKey(objects)
    for (const recipient of wanted) {
      if (!notice.to.includes(recipient) || !(await due(recipient))) continue
      if (isHeldUp() || isOver()) {
        isLeft = true
        break
      }
      tried.push(
        await deliverMessage(
          idOf(recipient),
          { channel, words: content, recipients, key, url, from },
          { objects, send, now },
        ),
      )
    }
  }
  // Endpoints recognise a repeat by its id, so a post is repeated rather than lost.
  const tell = async (address: string, make: () => Promise<string>): Promise<void> => {
    const place = endpointPseudonym(address)
    if (!notice.to.includes(place) || !(await due(place))) return
    if (isOver()) isLeft = true
    else tried.push(await deliverOnce(idOf(place), true, () => repeatableOutcome(make), { objects, now }))
  }
  const webhook = alertWebhook(channel)
  const { snsTopic } = channel
  const { subject, json } = content
  if (webhook !== null) await tell(webhook.url, () => post(webhook, { id: notice.id, body: json }, now()))
  if (snsTopic !== null) await tell(snsTopic, () => publish(snsTopic, { id: notice.id, subject, json }))
  const made = tried.flatMap((delivery) => delivery ?? [])
  if (!isLeft && made.length === tried.length && made.every(({ retryAt }) => retryAt === null)) settled?.add(name)
  return made
}

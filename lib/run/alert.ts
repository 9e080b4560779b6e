/** What cannot wait, told to each channel at once: decided, kept, then delivered, each to each once. */
import { type AlertFacts, type ClusterFacts, type Notice, decideAlerts } from '../deliver/alerts.ts'
import { alertContent } from '../deliver/alert-mail.ts'
import { keepAlerts, readAlerts } from '../deliver/alert-state.ts'
import type { Channel } from '../deliver/channel.ts'
import { readChannels } from '../deliver/channels.ts'
import { type Delivery, isDue, readDelivery } from '../deliver/claims.ts'
import { linkKey } from '../deliver/links.ts'
import { readRecipients } from '../deliver/recipients.ts'
import type { Sender } from '../deliver/message.ts'
import type { SendMail } from '../deliver/send.ts'
import { readSuppressions, suppressionOf } from '../deliver/suppressions.ts'
import type { PublishAlert } from '../deliver/sns.ts'
import type { PostAlert } from '../deliver/webhook.ts'
import { timeOf, toSeconds, toTime } from '../collect/windows.ts'
import type { Cluster, PathEpisode } from '../model.ts'
import { readProgress } from '../seal/progress.ts'
import { historyProblem } from '../store/history-problem.ts'
import { vkeyKey } from '../store/log-keys.ts'
import type { Objects } from '../store/objects.ts'
import { readPresent } from '../store/period.ts'
import { readClusters } from '../store/registry.ts'
import { type State, readExpected, readState, sha256Of } from '../store/state.ts'
import { type DeliverInstructions } from './deliver.ts'
import { deliverMessage, deliverOnce, errorLine, outcomeOf } from './deliver-message.ts'

export type AlertDeps = {
  readonly objects: Objects
  readonly now: () => Date
  /** Null: no mail is sent. */
  readonly mail: { readonly from: Sender; readonly send: SendMail } | null
  readonly post: PostAlert
  readonly publish: PublishAlert
  /** As `DeliverDeps` has it. */
  readonly settled?: Set<string>
}

/** What became of the alerts of a channel. */
export type ChannelAlerts = {
  readonly channel: string
  /** What was decided now; null where nothing was to be told. */
  readonly notice: Notice | null
  /** Of this notice and of earlier ones that were left. */
  readonly tried: readonly Delivery[]
  /** Why it could not be decided or written down; null where it could. One line. */
  readonly problem: string | null
}

/** So long a window may take to be collected before it counts as not collected. */
const GRACE_SECONDS = 10 * 60
/** The service seals each hour; twice it may fail. */
const SEAL_SECONDS = 3 * 60 * 60
const LOOKED_AT = 6

/**
 * Tells each channel that has alerts what began and what ended since it was told last. Safe to run twice at once, and to die anywhere: what was decided is kept before it is
 * delivered, and each run delivers what is left of the last days.
 */
export async function alertDue(
  { at, url, channel: only }: Omit<DeliverInstructions, 'version' | 'from'>,
  deps: AlertDeps,
): Promise<readonly ChannelAlerts[]> {
  const { objects } = deps
  const channels = (await readChannels(objects)).filter(
    ({ id, hasAlerts }) => hasAlerts && (only === undefined || id === only),
  )
  if (channels.length === 0) return []
  const now = timeOf(at)
  const clusters = await readClusters({ objects })
  const asked = clusters.filter(({ id }) => channels.some((channel) => isAsked(channel, id)))
  const facts = await Promise.all(asked.map((cluster) => clusterFacts(cluster, at, objects)))
  const unsealed = await unsealedSince(at, objects)
  const outcomes: ChannelAlerts[] = []
  for (const channel of channels)
    outcomes.push(
      await alertChannel(
        channel,
        { now, clusters: facts.filter(({ id }) => isAsked(channel, id)), unsealed },
        url,
        deps,
      ),
    )
  return outcomes
}

const isAsked = ({ clusters }: Channel, id: string): boolean => clusters.length === 0 || clusters.includes(id)

async function alertChannel(
  channel: Channel,
  facts: AlertFacts,
  url: string | null,
  deps: AlertDeps,
): Promise<ChannelAlerts> {
  const { objects } = deps
  const tried: Delivery[] = []
  let told: Notice | null = null
  try {
    const { state: before, etag } = await readAlerts(channel.id, objects)
    const { state, notice } = decideAlerts(channel, before, facts)
    const isChanged = JSON.stringify(state) !== JSON.stringify(before)
    // Whoever was first has decided; what it decided is delivered with the next run, if it does not do so itself.
    if (isChanged && !(await keepAlerts(channel.id, state, etag, objects)))
      return { channel: channel.id, notice: null, tried, problem: null }
    told = notice
    for (const one of state.notices) tried.push(...(await deliverNotice(one, channel, url, deps)))
    return { channel: channel.id, notice: told, tried, problem: null }
  } catch (error) {
    return { channel: channel.id, notice: told, tried, problem: errorLine(error) }
  }
}

async function deliverNotice(
  notice: Notice,
  channel: Channel,
  url: string | null,
  deps: AlertDeps,
): Promise<readonly Delivery[]> {
  const { objects, now, mail, post, publish, settled } = deps
  const name = [channel.id, notice.id, ...channel.recipients, channel.webhook?.url, channel.snsTopic].join(' ')
  if (settled?.has(name) === true) return []
  const content = alertContent(notice, channel, url)
  const idOf = (recipient: string) => ({ kind: 'alert', period: notice.id, channel: channel.id, recipient }) as const
  let isLeft = false
  const due = async (recipient: string) => {
    const delivery = await readDelivery(idOf(recipient), now(), objects)
    const isNow = isDue(delivery, now())
    // It failed, and its time has not come.
    if (!isNow && delivery !== null && delivery.retryAt !== null) isLeft = true
    return isNow
  }
  const tried: (Delivery | null)[] = []
  if (mail !== null) {
    const { from, send } = mail
    const suppressions = await readSuppressions(objects)
    const recipients = await readRecipients(objects)
    const key = url === null ? null : await linkKey(objects)
    for (const recipient of channel.recipients) {
      if (suppressionOf(suppressions, recipient, channel.id) !== undefined || !(await due(recipient))) continue
      tried.push(
        await deliverMessage(
          idOf(recipient),
          { channel, words: content, recipients, key, url, from },
          { objects, send, now },
        ),
      )
    }
  }
  const { webhook, snsTopic } = channel
  if (webhook !== null && (await due(placeName(webhook.url))))
    tried.push(
      await deliverOnce(
        idOf(placeName(webhook.url)),
        () => outcome(() => post(webhook, { id: notice.id, body: content.json }, now())),
        deps,
      ),
    )
  if (snsTopic !== null && (await due(placeName(snsTopic)))) {
    const { subject, json } = content
    tried.push(
      await deliverOnce(
        idOf(placeName(snsTopic)),
        () => outcome(() => publish(snsTopic, { id: notice.id, subject, json })),
        deps,
      ),
    )
  }
  const made = tried.flatMap((delivery) => delivery ?? [])
  if (!isLeft && made.length === tried.length && made.every(({ retryAt }) => retryAt === null)) settled?.add(name)
  return made
}

/** A place that is no person, as claims name it. */
function placeName(address: string): string {
  return `r${sha256Of(Buffer.from(address)).slice(0, 32)}`
}

async function outcome(make: () => Promise<string>) {
  try {
    return { status: 'sent', detail: await make() } as const
  } catch (error) {
    return outcomeOf(error)
  }
}

/** What is known of a cluster now. */
async function clusterFacts(cluster: Cluster, at: Date, objects: Objects): Promise<ClusterFacts> {
  const nothing = { id: cluster.id, episodes: [], windows: [], certificate: null, trustAnchors: null }
  try {
    const problem = await historyProblem(cluster, objects)
    if (problem !== undefined) return { ...nothing, problem }
    const { months, episodes } = await readPresent(cluster, at, objects)
    const paths = new Map(
      months.flatMap(({ intervals }) =>
        intervals.flatMap((interval) => (interval.episode === null ? [] : [[interval.episode.id, interval] as const])),
      ),
    )
    const known = episodes.flatMap((episode): PathEpisode[] => {
      const path = paths.get(episode.id)
      if (path === undefined) return []
      const { pathId, source, destination, port } = path
      return [{ pathId, source, destination, port, episode }]
    })
    const windows = months
      .flatMap((month) => month.windows)
      .filter(({ end }) => toSeconds(end) + GRACE_SECONDS <= at.getTime() / 1000)
      .slice(-LOOKED_AT)
      .map(({ end, collected, expectedSeconds, observedSeconds }) => ({
        end,
        isObserved: collected && !(expectedSeconds > 0 && observedSeconds === 0),
      }))
    const { state } = await readState(cluster.id, objects)
    return { ...nothing, problem: null, episodes: known, windows, ...(await cryptoFacts(state, objects)) }
  } catch (error) {
    return { ...nothing, problem: errorLine(error) }
  }
}

/** As of the last window that was folded; what it does not tell is not known. */
async function cryptoFacts(
  state: State | undefined,
  objects: Objects,
): Promise<Pick<ClusterFacts, 'certificate' | 'trustAnchors'>> {
  const last = state?.windows.findLast(({ sha256 }) => sha256 !== null)
  const [expected] = state === undefined || last === undefined ? [] : await readExpected(state, [last], objects)
  const result = expected?.result
  if (result === null || result === undefined || !result.collected) return { certificate: null, trustAnchors: null }
  const { certificates, trustAnchors } = result.crypto
  return {
    certificate: certificates === null ? null : { expires: certificates.earliestExpiry, asOf: result.window.end },
    trustAnchors: trustAnchors.length === 0 ? null : trustAnchors,
  }
}

/** Since when nothing was sealed; null where that is in time, or no log was ever begun. */
async function unsealedSince(at: Date, objects: Objects): Promise<AlertFacts['unsealed']> {
  if ((await objects.get(vkeyKey)) === undefined) return null
  const { progress } = await readProgress(objects)
  if (progress === undefined) return { since: null }
  return at.getTime() / 1000 - progress.sealedAt > SEAL_SECONDS ? { since: toTime(progress.sealedAt) } : null
}

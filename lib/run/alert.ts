/** What cannot wait, told to each channel at once: decided, kept, then delivered, each to each once. */
import { isNotEncrypted } from '../assess/episodes.ts'
import type { AlertFacts, AlertPath, ClusterFacts } from '../deliver/alert-conditions.ts'
import { alertContent } from '../deliver/alert-mail.ts'
import { type KeptAlerts, keepAlerts, readAlerts } from '../deliver/alert-state.ts'
import { type Notice, decideAlerts, placeName } from '../deliver/alerts.ts'
import type { Channel } from '../deliver/channel.ts'
import { readChannels } from '../deliver/channels.ts'
import { type Delivery, isDue, readDelivery } from '../deliver/claims.ts'
import { linkKey } from '../deliver/links.ts'
import { readRecipients } from '../deliver/recipients.ts'
import type { Sender } from '../deliver/message.ts'
import type { SendMail } from '../deliver/send.ts'
import { nobodyLeft, readSuppressions, suppressionOf, withoutSuppressed } from '../deliver/suppressions.ts'
import type { PublishAlert } from '../deliver/sns.ts'
import type { PostAlert } from '../deliver/webhook.ts'
import { timeOf, toSeconds, toTime } from '../collect/windows.ts'
import type { Cluster, Episode, Interval, TimelineMonth } from '../model.ts'
import { readProgress } from '../seal/progress.ts'
import { historyProblem } from '../store/history-problem.ts'
import { vkeyKey } from '../store/log-keys.ts'
import { DamagedChangeError } from '../store/changes.ts'
import { declaredWaivers } from '../store/declarations.ts'
import { DeletedError, type Objects } from '../store/objects.ts'
import { readPresent } from '../store/period.ts'
import { readClusters } from '../store/registry.ts'
import { type State, readExpected, readState } from '../store/state.ts'
import { type DeliverInstructions } from './deliver.ts'
import { deliverMessage, deliverOnce, outcomeOf } from './deliver-message.ts'
import { errorLine } from './error-line.ts'

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
  /** Why it could not be decided or written down, or that nobody is left who is told; null where neither is so. One line. */
  readonly problem: string | null
}

/** So long a window may take to be collected before it counts as not collected. */
const GRACE_SECONDS = 10 * 60
/** The service seals each hour; twice it may fail. */
const SEAL_SECONDS = 3 * 60 * 60

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
  // Before anything that is decided on: who decided meanwhile knew more, and what was kept since then tells so.
  const kept = await Promise.allSettled(channels.map((channel) => readAlerts(channel, objects)))
  const clusters = await readClusters({ objects })
  const asked = clusters.filter(({ id }) => channels.some((channel) => isAsked(channel, id)))
  const facts = await Promise.all(asked.map((cluster) => clusterFacts(cluster, at, objects)))
  const [waivers, seal] = await Promise.all([readWaivers(objects), sealFacts(at, objects)])
  const outcomes: ChannelAlerts[] = []
  for (const [index, channel] of channels.entries()) {
    const look = { now, clusters: facts.filter(({ id }) => isAsked(channel, id)), waivers, seal }
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
    const { state, notice } = decideAlerts(channel, before, facts)
    const isChanged = JSON.stringify(state) !== JSON.stringify(before)
    // Whoever was first has decided; what it decided is delivered with the next run, if it does not do so itself.
    if (isChanged && !(await keepAlerts(channel, state, etag, objects)))
      return { channel: channel.id, notice: null, tried, problem: null }
    told = notice
    for (const one of state.notices) tried.push(...(await deliverNotice(one, channel, url, deps)))
    const isTold = deps.mail === null || state.notices.length === 0
    return { channel: channel.id, notice: told, tried, problem: isTold ? null : await nobodyTold(channel, objects) }
  } catch (error) {
    return { channel: channel.id, notice: told, tried, problem: errorLine(error) }
  }
}

/** That an alert reaches nobody; null where it reaches somebody, or some place. */
async function nobodyTold(channel: Channel, objects: Objects): Promise<string | null> {
  if (channel.webhook !== null || channel.snsTopic !== null) return null
  return nobodyLeft(channel, withoutSuppressed(channel, await readSuppressions(objects)).suppressed)
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
      if (!notice.to.includes(recipient)) continue
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
  // A place knows by its id what comes a second time, so that none must be lost.
  const tell = async (address: string, make: () => Promise<string>): Promise<void> => {
    const place = placeName(address)
    if (notice.to.includes(place) && (await due(place)))
      tried.push(await deliverOnce(idOf(place), true, () => outcome(make), { objects, now }))
  }
  const { webhook, snsTopic } = channel
  const { subject, json } = content
  if (webhook !== null) await tell(webhook.url, () => post(webhook, { id: notice.id, body: json }, now()))
  if (snsTopic !== null) await tell(snsTopic, () => publish(snsTopic, { id: notice.id, subject, json }))
  const made = tried.flatMap((delivery) => delivery ?? [])
  if (!isLeft && made.length === tried.length && made.every(({ retryAt }) => retryAt === null)) settled?.add(name)
  return made
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
    const windows = months
      .flatMap((month) => month.windows)
      .filter(({ end }) => toSeconds(end) + GRACE_SECONDS <= at.getTime() / 1000)
      .map(({ end, collected, expectedSeconds, observedSeconds }) => ({
        end,
        isObserved: collected && !(expectedSeconds > 0 && observedSeconds === 0),
      }))
    const { state } = await readState(cluster.id, objects)
    return {
      ...nothing,
      problem: null,
      episodes: pathsOf(months, episodes),
      windows,
      ...(await cryptoFacts(state, objects)),
    }
  } catch (error) {
    return { ...nothing, problem: errorLine(error) }
  }
}

/** Each episode with the path that it is of, and how that was seen last. */
function pathsOf(months: readonly TimelineMonth[], episodes: readonly Episode[]): readonly AlertPath[] {
  const paths = new Map<string, Interval>()
  const seen = new Map<string, Interval>()
  for (const { intervals } of months)
    for (const interval of intervals) {
      if (interval.episode === null) continue
      paths.set(interval.episode.id, interval)
      if (isNotEncrypted(interval)) seen.set(interval.episode.id, interval)
    }
  return episodes.flatMap((episode): readonly AlertPath[] => {
    const path = paths.get(episode.id)
    if (path === undefined) return []
    const { pathId, source, destination, port } = path
    return [{ pathId, source, destination, port, episode, seen: seen.get(episode.id) ?? null }]
  })
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

/** Since when nothing was sealed; null where no log was ever begun. */
async function sealFacts(at: Date, objects: Objects): Promise<AlertFacts['seal']> {
  if ((await objects.get(vkeyKey)) === undefined) return null
  const { progress } = await readProgress(objects)
  if (progress === undefined) return { isBehind: true, since: null }
  return { isBehind: at.getTime() / 1000 - progress.sealedAt > SEAL_SECONDS, since: toTime(progress.sealedAt) }
}

/** What was accepted. A register that is damaged accepts nothing; a store that does not answer is asked again with the next look. */
async function readWaivers(objects: Objects): Promise<AlertFacts['waivers']> {
  try {
    return { all: (await declaredWaivers(objects)).declared, problem: null }
  } catch (error) {
    if (!(error instanceof DamagedChangeError || error instanceof DeletedError)) throw error
    return { all: [], problem: errorLine(error) }
  }
}

/** Current alert conditions, as text. Pure. */
import { datesOf } from '../../time/dates.ts'
import { cutLine, printable } from '../../text/printable.ts'
import { compareText } from '../../text/order.ts'
import { type Channel, isOfChannel } from '../channel/channel.ts'
import type {
  ConditionKind,
  Condition,
  Present,
  Watched,
  AlertFacts,
  KnownFacts,
  KnownCluster,
} from './condition-kinds.ts'
import { certificateConditions } from './certificate-conditions.ts'
import { pathConditions } from './path-conditions.ts'
import { present } from './condition-kinds.ts'

/** The limit of Kubernetes. */
const MAX_NAME_LENGTH = 63

/** Prepares the facts of a look for a channel. */
export function knownOf(channel: Channel, facts: AlertFacts): KnownFacts {
  const { now, clusters } = facts
  return {
    channel,
    facts,
    dates: datesOf({ from: now, to: now, timeZone: channel.timeZone }),
    clusters: new Map(
      clusters.map((cluster) => [
        cluster.id,
        {
          ...cluster,
          byEpisode: new Map(cluster.episodes.map((one) => [one.episode.id, one])),
          byPath: Map.groupBy(
            cluster.episodes.toSorted((a, b) => compareText(a.episode.openedAt, b.episode.openedAt)),
            ({ pathId }) => pathId,
          ),
        },
      ]),
    ),
  }
}

/**
 * All current conditions, waived ones included; those of whole clusters, or of all, before the many paths.
 *
 * @param before the previously known conditions, by key
 */
export function presentOf(known: KnownFacts, before: ReadonlyMap<string, Watched>): readonly Present[] {
  const whole = [...registerConditions(known), ...sealConditions(known)]
  const clusters = [...known.clusters.values()]
  return [
    ...whole,
    ...clusters.flatMap((cluster) => wholeConditions(known, cluster, before)),
    ...clusters.flatMap((cluster) => pathConditions(known, cluster, before)),
  ]
}

/** Conditions in the weekly mail in addition to paths and coverage, which it shows itself. */
const BESIDE_PATHS: readonly ConditionKind[] = ['certificate', 'trust-anchor', 'seal']

/** Other current conditions for a channel, in the words of its alerts; certificates and trust anchors only if the channel has every namespace. */
export function otherConditions(channel: Channel, facts: AlertFacts): readonly Condition[] {
  return presentOf(knownOf(channel, facts), new Map()).filter(({ kind }) => BESIDE_PATHS.includes(kind))
}

/** Unreadable declarations. */
function registerConditions({ facts: { now, waivers, scopeProblem } }: KnownFacts): readonly Present[] {
  const unreadable = (key: string, what: string, problem: string | null): readonly Present[] =>
    problem === null
      ? []
      : [present({ key, kind: 'unreadable', cluster: null, since: now, line: `${what}: ${printable(problem)}` })]
  return [
    ...unreadable(
      'unreadable',
      'the register of waivers cannot be read, so nothing counts as accepted',
      waivers.problem,
    ),
    ...unreadable('unreadable-scope', 'the scope cannot be read, so paths of every class are judged', scopeProblem),
  ]
}

function sealConditions({ facts: { now, seal }, dates }: KnownFacts): readonly Present[] {
  if (seal?.isBehind !== true) return []
  const since = seal.since === null ? 'nobody knows since when' : `since ${dates.moment(seal.since)}`
  const line = `nothing was sealed ${since}: data stored since then can be changed unnoticed`
  return [
    present(
      { key: 'seal', kind: 'seal', cluster: null, since: seal.since ?? now, line },
      'fix: to see why, run: ciphertrail seal',
    ),
  ]
}

/** Conditions of a whole cluster. */
function wholeConditions(
  { channel, facts: { now }, dates }: KnownFacts,
  cluster: KnownCluster,
  before: ReadonlyMap<string, Watched>,
): readonly Present[] {
  const { id, problem, windows } = cluster
  const where = `cluster ${printable(id)}`
  if (problem !== null)
    return [
      present({
        key: `unreadable/${id}`,
        kind: 'unreadable',
        cluster: id,
        since: now,
        line: `the history of ${where} cannot be read: ${printable(problem)}`,
      }),
    ]
  const conditions: Present[] = []
  const [last, secondLast] = [windows.at(-1), windows.at(-2)]
  // Two lost windows begin it, one observed window ends it: one late window that was filled must not begin it.
  const isLost = before.get(`coverage/${id}`)?.isActive === true || secondLast?.isObserved === false
  const isDark = last?.isObserved === false && isLost
  if (isDark) {
    const seen = windows.findLast(({ isObserved }) => isObserved === true)
    conditions.push(
      present(
        {
          key: `coverage/${id}`,
          kind: 'coverage',
          cluster: id,
          since: seen?.end ?? windows[0]?.end ?? now,
          line: `nothing was observed on ${where} ${seen === undefined ? 'so far' : `after ${dates.moment(seen.end)}`}`,
        },
        `fix: to see why, run: ciphertrail cluster check ${printable(id)}`,
      ),
    )
  }
  conditions.push(...namespaceConditions({ channel, dates }, cluster, isDark, before))
  if (channel.namespaces.length > 0) return conditions
  conditions.push(...certificateConditions({ facts: { now }, dates }, cluster))
  return conditions
}

/**
 * Namespaces of which nothing was observed, on a cluster that was partly observed.
 *
 * @param isDark the whole cluster is reported as not observed, which covers each namespace
 */
function namespaceConditions(
  { channel, dates }: Pick<KnownFacts, 'channel' | 'dates'>,
  { id, namespaces }: KnownCluster,
  isDark: boolean,
  before: ReadonlyMap<string, Watched>,
): readonly Present[] {
  return namespaces.flatMap(({ name, windows, seenAt }): readonly Present[] => {
    const [last, secondLast] = [windows.at(-1), windows.at(-2)]
    if (last?.isObserved !== false || !isOfChannel(channel, [{ namespace: name }])) return []
    const key = namespaceKey(id, name)
    const was = before.get(key)
    // A reported condition keeps its text: the windows with its start are merged into months later.
    if (was?.isActive === true) return [namespaceCondition({ key, cluster: id, since: was.since, line: was.line })]
    if (isDark || secondLast?.isObserved !== false) return []
    const since = seenAt ?? secondLast.end
    const how = seenAt === null ? `since ${dates.moment(since)} at the latest` : `after ${dates.moment(since)}`
    const line = `nothing was observed in namespace ${printable(name)} of cluster ${printable(id)} ${how}`
    return [namespaceCondition({ key, cluster: id, since, line })]
  })
}

/** Names the lost coverage of a namespace. A label may hold an invalid name: control characters are escaped, and it is truncated. */
export const namespaceKey = (cluster: string, name: string): string =>
  `coverage/${cluster}/${cutLine(printable(name), MAX_NAME_LENGTH)}`

const namespaceCondition = ({ key, cluster, since, line }: Omit<Condition, 'details' | 'kind'>): Present =>
  present(
    { key, kind: 'namespace-coverage', cluster, since, line },
    'fix: check that its proxies answer and that policy allows the scrape: linkerd check --proxy',
  )

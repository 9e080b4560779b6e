/** What is so now of all that cannot wait, in words. Pure. */
import { fixOf } from '../../assess/causes.ts'
import { isAbout, isInForce, waiverFor } from '../../assess/waived.ts'
import { toSeconds, toTime } from '../../collect/windows.ts'
import type { PathEpisode, PathRow, Waiver } from '../../model.ts'
import { type Dates, datesOf } from '../../report/dates.ts'
import { cutLine, printable } from '../../report/printable.ts'
import { destinationName, endpointName } from '../../report/table.ts'
import { plural } from '../../report/words.ts'
import { compareText } from '../../text-order.ts'
import { type Channel, isOfChannel } from '../channel/channel.ts'
import { whyWords } from '../mail/entries.ts'

export const CONDITION_KINDS = [
  'path',
  'coverage',
  'namespace-coverage',
  'certificate',
  'trust-anchor',
  'seal',
  'unreadable',
] as const
export type ConditionKind = (typeof CONDITION_KINDS)[number]

const KIND_WORDS: Readonly<Record<ConditionKind, readonly [one: string, several: string]>> = {
  path: ['path not encrypted', 'paths not encrypted'],
  coverage: ['cluster not observed', 'clusters not observed'],
  'namespace-coverage': ['namespace not observed', 'namespaces not observed'],
  certificate: ['certificate not renewed', 'certificates not renewed'],
  'trust-anchor': ['trust anchor about to end', 'trust anchors about to end'],
  seal: ['seal behind', 'seals behind'],
  unreadable: ['record unreadable', 'records unreadable'],
}

/** How many there are of each kind, such as `2 paths not encrypted, 1 seal behind`; empty where there are none. */
export function countWordsOf(conditions: readonly Pick<Condition, 'kind'>[]): string {
  return CONDITION_KINDS.flatMap((kind) => {
    const count = conditions.filter((condition) => condition.kind === kind).length
    return count === 0 ? [] : [plural(count, ...KIND_WORDS[kind])]
  }).join(', ')
}

/** Something that is so, or was. */
export type Condition = {
  /** Names it for as long as it lasts, and when it comes again. */
  readonly key: string
  readonly kind: ConditionKind
  /** Null where it is of no single cluster. */
  readonly cluster: string | null
  /** RFC 3339: since when it is known. */
  readonly since: string
  /** In words, printable, one line. */
  readonly line: string
  /** Why it is so and what would fix it, each a printable line; empty where that is not known or nothing is to be said. */
  readonly details: readonly string[]
}

/** What is so now. */
export type Present = Condition & {
  /** Id of the episode of a path; null for whatever else. */
  readonly episode: string | null
  /** Id of the waiver that accepts a path; null where none does. What is accepted is not told. */
  readonly waiver: string | null
  /** RFC 3339: when it is to be told again although it was told, since it grew worse; empty for never. */
  readonly tellAgainAt: readonly string[]
}

/** A condition and what was told of it. */
export type Watched = Omit<Present, 'details' | 'tellAgainAt'> & {
  /** It is so, and no waiver accepts it. */
  readonly isActive: boolean
  /** Whether it was told that it is so; what was not told to begin is not told to end. */
  readonly isTold: boolean
  /** RFC 3339: when it was last told to begin; null for never. */
  readonly toldAt: string | null
}

/** An episode of a path, and how it was seen last while it was not encrypted; null where that is not known. */
export type AlertPath = PathEpisode & {
  readonly seen: Pick<PathRow, 'state' | 'outcome' | 'reason' | 'cause'> | null
}

/** What is known of a cluster. */
export type ClusterFacts = {
  readonly id: string
  /** Why its history cannot be read; then nothing else of it is known. One line. */
  readonly problem: string | null
  /** Every episode that is open, and those that ended. */
  readonly episodes: readonly AlertPath[]
  /** The expected windows that should be collected by now, oldest first. */
  readonly windows: readonly {
    readonly end: string
    /** Null: there was nothing to see, as a list of what there was says. That is no loss, and ends none. */
    readonly isObserved: boolean | null
    /** How much of what was to be seen was; null where that is not known. */
    readonly share: number | null
  }[]
  /** Every namespace in which a pod with a proxy was to be seen lately. */
  readonly namespaces: readonly {
    readonly name: string
    /** The last two of `windows`, as to what was to be seen in the namespace; null: nothing, as the last complete list says. */
    readonly windows: ClusterFacts['windows']
    /** RFC 3339: end of the last window in which some of it was observed; null where that is not known. */
    readonly seenAt: string | null
  }[]
  /** Whether a complete list tells what there was in the last window: in a namespace that is not among them nothing was to be seen. */
  readonly isListed: boolean
  /** The earliest end of a proxy's certificate, as of the end of the window that told it; null where that is not known. */
  readonly certificate: {
    readonly expires: string
    readonly asOf: string
    /** Whether every proxy that was to be seen then was. */
    readonly isOfAll: boolean
  } | null
  /** Null where they are not known. */
  readonly trustAnchors:
    | readonly { readonly subject: string; readonly sha256: string; readonly notAfter: string }[]
    | null
}

export type AlertFacts = {
  /** RFC 3339. */
  readonly now: string
  readonly clusters: readonly ClusterFacts[]
  /** The register. Where it cannot be read, `problem` says why in one line, and nothing counts as accepted. */
  readonly waivers: { readonly all: readonly Waiver[]; readonly problem: string | null }
  /** Since when nothing was sealed, RFC 3339, null where that is not known. Null: there is no log. */
  readonly seal: { readonly isBehind: boolean; readonly since: string | null } | null
}

const DAY = 24 * 60 * 60
/** Linkerd renews a proxy's certificate of a day with seven hours left; with less than two it does not. */
const CERTIFICATE_SECONDS = 2 * 60 * 60
/** A new anchor takes weeks to be everywhere. */
const TRUST_ANCHOR_SECONDS = 30 * DAY
/** Before its end, and with it, whoever forgot what was told weeks ago is told again. */
const ANCHOR_TOLD_AGAIN_SECONDS = [7 * DAY, DAY, 0]

/** Kubernetes has none that is longer. */
const LONGEST_NAME = 63

/** Names from clusters have any length. */
const LONGEST_LINE = 600

/** The facts of a look, so that each of ten thousand conditions is found at once. */
export type Known = {
  readonly channel: Channel
  readonly facts: AlertFacts
  readonly dates: Dates
  readonly clusters: ReadonlyMap<string, KnownCluster>
}

/** A cluster with its episodes by what they are asked for. */
export type KnownCluster = ClusterFacts & {
  readonly byEpisode: ReadonlyMap<string, AlertPath>
  /** Oldest first. */
  readonly byPath: ReadonlyMap<string, readonly AlertPath[]>
}

/** Prepares the facts of a look for a channel. */
export function knownOf(channel: Channel, facts: AlertFacts): Known {
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
 * Everything that is so now, what a waiver accepts among it; what is of a whole cluster, or of all, before the many paths.
 *
 * @param before what was known before, by key
 */
export function presentOf(known: Known, before: ReadonlyMap<string, Watched>): readonly Present[] {
  const whole = [...registerConditions(known), ...sealConditions(known)]
  const clusters = [...known.clusters.values()]
  return [
    ...whole,
    ...clusters.flatMap((cluster) => wholeConditions(known, cluster, before)),
    ...clusters.flatMap((cluster) => pathConditions(known, cluster, before)),
  ]
}

/** What the mail of a week tells beside paths and coverage, which it tells itself. */
const BESIDE_PATHS: readonly ConditionKind[] = ['certificate', 'trust-anchor', 'seal']

/** What else is so now that a channel is to know, in the words of its alerts; of certificates and trust anchors only where the channel has every namespace. */
export function besidePaths(channel: Channel, facts: AlertFacts): readonly Condition[] {
  return presentOf(knownOf(channel, facts), new Map()).filter(({ kind }) => BESIDE_PATHS.includes(kind))
}

const present = (condition: Omit<Condition, 'details'>, ...details: readonly string[]): Present => ({
  ...condition,
  line: cut(condition.line),
  details: details.map(cut),
  episode: null,
  waiver: null,
  tellAgainAt: [],
})

function registerConditions({ facts: { now, waivers } }: Known): readonly Present[] {
  if (waivers.problem === null) return []
  const line = `the register of waivers cannot be read, so nothing counts as accepted: ${printable(waivers.problem)}`
  return [present({ key: 'unreadable', kind: 'unreadable', cluster: null, since: now, line })]
}

function sealConditions({ facts: { now, seal }, dates }: Known): readonly Present[] {
  if (seal?.isBehind !== true) return []
  const since = seal.since === null ? 'nobody knows since when' : `since ${dates.moment(seal.since)}`
  const line = `nothing was sealed ${since}: what is stored meanwhile can be changed unseen`
  return [
    present(
      { key: 'seal', kind: 'seal', cluster: null, since: seal.since ?? now, line },
      'fix: see what keeps it from that: ciphertrail seal',
    ),
  ]
}

/** What is of a cluster as a whole. */
function wholeConditions(
  { channel, facts: { now }, dates }: Known,
  cluster: KnownCluster,
  before: ReadonlyMap<string, Watched>,
): readonly Present[] {
  const { id, problem, windows, certificate, trustAnchors } = cluster
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
  // Two windows begin it, one that is seen ends it: one late window that was filled must not.
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
        `fix: see what does not answer: ciphertrail cluster check ${printable(id)}`,
      ),
    )
  }
  conditions.push(...namespaceConditions({ channel, dates }, cluster, isDark, before))
  if (channel.namespaces.length > 0) return conditions
  if (certificate !== null && toSeconds(certificate.expires) - toSeconds(certificate.asOf) < CERTIFICATE_SECONDS)
    conditions.push(
      present(
        {
          key: `certificate/${id}`,
          kind: 'certificate',
          cluster: id,
          since: certificate.asOf,
          line: `the certificate of a proxy on ${where} ends ${dates.full(certificate.expires)} and is not renewed`,
        },
        'fix: see whether the identity service answers: linkerd check --proxy',
      ),
    )
  for (const { subject, sha256, notAfter } of trustAnchors ?? []) {
    const left = toSeconds(notAfter) - toSeconds(now)
    if (left >= TRUST_ANCHOR_SECONDS) continue
    conditions.push({
      ...present(
        {
          key: `trust-anchor/${id}/${sha256}`,
          kind: 'trust-anchor',
          cluster: id,
          since: now,
          line: `the trust anchor ${printable(subject)} of ${where} ${left <= 0 ? 'ended' : 'ends'} ${dates.full(notAfter)}`,
        },
        'fix: have a new anchor trusted everywhere first, then issue by it, then take this one away',
      ),
      tellAgainAt: ANCHOR_TOLD_AGAIN_SECONDS.map((seconds) => toTime(toSeconds(notAfter) - seconds)),
    })
  }
  return conditions
}

/**
 * Namespaces of which nothing was observed on a cluster of which something was.
 *
 * @param isDark the whole cluster is told as not observed, which says it of each namespace
 */
function namespaceConditions(
  { channel, dates }: Pick<Known, 'channel' | 'dates'>,
  { id, namespaces }: KnownCluster,
  isDark: boolean,
  before: ReadonlyMap<string, Watched>,
): readonly Present[] {
  return namespaces.flatMap(({ name, windows, seenAt }): readonly Present[] => {
    const [last, secondLast] = [windows.at(-1), windows.at(-2)]
    if (last?.isObserved !== false || !isOfChannel(channel, [{ namespace: name }])) return []
    const key = namespaceKey(id, name)
    const was = before.get(key)
    // What was told keeps its words: windows that told since when go into months.
    if (was?.isActive === true) return [namespaceCondition({ key, cluster: id, since: was.since, line: was.line })]
    if (isDark || secondLast?.isObserved !== false) return []
    const since = seenAt ?? secondLast.end
    const how = seenAt === null ? `since ${dates.moment(since)} at the latest` : `after ${dates.moment(since)}`
    const line = `nothing was observed in namespace ${printable(name)} of cluster ${printable(id)} ${how}`
    return [namespaceCondition({ key, cluster: id, since, line })]
  })
}

/** Names the lost coverage of a namespace. What is no name of one, which a label may be, is made printable, and cut. */
export const namespaceKey = (cluster: string, name: string): string =>
  `coverage/${cluster}/${cutLine(printable(name), LONGEST_NAME)}`

const namespaceCondition = ({ key, cluster, since, line }: Omit<Condition, 'details' | 'kind'>): Present =>
  present(
    { key, kind: 'namespace-coverage', cluster, since, line },
    'fix: see whether its proxies answer, and whether policy lets them be read: linkerd check --proxy',
  )

function pathConditions(
  known: Known,
  { id, problem, episodes, byPath }: KnownCluster,
  before: ReadonlyMap<string, Watched>,
): readonly Present[] {
  if (problem !== null) return []
  const { channel, facts, dates } = known
  const conditions: Present[] = []
  for (const path of episodes) {
    const { episode, source, destination, pathId } = path
    if (episode.endedAt !== null || !isOfChannel(channel, [source, destination])) continue
    const key = `path/${id}/${pathId}`
    const watched = before.get(key)
    const lapsed = lapsedWaiver(path, id, facts)
    // What was there before the channel is no news, the mail of the week tells it; but that it is not accepted any more is.
    const isNews =
      toSeconds(episode.openedAt) > toSeconds(channel.addedAt) ||
      (lapsed !== undefined && toSeconds(lapsed.expires) > toSeconds(channel.addedAt))
    const waiver = acceptedBy(path, id, facts)
    if (waiver === null && !isNews && watched?.isActive !== true && (watched?.waiver ?? null) === null) continue
    const isAgain = byPath.get(pathId)?.[0] !== path
    const since = episode.sinceUnknown
      ? `first seen ${dates.moment(episode.openedAt)}`
      : `since ${dates.moment(episode.openedAt)}`
    const how = waiver === null ? notAcceptedWords(lapsed, watched?.waiver ?? null, known) : ''
    conditions.push({
      key,
      kind: 'path',
      cluster: id,
      since: episode.openedAt,
      line: cut(`${how}${isAgain ? 'again ' : ''}not encrypted ${since}: ${pathWords(path, id)}`),
      details: waiver === null ? detailsOf(path) : [],
      episode: episode.id,
      waiver,
      tellAgainAt: [],
    })
  }
  return conditions
}

const RULE = ['path-is-encrypted']

function acceptedBy(path: PathEpisode, cluster: string, { waivers, now }: AlertFacts): string | null {
  return waivers.problem === null ? waiverFor({ ...path, cluster }, RULE, waivers.all, now) : null
}

/** The waiver that ended last of those that accepted a path while it was open. */
function lapsedWaiver(path: PathEpisode, cluster: string, { waivers, now }: AlertFacts): Waiver | undefined {
  return waivers.all
    .filter(
      (waiver) =>
        !isInForce(waiver, now) &&
        toSeconds(waiver.expires) > toSeconds(path.episode.openedAt) &&
        RULE.every((rule) => isAbout(waiver, { ...path, cluster }, rule)),
    )
    .toSorted((a, b) => toSeconds(a.expires) - toSeconds(b.expires))
    .at(-1)
}

/**
 * Why a path that was accepted is not any more.
 *
 * @param accepted id of the waiver that accepted it when it was looked at last; null for none
 */
function notAcceptedWords(
  lapsed: Waiver | undefined,
  accepted: string | null,
  { facts: { waivers, now }, dates }: Known,
): string {
  if (waivers.problem !== null && accepted !== null)
    return `it cannot be read whether waiver ${printable(accepted)} still accepts it; `
  if (lapsed !== undefined && (accepted === null || accepted === lapsed.id))
    return `no longer accepted, waiver ${printable(lapsed.id)} ended ${dates.moment(lapsed.expires)}; `
  if (accepted === null) return ''
  const isKept = waivers.all.some((waiver) => waiver.id === accepted && isInForce(waiver, now))
  return `no longer accepted, waiver ${printable(accepted)} ${isKept ? 'is not about it any more' : 'was taken back'}; `
}

function detailsOf({ seen, ...path }: AlertPath): readonly string[] {
  if (seen === null) return []
  const fix = fixOf({ ...path, ...seen }) ?? ''
  return [
    `why: ${whyWords(seen)}`,
    ...fix
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => `fix: ${printable(line)}`),
  ].map(cut)
}

/** A path by both its ends, and its cluster. */
export function pathWords({ source, destination, port }: PathEpisode, cluster: string): string {
  const [from, to] = [endpointName(source), destinationName({ destination, port })].map(({ kind, pieces }) =>
    `${kind} ${pieces.join('')}`.trim(),
  )
  return `${from ?? ''} to ${to ?? ''} on cluster ${printable(cluster)}`
}

/** A line of an alert, of which no program shows more. */
export const cut = (line: string): string => cutLine(line, LONGEST_LINE)

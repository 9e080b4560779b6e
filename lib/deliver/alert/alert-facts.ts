/** The facts on which alerts are decided, read from the store. */
import { toSeconds, toTime } from '../../time/windows.ts'
import type { Cluster } from '../../model/registry.ts'
import type { TimelineMonth } from '../../model/history.ts'
import { isSealBehind, readProgress } from '../../seal/write/progress.ts'
import { DamagedChangeError } from '../../store/registry/changes.ts'
import { declaredSettings, declaredWaivers } from '../../store/registry/declarations.ts'
import { historyProblem } from '../../history/history-problem.ts'
import { vkeyKey } from '../../store/log-keys.ts'
import { missingWindows } from '../../history/missing-windows.ts'
import { type NamespaceStatuses, nextStatuses } from '../../history/namespaces.ts'
import { DeletedError, type Objects } from '../../store/objects/objects.ts'
import { classNamespaces, pathClass } from '../../assess/ends/path-class.ts'
import type { ReportSettings } from '../../model/judgement.ts'
import { PATH_CLASSES } from '../../model/path.ts'
import {
  type Memory,
  type Recent,
  readLabelledOfMonths,
  readLast,
  readLastOfMonths,
  readRecent,
} from '../../history/recent.ts'
import { compareText } from '../../text/order.ts'
import { errorLine } from '../../text/error-line.ts'
import type { AlertFacts, AlertPath, ClusterFacts } from './condition-kinds.ts'

/** Time for collecting a window before it counts as not collected. */
const GRACE_SECONDS = 10 * 60

const NOTHING = {
  firstLookAt: null,
  episodes: [],
  windows: [],
  namespaces: [],
  isListed: false,
  certificate: null,
  trustAnchors: null,
} as const

/**
 * The current certificates and trust anchors of a cluster, and nothing else; null if unknown because nothing was collected lately. Costs two requests. Throws
 * for a damaged result.
 */
export async function expiryFacts(clusterId: string, objects: Objects): Promise<ClusterFacts | null> {
  const last = await readLast(clusterId, objects)
  return last?.collected === true ? { id: clusterId, problem: null, ...NOTHING, ...cryptoFacts(last) } : null
}

/** Settings that decide which paths are judged. */
type JudgedSettings = Pick<ReportSettings, 'judgedClasses' | 'platformNamespaces'>

/** The current facts about a cluster. Never throws: a failed read is its `problem`. */
export async function clusterFacts(
  cluster: Cluster,
  at: Date,
  {
    objects,
    memory,
    settings,
  }: {
    readonly objects: Objects
    readonly memory: Memory
    readonly settings: JudgedSettings
  },
): Promise<ClusterFacts> {
  const nothing = { id: cluster.id, ...NOTHING }
  try {
    const recent = await readRecent(cluster.id, objects, memory)
    const problem = recent === undefined ? await historyProblem(cluster, objects) : undefined
    if (problem !== undefined) return { ...nothing, problem }
    const missing = missingWindows(cluster, recent ?? { since: null, watermark: null }, at)
    const isDue = ({ end }: { readonly end: string }): boolean => toSeconds(end) + GRACE_SECONDS <= at.getTime() / 1000
    const windows = [
      ...(recent?.windows ?? []).map((window) => ({ end: window.end, ...observedOf(window, recent?.unlisted) })),
      ...missing.map(({ end }) => ({ end, isObserved: false, share: null })),
    ]
      .filter(isDue)
      .toSorted((a, b) => toSeconds(a.end) - toSeconds(b.end))
    return {
      ...nothing,
      problem: null,
      firstLookAt: recent?.firstLookAt ?? null,
      episodes: recent === undefined ? [] : await judgedPaths(cluster.id, recent, settings, objects),
      windows: [...(await seenBefore(cluster.id, windows, objects)), ...windows],
      ...namespaceFacts(recent, missing.filter(isDue), isDue),
      ...cryptoFacts(recent?.last ?? null),
    }
  } catch (error) {
    return { ...nothing, problem: errorLine(error) }
  }
}

type SeenWindow = ClusterFacts['windows'][number]

/** The last observed window, if none of these was observed: the alert says since when nothing is observed. */
async function seenBefore(
  clusterId: string,
  windows: readonly SeenWindow[],
  objects: Objects,
): Promise<readonly SeenWindow[]> {
  if (windows.some((window) => window.isObserved === true)) return []
  const isSeen = (window: StoredWindow): boolean => observedOf(window).isObserved === true
  const seen = await readLastOfMonths(clusterId, isSeen, objects)
  return seen === undefined ? [] : [{ end: seen.end, ...observedOf(seen) }]
}

type StoredWindow = TimelineMonth['windows'][number]

/** If a list says that there were no proxies to observe, silence is neither a loss nor an observation. */
function observedOf(
  { start, collected, expectedSeconds, observedSeconds, ratio }: StoredWindow,
  unlisted: ReadonlySet<string> = new Set(),
): Pick<SeenWindow, 'isObserved' | 'share'> {
  if (collected && expectedSeconds === 0 && !unlisted.has(start)) return { isObserved: null, share: null }
  return { isObserved: collected && observedSeconds > 0, share: collected ? ratio : null }
}

/** Missing windows before all stored ones say nothing about a namespace; of those after, the last two decide. */
function namespaceFacts(
  recent: Recent | undefined,
  missing: readonly { readonly end: string }[],
  isDue: (window: { readonly end: string }) => boolean,
): Pick<ClusterFacts, 'namespaces' | 'isListed'> {
  const { before = new Map<string, never>(), last = [] } = recent?.namespaces ?? {}
  const watermark = recent?.watermark ?? null
  const sights = [
    ...last.filter(isDue),
    ...missing
      .filter(({ end }) => watermark !== null && toSeconds(end) > toSeconds(watermark))
      .slice(-2)
      .map(({ end }) => ({ end, collected: false, isListed: false, seconds: new Map() })),
  ]
  const standings = sights.reduce<NamespaceStatuses>(nextStatuses, before)
  return {
    namespaces: [...standings]
      .map(([name, { windows, seenAt }]) => ({ name, windows, seenAt }))
      .toSorted((a, b) => compareText(a.name, b.name)),
    isListed: sights.at(-1)?.isListed === true,
  }
}

/** Paths of the judged classes: the report lists the others. Without a list of namespaces, all are judged. */
async function judgedPaths(
  clusterId: string,
  recent: Recent,
  { judgedClasses, platformNamespaces }: JudgedSettings,
  objects: Objects,
): Promise<readonly AlertPath[]> {
  const all = pathsOf(recent)
  if (all.length === 0) return all
  const labelled = recent.labelled ?? (await readLabelledOfMonths(clusterId, objects))
  const namespaces = classNamespaces([labelled], platformNamespaces)
  return all.filter((path) => judgedClasses.includes(pathClass(path, namespaces)))
}

/** Each episode with its path, and how it was last seen. Its id begins with the path's. */
function pathsOf({ paths, episodes, seen }: Recent): readonly AlertPath[] {
  const byId = new Map(paths.map((path) => [path.pathId, path]))
  return episodes.flatMap((episode): readonly AlertPath[] => {
    const path = byId.get(episode.id.slice(0, episode.id.lastIndexOf('-')))
    if (path === undefined) return []
    const { pathId, source, destination, port } = path
    return [{ pathId, source, destination, port, episode, seen: seen.get(episode.id) ?? null }]
  })
}

/** From the last window with stored data; what it does not contain is unknown. */
function cryptoFacts(last: Recent['last']): Pick<ClusterFacts, 'certificate' | 'trustAnchors'> {
  if (last?.collected !== true) return { certificate: null, trustAnchors: null }
  const { certificates, trustAnchors } = last.crypto
  return {
    certificate:
      certificates === null
        ? null
        : { expires: certificates.earliestExpiry, asOf: last.window.end, isOfAll: last.isWhole },
    trustAnchors: trustAnchors.length === 0 ? null : trustAnchors,
  }
}

/**
 * Since when nothing was sealed; null if no log was ever begun, or if unknown: the first run of a new log may still be in progress.
 *
 * @param clusters the registered ones
 */
export async function sealFacts(at: Date, clusters: readonly Cluster[], objects: Objects): Promise<AlertFacts['seal']> {
  if ((await objects.get(vkeyKey)) === undefined) return null
  const isLongAgo = (time: number): boolean => isSealBehind(at.getTime() / 1000, time)
  const { progress } = await readProgress(objects)
  if (progress !== undefined) return { isBehind: isLongAgo(progress.sealedAt), since: toTime(progress.sealedAt) }
  return clusters.some(({ registeredAt }) => isLongAgo(toSeconds(registeredAt)))
    ? { isBehind: true, since: null }
    : null
}

/** The waivers. A damaged register accepts nothing; if the store does not answer, the next look retries. */
export async function readWaivers(objects: Objects): Promise<AlertFacts['waivers']> {
  try {
    return { all: (await declaredWaivers(objects)).declared, problem: null }
  } catch (error) {
    return { all: [], problem: damageLine(error) }
  }
}

/**
 * The judged paths, and why the settings are unreadable, in one line: then paths of every class are judged. If the store does not answer, the next look
 * retries.
 */
export async function readJudged(
  objects: Objects,
): Promise<{ readonly settings: JudgedSettings; readonly problem: string | null }> {
  try {
    return { settings: await declaredSettings(objects), problem: null }
  } catch (error) {
    return { settings: { judgedClasses: PATH_CLASSES, platformNamespaces: [] }, problem: damageLine(error) }
  }
}

/** A line about a damaged or deleted object. Rethrows any other error. */
function damageLine(error: unknown): string {
  if (error instanceof DamagedChangeError || error instanceof DeletedError) return errorLine(error)
  throw error
}

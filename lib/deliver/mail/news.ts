/** What a weekly mail says of paths, as lists. Pure, and made from the same summary as the report of the week. */
import { isBasisKnown } from '../../report/summary/change-summary.ts'
import type { Episode } from '../../model/history.ts'
import type { WaiverResult } from '../../model/judgement.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { type Exposure, type Named, byName, namedOf, pathKey } from '../../report/summary/path-summary.ts'
import { isWaived } from '../../report/summary/figures.ts'

/** What became of a path that was not encrypted, in the order in which a mail tells it. */
export const NEWS_KINDS = ['new', 'reopened', 'open', 'ended', 'fixed', 'refused', 'gone', 'quiet'] as const

/** Those of them that are unencrypted at the end of the week. */
export const OPEN_KINDS: readonly (typeof NEWS_KINDS)[number][] = ['new', 'reopened', 'open']

/** What became of a path in a week. */
export type NewsKind = (typeof NEWS_KINDS)[number]

/** A path that was not encrypted by the mesh, at the end of the week or at some time in it. */
export type NewsItem = Named & {
  readonly kind: NewsKind
  /** Null where it was not seen in the week, and so was not seen encrypted either. */
  readonly exposure: Exposure | null
  /** The one that decides; null where none is known. */
  readonly episode: Episode | null
  readonly isWaived: boolean
  /** The number of the action that ends it; null where none does. */
  readonly action: number | null
}

/** What a weekly mail tells of paths. */
export type News = {
  /** By kind; open ones in the order of their actions, the others from the last that ended. */
  readonly items: Readonly<Record<NewsKind, readonly NewsItem[]>>
  /** `openNow` of the summary's figures: as many paths are new, reopened or open. */
  readonly open: number
  /** Clusters of which nothing can be called new: nothing was collected there in the week before. In text order. */
  readonly notCompared: readonly string[]
  /** Clusters of which nothing was observed in the week, or of which it is not known how much was. In text order. */
  readonly dark: readonly string[]
  /** Waivers of the part that end within 14 days, first the one that ends first. */
  readonly endingWaivers: readonly WaiverResult[]
}

/** Sorts what a summary says of paths that were not encrypted. Each path is in one list, whatever happened to it in the week. */
export function sortNews(summary: Summary): News {
  const { changes, clusters, episodes, judgement, notEncrypted } = summary
  const compared = new Set(changes.comparisons.filter(isBasisKnown).map(({ cluster }) => cluster))
  const exposures = new Map(notEncrypted.map((exposure) => [pathKey(exposure), exposure]))
  // As figures.ts counts them, whatever else is told of a path.
  const open = new Set([
    ...notEncrypted.filter(({ isOpen }) => isOpen).map(pathKey),
    ...episodes.all.filter(({ episode }) => episode.endedAt === null).map(pathKey),
  ])
  const actions = new Map(
    summary.actions.flatMap(({ number, paths }) => paths.map((path) => [pathKey(path), number] as const)),
  )
  const known = new Map<string, NewsItem>()
  const add = (path: Named, told: NewsKind, episode: Episode | null): void => {
    const key = pathKey(path)
    const exposure = exposures.get(key) ?? null
    if (known.has(key)) return
    const kind = open.has(key) === OPEN_KINDS.includes(told) ? told : open.has(key) ? 'open' : 'ended'
    known.set(key, {
      ...namedOf(path.cluster, path),
      kind,
      exposure,
      episode,
      isWaived: exposure !== null && isWaived(exposure),
      action: actions.get(key) ?? null,
    })
  }
  for (const change of changes.all)
    if (change.episode !== null) add(change, kindOf(change.kind, change.episode), change.episode)
  // Where nothing is known of the week before, nothing is called new: what is open is open.
  for (const { episode, ...path } of episodes.all)
    if (!compared.has(path.cluster)) add(path, episode.endedAt === null ? 'open' : endingKind(episode), episode)
  for (const exposure of notEncrypted)
    add(exposure, exposure.isOpen ? 'open' : endingKind(exposure.episodes.at(-1)), exposure.episodes.at(-1) ?? null)
  const all = [...known.values()].sort(byUrgency)
  const of = (kind: NewsKind): readonly NewsItem[] => all.filter((item) => item.kind === kind)
  const items = {
    new: of('new'),
    reopened: of('reopened'),
    open: of('open'),
    fixed: of('fixed'),
    refused: of('refused'),
    gone: of('gone'),
    quiet: of('quiet'),
    ended: of('ended'),
  }
  return {
    items,
    open: summary.figures.openNow,
    notCompared: clusters.map(({ id }) => id).filter((id) => !compared.has(id)),
    dark: clusters.filter(({ share }) => share === null || share === 0).map(({ id }) => id),
    endingWaivers: judgement.waivers
      .filter(({ status }) => status === 'expiring')
      .toSorted((a, b) => Date.parse(a.waiver.expires) - Date.parse(b.waiver.expires)),
  }
}

function kindOf(change: Summary['changes']['all'][number]['kind'], episode: Episode): NewsKind {
  switch (change) {
    case 'new':
    case 'reopened':
      return change
    case 'still-open':
    case 'identity':
    case 'enforcement':
      return 'open'
    case 'fixed':
    case 'refused':
    case 'gone':
    case 'quiet':
      return endingKind(episode)
  }
}

/** `ended`: seen without encryption in the week, and nothing says how that ended. */
function endingKind(episode: Episode | undefined): NewsKind {
  return episode?.ending ?? 'ended'
}

function byUrgency(a: NewsItem, b: NewsItem): number {
  const endOf = ({ episode }: NewsItem): number => Date.parse(episode?.endedAt ?? '') || 0
  const beginOf = ({ episode, exposure }: NewsItem): number =>
    Date.parse(episode?.openedAt ?? exposure?.first ?? '') || 0
  const actionOf = ({ action }: NewsItem): number => action ?? Number.MAX_SAFE_INTEGER
  return (
    Number(a.isWaived) - Number(b.isWaived) ||
    endOf(b) - endOf(a) ||
    actionOf(a) - actionOf(b) ||
    beginOf(a) - beginOf(b) ||
    byName(a, b)
  )
}

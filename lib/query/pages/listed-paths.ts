/** Which paths a page lists, and under what: by what was seen of them in the period, and never by a verdict. */
import type { Episode } from '../../model/history.ts'
import type { PathClass } from '../../model/path.ts'
import { openUnseen } from '../../report/summary/episode-summary.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { type Exposure, type PathSummary, byName, isClear, pathKey } from '../../report/summary/path-summary.ts'
import { compareText } from '../../text/order.ts'
import { printable } from '../../text/printable.ts'
import type { PathList, SiteQuery } from './page-query.ts'

/** A path as it is listed. */
export type ListedPath = {
  readonly path: PathSummary
  readonly as: PathList
  /** Null where it was encrypted, or not seen, in every window of the period. */
  readonly exposure: Exposure | null
  /** An episode that began before the period and is still open, where the period shows nothing of it; null for none. */
  readonly openUnseen: Episode | null
}

/** The paths into one namespace. */
export type PathGroup = {
  /** Empty for what is outside of every namespace. */
  readonly namespace: string
  /** In the order in which they are shown: open ones first. */
  readonly paths: readonly ListedPath[]
}

/** The paths that a page asks for, whatever was seen of them. */
export function listedPaths(
  { paths, notEncrypted, others, episodes, settings }: Summary,
  { class: of, namespace, workload }: Pick<SiteQuery, 'class' | 'namespace' | 'workload'>,
): ListedPath[] {
  const exposed = [...notEncrypted, ...others.flatMap((one) => one.notEncrypted)]
  const exposures = new Map(exposed.map((exposure) => [pathKey(exposure), exposure]))
  const unseen = new Map(
    openUnseen([...episodes.all, ...others.flatMap((one) => one.episodes)], exposed).map((one) => [
      pathKey(one),
      one.episode,
    ]),
  )
  const isWantedClass = (one: PathClass): boolean =>
    of === 'all' || (of === null ? settings.judgedClasses.includes(one) : one === of)
  return paths
    .filter(
      (path) =>
        isWantedClass(path.class) &&
        [path.source, path.destination].some(
          (end) =>
            (namespace === null || printable(end.namespace) === namespace) &&
            (workload === null ||
              (printable(end.name) === workload.name && (workload.kind === undefined || end.kind === workload.kind))),
        ),
    )
    .map((path) => {
      const exposure = exposures.get(pathKey(path)) ?? null
      const last = unseen.get(pathKey(path)) ?? null
      return { path, exposure, openUnseen: last, as: listedAs(path, exposure ?? last) }
    })
}

/** Whether a path is unencrypted now, or was when it was last seen. */
export function isListedOpen({ exposure, openUnseen }: Pick<ListedPath, 'exposure' | 'openUnseen'>): boolean {
  return exposure?.isOpen === true || openUnseen !== null
}

/** A window of which nothing can be told makes a path undetermined, whatever the others show; so does one that was not collected, where nothing was seen. */
function listedAs({ windows, observedWindows }: PathSummary, unencrypted: Exposure | Episode | null): PathList {
  if (unencrypted !== null) return 'unencrypted'
  if (windows.unknown > 0) return 'undetermined'
  if (windows.mtls + windows['tls-anonymous'] + windows['app-tls'] > 0) return 'encrypted'
  return observedWindows === 0 && windows['not-collected'] > 0 ? 'undetermined' : 'other'
}

/** Groups paths by the namespace that they lead into, those with open paths first. */
export function groupedPaths(listed: readonly ListedPath[]): PathGroup[] {
  return [...Map.groupBy(listed, ({ path }) => path.destination.namespace)]
    .map(([namespace, paths]) => ({ namespace, paths: paths.toSorted(byUrgency) }))
    .toSorted((a, b) => rankOf(a.paths[0]) - rankOf(b.paths[0]) || compareText(a.namespace, b.namespace))
}

const ORDER: readonly PathList[] = ['unencrypted', 'undetermined', 'encrypted', 'other']

function rankOf(listed: ListedPath | undefined): number {
  if (listed === undefined) return Infinity
  const { as, exposure, openUnseen } = listed
  if (openUnseen !== null) return 1
  if (exposure === null) return 3 + ORDER.indexOf(as)
  return exposure.isOpen ? (isClear(exposure.mark) && exposure.mark === 'plaintext' ? 0 : 1) : 2
}

function byUrgency(a: ListedPath, b: ListedPath): number {
  return rankOf(a) - rankOf(b) || byName(a.path, b.path)
}

/** Which paths a page lists, and under what: by what was seen of them in the period, and never by a verdict. */
import type { PathClass } from '../../model/path.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { type Exposure, type PathSummary, byName, isClear, pathKey } from '../../report/summary/path-summary.ts'
import { compareText } from '../../text/order.ts'
import type { Listed, PageQuery } from './page-query.ts'

/** A path as it is listed; `exposure` where it was not encrypted at some time of the period. */
export type ListedPath = {
  readonly path: PathSummary
  readonly as: Listed
  readonly exposure: Exposure | null
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
  { paths, notEncrypted, others, settings }: Summary,
  { class: of, namespace, workload }: Pick<PageQuery, 'class' | 'namespace' | 'workload'>,
): ListedPath[] {
  const exposures = new Map(
    [...notEncrypted, ...others.flatMap((one) => one.notEncrypted)].map((exposure) => [pathKey(exposure), exposure]),
  )
  const isWantedClass = (one: PathClass): boolean =>
    of === 'all' || (of === null ? settings.judgedClasses.includes(one) : one === of)
  return paths
    .filter(
      (path) =>
        isWantedClass(path.class) &&
        [path.source, path.destination].some(
          (end) =>
            (namespace === null || end.namespace === namespace) &&
            (workload === null ||
              (end.name === workload.name && (workload.kind === undefined || end.kind === workload.kind))),
        ),
    )
    .map((path) => {
      const exposure = exposures.get(pathKey(path)) ?? null
      return { path, exposure, as: listedAs(path, exposure) }
    })
}

/** A window of which nothing can be told makes a path undetermined, whatever the others show. */
function listedAs({ windows }: PathSummary, exposure: Exposure | null): Listed {
  if (exposure !== null) return 'unencrypted'
  if (windows.unknown > 0) return 'undetermined'
  return windows.mtls + windows['tls-anonymous'] + windows['app-tls'] > 0 ? 'encrypted' : 'other'
}

/** Groups paths by the namespace that they lead into, those with open paths first. */
export function groupedPaths(listed: readonly ListedPath[]): PathGroup[] {
  return [...Map.groupBy(listed, ({ path }) => path.destination.namespace)]
    .map(([namespace, paths]) => ({ namespace, paths: paths.toSorted(byUrgency) }))
    .toSorted((a, b) => rankOf(a.paths[0]) - rankOf(b.paths[0]) || compareText(a.namespace, b.namespace))
}

const ORDER: readonly Listed[] = ['unencrypted', 'undetermined', 'encrypted', 'other']

function rankOf(listed: ListedPath | undefined): number {
  if (listed === undefined) return Infinity
  const { as, exposure } = listed
  if (exposure === null) return 3 + ORDER.indexOf(as)
  return exposure.isOpen ? (isClear(exposure.mark) && exposure.mark === 'plaintext' ? 0 : 1) : 2
}

function byUrgency(a: ListedPath, b: ListedPath): number {
  return rankOf(a) - rankOf(b) || byName(a.path, b.path)
}

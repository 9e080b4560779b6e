/** Which paths the headline speaks of: those of the classes that controls judge. The others are listed under a heading of theirs. */
import { pathClass } from '../../assess/ends/path-class.ts'
import type { PathClass } from '../../model/path.ts'
import type { ClusterPast, ClusterPeriod } from '../../model/period.ts'

type Parts = { readonly clusters: readonly ClusterPeriod[]; readonly past: readonly ClusterPast[] }

/** What is known of the paths of some classes alone: all else of clusters stays. */
export function ofClasses({ clusters, past }: Parts, classes: readonly PathClass[]): Parts {
  const isOf = (row: { readonly class: PathClass }) => classes.includes(row.class)
  const namespacesOf = new Map(clusters.map(({ id, classes: namespaces }) => [id, namespaces]))
  return {
    clusters: clusters.map((cluster) => ({ ...cluster, rows: cluster.rows.filter(isOf) })),
    past: past.map(({ id, periods, episodes }) => {
      const namespaces = namespacesOf.get(id)
      return {
        id,
        periods: periods.map((period) => ({ ...period, rows: period.rows.filter(isOf) })),
        episodes: episodes.filter((path) =>
          classes.includes(namespaces === undefined ? 'application' : pathClass(path, namespaces)),
        ),
      }
    }),
  }
}

import { isInScope, labelsIn } from '../../assess/judge/in-scope.ts'
import type { ClusterPeriod } from '../../model/period.ts'
import type { Judgement } from '../../model/judgement.ts'
import { type PathSummary, pathKey } from './path-summary.ts'

/** Ids of the frameworks in whose scope each path is, by its key. A framework without a declared scope is judged on everything. */
export function frameworksByPath(
  paths: readonly PathSummary[],
  { clusters, judgement }: { readonly clusters: readonly ClusterPeriod[]; readonly judgement: Judgement },
): ReadonlyMap<string, readonly string[]> {
  const { frameworks } = judgement
  const all = frameworks.map(({ id }) => id)
  const isScoped = frameworks.some(({ scopes }) => scopes.length > 0)
  const labelsOf = labelsIn(clusters)
  return new Map(
    paths.map((path) => [
      pathKey(path),
      isScoped
        ? frameworks.filter(({ scopes }) => isInScope({ kind: 'path', ...path }, scopes, labelsOf)).map(({ id }) => id)
        : all,
    ]),
  )
}

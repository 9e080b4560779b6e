/** What to do first: paths of one cause and one fix are one action, in an order that is told where it is shown. */
import { isInScope, labelsIn } from '../../assess/judge/in-scope.ts'
import type { Cause, Endpoint } from '../../model/path.ts'
import { STATES } from '../../model/path.ts'
import type { ClusterPeriod } from '../../model/period.ts'
import type { Judgement, ReportSettings } from '../../model/judgement.ts'
import { compareText } from '../../text/order.ts'
import { isWaived } from './figures.ts'
import { type Exposure, type PathSummary, endpointKey, pathKey } from './path-summary.ts'
import { sum } from './sums.ts'

/** One change that ends some paths. */
export type Action = {
  /** 1 for the first: what rows of tables name it by. */
  readonly number: number
  readonly cluster: string
  readonly cause: Cause
  /** The workload to change; the destination where the client is not known. */
  readonly target: Endpoint
  readonly port: number
  /** The change in words that can be pasted; null where none is known. */
  readonly fix: string | null
  /** Who answers for the target: a label of it, else its namespace. */
  readonly owner: string
  readonly isInScope: boolean
  /** The most urgent first; at least one. */
  readonly paths: readonly Exposure[]
  /** When the oldest of them began. */
  readonly since: string
  readonly isSinceUnknown: boolean
  readonly mayBeEarlier: boolean
  /** Bytes that the mesh did not encrypt in the period. */
  readonly clearBytes: number
}

type ActionInput = {
  readonly clusters: readonly ClusterPeriod[]
  readonly judgement: Pick<Judgement, 'frameworks'>
  readonly settings: Pick<ReportSettings, 'ownerLabel'>
}

/** By what the client does; everything else is changed at the destination. */
const AT_SOURCE: ReadonlySet<Cause> = new Set(['source-skips-port', 'kubernetes-api', 'outside-cluster'])

/**
 * Orders what is to be done about paths that are open and not waived: in scope first, then the worst state, the most bytes in the clear, the oldest,
 * then by name.
 */
export function actionsOf(exposures: readonly Exposure[], { clusters, judgement, settings }: ActionInput): Action[] {
  const labelsOf = labelsIn(clusters)
  const scopes = judgement.frameworks.map((framework) => framework.scopes)
  const open = exposures.filter((path) => path.isOpen && !isWaived(path))
  const groups = Map.groupBy(open, (path) => {
    const { cause, fix } = causeOf(path)
    return JSON.stringify([path.cluster, cause, endpointKey(targetOf(path, cause)), fix ?? path.pathId])
  })
  return orderActions(
    [...groups.values()].flatMap((paths): Omit<Action, 'number'>[] => {
      const [first] = paths
      if (first === undefined) return []
      const { cause, fix } = causeOf(first)
      const target = targetOf(first, cause)
      const oldest = paths.toSorted((a, b) => Date.parse(a.since) - Date.parse(b.since))[0] ?? first
      return [
        {
          cluster: first.cluster,
          cause,
          target,
          port: first.port,
          fix,
          owner: ownerOf(target, labelsOf(first.cluster, target), settings.ownerLabel),
          isInScope: paths.some((path) => scopes.some((own) => isInScope({ ...path, kind: 'path' }, own, labelsOf))),
          paths,
          since: oldest.since,
          isSinceUnknown: oldest.isSinceUnknown,
          mayBeEarlier: oldest.mayBeEarlier,
          clearBytes: sum(paths, ({ clearShare, bytes }) => (clearShare ?? 0) * bytes),
        },
      ]
    }),
  )
}

/** Numbers actions, the most urgent first. */
export function orderActions(actions: readonly Omit<Action, 'number'>[]): Action[] {
  return actions.toSorted(byUrgency).map((action, index) => ({ ...action, number: index + 1 }))
}

/**
 * Who answers for each path, by its key: the owner of the action that ends it, else of its destination, or of its source where the destination is
 * outside.
 */
export function ownersOf(
  paths: readonly PathSummary[],
  actions: readonly Action[],
  { clusters, settings }: Pick<ActionInput, 'clusters' | 'settings'>,
): ReadonlyMap<string, string> {
  const labelsOf = labelsIn(clusters)
  const owners = paths.map((path): [string, string] => {
    const end = path.destination.namespace === '' ? path.source : path.destination
    return [pathKey(path), ownerOf(end, labelsOf(path.cluster, end), settings.ownerLabel)]
  })
  const acting = actions.flatMap(({ owner, paths: own }) => own.map((path): [string, string] => [pathKey(path), owner]))
  return new Map([...owners, ...acting])
}

/** The latest that is known of why a path is open. */
function causeOf({ reasons }: Exposure): { readonly cause: Cause; readonly fix: string | null } {
  const told = reasons.findLast(({ cause }) => cause !== null && cause !== 'unknown') ?? reasons.at(-1)
  return { cause: told?.cause ?? 'unknown', fix: told?.fix ?? null }
}

function targetOf({ source, destination }: Exposure, cause: Cause): Endpoint {
  const { kind, namespace, name } = AT_SOURCE.has(cause) && source.name !== '' ? source : destination
  return { kind, namespace, name }
}

function ownerOf(
  { namespace }: Endpoint,
  labels: readonly Readonly<Record<string, string>>[],
  ownerLabel: string,
): string {
  const named = labels.findLast((had) => Object.hasOwn(had, ownerLabel))?.[ownerLabel] ?? ''
  return named !== '' ? named : namespace !== '' ? namespace : 'nobody known'
}

function byUrgency(a: Omit<Action, 'number'>, b: Omit<Action, 'number'>): number {
  const worst = ({ paths }: Omit<Action, 'number'>) =>
    Math.min(...paths.map(({ mark }) => (STATES as readonly string[]).indexOf(mark)))
  return (
    Number(b.isInScope) - Number(a.isInScope) ||
    worst(a) - worst(b) ||
    b.clearBytes - a.clearBytes ||
    Date.parse(a.since) - Date.parse(b.since) ||
    compareText(a.cluster, b.cluster) ||
    compareText(endpointKey(a.target), endpointKey(b.target)) ||
    a.port - b.port
  )
}

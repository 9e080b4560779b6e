/** What a report is about: clusters and workloads as components, judged paths as items of an inventory. */
import type { Endpoint } from '../../model/path.ts'
import { compareText } from '../../text/order.ts'
import { idOf } from '../csv/csv-text.ts'
import { stableUuid } from '../stable-uuid.ts'
import { type Named, endpointKey, pathKey } from '../summary/path-summary.ts'
import type { Summary } from '../summary/summary.ts'
import { markup, prop, withProps } from './oscal-text.ts'

/** The UUID of ciphertrail as a tool. */
export const TOOL = stableUuid('tool', 'ciphertrail')

/** Who says it. */
export const ORIGIN = { actors: [{ type: 'tool', 'actor-uuid': TOOL }] }

/** ciphertrail, as a component. */
export function toolComponent({ version }: Pick<Summary, 'version'>): object {
  return {
    uuid: TOOL,
    type: 'software',
    title: 'ciphertrail',
    description: 'Records which paths between services were encrypted, from what Linkerd’s proxies counted.',
    ...withProps(...prop('version', version)),
    status: { state: 'operational' },
  }
}

/** The UUID of a path: the same in every report. */
export const pathUuid = (path: Named): string => stableUuid('path', path.cluster, path.pathId)

const clusterUuid = (id: string): string => stableUuid('cluster', id)

const workloadUuid = (cluster: string, end: Endpoint): string => stableUuid('workload', cluster, endpointKey(end))

/** A path as people read it: `deployment/shop/web to deployment/shop/db:5432`. */
export const pathName = ({ source, destination, port }: Named): string =>
  `${idOf(source)} to ${idOf(destination)}:${port}`

/** What has a namespace is a component; who has no name, or is outside, is none. */
const isWorkload = ({ namespace, name }: Endpoint): boolean => namespace !== '' && name !== ''

/** The tool, the clusters, and the workloads at the ends of these paths. */
export function components(summary: Summary, paths: readonly Named[]): readonly object[] {
  const ends = new Map<string, { readonly cluster: string; readonly end: Endpoint }>()
  for (const { cluster, source, destination } of paths)
    for (const end of [source, destination])
      if (isWorkload(end)) ends.set(JSON.stringify([cluster, endpointKey(end)]), { cluster, end })
  const workloads = [...ends].toSorted(([a], [b]) => compareText(a, b)).map(([, one]) => one)
  return [
    toolComponent(summary),
    ...summary.clusters.map(({ id }) => ({
      uuid: clusterUuid(id),
      type: 'system',
      title: markup(id),
      description: 'A Kubernetes cluster with Linkerd.',
      props: prop('cluster', id),
      status: { state: 'operational' },
    })),
    ...workloads.map(({ cluster, end }) => ({
      uuid: workloadUuid(cluster, end),
      type: 'service',
      title: markup(idOf(end)),
      description: 'An end of a path that was known in the period.',
      props: [
        ...prop('cluster', cluster),
        ...prop('kind', end.kind),
        ...prop('namespace', end.namespace),
        ...prop('name', end.name),
      ],
      status: { state: 'other', remarks: 'Whether it runs is not assessed.' },
    })),
  ]
}

/** These paths, each with the components that are its ends. */
export function* inventoryItems(summary: Summary, paths: readonly Named[]): Iterable<object> {
  for (const path of paths) {
    const { cluster, pathId, source, destination, port } = path
    const ends = [source, destination].filter(isWorkload).map((end) => workloadUuid(cluster, end))
    yield {
      uuid: pathUuid(path),
      description: `Path ${markup(pathName(path))}`,
      props: [
        ...prop('cluster', cluster),
        ...prop('path-id', pathId),
        ...prop('source', idOf(source)),
        ...prop('destination', idOf(destination)),
        ...prop('port', port),
        ...prop('destination-cluster', destination.cluster),
        ...prop('owner', summary.owners.get(pathKey(path))),
      ],
      'implemented-components': [clusterUuid(cluster), ...new Set(ends)].map((uuid) => ({ 'component-uuid': uuid })),
    }
  }
}

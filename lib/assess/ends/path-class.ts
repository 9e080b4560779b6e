import type { ClassNamespaces, Endpoint, PathClass, PathEnds } from '../../model/path.ts'
import type { LabelledNamespaces } from '../../model/window.ts'
import { matchesAny } from '../../text/pattern.ts'
import { uniteNamespaces } from '../pods/labelled-namespaces.ts'
import { API_SERVER } from './api-server.ts'

/**
 * Returns the namespaces that decide classes, from the lists of a period. A namespace is Linkerd's only if every list that contains it shows the label. Only
 * applications are judged, so a label added late or removed must not exclude paths.
 */
export function classNamespaces(
  lists: readonly (LabelledNamespaces | null)[],
  platformNamespaces: readonly string[],
): ClassNamespaces {
  const { mesh = [], others = [] } = uniteNamespaces(lists) ?? {}
  const unlabelled = new Set(others)
  return { meshNamespaces: mesh.filter((name) => !unlabelled.has(name)), platformNamespaces }
}

/**
 * Returns a path's class: its destination's, or its source's if the destination is outside and has no namespace. Paths not known to belong to the mesh or the
 * platform are application paths. So are paths to another cluster, since this cluster's lists do not show its namespaces.
 */
export function pathClass(
  { source, destination }: Pick<PathEnds, 'source' | 'destination'>,
  namespaces: ClassNamespaces,
): PathClass {
  if (destination.cluster !== null) return 'application'
  return endClass(destination.namespace === '' ? source : destination, namespaces)
}

/** Returns the class of an end of a path, from its namespace alone, except for the Kubernetes API. */
export function endClass(
  { kind, namespace, name }: Endpoint,
  { meshNamespaces, platformNamespaces }: ClassNamespaces,
): PathClass {
  if (kind === API_SERVER.kind && namespace === API_SERVER.namespace && name === API_SERVER.name) return 'platform'
  if (namespace === '') return 'application'
  if (meshNamespaces.includes(namespace)) return 'mesh'
  return matchesAny(['kube-system', ...platformNamespaces], namespace) ? 'platform' : 'application'
}

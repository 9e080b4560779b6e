import type { ClassNamespaces, Endpoint, PathClass, PathEnds } from '../../model/path.ts'
import type { LabelledNamespaces } from '../../model/window.ts'
import { matchesAny } from '../../text/pattern.ts'
import { uniteNamespaces } from '../pods/labelled-namespaces.ts'
import { API_SERVER } from './api-server.ts'

/**
 * Gives what decides classes, from what lists of a period say of namespaces. A namespace is Linkerd's only if every list that holds it shows the label:
 * applications are what is judged, so that a label that came late or went takes nothing out.
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
 * Whose a path is: its destination's class, or its source's where the destination has no namespace, since it is outside. What is not known to be of the
 * mesh or the platform is an application's. So is what another cluster runs: the lists of this one say nothing of its namespaces.
 */
export function pathClass(
  { source, destination }: Pick<PathEnds, 'source' | 'destination'>,
  namespaces: ClassNamespaces,
): PathClass {
  if (destination.cluster !== null) return 'application'
  return endClass(destination.namespace === '' ? source : destination, namespaces)
}

/** Whose a workload, or another end of a path, is: decided by its namespace alone, but for the Kubernetes API. */
export function endClass(
  { kind, namespace, name }: Endpoint,
  { meshNamespaces, platformNamespaces }: ClassNamespaces,
): PathClass {
  if (kind === API_SERVER.kind && namespace === API_SERVER.namespace && name === API_SERVER.name) return 'platform'
  if (namespace === '') return 'application'
  if (meshNamespaces.includes(namespace)) return 'mesh'
  return matchesAny(['kube-system', ...platformNamespaces], namespace) ? 'platform' : 'application'
}

import type { LabelledNamespaces } from '../../model/window.ts'
import { compareText } from '../../text/order.ts'
import type { KubernetesLists } from './lists.ts'

/**
 * Splits the namespaces of a list by Linkerd's labels. Null without a list, or if it is empty: every cluster has namespaces, so an empty list is no evidence.
 */
export function labelledNamespaces(listed: Pick<KubernetesLists, 'namespaces'> | null): LabelledNamespaces | null {
  if (listed === null || listed.namespaces.length === 0) return null
  const { mesh = [], others = [] } = Object.groupBy(listed.namespaces, ({ metadata: { labels = {} } }) =>
    isLinkerds(labels) ? 'mesh' : 'others',
  )
  const names = (own: KubernetesLists['namespaces']) => own.map(({ metadata }) => metadata.name)
  return uniteNamespaces([{ mesh: names(mesh), others: names(others) }])
}

/** Whether a namespace has the labels of Linkerd's control plane or extensions. Labels of pods and workloads do not count. */
function isLinkerds(labels: Readonly<Record<string, string>>): boolean {
  return labels['linkerd.io/is-control-plane'] === 'true' || (labels['linkerd.io/extension'] ?? '') !== ''
}

/** Unites the namespaces of lists. Order and repetition do not matter. Null if no list is known. */
export function uniteNamespaces(all: readonly (LabelledNamespaces | null)[]): LabelledNamespaces | null {
  const known = all.filter((one) => one !== null)
  if (known.length === 0) return null
  const once = (names: readonly string[]) => [...new Set(names)].sort(compareText)
  return { mesh: once(known.flatMap(({ mesh }) => mesh)), others: once(known.flatMap(({ others }) => others)) }
}

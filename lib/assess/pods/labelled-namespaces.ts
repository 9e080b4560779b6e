import type { LabelledNamespaces } from '../../model/window.ts'
import { compareText } from '../../text/order.ts'
import type { Listed } from './lists.ts'

/** Tells the namespaces of a list by Linkerd's labels. Null without a list: every cluster has namespaces, so an empty list says nothing. */
export function labelledNamespaces(listed: Pick<Listed, 'namespaces'> | null): LabelledNamespaces | null {
  if (listed === null || listed.namespaces.length === 0) return null
  const { mesh = [], others = [] } = Object.groupBy(listed.namespaces, ({ metadata: { labels = {} } }) =>
    isLinkerds(labels) ? 'mesh' : 'others',
  )
  const names = (own: Listed['namespaces']) => own.map(({ metadata }) => metadata.name)
  return uniteNamespaces([{ mesh: names(mesh), others: names(others) }])
}

/** Linkerd's control plane and its extensions have these labels on their namespaces; what a pod or workload has says nothing. */
function isLinkerds(labels: Readonly<Record<string, string>>): boolean {
  return labels['linkerd.io/is-control-plane'] === 'true' || (labels['linkerd.io/extension'] ?? '') !== ''
}

/** Adds up what lists say of namespaces. Their order, and how often each comes, makes no difference. Null where none says anything. */
export function uniteNamespaces(all: readonly (LabelledNamespaces | null)[]): LabelledNamespaces | null {
  const known = all.filter((one) => one !== null)
  if (known.length === 0) return null
  const once = (names: readonly string[]) => [...new Set(names)].sort(compareText)
  return { mesh: once(known.flatMap(({ mesh }) => mesh)), others: once(known.flatMap(({ others }) => others)) }
}

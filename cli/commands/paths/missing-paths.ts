/** What `paths` says of a cluster of which windows are missing: whoever asks for what is wrong must not take silence for good news. */
import { durationWords } from '../../../lib/time/dates.ts'
import { printable } from '../../../lib/text/printable.ts'
import type { HistoryQuery } from '../../../lib/history/rows/path-history.ts'

/** What is known of a cluster in a period. */
export type CollectedPaths = {
  readonly cluster: string
  /** Nothing at all is kept of it. */
  readonly isEmpty: boolean
  /** Windows of the period, and those of them that were not collected. */
  readonly windows: number
  readonly notCollected: number
  /** Seconds of the period that no window covers. */
  readonly uncoveredSeconds: number
  /** Rows of it that answer the question; where each path is shown once, of whatever state, unless nothing is shown. */
  readonly rows: number
}

/** Returns the line about a cluster that was not collected, and whether the answer lacks something by it; null if there is nothing to say. */
export function missingLine(
  { cluster, isEmpty, windows, notCollected, uncoveredSeconds, rows }: CollectedPaths,
  { state }: Pick<HistoryQuery, 'state'>,
): { readonly line: string; readonly isLacking: boolean } | null {
  if (isEmpty || windows === notCollected)
    return {
      line: isEmpty
        ? `Not collected: nothing is kept of cluster "${cluster}" yet; run "ciphertrail collect --cluster ${cluster}"`
        : `Not collected: no path of cluster "${cluster}" can be told in any window of the period`,
      // Rows that say not-collected are an answer; no rows would read as if there were nothing to tell, and so would few where a state is asked for.
      isLacking: rows === 0 || state !== undefined,
    }
  if (rows > 0 || notCollected + uncoveredSeconds === 0) return null
  const what =
    notCollected > 0
      ? `${notCollected} of ${windows} windows of cluster "${cluster}" in the period; what was in them is not known`
      : `no window of cluster "${cluster}" covers ${durationWords(uncoveredSeconds)} of the period`
  return {
    line: `Not collected: ${what}`,
    isLacking: true,
  }
}

/** Returns the namespaces of the ends of paths. */
export function namespacesOf(
  paths: readonly {
    readonly source: { readonly namespace: string }
    readonly destination: { readonly namespace: string }
  }[],
): Set<string> {
  return new Set(
    paths
      .flatMap(({ source, destination }) => [source.namespace, destination.namespace])
      .filter((namespace) => namespace !== ''),
  )
}

/** A namespace that no path has is more likely a typing error than good news. Others may have had paths in months that were not read. */
export function namespaceHint(namespace: string | undefined, known: ReadonlySet<string>): string {
  if (namespace === undefined || known.has(namespace) || known.size === 0) return ''
  return ` Not "${printable(namespace)}", but these namespaces have paths in that time: ${[...known].sort().join(', ')}`
}

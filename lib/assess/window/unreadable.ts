import { DERIVATION } from '../../model/window.ts'
import type { Window } from '../../model/time.ts'
import type { WindowResult } from '../../model/window.ts'
import { budget, exceeds } from '../../observed/budget.ts'

/** Result of a window whose evidence cannot be read: only the errors, so that its known paths are `not-collected`. */
export function unreadableWindow(
  cluster: string,
  window: Window,
  inputs: WindowResult['inputs'],
  errors: readonly string[],
): WindowResult {
  return {
    format: 'ciphertrail/window/1',
    derivation: DERIVATION,
    cluster,
    window,
    inputs,
    collected: false,
    errors,
    edges: [],
    paths: [],
    coverage: [],
    workloads: [],
    crypto: { proxyVersions: [], tls: [], certificates: null, trustAnchors: [] },
    existing: null,
    namespaces: null,
  }
}

/** Describes how a window exceeds its budget, in words that follow "it has"; null if it does not. */
export function excessOfEdges({ paths, edges }: Pick<WindowResult, 'paths' | 'edges'>): string | null {
  const all = paths.length + edges.length
  return all > budget().edges ? exceeds('edges', { atLeast: all }) : null
}

import type { PathWindow } from '../model/window.ts'
import { STATES } from '../model/path.ts'
import type { State } from '../model/path.ts'

/** The worst path between two ends, over all ports. */
export type Pair = {
  readonly worst: PathWindow
  /** Whether the worst path is mesh mTLS, including the proxies' own ports, which are exempt from scores. */
  readonly isSecured: boolean
}

/** Collapses the ports of each pair to the worst one, so that a secured port never hides a plaintext one. In order of first occurrence. */
export function pairsOf(paths: readonly PathWindow[]): Pair[] {
  const pairs = Map.groupBy(paths, ({ source, destination }) =>
    JSON.stringify([
      source.namespace,
      destination.namespace,
      source.name,
      destination.name,
      source.kind,
      destination.kind,
    ]),
  )
  return [...pairs.values()].flatMap((pair) => {
    const [worst] = pair.toSorted((a, b) => rankOf(a) - rankOf(b))
    if (worst === undefined) return []
    return [{ worst, isSecured: (adminPortState(worst) ?? worst.state) === 'mtls' && worst.outcome === 'allowed' }]
  })
}

/** Whether `linkerd viz edges` shows a path. It shows exempt ones only for named clients at the proxies' own ports. */
export function isShownByLinkerd(path: Pick<PathWindow, 'state' | 'reason' | 'source'>): boolean {
  return path.state !== 'exempt' || (path.source.name !== '' && adminPortState(path) !== null)
}

/** Returns the state of a proxy's own port, which is exempt and keeps its state in the reason; null for other paths. */
function adminPortState({ state, reason }: Pick<PathWindow, 'state' | 'reason'>): State | null {
  const said = state === 'exempt' ? /^admin-port \((.+)\)$/.exec(reason)?.[1] : undefined
  return STATES.find((one) => one === said) ?? null
}

function rankOf(path: PathWindow): number {
  return path.outcome === 'refused' ? STATES.length : STATES.indexOf(adminPortState(path) ?? path.state)
}

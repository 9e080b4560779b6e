import type { PathRow } from '../../model/history.ts'
import type { State } from '../../model/path.ts'

/** A path's state in a window, or `refused` if policy stopped its plaintext. */
export type SeenAs = State | 'refused'

/** States of traffic that is judged and of which it is known how it was encrypted. */
const TOLD: ReadonlySet<State> = new Set(['plaintext', 'no-mesh-tls', 'tls-anonymous', 'app-tls', 'mtls'])

/** Whether a state is of judged traffic of which it is known how it was encrypted. */
export const isTold = (state: State): boolean => TOLD.has(state)

/** A row's state; what policy refused was not delivered. Nobody knows what was refused of what is not known, and exempt traffic is not judged. */
export function seenAs({ state, outcome }: Pick<PathRow, 'state' | 'outcome'>): SeenAs {
  return outcome === 'refused' && isTold(state) ? 'refused' : state
}

/** A count of zero for each. */
export function noneSeen(): Record<SeenAs, number> {
  return {
    plaintext: 0,
    'no-mesh-tls': 0,
    unknown: 0,
    'not-collected': 0,
    'tls-anonymous': 0,
    'app-tls': 0,
    mtls: 0,
    refused: 0,
    exempt: 0,
    'not-observed': 0,
  }
}

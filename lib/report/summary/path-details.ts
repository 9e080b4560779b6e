/** What is told of a path beside its own summary, found by the path: one look-up for every document that lists paths. */
import type { Episode } from '../../model/history.ts'
import { openEpisodes } from './episode-summary.ts'
import type { Exposure } from './path-summary.ts'
import { pathKey } from './path-summary.ts'
import type { Summary } from './summary.ts'

/** What is told of a path elsewhere in a report. */
export type PathDetails = {
  /** Undefined where it was encrypted in all that was seen of it in the period. */
  readonly exposure: Exposure | undefined
  /** Open at the end of the period, also where nobody saw the path in it. */
  readonly open: Episode | undefined
  readonly owner: string | null
  /** The number of the action that ends it. */
  readonly action: number | null
}

/** What is told of what is no path. */
export const NO_DETAILS: PathDetails = { exposure: undefined, open: undefined, owner: null, action: null }

/** Finds what a summary tells of each path, of every class. */
export function detailsIn({
  notEncrypted,
  others,
  episodes,
  owners,
  actions,
}: Summary): (path: Parameters<typeof pathKey>[0]) => PathDetails {
  const exposures = new Map(
    [...notEncrypted, ...others.flatMap((one) => one.notEncrypted)].map((path) => [pathKey(path), path]),
  )
  const open = openEpisodes([episodes.all, ...others.map((one) => one.episodes)].flat())
  const numbers = new Map(actions.flatMap(({ number, paths }) => paths.map((path) => [pathKey(path), number] as const)))
  return (path) => {
    const key = pathKey(path)
    return {
      exposure: exposures.get(key),
      open: open.get(key),
      owner: owners.get(key) ?? null,
      action: numbers.get(key) ?? null,
    }
  }
}

/** Whether it was not encrypted at the end of the period, or when it was last seen; null where it had no episode. */
export const isOpenAtEnd = ({ exposure, open }: PathDetails): boolean | null =>
  open === undefined ? (exposure?.isOpen ?? null) : true

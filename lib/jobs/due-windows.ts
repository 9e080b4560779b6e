import * as z from 'zod'
import { SETTLE_SECONDS, toSeconds, windowOf } from '../time/windows.ts'
import type { Cluster } from '../model/registry.ts'
import type { Seconds, Window } from '../model/time.ts'
import { MAX_ATTEMPTS } from '../store/keys.ts'

/**
 * The message that requests one attempt: `{"cluster":"shop","window":{"start":"…","end":"…"},"attempt":1}`. Its attempt is the number after those stored at the
 * time of the request, so that a repeated or late message finds its attempt stored.
 */
export const dueWindowSchema = z.object({
  cluster: z.string(),
  /** RFC 3339 in UTC, whole seconds, as in the registry's windows. */
  window: z.object({ start: z.iso.datetime(), end: z.iso.datetime() }),
  /** 1 and up. */
  attempt: z.int().min(1).max(MAX_ATTEMPTS),
})

/** The request for one attempt at a window. */
export type DueWindow = z.infer<typeof dueWindowSchema>

/** The first requested window of a cluster: the last one that ended before it was registered. */
export function firstWindow({ windows, registeredAt }: Pick<Cluster, 'windows' | 'registeredAt'>): Window {
  const own = windowOf(windows, toSeconds(registeredAt))
  return toSeconds(own.end) <= toSeconds(registeredAt) ? own : windowOf(windows, toSeconds(own.start))
}

/**
 * Why a window of a cluster cannot be collected, in one line; undefined if it can. Only ended windows that the cluster's settings define, from the last one
 * that ended before its registration on: no evidence is expected of others.
 */
export function refusalOf(
  { id, windows, registeredAt }: Cluster,
  { start, end }: Window,
  now: Seconds,
): string | undefined {
  const refused = `Cannot collect the window ${start} to ${end} of cluster "${id}"`
  const own = windowOf(windows, toSeconds(end))
  if (own.start !== start || own.end !== end)
    return `${refused}: it has none such, its window at that time is ${own.start} to ${own.end}; ask for that one`
  if (toSeconds(end) < toSeconds(firstWindow({ windows, registeredAt }).end))
    return `${refused}: it was over when the cluster was registered, at ${registeredAt}; collect it with "ciphertrail collect --at"`
  if (toSeconds(end) + SETTLE_SECONDS > now)
    return `${refused}: it is not over, ask for it ${SETTLE_SECONDS} s after its end`
  return undefined
}

/** Asking one time-stamping authority for whatever is missing. */
import { askAuthority } from './ask-authority.ts'
import type { TimestampSettings } from './settings.ts'
import type { StampDeps, Stamped } from './stamp-heads.ts'

/** Gets the missing time stamps, as `stampHeads` does. */
export type Timestamping = (options: { readonly isForced?: boolean }, deps: Omit<StampDeps, 'ask'>) => Promise<Stamped>

/**
 * Asks the authority of these settings.
 *
 * @param allowedNetworks as in `CIPHERTRAIL_ALLOWED_NETWORKS`
 */
export function timestampingBy(settings: TimestampSettings, allowedNetworks: string | undefined): Timestamping {
  const ask = askAuthority(settings.url, allowedNetworks)
  return async (options, deps) => {
    // Loaded on demand: what reads certificates is large, and most stores have no authority.
    const { stampHeads } = await import('./stamp-heads.ts')
    return stampHeads(settings, options, { ...deps, ask })
  }
}

import { Buffer } from 'node:buffer'
import { kept } from './kept.ts'

/** Returns a token; if `refused` is given, a different one if available. */
export type TokenSource = (refused?: string) => Promise<string>

/** A token is renewed before its remaining life is shorter than the longest request plus clock skew. */
const RENEWED_BEFORE_MS = 3 * 60 * 1000

/** How long a token without an expiry is cached. A revoked token is refused, and is then read again at once. */
const KEPT_MS = 10 * 60 * 1000

/** Caches a token while it is valid, with one read for concurrent callers, and reads it again after it was refused. Failures are not cached. */
export function cachedToken(read: () => Promise<string>, now: () => Date): TokenSource {
  const ask = kept(
    async () => {
      const token = await read()
      const expiry = expiryOf(token)
      // A token that expires at once is used, and read again for the next request.
      return { token, until: expiry === undefined ? now().getTime() + KEPT_MS : expiry - RENEWED_BEFORE_MS }
    },
    ({ until }) => now().getTime() < until,
  )
  return async (refused) => (await ask(({ token }) => token === refused)).token
}

/** When a JSON web token expires, in milliseconds since the epoch; undefined if it has no expiry or is not such a token. The server verifies its signature. */
export function expiryOf(token: string): number | undefined {
  const [, payload, , ...more] = token.split('.')
  if (payload === undefined || more.length > 0) return undefined
  try {
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { readonly exp?: unknown }
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined
  } catch {
    return undefined
  }
}

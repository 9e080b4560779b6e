import { Buffer } from 'node:buffer'
import { kept } from './kept.ts'

/** Returns a token; if `refused` is given, a different one if available. */
export type TokenSource = (refused?: string) => Promise<string>

/** A token is replaced while it still holds for as long as the longest request takes, and clocks differ. */
const RENEWED_BEFORE_MS = 3 * 60 * 1000

/** How long a token without an expiry is cached. A revoked token is refused, and is then read again at once. */
const KEPT_MS = 10 * 60 * 1000

/** Reads a token once for as long as it holds, however many ask at once, and again where it was refused. A failure is not kept. */
export function cachedToken(read: () => Promise<string>, now: () => Date): TokenSource {
  const ask = kept(
    async () => {
      const token = await read()
      const expiry = expiryOf(token)
      // One that expires at once is used and read again for the next request.
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

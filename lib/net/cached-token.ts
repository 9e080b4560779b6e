import { Buffer } from 'node:buffer'

/** Gives a token; another one than `refused`, if there is another by now. */
export type TokenSource = (refused?: string) => Promise<string>

/** A token is replaced while it still holds for as long as the longest request takes, and clocks differ. */
const RENEWED_BEFORE_MS = 3 * 60 * 1000

/** How long a token without an expiry is kept. Whoever revokes one refuses it, and then it is read again at once. */
const KEPT_MS = 10 * 60 * 1000

/** Reads a token once for as long as it holds, however many ask at once, and again where it was refused. A failure is not kept. */
export function cachedToken(read: () => Promise<string>, now: () => Date): TokenSource {
  let known: Promise<{ readonly token: string; readonly until: number }> | undefined
  const renew = (): Promise<{ readonly token: string; readonly until: number }> => {
    const asked = read().then((token) => {
      const readAt = now().getTime()
      const expiry = expiryOf(token)
      // One that expires at once is used and read again for the next request.
      return { token, until: expiry === undefined ? readAt + KEPT_MS : expiry - RENEWED_BEFORE_MS }
    })
    known = asked
    asked.catch(() => {
      if (known === asked) known = undefined
    })
    return asked
  }
  return async (refused) => {
    const asked = known ?? renew()
    const { token, until } = await asked
    if (token !== refused && now().getTime() < until) return token
    return (await (known === asked || known === undefined ? renew() : known)).token
  }
}

/** When a JSON web token expires, in milliseconds since the epoch; undefined where it does not say, or is none. Its signature is the server's business. */
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

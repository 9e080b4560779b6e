/** Who signed in at the issuer: two sealed cookies, one while somebody is there, one for whoever came back. The server keeps no session. */
import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import type { Access } from '../access/access.ts'
import type { CheckedToken } from '../access/jwt.ts'
import { pendingSchema } from './issuer.ts'
import type { Purpose, Sealer } from './sealed.ts'

/** A day of work, unless the token of the issuer ends earlier. */
export const LONGEST_SESSION_SECONDS = 12 * 60 * 60

/** Nobody takes longer to sign in at the issuer. */
export const SIGN_IN_SECONDS = 10 * 60

/** A session that is over is still sent for so long, so that its end can be told. It opens nothing. */
const TOLD_SECONDS = 12 * 60 * 60

/** What browsers keep of a cookie, less its name and attributes. */
const MAX_VALUE_LENGTH = 3_800

/** So many sessions that were ended early are remembered, the latest ones. */
const MAX_ENDED = 10_000

const sessionSchema = z.object({
  id: z.string(),
  subject: z.string(),
  clusters: z.union([z.literal('all'), z.array(z.string())]),
})
const wayBackSchema = pendingSchema.extend({ next: z.string() })

/** A sign-in under way, and the page that was asked for. */
export type WayBack = z.infer<typeof wayBackSchema>

/** Somebody's token names more than a cookie holds. */
export class SessionTooLargeError extends Error {
  override readonly name = 'SessionTooLargeError'
}

/** The sessions. What gives a string gives the value of a `set-cookie` header. */
export type OidcSessions = {
  /** Lets in whoever brings a session that is not over, to read, unless they bring a token. */
  readonly access: Access
  /** Begins one that ends with the token, and after {@link LONGEST_SESSION_SECONDS}. Rejects with {@link SessionTooLargeError}. */
  readonly open: (request: Request, token: CheckedToken) => Promise<string>
  /** Ends the one that a request brings. */
  readonly close: (request: Request) => Promise<string>
  /** Remembers a sign-in under way. */
  readonly remember: (request: Request, wayBack: WayBack) => Promise<string>
  /** The sign-in that this browser began; undefined if there is none, or it is over. */
  readonly wayBackOf: (request: Request) => Promise<WayBack | undefined>
  /** Forgets a sign-in under way. */
  readonly forget: (request: Request) => string
}

/** Makes the sessions of a server; `isSecure`: people reach it by https. */
export function createOidcSessions(sealer: Sealer, isSecure: boolean, now: () => Date): OidcSessions {
  // Those of this process. Elsewhere, a copy of an ended session opens what it opened until its end.
  const ended = new Map<string, number>()

  async function opened<T>(request: Request, purpose: Purpose, schema: z.ZodType<T>): Promise<T | undefined> {
    const text = cookieOf(request, cookieName(request, purpose, isSecure))
    if (text === undefined) return undefined
    return schema.safeParse(await sealer.open(purpose, text, now().getTime())).data
  }

  function cookie(request: Request, purpose: Purpose, value: string, seconds: number): string {
    return [
      `${cookieName(request, purpose, isSecure)}=${value}`,
      'Path=/',
      `Max-Age=${seconds}`,
      'HttpOnly',
      'SameSite=Lax',
      ...(isSecure ? ['Secure'] : []),
    ].join('; ')
  }

  async function remember(request: Request, wayBack: WayBack): Promise<string> {
    const value = await sealer.seal('sign-in', wayBack, now().getTime() + SIGN_IN_SECONDS * 1000)
    // A longer address of a page is not worth a sign-in that fails.
    if (value.length > MAX_VALUE_LENGTH && wayBack.next !== '/') return remember(request, { ...wayBack, next: '/' })
    return cookie(request, 'sign-in', value, SIGN_IN_SECONDS)
  }

  return {
    async access(request) {
      if (!['GET', 'HEAD'].includes(request.method) || request.headers.has('authorization')) return undefined
      const session = await opened(request, 'session', sessionSchema)
      if (session === undefined || ended.has(session.id)) return undefined
      return { subject: session.subject, clusters: session.clusters }
    },
    async open(request, { grant, expiresAt }) {
      const longest = now().getTime() + LONGEST_SESSION_SECONDS * 1000
      const endsAt = Math.min(expiresAt, longest)
      const value = await sealer.seal('session', { id: randomBytes(16).toString('base64url'), ...grant }, endsAt)
      if (value.length > MAX_VALUE_LENGTH) throw new SessionTooLargeError('more is granted than a session holds')
      return cookie(request, 'session', value, Math.ceil((endsAt - now().getTime()) / 1000) + TOLD_SECONDS)
    },
    async close(request) {
      const session = await opened(request, 'session', sessionSchema)
      if (session !== undefined) {
        const time = now().getTime()
        for (const [id, until] of ended) {
          if (ended.size < MAX_ENDED && until > time) break
          ended.delete(id)
        }
        ended.set(session.id, time + LONGEST_SESSION_SECONDS * 1000)
      }
      return cookie(request, 'session', '', 0)
    },
    remember,
    wayBackOf: (request) => opened(request, 'sign-in', wayBackSchema),
    forget: (request) => cookie(request, 'sign-in', '', 0),
  }
}

/** Whether a browser brings a session of the issuer, over or not. */
export function bringsOidcSession(request: Request): boolean {
  return [true, false].some((isSecure) => cookieOf(request, cookieName(request, 'session', isSecure)) !== undefined)
}

/**
 * By https no other host can set it, nor any page that came without TLS (`__Host-`). Without TLS, which is for this machine, servers on two ports need two names.
 */
function cookieName(request: Request, purpose: Purpose, isSecure: boolean): string {
  if (isSecure) return purpose === 'session' ? '__Host-ciphertrail' : '__Host-ciphertrail-sign-in'
  const [, port = '80'] = /:(\d{1,5})$/.exec(request.headers.get('host') ?? '') ?? []
  return `ciphertrail-${port}-${purpose}`
}

function cookieOf(request: Request, name: string): string | undefined {
  for (const pair of (request.headers.get('cookie') ?? '').split(';')) {
    const [key = '', value = ''] = pair.trim().split('=')
    if (key === name && /^[\w.-]{1,4096}$/.test(value)) return value
  }
  return undefined
}

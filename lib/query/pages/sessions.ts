/** Who is signed in: a cookie names a session, and the session holds the token that access is decided by at each request. */
import { createHash, randomBytes } from 'node:crypto'

/** A day of work; then the token is asked for again. */
export const SESSION_SECONDS = 12 * 60 * 60

/** A session that is over is still named by the browser for so long, so that its end can be told. */
const TOLD_SECONDS = 12 * 60 * 60

/** More are not kept: the oldest ones end. */
const MAX_SESSIONS = 1000

/** What a browser holds is nowhere else: only its hash is kept. */
export type Sessions = {
  /** Begins a session and gives its name: 256 random bits. */
  readonly open: (token: string) => string
  /** The token of a session; undefined where there is none of that name, or it is over. */
  readonly tokenOf: (name: string) => string | undefined
  readonly close: (name: string) => void
}

/** Sessions of one process. They end with it. */
export function createSessions(now: () => Date): Sessions {
  const known = new Map<string, { readonly token: string; readonly endsAt: number }>()
  return {
    open(token) {
      const name = randomBytes(32).toString('base64url')
      for (const [oldest] of known) {
        if (known.size < MAX_SESSIONS) break
        known.delete(oldest)
      }
      known.set(hashOf(name), { token, endsAt: now().getTime() + SESSION_SECONDS * 1000 })
      return name
    },
    tokenOf(name) {
      const session = known.get(hashOf(name))
      if (session === undefined || session.endsAt > now().getTime()) return session?.token
      known.delete(hashOf(name))
      return undefined
    },
    close: (name) => void known.delete(hashOf(name)),
  }
}

function hashOf(name: string): string {
  return createHash('sha256').update(name).digest('base64url')
}

/** The name of the cookie. Browsers hand cookies of one host to all of its ports, so that two servers on one machine need two names. */
function cookieName(request: Request): string {
  const [, port = 'session'] = /:(\d{1,5})$/.exec(request.headers.get('host') ?? '') ?? []
  return `ciphertrail-${port}`
}

/** The session that a request names; undefined where it names none. */
export function sessionOf(request: Request): string | undefined {
  const name = cookieName(request)
  for (const pair of (request.headers.get('cookie') ?? '').split(';')) {
    const [key = '', value] = pair.trim().split('=')
    if (key === name && value !== undefined && /^[\w-]{43}$/.test(value)) return value
  }
  return undefined
}

/** The header that hands a session to the browser; null ends it there. Scripts never see it, and other sites' forms do not bring it. */
export function sessionCookie(request: Request, session: string | null, isSecure: boolean): string {
  return [
    `${cookieName(request)}=${session ?? ''}`,
    'Path=/',
    `Max-Age=${session === null ? 0 : SESSION_SECONDS + TOLD_SECONDS}`,
    'HttpOnly',
    'SameSite=Lax',
    ...(isSecure ? ['Secure'] : []),
  ].join('; ')
}

/** The request as if it had brought the token of its session, unless it brings one itself. A session that is over brings nothing. */
export function withSession(request: Request, sessions: Sessions): Request {
  if (request.headers.has('authorization')) return request
  const name = sessionOf(request)
  const token = name === undefined ? undefined : sessions.tokenOf(name)
  return token === undefined ? request : bringing(request, token)
}

/** The same request without its body, with a token. */
export function bringing(request: Request, token: string): Request {
  const headers = new Headers(request.headers)
  headers.set('authorization', `Bearer ${token}`)
  return new Request(request.url, { method: request.method, headers })
}

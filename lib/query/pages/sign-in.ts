/** How people get in: by the link that a server on this machine printed, by a token that is pasted once, or at an issuer (`oidc-sign-in.ts`). */
import { type Access, bearerOf, isFromElsewhere } from '../access/access.ts'
import { type Frame, pageResponse } from './render.ts'
import { type OidcSessions, bringsOidcSession } from '../oidc/session.ts'
import { type Sessions, bringing, sessionCookie, sessionOf } from './sessions.ts'
import { readForm } from './read-form.ts'

/** What signing in needs. */
export type SignInDeps = {
  readonly access: Access
  readonly sessions: Sessions
  /** The server printed a link with a token: `/enter/{token}`. */
  readonly hasLink: boolean
  /** People reach it by https. */
  readonly isSecure: boolean
  /** Tokens can be pasted. */
  readonly takesTokens: boolean
  /** The issuer where people sign in, for people; null where there is none. */
  readonly issuerName: string | null
}

/** Around a page that nobody is signed in to. */
export const BARE: Omit<Frame, 'title'> = { places: [], replay: null, standing: '', past: null, canSignOut: false }

/** Whether a browser brings a session of either kind, over or not. */
export function bringsSession(request: Request): boolean {
  return sessionOf(request) !== undefined || bringsOidcSession(request)
}

/** The address that leads to the issuer, and from there to a page of this server. */
export function signInHref(next: string): string {
  return `/sign-in?${new URLSearchParams({ next: localPath(next) }).toString()}`
}

/** Answers somebody who is not known with a page that leads to the issuer, asks for a token, or both. */
export function signInPage(
  request: Request,
  next: string,
  { hasLink, takesTokens, issuerName }: Pick<SignInDeps, 'hasLink' | 'takesTokens' | 'issuerName'>,
): Response {
  const wasSignedIn = bringsSession(request)
  const title = wasSignedIn ? 'Your session ended' : 'Sign in'
  return pageResponse(
    401,
    'message',
    {
      frame: { ...BARE, title },
      view: {
        title,
        entry:
          issuerName === null
            ? null
            : {
                words: `${issuerName} knows who you are, and which clusters you may see. It leads back to the page that you asked for.`,
                href: signInHref(next),
                title: wasSignedIn ? 'Sign in again' : `Sign in at ${issuerName}`,
              },
        lines: hasLink
          ? ['Open the link that “ciphertrail serve” printed when it started, or paste the token at its end.']
          : takesTokens
            ? [
                `${issuerName === null ? 'Paste' : 'Or paste'} the token that you got from whoever runs ciphertrail. It is checked now and at each request, and is not written into a cookie.`,
              ]
            : [],
        form: hasLink || takesTokens ? { next: localPath(next) } : null,
        links: [],
      },
    },
    { 'www-authenticate': 'Bearer' },
  )
}

/** Answers the form of {@link signInPage}: 303 with a session where the token is known, and the form again where it is not. */
export async function signIn(request: Request, environment: unknown, deps: SignInDeps): Promise<Response> {
  if (isFromElsewhere(request))
    return refusedPage('This form was not sent from here', 'Open the page again and sign in there.')
  const form = await readForm(request)
  const token = form?.get('token')?.trim() ?? ''
  const next = localPath(form?.get('next') ?? '/')
  return (await enter(request, token, { environment, next }, deps)) ?? signInPage(request, next, deps)
}

/** A session for whoever brings a token that is known; undefined where it is not. */
export async function enter(
  request: Request,
  token: string,
  { environment, next }: { readonly environment: unknown; readonly next: string },
  { access, sessions, isSecure }: SignInDeps,
): Promise<Response | undefined> {
  // A header cannot hold everything that a form can.
  if (!/^[\x21-\x7e]{1,16384}$/.test(token)) return undefined
  const brought = bringing(request, token)
  if (bearerOf(brought) !== token) return undefined
  const grant = await access(new Request(brought.url, { headers: brought.headers }), environment)
  if (grant === undefined) return undefined
  return seeOther(next, { 'set-cookie': sessionCookie(request, sessions.open(token), isSecure) })
}

/** Ends the session of whoever asks, and the cookie with it. `oidc`: the sessions of the issuer and where their end is told; null where there is none. */
export async function signOut(
  request: Request,
  { sessions, isSecure }: Pick<SignInDeps, 'sessions' | 'isSecure'>,
  oidc: { readonly sessions: OidcSessions; readonly signedOut: string; readonly pagesOrigin: string } | null,
): Promise<Response> {
  if (isFromElsewhere(request, oidc?.pagesOrigin))
    return refusedPage('This form was not sent from here', 'Sign out on a page of this server.')
  const name = sessionOf(request)
  if (name !== undefined) sessions.close(name)
  const isOfIssuer = oidc !== null && bringsOidcSession(request)
  const response = seeOther(isOfIssuer ? oidc.signedOut : '/', {
    'set-cookie': sessionCookie(request, null, isSecure),
  })
  if (isOfIssuer) response.headers.append('set-cookie', await oidc.sessions.close(request))
  return response
}

/** Leads to another page, or to the issuer. */
export function seeOther(location: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, {
    status: 303,
    headers: { location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', ...headers },
  })
}

/** Answers a form that was not sent from a page of this server. */
export function refusedPage(title: string, line: string): Response {
  return pageResponse(403, 'message', {
    frame: { ...BARE, title },
    view: { title, entry: null, lines: [line], form: null, links: [{ href: '/', title: 'To the front page' }] },
  })
}

/** A place on this server, whatever somebody wrote: never another site. */
export function localPath(text: string): string {
  const url = URL.parse(text, 'http://here.invalid')
  if (url === null || url.host !== 'here.invalid' || !text.startsWith('/')) return '/'
  // Dots are gone only now: `/.//evil.example` has become the name of another site.
  return url.pathname.startsWith('//') ? '/' : `${url.pathname}${url.search}`
}

/** How people get in: by the link that a server on this machine printed, or by a token that is pasted once. */
import { type Access, bearerOf } from '../access/access.ts'
import { type Frame, pageResponse } from './render.ts'
import { type Sessions, bringing, sessionCookie, sessionOf } from './sessions.ts'

/** What signing in needs. */
export type SignInDeps = {
  readonly access: Access
  readonly sessions: Sessions
  /** The server printed a link with a token: `/enter/{token}`. */
  readonly hasLink: boolean
  /** People reach it by https. */
  readonly isSecure: boolean
}

/** Longer than any token, and the form around it. */
const MAX_FORM_BYTES = 32_768

/** Around a page that nobody is signed in to. */
export const BARE: Omit<Frame, 'title'> = { places: [], replay: null, standing: '', past: null, canSignOut: false }

/** Answers somebody who is not known with a page that asks for a token. */
export function signInPage(request: Request, next: string, { hasLink }: Pick<SignInDeps, 'hasLink'>): Response {
  const wasSignedIn = sessionOf(request) !== undefined
  const title = wasSignedIn ? 'Your session ended' : 'Sign in'
  return pageResponse(
    401,
    'message',
    {
      frame: { ...BARE, title },
      view: {
        title,
        lines: [
          hasLink
            ? 'Open the link that “ciphertrail serve” printed when it started, or paste the token at its end.'
            : 'Paste the token that you got from whoever runs ciphertrail. It is checked now and at each request, and is not written into a cookie.',
        ],
        form: { next: localPath(next) },
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

/** Ends the session of whoever asks, and the cookie with it. */
export function signOut(request: Request, { sessions, isSecure }: Pick<SignInDeps, 'sessions' | 'isSecure'>): Response {
  if (isFromElsewhere(request))
    return refusedPage('This form was not sent from here', 'Sign out on a page of this server.')
  const name = sessionOf(request)
  if (name !== undefined) sessions.close(name)
  return seeOther('/', { 'set-cookie': sessionCookie(request, null, isSecure) })
}

function seeOther(location: string, headers: Readonly<Record<string, string>>): Response {
  return new Response(null, {
    status: 303,
    headers: { location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', ...headers },
  })
}

function refusedPage(title: string, line: string): Response {
  return pageResponse(403, 'message', {
    frame: { ...BARE, title },
    view: { title, lines: [line], form: null, links: [{ href: '/', title: 'To the front page' }] },
  })
}

/** Browsers say which site a form comes from. */
function isFromElsewhere(request: Request): boolean {
  const origin = request.headers.get('origin')
  if (origin === null) return request.headers.get('sec-fetch-site') === 'cross-site'
  return URL.parse(origin)?.host !== request.headers.get('host')
}

async function readForm(request: Request): Promise<URLSearchParams | undefined> {
  const length = Number(request.headers.get('content-length') ?? Infinity)
  if (!(length <= MAX_FORM_BYTES)) return undefined
  return new URLSearchParams(await request.text())
}

/** A place on this server, whatever somebody wrote: never another site. */
export function localPath(text: string): string {
  const url = URL.parse(text, 'http://here.invalid')
  if (url === null || url.host !== 'here.invalid' || !text.startsWith('/')) return '/'
  // Dots are gone only now: `/.//evil.example` has become the name of another site.
  return url.pathname.startsWith('//') ? '/' : `${url.pathname}${url.search}`
}

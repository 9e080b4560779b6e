/** Signing in at an OpenID Connect issuer: the way there, the way back, and what stands where somebody signed out. */
import type { Context, Hono } from 'hono'
import { type Issuer, CALLBACK, IssuerError, NotSignedInError } from '../oidc/issuer.ts'
import { type OidcSessions, SessionTooLargeError } from '../oidc/session.ts'
import { pageResponse } from './render.ts'
import { BARE, localPath, seeOther, signInHref } from './sign-in.ts'

/** What signing in at an issuer needs. */
export type OidcDeps = { readonly issuer: Issuer; readonly sessions: OidcSessions }

/** Where somebody is led who signed out. */
export const SIGNED_OUT = '/signed-out'

/** Adds the way to the issuer and back. `onFailure` gets what is wrong on our side or at the issuer. */
export function addOidcRoutes<E extends { Variables: object }>(
  app: Pick<Hono<E>, 'get'>,
  { issuer, sessions }: OidcDeps,
  onFailure: (context: Context<E>, message: string) => void,
): void {
  const unusable = (context: Context<E>, error: unknown, next: string): Response => {
    if (!(error instanceof IssuerError)) throw error
    onFailure(context, error.message)
    return page(503, 'Nobody can sign in now', [`${issuer.name} cannot be used. The log of the server says why.`], next)
  }

  // By a link, so that no form leads to another site: the policy of the pages need not allow one.
  app.get('/sign-in', async (context) => {
    const { req } = context
    const asked = localPath(new URL(req.url).searchParams.get('next') ?? '/')
    // Never in a circle.
    const next = asked.startsWith('/sign') ? '/' : asked
    if (req.method === 'HEAD') return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
    try {
      const { location, pending } = await issuer.begin()
      return seeOther(location, { 'set-cookie': await sessions.remember(req.raw, { ...pending, next }) })
    } catch (error) {
      return unusable(context, error, next)
    }
  })
  app.get(CALLBACK, async (context) => {
    const { req } = context
    const wayBack = await sessions.wayBackOf(req.raw)
    if (wayBack === undefined || req.method === 'HEAD')
      return page(400, 'This sign-in is over', [
        'It was not begun in this browser, or more than ten minutes ago, or it was finished before.',
      ])
    const { next, ...pending } = wayBack
    const parameters = new URL(req.url).searchParams
    let answer: Response
    try {
      const token = await issuer.finish(parameters, pending)
      answer = seeOther(next, { 'set-cookie': await sessions.open(req.raw, token) })
    } catch (error) {
      if (error instanceof NotSignedInError)
        answer = page(403, 'You are not signed in', [`The sign-in was refused: ${error.message}.`], next)
      else if (error instanceof SessionTooLargeError)
        answer = page(
          403,
          'You are not signed in',
          [
            'Your token names more clusters than a session can hold. Whoever runs ciphertrail can name fewer, or grant all by “*”.',
          ],
          next,
        )
      else answer = unusable(context, error, next)
    }
    // An answer to an older sign-in, as of another tab, does not end the one under way.
    if (parameters.get('state') === pending.state) answer.headers.append('set-cookie', sessions.forget(req.raw))
    return answer
  })
  app.get(SIGNED_OUT, async (context) => {
    const logout = await issuer.logout().catch((error: unknown) => {
      if (!(error instanceof IssuerError)) throw error
      onFailure(context, error.message)
      return null
    })
    return page(
      200,
      'You are signed out',
      [
        logout === null
          ? 'Your session here ended.'
          : `Your session here ended. At ${issuer.name} you may still be signed in: then this browser can sign in again without a password.`,
      ],
      '/',
      logout === null ? [] : [{ href: logout, title: `Sign out at ${issuer.name}, too` }],
    )
  })

  function page(
    status: number,
    title: string,
    lines: readonly string[],
    next = '/',
    links: readonly { readonly href: string; readonly title: string }[] = [],
  ): Response {
    return pageResponse(status, 'message', {
      frame: { ...BARE, title },
      view: {
        title,
        entry: null,
        lines,
        form: null,
        links: [...links, { href: signInHref(next), title: 'Sign in again' }],
      },
    })
  }
}

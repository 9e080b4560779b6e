/** Everything that one server answers: the pages for people, and the API for programs. */
import { type Access, firstAccess, isOnLoopback } from './access/access.ts'
import { createApi, isApiPath } from './api.ts'
import type { ApiDeps } from './api-deps.ts'
import type { Issuer } from './oidc/issuer.ts'
import type { Sealer } from './oidc/sealed.ts'
import { createOidcSessions } from './oidc/session.ts'
import type { ReadStatus } from './pages/read-history.ts'
import { createPages } from './pages/pages.ts'
import { createSessions, withSession } from './pages/sessions.ts'
import { ProblemError } from './problem.ts'
import { problemResponse } from './answer.ts'

/** What a site needs beside what the API needs. */
export type SiteDeps = ApiDeps & {
  readonly readStatus: ReadStatus
  /** The server listens on a loopback address and printed a link with a token: who gets in by that asks by a name of this machine. */
  readonly hasLink: boolean
  /** People reach it by https. */
  readonly isSecure: boolean
  /** Where people sign in, and what seals their sessions; absent: nowhere. */
  readonly signIn?: { readonly issuer: Issuer; readonly sealer: Sealer } | undefined
  /** False: no token can be pasted. */
  readonly takesTokens?: boolean
}

/** Answers a request; `environment` as of `Access`. */
export type Site = { readonly fetch: (request: Request, environment?: object) => Response | Promise<Response> }

/** The site: a session of the pages opens the API, too, so that pages can link to what it answers. */
export function createSite(version: string, deps: SiteDeps): Site {
  const { signIn, now, isSecure } = deps
  const sessions = createSessions(now)
  const oidc = signIn === undefined ? null : { ...signIn, sessions: createOidcSessions(signIn.sealer, isSecure, now) }
  const access: Access = oidc === null ? deps.access : firstAccess([deps.access, oidc.sessions.access])
  const api = createApi(version, { ...deps, access })
  const pages = createPages(version, {
    ...deps,
    access,
    sessions,
    oidc,
    takesTokens: deps.takesTokens ?? true,
    issuerName: oidc?.issuer.name ?? null,
  })
  return {
    fetch(request, environment) {
      // A page on the web could otherwise ask by a name of its own that leads here.
      if (deps.hasLink && !isOnLoopback(request)) return problemResponse(ELSEWHERE)
      const { pathname } = new URL(request.url)
      const app = isApiPath(pathname) ? api : pages
      return app.fetch(isReading(request) ? withSession(request, sessions) : request, environment)
    },
  }
}

const ELSEWHERE = new ProblemError(
  'not-allowed',
  'Cannot answer under this name: wanted a loopback address, such as the one that was printed at the start',
)

/** Whoever signs in or out sends a form, and brings no token. */
function isReading({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD'
}

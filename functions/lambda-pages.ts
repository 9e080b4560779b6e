/** The pages. No file of a function: `query` loads it when somebody asks for a page. */
import { readStatus } from '../lib/jobs/read-status.ts'
import type { ApiDeps } from '../lib/query/api-deps.ts'
import { createPages } from '../lib/query/pages/pages.ts'
import { createSessions } from '../lib/query/pages/sessions.ts'
import type { SignIn } from './lambda-sign-in.ts'

/** Makes the pages, for who signed in at the issuer and for nobody else: no token can be pasted. */
export function openPages(version: string, deps: ApiDeps, signIn: SignIn): ReturnType<typeof createPages> {
  const { objects, now } = deps
  return createPages(version, {
    ...deps,
    sessions: createSessions(now),
    readStatus: (asked) => readStatus({ ...asked, version }, { objects }),
    hasLink: false,
    isSecure: true,
    takesTokens: false,
    oidc: signIn,
    issuerName: signIn.issuer.name,
  })
}

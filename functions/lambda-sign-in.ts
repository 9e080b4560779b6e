/** Who signed in at the issuer, and whose token it made. No file of a function: `query` loads it when somebody asks for what is closed. */
import { cachedToken } from '../lib/net/cached-token.ts'
import { readManagedSecret } from '../lib/net/managed-secret.ts'
import { addressCheck } from '../lib/net/refused-addresses.ts'
import { type Access, firstAccess } from '../lib/query/access/access.ts'
import { createIssuer } from '../lib/query/oidc/create-issuer.ts'
import type { Issuer } from '../lib/query/oidc/issuer.ts'
import { createSealer } from '../lib/query/oidc/sealed.ts'
import { type OidcSessions, createOidcSessions } from '../lib/query/oidc/session.ts'

/** What the environment says of it, checked. */
export type SignInSettings = {
  /** The secret that seals sessions, in AWS Secrets Manager. */
  readonly key: string
  readonly issuer: string
  /** Whom tokens of the API are for; without one none is taken. */
  readonly audiences: readonly string[]
  readonly clientId: string
  readonly scope: string
  /** The secret of the client, in AWS Secrets Manager; null: it has none. */
  readonly secret: string | null
  readonly claim: string
  /** Where people reach the pages, without a slash at its end. */
  readonly url: string
  readonly allowedNetworks: string | undefined
}

/** What the pages and the API need of it. */
export type SignIn = { readonly issuer: Issuer; readonly sessions: OidcSessions; readonly access: Access }

const SECRET_MS = 5_000

/** Makes the client of the issuer, and the sessions. Secrets are kept for ten minutes: a new value is used after that at the latest. */
export function openSignIn({ key, secret, audiences, allowedNetworks, ...settings }: SignInSettings): SignIn {
  const now = (): Date => new Date()
  const keptKey = cachedToken(() => readManagedSecret(key, 'key', SECRET_MS), now)
  const keptSecret = secret === null ? null : cachedToken(() => readManagedSecret(secret, 'secret', SECRET_MS), now)
  const issuer = createIssuer(settings, {
    clientSecret: keptSecret && (() => keptSecret()),
    check: addressCheck(allowedNetworks),
    now,
  })
  const sessions = createOidcSessions(
    createSealer(() => keptKey()),
    true,
    now,
  )
  return { issuer, sessions, access: firstAccess([issuer.access(audiences), sessions.access]) }
}

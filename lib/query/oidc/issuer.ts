/** The OpenID Connect issuer that people sign in at, and what is asked of it; issuer-client.ts asks. */
import * as z from 'zod'
import type { AddressCheck } from '../../net/refused-addresses.ts'
import type { Access } from '../access/access.ts'
import type { CheckedToken } from '../access/jwt.ts'

/** What the operator says of the issuer. */
export type IssuerSettings = {
  readonly issuer: string
  /** The name of this client there. */
  readonly clientId: string
  /** Scopes that are asked for, separated by spaces; `openid` is one of them. */
  readonly scope: string
  /** The claim that names the clusters, as of the tokens of the API. */
  readonly claim: string
  /** Where people reach the pages, without a slash at its end. The issuer leads back to there and nowhere else. */
  readonly url: string
}

/** What it is asked with. */
export type IssuerDeps = {
  /** Reads the secret of this client; null for a public one, which has none. */
  readonly clientSecret: (() => Promise<string>) | null
  readonly check: AddressCheck
  readonly now: () => Date
}

/** What must be remembered while somebody is at the issuer. */
export const pendingSchema = z.object({ state: z.string(), nonce: z.string(), verifier: z.string() })

/** A sign-in under way. */
export type PendingSignIn = z.infer<typeof pendingSchema>

/** The issuer. All that it does rejects with {@link IssuerError} if it cannot be reached, or is not as it must be. */
export type Issuer = {
  /** Its host, for people. */
  readonly name: string
  /** Where people reach the pages: scheme, host and port. */
  readonly pagesOrigin: string
  /** Asks for its metadata. */
  readonly ready: () => Promise<void>
  /** Where a browser is led to sign in. */
  readonly begin: () => Promise<{ readonly location: string; readonly pending: PendingSignIn }>
  /** What somebody who came back may see. Rejects with {@link NotSignedInError} if the issuer did not let them in, or if what they bring does not belong to `pending`. */
  readonly finish: (parameters: URLSearchParams, pending: PendingSignIn) => Promise<CheckedToken>
  /** Lets in who brings a token that it made for one of these audiences, as `Authorization: Bearer`. */
  readonly access: (audience: readonly string[]) => Access
  /** Where its own session is ended (RP-initiated logout); null if it offers none. */
  readonly logout: () => Promise<string | null>
}

/** The issuer cannot be used. One line, for the operator. */
export class IssuerError extends Error {
  override readonly name = 'IssuerError'
}

/** Somebody was not let in. One line, for them. */
export class NotSignedInError extends Error {
  override readonly name = 'NotSignedInError'
}

/** Under this path the issuer leads back. */
export const CALLBACK = '/sign-in/callback'

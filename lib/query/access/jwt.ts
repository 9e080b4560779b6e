import { type JWTVerifyGetKey, createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose'
import type { AddressCheck } from '../../net/refused-addresses.ts'
import { checkedFetch } from '../../net/checked-fetch.ts'
import { type Access, type Grant, bearerOf, clustersOf } from './access.ts'

/** Whose tokens are believed. */
export type JwtIssuer = {
  /** As the tokens have it, letter by letter. */
  readonly issuer: string
  /** Who a token must be meant for: one of them. */
  readonly audience: string | readonly string[]
  /** The claim that names clusters, as of {@link clustersOf}. */
  readonly claim: string
}

/** Only signatures that the issuer alone can make: with a shared secret, or none, anybody who knows the public key could. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** How far the clock of the issuer may be ahead of ours. */
const TOLERANCE_SECONDS = 30

/** Longer than any token; what is longer costs nothing to refuse. */
const MAX_TOKEN_LENGTH = 16_384

/** How long the issuer may take to tell its keys, and how often it is asked for a key that it did not have. */
const KEYS_TIMEOUT_MS = 5_000
const KEYS_COOLDOWN_MS = 30_000

/**
 * The public keys that an issuer publishes (JWKS): asked for with the first token, and again for a key that is not known yet.
 *
 * @param check which addresses may be connected to
 */
export function publishedKeys(url: URL, check: AddressCheck): JWTVerifyGetKey {
  return createRemoteJWKSet(url, {
    timeoutDuration: KEYS_TIMEOUT_MS,
    cooldownDuration: KEYS_COOLDOWN_MS,
    [customFetch]: checkedFetch(check),
  })
}

/** What a token opens, and when it expires, in milliseconds since the epoch. */
export type CheckedToken = { readonly grant: Grant; readonly expiresAt: number }

/**
 * Checks a token (JWT): that the issuer signed it for the audience, and that it has not expired. A claim limits what its bearer sees; without it they see nothing.
 * Undefined for any other token. Throws if the issuer's keys cannot be read: then nothing can be told of any token.
 */
export async function checkToken(
  token: string,
  { issuer, audience, claim }: JwtIssuer,
  keys: JWTVerifyGetKey,
  now: Date,
): Promise<CheckedToken | undefined> {
  if (token.length > MAX_TOKEN_LENGTH) return undefined
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience: typeof audience === 'string' ? audience : [...audience],
      algorithms: ALGORITHMS,
      requiredClaims: ['exp'],
      clockTolerance: TOLERANCE_SECONDS,
      currentDate: now,
    })
    return {
      grant: { subject: payload.sub ?? 'unnamed', clusters: clustersOf(payload[claim]) },
      expiresAt: (payload.exp ?? 0) * 1000,
    }
  } catch (error) {
    if (isOfToken(error)) return undefined
    throw new Error(`Cannot read the keys of the issuer: ${error instanceof Error ? error.message : 'it failed'}`, {
      cause: error,
    })
  }
}

/** Lets in who brings a token as `Authorization: Bearer` that {@link checkToken} accepts. Throws as that does. */
export function jwtAccess(issuer: JwtIssuer, keys: JWTVerifyGetKey, now: () => Date): Access {
  return async (request) => {
    const token = bearerOf(request)
    return token === undefined ? undefined : (await checkToken(token, issuer, keys, now()))?.grant
  }
}

/** Whether the token is to blame, and not the way to the keys. */
function isOfToken(error: unknown): boolean {
  return [
    errors.JWTInvalid,
    errors.JWTExpired,
    errors.JWTClaimValidationFailed,
    errors.JWSInvalid,
    errors.JWSSignatureVerificationFailed,
    errors.JOSEAlgNotAllowed,
    errors.JOSENotSupported,
    errors.JWKSNoMatchingKey,
    errors.JWKSMultipleMatchingKeys,
  ].some((kind) => error instanceof kind)
}

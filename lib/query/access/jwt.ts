import { type JWTVerifyGetKey, createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { type Access, bearerOf, clustersOf } from './access.ts'

/** Whose tokens are believed. */
export type JwtIssuer = {
  /** As the tokens have it, letter by letter. */
  readonly issuer: string
  /** Who a token must be meant for. */
  readonly audience: string
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

/** The public keys that an issuer publishes (JWKS): asked for with the first token, and again for a key that is not known yet. */
export function publishedKeys(url: URL): JWTVerifyGetKey {
  return createRemoteJWKSet(url, { timeoutDuration: KEYS_TIMEOUT_MS, cooldownDuration: KEYS_COOLDOWN_MS })
}

/**
 * Lets in who brings a token (JWT, as `Authorization: Bearer`) that the issuer signed for the audience and that has not expired; a claim limits what they see, and
 * without it they see nothing. Throws where the issuer's keys cannot be read: then nothing can be told of any token.
 */
export function jwtAccess({ issuer, audience, claim }: JwtIssuer, keys: JWTVerifyGetKey, now: () => Date): Access {
  return async (request) => {
    const token = bearerOf(request)
    if (token === undefined || token.length > MAX_TOKEN_LENGTH) return undefined
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp'],
        clockTolerance: TOLERANCE_SECONDS,
        currentDate: now(),
      })
      return { subject: payload.sub ?? 'unnamed', clusters: clustersOf(payload[claim]) }
    } catch (error) {
      if (isOfToken(error)) return undefined
      throw new Error(`Cannot read the keys of the issuer: ${error instanceof Error ? error.message : 'it failed'}`, {
        cause: error,
      })
    }
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

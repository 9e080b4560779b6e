/** Asks an OpenID Connect issuer: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636, RFC 9700). */
import type { JWTVerifyGetKey } from 'jose'
import * as oauth from 'oauth4webapi'
import { checkedFetch } from '../../net/checked-fetch.ts'
import { mayCarryCredentials } from '../../net/may-carry-credentials.ts'
import { withoutSecrets } from '../../text/redact.ts'
import { type Grant, bearerOf } from '../access/access.ts'
import { checkToken, publishedKeys } from '../access/jwt.ts'
import { CALLBACK, type Issuer, type IssuerDeps, IssuerError, type IssuerSettings, NotSignedInError } from './issuer.ts'

/** How long its metadata are believed. */
const KEPT_MS = 60 * 60 * 1000

/** How far its clock may be ahead of ours. */
const TOLERANCE_SECONDS = 30

type Discovered = {
  readonly server: oauth.AuthorizationServer
  readonly keys: JWTVerifyGetKey
  readonly until: number
}

/** What asks the issuer, for the methods of {@link Issuer} with these names. */
type IssuerClient = Pick<Issuer, 'ready' | 'begin' | 'finish' | 'logout'> & {
  readonly access: (audience: readonly string[], request: Request) => Promise<Grant | undefined>
}

/** Makes what asks an issuer. Nothing is asked yet. */
export function createIssuerClient(
  { issuer, clientId, scope, claim, url }: IssuerSettings,
  { clientSecret, check, now }: IssuerDeps,
): IssuerClient {
  const address = new URL(issuer)
  const redirectUri = `${url}${CALLBACK}`
  const options = {
    [oauth.customFetch]: checkedFetch(check),
    // Of a server on this machine only; others were refused when the settings were read.
    [oauth.allowInsecureRequests]: address.protocol === 'http:',
  }
  const client = (): oauth.Client => ({
    client_id: clientId,
    [oauth.clockSkew]: Math.round((now().getTime() - Date.now()) / 1000),
    [oauth.clockTolerance]: TOLERANCE_SECONDS,
  })
  let known: Discovered | undefined
  let asking: Promise<Discovered> | undefined

  /** Asked once for all who want it at the same time. */
  async function discover(): Promise<Discovered> {
    if (known !== undefined && now().getTime() < known.until) return known
    asking ??= ask().finally(() => {
      asking = undefined
    })
    return asking
  }

  async function ask(): Promise<Discovered> {
    const server = await oauth
      .discoveryRequest(address, { ...options, algorithm: 'oidc' })
      .then((response) => oauth.processDiscoveryResponse(address, response))
      .catch((error: unknown) => {
        throw new IssuerError(`Cannot use the issuer "${address.href}": ${reasonOf(error)}`, { cause: error })
      })
    for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) {
      const endpoint = URL.parse(server[name] ?? '')
      if (endpoint === null || !mayCarryCredentials(endpoint))
        throw new IssuerError(`Cannot use the issuer "${address.href}": its metadata name no https ${name}`)
    }
    const keys = publishedKeys(new URL(server.jwks_uri ?? ''), check)
    known = { server, keys, until: now().getTime() + KEPT_MS }
    return known
  }

  async function authentication(server: oauth.AuthorizationServer): Promise<oauth.ClientAuth> {
    if (clientSecret === null) return oauth.None()
    const secret = await clientSecret()
    // As the standard has it, the first one is meant where nothing is said.
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    return methods.includes('client_secret_basic') || !methods.includes('client_secret_post')
      ? oauth.ClientSecretBasic(secret)
      : oauth.ClientSecretPost(secret)
  }

  return {
    ready: async () => void (await discover()),
    async begin() {
      const { server } = await discover()
      const pending = {
        state: oauth.generateRandomState(),
        nonce: oauth.generateRandomNonce(),
        verifier: oauth.generateRandomCodeVerifier(),
      }
      const location = new URL(server.authorization_endpoint ?? '')
      for (const [name, value] of Object.entries({
        response_type: 'code',
        client_id: clientId,
        redirect_uri: redirectUri,
        scope,
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: await oauth.calculatePKCECodeChallenge(pending.verifier),
        code_challenge_method: 'S256',
      }))
        location.searchParams.set(name, value)
      return { location: location.href, pending }
    },
    async finish(parameters, { state, nonce, verifier }) {
      const { server, keys } = await discover()
      const asClient = client()
      try {
        const answer = oauth.validateAuthResponse(server, asClient, parameters, state)
        const response = await oauth.authorizationCodeGrantRequest(
          server,
          asClient,
          await authentication(server),
          answer,
          redirectUri,
          verifier,
          options,
        )
        const tokens = await oauth.processAuthorizationCodeResponse(server, asClient, response, {
          expectedNonce: nonce,
          requireIdToken: true,
        })
        // The signature, too, and what a token of the API is checked for.
        const checked = await checkToken(
          tokens.id_token ?? '',
          { issuer: server.issuer, audience: clientId, claim },
          keys,
          now(),
        )
        if (checked === undefined) throw new NotSignedInError(`the ID token of ${address.host} was refused`)
        return checked
      } catch (error) {
        throw finishError(error, address)
      }
    },
    async access(audience, request) {
      const token = bearerOf(request)
      if (token === undefined) return undefined
      const { server, keys } = await discover()
      return (await checkToken(token, { issuer: server.issuer, audience, claim }, keys, now()))?.grant
    },
    async logout() {
      const { server } = await discover()
      const location = URL.parse(server.end_session_endpoint ?? '')
      if (location === null || !mayCarryCredentials(location)) return null
      location.searchParams.set('client_id', clientId)
      location.searchParams.set('post_logout_redirect_uri', `${url}/`)
      return location.href
    },
  }
}

/** Whose fault it is: somebody's who came back, or the issuer's and the operator's. */
function finishError(error: unknown, { href, host }: URL): Error {
  if (error instanceof NotSignedInError) return error
  if (error instanceof oauth.AuthorizationResponseError)
    return new NotSignedInError(`${host} answered “${wordOf(error.error)}”`, { cause: error })
  if (error instanceof oauth.ResponseBodyError && error.error === 'invalid_grant')
    return new NotSignedInError(`${host} does not accept this code; it is used once, and soon`, { cause: error })
  const code = error instanceof oauth.OperationProcessingError ? error.code : undefined
  if (code === oauth.JWT_CLAIM_COMPARISON || code === oauth.JWT_TIMESTAMP_CHECK)
    return new NotSignedInError(`the ID token of ${host} was refused: ${reasonOf(error)}`, { cause: error })
  if (code === oauth.INVALID_RESPONSE)
    return new NotSignedInError('this answer does not belong to the sign-in that was begun here', { cause: error })
  return new IssuerError(`Cannot sign anybody in by the issuer "${href}": ${reasonOf(error)}`, { cause: error })
}

/** One line without what may be a token. The codes of OAuth 2.0 name the fault: `invalid_client`. */
function reasonOf(error: unknown): string {
  if (error instanceof oauth.ResponseBodyError) return `it answered HTTP ${error.status}, ${wordOf(error.error)}`
  const { message, cause } = error instanceof Error ? error : { message: 'it failed', cause: undefined }
  return withoutSecrets(cause instanceof Error ? `${message} (${cause.message})` : message, []).slice(0, 300)
}

/** A code such as `access_denied`, whatever somebody sent. */
function wordOf(text: string): string {
  return /^[\w.-]{1,60}$/.test(text) ? text : 'an unknown error'
}
